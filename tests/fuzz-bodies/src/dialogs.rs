//! Proxies' answers, and the texts that name proxies.

use proxy::{
    Dialog, DialogError, Host, MAX_HEADER, Progress, ProxyUrl, Target, mask, udp, windows,
};

/// Proxies of both kinds, with and without credentials.
const PROXIES: [&str; 4] = ["http://p:1", "http://u:p@p:1", "socks5://p:1", "socks5://u:p@p:1"];

/// Feeds an answer in pieces of `step` bytes: returns the bytes sent, and the other side's bytes or
/// the error.
fn talk(
    proxy: &ProxyUrl,
    answer: &[u8],
    step: usize,
) -> (Vec<u8>, Result<Option<Vec<u8>>, DialogError>) {
    let target = Target { host: Host::Name("host.test".to_owned()), port: 443 };
    let mut dialog = Dialog::new(proxy, &target);
    let mut sent = dialog.output();
    let mut fed = 0;
    for piece in answer.chunks(step.max(1)) {
        fed += piece.len();
        let progress = dialog.input(piece);
        sent.extend(dialog.output());
        match progress {
            Ok(Progress::More) => assert!(fed <= MAX_HEADER, "an endless answer is given up"),
            Ok(Progress::Done { rest }) => {
                return (sent, Ok(Some([&rest[..], &answer[fed..]].concat())));
            }
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(None))
}

/// Any bytes: no panic, the same outcome however they are cut, no byte of the other side lost; any
/// text: no panic, and a text that names a proxy survives being written and read again.
pub fn dialogs(data: &[u8]) {
    let Some((step, data)) = data.split_first() else { return };
    for proxy in PROXIES {
        let Ok(proxy) = proxy.parse() else { unreachable!("it is one") };
        let whole = talk(&proxy, data, data.len());
        let cut = talk(&proxy, data, usize::from(*step) + 1);
        assert_eq!(whole, cut, "the pieces matter");
        if let Ok(Some(rest)) = whole.1 {
            assert!(data.ends_with(&rest), "bytes of the other side changed");
        }
    }
    if let Some((from, payload)) = udp::split(data) {
        let mut again = Vec::new();
        if udp::put_header(&mut again, &from).is_ok() {
            again.extend_from_slice(payload);
            assert_eq!(udp::split(&again), Some((from, payload)), "written and read again");
        }
    }
    let text = String::from_utf8_lossy(data);
    let _ = mask(&text);
    let _ = windows::proxies(&text, 443);
    let _ = windows::bypasses(&text, Some("host.test"), None, 443);
    if let Ok(proxy) = text.parse::<ProxyUrl>() {
        assert_eq!(proxy.with_secrets().parse(), Ok(proxy), "written and read again");
    }
}
