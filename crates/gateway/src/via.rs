//! The way out by a proxy (`--via`): how it is written, what relays learn of it, and whether it
//! works. The relay connects through it.

use crate::limits::LOG_AGAIN_AFTER;
use crate::log_budget::LogBudget;
use crate::names::{self, Found, Names, Peers};
use crate::status::ViaStatus;
use proxy::{Except, ProxyUrl, ProxyUrlError};
use serde::Deserialize;
use stack::BindId;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Instant;
use wire::via::HOSTS_OWN;
use wire::{Capabilities, Frame, Session, ViaSettings};

/// A proxy as it was written. It may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Secret {
    /// Whether there is a user or password in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        proxy::mask(&self.0) != self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&proxy::mask(&self.0))
    }
}

/// The error for an app that sends to a stand-in that stands for no name.
pub(crate) const NOWHERE: stack::Fault =
    stack::Fault { kind: stack::FaultKind::HostUnreachable, router: None };

/// Which proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// This one.
    Url(ProxyUrl),
    /// Whatever Windows' own settings say for each destination.
    Windows,
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        if text.trim().eq_ignore_ascii_case(HOSTS_OWN) {
            Ok(Self::Windows)
        } else {
            text.parse().map(Self::Url)
        }
    }
}

/// Without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => fmt::Display::fmt(url, f),
            Self::Windows => f.write_str(HOSTS_OWN),
        }
    }
}

/// The proxy that connections go through, and what goes without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The proxy.
    pub proxy: Proxy,
    /// The destinations that are reached directly, besides those that only the relay's host can
    /// reach.
    pub except: Vec<Except>,
}

/// A relay that cannot go through the proxy. Without it nothing may be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaRefusal {
    /// It knows of no proxies.
    #[error("--via: this relay cannot go through a proxy; use the relay of this release")]
    NoProxies,
    /// It has no Windows to ask.
    #[error(
        "--via windows: only the relay for Windows (underpass-relay.exe) can follow Windows' proxy \
         settings; give the proxy itself, as http://HOST:PORT or socks5://HOST:PORT"
    )]
    NoWindows,
}

impl Via {
    /// The settings that another process of the gateway gets, and the relay.
    pub(crate) fn settings(&self) -> ViaSettings {
        let proxy = match &self.proxy {
            Proxy::Url(url) => url.with_secrets(),
            Proxy::Windows => HOSTS_OWN.to_owned(),
        };
        let except = self.except.iter().map(ToString::to_string).collect();
        ViaSettings { proxy, except }
    }

    fn json(&self) -> Vec<u8> {
        // Plain texts always have their JSON.
        serde_json::to_vec(&self.settings()).unwrap_or_default()
    }

    fn refusal(&self, can: Capabilities) -> Option<ViaRefusal> {
        if !can.contains(Capabilities::VIA) {
            return Some(ViaRefusal::NoProxies);
        }
        (self.proxy == Proxy::Windows && !can.contains(Capabilities::VIA_HOST))
            .then_some(ViaRefusal::NoWindows)
    }
}

/// Settings that another process of the gateway cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the settings of --via cannot be read")]
pub struct UnreadableSettings;

impl TryFrom<ViaSettings> for Via {
    type Error = UnreadableSettings;

    fn try_from(settings: ViaSettings) -> Result<Self, UnreadableSettings> {
        let except: Result<Vec<Except>, _> =
            settings.except.iter().map(|text| text.parse()).collect();
        let (Ok(proxy), Ok(except)) = (settings.proxy.parse(), except) else {
            return Err(UnreadableSettings);
        };
        Ok(Self { proxy, except })
    }
}

/// Where a connection really goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination<'a> {
    pub(crate) ip: IpAddr,
    /// The name for which the app has a stand-in.
    pub(crate) name: Option<&'a str>,
}

/// The way of connections out of the host: directly, or by a proxy, with the names for which apps
/// have stand-ins.
#[derive(Debug)]
pub(crate) struct WayOut {
    /// `None`: directly. Nothing below is used then.
    via: Option<Via>,
    names: Names,
    /// The peers of UDP source endpoints that have sent to stand-ins.
    peers: Peers,
    /// The faults of the proxy, by the lanes whose relays report them.
    troubles: BTreeMap<usize, String>,
    /// The last trouble in the log, and since when: one that comes and goes with each connection
    /// must not fill it.
    logged: Option<(Instant, String)>,
    log: LogBudget,
    /// Why a relay is of no use.
    refusal: Option<ViaRefusal>,
}

impl WayOut {
    pub(crate) fn new(via: Option<Via>, seed: u64) -> Self {
        Self {
            via,
            names: Names::new(seed),
            peers: Peers::default(),
            troubles: BTreeMap::new(),
            logged: None,
            log: LogBudget::default(),
            refusal: None,
        }
    }

    pub(crate) fn is_by_proxy(&self) -> bool {
        self.via.is_some()
    }

    pub(crate) fn refusal(&self) -> Option<ViaRefusal> {
        self.refusal
    }

    /// Sends the settings to a relay that has just said hello, before any request to it.
    pub(crate) fn announce(&mut self, session: &mut Session) {
        let Some(via) = &self.via else { return };
        let can = session.peer().map(|hello| hello.capabilities).unwrap_or_default();
        self.refusal = self.refusal.or(via.refusal(can));
        if self.refusal.is_none() {
            session.send(&Frame::Via { json: &via.json() });
        }
    }

    /// Takes a report of a lane's relay about the proxy; it is empty when the proxy works.
    pub(crate) fn note(&mut self, now: Instant, lane: usize, words: &str) {
        if !self.is_by_proxy() {
            return;
        }
        if words.is_empty() {
            if self.troubles.remove(&lane).is_some() && self.log.take(now).is_some() {
                tracing::info!(lane, "the proxy works again");
            }
        } else {
            self.troubles.insert(lane, words.to_owned());
            let known = |(since, logged): &(Instant, String)| {
                logged == words && now < *since + LOG_AGAIN_AFTER
            };
            if !self.logged.as_ref().is_some_and(known) && self.log.take(now).is_some() {
                tracing::warn!(lane, "nothing goes through the proxy: {words}");
                self.logged = Some((now, words.to_owned()));
            }
        }
    }

    /// A DNS answer as the app gets it; see [`names::with_stand_ins`].
    pub(crate) fn answer(
        &mut self,
        message: &[u8],
        is_outside: impl Fn(IpAddr) -> bool,
    ) -> Option<Vec<u8>> {
        self.via.as_ref()?;
        names::with_stand_ins(&mut self.names, message, is_outside)
    }

    /// The destination of a connection or an echo request to this address. `None` for a stand-in
    /// that stands for nothing.
    pub(crate) fn destination(&mut self, to: IpAddr) -> Option<Destination<'_>> {
        if !self.is_by_proxy() {
            return Some(Destination { ip: to, name: None });
        }
        match self.names.find(to) {
            Found::Plain => Some(Destination { ip: to, name: None }),
            Found::Named(name, real) => Some(Destination { ip: real, name: Some(name) }),
            Found::Unknown => None,
        }
    }

    /// The peer of a datagram that an app sends to this address, for the relay. `None` as above.
    pub(crate) fn datagram_to(&mut self, bind: BindId, to: SocketAddr) -> Option<SocketAddr> {
        if !self.is_by_proxy() {
            return Some(to);
        }
        let real = match self.names.find(to.ip()) {
            Found::Plain => {
                self.peers.sent_plainly(bind, to);
                return Some(to);
            }
            Found::Named(_, real) => real,
            Found::Unknown => return None,
        };
        Some(self.peers.sent(bind, to, real, |known| self.names.has(to.ip(), known)))
    }

    /// The address by which an app knows the peer of a datagram for it.
    pub(crate) fn datagram_from(&self, bind: BindId, peer: SocketAddr) -> SocketAddr {
        if self.is_by_proxy() { self.peers.known_as(bind, peer) } else { peer }
    }

    /// A UDP source endpoint has ended.
    pub(crate) fn unbound(&mut self, bind: BindId) {
        self.peers.forget(bind);
    }

    pub(crate) fn lane_died(&mut self, lane: usize) {
        self.troubles.remove(&lane);
    }

    pub(crate) fn status(&self) -> Option<ViaStatus> {
        let via = self.via.as_ref()?;
        Some(ViaStatus {
            proxy: via.proxy.to_string(),
            except: via.except.iter().map(ToString::to_string).collect(),
            names: self.names.count(),
            last_error: self.troubles.values().next().cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_reach_only_the_relay() {
        let proxy: Proxy = "socks5://me:s3cret@proxy.test:1080".parse().unwrap();
        let via = Via {
            proxy,
            except: vec!["10.0.0.0/8".parse().unwrap(), ".corp.test".parse().unwrap()],
        };
        let sent: ViaSettings = serde_json::from_slice(&via.json()).unwrap();
        assert_eq!(sent.proxy, "socks5://me:s3cret@proxy.test:1080");
        assert_eq!(sent.except, ["10.0.0.0/8", ".corp.test"]);
        let shown =
            format!("{via:?} {} {sent:?} {:?}", via.proxy, Secret("http://me:s3cret@h:1".into()));
        assert!(
            !shown.contains("s3cret") && shown.contains("socks5://***@proxy.test:1080"),
            "{shown}"
        );
    }

    #[test]
    fn a_relay_that_cannot_is_refused() {
        let fixed = Via { proxy: "proxy:1".parse().unwrap(), except: Vec::new() };
        let windows = Via { proxy: " Windows".parse().unwrap(), except: Vec::new() };
        assert_eq!(fixed.refusal(Capabilities::UDP), Some(ViaRefusal::NoProxies));
        assert_eq!(fixed.refusal(Capabilities::VIA), None);
        assert_eq!(windows.refusal(Capabilities::VIA), Some(ViaRefusal::NoWindows));
        assert_eq!(windows.refusal(Capabilities::VIA | Capabilities::VIA_HOST), None);
    }
}
