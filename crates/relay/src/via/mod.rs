//! The proxy for connections, if the gateway named one ([`wire::Frame::Via`]): the choice of the
//! proxy for each connection, and the connect itself. The crate `proxy` speaks the proxies'
//! protocols; UDP is in `datagrams.rs`; `windows/proxies.rs` reads Windows' own settings, and
//! `host.rs` evaluates them.

pub(crate) mod datagrams;
#[cfg(any(windows, test))]
pub(crate) mod host;

use crate::access::is_own;
use crate::limits::{
    PROXY_ADDRESSES, PROXY_ADDRESSES_KEPT, PROXY_ANSWERS_WITHIN, PROXY_CONNECTS_WITHIN,
};
use crate::os::Resolver;
use crate::os::proxies::Asker;
use crate::{direct, probe};
use proxy::{
    DialogError, Except, ExceptError, Host, Meaning, ProxyUrl, ProxyUrlError, Target, TunnelError,
    tunnel,
};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use wire::session::Way;
use wire::via::HOSTS_OWN;
use wire::{ConnectFailure, ViaSettings};

/// Why the gateway's proxy settings cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ViaError {
    /// It is not valid JSON.
    #[error("the settings cannot be read")]
    Json(#[from] serde_json::Error),
    /// It names no proxy.
    #[error("the proxy's URL: {0}")]
    Url(#[from] ProxyUrlError),
    /// It contains an unknown exception.
    #[error(transparent)]
    Except(#[from] ExceptError),
    /// This host has no settings of its own to follow.
    #[error("only the relay for Windows can follow Windows' proxy settings")]
    NotHere,
}

/// The route of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// As without any proxy.
    Direct,
    /// By the first of these that works.
    Through(Vec<ProxyUrl>),
}

/// The proxy's own state as shown by an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answers, even if with a refusal.
    Well,
    /// It does not work, and why.
    Trouble(String),
}

/// A connect through a proxy that failed. Wrapped in an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Failed {
    /// The reason that the gateway receives.
    pub(crate) reason: ConnectFailure,
    /// Whether no destination works through this proxy.
    pub(crate) is_proxys: bool,
    words: String,
}

impl Failed {
    fn proxys(proxy: &ProxyUrl, why: impl std::fmt::Display) -> Self {
        // The app learns it at once, and it is not a refusal by the destination.
        Self {
            reason: ConnectFailure::HostUnreachable,
            is_proxys: true,
            words: format!("{proxy}: {why}"),
        }
    }

    fn said(proxy: &ProxyUrl, error: &DialogError) -> Self {
        let reason = match error.meaning() {
            Meaning::ProxyTrouble => return Self::proxys(proxy, error),
            Meaning::Refused => ConnectFailure::Refused,
            Meaning::Unreachable => ConnectFailure::HostUnreachable,
            Meaning::TimedOut => ConnectFailure::TimedOut,
        };
        Self { reason, is_proxys: false, words: format!("{proxy}: {error}") }
    }

    fn health(&self) -> Health {
        if self.is_proxys { Health::Trouble(self.words.clone()) } else { Health::Well }
    }
}

/// The source of the proxy's name.
enum Upstream {
    /// The user, by its URL.
    Fixed(ProxyUrl),
    /// The host's own settings.
    Host(Asker),
}

/// The proxy path that the gateway requested.
pub(crate) struct Via {
    upstream: Upstream,
    except: Vec<Except>,
    resolver: Resolver,
    /// The addresses of named proxies, and since when they are known; at most [`PROXY_ADDRESSES`].
    found: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Via {
    /// # Errors
    /// See [`ViaError`].
    pub(crate) fn new(json: &[u8], resolver: Resolver) -> Result<Self, ViaError> {
        let settings: ViaSettings = serde_json::from_slice(json)?;
        let upstream = match settings.proxy.as_str() {
            HOSTS_OWN => Upstream::Host(Asker::new().ok_or(ViaError::NotHere)?),
            url => Upstream::Fixed(url.parse()?),
        };
        let except = settings
            .except
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<Except>, ExceptError>>()?;
        Ok(Self { upstream, except, resolver, found: Mutex::default() })
    }

    /// The host's network or settings changed: cached answers may be wrong.
    pub(crate) fn refresh(&self) {
        if let Upstream::Host(asker) = &self.upstream {
            asker.refresh();
        }
        // If it is locked, its holder is looking names up again.
        if let Ok(mut found) = self.found.try_lock() {
            found.clear();
        }
    }

    /// Whether a destination bypasses the proxy in any case: destinations that only this host can
    /// reach, and the user's exceptions.
    pub(crate) fn excepts(&self, to: IpAddr, name: Option<&str>) -> bool {
        let to = to.to_canonical();
        stays_here(to) || self.except.iter().any(|except| except.covers(to, name))
    }

    async fn route(&self, to: SocketAddr, name: Option<&str>) -> Route {
        if self.excepts(to.ip(), name) {
            return Route::Direct;
        }
        match &self.upstream {
            Upstream::Fixed(proxy) => Route::Through(vec![proxy.clone()]),
            Upstream::Host(asker) => asker.ask(to, name).await,
        }
    }

    /// The route of datagrams to a destination that is not excepted; `None` while the question is
    /// pending.
    pub(crate) fn route_now(&self, to: SocketAddr) -> Option<Route> {
        match &self.upstream {
            Upstream::Fixed(proxy) => Some(Route::Through(vec![proxy.clone()])),
            Upstream::Host(asker) => asker.known(to),
        }
    }

    /// Connects by the right route, and reports the proxy's state if it was used.
    pub(crate) async fn connect(&self, way: &Way<'_>) -> (io::Result<TcpStream>, Option<Health>) {
        let &Way { to, hops, name } = way;
        let Route::Through(proxies) = self.route(to, name).await else {
            return (direct::connect(to, hops).await, None);
        };
        let host =
            name.map_or(Host::Address(to.ip().to_canonical()), |name| Host::Name(name.to_owned()));
        let target = Target { host, port: to.port() };
        let mut last = None;
        for proxy in &proxies {
            match self.connect_through(proxy, &target, to).await {
                Ok(None) => return (direct::connect(to, hops).await, None),
                Ok(Some(stream)) => return (Ok(stream), Some(Health::Well)),
                Err(failed) if failed.is_proxys => last = Some(failed),
                Err(failed) => {
                    last = Some(failed);
                    break;
                }
            }
        }
        // The route is unknown: no connection is better than one past the proxy.
        let unknown = || Failed {
            reason: ConnectFailure::HostUnreachable,
            is_proxys: true,
            words: "no proxy is known".to_owned(),
        };
        let failed = last.unwrap_or_else(unknown);
        let health = failed.health();
        (Err(io::Error::other(failed)), Some(health))
    }

    /// Returns `None` if the destination is the proxy itself, as with an app that is configured
    /// with the same proxy.
    async fn connect_through(
        &self,
        proxy: &ProxyUrl,
        target: &Target,
        to: SocketAddr,
    ) -> Result<Option<TcpStream>, Failed> {
        let addresses = self.addresses(proxy).await?;
        if to.port() == proxy.port() && addresses.contains(&to.ip().to_canonical()) {
            return Ok(None);
        }
        let mut stream = dial(proxy, &addresses).await?;
        match timeout(PROXY_ANSWERS_WITHIN, tunnel(&mut stream, proxy, target)).await {
            Ok(Ok(())) => Ok(Some(stream)),
            Ok(Err(TunnelError::Dialog(error))) => Err(Failed::said(proxy, &error)),
            Ok(Err(TunnelError::Stream(error))) => Err(Failed::proxys(proxy, error)),
            // It may be waiting for the destination: as without a proxy, the app decides how long
            // it waits.
            Err(_) => Err(Failed {
                reason: ConnectFailure::TimedOut,
                is_proxys: false,
                words: format!("{proxy}: no answer within {} s", PROXY_ANSWERS_WITHIN.as_secs()),
            }),
        }
    }

    /// The addresses of a proxy.
    async fn addresses(&self, proxy: &ProxyUrl) -> Result<Vec<IpAddr>, Failed> {
        let name = match proxy.host() {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        if name.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        // One look-up serves all that wait.
        let mut found = self.found.lock().await;
        let now = now();
        if let Some((since, addresses)) = found.get(name)
            && now < *since + PROXY_ADDRESSES_KEPT
        {
            return Ok(addresses.clone());
        }
        let addresses = probe::addresses(name, &self.resolver).await;
        let addresses = addresses
            .map_err(|why| Failed::proxys(proxy, format!("its name is not found ({why})")))?;
        if found.len() >= PROXY_ADDRESSES {
            found.clear();
        }
        found.insert(name.clone(), (now, addresses.clone()));
        Ok(addresses)
    }
}

#[expect(clippy::disallowed_methods, reason = "the relay's shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// A connection to the proxy itself.
async fn dial(proxy: &ProxyUrl, addresses: &[IpAddr]) -> Result<TcpStream, Failed> {
    let connected = async {
        let mut last = Failed::proxys(proxy, "its name has no address");
        for address in addresses {
            match TcpStream::connect((*address, proxy.port())).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Failed::proxys(proxy, error),
            }
        }
        Err(last)
    };
    match timeout(PROXY_CONNECTS_WITHIN, connected).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failed::proxys(
            proxy,
            format!("no connection within {} s", PROXY_CONNECTS_WITHIN.as_secs()),
        )),
    }
}

/// Whether an address is this host's own, or a neighbour on one of its links (RFC 3927, RFC 4291
/// section 2.5.6), which only this host can reach.
fn stays_here(to: IpAddr) -> bool {
    let near = match to {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    near || is_own(to)
}
