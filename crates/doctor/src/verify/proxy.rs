//! The items of the environment's proxies: whether each works, and whether it is in force, which
//! shows by the address that the outside sees.

use super::{Item, ProxySeen, Seen, request_advice, text, words};
use messages::{Sentence, Text};
use probe::Failure;
use wsl::NetworkingMode;

const KEY: &str = "proxy";

pub(super) fn judge(seen: &Seen) -> Vec<Item> {
    if seen.proxies.is_empty() {
        return vec![Item::skipped(KEY, words::PROXIES.text(), words::PROXY_NOT_SET.text())];
    }
    seen.proxies.iter().map(|proxy| item(seen, proxy)).collect()
}

fn item(seen: &Seen, proxy: &ProxySeen) -> Item {
    let subject = words::PROXY.with("variables", &proxy.variables);
    let mode = seen.mode.in_force;
    // A service that the proxy reaches says more than the outside, which its rules may bar.
    if let (Some(exit), Some(Ok(address))) = (&seen.exit, &proxy.exit) {
        let text = |sentence: &'static Sentence| {
            sentence.with("proxy", &proxy.proxy).with("url", &exit.url).with("address", address)
        };
        return match &exit.outcome {
            Ok(direct) if direct == address => Item::passed(KEY, subject, text(&words::SAME_EXIT))
                .advise([words::ADVISE_SAME_EXIT.text()]),
            Ok(direct) => {
                Item::passed(KEY, subject, text(&words::OTHER_EXIT).with("direct", direct))
            }
            Err(_) => Item::passed(KEY, subject, text(&words::ONLY_EXIT)),
        };
    }
    match (&proxy.outside, &proxy.exit) {
        (Err(failure), _) => {
            Item::failed(KEY, subject, text(failure)).advise(advice(failure, proxy, mode))
        }
        (Ok(_), Some(Err(failure))) => Item::failed(KEY, subject, text(failure))
            .advise(request_advice(failure).map(Sentence::text)),
        (Ok(_), Some(Ok(_)) | None) => {
            let said = words::PROXY_REACHES
                .with("proxy", &proxy.proxy)
                .with("target", &seen.outside.target);
            Item::passed(KEY, subject, said)
        }
    }
}

/// What to try where the proxy itself gives no connection.
fn advice(failure: &Failure, proxy: &ProxySeen, mode: Option<NetworkingMode>) -> Option<Text> {
    match failure {
        // The proxy's own words say it.
        Failure::ProxyNotUsable { .. } | Failure::Proxy { .. } => None,
        Failure::Unresolved { .. }
        | Failure::Refused { .. }
        | Failure::TimedOut { .. }
        | Failure::Unreachable { .. }
        | Failure::Closed { .. }
        | Failure::Tls { .. }
        | Failure::Status { .. }
        | Failure::SendsOn { .. }
        | Failure::NoAddress { .. }
        | Failure::NotHttp { .. } => Some(match mode {
            Some(NetworkingMode::Mirrored) | None => words::ADVISE_PROXY_STARTED.text(),
            Some(mode) if proxy.is_loopback => words::ADVISE_OWN_LOOPBACK.with("mode", mode.name()),
            Some(_) => words::ADVISE_ALLOW_LAN.text(),
        }),
    }
}
