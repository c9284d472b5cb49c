//! Random bytes, and nearly valid packets: no panic, and the stack continues to serve.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::*;
use proptest::prelude::*;
use std::time::Duration;
use underpass_stack::*;

fn valid_packet() -> impl Strategy<Value = Vec<u8>> {
    let flags = 0u8..64;
    (flags, any::<u32>(), any::<u32>(), 0usize..3000, 1u16..4, prop::bool::ANY).prop_map(
        |(flags, seq, ack, len, port, v6)| {
            let mut packet = Vec::new();
            let tcp = |mut header: etherparse::TcpHeader| {
                header.fin = flags & 1 != 0;
                header.syn = flags & 2 != 0;
                header.rst = flags & 4 != 0;
                header.psh = flags & 8 != 0;
                header.ack = flags & 16 != 0;
                header.urg = flags & 32 != 0;
                // Near the numbers that the stack uses, so that segments fall into windows.
                header.acknowledgment_number = ack % 4096;
                header
            };
            let mut header = tcp(etherparse::TcpHeader::new(
                1000 + port,
                80,
                5000u32.wrapping_add(seq % 9000),
                8000,
            ));
            let _ = header.set_options_raw(&[2, 4, 5, 0xb4, 1, 3, 3, 7]);
            if v6 {
                let (src, dst) = (
                    "fd75:6e64:6572::2".parse::<std::net::Ipv6Addr>().unwrap(),
                    "2600::1".parse::<std::net::Ipv6Addr>().unwrap(),
                );
                etherparse::PacketBuilder::ipv6(src.octets(), dst.octets(), 64)
                    .tcp_header(header)
                    .write(&mut packet, &vec![7; len])
                    .unwrap();
            } else {
                etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 8, 8], 64)
                    .tcp_header(header)
                    .write(&mut packet, &vec![7; len])
                    .unwrap();
            }
            packet
        },
    )
}

#[derive(Clone, Debug)]
enum Op {
    Random(Vec<u8>),
    Valid(Vec<u8>),
    Mutated(Vec<u8>, Vec<(usize, u8)>),
    Serve(u8),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Op::Random),
        valid_packet().prop_map(Op::Valid),
        (valid_packet(), prop::collection::vec((0usize..120, any::<u8>()), 1..4))
            .prop_map(|(p, m)| Op::Mutated(p, m)),
        any::<u8>().prop_map(Op::Serve),
        (1u64..20_000).prop_map(Op::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_frame_panics(ops in prop::collection::vec(op(), 1..40), vnet: bool) {
        let mut now = start();
        let offload = if vnet { Offload::Vnet } else { Offload::None };
        let mut stack = Stack::new(config(offload, 1500), now);
        let mut sink = Sink::default();
        let mut flows = Vec::new();
        for op in ops {
            match op {
                Op::Random(bytes) => {
                    stack.ingest(now, &bytes, RxMeta::ChecksumTrusted, &mut sink);
                    if !bytes.is_empty() {
                        stack.ingest(now, &frame(&bytes), RxMeta::ChecksumTrusted, &mut sink);
                    }
                }
                Op::Valid(packet) => stack.ingest(now, &frame(&packet), RxMeta::Unverified, &mut sink),
                Op::Mutated(mut packet, changes) => {
                    for (at, to) in changes {
                        let at = at % packet.len();
                        packet[at] = to;
                    }
                    if packet[0] >> 4 == 4 {
                        packet[10..12].copy_from_slice(&[0, 0]);
                        let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&packet[..20]).ones_complement();
                        packet[10..12].copy_from_slice(&sum.to_ne_bytes());
                    }
                    stack.ingest(now, &frame(&packet), RxMeta::ChecksumTrusted, &mut sink);
                }
                Op::Serve(what) => {
                    for flow in &flows {
                        match what % 7 {
                            0 => { stack.write(*flow, &[1; 5000]); }
                            1 => { stack.read(*flow, 1000, |_| ()); }
                            2 => stack.finish(*flow),
                            3 => stack.accept(now, *flow, &mut sink),
                            4 => stack.abort(*flow),
                            5 => stack.reset(*flow),
                            _ => stack.refuse(now, *flow, Refusal::Reset, &mut sink),
                        }
                    }
                    stack.service(now, &mut sink);
                }
                Op::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    stack.handle_timeout(now, &mut sink);
                }
            }
            while let Some(event) = stack.poll_event() {
                if let Event::Connect { flow, .. } = event {
                    flows.push(flow);
                    stack.accept(now, flow, &mut sink);
                }
            }
            stack.service(now, &mut sink);
        }
    }
}
