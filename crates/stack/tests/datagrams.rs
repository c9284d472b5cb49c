//! What a UDP header may say (RFC 768), and what is dropped.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::{APP, PEER, Rig};
use common::udp;
use underpass_stack::*;

const APP6: &str = "[fd75:6e64:6572::2]:5000";
const PEER6: &str = "[2600::1]:9999";

/// The packet with so many bytes behind its datagram, which its IP header counts.
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

/// The payload that is taken, or why none is.
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
                    "{behind} bytes behind it"
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
fn a_checksum_is_verified_and_over_ipv4_may_be_none() {
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
