//! One TCP connection that the relay has opened: a smoltcp socket in a set of its own, and the
//! state last reported.

use super::device::{LastSegment, Port, Terms};
use super::syn::{ACK, RST, SYN, Segment, SynOptions};
use super::{Moment, Tuple};
use crate::limits::{HANDSHAKE, IDLE_RINGS, LATE, NO_PROGRESS};
use crate::owner::Owner;
use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{self, CongestionControl, State};
use std::time::{Duration, Instant};

bitflags::bitflags! {
    /// The changes of a flow since the last report.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Changes: u8 {
        /// There are bytes to read.
        const READABLE = 1;
        /// The app took bytes: [`crate::Stack::unsent`] fell, [`crate::Stack::room`] rose.
        const WRITABLE = 1 << 1;
        /// The app's FIN came. Data before it may still be unread.
        const PEER_FINISHED = 1 << 2;
        /// Both sides are finished and everything is read. The id is free: forget it.
        const CLOSED = 1 << 3;
        /// The app reset it or is gone. The id is free: forget it.
        const RESET = 1 << 4;
        /// The app had sent FIN, and its kernel has since forgotten the connection: no data from
        /// the server will reach the app. The app's earlier data may still be unread;
        /// [`Changes::CLOSED`] comes when it is read, or together with this.
        const FORGOTTEN = 1 << 5;
    }
}

/// The state of the sending side that the stack's user requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// FIN follows as soon as the handshake is over.
    FinishWanted,
    Finished,
}

/// The phase of the connection as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Segments come and go.
    Live,
    /// The server has reset it. Its earlier data is on its way to the app. No more changes are
    /// reported.
    Draining,
    /// The user has requested a reset. The RST is not sent yet.
    Aborting,
    /// No further segment comes or goes. Unread bytes may be left.
    Over,
}

#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) tuple: Tuple,
    /// The owner, as recorded in the shares of the table.
    pub(super) owner: Owner,
    pub(super) set: SocketSet<'static>,
    pub(super) handle: SocketHandle,
    pub(crate) mss: u16,
    /// The options of the app's SYN.
    pub(super) options: SynOptions,
    /// Sequence number of the first unread byte from the app.
    pub(super) unread_from: u32,
    /// The sequence number of the app's FIN, if it came before the data that precedes it.
    pub(super) early_fin: Option<u32>,
    /// The app's last ACK and window.
    pub(super) acked: u32,
    pub(super) window: u16,
    /// Whether bytes have passed through the rings since they were new. Untouched rings use no
    /// memory.
    touched: bool,
    /// Whether bytes came, went or were read since the last turn.
    stirred: bool,
    used: Instant,
    pub(crate) phase: Phase,
    sending: Sending,
    /// Bytes that came before the app finished the handshake. `early.len() <=` the ring's size.
    early: Vec<u8>,
    pub(super) last: LastSegment,
    pub(super) heard: Instant,
    /// When the last probe was sent, if the app has not answered since.
    pub(super) probed: Option<Instant>,
    /// Earlier probes that the app did not answer.
    pub(super) unanswered: u32,
    /// Whether its next turn sends a probe, whatever the time.
    pub(super) ask: Queued,
    /// Whether the app's kernel still has the connection.
    pub(super) memory: Memory,
    /// When the last challenge ACK was sent.
    pub(super) challenged: Option<Instant>,
    /// Since when the app owes us an ACK.
    owed: Option<Instant>,
    /// Since when something must be sent again without a timer for it.
    pub(super) stalled: Option<Instant>,
    /// Retransmissions of that kind since the app's last sign of life.
    pub(super) revivals: u32,
    /// When the RST is sent, whatever the app has received.
    pub(super) drained_by: Option<Instant>,
    told_readable: usize,
    told_unsent: usize,
    told_finished: bool,
    pub(crate) changes: Changes,
    pub(crate) dirty: Queued,
    pub(crate) listed: Queued,
    /// When it next needs a turn.
    pub(crate) deadline: Option<Instant>,
    /// The earliest heap entry that is its own.
    pub(crate) armed: Option<Instant>,
}

/// Whether the app's kernel knows the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It has the connection, as far as is known.
    Kept,
    /// It no longer has such a connection, after the app's FIN.
    Lost,
}

/// Whether it is in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Yes,
    No,
}

impl Flow {
    pub(crate) fn new(
        now: Instant,
        tuple: Tuple,
        owner: Owner,
        options: SynOptions,
        seq: u32,
        mss: u16,
        ring: usize,
    ) -> Self {
        let (set, handle) = listening(tuple, ring);
        Self {
            tuple,
            owner,
            set,
            handle,
            mss,
            options,
            unread_from: seq.wrapping_add(1),
            early_fin: None,
            acked: 0,
            window: 0,
            touched: false,
            stirred: false,
            used: now,
            phase: Phase::Live,
            sending: Sending::Open,
            early: Vec::new(),
            last: LastSegment::default(),
            heard: now,
            probed: None,
            unanswered: 0,
            ask: Queued::No,
            memory: Memory::Kept,
            challenged: None,
            owed: None,
            stalled: None,
            revivals: 0,
            drained_by: None,
            told_readable: 0,
            told_unsent: 0,
            told_finished: false,
            changes: Changes::default(),
            dirty: Queued::No,
            listed: Queued::No,
            deadline: None,
            armed: None,
        }
    }

    pub(super) fn socket(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }

    pub(super) fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Whether a segment reaches beyond the receive ring. No advertised window does. smoltcp would
    /// take more after its SYN-ACK (it scales that window, which RFC 7323 2.2 forbids) and panic
    /// when the ring is full.
    pub(crate) fn overruns(&self, seg: Segment) -> bool {
        let from_unread = seg.without_data().seq.wrapping_sub(self.unread_from);
        // A number in the lower half of the number space is ahead (RFC 9293 3.4).
        seg.data > 0
            && from_unread < 1 << 31
            && from_unread as usize > self.socket().recv_capacity()
    }

    /// The shift of our windows (RFC 7323 2.2; smoltcp's is the smallest that fits).
    pub(super) fn window_scale(&self) -> u32 {
        let bits = usize::BITS - self.socket().recv_capacity().leading_zeros();
        if self.options.scales() { bits.saturating_sub(16) } else { 0 }
    }

    /// How the values that the app sees differ from smoltcp's.
    ///
    /// smoltcp rounds its window down to the field's unit. As bytes arrive, the window's right edge
    /// moves back by up to a unit less one. smoltcp then cuts or drops data that an honest app sent
    /// up to the earlier edge, together with its acknowledgement. An app that echoes hung forever:
    /// it sent data beyond a full ring again and again, and smoltcp never processed its
    /// acknowledgements. So no more data came for the app to read, and the ring stayed full. With
    /// one unit held back, every edge that the app sees is below the edge that smoltcp accepts.
    ///
    /// The advertised window also stays below `share`, the flow's part of the bytes that may be in
    /// flight: data that waits in front of the stack delays all flows. That takes back no byte of
    /// an advertised window: the ring has room for more.
    pub(super) fn terms(&self, share: usize) -> Terms {
        let scale = self.window_scale();
        let most = (scale > 0).then(|| u16::try_from(share >> scale).unwrap_or(u16::MAX));
        let reached = (self.last != LastSegment::default()).then_some(self.last.next);
        Terms { mss: self.mss, held_back: u16::from(scale > 0), most, reached }
    }

    /// Sequence number of the first byte that the app has not sent, or that did not arrive.
    pub(crate) fn expected(&self) -> u32 {
        // A ring is smaller than 4 GiB.
        self.unread_from.wrapping_add((self.readable() & 0xffff_ffff) as u32)
    }

    pub(crate) fn ingest(
        &mut self,
        Moment { now, at }: Moment,
        iface: &mut Interface,
        port: &mut Port<'_>,
        seg: Segment,
    ) {
        let _ = iface.poll_ingress_single(at, port, &mut self.set);
        self.note_sent(port);
        self.hear(now);
        self.stir(seg.data);
        // An acknowledgement of data that was sent, and not less than before.
        let is_news = seg.ack.wrapping_sub(self.acked) <= self.last.next.wrapping_sub(self.acked);
        if seg.flags & (ACK | RST | SYN) == ACK && is_news {
            self.acked = seg.ack;
            self.window = seg.window;
        }
    }

    /// The app gave a sign of life.
    pub(super) fn hear(&mut self, now: Instant) {
        (self.heard, self.probed, self.unanswered, self.revivals) = (now, None, 0, 0);
    }

    /// A RST came, the app acknowledged the last FIN, or smoltcp rejected the SYN: a RST in
    /// SYN-RECEIVED leads back to LISTEN.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Draining)
            && matches!(self.socket().state(), State::Listen | State::Closed)
    }

    /// Notes that this many bytes entered a ring.
    fn stir(&mut self, bytes: usize) {
        if bytes > 0 {
            (self.stirred, self.touched) = (true, true);
        }
    }

    pub(super) fn note_sent(&mut self, port: &mut Port<'_>) {
        if let Some(mut last) = port.last.take() {
            // A retransmission is not the latest segment.
            let behind = self.last.next.wrapping_sub(last.next);
            if self.last == LastSegment::default() {
                // The SYN-ACK: the app has acknowledged nothing.
                self.acked = last.next.wrapping_sub(1);
            } else if behind < 1 << 31 {
                last.next = self.last.next;
            }
            self.last = last;
        }
    }

    /// One turn: sends what can be sent, looks for changes, and sets the next deadline.
    pub(crate) fn turn(
        &mut self,
        Moment { now, at }: Moment,
        iface: &mut Interface,
        port: &mut Port<'_>,
    ) {
        if self.phase == Phase::Over {
            return;
        }
        self.push_early();
        if self.owed.is_some() && self.deadline.is_some_and(|at| now > at + LATE) {
            // The gateway did not run: the app's segments may still be unread.
            self.owed = Some(now);
        }
        if self.phase == Phase::Live && self.give_up(now).is_some_and(|then| now >= then) {
            port.stats.flows_timed_out += 1;
            self.socket_mut().abort();
        }
        // The ring and the window bound the data to send.
        while iface.poll_egress(at, port, &mut self.set) != PollResult::None {}
        self.note_sent(port);
        if self.is_drained(now) {
            self.abort();
            // The RST, which is one segment.
            iface.poll_egress(at, port, &mut self.set);
        }
        self.assess();
        if !matches!(self.phase, Phase::Live | Phase::Draining) {
            self.deadline = None;
            return;
        }
        if std::mem::take(&mut self.stirred) {
            self.used = now;
        }
        let poll = iface.poll_at(at, &self.set).map(|then| {
            let micros = then.total_micros().saturating_sub(at.total_micros());
            // smoltcp says 'now' although nothing could be sent: look again soon, but never spin.
            now + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
                .max(Duration::from_millis(1))
        });
        let idle = self.is_quiet().then(|| self.used + IDLE_RINGS).filter(|then| *then > now);
        let stalled = self.stalled_until(now, poll.is_some());
        self.deadline =
            [poll, self.give_up(now), idle, stalled, self.drained_by].into_iter().flatten().min();
    }

    /// When it last carried bytes or received something from its app.
    pub(super) fn idle_since(&self) -> Instant {
        self.heard.max(self.used)
    }

    /// Whether nothing is in flight and the rings hold memory that they do not need.
    fn is_quiet(&self) -> bool {
        let socket = self.socket();
        self.touched
            && self.phase == Phase::Live
            && self.sending == Sending::Open
            && socket.state() == State::Established
            && socket.recv_queue() == 0
            && self.unsent() == 0
    }

    pub(super) fn wants_renewal(&self, now: Instant) -> bool {
        self.is_quiet() && now >= self.used + IDLE_RINGS
    }

    /// Whether an app that owes us something has been silent for too long, or when it will have
    /// been. The time counts from when it began to owe it: data written to a flow that was idle for
    /// a day is not a day late.
    fn give_up(&mut self, now: Instant) -> Option<Instant> {
        let patience = self.patience();
        self.owed = patience.and(self.owed.or(Some(now)));
        Some(self.owed?.max(self.heard) + patience?)
    }

    /// How long the app may stay silent while it owes us an ACK; without limit while it owes
    /// nothing.
    fn patience(&self) -> Option<Duration> {
        match self.socket().state() {
            State::SynReceived => Some(HANDSHAKE),
            State::FinWait1 | State::Closing | State::LastAck => Some(NO_PROGRESS),
            State::Established | State::CloseWait => {
                (self.socket().send_queue() > 0).then_some(NO_PROGRESS)
            }
            State::Closed | State::Listen | State::SynSent | State::FinWait2 | State::TimeWait => {
                None
            }
        }
    }

    fn push_early(&mut self) {
        if !self.socket().may_send() {
            return;
        }
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            let _ = self.socket_mut().send_slice(&early);
        }
        if self.sending == Sending::FinishWanted && !self.awaits_window() {
            self.sending = Sending::Finished;
            self.socket_mut().close();
        }
    }

    /// Whether the app has sent its FIN but has no room for everything before ours. smoltcp would
    /// take no window update from it in LAST-ACK, so that state must wait.
    fn awaits_window(&self) -> bool {
        let window = usize::from(self.window) << self.options.shift();
        self.socket().state() == State::CloseWait && self.socket().send_queue() > window
    }

    /// Compares the socket with the state last reported.
    fn assess(&mut self) {
        let state = self.socket().state();
        if self.phase == Phase::Draining {
            // The app has reset it first.
            if matches!(state, State::Closed | State::Listen) {
                self.phase = Phase::Over;
            }
            return;
        }
        let readable = self.readable();
        if readable > self.told_readable {
            self.told_readable = readable;
            self.changes.insert(Changes::READABLE);
        }
        let unsent = self.unsent();
        if unsent < self.told_unsent {
            self.told_unsent = unsent;
            self.changes.insert(Changes::WRITABLE);
        }
        let finished =
            matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        if finished && !self.told_finished {
            self.told_finished = true;
            self.changes.insert(Changes::PEER_FINISHED);
        }
        if self.phase == Phase::Aborting {
            if self.socket().local_endpoint().is_none() || state != State::Closed {
                self.phase = Phase::Over;
            }
            return;
        }
        match state {
            State::TimeWait => self.end(),
            State::Closed if self.memory == Memory::Lost => {
                self.changes.insert(Changes::FORGOTTEN);
                self.end();
            }
            // The end of LAST-ACK. Any other way to this state is a reset. A RST in SYN-RECEIVED
            // leads back to LISTEN.
            State::Closed
                if self.told_finished && self.sending == Sending::Finished && unsent == 0 =>
            {
                self.end();
            }
            State::Closed | State::Listen => {
                self.phase = Phase::Over;
                self.changes.insert(Changes::RESET);
            }
            State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => {}
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Over;
        if self.readable() == 0 {
            self.changes.insert(Changes::CLOSED);
        }
    }

    /// The segment to repeat when the app's FIN comes again.
    pub(crate) fn time_wait(&self) -> Option<LastSegment> {
        (self.socket().state() == State::TimeWait).then_some(self.last)
    }

    pub(crate) fn readable(&self) -> usize {
        self.socket().recv_queue()
    }

    pub(crate) fn read(&mut self, max: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut done = 0;
        while done < max {
            let most = max - done;
            let took = self.socket_mut().recv(|bytes| {
                let n = bytes.len().min(most);
                take(&bytes[..n]);
                (n, n)
            });
            match took {
                Ok(n) if n > 0 => done += n,
                Ok(_) | Err(_) => break,
            }
        }
        self.stirred |= done > 0;
        self.unread_from = self.unread_from.wrapping_add((done & 0xffff_ffff) as u32);
        self.told_readable = self.readable();
        if self.phase == Phase::Over
            && self.told_readable == 0
            && !self.changes.contains(Changes::RESET)
        {
            self.changes.insert(Changes::CLOSED);
        }
        done
    }

    pub(crate) fn read_finished(&self) -> bool {
        self.told_finished && self.readable() == 0
    }

    pub(crate) fn room(&self) -> usize {
        if self.sending != Sending::Open || self.phase != Phase::Live {
            return 0;
        }
        self.socket().send_capacity() - self.unsent()
    }

    pub(crate) fn unsent(&self) -> usize {
        self.socket().send_queue() + self.early.len()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        self.push_early();
        if self.socket().may_send() {
            let _ = self.socket_mut().send_slice(&bytes[..n]);
        } else {
            self.early.extend_from_slice(&bytes[..n]);
        }
        self.stir(n);
        self.told_unsent = self.unsent();
        n
    }

    pub(crate) fn finish(&mut self) {
        if self.sending == Sending::Open && self.phase == Phase::Live {
            self.sending = Sending::FinishWanted;
            self.push_early();
        }
    }

    /// The rings are new.
    pub(super) fn renewed(
        &mut self,
        set: SocketSet<'static>,
        handle: SocketHandle,
        last: LastSegment,
    ) {
        (self.set, self.handle, self.last) = (set, handle, last);
        self.touched = false;
    }

    /// No new rings: the next try comes after the same idle time as after a use.
    pub(super) fn not_renewed(&mut self, now: Instant) {
        self.used = now;
        self.deadline = Some(self.deadline.map_or(now + IDLE_RINGS, |at| at.min(now + IDLE_RINGS)));
    }

    pub(crate) fn abort(&mut self) {
        self.phase = Phase::Aborting;
        self.changes = Changes::default();
        self.socket_mut().abort();
    }
}

/// A socket of its own set that waits for the app's SYN.
pub(super) fn listening(tuple: Tuple, ring: usize) -> (SocketSet<'static>, SocketHandle) {
    // The allocator zeroes it: a large ring consists of fresh pages, touched only when used.
    let buffer = || tcp::SocketBuffer::new(vec![0u8; ring]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_ack_delay(None);
    socket.set_nagle_enabled(false);
    socket.set_congestion_control(CongestionControl::Cubic);
    // Only an open socket or port 0 would be refused. Both are excluded.
    let _ = socket.listen((smoltcp::wire::IpAddress::from(tuple.to.ip()), tuple.to.port()));
    let mut set = SocketSet::new(vec![SocketStorage::EMPTY]);
    let handle = set.add(socket);
    (set, handle)
}
