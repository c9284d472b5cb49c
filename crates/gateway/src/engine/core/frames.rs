//! Handles the frames of relays: outcomes of connects, bytes and datagrams for the VM's apps,
//! answers, and facts of their host.

use super::Core;
use crate::engine::asked::{Asker, Kind, Question};
use crate::engine::terms::{no_answer, refusal};
use crate::tap::Device;
use stack::{BindId, FlowId, HostAccess};
use std::time::Instant;
use wire::{Frame, HostAccessSettings, HostFacts, Session};

impl<D: Device> Core<D> {
    /// A frame of the relay of `lane`.
    pub(in crate::engine) fn on_frame(
        &mut self,
        now: Instant,
        lane: usize,
        session: &mut Session,
        frame: Frame<'_>,
    ) {
        match frame {
            Frame::Hello(hello) => {
                tracing::info!(lane, build = hello.build, "the relay is ready");
                // Before any request to it.
                self.way_out.announce(session);
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
                let flow = FlowId(flow.0);
                if self.dns.has(flow) {
                    return self.try_server(now, session, flow);
                }
                self.flows.remove(flow);
                self.stack.refuse(now, flow, refusal(reason), &mut self.tap);
            }
            Frame::Data { flow, bytes } => {
                self.flows.deliver(&mut self.stack, session, FlowId(flow.0), bytes);
            }
            Frame::Fin { flow } => self.stack.finish(FlowId(flow.0)),
            Frame::Reset { flow } => {
                let flow = FlowId(flow.0);
                self.flows.remove(flow);
                self.dns.remove(flow);
                self.stack.reset(flow);
            }
            Frame::Datagram { bind, peer, marks, bytes } => {
                let bind = BindId(bind.0);
                let peer = self.way_out.datagram_from(bind, peer);
                self.stack.deliver_datagram(now, bind, peer, bytes, marks, &mut self.tap);
            }
            Frame::PeerError { bind, peer, fault } => {
                let bind = BindId(bind.0);
                let peer = self.way_out.datagram_from(bind, peer);
                self.stack.deliver_peer_error(now, bind, peer, fault, &mut self.tap);
            }
            Frame::Unbind { bind, .. } => {
                self.counts.drops.unbound += 1;
                self.binds.remove(BindId(bind.0));
                self.lose_bind(BindId(bind.0));
            }
            Frame::Answer { request, by, message } => {
                if let Some(question) = self.asked.take(lane, request, Kind::Dns) {
                    self.counts.dns_answer(by);
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
                if let Some(freshness) = self.asked.take_facts(lane, request) {
                    self.take_facts(now, json);
                    if freshness.is_stale() {
                        self.ask_facts(now, lane, session);
                    }
                }
            }
            Frame::ViaTrouble { words } => self.way_out.note(now, lane, words),
            Frame::Open { .. }
            | Frame::Orphan { .. }
            | Frame::Via { .. }
            | Frame::HostAccess { .. }
            | Frame::Link { .. }
            | Frame::LinkFailed { .. }
            | Frame::Moved
            | Frame::Credit { .. }
            | Frame::Bind { .. }
            | Frame::Query { .. }
            | Frame::Echo { .. }
            | Frame::AskFacts { .. }
            | Frame::Ping { .. }
            | Frame::Pong { .. } => {}
        }
    }

    fn ask_facts(&mut self, now: Instant, lane: usize, session: &mut Session) {
        if let Some(request) = self.asked.ask_facts(now, lane) {
            session.send(&Frame::AskFacts { request });
        }
    }

    fn opened(&mut self, now: Instant, session: &mut Session, flow: wire::FlowId) {
        let id = FlowId(flow.0);
        if !self.flows.has(id) {
            return session.reset(flow);
        }
        match self.dns.remove(id) {
            None => self.stack.accept(now, id, &mut self.tap),
            // The gateway accepted it earlier, and has its first question.
            Some(connection) => {
                self.flows.send_ahead(id, connection.into_input());
                session.mark_ready(flow);
            }
        }
        let room = self.stack.room(id);
        session.widen(flow, u32::try_from(room).unwrap_or(u32::MAX));
    }

    fn take_facts(&mut self, now: Instant, json: &[u8]) {
        match serde_json::from_slice::<HostFacts>(json) {
            Ok(facts) => {
                self.rebind.set_host(&facts);
                self.wishes.carry(facts);
            }
            Err(error) => {
                if self.log.take(now).is_some() {
                    tracing::warn!(%error, "the relay's facts cannot be read");
                }
            }
        }
    }
}
