//! Handles the stack's reports: connects, changes of connections, datagrams, queries and pings of
//! the VM's apps.

use super::{Core, on_wire};
use crate::engine::asked::{Asker, Question};
use crate::engine::spread::{self, has_room, limit, pick};
use crate::engine::terms::stack_hash;
use crate::lane::Lane;
use crate::limits::FIRST_WINDOW;
use crate::tap::Device;
use crate::via::{self, Destination};
use stack::{BindId, Changes, Event, FlowId, Refusal, RequestId, Target};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::time::Instant;
use wire::frame::Family;
use wire::session::Way;
use wire::{Frame, Session, UnbindReason};

impl<D: Device> Core<D> {
    pub(super) fn on_event(&mut self, now: Instant, lanes: &mut [Lane], event: Event) {
        match event {
            Event::Connect { flow, to, hops, tuple_hash, .. } => {
                self.connect(now, lanes, flow, to, hops, tuple_hash);
            }
            Event::ConnectAbandoned { flow } => self.flows.reset(lanes, flow),
            Event::Flow { flow, changes } if self.dns.has(flow) => {
                if changes.contains(Changes::RESET) || changes.contains(Changes::CLOSED) {
                    self.dns.remove(flow);
                    self.flows.reset(lanes, flow);
                } else {
                    self.serve_dns(now, lanes, flow, changes);
                }
            }
            Event::Flow { flow, changes } => self.flows.change(&self.stack, lanes, flow, changes),
            Event::Bind { bind, app } => self.bind(lanes, bind, app),
            Event::Datagram { bind, peer, marks, bytes } => {
                self.send_datagrams(now, lanes, bind, (peer, marks), std::iter::once(&bytes[..]));
            }
            Event::Datagrams { bind, peer, marks, size, bytes } => {
                let parts = bytes.chunks(size.get().into());
                self.send_datagrams(now, lanes, bind, (peer, marks), parts);
            }
            Event::Unbind { bind } => {
                self.way_out.unbound(bind);
                let lane = self.binds.remove(bind);
                if let Some(session) = lane.and_then(|lane| lanes[lane].ready()) {
                    let bind = wire::BindId(bind.0);
                    session.send(&Frame::Unbind { bind, reason: UnbindReason::Done });
                }
            }
            Event::Query { request, message } => self.udp_query(now, lanes, request, &message),
            Event::Echo { request, to, marks, payload } => {
                self.echo(now, lanes, request, to, marks, &payload);
            }
            Event::Elsewhere(one) => self.wishes.keep_off(now, one),
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
        self.counts.totals.tcp += 1;
        let to = match to {
            Target::Remote(to) | Target::Host(to) => to,
            Target::Dns if !self.dns.is_full() || self.make_dns_room(lanes, flow) => {
                self.dns.insert(now, flow);
                return self.stack.accept(now, flow, &mut self.tap);
            }
            Target::Dns | Target::Gateway | Target::Refused | Target::Group | Target::Invalid => {
                self.counts.drops.dns += 1;
                return self.stack.refuse(now, flow, Refusal::Reset, &mut self.tap);
            }
        };
        // Without an answer the app's kernel sends its SYN again in a second.
        if let Some(capacity) = spread::capacity(lanes)
            && !lanes.iter_mut().filter_map(Lane::ready).any(|session| has_room(session))
        {
            // Connections whose apps are gone may make room: the app's kernel asks again.
            if self.stack.is_seeking_room(now) {
                return self.stack.abort(flow);
            }
            self.counts.drops.relays_full += 1;
            self.full.note(now, capacity.flows);
            return self.stack.refuse(now, flow, Refusal::Reset, &mut self.tap);
        }
        let picked = pick(lanes, hash, &mut self.counts.drops, |_, session| has_room(session));
        let Some((lane, session)) = picked else { return self.stack.abort(flow) };
        let Some(Destination { ip, name }) = self.way_out.destination(to.ip()) else {
            self.counts.drops.stand_ins += 1;
            let nowhere = Refusal::Unreachable(via::NOWHERE);
            return self.stack.refuse(now, flow, nowhere, &mut self.tap);
        };
        let to = SocketAddr::new(ip, to.port());
        session.open_by(on_wire(flow), &Way { to, hops, name }, FIRST_WINDOW);
        self.flows.insert(flow, lane);
    }

    fn bind(&mut self, lanes: &mut [Lane], bind: BindId, app: SocketAddr) {
        self.counts.totals.udp += 1;
        let hash = u32::from(app.port()).wrapping_mul(0x9e37_79b1);
        // Some relay has room: the stack takes no more than all relays together.
        let room = |lane, session: &Session| {
            self.binds.count(lane) < limit(session, |hello| hello.max_binds)
        };
        match pick(lanes, hash, &mut self.counts.drops, room) {
            None => self.stack.bind_failed(bind),
            Some((lane, session)) => {
                self.binds.insert(bind, lane);
                let (bind, family) = (wire::BindId(bind.0), Family::of(app.ip()));
                session.send(&Frame::Bind { bind, family });
            }
        }
    }

    fn send_datagrams<'a>(
        &mut self,
        now: Instant,
        lanes: &mut [Lane],
        bind: BindId,
        (peer, marks): (SocketAddr, stack::Marks),
        parts: impl Iterator<Item = &'a [u8]>,
    ) {
        // Without a lane there is nothing to remember for it either.
        let Some(lane) = self.binds.lane(bind) else { return };
        let Some(real) = self.way_out.datagram_to(bind, peer) else {
            for _ in parts {
                self.counts.drops.stand_ins += 1;
                let tap = &mut self.tap;
                self.stack.deliver_peer_error(now, bind, peer, via::NOWHERE, tap);
            }
            return;
        };
        let Some(session) = lanes[lane].ready() else { return };
        let bind = wire::BindId(bind.0);
        for bytes in parts {
            session.send(&Frame::Datagram { bind, peer: real, marks, bytes });
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
        self.counts.totals.echo += 1;
        let Some(Destination { ip: real, .. }) = self.way_out.destination(to) else {
            self.counts.drops.stand_ins += 1;
            return self.stack.echo_error(now, request, via::NOWHERE, &mut self.tap);
        };
        // One lane for all of an address: its sequence of pings shares one socket of the relay.
        let picked = pick(lanes, stack_hash(to), &mut self.counts.drops, |_, _| true);
        let Some((lane, session)) = picked else { return self.stack.forget_request(request) };
        let question =
            Question { lane, asker: Asker::Echo { request }, query: Vec::new(), share: None };
        let request = self.asked.insert(now, question);
        session.send(&Frame::Echo { request, to: real, marks, payload });
    }
}
