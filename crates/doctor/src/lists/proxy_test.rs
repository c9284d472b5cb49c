//! `proxy test`: what is set, and each step of a request through it. A proxy's port, names and
//! pages are judged one after the other, since what follows a step depends on it.

use super::failures::text;
use super::item::{ItemState, Judged};
use messages::{Sentence, proxies as words};
use probe::Failure;
use probe::client::Page;
use proxy::{Host, ProxyUrl};
use std::net::IpAddr;
use std::time::Duration;

/// The environment's variables, upper and lower case apart, that are set. Without any the tools'
/// own settings may do.
#[must_use]
pub fn environment(variables: &[(&'static str, String)], others_are_set: bool) -> Judged {
    let value =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    for (upper, lower) in
        [("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy"), ("ALL_PROXY", "all_proxy")]
    {
        if let (Some(one), Some(other)) = (value(upper), value(lower))
            && one != other
        {
            return Judged::failed(words::CASES_DIFFER.with("upper", upper).with("lower", lower));
        }
    }
    let is_proxy = |name: &&str| !name.eq_ignore_ascii_case("no_proxy");
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).filter(is_proxy).collect();
    match (names.is_empty(), others_are_set) {
        (false, _) => Judged::passed(words::ARE_SET.with("names", names.join(", "))),
        (true, true) => Judged::skipped(words::NONE_SET.text()),
        (true, false) => Judged::failed(words::NONE_SET.text()),
    }
}

/// Whether the proxy's port takes connections.
#[must_use]
pub fn port(outcome: &Result<Duration, Failure>) -> Judged {
    match outcome {
        Ok(_) => Judged::passed(words::PORT_OPEN.text()),
        Err(failure) => Judged::failed(text(failure)).advise([words::HINT_PORT.text()]),
    }
}

/// What this machine's resolver answers. It need not know the name: the proxy resolves names
/// itself.
#[must_use]
pub fn resolved(host: &Host, found: &[IpAddr]) -> Judged {
    if found.is_empty() {
        return Judged::skipped(words::NOT_RESOLVED.text());
    }
    let list: Vec<String> = found.iter().map(ToString::to_string).collect();
    Judged::passed(words::RESOLVED.with("host", host).with("addresses", list.join(", ")))
}

/// A request. Any page will do, except those that proxies show in its place: authentication
/// required, not allowed, no answer from the server.
#[must_use]
pub fn page(outcome: &Result<Page, Failure>) -> Judged {
    let line = match outcome {
        Ok(Page::Tunnel(target)) => {
            return Judged::passed(words::TUNNEL_STANDS.with("target", target));
        }
        Ok(Page::Answer(line)) => line,
        Err(failure) => return Judged::failed(text(failure)),
    };
    let said = |sentence: &'static Sentence| sentence.with("status", line);
    match status(line) {
        Some(407) => Judged::failed(said(&words::LOGIN_REQUIRED)),
        Some(100..=402 | 404..=499) => Judged::passed(said(&words::ANSWERED)),
        Some(403) => Judged::failed(said(&words::NOT_ALLOWED)),
        Some(_) => Judged::failed(said(&words::ANSWERED)),
        None => Judged::failed(words::NOT_A_STATUS.with("line", line.escape_debug())),
    }
}

/// The code of an answer's first line (RFC 9112 section 4).
fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()
}

/// The same request by the server's address, after the one by its name failed. It shows whether
/// it is the proxy's resolver that fails.
#[must_use]
pub fn by_address(outcome: &Result<Page, Failure>) -> Judged {
    let judged = page(outcome);
    if judged.state == ItemState::Passed {
        return Judged::skipped(words::PROXY_RESOLVES_NOT.text());
    }
    judged
}

/// The setting by which the proxy would work, if it speaks the protocol that it is not set as.
#[must_use]
pub fn other_protocol(spoken: Option<&ProxyUrl>) -> Judged {
    Judged::skipped(match spoken {
        Some(proxy) => words::OTHER_SPOKEN.with("proxy", proxy),
        None => words::OTHER_NOT_SPOKEN.text(),
    })
}
