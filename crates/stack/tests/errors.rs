//! ICMP errors: about what, of which size.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::Rig;

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
        let head =
            etherparse::Ipv4Header::new(length, 64, etherparse::IpNumber(132), [10, 99, 0, 18], [8, 8, 4, 4]).unwrap();
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
        for bytes in [0, 8, most - overhead - head - 1, most - overhead - head, most - overhead - head + 1, 1400] {
            let packet = unknown(is_v6, bytes);
            let (events, sent) = Rig::new(1500).feed(&packet);
            assert_eq!((events.len(), sent.len()), (0, 1), "{bytes} bytes");
            assert_eq!(sent[0].len(), most.min(packet.len() + overhead));
            let quote = &sent[0][overhead..];
            assert_eq!(quote, &packet[..quote.len()]);
        }
    }
}
