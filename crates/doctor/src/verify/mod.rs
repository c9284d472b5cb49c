//! The check list after a change of settings: what was seen of each item, and what it means.
//! `underpass settings verify` looks.

mod proxy;
mod seen;

pub use seen::{ExitSeen, ModeSeen, ProxySeen, ReachSeen, Seen, WindowsSeen};

use config::settings::effective::asked_for;
use config::settings::ini;
use messages::verify as words;
use messages::{Sentence, Text};
use probe::Failure;
use probe::resolver::{NameSeen, Resolution, ServerAnswer};
use std::net::IpAddr;
use std::time::Duration;
use wsl::{MOST_SERVERS, Nameserver, NetworkingMode};

/// Whether an item is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It works.
    Passed,
    /// It does not work.
    Failed,
    /// There was nothing to look at.
    Skipped,
}

impl ItemState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static Sentence {
        match self {
            Self::Passed => &words::PASSED,
            Self::Failed => &words::FAILED,
            Self::Skipped => &words::SKIPPED,
        }
    }

    /// The word for it that programs read.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A line of the check list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The kind of item, for programs: `mode`, `dns-server`, `public-name`, `outside`, `exit`,
    /// `proxy`, `company-host`, `company-name`.
    pub key: &'static str,
    /// What was looked at.
    pub subject: Text,
    /// How it is.
    pub state: ItemState,
    /// What was seen; at least one sentence.
    pub said: Vec<Text>,
    /// What to try.
    pub advice: Vec<Text>,
}

impl Item {
    fn new(key: &'static str, subject: Text, state: ItemState, said: Text) -> Self {
        Self { key, subject, state, said: vec![said], advice: Vec::new() }
    }

    fn passed(key: &'static str, subject: Text, said: Text) -> Self {
        Self::new(key, subject, ItemState::Passed, said)
    }

    fn failed(key: &'static str, subject: Text, said: Text) -> Self {
        Self::new(key, subject, ItemState::Failed, said)
    }

    fn skipped(key: &'static str, subject: Text, said: Text) -> Self {
        Self::new(key, subject, ItemState::Skipped, said)
    }

    fn and(mut self, said: Text) -> Self {
        self.said.push(said);
        self
    }

    fn advise(mut self, advice: impl IntoIterator<Item = Text>) -> Self {
        self.advice.extend(advice);
        self
    }
}

/// The check list, in the order in which a packet depends on it.
#[must_use]
pub fn judge(seen: &Seen) -> Vec<Item> {
    let mut items = vec![mode(&seen.mode)];
    items.extend(servers(seen));
    items.extend(
        seen.public_names
            .iter()
            .map(|name| resolved("public-name", words::PUBLIC_NAME.with("name", &name.name), name)),
    );
    items.push(outside(seen));
    items.extend(seen.exit.as_ref().map(|exit| exit_address(exit, &seen.proxies)));
    items.extend(proxy::judge(seen));
    items.extend(seen.company_hosts.iter().map(company_host));
    let company_name = |name: &NameSeen| {
        resolved("company-name", words::COMPANY_NAME.with("name", &name.name), name)
    };
    items.extend(seen.company_names.iter().map(company_name));
    items
}

fn mode(seen: &ModeSeen) -> Item {
    const KEY: &str = "mode";
    let subject = words::MODE.text();
    let Some(mode) = seen.in_force else {
        return Item::skipped(KEY, subject, words::NOT_WSL.text());
    };
    let windows = match &seen.windows {
        Ok(windows) => windows,
        Err(why) => {
            let said = words::MODE_NOT_COMPARED.with("mode", mode.name()).with("why", why);
            return Item::skipped(KEY, subject, said);
        }
    };
    let asked = asked_mode(&windows.wslconfig);
    if asked != mode {
        let said = words::MODE_DIFFERS.with("asked", asked.name()).with("mode", mode.name());
        let advice = match (asked, mode) {
            (NetworkingMode::Mirrored, _) => &words::MIRRORED_NOT_IN_FORCE,
            (NetworkingMode::Nat, NetworkingMode::VirtioProxy | NetworkingMode::None) => {
                &words::NAT_FELL_BACK
            }
            _ => &words::RESTART_WSL,
        };
        return Item::failed(KEY, subject, said).advise([advice.text()]);
    }
    let own = list(&seen.own);
    if mode != NetworkingMode::Mirrored {
        return Item::passed(
            KEY,
            subject,
            words::MODE_AS_ASKED.with("mode", mode.name()).with("own", own),
        );
    }
    let shared: Vec<_> =
        seen.own.iter().copied().filter(|own| windows.addresses.contains(own)).collect();
    if shared.is_empty() {
        let said = words::NOT_SHARED.with("own", own).with("windows", list(&windows.addresses));
        return Item::failed(KEY, subject, said).advise([words::MIRRORED_NOT_IN_FORCE.text()]);
    }
    Item::passed(KEY, subject, words::MIRRORED_AS_ASKED.with("shared", list(&shared)))
}

/// The mode that `.wslconfig` asks for, by the line that counts for WSL. A name that WSL does not
/// know leaves the default, as it does in WSL.
fn asked_mode(wslconfig: &str) -> NetworkingMode {
    let file = ini::File::parse(wslconfig);
    let asked = asked_for(&file, "wsl2", "networkingMode");
    asked.and_then(NetworkingMode::by_name).unwrap_or(NetworkingMode::Nat)
}

fn servers(seen: &Seen) -> Vec<Item> {
    const KEY: &str = "dns-server";
    if seen.servers.is_empty() {
        let said = words::NO_SERVER.with("file", &seen.resolv_conf);
        return vec![
            Item::failed(KEY, words::SERVERS.text(), said).advise([words::ADVISE_DNS_AUTO.text()]),
        ];
    }
    let item = |(n, server): (usize, &Nameserver)| {
        let subject = words::SERVER.with("server", server);
        if n >= MOST_SERVERS {
            return Item::skipped(KEY, subject, words::NOT_USED.with("count", MOST_SERVERS));
        }
        let answers = seen.public_names.iter().filter_map(|name| {
            let answer = name.answers.iter().find(|(of, _)| of == server);
            answer.map(|(_, answer)| (name.name.as_str(), answer))
        });
        let is_good = |answer: &ServerAnswer| matches!(answer, ServerAnswer::Addresses { .. });
        // One name may be gone; a server that knows another works.
        let answers: Vec<_> = answers.collect();
        let telling =
            answers.iter().find(|(_, answer)| is_good(answer)).or_else(|| answers.first());
        let Some((name, answer)) = telling else {
            return Item::skipped(KEY, subject, words::NOTHING_ASKED.text());
        };
        let said = answer_text(name, answer);
        if is_good(answer) {
            Item::passed(KEY, subject, said)
        } else {
            Item::failed(KEY, subject, said).advise([words::ADVISE_DNS.text()])
        }
    };
    seen.servers.iter().enumerate().map(item).collect()
}

fn answer_text(name: &str, answer: &ServerAnswer) -> Text {
    match answer {
        ServerAnswer::Addresses { found, took } => words::ANSWERS
            .with("name", name)
            .with("time", time(*took))
            .with("addresses", list(found)),
        ServerAnswer::NoName => words::SAYS_NO_NAME.with("name", name),
        ServerAnswer::NoAddress => words::SAYS_NO_ADDRESS.with("name", name),
        ServerAnswer::Error(code) => words::ANSWERS_ERROR.with("name", name).with("code", code),
        ServerAnswer::Silent(patience) => words::SILENT.with("time", time(*patience)),
        ServerAnswer::NotAsked(why) => words::CANNOT_BE_ASKED.with("why", why),
    }
}

/// A name's item: `key` tells whose name it is.
fn resolved(key: &'static str, subject: Text, name: &NameSeen) -> Item {
    let advice =
        || if key == "company-name" { &words::ADVISE_COMPANY_DNS } else { &words::ADVISE_DNS };
    // Some other server may know what the first one that answers denies.
    let order = |denier: &Nameserver| {
        let knows = name
            .answers
            .iter()
            .find(|(of, answer)| of != denier && matches!(answer, ServerAnswer::Addresses { .. }));
        knows.map_or_else(
            || advice().text(),
            |(server, _)| words::ADVISE_ORDER.with("server", server),
        )
    };
    match name.resolve() {
        Resolution::Hosts(found) => {
            Item::passed(key, subject, words::IN_HOSTS.with("addresses", list(found)))
        }
        Resolution::Server(server, found) => Item::passed(
            key,
            subject,
            words::RESOLVED.with("server", server).with("addresses", list(found)),
        ),
        Resolution::NoName(server) => {
            Item::failed(key, subject, words::DENIED.with("server", server)).advise([order(server)])
        }
        Resolution::NoAddress(server) => {
            Item::failed(key, subject, words::WITHOUT_ADDRESS.with("server", server))
                .advise([order(server)])
        }
        Resolution::Nobody => {
            Item::failed(key, subject, words::NO_SERVER_ANSWERS.text()).advise([advice().text()])
        }
    }
}

fn outside(seen: &Seen) -> Item {
    const KEY: &str = "outside";
    let subject = words::OUTSIDE.with("target", &seen.outside.target);
    match &seen.outside.outcome {
        Ok(took) => Item::passed(KEY, subject, words::CONNECTED.with("time", time(*took))),
        Err(failure) => match seen.proxies.iter().find(|proxy| proxy.outside.is_ok()) {
            // A company may let nothing else through, and programs that follow the variables work.
            Some(proxy) => Item::passed(KEY, subject, text(failure))
                .and(words::BY_PROXY_ONLY.with("variables", &proxy.variables)),
            None => Item::failed(KEY, subject, text(failure)).advise([words::ADVISE_DOCTOR.text()]),
        },
    }
}

fn exit_address(exit: &ExitSeen, proxies: &[ProxySeen]) -> Item {
    const KEY: &str = "exit";
    let subject = words::EXIT.text();
    match &exit.outcome {
        Ok(address) => Item::passed(
            KEY,
            subject,
            words::EXIT_SEEN.with("url", &exit.url).with("address", address),
        ),
        Err(failure) => match proxies.iter().find(|proxy| matches!(proxy.exit, Some(Ok(_)))) {
            Some(proxy) => Item::passed(KEY, subject, text(failure))
                .and(words::BY_PROXY_ONLY.with("variables", &proxy.variables)),
            None => Item::failed(KEY, subject, text(failure))
                .advise(request_advice(failure).map(Sentence::text)),
        },
    }
}

fn company_host(host: &ReachSeen) -> Item {
    const KEY: &str = "company-host";
    let subject = words::COMPANY_HOST.with("target", &host.target);
    match &host.outcome {
        Ok(took) => Item::passed(KEY, subject, words::CONNECTED.with("time", time(*took))),
        Err(failure @ Failure::Unresolved { .. }) => {
            Item::failed(KEY, subject, text(failure)).advise([words::ADVISE_COMPANY_DNS.text()])
        }
        Err(failure) => {
            Item::failed(KEY, subject, text(failure)).advise([words::ADVISE_COMPANY_HOST.text()])
        }
    }
}

/// A failure in words.
fn text(failure: &Failure) -> Text {
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
fn request_advice(failure: &Failure) -> Option<&'static Sentence> {
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

fn list(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "-".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn time(time: Duration) -> String {
    if time.subsec_nanos() == 0 && !time.is_zero() {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

#[cfg(test)]
mod tests;
