//! TCP between a smoltcp client (the app) and the stack, under a virtual clock.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::*;
use smoltcp::socket::tcp::State;
use std::time::Duration;
use underpass_stack::*;

const MS: Duration = Duration::from_millis(1);
const TO: &str = "93.184.216.34:80";

fn byte(i: usize) -> u8 {
    (i.wrapping_mul(2_654_435_761) >> 13) as u8
}

/// Sends `total` bytes each way at once and checks every one.
fn exchange(sim: &mut Sim, to: &str, total: usize, port: u16) {
    let (handle, flow) = sim.open(to, port, 256 * 1024);
    let (mut sent_up, mut got_up, mut sent_down, mut got_down) = (0, 0, 0, 0);
    for _ in 0..400_000 {
        let socket = sim.socket(handle);
        while sent_up < total && socket.can_send() {
            let chunk: Vec<u8> = (sent_up..total.min(sent_up + 50_000)).map(byte).collect();
            sent_up += socket.send_slice(&chunk).unwrap();
        }
        while socket.can_recv() {
            socket
                .recv(|bytes| {
                    for b in bytes.iter() {
                        assert_eq!(*b, byte(got_down + 1), "byte {got_down} towards the app");
                        got_down += 1;
                    }
                    (bytes.len(), ())
                })
                .unwrap();
        }
        sim.stack.read(flow, usize::MAX, |bytes| {
            for b in bytes {
                assert_eq!(*b, byte(got_up), "byte {got_up} from the app");
                got_up += 1;
            }
        });
        let room = sim.stack.room(flow).min(total - sent_down);
        let chunk: Vec<u8> = (sent_down..sent_down + room).map(|i| byte(i + 1)).collect();
        sent_down += sim.stack.write(flow, &chunk);
        if got_up == total && got_down == total {
            break;
        }
        sim.step(MS);
    }
    assert_eq!((got_up, got_down), (total, total));
    sim.stack.finish(flow);
    sim.socket(handle).close();
    sim.until("closed", |sim| sim.saw(flow, Changes::CLOSED));
    assert_eq!(sim.stack.stats().flows, 0);
}

#[test]
fn bytes_are_exact_with_and_without_offload_and_over_both_families() {
    for (offload, mtu, to) in [
        (Offload::None, 1500, TO),
        (Offload::None, 65_520, TO),
        (Offload::Vnet, 1500, TO),
        (Offload::Vnet, 65_520, "[2606:2800::1]:443"),
        (Offload::None, 1500, "[2606:2800::1]:443"),
    ] {
        let mut sim = Sim::new(offload, mtu);
        exchange(&mut sim, to, 3_000_000, 4000);
        assert_eq!(
            sim.largest_gso > 1500,
            offload == Offload::Vnet && mtu == 1500,
            "{offload:?} {mtu}"
        );
        assert_eq!(sim.stack.stats().dropped(DropReason::Checksum), 0);
    }
}

#[test]
fn loss_only_slows() {
    for offload in [Offload::None, Offload::Vnet] {
        let mut sim = Sim::new(offload, 1500);
        sim.loss_per_mille = 10;
        exchange(&mut sim, TO, 400_000, 4000);
    }
}

#[test]
fn a_burst_of_loss_only_slows() {
    let mut sim = Sim::new(Offload::Vnet, 1500);
    let (handle, flow) = sim.open(TO, 4000, 256 * 1024);
    sim.burst = 40;
    assert_eq!(sim.stack.write(flow, &[9; 200_000]), 200_000);
    let mut got = 0;
    sim.until("all there", |sim| {
        let socket = sim.socket(handle);
        while socket.can_recv() {
            got += socket.recv(|bytes| (bytes.len(), bytes.len())).unwrap();
        }
        got == 200_000
    });
}

/// Sends `total` bytes both ways over an open connection and checks their sum.
fn bulk(sim: &mut Sim, handle: smoltcp::iface::SocketHandle, flow: FlowId, total: usize) {
    let bytes: Vec<u8> = (0..total).map(byte).collect();
    let (mut sent_up, mut sent_down, mut up, mut down) = (0, 0, Vec::new(), Vec::new());
    sim.until("bulk", |sim| {
        sent_down += sim.stack.write(flow, &bytes[sent_down..]);
        let socket = sim.socket(handle);
        sent_up += socket.send_slice(&bytes[sent_up..]).unwrap();
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), down.extend_from_slice(bytes))).unwrap();
        }
        sim.stack.read(flow, usize::MAX, |bytes| up.extend_from_slice(bytes));
        up.len() == total && down.len() == total
    });
    assert!(up == bytes && down == bytes);
}

#[test]
fn idle_rings_are_renewed_without_effect_on_the_app() {
    for (offload, to, loss) in
        [(Offload::None, TO, 0), (Offload::Vnet, TO, 10), (Offload::Vnet, "[2606:2800::1]:443", 0)]
    {
        let mut sim = Sim::new(offload, 1500);
        let (handle, flow) = sim.open(to, 4000, 65_536);
        sim.loss_per_mille = loss;
        for round in 1..4 {
            bulk(&mut sim, handle, flow, 300_000);
            for _ in 0..10 {
                sim.step(Duration::from_secs(1));
            }
            assert_eq!(sim.stack.stats().rings_renewed, round, "{offload:?} {to}");
        }
        // An abort of an idle flow needs no reason.
        for _ in 0..10 {
            sim.step(Duration::from_secs(1));
        }
        assert_eq!(sim.stack.stats().rings_renewed, 3);
        sim.loss_per_mille = 0;
        sim.stack.finish(flow);
        sim.socket(handle).close();
        sim.until("closed", |sim| sim.saw(flow, Changes::CLOSED));
        assert!(matches!(sim.socket(handle).state(), State::Closed | State::TimeWait));
    }
}

#[test]
fn connect_first_then_syn_ack_and_one_connect_for_all_retries() {
    let mut sim = Sim::new(Offload::None, 1500);
    let handle = sim.connect(TO, 4000, 4096);
    for _ in 0..4000 {
        sim.step(MS);
    }
    assert_eq!(sim.socket(handle).state(), State::SynSent);
    assert_eq!(sim.events.len(), 1, "{:?}", sim.events);
    assert!(sim.stack.stats().syn_retries >= 1);
    assert_eq!(sim.stack.stats().frames_out, 0);
    let flow = sim.connecting();
    // Bytes of a server that speaks first wait for the handshake.
    sim.with_out(|stack, now, out| stack.accept(now, flow, out));
    assert_eq!(sim.stack.write(flow, b"hello"), 5);
    sim.until("greeting", |sim| sim.socket(handle).recv_queue() == 5);
}

#[test]
fn refusals_reach_the_app() {
    let mut sim = Sim::new(Offload::None, 1500);
    let handle = sim.connect(TO, 4000, 4096);
    let flow = sim.connecting();
    sim.with_out(|stack, now, out| stack.refuse(now, flow, Refusal::Reset, out));
    sim.until("reset", |sim| sim.socket(handle).state() == State::Closed);

    sim.connect(TO, 4001, 4096);
    let flow = sim.connecting();
    let fault =
        Fault { kind: FaultKind::HostUnreachable, router: Some("1.2.3.4".parse().unwrap()) };
    let mut sink = Sink::default();
    sim.stack.refuse(sim.now, flow, Refusal::Unreachable(fault), &mut sink);
    let packet = &sink.0[0].0[14..];
    assert_eq!((packet[9], packet[20], packet[21]), (1, 3, 1));
    assert_eq!(packet[12..16], [1, 2, 3, 4]);
    // Quoted: the SYN's own header and ports.
    assert_eq!(packet[28 + 16..28 + 20], [93, 184, 216, 34]);
    assert_eq!(packet[28 + 20..28 + 22], 4001u16.to_be_bytes());

    // The gateway's own ports and an unknown segment are reset.
    let handle = sim.connect("10.99.0.17:80", 4002, 4096);
    sim.until("reset", |sim| sim.socket(handle).state() == State::Closed);
}

#[test]
fn half_close_each_way() {
    let mut sim = Sim::new(Offload::None, 1500);
    let (handle, flow) = sim.open(TO, 4000, 65_536);
    sim.socket(handle).send_slice(b"question").unwrap();
    sim.socket(handle).close();
    sim.until("app's FIN", |sim| sim.saw(flow, Changes::PEER_FINISHED));
    assert!(!sim.stack.read_finished(flow));
    let mut got = Vec::new();
    sim.stack.read(flow, 100, |bytes| got.extend_from_slice(bytes));
    assert_eq!(got, b"question");
    assert!(sim.stack.read_finished(flow));
    assert_eq!(sim.stack.write(flow, &[5; 30_000]), 30_000);
    sim.stack.finish(flow);
    sim.until("answer", |sim| sim.socket(handle).recv_queue() == 30_000);
    sim.until("closed", |sim| sim.saw(flow, Changes::CLOSED));

    let (handle, flow) = sim.open(TO, 4001, 65_536);
    sim.stack.finish(flow);
    sim.until("our FIN", |sim| sim.socket(handle).state() == State::CloseWait);
    sim.socket(handle).send_slice(&[1; 10_000]).unwrap();
    sim.until("bytes after our FIN", |sim| sim.stack.readable(flow) == 10_000);
    sim.socket(handle).close();
    sim.until("TIME-WAIT", |sim| sim.stack.stats().time_wait == 1);
    // Unread bytes outlive the connection.
    assert_eq!(sim.stack.readable(flow), 10_000);
    assert!(!sim.saw(flow, Changes::CLOSED));
    sim.stack.read(flow, usize::MAX, |_| ());
    sim.step(MS);
    assert!(sim.saw(flow, Changes::CLOSED));
    assert_eq!(sim.stack.stats().flows, 0);
    // The app may use its port again at once.
    sim.socket(handle).abort();
    let (_, again) = sim.open(TO, 4001, 65_536);
    assert_ne!(again, flow);
    assert_eq!(sim.stack.stats().time_wait, 0);
}

#[test]
fn time_wait_ends() {
    let mut sim = Sim::new(Offload::None, 1500);
    let (handle, flow) = sim.open(TO, 4001, 65_536);
    sim.stack.finish(flow);
    sim.until("our FIN", |sim| sim.socket(handle).state() == State::CloseWait);
    sim.socket(handle).close();
    // The last ACK is lost: the app's FIN comes again, and the record answers it.
    sim.until("TIME-WAIT", |sim| {
        sim.burst = 100;
        sim.stack.stats().time_wait == 1
    });
    assert_eq!(sim.socket(handle).state(), State::LastAck);
    sim.burst = 0;
    sim.until("FIN acknowledged", |sim| sim.socket(handle).state() == State::Closed);
    for _ in 0..11 {
        sim.step(Duration::from_secs(1));
    }
    assert_eq!(sim.stack.stats().time_wait, 0);
}

#[test]
fn resets_travel_both_ways() {
    let mut sim = Sim::new(Offload::Vnet, 1500);
    let (handle, flow) = sim.open(TO, 4000, 4096);
    sim.stack.abort(flow);
    sim.until("reset at the app", |sim| sim.socket(handle).state() == State::Closed);
    assert_eq!(sim.stack.stats().flows, 0);

    let (handle, flow) = sim.open(TO, 4001, 4096);
    sim.socket(handle).abort();
    sim.until("reset at the user", |sim| sim.saw(flow, Changes::RESET));
    assert_eq!(sim.stack.stats().flows, 0);
}

#[test]
fn an_unfinished_handshake_is_given_up() {
    let mut sim = Sim::new(Offload::None, 1500);
    let handle = sim.connect(TO, 4002, 4096);
    let flow = sim.connecting();
    sim.sockets.remove(handle);
    sim.wire.tx.clear();
    sim.with_out(|stack, now, out| stack.accept(now, flow, out));
    sim.burst = usize::MAX;
    for _ in 0..limits::HANDSHAKE.as_secs() + 2 {
        sim.step(Duration::from_secs(1));
    }
    assert!(sim.saw(flow, Changes::RESET));
    assert_eq!(sim.stack.stats().flows, 0);
}

#[test]
fn an_app_that_is_gone_times_out_but_an_idle_one_never() {
    let mut sim = Sim::new(Offload::None, 1500);
    let (_, idle) = sim.open(TO, 4000, 4096);
    let (gone, flow) = sim.open(TO, 4001, 4096);
    sim.sockets.remove(gone);
    sim.burst = usize::MAX;
    assert_eq!(sim.stack.write(flow, b"anyone?"), 7);
    for _ in 0..limits::NO_PROGRESS.as_secs() + 70 {
        sim.step(Duration::from_secs(1));
    }
    assert!(sim.saw(flow, Changes::RESET));
    assert_eq!(sim.stack.stats().flows_timed_out, 1);
    sim.now += Duration::from_secs(100_000);
    sim.step(MS);
    assert!(sim.changes(idle).is_empty());
    assert_eq!(sim.stack.stats().flows, 1);
}

#[test]
fn a_zero_window_opens_again() {
    let mut sim = Sim::new(Offload::None, 1500);
    let (handle, flow) = sim.open(TO, 4000, 4 * 1024 * 1024);
    let total = 3 * 1024 * 1024;
    let mut sent = 0;
    while sent < total {
        let n = sim.socket(handle).send_slice(&[7; 65_536]).unwrap();
        assert!(n > 0);
        sent += n;
    }
    // The scaled window is rounded down, so up to 31 bytes stay free.
    sim.until("a full ring", |sim| sim.stack.readable(flow) > 1024 * 1024 - 32);
    for _ in 0..70 {
        sim.step(Duration::from_secs(1));
    }
    let mut got = 0;
    // Small reads at first: a window that opened by a little must not stay shut.
    sim.until("all", |sim| {
        got += sim.stack.read(flow, 10_000, |_| ());
        got == total
    });

    // The app's own window stays closed for a long time.
    let (handle, flow) = sim.open(TO, 4001, 4096);
    assert_eq!(sim.stack.write(flow, &[3; 20_000]), 20_000);
    for _ in 0..2000 {
        sim.step(Duration::from_secs(1));
    }
    assert!(!sim.saw(flow, Changes::RESET), "an answered probe is progress");
    let mut got = 0;
    sim.until("all", |sim| {
        while sim.socket(handle).can_recv() {
            got += sim.socket(handle).recv(|bytes| (bytes.len(), bytes.len())).unwrap();
        }
        got == 20_000
    });
}

#[test]
fn pending_connects_are_bounded_and_harm_no_other() {
    let mut config = config(Offload::None, 1500);
    config.capacity.half_open = 1000;
    let mut sim = Sim::with(config);
    for port in 0..1000 {
        sim.connect(&format!("198.51.100.{}:9", port % 250), 10_000 + port, 16);
    }
    sim.until("1,000 pending", |sim| sim.stack.stats().half_open == 1000);
    let extra = sim.connect(TO, 4000, 4096);
    sim.step(MS);
    assert!(sim.stack.stats().dropped(DropReason::HalfOpenFull) >= 1);
    sim.sockets.remove(extra);
    let Some(Event::Connect { flow, .. }) = sim.events.first().cloned() else {
        panic!("no Connect")
    };
    sim.events.clear();
    sim.stack.reset_flows([flow]);
    // Another app's SYN, not this one's repeated SYN, gets the place.
    let (handle, flow) = sim.open(TO, 4001, 4096);
    assert_eq!(sim.stack.write(flow, b"x"), 1);
    sim.until("byte", |sim| sim.socket(handle).recv_queue() == 1);
}

#[test]
fn a_packets_cost_does_not_grow_with_the_number_of_flows() {
    let mut config = config(Offload::None, 1500);
    config.capacity.half_open = 16_000;
    let mut sim = Sim::with(config);
    let (handle, flow) = sim.open(TO, 4000, 65_536);
    let cost = |sim: &mut Sim| {
        let before = sim.stack.stats().turns;
        for _ in 0..100 {
            sim.socket(handle).send_slice(&[1; 1000]).unwrap();
            sim.step(MS);
            sim.stack.read(flow, usize::MAX, |_| ());
        }
        sim.stack.stats().turns - before
    };
    let alone = cost(&mut sim);
    // 10,000 other flows, opened by hand: a client of that size is not under test.
    let mut sink = Sink::default();
    for i in 0..10_000u16 {
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [198, 51, 100, 7], 64)
            .tcp(20_000 + i, 443, 1000, 64_000)
            .syn()
            .write(&mut packet, &[])
            .unwrap();
        sim.stack.ingest(sim.now, &frame(&packet), RxMeta::Unverified, &mut sink);
        while let Some(event) = sim.stack.poll_event() {
            if let Event::Connect { flow, .. } = event {
                sim.stack.accept(sim.now, flow, &mut sink);
            }
        }
        sim.stack.service(sim.now, &mut sink);
        let syn_ack = sink.0.pop().unwrap().0;
        let seq = u32::from_be_bytes(syn_ack[38..42].try_into().unwrap());
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [198, 51, 100, 7], 64)
            .tcp(20_000 + i, 443, 1001, 64_000)
            .ack(seq.wrapping_add(1))
            .write(&mut packet, &[])
            .unwrap();
        sim.stack.ingest(sim.now, &frame(&packet), RxMeta::Unverified, &mut sink);
        sim.stack.service(sim.now, &mut sink);
    }
    assert_eq!(sim.stack.stats().flows, 10_001);
    let among = cost(&mut sim);
    assert!(among <= 3 * alone, "{alone} turns alone, {among} among 10,000");
}

#[test]
fn urgent_data_and_keepalive_do_no_harm() {
    let mut sim = Sim::new(Offload::None, 1500);
    let (handle, flow) = sim.open(TO, 4000, 4096);
    sim.socket(handle).set_keep_alive(Some(smoltcp::time::Duration::from_secs(1)));
    let before = sim.stack.stats().frames_out;
    for _ in 0..30 {
        sim.step(Duration::from_secs(1));
    }
    assert!(sim.stack.stats().frames_out >= before + 10, "keepalives are answered");
    sim.socket(handle).send_slice(b"abc").unwrap();
    let at = sim.at();
    sim.iface.poll(at, &mut sim.wire, &mut sim.sockets);
    let mut packet = sim.wire.tx.pop_back().unwrap();
    // URG set, pointer 1, checksum corrected.
    packet[33] |= 0x20;
    packet[39] = 1;
    let mut sink = Sink::default();
    sim.stack.ingest(sim.now, &frame(&packet), RxMeta::ChecksumTrusted, &mut sink);
    sim.step(MS);
    assert_eq!(sim.stack.readable(flow), 3);
}

#[test]
fn segments_have_the_apps_size_and_shrink_when_a_router_says_so() {
    let mut sim = Sim::new(Offload::Vnet, 1500);
    let (handle, flow) = sim.open(TO, 4000, 1024 * 1024);
    let send = |sim: &mut Sim| {
        sim.stack.write(flow, &[1; 100_000]);
        let mut got = 0;
        sim.until("all there", |sim| {
            while sim.socket(handle).can_recv() {
                got += sim.socket(handle).recv(|bytes| (bytes.len(), bytes.len())).unwrap();
            }
            got == 100_000
        });
    };
    send(&mut sim);
    assert_eq!(sim.gso_size, 1460);
    // RFC 1191: fragmentation needed, MTU 1000, about a segment from the peer to the app.
    let too_big = |sim: &mut Sim, seq: u32| {
        let mut quoted = Vec::new();
        etherparse::PacketBuilder::ipv4([93, 184, 216, 34], [10, 99, 0, 18], 60)
            .tcp(80, 4000, seq, 1)
            .write(&mut quoted, &[])
            .unwrap();
        let mut message = vec![3, 4, 0, 0, 0, 0, 0x03, 0xe8];
        message.extend_from_slice(&quoted[..28]);
        let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message).ones_complement();
        message[2..4].copy_from_slice(&sum.to_ne_bytes());
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [93, 184, 216, 34], 64)
            .write(&mut packet, etherparse::IpNumber::ICMP, &message)
            .unwrap();
        sim.stack.ingest(sim.now, &frame(&packet), RxMeta::Unverified, &mut Sink::default());
    };
    sim.until("acknowledged", |sim| sim.stack.unsent(flow) == 0);
    // One in flight; it is lost.
    sim.stack.write(flow, &[1; 2000]);
    let mut lost = Sink::default();
    sim.stack.service(sim.now, &mut lost);
    let seq = u32::from_be_bytes(lost.0[0].0[38..42].try_into().unwrap());
    // RFC 5927 7: data that is acknowledged, or not sent, cannot have been too big.
    for other in [seq.wrapping_sub(1), seq.wrapping_add(2000)] {
        too_big(&mut sim, other);
    }
    sim.until("sent again", |sim| sim.socket(handle).recv_queue() == 2000);
    assert_eq!(sim.gso_size, 1460);
    sim.socket(handle).recv(|bytes| (bytes.len(), ())).unwrap();
    sim.until("acknowledged", |sim| sim.stack.unsent(flow) == 0);
    sim.stack.write(flow, &[1; 2000]);
    lost.0.clear();
    sim.stack.service(sim.now, &mut lost);
    let seq = u32::from_be_bytes(lost.0[0].0[38..42].try_into().unwrap());
    too_big(&mut sim, seq);
    assert_eq!(sim.stack.stats().dropped(DropReason::IcmpError), 3);
    sim.until("sent again", |sim| sim.socket(handle).recv_queue() == 2000);
    sim.socket(handle).recv(|bytes| (bytes.len(), ())).unwrap();
    send(&mut sim);
    assert_eq!(sim.gso_size, 960);
}
