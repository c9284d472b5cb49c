//! Reassembly: the fragments that make a datagram, those that spoil it, and how long the stack
//! waits for them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::Rig;
use etherparse::checksum::Sum16BitWords;
use std::time::Duration;
use underpass_stack::*;

/// How long a reassembly waits for fragments.
const WAIT: Duration = Duration::from_secs(30);

/// ECN of a packet that experienced congestion, and of an ECN-capable one (RFC 3168 section 5).
const CE: u8 = 3;
const ECT: u8 = 2;

#[derive(Clone, Copy)]
struct Part<'a> {
    id: u16,
    offset: usize,
    more: bool,
    bytes: &'a [u8],
    ecn: u8,
    ttl: u8,
}

impl<'a> Part<'a> {
    fn of(id: u16, datagram: &'a [u8], from: usize, to: usize) -> Self {
        Self {
            id,
            offset: from,
            more: to < datagram.len(),
            bytes: &datagram[from..to],
            ecn: ECT,
            ttl: 64,
        }
    }

    /// From 10.99.0.18 to 8.8.4.4, as UDP.
    fn v4(self) -> Vec<u8> {
        let mut packet = vec![0x45, self.ecn];
        packet.extend(u16::try_from(20 + self.bytes.len()).unwrap().to_be_bytes());
        packet.extend(self.id.to_be_bytes());
        let place = u16::try_from(self.offset / 8).unwrap() | if self.more { 0x2000 } else { 0 };
        packet.extend(place.to_be_bytes());
        packet.extend([self.ttl, 17, 0, 0, 10, 99, 0, 18, 8, 8, 4, 4]);
        let sum = Sum16BitWords::new().add_slice(&packet).ones_complement();
        packet[10..12].copy_from_slice(&sum.to_ne_bytes());
        packet.extend(self.bytes);
        packet
    }

    /// From the VM's address to 2600::1, with a fragment header (RFC 8200 4.5).
    fn v6(self) -> Vec<u8> {
        let mut packet = vec![0x60 | self.ecn >> 4, self.ecn << 4, 0, 0];
        packet.extend(u16::try_from(8 + self.bytes.len()).unwrap().to_be_bytes());
        packet.extend([44, self.ttl]);
        packet.extend([0xfd, 0x75, 0x6e, 0x64, 0x65, 0x72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        packet.extend([0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([17, 0]);
        let place = u16::try_from(self.offset).unwrap() | u16::from(self.more);
        packet.extend(place.to_be_bytes());
        packet.extend(u32::from(self.id).to_be_bytes());
        packet.extend(self.bytes);
        packet
    }
}

/// A datagram from port 5000 to 9999 without a checksum, its payload a function of its length.
fn datagram(length: usize) -> Vec<u8> {
    let mut bytes = vec![0x13, 0x88, 0x27, 0x0f];
    bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend((8..length).map(|n| (n % 251) as u8));
    bytes
}

/// Feeds fragments. Returns the payload and the traffic class of the resulting datagram.
fn feed(rig: &mut Rig, packets: impl IntoIterator<Item = Vec<u8>>) -> Option<(Vec<u8>, Marks)> {
    let mut whole = None;
    for packet in packets {
        for event in rig.feed(&packet).0 {
            if let Event::Datagram { bytes, marks, .. } = event {
                assert_eq!(whole.replace((bytes, marks)), None, "two datagrams from one");
            }
        }
    }
    whole
}

fn dropped(rig: &mut Rig) -> (u64, u64) {
    let stats = rig.stack.stats();
    (stats.dropped(DropReason::Fragment), stats.dropped(DropReason::ReassemblyExpired))
}

#[test]
fn fragments_in_any_order_make_the_datagram() {
    let whole = datagram(100);
    let cuts = [(0, 24), (24, 56), (56, 100)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut rig = Rig::new(1500);
        let parts = order.map(|n| Part::of(7, &whole, cuts[n].0, cuts[n].1));
        let (bytes, marks) = feed(&mut rig, parts.map(Part::v4)).unwrap();
        assert_eq!(
            (&bytes[..], marks.ttl, marks.fragments),
            (&whole[8..], 63, Fragments::Allowed),
            "{order:?}"
        );
        assert_eq!((dropped(&mut rig), rig.stack.next_deadline().is_some()), ((0, 0), true));
    }
}

#[test]
fn a_datagram_is_known_by_all_of_its_key() {
    let (one, other) = (datagram(64), datagram(48));
    let mut rig = Rig::new(1500);
    let parts = [Part::of(7, &one, 0, 32), Part::of(8, &other, 0, 24), Part::of(8, &other, 24, 48)];
    assert_eq!(feed(&mut rig, parts.map(Part::v4)).unwrap().0, other[8..]);
    assert_eq!(feed(&mut rig, [Part::of(7, &one, 32, 64).v4()]).unwrap().0, one[8..]);
}

#[test]
fn too_long_or_odd_parts_are_not_fragments() {
    let whole = datagram(64);
    let first = Part::of(7, &whole, 0, 32);
    let odd = [
        Part { bytes: &whole[..31], ..first },
        Part { bytes: &[], ..first },
        // The last byte that fits IPv4's length field is 65,515 after a header.
        Part { offset: 65_512, more: false, bytes: &[1; 4], ..first },
    ];
    for (n, part) in odd.into_iter().enumerate() {
        let mut rig = Rig::new(1500);
        assert_eq!(feed(&mut rig, [part.v4()]), None);
        assert_eq!(
            (dropped(&mut rig), rig.stack.next_deadline()),
            ((1, 0), None),
            "{n}: something was kept"
        );
    }
    let mut rig = Rig::new(1500);
    feed(&mut rig, [Part { offset: 65_512, more: false, bytes: &[1; 3], ..first }.v4()]);
    feed(&mut rig, [Part { offset: 65_528, more: false, bytes: &[1; 7], ..first }.v6()]);
    assert_eq!(dropped(&mut rig), (0, 0), "as long as it may be");
    feed(&mut rig, [Part { offset: 65_528, more: false, bytes: &[1; 8], ..first }.v6()]);
    assert_eq!(dropped(&mut rig), (1, 0));
}

#[test]
fn a_last_fragment_may_have_any_length() {
    let whole = datagram(61);
    let mut rig = Rig::new(1500);
    let parts = [Part::of(7, &whole, 0, 32), Part::of(7, &whole, 32, 61)];
    assert_eq!(feed(&mut rig, parts.map(Part::v4)).unwrap().0, whole[8..]);
}

#[test]
fn a_fragment_that_comes_twice_is_taken_once() {
    let whole = datagram(64);
    let mut rig = Rig::new(1500);
    let first = Part::of(7, &whole, 0, 32);
    let last = Part::of(7, &whole, 32, 64);
    assert_eq!(feed(&mut rig, [first, first, last].map(Part::v4)).unwrap().0, whole[8..]);
    assert_eq!(dropped(&mut rig), (0, 0));
}

/// Each spoils the datagram: it is dropped whole, with its later fragments (RFC 5722 section 4).
#[test]
fn an_overlap_or_two_ends_spoil_the_datagram() {
    let whole = datagram(96);
    let mut other = whole.clone();
    other[20] ^= 1;
    let part = |from, to| Part::of(7, &whole, from, to);
    let last = |from, to| Part { more: false, ..part(from, to) };
    let cases: [(&str, Vec<Part<'_>>); 8] = [
        ("the same place with other bytes", vec![part(0, 32), Part::of(7, &other, 0, 32)]),
        ("its end overlaps another", vec![part(32, 64), part(8, 40)]),
        ("its beginning overlaps another", vec![part(0, 32), part(24, 56)]),
        ("within another", vec![part(0, 64), part(16, 24)]),
        ("around another", vec![part(16, 24), part(0, 64)]),
        ("an end before an existing part", vec![part(64, 88), last(32, 40)]),
        ("a second end", vec![last(64, 96), last(32, 40)]),
        ("beyond the end", vec![last(32, 40), part(40, 48)]),
    ];
    for (name, parts) in cases {
        let mut rig = Rig::new(1500);
        assert_eq!(feed(&mut rig, parts.iter().map(|part| part.v4())), None, "{name}");
        assert_eq!(dropped(&mut rig), (1, 0), "{name}");
        // No later fragment completes the datagram.
        assert_eq!(feed(&mut rig, [part(0, 48), part(48, 96)].map(Part::v4)), None, "{name}");
        assert_eq!(dropped(&mut rig), (3, 0), "{name}");
        // It was reported before its time is over.
        rig.wait(WAIT);
        assert_eq!((dropped(&mut rig), rig.stack.next_deadline()), ((3, 0), None), "{name}");
        assert_eq!(
            feed(&mut rig, [part(0, 48), part(48, 96)].map(Part::v4)).unwrap().0,
            whole[8..],
            "{name}"
        );
    }
}

#[test]
fn neighbours_do_not_overlap() {
    let whole = datagram(96);
    let mut rig = Rig::new(1500);
    let parts =
        [Part::of(7, &whole, 32, 64), Part::of(7, &whole, 64, 96), Part::of(7, &whole, 0, 32)];
    assert_eq!(feed(&mut rig, parts.map(Part::v4)).unwrap().0, whole[8..]);
}

#[test]
fn fragments_are_waited_for_from_the_first_on_and_not_longer() {
    let whole = datagram(96);
    let mut rig = Rig::new(1500);
    let begin = rig.now;
    feed(&mut rig, [Part::of(7, &whole, 0, 32).v4()]);
    assert_eq!(rig.stack.next_deadline(), Some(begin + WAIT));
    rig.wait(Duration::from_secs(10));
    feed(&mut rig, [Part::of(8, &whole, 0, 32).v4(), Part::of(7, &whole, 32, 64).v4()]);
    assert_eq!(
        rig.stack.next_deadline(),
        Some(begin + WAIT),
        "a later fragment gives no more time"
    );
    rig.wait(Duration::from_secs(20) - Duration::from_millis(1));
    assert_eq!(dropped(&mut rig), (0, 0));
    rig.wait(Duration::from_millis(1));
    assert_eq!(
        (dropped(&mut rig), rig.stack.next_deadline()),
        ((0, 1), Some(begin + 4 * WAIT / 3))
    );
    assert_eq!(
        feed(&mut rig, [Part::of(7, &whole, 64, 96).v4()]),
        None,
        "the beginning is dropped"
    );
    assert_eq!(feed(&mut rig, [Part::of(8, &whole, 32, 96).v4()]).unwrap().0, whole[8..]);
}

#[test]
fn the_oldest_datagram_makes_room() {
    let whole = datagram(64);
    let mut rig = Rig::new(1500);
    feed(&mut rig, (0..64).map(|id| Part::of(id, &whole, 0, 32).v4()));
    assert_eq!(dropped(&mut rig), (0, 0));
    feed(&mut rig, [Part::of(64, &whole, 0, 32).v4()]);
    assert_eq!(dropped(&mut rig), (0, 1));
    for id in 1..=64 {
        let (bytes, _) = feed(&mut rig, [Part::of(id, &whole, 32, 64).v4()]).unwrap();
        assert_eq!(bytes, whole[8..], "{id}");
    }
    assert_eq!(feed(&mut rig, [Part::of(0, &whole, 32, 64).v4()]), None);
}

#[test]
fn a_datagram_has_as_many_parts_as_sane_senders_make() {
    let (length, whole) = (8 * 129, datagram(8 * 129));
    let parts = |most: usize| {
        let cut = move |n: usize| if n + 1 == most { length } else { 8 * (n + 1) };
        (0..most).map(move |n| (8 * n, cut(n)))
    };
    let mut rig = Rig::new(1500);
    let most: Vec<_> = parts(128).map(|(from, to)| Part::of(7, &whole, from, to).v4()).collect();
    assert_eq!(feed(&mut rig, most).unwrap().0, whole[8..]);
    let more: Vec<_> = parts(129).map(|(from, to)| Part::of(8, &whole, from, to).v4()).collect();
    assert_eq!(feed(&mut rig, more), None);
    assert_eq!(dropped(&mut rig), (1, 0));
}

/// RFC 3168 section 5.3.
#[test]
fn congestion_that_one_fragment_met_counts_for_all() {
    let whole = datagram(64);
    let class = |first, second| {
        let mut rig = Rig::new(1500);
        let parts = [Part::of(7, &whole, 0, 32), Part::of(7, &whole, 32, 64)];
        let parts = [Part { ecn: first, ..parts[0] }, Part { ecn: second, ..parts[1] }];
        feed(&mut rig, parts.map(Part::v4)).unwrap().1.traffic_class
    };
    assert_eq!(class(ECT, ECT), ECT);
    assert_eq!(class(ECT, CE), CE);
    assert_eq!(class(CE, ECT), CE);
    assert_eq!(class(0xb8 | ECT, CE), 0xb8 | CE, "the other bits are those of the first one");
    assert_eq!(class(0, CE), 0, "a sender without ECN");
    assert_eq!(class(1, ECT), 1, "only congestion is passed on");
}

#[test]
fn a_datagram_of_ipv6_is_put_together_with_its_class_and_hops() {
    let mut whole = datagram(64);
    let source = [0xfd, 0x75, 0x6e, 0x64, 0x65, 0x72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let to = [0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let sum = Sum16BitWords::new().add_16bytes(source).add_16bytes(to).add_2bytes([0, 17]);
    let sum = sum.add_2bytes([0, 64]).add_slice(&whole).to_ones_complement_with_no_zero();
    whole[6..8].copy_from_slice(&sum.to_ne_bytes());
    let mut rig = Rig::new(1500);
    let parts = [Part::of(7, &whole, 0, 32), Part::of(7, &whole, 32, 64)];
    let parts = parts.map(|part| Part { ecn: 0xb8 | CE, ttl: 9, ..part });
    let (bytes, marks) = feed(&mut rig, parts.map(Part::v6)).unwrap();
    assert_eq!((&bytes[..], marks.ttl, marks.traffic_class), (&whole[8..], 8, 0xb8 | CE));
}
