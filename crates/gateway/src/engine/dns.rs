//! The engine's DNS front: queries of the VM, over UDP and TCP, become questions to a relay; a zone
//! transfer becomes a connection to a server of the host's.

use super::asked::{Asker, Question, Share};
use super::core::{Core, Flow, on_wire};
use super::spread::{self, has_room, pick};
use crate::dns::connections::{Connection, Half, Next};
use crate::dns::front::{self, Action, OwnAddresses};
use crate::lane::Lane;
use crate::limits::FIRST_WINDOW;
use crate::tap::Device;
use stack::addresses::{GATEWAY6, HOST6};
use stack::{Changes, FlowId, Ipv6, Owner, RequestId, Target};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{AnsweredBy, Frame, Session};

/// Where DNS servers listen (RFC 1035 4.2).
const DNS_PORT: u16 = 53;

impl<D: Device> Core<D> {
    fn own_addresses(&self) -> OwnAddresses {
        let six = |address| (self.ipv6 == Ipv6::Enabled).then_some(address);
        OwnAddresses {
            gateway: (self.plan.gateway(), six(GATEWAY6)),
            host: (self.plan.host(), six(HOST6)),
        }
    }

    pub(super) fn udp_query(
        &mut self,
        now: Instant,
        lanes: &mut [Lane],
        request: RequestId,
        message: &[u8],
    ) {
        self.totals.dns += 1;
        match front::judge(message, &self.own_addresses()) {
            Action::Answer(answer) => self.stack.answer_query(request, &answer, &mut self.tap),
            Action::Drop => {
                self.drops.dns += 1;
                self.stack.forget_request(request);
            }
            Action::Ask { most } => {
                // A query that cannot be passed on is lost as on any network, and its resolver asks
                // again.
                if !self.ask(now, lanes, Asker::Udp { request, most }, message) {
                    self.stack.forget_request(request);
                }
            }
        }
    }

    fn ask(&mut self, now: Instant, lanes: &mut [Lane], asker: Asker, message: &[u8]) -> bool {
        let capacity = spread::questions(lanes);
        let share = (capacity > 0 && self.asked.is_crowded(capacity))
            .then(|| Share { owner: self.owner_of(asker), zone: front::zone(message) });
        if capacity > 0 && !self.asked.admits(share, capacity) {
            self.drops.dns_share += 1;
            return false;
        }
        let hash = message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id).into());
        let room = |lane, _: &Session| self.asked.has_room(lane);
        let Some((lane, session)) = pick(lanes, hash, &mut self.drops, room) else { return false };
        let request =
            self.asked.insert(now, Question { lane, asker, query: message.to_vec(), share });
        session.send(&Frame::Query { request, message });
        true
    }

    fn owner_of(&mut self, asker: Asker) -> Owner {
        match asker {
            Asker::Udp { request, .. } => self.stack.asker(request),
            Asker::Tcp { flow } => self.stack.owner(flow),
            Asker::Echo { .. } | Asker::Facts => Owner::Unasked,
        }
    }

    /// Ends a DNS connection for one more of `newcomer`: RFC 7766 section 6.2.3 lets a server that
    /// is short of them do so. Whoever has most has to, and loses the idlest; its own newcomer ends
    /// no busy one.
    pub(super) fn make_dns_room(&mut self, lanes: &mut [Lane], newcomer: FlowId) -> bool {
        type Least = ((bool, Instant), FlowId);
        let newcomer = self.stack.owner(newcomer);
        let mut held: HashMap<Owner, (usize, Option<Least>)> = HashMap::new();
        for (flow, connection) in &self.dns {
            let (count, least) = held.entry(self.stack.owner(*flow)).or_default();
            *count += 1;
            let this = (connection.use_of(), *flow);
            *least = Some(least.map_or(this, |least| least.min(this)));
        }
        let (own, own_least) = held.get(&newcomer).copied().unwrap_or_default();
        let heaviest =
            held.into_values().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > own);
        let own_idle = own_least.filter(|((is_busy, _), _)| !is_busy);
        let Some((_, flow)) = heaviest.map_or(own_idle, |(_, least)| least) else { return false };
        self.drops.dns_displaced += 1;
        self.end_dns(lanes, flow);
        self.stack.abort(flow);
        true
    }

    pub(super) fn serve_dns(
        &mut self,
        now: Instant,
        lanes: &mut [Lane],
        flow: FlowId,
        changes: Changes,
    ) {
        if changes.has(Changes::PEER_FINISHED)
            && let Some(connection) = self.dns.get_mut(&flow)
        {
            connection.client = Half::Finished;
        }
        self.drive_dns(now, lanes, flow);
    }

    /// Reads queries of a DNS connection and writes answers, as far as either goes.
    pub(super) fn drive_dns(&mut self, now: Instant, lanes: &mut [Lane], flow: FlowId) {
        let own = self.own_addresses();
        loop {
            let Some(connection) = self.dns.get_mut(&flow) else { return };
            let appetite = connection.appetite();
            let read = self.stack.read(flow, appetite, |piece| connection.read(piece));
            let query = match connection.next(now) {
                Next::Query(query) => query,
                // Answers that are gone give room for queries that wait behind them.
                Next::Nothing if read == 0 && !self.write_dns(flow) => break,
                Next::Nothing => continue,
                // Its server's bytes come behind all of ours.
                Next::Transfer if self.stack.unsent(flow) > 0 => break,
                Next::Transfer => return self.hand_on(now, lanes, flow),
                Next::Nonsense => {
                    self.drops.dns += 1;
                    self.dns.remove(&flow);
                    return self.stack.abort(flow);
                }
            };
            self.totals.dns += 1;
            let answer = match front::judge(&query, &own) {
                Action::Answer(answer) => Some(answer),
                Action::Drop => None,
                Action::Ask { .. } if self.ask(now, lanes, Asker::Tcp { flow }, &query) => {
                    continue;
                }
                Action::Ask { .. } => Some(front::failure(&query, front::SERVFAIL)),
            };
            if let Some(connection) = self.dns.get_mut(&flow) {
                connection.done(now, answer.as_deref());
            }
        }
        self.flush_dns(now, flow);
    }

    /// Writes what answers the app's side takes. Tells whether it took any.
    fn write_dns(&mut self, flow: FlowId) -> bool {
        let Some(connection) = self.dns.get_mut(&flow) else { return false };
        let before = connection.output.len();
        while !connection.output.is_empty() {
            let taken = self.stack.write(flow, connection.output.as_slices().0);
            if taken == 0 {
                break;
            }
            connection.output.drain(..taken);
        }
        connection.output.len() < before
    }

    fn flush_dns(&mut self, now: Instant, flow: FlowId) {
        self.write_dns(flow);
        let Some(connection) = self.dns.get_mut(&flow) else { return };
        if connection.is_over(now) && connection.server == Half::Open {
            connection.server = Half::Finished;
            self.stack.finish(flow);
        }
    }

    /// Closes DNS connections that are idle, and resets those whose client takes nothing.
    pub(super) fn tidy_dns(&mut self, now: Instant) {
        let stale: Vec<FlowId> = self
            .dns
            .iter()
            .filter(|(_, c)| c.is_over(now) || c.is_stuck(now))
            .map(|(flow, _)| *flow)
            .collect();
        for flow in stale {
            if self.dns.get(&flow).is_some_and(|connection| connection.is_stuck(now)) {
                self.dns.remove(&flow);
                self.stack.abort(flow);
            } else {
                self.flush_dns(now, flow);
            }
        }
    }

    /// Has a server answer a connection from here on: one of those that the host's resolver asks,
    /// as a relay has last said.
    fn hand_on(&mut self, now: Instant, lanes: &mut [Lane], flow: FlowId) {
        self.totals.dns += 1;
        let servers = self.servers();
        let Some(connection) = self.dns.get_mut(&flow) else { return };
        connection.hand_on(servers);
        // As for any connection: one lane has room for it, or none.
        match pick(lanes, flow.0, &mut self.drops, |_, session| has_room(session)) {
            None => self.take_back(now, flow),
            Some((lane, session)) => {
                self.flows.insert(flow, Flow::new(lane));
                self.try_server(now, session, flow);
            }
        }
    }

    /// Tries the next server of a connection that is handed on.
    pub(super) fn try_server(&mut self, now: Instant, session: &mut Session, flow: FlowId) {
        match self.dns.get_mut(&flow).and_then(Connection::next_server) {
            Some(to) => session.open(on_wire(flow), to, FIRST_WINDOW),
            None => self.take_back(now, flow),
        }
    }

    pub(super) fn take_back(&mut self, now: Instant, flow: FlowId) {
        self.flows.remove(&flow);
        if let Some(connection) = self.dns.get_mut(&flow) {
            connection.take_back(now);
            self.dns_woken.push(flow);
        }
    }

    /// A relay's answer as an app gets it: one from outside names no address of the host, and with
    /// a proxy it names stand-ins.
    pub(super) fn guarded(&mut self, by: AnsweredBy, message: &[u8]) -> Vec<u8> {
        let plan = &self.plan;
        let filtered = match by {
            // Whoever writes that file decides for the host.
            AnsweredBy::HostsFile => None,
            AnsweredBy::RawQuery | AnsweredBy::RecordQuery | AnsweredBy::Servers => {
                self.rebind.filtered(message, |ip| plan.is_inside(ip))
            }
        };
        let message = filtered.as_deref().unwrap_or(message);
        let is_outside = |ip| matches!(plan.classify(SocketAddr::new(ip, 1)), Target::Remote(_));
        let named =
            self.way_out.as_deref_mut().and_then(|way_out| way_out.answer(message, is_outside));
        named.unwrap_or_else(|| message.to_vec())
    }

    /// Port 53 of the host's servers.
    fn servers(&self) -> Vec<SocketAddr> {
        let wish = self.wish.borrow();
        let servers = wish.host.iter().flat_map(|host| &host.dns_servers);
        servers.filter_map(|server| Some(SocketAddr::new(server.parse().ok()?, DNS_PORT))).collect()
    }

    /// Ends a DNS connection whose app is gone.
    pub(super) fn end_dns(&mut self, lanes: &mut [Lane], flow: FlowId) {
        self.dns.remove(&flow);
        if let Some(state) = self.flows.remove(&flow)
            && let Some(session) = lanes[state.lane].ready()
        {
            session.reset(on_wire(flow));
        }
    }
}
