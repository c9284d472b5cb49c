//! Whole dialogs with proxies according to their RFCs, cut anywhere; and with other programs that
//! may answer.

use proptest::prelude::*;
use proxy::{
    Associate, Associated, Dialog, DialogError, Host, MAX_HEADER, Meaning, Progress, ProxyUrl,
    SocksCode, Speaker, Target, mask, udp,
};

fn proxy(url: &str) -> ProxyUrl {
    url.parse().expect("a proxy")
}

fn target(host: &str, port: u16) -> Target {
    Target { host: Host::parse(host), port }
}

/// The outcome of a dialog: everything that was sent, and the bytes of the other side, or the
/// error.
type Outcome = (Vec<u8>, Result<Option<Vec<u8>>, DialogError>);

/// Delivers a proxy's bytes in pieces.
fn talk(url: &str, to: &Target, pieces: &[&[u8]]) -> Outcome {
    let mut dialog = Dialog::new(&proxy(url), to);
    let mut sent = dialog.output();
    for (n, piece) in pieces.iter().enumerate() {
        let progress = dialog.input(piece);
        sent.extend(dialog.output());
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::Done { rest }) => {
                return (sent, Ok(Some([&rest[..], &pieces[n + 1..].concat()].concat())));
            }
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(None))
}

fn refusal(url: &str, answer: &[u8]) -> DialogError {
    talk(url, &target("host.test", 443), &[answer]).1.expect_err("a refusal")
}

const YES: &[u8] = b"HTTP/1.1 200 Connection established\r\nServer: x\r\n\r\nearly";
const SOCKS_YES: &[u8] =
    &[5, 2, 1, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0x1f, 0x90, b'e', b'a', b'r', b'l', b'y'];

#[test]
fn connect_names_the_target_and_keeps_early_bytes() {
    let (sent, outcome) = talk("http://proxy:8080", &target("host.test", 443), &[YES]);
    assert_eq!(sent, b"CONNECT host.test:443 HTTP/1.1\r\nHost: host.test:443\r\n\r\n");
    assert_eq!(outcome, Ok(Some(b"early".to_vec())));
    let (sent, _) = talk("http://me:secret@proxy:8080", &target("2001:db8::1", 22), &[]);
    let text = String::from_utf8(sent).expect("text");
    assert!(text.starts_with("CONNECT [2001:db8::1]:22 HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{text}");
}

#[test]
fn every_yes_of_http_counts_and_interim_answers_are_passed_over() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 299 OK\r\nContent-Length: 5\r\n\r\nearly";
    for answer in [&interim[..], b"HTTP/1.0 200\n\nearly", b"HTTP/1.1 204 \r\nA: b\n\nearly"] {
        let (_, outcome) = talk("http://proxy:1", &target("host.test", 1), &[answer]);
        assert_eq!(outcome, Ok(Some(b"early".to_vec())));
    }
}

#[test]
fn refusals_of_http_proxies_say_what_to_do() {
    let answer = b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate, Basic realm=\"a, b\"\r\n\
          proxy-authenticate: NTLM\r\n\r\n";
    let needed = refusal("http://proxy:1", answer);
    let schemes = "Negotiate, Basic, NTLM".to_owned();
    assert_eq!(needed, DialogError::CredentialsNeeded { schemes: schemes.clone() });
    assert!(needed.to_string().contains("USER:PASSWORD@HOST"), "{needed}");
    assert_eq!(refusal("http://u:p@proxy:1", answer), DialogError::CredentialsRefused { schemes });
    let tinyproxys = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n";
    let refused = DialogError::CredentialsRefused { schemes: "Basic".to_owned() };
    assert_eq!(refusal("http://u:p@proxy:1", tinyproxys), refused);
    for (answer, words, meaning) in [
        (
            &b"HTTP/1.1 403 Filtered\r\n\r\n"[..],
            "403 Filtered: it does not allow",
            Meaning::Refused,
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "503 Service Unavailable",
            Meaning::Unreachable,
        ),
        (b"HTTP/1.1 504 \r\n\r\n", "504", Meaning::TimedOut),
        (
            b"HTTP/1.1 501 Unsupported method\r\n\r\n<html>",
            "is the port right",
            Meaning::ProxyTrouble,
        ),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "101 Switching", Meaning::Refused),
        (b"HTTP/1.1 20 x\r\n\r\n", "not a status line", Meaning::ProxyTrouble),
        (b"HTTP/2 200\r\n\r\n", "not a status line", Meaning::ProxyTrouble),
        (b"HTTP/1.1 \x1b[31m\r\n\r\n", "not a status line", Meaning::ProxyTrouble),
    ] {
        let error = refusal("http://proxy:1", answer);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.meaning(), meaning, "{error}");
    }
    let colours = refusal("http://proxy:1", b"HTTP/1.1 500 \x1b[31mred\x07\r\n\r\n").to_string();
    assert!(!colours.contains(char::is_control), "{colours:?}");
    // Characters that change the direction of text are not control characters (UAX 9).
    let turned = refusal("http://proxy:1", "HTTP/1.1 500 a\u{202e}b\u{2066}c\r\n\r\n".as_bytes())
        .to_string();
    assert_eq!(messages::printable(&turned), turned, "{turned:?}");
}

#[test]
fn a_peer_that_is_not_a_proxy_shows_by_the_first_byte() {
    for (url, answer, error) in [
        ("http://proxy:1", &[5, 0xff][..], DialogError::NotHttp(Speaker::Socks5)),
        ("http://proxy:1", &[0x15, 3, 1], DialogError::NotHttp(Speaker::Tls)),
        ("http://proxy:1", b"SSH-2.0-x\r\n", DialogError::NotHttp(Speaker::Unknown)),
        ("http://proxy:1", b"HTML", DialogError::NotHttp(Speaker::Unknown)),
        ("socks5://proxy:1", b"HTTP/1.1 400 Bad Request\r\n", DialogError::NotSocks(Speaker::Http)),
        ("socks5://proxy:1", &[0, 91], DialogError::NotSocks(Speaker::Unknown)),
    ] {
        let failure = refusal(url, answer);
        assert_eq!((&failure, failure.meaning()), (&error, Meaning::ProxyTrouble));
    }
}

#[test]
fn a_header_without_end_is_given_up_at_its_bound() {
    let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"A: b\r\n".repeat(MAX_HEADER)].concat();
    assert_eq!(refusal("http://proxy:1", &endless), DialogError::HeaderTooLong);
    let interim = b"HTTP/1.1 100 x\r\n\r\n".repeat(MAX_HEADER);
    assert_eq!(
        refusal("http://proxy:1", &interim),
        DialogError::HeaderTooLong,
        "there may not be many of them either"
    );
}

#[test]
fn socks_sends_names_as_names_and_credentials_on_request() {
    let (sent, outcome) =
        talk("socks5://me:secret@proxy:1080", &target("host.test", 443), &[SOCKS_YES]);
    let request = [&[5, 1, 0, 3, 9][..], b"host.test", &[1, 0xbb]].concat();
    let all = [&[5, 2, 0, 2][..], &[1, 2], b"me", &[6], b"secret", &request].concat();
    assert_eq!((sent, outcome), (all, Ok(Some(b"early".to_vec()))));
    let (sent, outcome) =
        talk("socks5://me:secret@proxy:1080", &target("192.0.2.1", 80), &[&[5, 0]]);
    assert_eq!(
        (sent, outcome),
        ([&[5, 2, 0, 2][..], &[5, 1, 0, 1, 192, 0, 2, 1, 0, 80]].concat(), Ok(None))
    );
    let (sent, _) = talk("socks5://proxy:1080", &target("2001:db8::1", 80), &[&[5, 0]]);
    assert_eq!(sent[..7], [5, 1, 0, 5, 1, 0, 4]);
    assert_eq!(sent.len(), 3 + 4 + 16 + 2);
}

#[test]
fn bound_addresses_of_every_kind_are_skipped_exactly() {
    for bound in [
        &[1, 0, 0, 0, 0, 0, 0][..],
        &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9],
        &[3, 1, b'x', 0, 1],
    ] {
        let answer = [&[5, 0, 5, 0, 0][..], bound, b"early"].concat();
        let (_, outcome) = talk("socks5://proxy:1080", &target("host.test", 443), &[&answer]);
        assert_eq!(outcome, Ok(Some(b"early".to_vec())), "{bound:?}");
    }
}

#[test]
fn refusals_of_socks_proxies_say_what_they_are() {
    let codes = [
        (1, Meaning::Unreachable),
        (2, Meaning::Refused),
        (4, Meaning::Unreachable),
        (5, Meaning::Refused),
    ];
    for (code, meaning) in
        codes.into_iter().chain([(6, Meaning::TimedOut), (200, Meaning::Refused)])
    {
        let error = refusal("socks5://proxy:1080", &[5, 0, 5, code]);
        assert_eq!((&error, error.meaning()), (&DialogError::Socks(SocksCode(code)), meaning));
    }
    let none = || String::new();
    let needed = DialogError::CredentialsNeeded { schemes: none() };
    let refused = DialogError::CredentialsRefused { schemes: none() };
    assert_eq!(refusal("socks5://proxy:1080", &[5, 0xff]), needed);
    assert_eq!(refusal("socks5://u:p@proxy:1080", &[5, 0xff]), refused);
    assert_eq!(refusal("socks5://u:p@proxy:1080", &[5, 2, 1, 1]), refused);
    for odd in [&[5, 2][..], &[5, 0, 4], &[5, 0, 5, 0, 0, 2]] {
        let error = refusal("socks5://proxy:1080", odd);
        assert!(matches!(error, DialogError::Malformed(_)), "{odd:?}: {error}");
    }
    let long = target(&"n".repeat(256), 1);
    let (_, outcome) = talk("socks5://proxy:1080", &long, &[&[5, 0]]);
    assert_eq!(outcome, Err(DialogError::NameLength { length: 256 }));
}

#[test]
fn an_end_in_the_middle_differs_from_one_without_an_answer() {
    for url in ["http://proxy:1", "socks5://proxy:1"] {
        let mut dialog = Dialog::new(&proxy(url), &target("host.test", 1));
        assert_eq!(dialog.closed(), DialogError::Closed { heard: false });
        let first = if url.starts_with("http") { b'H' } else { 5 };
        assert_eq!(dialog.input(&[first]), Ok(Progress::More));
        assert_eq!(dialog.closed(), DialogError::Closed { heard: true });
    }
}

#[test]
fn an_error_stays_and_after_the_end_every_byte_is_the_other_sides() {
    let mut dialog = Dialog::new(&proxy("http://proxy:1"), &target("host.test", 1));
    let error = dialog.input(b"x").expect_err("no HTTP");
    assert_eq!(dialog.input(YES), Err(error.clone()));
    assert_eq!(dialog.closed(), error);
    let mut dialog = Dialog::new(&proxy("http://proxy:1"), &target("host.test", 1));
    assert_eq!(dialog.input(YES), Ok(Progress::Done { rest: b"early".to_vec() }));
    assert_eq!(dialog.input(b"later"), Ok(Progress::Done { rest: b"later".to_vec() }));
}

#[test]
fn datagrams_have_an_association_where_the_proxy_speaks_socks() {
    assert!(Associate::new(&proxy("http://proxy:1")).is_none());
    let mut associate = Associate::new(&proxy("socks5://proxy:1")).expect("SOCKS5");
    assert_eq!(associate.output(), [5, 1, 0]);
    assert_eq!(associate.input(&[5, 0]), Ok(Associated::More));
    assert_eq!(associate.output(), [5, 3, 0, 1, 0, 0, 0, 0, 0, 0]);
    let bound = target("0.0.0.0", 4000);
    assert_eq!(associate.input(&[5, 0, 0, 1, 0, 0, 0, 0, 0x0f, 0xa0]), Ok(Associated::Done(bound)));
    let mut associate = Associate::new(&proxy("socks5://proxy:1")).expect("SOCKS5");
    let refused = associate.input(&[5, 0, 5, 7]);
    assert_eq!(refused, Err(DialogError::Socks(SocksCode::NO_SUCH_COMMAND)));
}

#[test]
fn a_datagrams_header_says_its_peer() {
    let mut datagram = Vec::new();
    udp::put_header(&mut datagram, &target("192.0.2.1", 53)).expect("an address fits");
    datagram.extend(b"query");
    assert_eq!(datagram, [&[0, 0, 0, 1, 192, 0, 2, 1, 0, 53][..], b"query"].concat());
    assert_eq!(udp::split(&datagram), Some((target("192.0.2.1", 53), &b"query"[..])));
    datagram[2] = 1;
    assert_eq!(udp::split(&datagram), None, "a fragment");
    let mut with_name = Vec::new();
    udp::put_header(&mut with_name, &target(&"n".repeat(255), 1)).expect("255 fit");
    assert_eq!(with_name.len(), udp::MAX_UDP_HEADER);
}

/// Answers that get far, and noise.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let beginnings = prop::sample::select(vec![
        YES.to_vec(),
        SOCKS_YES.to_vec(),
        b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n".to_vec(),
        b"HTTP/1.1 100 x\r\n\r\n".to_vec(),
        vec![5, 0, 5, 0, 0, 3, 4, b'n', b'a', b'm', b'e', 0, 1],
        vec![5, 2, 1, 1],
        Vec::new(),
    ]);
    let noise = prop::collection::vec(
        prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(5), Just(0)],
        0..60,
    );
    (beginnings, any::<prop::sample::Index>(), noise).prop_map(|(mut bytes, at, noise)| {
        bytes.truncate(at.index(bytes.len() + 1));
        bytes.extend(noise);
        bytes
    })
}

proptest! {
    #[test]
    fn the_result_is_the_same_however_the_bytes_are_cut(
        bytes in prop_oneof![answers(), Just(YES.to_vec()), Just(SOCKS_YES.to_vec())],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        url in prop::sample::select(vec![
            "http://p:1", "http://u:p@p:1", "socks5://p:1", "socks5://u:p@p:1",
        ]),
        host in prop::sample::select(vec!["host.test", "192.0.2.1", "2001:db8::1"]),
    ) {
        let to = target(host, 443);
        let whole = talk(url, &to, &[&bytes]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&talk(url, &to, &pieces), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&talk(url, &to, &single), &whole);
    }

    #[test]
    fn a_datagram_from_any_sender_is_split_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        if let Some((from, payload)) = udp::split(&bytes) {
            prop_assert!(bytes.ends_with(payload));
            prop_assert!(from.to_string().contains(':'));
        }
    }

    #[test]
    fn no_text_panics_and_a_proxys_text_survives_a_round_trip(
        text in "[a-z0-9:/@%.\\[\\]#?=; ]{0,40}|\\PC{0,20}"
    ) {
        let _ = mask(&text);
        if let Ok(url) = text.parse::<ProxyUrl>() {
            prop_assert_eq!(url.with_secrets().parse(), Ok(url));
        }
    }

    #[test]
    fn a_masked_text_has_no_secret(
        user in "[a-zA-Z0-9._!$&*+,;=-]{6,9}",
        password in "[a-zA-Z0-9.:_!$&*+,;=@/?#-]{6,9}",
        before in "[a-z =,;]{0,9}",
    ) {
        // That would be a second URL.
        prop_assume!(!password.contains("://"));
        let masked = mask(&format!("{before} http://{user}:x{password}@host:80 after"));
        prop_assert!(!masked.contains(&password) && !masked.contains(&user), "{}", masked);
        prop_assert!(masked.ends_with("host:80 after"), "{}", masked);
    }
}
