//! Why an attempt did not succeed, in words, and what to try.

use messages::{Sentence, Text, verify as words};
use probe::Failure;
use std::time::Duration;

/// A failure in words.
pub(super) fn text(failure: &Failure) -> Text {
    match failure {
        Failure::Unresolved { name } => words::UNRESOLVED.with("name", name),
        Failure::Refused { address } => words::REFUSED.with("address", address),
        Failure::TimedOut { address, patience } => {
            words::TIMED_OUT.with("address", address).with("time", time(*patience))
        }
        Failure::Unreachable { address, why } => {
            words::UNREACHABLE.with("address", address).with("why", why)
        }
        Failure::ProxyNotUsable { value, why } => {
            words::PROXY_NOT_USABLE.with("value", value).with("why", why)
        }
        Failure::Proxy { proxy, why } => words::PROXY_SAYS.with("proxy", proxy).with("why", why),
        Failure::Closed { who } => words::CLOSED.with("who", who),
        Failure::Tls { host, why } => words::NO_TLS.with("host", host).with("why", why),
        Failure::Status { url, status } => words::STATUS.with("url", url).with("status", status),
        Failure::SendsOn { url, location } => {
            words::SENDS_ON.with("url", url).with("location", location)
        }
        Failure::NoAddress { url } => words::NO_ADDRESS_RETURNED.with("url", url),
        Failure::NotHttp { url } => words::NOT_HTTP.with("url", url),
    }
}

/// What to try when a request fails so.
pub(super) fn request_advice(failure: &Failure) -> Option<&'static Sentence> {
    match failure {
        Failure::Tls { .. } => Some(&words::ADVISE_TLS),
        Failure::Unresolved { .. }
        | Failure::Refused { .. }
        | Failure::TimedOut { .. }
        | Failure::Unreachable { .. }
        | Failure::Closed { .. }
        | Failure::Status { .. }
        | Failure::SendsOn { .. }
        | Failure::NoAddress { .. }
        | Failure::NotHttp { .. } => Some(&words::ADVISE_ECHO),
        Failure::ProxyNotUsable { .. } | Failure::Proxy { .. } => None,
    }
}

/// A time in its usual unit.
pub(super) fn time(time: Duration) -> String {
    if time.subsec_nanos() == 0 && !time.is_zero() {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}
