//! The windows that apps have announced. Their kernel here is smoltcp, which cuts data beyond its
//! window and still takes the FIN that follows them, so that an app would see an end too early.
//! Linux takes such a FIN only when the cut data have come again (`tcp_data_queue` in
//! net/ipv4/tcp_input.c). Data beyond the window occur when smoltcp repeats a segment after equal
//! ACKs: it does not check the window there.

use crate::engine::pretend::packets::{FIN, SYN, data_length, four, tcp_at, two};
use std::collections::HashMap;

/// The right edge of each app's window, by its port.
#[derive(Default)]
pub(super) struct Windows(HashMap<u16, Window>);

#[derive(Clone, Copy, Default)]
struct Window {
    shift: u8,
    edge: u32,
}

/// The window scale option of a SYN (RFC 7323 2.2).
fn scale(tcp: &[u8]) -> u8 {
    let options = &tcp[20..4 * usize::from(tcp[12] >> 4)];
    options.windows(3).find(|option| option[..2] == [3, 3]).map_or(0, |option| option[2])
}

impl Windows {
    /// An app sends this.
    pub(super) fn note(&mut self, packet: &[u8]) {
        let Some(tcp) = tcp_at(packet).map(|at| &packet[at..]) else { return };
        let window = self.0.entry(two(tcp, 0)).or_default();
        if tcp[13] & SYN != 0 {
            *window = Window { shift: scale(tcp), edge: 0 };
        } else {
            window.edge = four(tcp, 8).wrapping_add(u32::from(two(tcp, 14)) << window.shift);
        }
    }

    /// A packet for an app, without a FIN that comes too early.
    pub(super) fn filter(&self, packet: &mut [u8]) {
        let Some(tcp) = tcp_at(packet).map(|at| &mut packet[at..]) else { return };
        let Some(window) = self.0.get(&two(tcp, 2)).filter(|_| tcp[13] & FIN != 0) else { return };
        let end = four(tcp, 4).wrapping_add(u32::try_from(data_length(tcp)).unwrap());
        let beyond = end.wrapping_sub(window.edge);
        if beyond > 0 && beyond < 1 << 31 {
            tcp[13] &= !FIN;
            // RFC 1624 3: a word that is less by one.
            let sum = u32::from(!two(tcp, 16)) + 0xfffe;
            let sum = (sum & 0xffff) + (sum >> 16);
            tcp[16..18].copy_from_slice(&(!u16::try_from(sum & 0xffff).unwrap()).to_be_bytes());
        }
    }
}
