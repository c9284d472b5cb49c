//! The stack as its user sees it: its state, and the handling of each answer from the relay.
//! [`inbound`] handles frames.

mod burst;
mod inbound;

use crate::addresses::{AddressPlan, Ipv6};
use crate::contacts::Filtering;
use crate::event::{Event, Refusal};
use crate::fragments::Reassembler;
use crate::icmp::{self, Bucket, Ends, Reporter};
use crate::limits::{MAX_BINDS, MAX_EVENT_BYTES, MAX_EVENTS, MAX_FLOWS, MAX_HALF_OPEN};
use crate::link::{IpHead, Link};
use crate::offload::{Offload, Transmit};
use crate::outgoing::{DatagramHead, Outgoing};
use crate::owner::{BySource, Owner, Owners, Transport, owner};
use crate::packet::UDP;
use crate::requests::{Asker, RequestId, Requests};
use crate::stats::{DropReason, Stats};
use crate::tcp::flow::Flow;
use crate::tcp::{Around, Displaced, FlowId, Tcp};
use crate::udp::{BindId, Binds};
use crate::uplink::{Strays, Uplink};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use terms::{Fault, FaultKind, Marks};

/// The limits of the stack's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// TCP connections in all (at most 65,535).
    pub flows: usize,
    /// The half-open ones of these.
    pub half_open: usize,
    /// UDP source endpoints (at most 65,535).
    pub binds: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { flows: MAX_FLOWS, half_open: MAX_HALF_OPEN, binds: MAX_BINDS }
    }
}

/// The parameters of a stack.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TAP's MTU: bytes of the largest IP packet, at least 1280 (RFC 8200 5).
    pub mtu: usize,
    /// The work that the kernel does for us.
    pub offload: Offload,
    /// The addresses.
    pub addresses: AddressPlan,
    /// Whether IPv6 is carried at first.
    pub ipv6: Ipv6,
    /// Which hosts may send datagrams to an app.
    pub udp_filtering: Filtering,
    /// The gateway's Ethernet address: the TAP's neighbour.
    pub gateway_mac: [u8; 6],
    /// The TAP's own Ethernet address, in the VM.
    pub vm_mac: [u8; 6],
    /// Bounds.
    pub capacity: Capacity,
    /// Random. Initial sequence numbers derive from it.
    pub seed: u64,
}

/// The TCP/IP side of the gateway.
pub struct Stack {
    plan: AddressPlan,
    ipv6: Ipv6,
    link: Link,
    tcp: Tcp,
    binds: Binds,
    udp_filtering: Filtering,
    requests: Requests,
    fragments: Reassembler,
    bucket: Bucket,
    uplink: Uplink,
    owners: Box<dyn Owners + Send>,
    stats: Stats,
    outgoing: Outgoing,
    events: VecDeque<Event>,
    /// Payload bytes in `events`.
    event_bytes: usize,
}

impl Stack {
    /// A stack with nothing open.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut link = Link::new(
            config.gateway_mac,
            config.vm_mac,
            config.mtu.clamp(1280, 65_535),
            config.seed,
        );
        let Capacity { flows, half_open, binds } = config.capacity;
        let tcp = Tcp::new(now, config.offload, &mut link, config.seed, flows, half_open);
        Self {
            plan: config.addresses,
            ipv6: config.ipv6,
            link,
            tcp,
            binds: Binds::new(binds),
            udp_filtering: config.udp_filtering,
            requests: Requests::default(),
            fragments: Reassembler::default(),
            bucket: Bucket::new(now),
            uplink: Uplink::default(),
            owners: Box::new(BySource),
            stats: Stats::default(),
            outgoing: Outgoing::new(config.offload),
            events: VecDeque::new(),
            event_bytes: 0,
        }
    }

    /// The next event for the user, if any. Cheap.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            self.event_bytes -= event.payload();
            return Some(event);
        }
        self.tcp.next_change().map(|(flow, changes)| Event::Flow { flow, changes })
    }

    fn tell(&mut self, event: Event) {
        self.event_bytes += event.payload();
        self.events.push_back(event);
    }

    /// Whether another packet may lead to events. The end of a flow or bind is always reported:
    /// there are no more ends than flows and binds.
    fn may_emit(&self) -> Result<(), DropReason> {
        let full = self.events.len() >= MAX_EVENTS || self.event_bytes >= MAX_EVENT_BYTES;
        if full { Err(DropReason::EventsFull) } else { Ok(()) }
    }

    /// Gives a turn to every flow that has work: segments, one ACK a batch, new deadlines. Sends
    /// the datagrams that wait for more of their kind.
    pub fn service(&mut self, now: Instant, out: &mut dyn Transmit) {
        self.outgoing.flush(&mut self.link, &mut self.stats, out);
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        self.tcp.service(now, &mut around);
    }

    /// Whether [`Stack::service`] has work.
    pub fn wants_service(&self) -> bool {
        self.tcp.is_dirty() || self.outgoing.waits()
    }

    /// When [`Stack::handle_timeout`] is due. It may be early, never late.
    pub fn next_deadline(&self) -> Option<Instant> {
        let all = [
            self.tcp.deadline(),
            self.binds.deadline(),
            self.requests.deadline(),
            self.fragments.deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Does the work that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Transmit) {
        self.requests.expire(now);
        self.fragments.expire(now, &mut self.stats);
        while let Some(bind) = self.binds.expire(now) {
            self.tell(Event::Unbind { bind });
        }
        while let Some(flow) = self.tcp.expire_half_open(now) {
            self.stats.half_open_expired += 1;
            self.tell(Event::ConnectAbandoned { flow });
        }
        self.tcp.expire(now);
        self.service(now, out);
    }

    /// The relay has connected: the app gets its SYN-ACK at the next [`Stack::service`].
    pub fn accept(&mut self, now: Instant, flow: FlowId, out: &mut dyn Transmit) {
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        self.tcp.accept(now, flow, &mut around);
    }

    fn reporter<'a>(&'a mut self, now: Instant, out: &'a mut dyn Transmit) -> Reporter<'a> {
        let Self { link, bucket, stats, .. } = self;
        Reporter { link, bucket, stats, out, now }
    }

    /// The relay could not connect. The id becomes free.
    pub fn refuse(&mut self, now: Instant, flow: FlowId, refusal: Refusal, out: &mut dyn Transmit) {
        let Some(pending) = self.tcp.take_pending(flow) else { return };
        match refusal {
            Refusal::Reset => {
                let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
                Tcp::reset_pending(&pending, &mut around);
            }
            Refusal::Unreachable(fault) => {
                let app = pending.tuple.app.ip();
                let from = fault
                    .router
                    .filter(|ip| same_family(*ip, app))
                    .unwrap_or(self.plan.gateway_like(app));
                self.reporter(now, out).error(fault.kind, from, app, &pending.syn);
            }
            Refusal::Silent => {}
        }
    }

    /// The number of unread bytes from the app.
    pub fn readable(&self, flow: FlowId) -> usize {
        self.tcp.flow(flow).map_or(0, |flow| flow.readable())
    }

    /// Passes at most `max` bytes to `take`, in at most two pieces (the ring wraps). Returns the
    /// number of bytes.
    pub fn read(&mut self, flow: FlowId, max: usize, take: impl FnMut(&[u8])) -> usize {
        self.tcp.with(flow, |flow| flow.read(max, take)).unwrap_or(0)
    }

    /// Whether the app's FIN came and everything before it is read.
    pub fn read_finished(&self, flow: FlowId) -> bool {
        self.tcp.flow(flow).is_some_and(|flow| flow.read_finished())
    }

    /// The number of bytes that [`Stack::write`] takes now.
    pub fn room(&self, flow: FlowId) -> usize {
        self.tcp.flow(flow).map_or(0, |flow| flow.room())
    }

    /// Writes bytes for the app. Returns the number of bytes taken: at most [`Stack::room`].
    pub fn write(&mut self, flow: FlowId, bytes: &[u8]) -> usize {
        self.tcp.with(flow, |flow| flow.write(bytes)).unwrap_or(0)
    }

    /// Bytes written that the app has not acknowledged.
    pub fn unsent(&self, flow: FlowId) -> usize {
        self.tcp.flow(flow).map_or(0, |flow| flow.unsent())
    }

    /// Ends the data for the app: FIN follows the bytes written.
    pub fn finish(&mut self, flow: FlowId) {
        self.tcp.with(flow, |flow| flow.finish());
    }

    /// Resets the flow at the next [`Stack::service`], or drops it if it is pending (without a RST:
    /// the app's next SYN asks again). The id becomes free, and no later event names it.
    pub fn abort(&mut self, flow: FlowId) {
        if self.tcp.take_pending(flow).is_none() {
            self.tcp.end(flow, Flow::abort);
        }
    }

    /// Like [`Stack::abort`], but after the bytes already written, as far as the app's window takes
    /// them: the server has reset the connection.
    pub fn reset(&mut self, flow: FlowId) {
        if self.tcp.take_pending(flow).is_none() {
            self.tcp.end(flow, Flow::reset);
        }
    }

    /// [`Stack::abort`] for many: all flows of a relay that died.
    pub fn reset_flows(&mut self, flows: impl IntoIterator<Item = FlowId>) {
        for flow in flows {
            self.abort(flow);
        }
    }

    /// Delivers a datagram from `peer` with its `marks` to the app of `bind`. Drops a datagram from
    /// a host to which the app has not sent, if [`Config::udp_filtering`] requires it.
    pub fn deliver_datagram(
        &mut self,
        now: Instant,
        bind: BindId,
        peer: SocketAddr,
        bytes: &[u8],
        marks: Marks,
        out: &mut dyn Transmit,
    ) {
        let is_stranger = self.udp_filtering == Filtering::AddressDependent
            && self.binds.get(bind).is_some_and(|bind| !bind.contacts.contains(peer.ip()));
        if is_stranger {
            return self.stats.drop(DropReason::Stranger);
        }
        let found = self.binds.answered(now, bind).map(|bind| (bind.app, bind.alias(peer.port())));
        let Some((app, alias)) = found else { return self.stats.drop(DropReason::Late) };
        let from = self.known_as(peer, alias);
        self.send_udp(from, app, bytes, marks, out);
    }

    /// The address by which an app knows a peer.
    fn known_as(&self, peer: SocketAddr, alias: Option<IpAddr>) -> SocketAddr {
        if !peer.ip().is_loopback() {
            return peer;
        }
        SocketAddr::new(alias.unwrap_or_else(|| self.plan.host_like(peer.ip())), peer.port())
    }

    /// Sends a datagram, at the next [`Stack::service`] at the latest.
    fn send_udp(
        &mut self,
        from: SocketAddr,
        app: SocketAddr,
        bytes: &[u8],
        marks: Marks,
        out: &mut dyn Transmit,
    ) {
        let (src, dst) = (from.ip(), app.ip());
        if bytes.len() > 65_507 || !same_family(src, dst) {
            return self.stats.drop(DropReason::Late);
        }
        let Marks { ttl, traffic_class, .. } = marks;
        let ip = IpHead { src, dst, protocol: UDP, ttl: ttl.max(1), traffic_class };
        let head = DatagramHead { ip, ports: [from.port(), app.port()] };
        self.outgoing.add(&mut self.link, &mut self.stats, out, head, bytes);
    }

    /// Passes an error about a datagram from `bind` to `peer` on to the app's kernel.
    pub fn deliver_peer_error(
        &mut self,
        now: Instant,
        bind: BindId,
        peer: SocketAddr,
        fault: Fault,
        out: &mut dyn Transmit,
    ) {
        let Some(bind) = self.binds.get(bind) else { return self.stats.drop(DropReason::Late) };
        let app = bind.app;
        let peer = self.known_as(peer, bind.alias(peer.port()));
        if !same_family(peer.ip(), app.ip()) {
            return self.stats.drop(DropReason::Late);
        }
        let quote = bind.latest.to(peer).quote(app);
        // 'Port unreachable' comes from the peer itself. The relay's host reported the others.
        let own = if fault.kind == FaultKind::PortUnreachable {
            peer.ip()
        } else {
            self.plan.gateway_like(app.ip())
        };
        let router = fault
            .router
            .filter(|ip| same_family(*ip, app.ip()) && !ip.is_loopback())
            .unwrap_or(own);
        self.reporter(now, out).error(fault.kind, router, app.ip(), &quote);
    }

    /// The relay has no socket for the bind, or lost it. The next datagram makes a new bind.
    pub fn bind_failed(&mut self, bind: BindId) {
        self.binds.remove(bind);
    }

    /// Answers a DNS question, with at most the size that the asker accepts.
    pub fn answer_query(&mut self, request: RequestId, message: &[u8], out: &mut dyn Transmit) {
        match self.requests.take_question(request) {
            Some(Asker::Dns { app, server }) => {
                self.send_udp(server, app, message, Marks::of_ttl(64), out)
            }
            Some(Asker::Echo { .. }) | None => self.stats.drop(DropReason::Late),
        }
    }

    /// Passes on the reply to an echo request; `ttl` is the reply's.
    pub fn echo_reply(
        &mut self,
        request: RequestId,
        ttl: u8,
        payload: &[u8],
        out: &mut dyn Transmit,
    ) {
        match self.requests.take_echo(request) {
            Some(Asker::Echo { app, to, echoed, .. }) if payload.len() <= 65_507 => {
                let ends = Ends { from: to, app, ttl: ttl.max(1) };
                icmp::send_reply(&mut self.link, &mut self.stats, out, ends, echoed, payload);
            }
            Some(_) | None => self.stats.drop(DropReason::Late),
        }
    }

    /// Passes on an error about an echo request.
    pub fn echo_error(
        &mut self,
        now: Instant,
        request: RequestId,
        fault: Fault,
        out: &mut dyn Transmit,
    ) {
        let Some(Asker::Echo { app, quote, .. }) = self.requests.take_echo(request) else {
            return self.stats.drop(DropReason::Late);
        };
        let router =
            fault.router.filter(|ip| same_family(*ip, app)).unwrap_or(self.plan.gateway_like(app));
        self.reporter(now, out).error(fault.kind, router, app, &quote);
    }

    /// Drops a question or echo request that will get no answer.
    pub fn forget_request(&mut self, request: RequestId) {
        self.requests.forget(request);
    }

    /// Limits the UDP source endpoints from now on (1 to 65,535) to the number of sockets that the
    /// relays have.
    pub fn set_max_binds(&mut self, max: usize) {
        self.binds.set_max(max);
    }

    /// Sets the number of TCP connections that the relays take together. From three quarters of
    /// that (or of the stack's own limit) on, the stack probes silent apps at once.
    pub fn expect_flows(&mut self, most: usize) {
        self.tcp.expect(most);
    }

    /// Whether the stack is probing silent apps. If so, a connection that finds no room now may
    /// find some in a second: do not refuse it. ([`Stack::abort`] it, and the app's kernel sends
    /// its SYN again.)
    #[must_use]
    pub fn is_seeking_room(&self, now: Instant) -> bool {
        self.tcp.is_seeking_room(now)
    }

    /// Connections refused because the table is full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.stats.flows_refused
    }

    /// The number of connections, including half-open ones, that made room for others in a full
    /// table, and the owner of the last one. Connections whose app had closed them do not count.
    #[must_use]
    pub fn displaced(&self) -> (u64, Option<Owner>) {
        (self.stats.half_open_displaced + self.stats.idle_displaced, self.stats.last_displaced)
    }

    /// The limit of UDP source endpoints.
    #[must_use]
    pub fn max_binds(&self) -> usize {
        self.binds.max()
    }

    /// Sets the look-up of sockets' owners from now on. At first, source addresses alone are the
    /// owners.
    pub fn set_owners(&mut self, owners: Box<dyn Owners + Send>) {
        self.owners = owners;
    }

    /// The owner of a connection. Looks it up if necessary.
    pub fn owner(&mut self, flow: FlowId) -> Owner {
        self.tcp.owner_of(flow, self.owners.as_mut())
    }

    /// The owner of a DNS question over UDP. Looks it up.
    pub fn asker(&mut self, request: RequestId) -> Owner {
        match self.requests.get(request) {
            Some(&Asker::Dns { app, server }) => {
                owner(self.owners.as_mut(), Transport::Udp, app, server)
            }
            Some(Asker::Echo { .. }) | None => Owner::Unasked,
        }
    }

    /// Reports connections that made room for others.
    fn report_displaced(&mut self) {
        while let Some(displaced) = self.tcp.next_displaced() {
            self.tell(match displaced {
                Displaced::HalfOpen(flow) => Event::ConnectAbandoned { flow },
                Displaced::Open(flow, changes) => Event::Flow { flow, changes },
            });
        }
    }

    /// Turns IPv6 on or off from now on. Open flows stay.
    pub fn set_ipv6(&mut self, ipv6: Ipv6) {
        self.ipv6 = ipv6;
    }

    /// Changes the addresses from now on. Open flows stay.
    pub fn set_addresses(&mut self, addresses: AddressPlan) {
        self.plan = addresses;
    }

    /// Sets the VM's own addresses on its old network whose new conversations come here, from now
    /// on; there are none at first. Their answers to peers that came in there are reported
    /// ([`Event::Elsewhere`]).
    pub fn set_uplink(&mut self, addresses: &[IpAddr], strays: Strays) {
        self.uplink.set(addresses, strays);
    }

    /// Frees the memory that tables hold for entries that are gone. The time depends on the
    /// remaining entries.
    pub fn shrink(&mut self) {
        self.tcp.shrink();
        self.events.shrink_to_fit();
    }

    /// The counters.
    pub fn stats(&mut self) -> &Stats {
        self.tcp.count(&mut self.stats);
        self.stats.binds = self.binds.len();
        &self.stats
    }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}
