//! ICMP: which requests are carried, and the size of errors.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::Rig;
use underpass_stack::*;

/// A packet of a protocol that is not carried, with so many bytes behind its header.
fn unknown(is_v6: bool, bytes: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    let payload = vec![7; bytes];
    if is_v6 {
        let own = [0xfd, 0x75, 0x6e, 0x64, 0x65, 0x72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        let head = etherparse::Ipv6Header {
            payload_length: u16::try_from(bytes).unwrap(),
            next_header: etherparse::IpNumber(132),
            hop_limit: 64,
            source: own,
            destination: [0x26; 16],
            ..Default::default()
        };
        head.write(&mut packet).unwrap();
    } else {
        let length = u16::try_from(bytes).unwrap();
        let head = etherparse::Ipv4Header::new(
            length,
            64,
            etherparse::IpNumber(132),
            [10, 99, 0, 18],
            [8, 8, 4, 4],
        )
        .unwrap();
        head.write(&mut packet).unwrap();
    }
    packet.extend_from_slice(&payload);
    packet
}

/// RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4 (c): as much as fits 576 and 1280 bytes.
#[test]
fn an_error_quotes_as_much_as_every_link_takes() {
    for (is_v6, head, most) in [(false, 20, 576), (true, 40, 1280)] {
        let overhead = head + 8;
        for bytes in [
            0,
            8,
            most - overhead - head - 1,
            most - overhead - head,
            most - overhead - head + 1,
            1400,
        ] {
            let packet = unknown(is_v6, bytes);
            let (events, sent) = Rig::new(1500).feed(&packet);
            assert_eq!((events.len(), sent.len()), (0, 1), "{bytes} bytes");
            assert_eq!(sent[0].len(), most.min(packet.len() + overhead));
            let quote = &sent[0][overhead..];
            assert_eq!(quote, &packet[..quote.len()]);
        }
    }
}

/// RFC 792: the header alone is an echo request.
#[test]
fn an_echo_request_needs_no_payload_but_a_whole_header() {
    for length in [7, 8, 9] {
        let mut message = vec![8, 0, 0, 0, 0, 77, 0, 3, 9];
        message.truncate(length);
        let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message).ones_complement();
        message[2..4].copy_from_slice(&sum.to_ne_bytes());
        let mut packet = Vec::new();
        let to = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 8, 8], 64);
        to.write(&mut packet, etherparse::IpNumber::ICMP, &message).unwrap();
        let mut rig = Rig::new(1500);
        let (events, sent) = rig.feed(&packet);
        assert!(sent.is_empty());
        let dropped = rig.stack.stats().dropped(DropReason::Malformed);
        match &events[..] {
            [Event::Echo { payload, .. }] => assert_eq!((payload.len(), dropped), (length - 8, 0)),
            other => assert_eq!((other.len(), length, dropped), (0, 7, 1)),
        }
    }
}
