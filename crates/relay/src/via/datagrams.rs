//! Datagrams while connections use a proxy. A SOCKS5 proxy passes them on after a header (RFC 1928
//! section 7), in an association for each source of the VM. Other proxies cannot, and the sender
//! gets an error (port unreachable), so that QUIC falls back to TCP.
//!
//! An association is a TCP connection that a small task holds, and ends with it. The datagrams
//! themselves use the source's own socket.

use super::{Failed, Health, Route, Via, dial};
use crate::limits::{
    ASSOCIATION_BACKLOG, MAX_ASSOCIATIONS, MAX_EXCEPTED, NO_UDP_FOR, PROXY_CONNECTS_WITHIN,
    RETRY_AFTER,
};
use crate::udp::{Binds, Event};
use proxy::{
    Associate, Associated, DialogError, Host, ProxyUrl, Scheme, SocksCode, Target, TunnelError, udp,
};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use wire::frame::Family;
use wire::{BindId, Fault, FaultKind, Marks};

/// Hops of datagrams to the proxy: the VM's own count is about the path to the peer, and so are its
/// other marks. A header precedes each datagram, so one that fits the path to its peer may not fit
/// the path to the proxy.
const MARKS: Marks = Marks::of_ttl(64);

/// The error for the sender of a datagram that no proxy carries.
const UNREACHABLE: Fault = Fault { kind: FaultKind::PortUnreachable, router: None };

/// The sources of the VM whose datagrams the proxy passes on.
pub(crate) struct Datagrams {
    via: Arc<Via>,
    sources: HashMap<BindId, Source>,
    /// Peers examined so far, and whether they are excepted; at most [`MAX_EXCEPTED`].
    excepted: HashMap<IpAddr, bool>,
    reports: mpsc::UnboundedReceiver<TaskReport>,
    tell: mpsc::UnboundedSender<TaskReport>,
    /// Until then the proxy gets no further request, because it reported that it does not support
    /// UDP.
    no_udp_until: Option<Instant>,
    associations: u64,
    packet: Vec<u8>,
}

struct Source {
    family: Family,
    state: Association,
}

enum Association {
    /// The source has sent nothing to the proxy yet. Becomes `Asking`.
    Idle,
    /// The request to the proxy is pending. Becomes `Standing` or `Refused`.
    Asking { number: u64, waiting: Vec<(SocketAddr, Vec<u8>)>, _task: Task },
    /// Datagrams go to this address. Becomes `Idle` when the proxy ends it.
    Standing { number: u64, relay: SocketAddr, _task: Task },
    /// Becomes `Asking` after that time.
    Refused { until: Instant },
}

/// A task that ends with this value.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The report of a task. The number identifies the association, since its source may have started
/// another one.
struct TaskReport {
    bind: BindId,
    number: u64,
    news: News,
}

enum News {
    Stands(SocketAddr),
    Failed(Failed),
    /// The proxy does not support UDP.
    NoUdp(Failed),
    Ended,
}

impl Datagrams {
    pub(crate) fn new(via: Arc<Via>) -> Self {
        // Unbounded in type only: an association reports twice, and their number is bounded.
        let (tell, reports) = mpsc::unbounded_channel();
        Self {
            via,
            sources: HashMap::new(),
            excepted: HashMap::new(),
            reports,
            tell,
            no_udp_until: None,
            associations: 0,
            packet: Vec::new(),
        }
    }

    pub(crate) fn bound(&mut self, bind: BindId, family: Family) {
        self.sources.insert(bind, Source { family, state: Association::Idle });
    }

    pub(crate) fn unbound(&mut self, bind: BindId) {
        self.sources.remove(&bind);
    }

    /// The host's network or settings changed.
    pub(crate) fn refresh(&mut self) {
        self.excepted.clear();
        self.no_udp_until = None;
    }

    /// Sends a datagram by the right path; returns `Some` in the same cases as [`Binds::send`].
    pub(crate) fn send(
        &mut self,
        now: Instant,
        binds: &mut Binds,
        bind: BindId,
        peer: SocketAddr,
        marks: Marks,
        bytes: &[u8],
    ) -> Option<Event<'static>> {
        if self.is_excepted(peer.ip()) {
            return binds.send(bind, peer, marks, bytes);
        }
        let refused = Some(Event::Error { bind, peer, fault: UNREACHABLE });
        match self.via.route_now(peer) {
            // The request is pending. Until then the datagram is lost, as on any network, and its
            // sender tries again.
            None => None,
            Some(Route::Direct) => binds.send(bind, peer, marks, bytes),
            Some(Route::Through(proxies)) => {
                match proxies.into_iter().find(|proxy| proxy.scheme() == Scheme::Socks5) {
                    None => refused,
                    Some(_) if self.no_udp_until.is_some_and(|until| now < until) => refused,
                    Some(proxy) => self.pass(now, binds, bind, peer, proxy, bytes),
                }
            }
        }
    }

    fn is_excepted(&mut self, peer: IpAddr) -> bool {
        if let Some(known) = self.excepted.get(&peer) {
            return *known;
        }
        if self.excepted.len() >= MAX_EXCEPTED {
            self.excepted.clear();
        }
        let excepted = self.via.excepts(peer, None);
        self.excepted.insert(peer, excepted);
        excepted
    }

    fn pass(
        &mut self,
        now: Instant,
        binds: &mut Binds,
        bind: BindId,
        peer: SocketAddr,
        proxy: ProxyUrl,
        bytes: &[u8],
    ) -> Option<Event<'static>> {
        let may_ask = match &mut self.sources.get_mut(&bind)?.state {
            Association::Standing { relay, .. } => {
                let relay = *relay;
                return self.wrapped(binds, bind, peer, relay, bytes);
            }
            Association::Asking { waiting, .. } => {
                let held: usize = waiting.iter().map(|(_, bytes)| bytes.len()).sum();
                if waiting.len() < ASSOCIATION_BACKLOG.0
                    && held + bytes.len() <= ASSOCIATION_BACKLOG.1
                {
                    waiting.push((peer, bytes.to_vec()));
                }
                return None;
            }
            Association::Refused { until } => now >= *until,
            Association::Idle => true,
        };
        if may_ask && self.under_way() < MAX_ASSOCIATIONS {
            self.associations += 1;
            let number = self.associations;
            let task =
                tokio::spawn(hold(Arc::clone(&self.via), proxy, bind, number, self.tell.clone()));
            let (waiting, _task) = (vec![(peer, bytes.to_vec())], Task(task.abort_handle()));
            if let Some(source) = self.sources.get_mut(&bind) {
                source.state = Association::Asking { number, waiting, _task };
            }
            return None;
        }
        Some(Event::Error { bind, peer, fault: UNREACHABLE })
    }

    fn under_way(&self) -> usize {
        let is = |source: &&Source| {
            matches!(source.state, Association::Asking { .. } | Association::Standing { .. })
        };
        self.sources.values().filter(is).count()
    }

    fn wrapped(
        &mut self,
        binds: &mut Binds,
        bind: BindId,
        peer: SocketAddr,
        relay: SocketAddr,
        bytes: &[u8],
    ) -> Option<Event<'static>> {
        self.packet.clear();
        // An address always fits.
        let _ = udp::put_header(
            &mut self.packet,
            &Target::from(SocketAddr::new(peer.ip().to_canonical(), peer.port())),
        );
        self.packet.extend_from_slice(bytes);
        match binds.send(bind, relay, MARKS, &self.packet)? {
            // The host does not say which of the earlier datagrams the error concerns, or whose
            // peer that was.
            Event::Error { bind: of, fault, .. } if of == bind => {
                Some(Event::Error { bind, peer, fault })
            }
            other @ (Event::Error { .. } | Event::Datagram { .. } | Event::Broken { .. }) => {
                Some(other)
            }
        }
    }

    /// Removes the proxy's header from an incoming datagram. `None` for events that concern no app
    /// in the VM.
    pub(crate) fn incoming<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        let (bind, from) = match &event {
            Event::Datagram { bind, peer, .. } | Event::Error { bind, peer, .. } => (*bind, *peer),
            Event::Broken { bind } => {
                self.sources.remove(bind);
                return Some(event);
            }
        };
        let Some(source) = self.sources.get_mut(&bind) else { return Some(event) };
        match (&source.state, event) {
            (Association::Standing { relay, .. }, Event::Datagram { marks, bytes, .. })
                if *relay == from =>
            {
                let (Target { host: Host::Address(ip), port }, bytes) = udp::split(bytes)? else {
                    return None;
                };
                Some(Event::Datagram { bind, peer: SocketAddr::new(ip, port), marks, bytes })
            }
            (Association::Standing { relay, .. }, Event::Error { .. }) if *relay == from => {
                // The proxy is gone: the next datagram starts a new request.
                source.state = Association::Idle;
                None
            }
            (_, event) => Some(event),
        }
    }

    /// Handles the reports of associations, and passes each sender's news to `tell`. Later reports
    /// wake `cx`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        binds: &mut Binds,
        mut tell: impl FnMut(Option<Event<'static>>, Option<Health>),
    ) {
        while let Poll::Ready(Some(TaskReport { bind, number, news })) = self.reports.poll_recv(cx)
        {
            let Some(source) = self.sources.get_mut(&bind) else { continue };
            let (Association::Asking { number: current, .. }
            | Association::Standing { number: current, .. }) = &source.state
            else {
                continue;
            };
            if *current != number {
                continue;
            }
            match news {
                News::Ended => source.state = Association::Idle,
                News::Stands(relay) => {
                    tell(None, Some(Health::Well));
                    let family = Family::of(relay.ip());
                    // Its own socket cannot reach a proxy of the other family. A socket of the
                    // other family reaches the proxy only.
                    if source.family != family {
                        source.family = family;
                        if binds.bind(bind, family).is_err() {
                            source.state = Association::Refused { until: now + RETRY_AFTER };
                            continue;
                        }
                    }
                    let Association::Asking { waiting, _task, .. } =
                        std::mem::replace(&mut source.state, Association::Idle)
                    else {
                        continue;
                    };
                    source.state = Association::Standing { number, relay, _task };
                    for (peer, bytes) in waiting {
                        tell(self.wrapped(binds, bind, peer, relay, &bytes), None);
                    }
                    tell(binds.flush(), None);
                }
                News::Failed(failed) => {
                    tell(None, Some(failed.health()));
                    refuse(bind, source, now + RETRY_AFTER, &mut tell);
                }
                News::NoUdp(failed) => {
                    tracing::info!("{failed}: datagrams are refused");
                    tell(None, Some(failed.health()));
                    refuse(bind, source, now + NO_UDP_FOR, &mut tell);
                    self.no_udp_until = Some(now + NO_UDP_FOR);
                }
            }
        }
    }
}

/// Reports to the senders of waiting datagrams that they are not carried.
fn refuse(
    bind: BindId,
    source: &mut Source,
    until: Instant,
    tell: &mut impl FnMut(Option<Event<'static>>, Option<Health>),
) {
    if let Association::Asking { waiting, .. } =
        std::mem::replace(&mut source.state, Association::Refused { until })
    {
        for (peer, _) in waiting {
            tell(Some(Event::Error { bind, peer, fault: UNREACHABLE }), None);
        }
    }
}

/// Requests an association, and holds it until the proxy ends it.
async fn hold(
    via: Arc<Via>,
    proxy: ProxyUrl,
    bind: BindId,
    number: u64,
    tell: mpsc::UnboundedSender<TaskReport>,
) {
    // Without an engine the report has no receiver.
    let say = |news| drop(tell.send(TaskReport { bind, number, news }));
    match associate(&via, &proxy).await {
        Ok((mut stream, relay)) => {
            say(News::Stands(relay));
            let mut nothing = [0; 64];
            while stream.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
            say(News::Ended);
        }
        Err(Refusal::NoUdp(failed)) => say(News::NoUdp(failed)),
        Err(Refusal::Other(failed)) => say(News::Failed(failed)),
    }
}

enum Refusal {
    NoUdp(Failed),
    Other(Failed),
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        Self::Other(failed)
    }
}

async fn associate(via: &Via, proxy: &ProxyUrl) -> Result<(TcpStream, SocketAddr), Refusal> {
    let addresses = via.addresses(proxy).await?;
    let mut stream = dial(proxy, &addresses).await?;
    // It needs no distant host.
    let bound = match timeout(PROXY_CONNECTS_WITHIN, talk(&mut stream, proxy)).await {
        Ok(Ok(bound)) => bound,
        Ok(Err(TunnelError::Stream(error))) => return Err(Failed::proxys(proxy, error).into()),
        Ok(Err(TunnelError::Dialog(error))) => {
            let failed = Failed::said(proxy, &error);
            return Err(match error {
                // Some proxies close the connection at a command that they do not support. They did
                // answer the greeting.
                DialogError::Socks(SocksCode::NO_SUCH_COMMAND | SocksCode(2)) => {
                    Refusal::NoUdp(failed)
                }
                DialogError::Closed { heard: true } => {
                    Refusal::NoUdp(Failed { is_proxys: false, ..failed })
                }
                DialogError::NotHttp(_)
                | DialogError::NotSocks(_)
                | DialogError::HeaderTooLong
                | DialogError::Malformed(_)
                | DialogError::CredentialsNeeded { .. }
                | DialogError::CredentialsRefused { .. }
                | DialogError::Status { .. }
                | DialogError::Socks(_)
                | DialogError::NameLength { .. }
                | DialogError::Closed { .. } => Refusal::Other(failed),
            });
        }
        Err(_) => return Err(Failed::proxys(proxy, "no answer about datagrams").into()),
    };
    // An unspecified address, or a name, stands for the proxy's own address.
    let there =
        stream.peer_addr().map_err(|error| Failed::proxys(proxy, error))?.ip().to_canonical();
    let relay = match bound.host {
        Host::Address(address) if !address.is_unspecified() => address.to_canonical(),
        Host::Address(_) | Host::Name(_) => there,
    };
    Ok((stream, SocketAddr::new(relay, bound.port)))
}

async fn talk(stream: &mut TcpStream, proxy: &ProxyUrl) -> Result<Target, TunnelError> {
    let Some(mut associate) = Associate::new(proxy) else {
        return Err(DialogError::Socks(SocksCode::NO_SUCH_COMMAND).into());
    };
    let mut buffer = [0; 512];
    loop {
        let output = associate.output();
        if !output.is_empty() {
            stream.write_all(&output).await?;
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(associate.closed().into());
        }
        if let Associated::Done(bound) = associate.input(&buffer[..read])? {
            return Ok(bound);
        }
    }
}
