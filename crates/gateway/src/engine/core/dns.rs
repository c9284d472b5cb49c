//! The DNS front: queries of the VM, over UDP and TCP, become questions to a relay; a zone transfer
//! becomes a connection to a server of the host's.

use super::{Core, on_wire};
use crate::dns::connections::{Half, Next};
use crate::dns::front::{self, Action, OwnAddresses};
use crate::engine::asked::{Asker, Question, Share};
use crate::engine::spread::{self, has_room, pick};
use crate::lane::Lane;
use crate::limits::FIRST_WINDOW;
use crate::tap::Device;
use stack::addresses::{GATEWAY6, HOST6};
use stack::{Changes, FlowId, Ipv6, Owner, RequestId, Target};
use std::net::SocketAddr;
use std::time::Instant;
use wire::{AnsweredBy, Frame, Session};

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
        self.counts.totals.dns += 1;
        match front::judge(message, &self.own_addresses()) {
            Action::Answer(answer) => self.stack.answer_query(request, &answer, &mut self.tap),
            Action::Drop => {
                self.counts.drops.dns += 1;
                self.stack.forget_request(request);
            }
            Action::Ask { most } => {
                // A query that cannot be passed on is lost, as on any network, and its resolver
                // asks again.
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
            self.counts.drops.dns_share += 1;
            return false;
        }
        let hash = message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id).into());
        let room = |lane, _: &Session| self.asked.has_room(lane);
        let Some((lane, session)) = pick(lanes, hash, &mut self.counts.drops, room) else {
            return false;
        };
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

    /// Ends a DNS connection so that there is room for another one, if one may end.
    pub(super) fn make_dns_room(&mut self, lanes: &mut [Lane], newcomer: FlowId) -> bool {
        let newcomer = self.stack.owner(newcomer);
        let Some(flow) = self.dns.victim(newcomer, |flow| self.stack.owner(flow)) else {
            return false;
        };
        self.counts.drops.dns_displaced += 1;
        self.dns.remove(flow);
        self.flows.reset(lanes, flow);
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
        if changes.contains(Changes::PEER_FINISHED)
            && let Some(connection) = self.dns.get_mut(flow)
        {
            connection.client = Half::Finished;
        }
        self.drive_dns(now, lanes, flow);
    }

    /// Reads queries of a DNS connection and writes answers, as far as possible.
    pub(super) fn drive_dns(&mut self, now: Instant, lanes: &mut [Lane], flow: FlowId) {
        let own = self.own_addresses();
        loop {
            let Some(connection) = self.dns.get_mut(flow) else { return };
            let appetite = connection.appetite();
            let read = self.stack.read(flow, appetite, |piece| connection.read(piece));
            let query = match connection.next(now) {
                Next::Query(query) => query,
                // Answers that were written make room for waiting queries.
                Next::Nothing if read == 0 && !self.dns.write(&mut self.stack, flow) => break,
                Next::Nothing => continue,
                // Its server's bytes come after all of ours.
                Next::Transfer if self.stack.unsent(flow) > 0 => break,
                Next::Transfer => return self.hand_on(now, lanes, flow),
                Next::Nonsense => {
                    self.counts.drops.dns += 1;
                    self.dns.remove(flow);
                    return self.stack.abort(flow);
                }
            };
            self.counts.totals.dns += 1;
            let answer = match front::judge(&query, &own) {
                Action::Answer(answer) => Some(answer),
                Action::Drop => None,
                Action::Ask { .. } if self.ask(now, lanes, Asker::Tcp { flow }, &query) => {
                    continue;
                }
                Action::Ask { .. } => Some(front::failure(&query, front::SERVFAIL)),
            };
            if let Some(connection) = self.dns.get_mut(flow) {
                connection.done(now, answer.as_deref());
            }
        }
        self.dns.flush(now, &mut self.stack, flow);
    }

    /// Has a server answer a connection from here on: one of the resolver's servers that a relay
    /// has last reported.
    fn hand_on(&mut self, now: Instant, lanes: &mut [Lane], flow: FlowId) {
        self.counts.totals.dns += 1;
        let servers = self.wishes.dns_servers();
        let Some(connection) = self.dns.get_mut(flow) else { return };
        connection.hand_on(servers);
        // As for any connection, a lane with room takes it, if there is one.
        match pick(lanes, flow.0, &mut self.counts.drops, |_, session| has_room(session)) {
            None => self.take_back(now, flow),
            Some((lane, session)) => {
                self.flows.insert(flow, lane);
                self.try_server(now, session, flow);
            }
        }
    }

    /// Tries the next server of a connection that is handed on.
    pub(super) fn try_server(&mut self, now: Instant, session: &mut Session, flow: FlowId) {
        match self.dns.next_server(flow) {
            Some(to) => session.open(on_wire(flow), to, FIRST_WINDOW),
            None => self.take_back(now, flow),
        }
    }

    fn take_back(&mut self, now: Instant, flow: FlowId) {
        self.flows.remove(flow);
        self.dns.take_back(now, flow);
    }

    /// A relay's answer in the form for an app: an answer from outside names no address of the
    /// host, and with a proxy it names stand-ins.
    pub(super) fn guarded(&mut self, by: AnsweredBy, message: &[u8]) -> Vec<u8> {
        let plan = &self.plan;
        let filtered = match by {
            // The host's administrator writes that file.
            AnsweredBy::HostsFile => None,
            AnsweredBy::RawQuery | AnsweredBy::RecordQuery | AnsweredBy::Servers => {
                self.rebind.filtered(message, |ip| plan.is_inside(ip))
            }
        };
        let message = filtered.as_deref().unwrap_or(message);
        let is_outside = |ip| matches!(plan.classify(SocketAddr::new(ip, 1)), Target::Remote(_));
        self.way_out.answer(message, is_outside).unwrap_or_else(|| message.to_vec())
    }
}
