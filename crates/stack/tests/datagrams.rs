//! Valid UDP headers (RFC 768), and those that the stack drops.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::{APP, PEER, Rig};
use common::udp;
use underpass_stack::limits::{MAX_ALIASES, MAX_BINDS};
use underpass_stack::*;

const APP6: &str = "[fd75:6e64:6572::2]:5000";
const PEER6: &str = "[2600::1]:9999";

/// The packet with extra bytes after its datagram, which its IP header counts.
fn with_trailer(packet: &[u8], bytes: usize) -> Vec<u8> {
    let mut longer = [packet, &vec![0xee; bytes]].concat();
    if packet[0] >> 4 == 6 {
        let length = u16::try_from(longer.len() - 40).unwrap();
        longer[4..6].copy_from_slice(&length.to_be_bytes());
    } else {
        let length = u16::try_from(longer.len()).unwrap();
        longer[2..4].copy_from_slice(&length.to_be_bytes());
        longer[10..12].fill(0);
        let sum =
            etherparse::checksum::Sum16BitWords::new().add_slice(&longer[..20]).ones_complement();
        longer[10..12].copy_from_slice(&sum.to_ne_bytes());
    }
    longer
}

/// The payload taken, or the reason for the drop.
fn taken(packet: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut rig = Rig::new(1500);
    let (events, sent) = rig.feed(packet);
    assert!(sent.is_empty());
    match &events[..] {
        [Event::Bind { .. }, Event::Datagram { bytes, .. }] => Ok(bytes.to_vec()),
        [] => Err(DropReason::ALL
            .into_iter()
            .find(|why| rig.stack.stats().dropped(*why) == 1)
            .unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_datagram_is_as_long_as_its_own_header_says() {
    for (app, peer, head) in [(APP, PEER, 20), (APP6, PEER6, 40)] {
        for payload in [&b""[..], b"abc", b"abcd"] {
            let packet = udp(app, peer, 64, payload);
            for behind in [0, 1, 2, 9] {
                assert_eq!(
                    taken(&with_trailer(&packet, behind)),
                    Ok(payload.to_vec()),
                    "{behind} bytes after it"
                );
            }
            for length in [0, 7, payload.len() + 9] {
                let mut wrong = packet.clone();
                wrong[head + 4..head + 6]
                    .copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
                assert_eq!(taken(&wrong), Err(DropReason::Malformed), "{length} bytes");
            }
        }
        let short = with_trailer(&udp(app, peer, 64, b"")[..head], 7);
        assert_eq!(taken(&short), Err(DropReason::Malformed), "no whole header");
    }
}

#[test]
fn a_checksum_is_verified_and_optional_over_ipv4() {
    for (app, peer, head, without) in
        [(APP, PEER, 20, Ok(b"abc".to_vec())), (APP6, PEER6, 40, Err(DropReason::Checksum))]
    {
        let packet = udp(app, peer, 64, b"abc");
        for at in [head, head + 2, head + 6, head + 8] {
            let mut damaged = packet.clone();
            damaged[at] ^= 1;
            assert_eq!(taken(&damaged), Err(DropReason::Checksum), "byte {at}");
        }
        let mut none = packet;
        none[head + 6..head + 8].fill(0);
        assert_eq!(taken(&none), without);
    }
}

/// An app knows the host's loopback by more than one address. An answer must come from the address
/// that the app used.
#[test]
fn the_ports_of_the_host_that_were_asked_last_answer_by_the_address_that_was_asked() {
    let (captured, alias) = ([172, 20, 0, 1], [10, 99, 0, 19]);
    let mut rig = Rig::new(1500);
    let ask = |rig: &mut Rig, ip: [u8; 4], port: u16| {
        rig.bind(APP, &std::net::SocketAddr::from((ip, port)).to_string())
    };
    let last = 7000 + u16::try_from(MAX_ALIASES).unwrap() - 1;
    let bind = ask(&mut rig, captured, 7000);
    for port in 7001..=last {
        assert_eq!(ask(&mut rig, captured, port), bind);
    }
    let from = |rig: &mut Rig, port: u16| {
        let peer = ([127, 0, 0, 1], port).into();
        let sent = rig
            .out(|s, now, out| s.deliver_datagram(now, bind, peer, b"r", Marks::of_ttl(64), out));
        <[u8; 4]>::try_from(&sent[0][12..16]).unwrap()
    };
    for port in 7000..=last {
        assert_eq!(from(&mut rig, port), captured, "{port}");
    }
    // The same port takes no second place by another address, however often the app uses it.
    for (ip, times) in [(alias, 1), (captured, 3)] {
        for _ in 0..times {
            ask(&mut rig, ip, 7000);
        }
        assert_eq!(from(&mut rig, 7000), ip);
        for port in 7001..=last {
            assert_eq!(from(&mut rig, port), captured, "{port}");
        }
    }
    // The port that was unused longest makes room, and answers by the host's alias.
    ask(&mut rig, captured, last + 1);
    for port in 7000..=last + 1 {
        let expected = if port == 7001 { alias } else { captured };
        assert_eq!(from(&mut rig, port), expected, "{port}");
    }
}

#[test]
fn the_number_of_binds_is_what_the_relays_have_sockets_for() {
    let mut rig = Rig::new(1500);
    assert_eq!(rig.stack.max_binds(), MAX_BINDS);
    for (asked, most) in [(3, 3), (0, 1), (1, 1), (65_535, 65_535), (65_536, 65_535)] {
        rig.stack.set_max_binds(asked);
        assert_eq!(rig.stack.max_binds(), most, "{asked}");
    }
}
