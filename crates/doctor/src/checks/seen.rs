//! The evidence in words: one sentence for an attempt.

use crate::facts::{Ask, Asked, Lookup, Method, Outcome, ProxySetting, Reach, Whence, Why};
use crate::view::has_addresses;
use messages::{Text, doctor, doctor_proxy};
use std::net::IpAddr;
use wire::facts::Adapter;

/// Addresses in a sentence.
pub(super) fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An attempt to reach a host, and its outcome; `None` if it was not tried.
pub(super) fn reach(reach: &Reach) -> Option<Text> {
    let target = &reach.target;
    let text = match (&reach.outcome, reach.whence, reach.method) {
        (Outcome::NotTried, _, _) => return None,
        (Outcome::Ok { .. }, Whence::Windows, _) => doctor::WINDOWS_REACHES.with("target", target),
        (Outcome::Failed { .. }, Whence::Windows, _) => {
            doctor::WINDOWS_REACHES_NOT.with("target", target)
        }
        (Outcome::Ok { .. }, _, Method::Icmp) => doctor::PING_ANSWERED.with("target", target),
        (Outcome::Failed { .. }, _, Method::Icmp) => doctor::PING_SILENT.with("target", target),
        (Outcome::Ok { .. }, _, Method::Tcp | Method::Neighbour) => {
            doctor::CONNECTED.with("target", target)
        }
        (Outcome::Failed { .. }, _, Method::Neighbour) => {
            doctor::CONNECT_TIMED_OUT.with("target", target)
        }
        (Outcome::Failed { why, detail }, _, Method::Tcp) => connect_failed(target, *why, detail),
    };
    Some(text)
}

/// A connection that failed.
pub(super) fn connect_failed(target: &str, why: Why, detail: &str) -> Text {
    let text = match why {
        Why::TimedOut => doctor::CONNECT_TIMED_OUT.text(),
        Why::Refused => doctor::CONNECT_REFUSED.text(),
        Why::Unreachable => doctor::CONNECT_UNREACHABLE.text(),
        Why::NameUnknown
        | Why::WrongProtocol
        | Why::Authentication
        | Why::ProxyRefused
        | Why::Closed
        | Why::NotPermitted
        | Why::Other => doctor::CONNECT_FAILED.with("detail", in_words(why, detail)),
    };
    text.with("target", target)
}

/// The detail that came with a failure, or the word for it where none came.
pub(super) fn in_words(why: Why, detail: &str) -> String {
    let detail = detail.trim().trim_end_matches('.');
    if !detail.is_empty() {
        return detail.to_owned();
    }
    match why {
        Why::TimedOut => "timed out",
        Why::Refused => "refused",
        Why::Unreachable => "unreachable",
        Why::NameUnknown => "unknown name",
        Why::WrongProtocol => "another protocol",
        Why::Authentication => "authentication required",
        Why::ProxyRefused => "refused by the proxy",
        Why::Closed => "closed",
        Why::NotPermitted => "not permitted",
        Why::Other => "failed",
    }
    .to_owned()
}

/// A question for a name, and the answer; `None` if it was not asked.
pub(super) fn ask(ask: &Ask) -> Option<Text> {
    let server = match &ask.asked {
        Asked::System => "getent".to_owned(),
        Asked::Nameserver(server) => server.to_string(),
        Asked::Public(address) | Asked::OfAdapter(address) => address.to_string(),
        Asked::Windows => "Windows".to_owned(),
    };
    let text = match &ask.answer {
        Lookup::NotTried => return None,
        answer if has_addresses(answer) => doctor::SERVER_ANSWERS.text(),
        Lookup::Addresses { .. } | Lookup::NoSuchName { .. } => doctor::SERVER_KNOWS_NOT.text(),
        Lookup::ServerError { code } => doctor::SERVER_ERROR.with("code", code),
        Lookup::Failed { .. } => doctor::SERVER_SILENT.text(),
    };
    Some(text.with("server", server).with("name", &ask.name))
}

/// A VPN that is connected, by its adapter.
pub(super) fn vpn(adapter: &Adapter) -> Text {
    let text = if adapter.description.is_empty() {
        doctor::VPN_WITHOUT_DESCRIPTION.text()
    } else {
        doctor::VPN_CONNECTED.with("description", &adapter.description)
    };
    text.with("adapter", &adapter.name)
}

/// A proxy setting and where it stands.
pub(super) fn setting(setting: &ProxySetting) -> Text {
    let text = match &setting.file {
        Some(file) => doctor_proxy::SET.with("place", file),
        None => doctor_proxy::SET_IN_ENVIRONMENT.text(),
    };
    text.with("key", &setting.key).with("value", &setting.value)
}
