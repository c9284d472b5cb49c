//! What events of the stack and frames of the relays mean for each other. No I/O of its own but the
//! TAP's writes.

use super::asked::{Asked, Asker, Kind, Question};
use super::elsewhere::Conversations;
use super::full::Full;
use super::spread::{self, Binds, ShellDrops, has_room, limit, pick};
use super::terms::{no_answer, refusal, stack_hash};
use crate::dns::connections::{Connection, Half};
use crate::dns::front;
use crate::dns::rebind::Filter;
use crate::lane::Lane;
use crate::limits::{FIRST_WINDOW, MAX_DNS_CONNECTIONS};
use crate::log_budget::LogBudget;
use crate::net::owners::Sockets;
use crate::network::Wish;
use crate::status::{Totals, UpDown};
use crate::tap::{Device, Tap};
use crate::via::{self, Via, WayOut};
use stack::limits::{MAX_BINDS, MAX_FLOWS};
use stack::{
    AddressPlan, BindId, Changes, Event, FlowId, HostAccess, Ipv6, Refusal, RequestId, Stack,
    Target,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::time::Instant;
use tokio::sync::watch;
use wire::frame::Family;
use wire::session::{Pull, Source, Then, Way};
use wire::{AnsweredBy, Frame, HostAccessSettings, HostFacts, Session, UnbindReason};

/// A connection that a relay serves.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) lane: usize,
    /// Bytes of the app that were read before the relay connected: a zone transfer's question.
    ahead: Vec<u8>,
    /// Bytes from the relay that the app has not acknowledged: what the relay has no credit for.
    held: usize,
    /// Whether the app's end of stream was told to the relay.
    fin: Half,
    /// Whether the stack still has it. One that ended there waits here until its Fin is sent.
    at: Stage,
    /// Whether the app's kernel has forgotten it; the relay learns that after the Fin.
    app: App,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum App {
    Known,
    Forgotten,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InStack,
    Ended,
}

impl Flow {
    pub(super) fn new(lane: usize) -> Self {
        Self {
            lane,
            ahead: Vec::new(),
            held: 0,
            fin: Half::Open,
            at: Stage::InStack,
            app: App::Known,
        }
    }

    /// The session is done with it.
    fn end(&self, session: &mut Session, flow: FlowId) {
        match self.app {
            App::Known => session.forget(on_wire(flow)),
            App::Forgotten => session.orphan(on_wire(flow)),
        }
    }
}

/// A host's facts that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facts {
    /// The answer will have all of them.
    Fresh,
    /// They have changed since, perhaps often: one more question comes behind the answer.
    Stale,
}

/// Everything of the engine but its lanes.
pub(crate) struct Core<D = Tap> {
    pub(crate) tap: D,
    pub(crate) stack: Stack,
    pub(crate) plan: AddressPlan,
    pub(crate) ipv6: Ipv6,
    pub(super) flows: HashMap<FlowId, Flow>,
    /// Flows that had ended in the stack before their Fin was told; now it is.
    over: Vec<FlowId>,
    /// DNS connections that an answer gave room for more queries.
    pub(super) dns_woken: Vec<FlowId>,
    binds: Binds,
    pub(crate) asked: Asked,
    /// Lanes whose relays are asked for their host's facts.
    asking: BTreeMap<usize, Facts>,
    pub(crate) dns: HashMap<FlowId, Connection>,
    pub(crate) wish: watch::Sender<Wish>,
    pub(crate) totals: Totals,
    /// Answers of relays, by who on the host knew them.
    pub(crate) dns_answers: BTreeMap<AnsweredBy, u64>,
    /// Stream bytes of relays that are gone.
    pub(crate) past_bytes: UpDown,
    pub(crate) drops: ShellDrops,
    /// The proxy that connections go through.
    pub(crate) way_out: Option<Box<WayOut>>,
    /// Keeps answers from naming the host.
    pub(crate) rebind: Filter,
    /// When connections were refused for want of room.
    pub(crate) full: Full,
    /// What is to go back by the VM's own network.
    elsewhere: Conversations,
    /// For what relays say in frames.
    log: LogBudget,
}

/// Lends the stack to the sessions that pull from it.
pub(crate) struct Puller<'a> {
    stack: &'a mut Stack,
    flows: &'a mut HashMap<FlowId, Flow>,
    over: &'a mut Vec<FlowId>,
}

impl Source for Puller<'_> {
    fn pull(&mut self, flow: wire::FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let id = FlowId(flow.0);
        let Some(state) = self.flows.get_mut(&id) else {
            return Pull { taken: 0, then: Then::Drained };
        };
        let ahead = state.ahead.len().min(max);
        if ahead > 0 {
            out.extend(state.ahead.drain(..ahead));
            return Pull { taken: ahead, then: Then::More };
        }
        let taken = self.stack.read(id, max, |piece| out.extend_from_slice(piece));
        if self.stack.read_finished(id) || (state.at == Stage::Ended && taken == 0) {
            state.fin = Half::Finished;
            if state.at == Stage::Ended {
                self.over.push(id);
            }
            return Pull { taken, then: Then::Finished };
        }
        let more = self.stack.readable(id) > 0;
        Pull { taken, then: if more { Then::More } else { Then::Drained } }
    }
}

pub(super) fn on_wire(flow: FlowId) -> wire::FlowId {
    wire::FlowId(flow.0)
}

impl<D: Device> Core<D> {
    pub(crate) fn new(
        tap: D,
        stack: Stack,
        sockets: Option<Sockets>,
        plan: AddressPlan,
        wish: watch::Sender<Wish>,
        via: Option<Via>,
        rebind: Filter,
    ) -> Self {
        Self {
            tap,
            stack,
            plan,
            ipv6: Ipv6::Disabled,
            flows: HashMap::new(),
            over: Vec::new(),
            dns_woken: Vec::new(),
            binds: Binds::default(),
            asked: Asked::default(),
            asking: BTreeMap::new(),
            dns: HashMap::new(),
            wish,
            totals: Totals::default(),
            dns_answers: BTreeMap::new(),
            past_bytes: UpDown::default(),
            drops: ShellDrops::default(),
            way_out: via.map(|via| Box::new(WayOut::new(via, crate::seed()))),
            rebind,
            full: Full::default(),
            elsewhere: Conversations::new(sockets),
            log: LogBudget::default(),
        }
    }

    pub(crate) fn puller(&mut self) -> Puller<'_> {
        Puller { stack: &mut self.stack, flows: &mut self.flows, over: &mut self.over }
    }

    /// Gives the stack's flows their turns and acts on what comes of it, until nothing more comes.
    /// Tells whether anything did.
    pub(crate) fn settle(&mut self, now: Instant, lanes: &mut [Lane]) -> bool {
        let mut any = false;
        loop {
            if self.stack.wants_service() {
                self.stack.service(now, &mut self.tap);
            }
            let Some(event) = self.stack.poll_event() else {
                if self.stack.wants_service() {
                    continue;
                }
                return any;
            };
            any = true;
            self.on_event(now, lanes, event);
        }
    }

    fn on_event(&mut self, now: Instant, lanes: &mut [Lane], event: Event) {
        match event {
            Event::Connect { flow, to, hops, tuple_hash, .. } => {
                self.connect(now, lanes, flow, to, hops, tuple_hash)
            }
            Event::ConnectAbandoned { flow } => {
                if let Some(state) = self.flows.remove(&flow)
                    && let Some(session) = lanes[state.lane].ready()
                {
                    session.reset(on_wire(flow));
                }
            }
            Event::Flow { flow, changes } if self.dns.contains_key(&flow) => {
                if changes.has(Changes::RESET) || changes.has(Changes::CLOSED) {
                    self.end_dns(lanes, flow);
                } else {
                    self.serve_dns(now, lanes, flow, changes);
                }
            }
            Event::Flow { flow, changes } => self.flow_changed(lanes, flow, changes),
            Event::Bind { bind, app } => self.bind(lanes, bind, app),
            Event::Datagram { bind, peer, marks, bytes } => {
                // One that has no lane any more has nothing to be remembered for it either.
                let Some(lane) = self.binds.lane(bind) else { return };
                let way_out = self.way_out.as_deref_mut();
                let Some(real) =
                    way_out.map_or(Some(peer), |way_out| way_out.datagram_to(bind, peer))
                else {
                    self.drops.stand_ins += 1;
                    return self.stack.deliver_peer_error(
                        now,
                        bind,
                        peer,
                        via::NOWHERE,
                        &mut self.tap,
                    );
                };
                if let Some(session) = lanes[lane].ready() {
                    let bind = wire::BindId(bind.0);
                    session.send(&Frame::Datagram { bind, peer: real, marks, bytes: &bytes });
                }
            }
            Event::Unbind { bind } => {
                self.unbound(bind);
                if let Some(session) = self.binds.remove(bind).and_then(|lane| lanes[lane].ready())
                {
                    session.send(&Frame::Unbind {
                        bind: wire::BindId(bind.0),
                        reason: UnbindReason::Done,
                    });
                }
            }
            Event::Query { request, message } => self.udp_query(now, lanes, request, &message),
            Event::Echo { request, to, marks, payload } => {
                self.echo(now, lanes, request, to, marks, &payload)
            }
            Event::Elsewhere(one) => self.elsewhere.note(now, one, &self.wish),
        }
    }

    fn connect(
        &mut self,
        now: Instant,
        lanes: &mut [Lane],
        flow: FlowId,
        to: Target,
        hops: Option<NonZeroU8>,
        hash: u32,
    ) {
        self.totals.tcp += 1;
        let to = match to {
            Target::Remote(to) | Target::Host(to) => to,
            Target::Dns
                if self.dns.len() < MAX_DNS_CONNECTIONS || self.make_dns_room(lanes, flow) =>
            {
                self.dns.insert(flow, Connection::new(now));
                return self.stack.accept(now, flow, &mut self.tap);
            }
            Target::Dns | Target::Gateway | Target::Refused | Target::Group | Target::Invalid => {
                self.drops.dns += 1;
                return self.stack.refuse(now, flow, Refusal::Reset, &mut self.tap);
            }
        };
        // Without an answer the app's kernel sends its SYN again in a second.
        if spread::capacity(lanes).is_some()
            && !lanes.iter_mut().filter_map(Lane::ready).any(|session| has_room(session))
        {
            // Connections whose apps are gone may make room: the app's kernel asks again.
            if self.stack.is_seeking_room(now) {
                return self.stack.abort(flow);
            }
            self.drops.relays_full += 1;
            self.full.note(now, spread::capacity(lanes).map_or(0, |(flows, _)| flows));
            return self.stack.refuse(now, flow, Refusal::Reset, &mut self.tap);
        }
        match pick(lanes, hash, &mut self.drops, |_, session| has_room(session)) {
            None => self.stack.abort(flow),
            Some((lane, session)) => {
                let way_out = self.way_out.as_deref_mut();
                let destination =
                    way_out.map_or(Some((to.ip(), None)), |way_out| way_out.destination(to.ip()));
                let Some((ip, name)) = destination else {
                    self.drops.stand_ins += 1;
                    return self.stack.refuse(
                        now,
                        flow,
                        Refusal::Unreachable(via::NOWHERE),
                        &mut self.tap,
                    );
                };
                let to = SocketAddr::new(ip, to.port());
                session.open_by(on_wire(flow), &Way { to, hops, name }, FIRST_WINDOW);
                self.flows.insert(flow, Flow::new(lane));
            }
        }
    }

    fn flow_changed(&mut self, lanes: &mut [Lane], flow: FlowId, changes: Changes) {
        let Some(state) = self.flows.get_mut(&flow) else { return };
        let Some(session) = lanes[state.lane].ready() else { return };
        if changes.has(Changes::RESET) {
            session.reset(on_wire(flow));
            self.flows.remove(&flow);
            return;
        }
        let unsent = self.stack.unsent(flow);
        if unsent < state.held {
            session.consumed(on_wire(flow), state.held - unsent);
            state.held = unsent;
        }
        if changes.has(Changes::FORGOTTEN) {
            state.app = App::Forgotten;
        }
        if changes.has(Changes::CLOSED) {
            // An Orphan says what a Fin would, and what made room for another has to make it now.
            let is_told = state.app == App::Forgotten
                && state.ahead.is_empty()
                && self.stack.readable(flow) == 0;
            if state.fin == Half::Finished || is_told {
                state.end(session, flow);
                self.flows.remove(&flow);
                return;
            }
            state.at = Stage::Ended;
        }
        if changes.has(Changes::READABLE)
            || changes.has(Changes::PEER_FINISHED)
            || state.at == Stage::Ended
        {
            session.mark_ready(on_wire(flow));
        }
    }

    /// Forgets what the sessions are done with, and drives the DNS connections that have room
    /// again.
    pub(crate) fn after_output(&mut self, now: Instant, lanes: &mut [Lane]) {
        for flow in std::mem::take(&mut self.over) {
            let Some(state) = self.flows.remove(&flow) else { continue };
            if let Some(session) = lanes[state.lane].ready() {
                state.end(session, flow);
            }
        }
        for flow in std::mem::take(&mut self.dns_woken) {
            self.drive_dns(now, lanes, flow);
        }
    }

    fn bind(&mut self, lanes: &mut [Lane], bind: BindId, app: SocketAddr) {
        self.totals.udp += 1;
        let hash = u32::from(app.port()).wrapping_mul(0x9e37_79b1);
        // Room is somewhere: the stack takes no more than all relays together.
        let room = |lane, session: &Session| {
            self.binds.count(lane) < limit(session, |hello| hello.max_binds)
        };
        match pick(lanes, hash, &mut self.drops, room) {
            None => self.stack.bind_failed(bind),
            Some((lane, session)) => {
                session.send(&Frame::Bind {
                    bind: wire::BindId(bind.0),
                    family: Family::of(app.ip()),
                });
                self.binds.insert(bind, lane);
            }
        }
    }

    /// By which address the app behind a UDP source endpoint knows a peer.
    fn known_as(&self, bind: BindId, peer: SocketAddr) -> SocketAddr {
        self.way_out.as_ref().map_or(peer, |way_out| way_out.datagram_from(bind, peer))
    }

    fn unbound(&mut self, bind: BindId) {
        if let Some(way_out) = &mut self.way_out {
            way_out.unbound(bind);
        }
    }

    fn echo(
        &mut self,
        now: Instant,
        lanes: &mut [Lane],
        request: RequestId,
        to: IpAddr,
        marks: stack::Marks,
        payload: &[u8],
    ) {
        self.totals.echo += 1;
        let way_out = self.way_out.as_deref_mut();
        let Some((real, _)) = way_out.map_or(Some((to, None)), |way_out| way_out.destination(to))
        else {
            self.drops.stand_ins += 1;
            return self.stack.echo_error(now, request, via::NOWHERE, &mut self.tap);
        };
        // One lane for all of an address: its sequence of pings shares one socket of the relay.
        let hash = stack_hash(to);
        let asked = pick(lanes, hash, &mut self.drops, |_, _| true).map(|(lane, session)| {
            let question =
                Question { lane, asker: Asker::Echo { request }, query: Vec::new(), share: None };
            let id = self.asked.insert(now, question);
            session.send(&Frame::Echo { request: id, to: real, marks, payload });
        });
        if asked.is_none() {
            self.stack.forget_request(request);
        }
    }

    /// A frame of the relay of `lane`.
    pub(crate) fn on_frame(
        &mut self,
        now: Instant,
        lane: usize,
        session: &mut Session,
        frame: Frame<'_>,
    ) {
        match frame {
            Frame::Hello(hello) => {
                tracing::info!(lane, build = hello.build, "the relay is ready");
                // Before anything that it may be asked for.
                if let Some(way_out) = &mut self.way_out {
                    way_out.tell(session);
                }
                if let HostAccess::Only(ports) = &self.plan.host_access {
                    let settings = HostAccessSettings { ports: ports.clone() };
                    // Plain numbers always have their JSON.
                    let json = serde_json::to_vec(&settings).unwrap_or_default();
                    session.send(&Frame::HostAccess { json: &json });
                }
                self.ask_facts(now, lane, session);
            }
            Frame::Changed => self.ask_facts(now, lane, session),
            Frame::Opened { flow, .. } => self.opened(now, session, flow),
            Frame::Failed { flow, reason, os_code } => {
                tracing::debug!(%flow, ?reason, os_code, "not connected");
                if self.dns.contains_key(&FlowId(flow.0)) {
                    return self.try_server(now, session, FlowId(flow.0));
                }
                self.flows.remove(&FlowId(flow.0));
                self.stack.refuse(now, FlowId(flow.0), refusal(reason), &mut self.tap);
            }
            Frame::Data { flow, bytes } => self.data(session, flow, bytes),
            Frame::Fin { flow } => self.stack.finish(FlowId(flow.0)),
            Frame::Reset { flow } => {
                self.flows.remove(&FlowId(flow.0));
                self.dns.remove(&FlowId(flow.0));
                self.stack.reset(FlowId(flow.0));
            }
            Frame::Datagram { bind, peer, marks, bytes } => {
                let peer = self.known_as(BindId(bind.0), peer);
                self.stack.deliver_datagram(now, BindId(bind.0), peer, bytes, marks, &mut self.tap);
            }
            Frame::PeerError { bind, peer, fault } => {
                let peer = self.known_as(BindId(bind.0), peer);
                self.stack.deliver_peer_error(now, BindId(bind.0), peer, fault, &mut self.tap);
            }
            Frame::Unbind { bind, .. } => {
                self.binds.remove(BindId(bind.0));
                self.unbound(BindId(bind.0));
                self.drops.unbound += 1;
                self.stack.bind_failed(BindId(bind.0));
            }
            Frame::Answer { request, by, message } => {
                if let Some(question) = self.asked.take(lane, request, Kind::Dns) {
                    *self.dns_answers.entry(by).or_default() += 1;
                    let answer = self.guarded(by, message);
                    self.answered(now, &question, Some(answer));
                }
            }
            Frame::NoAnswer { request, reason } => {
                if let Some(question) = self.asked.take(lane, request, Kind::Dns) {
                    let answer = no_answer(&question.query, reason);
                    self.answered(now, &question, answer);
                }
            }
            Frame::EchoReply { request, ttl, payload } => {
                if let Some(Question { asker: Asker::Echo { request }, .. }) =
                    self.asked.take(lane, request, Kind::Echo)
                {
                    self.stack.echo_reply(request, ttl, payload, &mut self.tap);
                }
            }
            Frame::EchoError { request, fault } => {
                if let Some(Question { asker: Asker::Echo { request }, .. }) =
                    self.asked.take(lane, request, Kind::Echo)
                {
                    self.stack.echo_error(now, request, fault, &mut self.tap);
                }
            }
            Frame::Facts { request, json } => {
                if self.asked.take(lane, request, Kind::Facts).is_some() {
                    self.facts(now, json);
                    if self.asking.remove(&lane) == Some(Facts::Stale) {
                        self.ask_facts(now, lane, session);
                    }
                }
            }
            Frame::ViaTrouble { words } => {
                if let Some(way_out) = &mut self.way_out {
                    way_out.note(now, lane, words);
                }
            }
            Frame::Open { .. }
            | Frame::Orphan { .. }
            | Frame::Via { .. }
            | Frame::HostAccess { .. }
            | Frame::Credit { .. }
            | Frame::Bind { .. }
            | Frame::Query { .. }
            | Frame::Echo { .. }
            | Frame::AskFacts { .. }
            | Frame::Ping { .. }
            | Frame::Pong { .. } => {}
        }
    }

    /// A relay has one such question at a time, however often it says that something has changed.
    fn ask_facts(&mut self, now: Instant, lane: usize, session: &mut Session) {
        if let Some(asked) = self.asking.get_mut(&lane) {
            *asked = Facts::Stale;
            return;
        }
        self.asking.insert(lane, Facts::Fresh);
        let question = Question { lane, asker: Asker::Facts, query: Vec::new(), share: None };
        let request = self.asked.insert(now, question);
        session.send(&Frame::AskFacts { request });
    }

    fn opened(&mut self, now: Instant, session: &mut Session, flow: wire::FlowId) {
        let id = FlowId(flow.0);
        let Some(state) = self.flows.get_mut(&id) else { return session.reset(flow) };
        match self.dns.remove(&id) {
            None => self.stack.accept(now, id, &mut self.tap),
            // It was accepted long ago, and asked something already.
            Some(connection) => {
                state.ahead = connection.into_input();
                session.mark_ready(flow);
            }
        }
        let room = self.stack.room(id);
        session.widen(flow, u32::try_from(room).unwrap_or(u32::MAX));
    }

    fn data(&mut self, session: &mut Session, flow: wire::FlowId, bytes: &[u8]) {
        let id = FlowId(flow.0);
        let Some(state) = self.flows.get_mut(&id) else { return session.reset(flow) };
        let taken = self.stack.write(id, bytes);
        state.held += taken;
        if taken < bytes.len() && state.at == Stage::InStack {
            // Credit is the ring's room, so only a flow that can send no more takes less.
            tracing::debug!(%flow, lost = bytes.len() - taken, "the app's side takes no more");
            self.flows.remove(&id);
            self.stack.abort(id);
            session.reset(flow);
        }
    }

    fn answered(&mut self, now: Instant, question: &Question, answer: Option<Vec<u8>>) {
        match (question.asker, answer) {
            (Asker::Udp { request, most }, Some(answer)) => {
                self.stack.answer_query(request, &front::fit(answer, most), &mut self.tap);
            }
            (Asker::Udp { request, .. } | Asker::Echo { request }, None) => {
                self.stack.forget_request(request)
            }
            (Asker::Tcp { flow }, answer) => {
                if let Some(connection) = self.dns.get_mut(&flow) {
                    connection.done(now, answer.as_deref());
                    self.dns_woken.push(flow);
                }
            }
            (Asker::Facts, _) => drop(self.asking.remove(&question.lane)),
            (Asker::Echo { .. }, _) => {}
        }
    }

    fn facts(&mut self, now: Instant, json: &[u8]) {
        match serde_json::from_slice::<HostFacts>(json) {
            Ok(facts) => {
                self.rebind.set_host(&facts);
                self.wish.send_if_modified(|wish| {
                    let new =
                        Wish { carry: true, host: Some(facts), elsewhere: wish.elsewhere.clone() };
                    let changed = *wish != new;
                    *wish = new;
                    changed
                });
            }
            Err(error) => {
                if self.log.take(now).is_some() {
                    tracing::warn!(%error, "the relay's facts cannot be read");
                }
            }
        }
    }

    /// The relay of `lane` is gone, and all that it held: its flows are reset at once.
    pub(crate) fn lane_died(&mut self, now: Instant, lane: usize) {
        let flows: Vec<FlowId> =
            self.flows.extract_if(|_, flow| flow.lane == lane).map(|(flow, _)| flow).collect();
        tracing::info!(lane, flows = flows.len(), "the relay's connections are reset");
        for flow in &flows {
            self.dns.remove(flow);
        }
        self.stack.reset_flows(flows);
        if let Some(way_out) = &mut self.way_out {
            way_out.lane_died(lane);
        }
        for bind in self.binds.take_lane(lane) {
            self.unbound(bind);
            self.stack.bind_failed(bind);
        }
        for question in self.asked.take_lane(lane) {
            self.answered(now, &question, None);
        }
    }

    /// Takes no more UDP sources than the relays have sockets for, so that the one idle longest
    /// makes room, and not the newest; and has connections that are gone make room before the
    /// relays take no more.
    pub(crate) fn fit(&mut self, lanes: &mut [Lane]) {
        // Without a relay nothing is taken anyway.
        if let Some((flows, binds)) = spread::capacity(lanes) {
            self.stack.set_max_binds(binds.min(MAX_BINDS));
            self.stack.expect_flows(flows);
        }
    }

    /// Gives back what tables hold for connections that are gone.
    pub(crate) fn shrink(&mut self) {
        self.flows.shrink_to_fit();
        self.over.shrink_to_fit();
        self.stack.shrink();
    }

    /// Resets everything: the gateway ends.
    pub(crate) fn reset_all(&mut self, now: Instant) {
        let flows: Vec<FlowId> = self
            .flows
            .drain()
            .map(|(flow, _)| flow)
            .chain(self.dns.drain().map(|(flow, _)| flow))
            .collect();
        self.stack.reset_flows(flows);
        self.stack.service(now, &mut self.tap);
    }

    /// Questions that will get no answer any more, and connections that the stack refused.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(question) = self.asked.expire(now) {
            self.answered(now, &question, None);
        }
        self.full.note_stack(now, self.stack.refused(), MAX_FLOWS);
        let (displaced, owner) = self.stack.displaced();
        self.full.note_displaced(now, displaced, owner);
        self.elsewhere.expire(now, &self.wish);
    }

    /// When [`Core::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.asked.deadline(), self.elsewhere.deadline()].into_iter().flatten().min()
    }
}
