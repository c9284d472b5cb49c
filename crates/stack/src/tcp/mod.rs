//! TCP: the table of connections. A new one is pending (only its SYN is kept) until the relay has
//! connected. Then it becomes a [`Flow`] with a smoltcp socket in a set of its own, so that a
//! packet's cost does not grow with the number of flows. Only flows with work get a turn.

mod around;
mod bare;
mod busy;
mod challenge;
pub(crate) mod device;
pub(crate) mod flow;
mod order;
mod probe;
mod renew;
mod reset;
mod room;
mod stall;
mod syn;
mod time_wait;
mod timers;

use crate::limits::{OFFLOAD_MSS, RING_STEPS, SMALLEST_RING, SMALLEST_SHARE, UNDER_WAY};
use crate::link::Link;
use crate::marks::limited_hops;
use crate::offload::Offload;
use crate::owner::{Owner, Owners};
use crate::packet::Packet;
use crate::stats::{DropReason, Stats};
pub(crate) use around::{Around, Moment};
use bare::{Bare, without_extensions};
use busy::Busy;
use device::{LastSegment, Nowhere, Port, Terms};
use flow::{Changes, Flow, Phase, Queued};
use probe::Sweep;
pub(crate) use room::Displaced;
use room::Room;
use smoltcp::iface::{Config as SmolConfig, Interface};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::HardwareAddress;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Instant;
pub(crate) use syn::Segment;
use syn::{ACK, FIN, RST, SYN, SynOptions};
use time_wait::TimeWait;
use timers::Timers;

/// One TCP connection: a table index and its generation, which detects late messages for a former
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u32);

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) app: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Tuple {
    fn of(packet: &Packet<'_>, seg: Segment) -> Self {
        Self {
            app: SocketAddr::new(packet.src, seg.src_port),
            to: SocketAddr::new(packet.dst, seg.dst_port),
        }
    }

    pub(crate) fn hash32(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let full = hasher.finish();
        ((full >> 32) ^ (full & 0xffff_ffff)) as u32
    }
}

/// A connection that waits for the relay.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) tuple: Tuple,
    /// The SYN, as it came, from its IP header on.
    pub(crate) syn: Box<[u8]>,
    seq: u32,
    /// Its hop limit.
    hops: Option<NonZeroU8>,
    header_at: usize,
    owner: Owner,
    since: Instant,
    /// When the app's last SYN came.
    heard: Instant,
}

#[derive(Debug)]
enum Entry {
    /// Boxed as well, because slots stay when connections go.
    Pending(Box<Pending>),
    Open(Box<Flow>),
}

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    entry: Option<Entry>,
}

/// The result of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It was handled.
    Done,
    /// It asks for a connection that is not in the table.
    Opening,
    /// It belongs to no connection, and asks for none.
    Unknown,
    /// The app of a pending connection gave up.
    GaveUp(FlowId),
    /// It asks for a pending connection again, with another number of hops. The pending one is
    /// dropped.
    Anew(FlowId),
}

pub(crate) struct Tcp {
    iface: Interface,
    offload: Offload,
    base: Instant,
    slots: Vec<Slot>,
    free: VecDeque<u16>,
    by_tuple: HashMap<Tuple, FlowId>,
    time_wait: TimeWait,
    /// Future turns. An entry counts only if it equals its flow's `armed`.
    timers: Timers,
    dirty: Vec<FlowId>,
    busy: Busy,
    listed: VecDeque<FlowId>,
    max_flows: usize,
    max_half_open: usize,
    half_open: usize,
    open: usize,
    /// The number of connections in all that the stack's user expects at most.
    expected: usize,
    sweep: Sweep,
    room: Room,
}

fn index(id: FlowId) -> usize {
    (id.0 & 0xffff) as usize
}

fn entry(slots: &[Slot], id: FlowId) -> Option<&Entry> {
    let slot = slots.get(index(id))?;
    (u32::from(slot.generation) == id.0 >> 16).then_some(slot.entry.as_ref()).flatten()
}

/// Whether the flow waits for a timer of that time.
fn is_armed(slots: &[Slot], at: Instant, id: FlowId) -> bool {
    match entry(slots, id) {
        Some(Entry::Open(flow)) => flow.armed == Some(at),
        Some(Entry::Pending(_)) | None => false,
    }
}

fn entry_mut(slots: &mut [Slot], id: FlowId) -> Option<&mut Entry> {
    let slot = slots.get_mut(index(id))?;
    (u32::from(slot.generation) == id.0 >> 16).then_some(slot.entry.as_mut()).flatten()
}

fn open_flow(slots: &mut [Slot], id: FlowId) -> Option<&mut Flow> {
    match entry_mut(slots, id)? {
        Entry::Open(flow) => Some(flow),
        Entry::Pending(_) => None,
    }
}

impl Tcp {
    pub(crate) fn new(
        now: Instant,
        offload: Offload,
        link: &mut Link,
        seed: u64,
        max_flows: usize,
        max_half_open: usize,
    ) -> Self {
        let mut config = SmolConfig::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut stats = Stats::default();
        let mut port = Port {
            packet: None,
            link,
            stats: &mut stats,
            out: &mut Nowhere,
            offload,
            terms: Terms::default(),
            last: None,
        };
        let mut iface = Interface::new(config, &mut port, SmolInstant::ZERO);
        iface.set_any_ip(true);
        Self {
            iface,
            offload,
            base: now,
            slots: Vec::new(),
            free: VecDeque::new(),
            by_tuple: HashMap::new(),
            time_wait: TimeWait::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            busy: Busy::default(),
            listed: VecDeque::new(),
            // An index has 16 bits.
            max_flows: max_flows.min(usize::from(u16::MAX)),
            max_half_open,
            half_open: 0,
            open: 0,
            expected: max_flows,
            sweep: Sweep::default(),
            room: Room::default(),
        }
    }

    /// smoltcp's clock starts a second after zero, which it uses for 'at once'.
    fn at(&self, now: Instant) -> SmolInstant {
        let micros = now.saturating_duration_since(self.base).as_micros();
        SmolInstant::from_micros(1_000_000 + i64::try_from(micros).unwrap_or(i64::MAX / 2))
    }

    pub(crate) fn flow(&self, id: FlowId) -> Option<&Flow> {
        match entry(&self.slots, id)? {
            Entry::Open(flow) => Some(flow),
            Entry::Pending(_) => None,
        }
    }

    fn flow_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        open_flow(&mut self.slots, id)
    }

    /// Takes a segment with a correct checksum.
    pub(crate) fn arrive(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) -> Arrived {
        if syn::is_signed(&packet.payload[..seg.header]) {
            around.stats.drop(DropReason::Signed);
            return Arrived::Done;
        }
        let tuple = Tuple::of(packet, seg);
        if let Some(id) = self.by_tuple.get(&tuple).copied() {
            return self.arrive_at(now, id, packet, seg, around);
        }
        if let Some(record) = self.time_wait.get(now, &tuple) {
            if !seg.is_opening() {
                // RFC 9293 3.10.7.8: only segments that take sequence numbers get an answer; RST is
                // ignored (RFC 1337).
                if seg.flags & RST == 0 && seg.length > 0 {
                    let LastSegment { next, ack, window } = record.last;
                    Bare { seq: next, ack, flags: ACK, window }.send(around, tuple);
                }
                return Arrived::Done;
            }
            // RFC 9293 3.6.1, RFC 6191: a new connection may take the tuple at once.
            self.time_wait.remove(&tuple);
        }
        if seg.is_opening() {
            return Arrived::Opening;
        }
        Arrived::Unknown
    }

    fn arrive_at(
        &mut self,
        now: Instant,
        id: FlowId,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) -> Arrived {
        match entry_mut(&mut self.slots, id) {
            Some(Entry::Pending(pending)) => {
                if seg.is_opening() {
                    around.stats.syn_retries += 1;
                    if limited_hops(packet.marks) != pending.hops {
                        // A traceroute's next probe: it asks for a router further on.
                        self.remove(id);
                        return Arrived::Anew(id);
                    }
                    if seg.seq != pending.seq {
                        // The app started again. The pending connect serves the new attempt.
                        pending.syn = packet.whole.into();
                        pending.seq = seg.seq;
                        pending.header_at = packet.whole.len() - packet.payload.len();
                    }
                    pending.heard = now;
                    self.room.wait(&self.slots, now, id);
                } else if seg.flags & RST != 0 && seg.seq == pending.seq.wrapping_add(1) {
                    self.remove(id);
                    return Arrived::GaveUp(id);
                } else {
                    around.stats.drop(DropReason::Pending);
                }
            }
            Some(Entry::Open(_)) => self.arrive_open(now, id, packet, seg, around),
            None => {}
        }
        Arrived::Done
    }

    /// Answers a segment of no connection as a host without that connection does.
    pub(crate) fn answer_unknown(
        &self,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) {
        // A server that listens drops SYN with FIN (`tcp_rcv_state_process` in
        // net/ipv4/tcp_input.c).
        if seg.flags & (FIN | SYN | RST | ACK) != FIN | SYN {
            self.reset_segment(Tuple::of(packet, seg), seg, around);
        }
    }

    fn reset_segment(&self, tuple: Tuple, seg: Segment, around: &mut Around<'_>) {
        // RFC 9293 3.10.7.1
        if seg.flags & RST != 0 {
        } else if seg.flags & ACK != 0 {
            Bare { seq: seg.ack, ack: 0, flags: RST, window: 0 }.send(around, tuple);
        } else {
            let ack = seg.seq.wrapping_add(seg.length);
            Bare { seq: 0, ack, flags: RST | ACK, window: 0 }.send(around, tuple);
        }
    }

    /// Refuses a SYN that got no entry.
    pub(crate) fn refuse_segment(
        &self,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) {
        let tuple = Tuple::of(packet, seg);
        self.reset_segment(tuple, seg, around);
    }

    /// Makes a pending connection of a SYN.
    pub(crate) fn open_pending(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
        owners: &mut dyn Owners,
    ) -> Result<(FlowId, Tuple), DropReason> {
        self.seek_room(now);
        let tuple = Tuple::of(packet, seg);
        let owner = self.admit(now, tuple, around, owners)?;
        // Indices rotate, so that an id is reused as late as possible.
        let index = if self.slots.len() < self.max_flows {
            self.slots.push(Slot::default());
            u16::try_from(self.slots.len() - 1).map_err(|_| DropReason::FlowsFull)?
        } else {
            self.free.pop_front().ok_or(DropReason::FlowsFull)?
        };
        let slot = &mut self.slots[usize::from(index)];
        slot.entry = Some(Entry::Pending(Box::new(Pending {
            tuple,
            syn: packet.whole.into(),
            seq: seg.seq,
            hops: limited_hops(packet.marks),
            header_at: packet.whole.len() - packet.payload.len(),
            owner,
            since: now,
            heard: now,
        })));
        let id = FlowId(u32::from(slot.generation) << 16 | u32::from(index));
        self.by_tuple.insert(tuple, id);
        self.half_open += 1;
        self.room.enter(&mut self.slots, now, id, owner, tuple.to.ip());
        Ok((id, tuple))
    }

    fn remove(&mut self, id: FlowId) -> Option<Entry> {
        entry(&self.slots, id)?;
        let slot = self.slots.get_mut(index(id))?;
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push_back((id.0 & 0xffff) as u16);
        let tuple = match &entry {
            Entry::Pending(pending) => {
                self.half_open -= 1;
                self.room.leave_half_open(pending);
                self.room.leave(pending.owner);
                pending.tuple
            }
            Entry::Open(flow) => {
                self.open -= 1;
                self.room.leave(flow.owner);
                flow.tuple
            }
        };
        if self.by_tuple.get(&tuple) == Some(&id) {
            self.by_tuple.remove(&tuple);
        }
        Some(entry)
    }

    /// Takes a pending connection out of the table; `None` if the id is something else.
    pub(crate) fn take_pending(&mut self, id: FlowId) -> Option<Pending> {
        if !matches!(entry(&self.slots, id)?, Entry::Pending(_)) {
            return None;
        }
        match self.remove(id)? {
            Entry::Pending(pending) => Some(*pending),
            Entry::Open(_) => None,
        }
    }

    /// The relay has connected: the kept SYN goes to a socket, which answers it in the flow's next
    /// turn.
    pub(crate) fn accept(&mut self, now: Instant, id: FlowId, around: &mut Around<'_>) {
        let (at, offload, share) = (self.at(now), self.offload, self.share());
        let ring = ring_size(self.open);
        let Some(entry) = entry_mut(&mut self.slots, id) else { return };
        let Entry::Pending(pending) = entry else { return };
        let mut syn = std::mem::take(&mut pending.syn).into_vec();
        let (tuple, header_at) = (pending.tuple, pending.header_at);
        let Some(seg) = Segment::read(&syn[header_at..]) else { return };
        let header = &mut syn[header_at..header_at + seg.header];
        // A segment larger than the TAP's MTU would reach no app, whatever its own link carries.
        let headers = if tuple.to.is_ipv6() { 60 } else { 40 };
        let most = u16::try_from(around.link.mtu.saturating_sub(headers)).unwrap_or(u16::MAX);
        let mss = syn::mss(header).min(most);
        if let Some(repaired) = syn::repaired(header) {
            header.copy_from_slice(&repaired);
        }
        if offload != Offload::None {
            syn::set_mss(header, OFFLOAD_MSS);
        }
        let mut flow = Box::new(Flow::new(
            now,
            tuple,
            pending.owner,
            SynOptions::read(header),
            seg.seq,
            mss,
            ring,
        ));
        if tuple.to.is_ipv6() && header_at != 40 {
            let head = Packet::read6(&syn).map(|packet| without_extensions(&packet));
            syn = head.unwrap_or(syn);
        }
        let terms = flow.terms(share);
        flow.ingest(
            Moment { now, at },
            &mut self.iface,
            &mut around.port(Some(&syn), offload, terms),
            seg,
        );
        if flow.is_closed() {
            // smoltcp reads more of a SYN than we do, and rejected this one.
            Self::reset_syn(tuple, seg.seq, around);
        }
        flow.dirty = Queued::Yes;
        self.room.leave_half_open(pending);
        *entry = Entry::Open(flow);
        self.half_open -= 1;
        self.open += 1;
        self.dirty.push(id);
    }

    fn reset_syn(tuple: Tuple, seq: u32, around: &mut Around<'_>) {
        Bare { seq: 0, ack: seq.wrapping_add(1), flags: RST | ACK, window: 0 }.send(around, tuple);
    }

    /// Sends a RST for a pending connection that was taken out.
    pub(crate) fn reset_pending(pending: &Pending, around: &mut Around<'_>) {
        Self::reset_syn(pending.tuple, pending.seq, around);
    }

    /// Gives a turn to every flow with work.
    pub(crate) fn service(&mut self, now: Instant, around: &mut Around<'_>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        self.busy = self.busy.after_pass(dirty.len());
        for id in dirty.drain(..) {
            self.turn(now, id, around);
        }
        if self.dirty.is_empty() {
            // Its memory is reused.
            self.dirty = dirty;
        }
    }

    /// The part of [`UNDER_WAY`] that a flow may have.
    fn share(&self) -> usize {
        (UNDER_WAY / self.busy.flows()).max(SMALLEST_SHARE)
    }

    fn turn(&mut self, now: Instant, id: FlowId, around: &mut Around<'_>) {
        let (at, offload, share) = (self.at(now), self.offload, self.share());
        let Some(flow) = open_flow(&mut self.slots, id) else { return };
        flow.dirty = Queued::No;
        around.stats.turns += 1;
        let was = flow.phase;
        let terms = flow.terms(share);
        if flow.ask == Queued::Yes || flow.deadline.is_some_and(|at| at <= now) {
            flow.look_after(now, self.base, terms, around);
        }
        flow.revive(Moment { now, at }, &mut self.iface, offload, terms, around);
        flow.turn(Moment { now, at }, &mut self.iface, &mut around.port(None, offload, terms));
        if flow.wants_renewal(now) {
            flow.renew(Moment { now, at }, offload, around);
        }
        // Any other work leads to another turn, and to this point.
        if flow.deadline.is_none() {
            flow.deadline = flow.probe_due(self.base);
        }
        let (changes, phase, tuple) = (flow.changes, flow.phase, flow.tuple);
        let last = flow.time_wait();
        if let Some(deadline) = flow.deadline
            && flow.armed.is_none_or(|armed| deadline < armed)
        {
            flow.armed = Some(deadline);
            self.arm(deadline, id);
        }
        if phase == Phase::Over && was != Phase::Over {
            if self.by_tuple.get(&tuple) == Some(&id) {
                self.by_tuple.remove(&tuple);
            }
            if let Some(last) = last {
                self.time_wait.insert(now, tuple, last);
            }
            around.stats.flows_forgotten += u64::from(changes.contains(Changes::FORGOTTEN));
        }
        if changes.contains(Changes::PEER_FINISHED) && phase == Phase::Live {
            self.room.note_half_closed(&self.slots, id);
        }
        if was == Phase::Aborting || (was == Phase::Draining && phase == Phase::Over) {
            self.remove(id);
        } else if !changes.is_empty() {
            self.list(id);
        }
    }

    fn arm(&mut self, at: Instant, id: FlowId) {
        self.timers.push(at, id);
        let slots = &self.slots;
        self.timers.tidy(self.open, |at, id| is_armed(slots, at, id));
    }

    fn list(&mut self, id: FlowId) {
        let Some(flow) = self.flow_mut(id) else { return };
        if flow.listed == Queued::No {
            flow.listed = Queued::Yes;
            self.listed.push_back(id);
        }
    }

    /// The next flow with changes to report. A finished flow is forgotten with its report.
    pub(crate) fn next_change(&mut self) -> Option<(FlowId, Changes)> {
        loop {
            let id = self.listed.pop_front()?;
            let Some(flow) = self.flow_mut(id) else { continue };
            flow.listed = Queued::No;
            let changes = std::mem::take(&mut flow.changes);
            if changes.contains(Changes::CLOSED) || changes.contains(Changes::RESET) {
                self.remove(id);
            }
            if !changes.is_empty() {
                return Some((id, changes));
            }
        }
    }

    /// Runs `act` on an open flow and queues it for a turn.
    pub(crate) fn with<R>(&mut self, id: FlowId, act: impl FnOnce(&mut Flow) -> R) -> Option<R> {
        let flow = self.flow_mut(id)?;
        let result = act(flow);
        let (over, has_changes) = (flow.phase == Phase::Over, !flow.changes.is_empty());
        if !over && flow.dirty == Queued::No {
            flow.dirty = Queued::Yes;
            self.dirty.push(id);
        }
        if has_changes {
            self.list(id);
        }
        Some(result)
    }

    /// Resets an open flow, by [`Flow::abort`] or [`Flow::reset`]; no more changes are reported.
    pub(crate) fn end(&mut self, id: FlowId, how: impl FnOnce(&mut Flow)) {
        match self.flow(id).map(|flow| flow.phase) {
            Some(Phase::Over) => {
                self.remove(id);
            }
            Some(Phase::Live | Phase::Draining | Phase::Aborting) => {
                self.with(id, how);
            }
            None => {}
        }
    }

    /// A router on the path to the app takes only `mtu` bytes: sends smaller segments from now on.
    /// `seq` is the number that the router quotes.
    pub(crate) fn lower_mss(&mut self, tuple: Tuple, seq: u32, mtu: u16) {
        let headers = if tuple.to.is_ipv6() { 60 } else { 40 };
        let Some(id) = self.by_tuple.get(&tuple).copied() else { return };
        let Some(flow) = self.flow_mut(id) else { return };
        if !flow.is_under_way(seq) {
            // RFC 5927 7: a forger can quote anything else without having seen a segment.
            return;
        }
        // RFC 1191 3, RFC 8201 4: an MTU below the minimum is not believed.
        let least = if tuple.to.is_ipv6() { 1280 - headers } else { syn::DEFAULT_MSS };
        flow.mss = flow.mss.min(mtu.saturating_sub(headers).max(least));
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = |one: Option<Instant>, other: Option<Instant>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        [self.time_wait.deadline(), self.sweep_deadline(), self.room.deadline()]
            .into_iter()
            .fold(self.timers.next(), first)
    }

    /// Queues flows whose time has come, and drops old TIME-WAIT records.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.time_wait.expire(now);
        self.sweep_some(now);
        while let Some((at, id)) = self.timers.pop_due(now) {
            let Some(flow) = self.flow_mut(id) else { continue };
            if flow.armed != Some(at) {
                continue;
            }
            flow.armed = None;
            match flow.deadline {
                Some(deadline) if deadline > now => {
                    flow.armed = Some(deadline);
                    self.timers.push(deadline, id);
                }
                Some(_) if flow.dirty == Queued::No => {
                    flow.dirty = Queued::Yes;
                    self.dirty.push(id);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Frees the memory that tables hold for connections that are gone.
    pub(crate) fn shrink(&mut self) {
        self.by_tuple.shrink_to_fit();
        self.time_wait.shrink();
        self.room.shrink(&self.slots);
        let slots = &self.slots;
        self.timers.shrink(|at, id| is_armed(slots, at, id));
        self.dirty.shrink_to_fit();
        self.listed.shrink_to_fit();
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        stats.flows = self.open + self.half_open;
        stats.half_open = self.half_open;
        stats.time_wait = self.time_wait.len();
        stats.timers = self.timers.len();
    }
}

/// Ring bytes for one more flow.
fn ring_size(open: usize) -> usize {
    RING_STEPS.iter().find(|(below, _)| open < *below).map_or(SMALLEST_RING, |(_, size)| *size)
}
