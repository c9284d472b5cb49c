//! A session: decides what may be sent when, on either end of the pipe.
//!
//! It judges each incoming frame, keeps each flow's credit, lets control frames overtake data,
//! gives flows their turns, and keeps the heartbeat. It holds no payload of a stream: bytes are
//! pulled from their [`Source`] at the moment when they can be sent, so the waiting bytes are
//! bounded by construction. It knows no clock (time is an argument) and no I/O.

mod bursts;
mod direction;
mod moves;
mod violation;

pub use violation::Violation;

use crate::frame::{Capabilities, Frame, Hello, VERSION};
use crate::ids::FlowId;
use crate::limits::{
    ASLEEP_AFTER, CONGESTED_CONTROL_BYTES, GATEWAY_DEAD_AFTER, HEADER, MANY_FLOWS, MAX_DATA,
    MAX_FLOWS, MAX_QUEUED_DATAGRAM_BYTES, MAX_WINDOW, PING_EVERY, RELAY_DEAD_AFTER, SEAL,
};
use crate::seal::Sealer;
use direction::misdirected;
use moves::Moves;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Instant;

/// Which end of the pipe this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// In the VM: opens flows, asks questions.
    Gateway,
    /// On the host: connects, answers.
    Relay,
}

/// Whether a [`Source`] has more after a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More, at once.
    More,
    /// Nothing until [`Session::mark_ready`] is called.
    Drained,
    /// Nothing ever: the direction ends with what was taken (a Fin is sent).
    Finished,
    /// The stream broke: a Reset is sent and the flow forgotten.
    Failed,
}

/// The outcome of [`Source::pull`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Bytes appended.
    pub taken: usize,
    /// What comes after them.
    pub then: Then,
}

/// Where a session gets the bytes of its flows.
pub trait Source {
    /// Appends at most `max` bytes of `flow` to `out`; `max` is at least 1, and within the flow's
    /// credit.
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull;
}

/// Where a connection goes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way<'a> {
    /// The address.
    pub to: SocketAddr,
    /// The time to live of its packets; `None` for the host's own.
    pub hops: Option<NonZeroU8>,
    /// The name for which that address was the answer: only for a relay that has
    /// [`Capabilities::VIA`].
    pub name: Option<&'a str>,
}

/// The outcome of [`Session::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It waits for the pipe.
    Queued,
    /// A datagram that found its queue full: dropped and counted, as UDP allows.
    Dropped,
}

/// The other end was silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was heard from the other end for {seconds} s", seconds = .after.as_secs())]
pub struct Silent {
    /// How long it has been silent.
    pub after: std::time::Duration,
}

/// Counters since the session's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Stream bytes sent.
    pub data_sent: u64,
    /// Stream bytes received.
    pub data_received: u64,
    /// Datagrams dropped because the pipe was full.
    pub datagrams_dropped: u64,
    /// Frames about a flow that is already over. They are normal: they crossed its end on the way.
    pub stale_frames: u64,
    /// Flows reset because the other end sent more than its credit or broke the order.
    pub offences: u64,
}

/// One flow's account. In each direction: bytes that may still be sent, and whether the end was
/// announced.
#[derive(Debug)]
struct Ledger {
    /// Until the relay said Opened no data may flow in either direction.
    phase: Phase,
    /// Bytes that this end may still send.
    send_credit: u32,
    /// Bytes that the other end may still send; `receive_credit + unreturned + held by the owner ==
    /// receive_window`.
    receive_credit: u32,
    receive_window: u32,
    /// Bytes that the owner has consumed and that were not yet given back as credit.
    unreturned: u32,
    sending: Half,
    receiving: Half,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    Finished,
}

/// A flow's place with respect to the ready queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Not in the queue; its source had nothing.
    Idle,
    /// In the queue exactly once.
    Queued,
    /// Not in the queue; its source has something, and credit is missing.
    AwaitsCredit,
}

/// One end of the protocol. See the module's text.
pub struct Session {
    role: Role,
    peer: Option<Hello>,
    flows: HashMap<FlowId, Ledger>,
    /// The most flows at a time since [`Session::shrink`] last had something to give back:
    /// `most_flows >= flows.len()`.
    most_flows: usize,
    control: Vec<u8>,
    datagrams: VecDeque<Vec<u8>>,
    datagram_bytes: usize,
    /// Seals outgoing frames in their order.
    sealer: Sealer,
    ready: VecDeque<FlowId>,
    last_heard: Instant,
    next_ping: Instant,
    nonce: u64,
    moves: Moves,
    counters: Counters,
}

impl Session {
    /// A session that has queued its `hello` and waits for the other end's.
    pub fn new(role: Role, hello: Hello, now: Instant) -> Self {
        let mut control = Vec::new();
        Frame::Hello(hello).encode(&mut control);
        Self {
            role,
            peer: None,
            flows: HashMap::new(),
            most_flows: 0,
            control,
            datagrams: VecDeque::new(),
            datagram_bytes: 0,
            sealer: Sealer::default(),
            ready: VecDeque::new(),
            last_heard: now,
            next_ping: now + PING_EVERY,
            nonce: 0,
            moves: Moves::default(),
            counters: Counters::default(),
        }
    }

    /// The other end's hello, once it has come.
    pub fn peer(&self) -> Option<&Hello> {
        self.peer.as_ref()
    }

    /// Counters since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Flows that are open or being opened.
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Bytes of control frames that wait for the pipe.
    pub fn waiting_bytes(&self) -> usize {
        self.control.len()
    }

    /// Whether so many control frames wait for the pipe that nothing new should be taken on.
    pub fn is_congested(&self) -> bool {
        self.control.len() > CONGESTED_CONTROL_BYTES
    }

    /// Whether there is room for a datagram.
    pub fn takes_datagrams(&self) -> bool {
        self.datagram_bytes < MAX_QUEUED_DATAGRAM_BYTES
    }

    /// Bytes of `flow` that this end may send now.
    pub fn send_credit(&self, flow: FlowId) -> u32 {
        self.flows.get(&flow).map_or(0, |l| l.send_credit)
    }

    /// Gateway: asks for a connection; the relay may send `window` bytes before more credit comes.
    pub fn open(&mut self, flow: FlowId, to: SocketAddr, window: u32) {
        self.open_by(flow, &Way { to, hops: None, name: None }, window);
    }

    /// As [`Session::open`], with its way.
    pub fn open_by(&mut self, flow: FlowId, &Way { to, hops, name }: &Way<'_>, window: u32) {
        debug_assert_eq!(self.role, Role::Gateway);
        let window = window.min(MAX_WINDOW);
        self.flows.insert(flow, Ledger::new(window));
        self.most_flows = self.most_flows.max(self.flows.len());
        Frame::Open { flow, to, window, hops, name }.encode(&mut self.control);
    }

    /// Gives back memory of flows that are gone, if most of many are. Returns whether it did, so
    /// that the owner does the same. An occasional call suffices.
    pub fn shrink(&mut self) -> bool {
        let ebbed = self.most_flows >= MANY_FLOWS && self.flows.len() <= self.most_flows / 4;
        if ebbed {
            self.most_flows = self.flows.len();
            self.flows.shrink_to_fit();
            self.ready.shrink_to_fit();
            self.control.shrink_to_fit();
        }
        ebbed
    }

    /// Relay: the connection stands; the gateway may send `window` bytes before more credit comes.
    pub fn opened(&mut self, flow: FlowId, window: u32) {
        let Some(ledger) = self.flows.get_mut(&flow) else { return };
        let window = window.min(MAX_WINDOW);
        ledger.phase = Phase::Open;
        (ledger.receive_window, ledger.receive_credit) = (window, window);
        Frame::Opened { flow, window }.encode(&mut self.control);
    }

    /// Relay: no connection; the flow is over.
    pub fn failed(&mut self, flow: FlowId, reason: crate::ConnectFailure, os_code: i32) {
        if self.flows.remove(&flow).is_some() {
            Frame::Failed { flow, reason, os_code }.encode(&mut self.control);
        }
    }

    /// The source may have bytes for `flow`: it gets a turn as soon as its credit allows.
    pub fn mark_ready(&mut self, flow: FlowId) {
        let Some(ledger) = self.flows.get_mut(&flow) else { return };
        if ledger.turn == Turn::Idle && ledger.sending == Half::Open && ledger.phase == Phase::Open
        {
            ledger.turn = Turn::Queued;
            self.ready.push_back(flow);
        }
    }

    /// The owner has passed on `n` received bytes: their credit goes back in pieces of a quarter of
    /// the window.
    pub fn consumed(&mut self, flow: FlowId, n: usize) {
        let Some(ledger) = self.flows.get_mut(&flow) else { return };
        let held = ledger.receive_window - ledger.receive_credit - ledger.unreturned;
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        debug_assert!(n <= held, "{flow}: {n} bytes consumed of {held} held");
        ledger.unreturned += n.min(held);
        if ledger.unreturned >= ledger.receive_window / 4 && ledger.receiving == Half::Open {
            let bytes = std::mem::take(&mut ledger.unreturned);
            ledger.receive_credit += bytes;
            Frame::Credit { flow, bytes }.encode(&mut self.control);
        }
    }

    /// Allows the other end `window` bytes on `flow` instead of fewer: its credit grows by the
    /// difference.
    pub fn widen(&mut self, flow: FlowId, window: u32) {
        let Some(ledger) = self.flows.get_mut(&flow) else { return };
        let bytes = window.min(MAX_WINDOW).saturating_sub(ledger.receive_window);
        if bytes > 0 && ledger.receiving == Half::Open {
            ledger.receive_window += bytes;
            ledger.receive_credit += bytes;
            Frame::Credit { flow, bytes }.encode(&mut self.control);
        }
    }

    /// Ends `flow` in both directions at once, also at the other end.
    pub fn reset(&mut self, flow: FlowId) {
        if self.flows.remove(&flow).is_some() {
            Frame::Reset { flow }.encode(&mut self.control);
        }
    }

    /// Gateway: ends `flow`, whose app has closed and whose app's kernel has forgotten it. The
    /// relay still passes on what it has, and treats this like a Fin that it did not get.
    pub fn orphan(&mut self, flow: FlowId) {
        if !self.peer.as_ref().is_some_and(|peer| peer.capabilities.contains(Capabilities::ORPHANS))
        {
            return self.reset(flow);
        }
        if self.flows.remove(&flow).is_some() {
            Frame::Orphan { flow }.encode(&mut self.control);
        }
    }

    /// Forgets `flow`, whose two directions are finished. Sends nothing.
    pub fn forget(&mut self, flow: FlowId) {
        self.flows.remove(&flow);
    }

    /// Queues a frame that belongs to no TCP flow. Datagrams have a bounded queue of their own.
    pub fn send(&mut self, frame: &Frame<'_>) -> Sent {
        if !matches!(frame, Frame::Datagram { .. }) {
            frame.encode(&mut self.control);
            return Sent::Queued;
        }
        if !self.takes_datagrams() {
            self.counters.datagrams_dropped += 1;
            return Sent::Dropped;
        }
        // One buffer for many small datagrams: a new one is begun only if the last would outgrow a
        // turn.
        match self.datagrams.back_mut() {
            Some(last) if last.len() < MAX_DATA / 4 => {
                let before = last.len();
                frame.encode(last);
                self.datagram_bytes += last.len() - before;
            }
            _ => {
                let mut batch = Vec::new();
                frame.encode(&mut batch);
                self.datagram_bytes += batch.len();
                self.datagrams.push_back(batch);
            }
        }
        Sent::Queued
    }

    /// Whether [`Session::fill`] would append something (or at least give a source its turn).
    pub fn has_output(&self) -> bool {
        !self.control.is_empty() || !self.datagrams.is_empty() || !self.ready.is_empty()
    }

    /// Appends frames to `out` until it holds `budget` bytes or more, or nothing is left: all
    /// control frames first, then a batch of datagrams and a turn of one flow alternately. A turn
    /// is at most [`MAX_DATA`] bytes, so `out` ends up at most one frame over the budget, control
    /// frames aside.
    pub fn fill(&mut self, out: &mut Vec<u8>, budget: usize, source: &mut impl Source) {
        self.drain_control(out);
        while out.len() < budget {
            let datagrams = self.datagrams.pop_front();
            if let Some(batch) = &datagrams {
                self.datagram_bytes -= batch.len();
                self.sealer.append(batch, out);
            }
            match self.ready.pop_front() {
                Some(flow) => self.take_turn(flow, out, source),
                None if datagrams.is_none() => break,
                None => {}
            }
        }
        // A turn can queue control frames (Fin, Reset); they need not wait for the next call.
        self.drain_control(out);
    }

    fn drain_control(&mut self, out: &mut Vec<u8>) {
        self.sealer.append(&self.control, out);
        self.control.clear();
        // A burst of control frames must not keep its memory for ever.
        self.control.shrink_to(MAX_DATA);
    }

    fn take_turn(&mut self, flow: FlowId, out: &mut Vec<u8>, source: &mut impl Source) {
        // The queue may still name a flow that was reset and whose id is in use again.
        let Some(ledger) = self.flows.get_mut(&flow) else { return };
        if ledger.turn != Turn::Queued {
            return;
        }
        // A lone Fin waits for credit too: it could not overtake the bytes that the peer has not
        // taken anyway.
        if ledger.send_credit == 0 {
            ledger.turn = Turn::AwaitsCredit;
            return;
        }
        let max = MAX_DATA.min(ledger.send_credit as usize);
        let start = out.len();
        Sealer::begin(out);
        let Pull { taken, then } = source.pull(flow, max, out);
        debug_assert_eq!(
            out.len(),
            start + SEAL + HEADER + taken,
            "{flow}: the source appended another number of bytes than it said"
        );
        debug_assert!(taken <= max, "{flow}: the source gave {taken} bytes of {max}");
        if taken == 0 {
            out.truncate(start);
        } else {
            self.sealer.finish(flow, &mut out[start..]);
            ledger.send_credit -= u32::try_from(taken).unwrap_or(u32::MAX).min(ledger.send_credit);
            self.counters.data_sent += taken as u64;
        }
        match then {
            Then::More => {
                ledger.turn = Turn::Queued;
                self.ready.push_back(flow);
            }
            Then::Drained => ledger.turn = Turn::Idle,
            Then::Finished => {
                ledger.turn = Turn::Idle;
                ledger.sending = Half::Finished;
                // In the stream's own place, not among the control frames: a Fin must not overtake
                // its data.
                self.append(&Frame::Fin { flow }, out);
            }
            Then::Failed => {
                self.flows.remove(&flow);
                self.append(&Frame::Reset { flow }, out);
            }
        }
    }

    fn append(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.sealer.append(&bytes, out);
    }

    /// Judges an incoming frame. Returns it for the owner to act on, or `None` if there is nothing
    /// to do: it was handled here (credit, heartbeat) or came too late for a flow that is over.
    ///
    /// If the other end breaks the rules on a flow (more bytes than credit, data after its Fin),
    /// the flow is reset, and the owner gets [`Frame::Reset`].
    ///
    /// # Errors
    /// See [`Violation`]: the session must be ended.
    pub fn accept<'a>(
        &mut self,
        now: Instant,
        frame: Frame<'a>,
    ) -> Result<Option<Frame<'a>>, Violation> {
        self.last_heard = now;
        if self.peer.is_none() {
            let Frame::Hello(hello) = frame else { return Err(Violation::NoHello) };
            if hello.version != VERSION {
                return Err(Violation::Version { theirs: hello.version, build: hello.build });
            }
            self.peer = Some(hello.clone());
            return Ok(Some(Frame::Hello(hello)));
        }
        if let Some(frame) = misdirected(self.role, &frame) {
            return Err(Violation::WrongDirection { frame });
        }
        match frame {
            Frame::Hello(_) => Err(Violation::SecondHello),
            Frame::Ping { nonce } => {
                // An end that keeps asking without reading gets no answer: the waiting answers
                // would have no bound.
                if !self.is_congested() {
                    Frame::Pong { nonce }.encode(&mut self.control);
                }
                Ok(None)
            }
            Frame::Pong { .. } => Ok(None),
            Frame::Link { .. } | Frame::Moved => {
                self.moves.judge(self.role, &frame)?;
                Ok(Some(frame))
            }
            Frame::Open { flow, to, window, hops, name } => {
                Ok(self.accept_open(flow, &Way { to, hops, name }, window))
            }
            Frame::Opened { flow, window } => Ok(self.on_flow(flow, |ledger, _| {
                if ledger.phase != Phase::Opening {
                    return Received::Offence;
                }
                ledger.phase = Phase::Open;
                ledger.send_credit = window;
                Received::Pass(Frame::Opened { flow, window })
            })),
            Frame::Failed { flow, reason, os_code } => {
                let event = self.on_flow(flow, |ledger, _| match ledger.phase {
                    Phase::Opening => Received::Pass(Frame::Failed { flow, reason, os_code }),
                    // The app already has its SYN-ACK.
                    Phase::Open => Received::Offence,
                });
                self.flows.remove(&flow);
                Ok(event)
            }
            Frame::Data { flow, bytes } => Ok(self.on_flow(flow, |ledger, counters| {
                let Some(left) = u32::try_from(bytes.len())
                    .ok()
                    .and_then(|n| ledger.receive_credit.checked_sub(n))
                else {
                    return Received::Offence;
                };
                if ledger.phase != Phase::Open || ledger.receiving != Half::Open || bytes.is_empty()
                {
                    return Received::Offence;
                }
                ledger.receive_credit = left;
                counters.data_received += bytes.len() as u64;
                Received::Pass(Frame::Data { flow, bytes })
            })),
            Frame::Credit { flow, bytes } => {
                let mut ready = false;
                let event = self.on_flow(flow, |ledger, _| {
                    let Some(credit) =
                        ledger.send_credit.checked_add(bytes).filter(|&c| c <= MAX_WINDOW)
                    else {
                        return Received::Offence;
                    };
                    ledger.send_credit = credit;
                    if ledger.turn == Turn::AwaitsCredit {
                        ledger.turn = Turn::Queued;
                        ready = true;
                    }
                    Received::Done
                });
                if ready {
                    self.ready.push_back(flow);
                }
                Ok(event)
            }
            Frame::Fin { flow } => Ok(self.on_flow(flow, |ledger, _| {
                if ledger.phase != Phase::Open || ledger.receiving != Half::Open {
                    return Received::Offence;
                }
                ledger.receiving = Half::Finished;
                Received::Pass(Frame::Fin { flow })
            })),
            over @ (Frame::Reset { flow } | Frame::Orphan { flow }) => {
                let known = self.flows.remove(&flow).is_some();
                self.counters.stale_frames += u64::from(!known);
                Ok(known.then_some(over))
            }
            other @ (Frame::Bind { .. }
            | Frame::Datagram { .. }
            | Frame::PeerError { .. }
            | Frame::Unbind { .. }
            | Frame::Query { .. }
            | Frame::Answer { .. }
            | Frame::NoAnswer { .. }
            | Frame::Echo { .. }
            | Frame::EchoReply { .. }
            | Frame::EchoError { .. }
            | Frame::AskFacts { .. }
            | Frame::Facts { .. }
            | Frame::Changed
            | Frame::Via { .. }
            | Frame::HostAccess { .. }
            | Frame::LinkFailed { .. }
            | Frame::ViaTrouble { .. }) => Ok(Some(other)),
        }
    }

    fn accept_open<'a>(
        &mut self,
        flow: FlowId,
        &Way { to, hops, name }: &Way<'a>,
        window: u32,
    ) -> Option<Frame<'a>> {
        if self.flows.len() >= MAX_FLOWS {
            Frame::Failed { flow, reason: crate::ConnectFailure::TooManyFlows, os_code: 0 }
                .encode(&mut self.control);
            return None;
        }
        match self.flows.entry(flow) {
            Entry::Occupied(_) => {
                self.counters.offences += 1;
                None
            }
            Entry::Vacant(slot) => {
                // The window is what the gateway lets us send; its own credit comes with `opened`.
                slot.insert(Ledger { send_credit: window, ..Ledger::new(0) });
                self.most_flows = self.most_flows.max(self.flows.len());
                Some(Frame::Open { flow, to, window, hops, name })
            }
        }
    }

    fn on_flow<'a>(
        &mut self,
        flow: FlowId,
        judge: impl FnOnce(&mut Ledger, &mut Counters) -> Received<'a>,
    ) -> Option<Frame<'a>> {
        let Some(ledger) = self.flows.get_mut(&flow) else {
            self.counters.stale_frames += 1;
            return None;
        };
        match judge(ledger, &mut self.counters) {
            Received::Pass(frame) => Some(frame),
            Received::Done => None,
            Received::Offence => {
                self.counters.offences += 1;
                self.reset(flow);
                Some(Frame::Reset { flow })
            }
        }
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.next_ping
    }

    /// Keeps the heartbeat. May be called at any time.
    ///
    /// # Errors
    /// [`Silent`] if the other end counts as dead.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Silent> {
        if now < self.next_ping {
            return Ok(());
        }
        if now > self.next_ping + ASLEEP_AFTER {
            // This process did not run for a while. The other end's frames may still be in the
            // pipe.
            self.last_heard = now;
        }
        let after = now.saturating_duration_since(self.last_heard);
        let limit = match self.role {
            Role::Gateway => GATEWAY_DEAD_AFTER,
            Role::Relay => RELAY_DEAD_AFTER,
        };
        // The gateway has its own limit for a relay's start.
        let is_starting = self.role == Role::Gateway && self.peer.is_none();
        if after >= limit && !is_starting {
            return Err(Silent { after });
        }
        self.nonce += 1;
        Frame::Ping { nonce: self.nonce }.encode(&mut self.control);
        self.next_ping = now + PING_EVERY;
        Ok(())
    }
}

enum Received<'a> {
    Pass(Frame<'a>),
    Done,
    Offence,
}

impl Ledger {
    fn new(receive_window: u32) -> Self {
        Self {
            phase: Phase::Opening,
            send_credit: 0,
            receive_credit: receive_window,
            receive_window,
            unreturned: 0,
            sending: Half::Open,
            receiving: Half::Open,
            turn: Turn::Idle,
        }
    }
}
