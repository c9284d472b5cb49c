//! Fresh rings for an idle flow. smoltcp's receive ring walks through its whole memory even if it
//! holds little, and a burst leaves the send ring touched; touched pages stay. smoltcp cannot
//! exchange the rings of an open socket. So the flow gets a new socket in the state of the old one:
//! it goes through a handshake made here, of which nothing leaves the stack, with the sequence
//! numbers that the connection has reached.
//!
//! This works only while nothing is in flight or buffered either way; `Flow::is_quiet` checks that.
//! smoltcp's round-trip estimate is lost, just as RFC 5681 4.1 resets congestion windows after idle
//! time. A segment that waited after a gap is dropped. RFC 2018 8 allows a receiver to do that, and
//! the app sends it again.

use super::bare::Bare;
use super::device::{Nowhere, Port, Terms};
use super::flow::{Flow, listening};
use super::syn::{ACK, SYN};
use super::{Around, Moment};
use crate::offload::Offload;
use crate::stats::Stats;
use smoltcp::iface::{Config, Interface, PollResult};
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::wire::HardwareAddress;

/// The seed from which smoltcp's generator (sPCG32: one multiplication and one addition, then a
/// shift by 29 where the three upper bits are 0) gives `wanted` as its second number. The first is
/// an interface's IPv4 identification. The caller checks the result: if it differs (that first
/// number was 0, or a later smoltcp differs), the flow keeps its old rings.
fn seed_for(wanted: u32) -> u64 {
    const FACTOR: u64 = 0xbb2e_fcec_3c39_611d;
    const ADDEND: u64 = 0x7590_ef39;
    // Newton's iteration for the inverse modulo 2^64. Each round doubles the number of correct
    // bits. An odd number starts with 3.
    let mut inverse = FACTOR;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(FACTOR.wrapping_mul(inverse)));
    }
    let before = |state: u64| state.wrapping_sub(ADDEND).wrapping_mul(inverse);
    before(before(u64::from(wanted) << 29))
}

impl Flow {
    /// Exchanges the socket of a quiet flow for one with untouched rings of the same size.
    pub(super) fn renew(
        &mut self,
        Moment { now, at }: Moment,
        offload: Offload,
        around: &mut Around<'_>,
    ) {
        let (tuple, unread, next) = (self.tuple, self.unread_from, self.acked);
        // The same size, because it determines the window's scale.
        let (mut set, handle) = listening(tuple, self.socket().recv_capacity());
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed_for(next.wrapping_sub(1));
        let mut unseen = Stats::default();
        let syn = Bare { seq: unread.wrapping_sub(1), ack: 0, flags: SYN, window: self.window };
        let syn = syn.as_from_app(tuple, &self.options.bytes());
        let ack = Bare { seq: unread, ack: next, flags: ACK, window: self.window }
            .as_from_app(tuple, &[]);
        let mut port = Port {
            packet: Some(&syn),
            link: around.link,
            stats: &mut unseen,
            out: &mut Nowhere,
            offload,
            // None of it leaves the stack.
            terms: Terms::default(),
            last: None,
        };
        let mut iface = Interface::new(config, &mut port, at);
        iface.set_any_ip(true);
        let _ = iface.poll_ingress_single(at, &mut port, &mut set);
        while iface.poll_egress(at, &mut port, &mut set) != PollResult::None {}
        let last = port.last.filter(|last| last.next == next && last.ack == unread);
        port.packet = Some(&ack);
        let _ = iface.poll_ingress_single(at, &mut port, &mut set);
        let Some(mut last) =
            last.filter(|_| set.get::<Socket<'_>>(handle).state() == State::Established)
        else {
            self.not_renewed(now);
            return;
        };
        // The app sees the whole window: the new socket does not know how much of it the old one
        // had advertised.
        last.window = self.full_window();
        Bare { seq: next, ack: unread, flags: ACK, window: last.window }.send(around, tuple);
        around.stats.rings_renewed += 1;
        self.renewed(set, handle, last);
    }

    /// The window field for an empty ring.
    fn full_window(&self) -> u16 {
        let whole = self.socket().recv_capacity() >> self.window_scale();
        self.terms(usize::MAX).advertised(u16::try_from(whole).unwrap_or(u16::MAX))
    }
}
