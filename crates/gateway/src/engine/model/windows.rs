//! What apps have told of their windows. Their kernel here is smoltcp, which cuts data that are
//! beyond its window and takes the FIN behind them all the same, so that an app would see an end
//! too early. Linux takes such a FIN when what was cut has come again (`tcp_data_queue` in
//! net/ipv4/tcp_input.c). Data beyond the window come where smoltcp repeats a segment for equal
//! ACKs: it does not look at the window there.

use std::collections::HashMap;

const FIN: u8 = 1;
const SYN: u8 = 2;

/// The right edge of each app's window, by its port.
#[derive(Default)]
pub(super) struct Windows(HashMap<u16, Window>);

#[derive(Clone, Copy, Default)]
struct Window {
    shift: u8,
    edge: u32,
}

/// Where TCP's header begins in a packet without options or extension headers; none of another
/// protocol.
fn tcp_at(packet: &[u8]) -> Option<usize> {
    match (packet[0] >> 4, packet[9], packet[6]) {
        (4, 6, _) => Some(20),
        (6, _, 6) => Some(40),
        _ => None,
    }
}

fn two(tcp: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([tcp[at], tcp[at + 1]])
}

fn four(tcp: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]])
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
        let data = tcp.len() - 4 * usize::from(tcp[12] >> 4);
        let end = four(tcp, 4).wrapping_add(u32::try_from(data).unwrap());
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
