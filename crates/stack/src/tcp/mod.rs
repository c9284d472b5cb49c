//! TCP: the table of connections. A new one is pending (its SYN is kept, nothing else) until the relay has connected; then it
//! becomes a [`Flow`] with a smoltcp socket in a set of its own, so that a packet's cost does not grow with the number of flows.
//! Only flows with something to do get a turn.

pub(crate) mod device;
pub(crate) mod flow;
mod syn;
mod time_wait;

use crate::limits::{OFFLOAD_MSS, RING_STEPS, SMALLEST_RING};
use crate::link::{IpHead, Link};
use crate::offload::{Offload, Transmit};
use crate::packet::{Packet, TCP, transport_sum};
use crate::stats::{DropReason, Stats};
use device::{Nowhere, Port};
use flow::{Changes, Flow, Phase, Queued};
use smoltcp::iface::{Config as SmolConfig, Interface};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::HardwareAddress;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;
pub(crate) use syn::Segment;
use syn::{ACK, RST};
use time_wait::TimeWait;

/// One TCP connection: a table index and its generation, so that what comes late for a former one is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u32);

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) app: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Tuple {
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
    header_at: usize,
}

#[derive(Debug)]
enum Entry {
    Pending(Pending),
    Open(Box<Flow>),
}

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    entry: Option<Entry>,
}

/// What a segment led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It was dealt with.
    Done,
    /// It asks for a connection that is not in the table.
    Opening,
    /// A pending connection's app gave up.
    GaveUp(FlowId),
}

pub(crate) struct Tcp {
    iface: Interface,
    offload: Offload,
    base: Instant,
    slots: Vec<Slot>,
    free: VecDeque<u16>,
    by_tuple: HashMap<Tuple, FlowId>,
    time_wait: TimeWait,
    /// Turns to come; an entry counts only if it is its flow's `armed`.
    heap: BinaryHeap<Reverse<(Instant, FlowId)>>,
    dirty: Vec<FlowId>,
    listed: VecDeque<FlowId>,
    max_flows: usize,
    max_half_open: usize,
    half_open: usize,
    open: usize,
}

/// What every TCP operation may need of the rest of the stack.
pub(crate) struct Around<'a> {
    pub(crate) link: &'a mut Link,
    pub(crate) stats: &'a mut Stats,
    pub(crate) out: &'a mut dyn Transmit,
}

impl Tcp {
    pub(crate) fn new(
        now: Instant,
        offload: Offload,
        link: &mut Link,
        seed: u64,
        (max_flows, max_half_open): (usize, usize),
    ) -> Self {
        let mut config = SmolConfig::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut stats = Stats::default();
        let mut port = Port { packet: None, link, stats: &mut stats, out: &mut Nowhere, offload, mss: 0, last: None };
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
            heap: BinaryHeap::new(),
            dirty: Vec::new(),
            listed: VecDeque::new(),
            // An index has 16 bits.
            max_flows: max_flows.min(usize::from(u16::MAX)),
            max_half_open,
            half_open: 0,
            open: 0,
        }
    }

    /// smoltcp's clock starts a second after zero, which it uses for 'at once'.
    fn at(&self, now: Instant) -> SmolInstant {
        let micros = now.saturating_duration_since(self.base).as_micros();
        SmolInstant::from_micros(1_000_000 + i64::try_from(micros).unwrap_or(i64::MAX / 2))
    }

    fn slot(&self, id: FlowId) -> Option<&Entry> {
        let slot = self.slots.get((id.0 & 0xffff) as usize)?;
        (u32::from(slot.generation) == id.0 >> 16).then_some(slot.entry.as_ref()).flatten()
    }

    fn slot_mut(&mut self, id: FlowId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut((id.0 & 0xffff) as usize)?;
        (u32::from(slot.generation) == id.0 >> 16).then_some(slot.entry.as_mut()).flatten()
    }

    pub(crate) fn flow(&self, id: FlowId) -> Option<&Flow> {
        match self.slot(id)? {
            Entry::Open(flow) => Some(flow),
            Entry::Pending(_) => None,
        }
    }

    fn flow_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        match self.slot_mut(id)? {
            Entry::Open(flow) => Some(flow),
            Entry::Pending(_) => None,
        }
    }

    /// A segment whose checksum is right.
    pub(crate) fn arrive(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) -> Arrived {
        let tuple =
            Tuple { app: SocketAddr::new(packet.src, seg.src_port), to: SocketAddr::new(packet.dst, seg.dst_port) };
        if let Some(id) = self.by_tuple.get(&tuple).copied() {
            return self.arrive_at(now, id, packet, seg, around);
        }
        if let Some(record) = self.time_wait.get(now, &tuple) {
            if !seg.is_opening() {
                // RFC 9293 3.10.7.8: only what takes sequence numbers is answered; RST is ignored (RFC 1337).
                if seg.flags & RST == 0 && seg.length > 0 {
                    send_bare(around, tuple, record.last.next, record.last.ack, ACK, record.last.window);
                }
                return Arrived::Done;
            }
            // RFC 9293 3.6.1, RFC 6191: a new connection may take the tuple at once.
            self.time_wait.remove(&tuple);
        }
        if seg.is_opening() {
            return Arrived::Opening;
        }
        around.stats.drop(DropReason::NoFlow);
        self.reset_segment(tuple, seg, around);
        Arrived::Done
    }

    fn arrive_at(
        &mut self,
        now: Instant,
        id: FlowId,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) -> Arrived {
        let (at, offload) = (self.at(now), self.offload);
        let index = (id.0 & 0xffff) as usize;
        match self.slots.get_mut(index).and_then(|slot| slot.entry.as_mut()) {
            Some(Entry::Pending(pending)) => {
                if seg.is_opening() {
                    around.stats.syn_retries += 1;
                    if seg.seq != pending.seq {
                        // The app began anew; the connect under way serves the new one.
                        pending.syn = packet.whole.into();
                        pending.seq = seg.seq;
                        pending.header_at = packet.whole.len() - packet.payload.len();
                    }
                } else if seg.flags & RST != 0 && seg.seq == pending.seq.wrapping_add(1) {
                    self.remove(id);
                    return Arrived::GaveUp(id);
                } else {
                    around.stats.drop(DropReason::Pending);
                }
            }
            Some(Entry::Open(flow)) => {
                // smoltcp reads no IPv6 options and no fragment header: it gets the packet without them.
                let rebuilt;
                let bytes = if packet.dst.is_ipv6() && packet.whole.len() != packet.payload.len() + 40 {
                    rebuilt = without_extensions(packet);
                    &rebuilt
                } else {
                    packet.whole
                };
                let mut port = Port {
                    packet: Some(bytes),
                    link: around.link,
                    stats: around.stats,
                    out: around.out,
                    offload,
                    mss: flow.mss,
                    last: None,
                };
                flow.ingest(now, at, &mut self.iface, &mut port);
                if flow.dirty == Queued::No {
                    flow.dirty = Queued::Yes;
                    self.dirty.push(id);
                }
            }
            None => {}
        }
        Arrived::Done
    }

    fn reset_segment(&self, tuple: Tuple, seg: Segment, around: &mut Around<'_>) {
        // RFC 9293 3.10.7.1
        if seg.flags & RST != 0 {
        } else if seg.flags & ACK != 0 {
            send_bare(around, tuple, seg.ack, 0, RST, 0);
        } else {
            send_bare(around, tuple, 0, seg.seq.wrapping_add(seg.length), RST | ACK, 0);
        }
    }

    /// Refuses a SYN that got no entry.
    pub(crate) fn refuse_segment(&self, packet: &Packet<'_>, seg: Segment, around: &mut Around<'_>) {
        let tuple =
            Tuple { app: SocketAddr::new(packet.src, seg.src_port), to: SocketAddr::new(packet.dst, seg.dst_port) };
        self.reset_segment(tuple, seg, around);
    }

    /// Makes a pending connection of a SYN.
    pub(crate) fn open_pending(&mut self, packet: &Packet<'_>, seg: Segment) -> Result<(FlowId, Tuple), DropReason> {
        if self.half_open >= self.max_half_open {
            return Err(DropReason::HalfOpenFull);
        }
        if self.half_open + self.open >= self.max_flows {
            return Err(DropReason::FlowsFull);
        }
        let tuple =
            Tuple { app: SocketAddr::new(packet.src, seg.src_port), to: SocketAddr::new(packet.dst, seg.dst_port) };
        // Indices are used in turn, so that an id comes back as late as possible.
        let index = if self.slots.len() < self.max_flows {
            self.slots.push(Slot::default());
            u16::try_from(self.slots.len() - 1).map_err(|_| DropReason::FlowsFull)?
        } else {
            self.free.pop_front().ok_or(DropReason::FlowsFull)?
        };
        let slot = &mut self.slots[usize::from(index)];
        slot.entry = Some(Entry::Pending(Pending {
            tuple,
            syn: packet.whole.into(),
            seq: seg.seq,
            header_at: packet.whole.len() - packet.payload.len(),
        }));
        let id = FlowId(u32::from(slot.generation) << 16 | u32::from(index));
        self.by_tuple.insert(tuple, id);
        self.half_open += 1;
        Ok((id, tuple))
    }

    fn remove(&mut self, id: FlowId) -> Option<Entry> {
        self.slot(id)?;
        let slot = self.slots.get_mut((id.0 & 0xffff) as usize)?;
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push_back((id.0 & 0xffff) as u16);
        let tuple = match &entry {
            Entry::Pending(pending) => {
                self.half_open -= 1;
                pending.tuple
            }
            Entry::Open(flow) => {
                self.open -= 1;
                flow.tuple
            }
        };
        if self.by_tuple.get(&tuple) == Some(&id) {
            self.by_tuple.remove(&tuple);
        }
        Some(entry)
    }

    /// Takes a pending connection out; `None` when the id is something else.
    pub(crate) fn take_pending(&mut self, id: FlowId) -> Option<Pending> {
        if !matches!(self.slot(id)?, Entry::Pending(_)) {
            return None;
        }
        match self.remove(id)? {
            Entry::Pending(pending) => Some(pending),
            Entry::Open(_) => None,
        }
    }

    /// The relay has connected: the kept SYN goes to a socket, which answers it in the flow's next turn.
    pub(crate) fn accept(&mut self, now: Instant, id: FlowId, around: &mut Around<'_>) {
        let at = self.at(now);
        let ring = ring_size(self.open);
        let Some(entry) = self.slot_mut(id) else { return };
        let Entry::Pending(pending) = entry else { return };
        let mut syn = std::mem::take(&mut pending.syn).into_vec();
        let (tuple, header_at) = (pending.tuple, pending.header_at);
        let end = Segment::read(&syn[header_at..]).map_or(syn.len(), |seg| header_at + seg.header);
        let mss = syn::mss(&syn[header_at..end]);
        let mut flow = Box::new(Flow::new(now, tuple, mss, ring));
        flow.dirty = Queued::Yes;
        *entry = Entry::Open(flow);
        self.half_open -= 1;
        self.open += 1;
        self.dirty.push(id);
        if self.offload == Offload::Vnet {
            syn::set_mss(&mut syn[header_at..end], OFFLOAD_MSS);
        }
        if tuple.to.is_ipv6() && header_at != 40 {
            let head = Packet::read6(&syn).map(|packet| without_extensions(&packet));
            syn = head.unwrap_or(syn);
        }
        let offload = self.offload;
        let Some(Entry::Open(flow)) = self.slots.get_mut((id.0 & 0xffff) as usize).and_then(|s| s.entry.as_mut())
        else {
            return;
        };
        let mut port = Port {
            packet: Some(&syn),
            link: around.link,
            stats: around.stats,
            out: around.out,
            offload,
            mss,
            last: None,
        };
        flow.ingest(now, at, &mut self.iface, &mut port);
    }

    /// A RST for a pending connection that was taken out.
    pub(crate) fn reset_pending(pending: &Pending, around: &mut Around<'_>) {
        send_bare(around, pending.tuple, 0, pending.seq.wrapping_add(1), RST | ACK, 0);
    }

    /// Gives every flow with something to do its turn.
    pub(crate) fn service(&mut self, now: Instant, around: &mut Around<'_>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            self.turn(now, id, around);
        }
        if self.dirty.is_empty() {
            // Its room is used again.
            self.dirty = dirty;
        }
    }

    fn turn(&mut self, now: Instant, id: FlowId, around: &mut Around<'_>) {
        let (at, offload) = (self.at(now), self.offload);
        let Some(slot) = self.slots.get_mut((id.0 & 0xffff) as usize) else { return };
        if u32::from(slot.generation) != id.0 >> 16 {
            return;
        }
        let Some(Entry::Open(flow)) = slot.entry.as_mut() else { return };
        flow.dirty = Queued::No;
        around.stats.turns += 1;
        let was_aborting = flow.phase == Phase::Aborting;
        let was_over = flow.phase == Phase::Over;
        let mut port = Port {
            packet: None,
            link: around.link,
            stats: around.stats,
            out: around.out,
            offload,
            mss: flow.mss,
            last: None,
        };
        flow.turn(now, at, &mut self.iface, &mut port);
        let (changes, phase, tuple) = (flow.changes, flow.phase, flow.tuple);
        let last = flow.time_wait();
        if let Some(deadline) = flow.deadline
            && flow.armed.is_none_or(|armed| deadline < armed)
        {
            flow.armed = Some(deadline);
            self.heap.push(Reverse((deadline, id)));
        }
        if phase == Phase::Over && !was_over {
            if self.by_tuple.get(&tuple) == Some(&id) {
                self.by_tuple.remove(&tuple);
            }
            if let Some(last) = last {
                self.time_wait.insert(now, tuple, last);
            }
        }
        if was_aborting {
            self.remove(id);
        } else if !changes.is_empty() {
            self.list(id);
        }
    }

    fn list(&mut self, id: FlowId) {
        let Some(flow) = self.flow_mut(id) else { return };
        if flow.listed == Queued::No {
            flow.listed = Queued::Yes;
            self.listed.push_back(id);
        }
    }

    /// The next flow with changes to tell. A flow that is over is forgotten with it.
    pub(crate) fn next_change(&mut self) -> Option<(FlowId, Changes)> {
        loop {
            let id = self.listed.pop_front()?;
            let Some(flow) = self.flow_mut(id) else { continue };
            flow.listed = Queued::No;
            let changes = std::mem::take(&mut flow.changes);
            if changes.has(Changes::CLOSED) || changes.has(Changes::RESET) {
                self.remove(id);
            }
            if !changes.is_empty() {
                return Some((id, changes));
            }
        }
    }

    /// Runs `act` on an open flow and puts it in line for a turn.
    pub(crate) fn with<R>(&mut self, id: FlowId, act: impl FnOnce(&mut Flow) -> R) -> Option<R> {
        let flow = self.flow_mut(id)?;
        let result = act(flow);
        let (over, told) = (flow.phase == Phase::Over, !flow.changes.is_empty());
        if !over && flow.dirty == Queued::No {
            flow.dirty = Queued::Yes;
            self.dirty.push(id);
        }
        if told {
            self.list(id);
        }
        Some(result)
    }

    /// Resets an open flow in its next turn; no more is told of it.
    pub(crate) fn abort(&mut self, id: FlowId) {
        match self.flow(id).map(|flow| flow.phase) {
            Some(Phase::Over) => {
                self.remove(id);
            }
            Some(Phase::Live | Phase::Aborting) => {
                self.with(id, Flow::abort);
            }
            None => {}
        }
    }

    /// A router on the way to the app takes only `mtu` bytes: smaller segments from now on.
    pub(crate) fn lower_mss(&mut self, tuple: Tuple, mtu: u16) {
        let headers = if tuple.to.is_ipv6() { 60 } else { 40 };
        let Some(id) = self.by_tuple.get(&tuple).copied() else { return };
        let Some(flow) = self.flow_mut(id) else { return };
        // RFC 1191 3: nothing below the smallest MTU is believed.
        flow.mss = flow.mss.min(mtu.saturating_sub(headers).max(syn::DEFAULT_MSS));
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let heap = self.heap.peek().map(|Reverse((at, _))| *at);
        heap.into_iter().chain(self.time_wait.deadline()).min()
    }

    /// Puts flows whose time has come in line, and forgets old TIME-WAIT records.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.time_wait.expire(now);
        while let Some(&Reverse((at, id))) = self.heap.peek() {
            if at > now {
                break;
            }
            self.heap.pop();
            let Some(flow) = self.flow_mut(id) else { continue };
            if flow.armed != Some(at) {
                continue;
            }
            flow.armed = None;
            match flow.deadline {
                Some(deadline) if deadline > now => {
                    flow.armed = Some(deadline);
                    self.heap.push(Reverse((deadline, id)));
                }
                Some(_) if flow.dirty == Queued::No => {
                    flow.dirty = Queued::Yes;
                    self.dirty.push(id);
                }
                Some(_) | None => {}
            }
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn count(&self, stats: &mut Stats) {
        stats.flows = self.open + self.half_open;
        stats.half_open = self.half_open;
        stats.time_wait = self.time_wait.len();
    }
}

/// Ring bytes for one more flow.
fn ring_size(open: usize) -> usize {
    RING_STEPS.iter().find(|(below, _)| open < *below).map_or(SMALLEST_RING, |(_, size)| *size)
}

/// A segment without data and options, to the app.
fn send_bare(around: &mut Around<'_>, tuple: Tuple, seq: u32, ack: u32, flags: u8, window: u16) {
    let mut header = [0u8; 20];
    header[..2].copy_from_slice(&tuple.to.port().to_be_bytes());
    header[2..4].copy_from_slice(&tuple.app.port().to_be_bytes());
    header[4..8].copy_from_slice(&seq.to_be_bytes());
    header[8..12].copy_from_slice(&ack.to_be_bytes());
    header[12] = 5 << 4;
    header[13] = flags;
    header[14..16].copy_from_slice(&window.to_be_bytes());
    let (src, dst) = (tuple.to.ip(), tuple.app.ip());
    let sum = transport_sum(src, dst, TCP, 20).add_slice(&header).ones_complement();
    header[16..18].copy_from_slice(&sum.to_ne_bytes());
    around.link.send(around.stats, around.out, IpHead { src, dst, protocol: TCP, ttl: 64 }, &header);
}

/// An IPv6 packet whose payload follows its fixed header.
fn without_extensions(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = packet.whole[..40].to_vec();
    let len = u16::try_from(packet.payload.len()).unwrap_or(u16::MAX);
    bytes[4..6].copy_from_slice(&len.to_be_bytes());
    bytes[6] = packet.protocol;
    bytes.extend_from_slice(packet.payload);
    bytes
}
