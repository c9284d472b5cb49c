//! Frames through a real TAP, judged by the kernel's own sockets.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::task::{Context, Poll, Waker};

use common::{GATEWAY_MAC, PATIENCE, VM_MAC, frame, in_vm, sysctl, vm};
use etherparse::{PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};
use gateway::tap::{OffloadWish, READ_BUFFER, Tap, TapError};
use lab::Lab;
use stack::{Gso, GsoKind, Offload, PartialChecksum, RxMeta, Transmit, TxMeta};

const GATEWAY: [u8; 4] = [192, 168, 214, 1];
const VM: [u8; 4] = [192, 168, 214, 2];
/// Where the transport header starts: Ethernet's and IPv4's before it.
const TRANSPORT: usize = 34;
const MSS: u16 = 1400;

/// Opens a TAP and sets its address and neighbour.
fn open(lab: &Lab, wish: OffloadWish) -> Tap {
    let tap = Tap::open("up%d", wish).unwrap();
    sysctl(lab, &format!("net/ipv6/conf/{}/disable_ipv6", tap.name()), "1");
    vm(lab, &format!("ip link set {} address 02:00:00:00:00:02 up", tap.name()));
    vm(lab, &format!("ip address add 192.168.214.2/28 dev {}", tap.name()));
    vm(lab, &format!("ip neigh replace 192.168.214.1 lladdr 02:00:00:00:00:01 dev {}", tap.name()));
    tap
}

/// The checksum field of a frame as the kernel wants it before it completes it: the pseudo-header's
/// sum, not inverted.
fn make_partial(frame: &mut [u8], protocol: u8, offset: usize) -> TxMeta {
    let length = u32::try_from(frame.len() - TRANSPORT).unwrap();
    let words = frame[26..TRANSPORT]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum = words.sum::<u32>() + u32::from(protocol) + length;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let field = TRANSPORT + offset;
    frame[field..field + 2].copy_from_slice(&(sum as u16).to_be_bytes());
    let checksum = PartialChecksum { start: TRANSPORT as u16, offset: offset as u16 };
    TxMeta { checksum: Some(checksum), gso: None }
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(GATEWAY_MAC, VM_MAC).ipv4(GATEWAY, VM, 64).udp(7, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// The gateway's end of a TCP connection, by hand.
struct Peer {
    port: u16,
    next: u32,
    seen: u32,
}

impl Peer {
    async fn connect(tap: &mut Tap, port: u16) -> Self {
        let mut peer = Self { port, next: 1000, seen: 0 };
        let mut syn = Vec::new();
        let options = [TcpOptionElement::MaximumSegmentSize(MSS)];
        let builder = PacketBuilder::ethernet2(GATEWAY_MAC, VM_MAC).ipv4(GATEWAY, VM, 64);
        let builder = builder.tcp(7, port, peer.next, 65_535).syn().options(&options).unwrap();
        builder.write(&mut syn, &[]).unwrap();
        tap.transmit(&syn, TxMeta::default());
        peer.next += 1;
        peer.seen =
            frame(tap, |bytes, _| match SlicedPacket::from_ethernet(bytes).unwrap().transport {
                Some(TransportSlice::Tcp(tcp)) if tcp.syn() && tcp.ack() => {
                    Some(tcp.sequence_number())
                }
                _ => None,
            })
            .await
                + 1;
        tap.transmit(&peer.segment(&[]), TxMeta::default());
        peer
    }

    fn segment(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ethernet2(GATEWAY_MAC, VM_MAC).ipv4(GATEWAY, VM, 64);
        builder
            .tcp(7, self.port, self.next, 65_535)
            .ack(self.seen)
            .write(&mut bytes, payload)
            .unwrap();
        bytes
    }
}

/// The first segment with data that the VM's kernel sends.
async fn data(tap: &Tap) -> (usize, RxMeta, bool) {
    frame(tap, |bytes, meta| {
        let packet = SlicedPacket::from_ethernet(bytes).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { return None };
        let sum_fits = tcp.checksum() == tcp.calc_checksum_ipv4(VM, GATEWAY).unwrap();
        (!tcp.payload().is_empty()).then_some((bytes.len(), meta, sum_fits))
    })
    .await
}

#[test]
fn the_kernel_completes_checksums_and_cuts_and_gives_super_packets() {
    let Some(lab) = lab::lab_or_skip() else { return };
    in_vm(&lab, async || {
        let mut tap = open(&lab, OffloadWish::Auto);
        // A kernel before 6.2 cuts no datagrams.
        assert!(matches!(tap.offload(), Offload::Vnet | Offload::Datagrams));
        assert_eq!(tap.name(), "up0");

        let socket = UdpSocket::bind(("192.168.214.2", 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut datagram = udp(socket.local_addr().unwrap().port(), b"completed by the kernel");
        let meta = make_partial(&mut datagram, 17, 6);
        tap.transmit(&datagram, meta);
        let mut buffer = [0; 2000];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"completed by the kernel");

        let listener = TcpListener::bind(("192.168.214.2", 0)).unwrap();
        let peer = Peer::connect(&mut tap, listener.local_addr().unwrap().port()).await;
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
        let mut segment = peer.segment(&sent);
        let mut meta = make_partial(&mut segment, 6, 16);
        meta.gso = Some(Gso { kind: GsoKind::TcpV4, size: MSS, header_len: 54 });
        tap.transmit(&segment, meta);
        let mut got = vec![0; sent.len()];
        stream.read_exact(&mut got).unwrap();
        assert!(got == sent, "the bytes are those sent");
        // The kernel learns the segments' size from the header alone: without it this would be one
        // segment of 20,000 bytes.
        let shown = vm(&lab, "ss --tcp --numeric --info state established");
        assert!(shown.contains(&format!("rcvmss:{MSS} ")), "{shown}");
        assert_eq!(tap.lost(), 0);

        stream.write_all(&sent).unwrap();
        let (length, meta, _) = data(&tap).await;
        assert!(length > 2 * usize::from(MSS), "a super-packet, not {length} bytes");
        assert_eq!(meta, RxMeta::ChecksumTrusted);
    });
}

#[test]
fn a_plain_tap_carries_whole_frames_and_refuses_what_it_cannot_say() {
    let Some(lab) = lab::lab_or_skip() else { return };
    in_vm(&lab, async || {
        let mut tap = open(&lab, OffloadWish::Off);
        assert_eq!(tap.offload(), Offload::None);
        let listener = TcpListener::bind(("192.168.214.2", 0)).unwrap();
        let peer = Peer::connect(&mut tap, listener.local_addr().unwrap().port()).await;
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        tap.transmit(&peer.segment(b"plain"), TxMeta::default());
        let mut got = [0; 5];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"plain");
        stream.write_all(&[7; 20_000]).unwrap();
        let (length, meta, sum_fits) = data(&tap).await;
        assert!(length <= 1514, "{length} bytes");
        assert_eq!(meta, RxMeta::Unverified);
        assert!(sum_fits, "the kernel completed its own checksum");

        assert_eq!(tap.lost(), 0);
        let mut datagram = udp(9, b"x");
        let meta = make_partial(&mut datagram, 17, 6);
        tap.transmit(&datagram, meta);
        assert_eq!(tap.lost(), 1);
    });
}

#[test]
fn readiness_ends_with_the_last_frame_and_comes_with_the_next() {
    let Some(lab) = lab::lab_or_skip() else { return };
    in_vm(&lab, async || {
        for wish in [OffloadWish::Auto, OffloadWish::Off] {
            let tap = open(&lab, wish);
            let socket = UdpSocket::bind(("192.168.214.2", 0)).unwrap();
            for text in [b"first", b"again"] {
                // More than one for each wake-up, so that one read must not end the readiness.
                for _ in 0..3 {
                    socket.send_to(text, ("192.168.214.1", 9)).unwrap();
                }
                poll_fn(|cx| tap.poll_readable(cx)).await.unwrap();
                for _ in 0..3 {
                    frame(&tap, |bytes, _| bytes.ends_with(text).then_some(())).await;
                }
                let mut buffer = vec![0; READ_BUFFER];
                assert!(tap.read(&mut buffer).unwrap().is_none());
                let mut context = Context::from_waker(Waker::noop());
                assert!(
                    tap.poll_readable(&mut context).is_pending(),
                    "no frame, yet ready: the loop would spin"
                );
            }
        }
    });
}

#[test]
fn a_down_interface_is_silent_and_a_removed_one_reports_it_once() {
    let Some(lab) = lab::lab_or_skip() else { return };
    in_vm(&lab, async || {
        for wish in [OffloadWish::Auto, OffloadWish::Off] {
            let mut tap = open(&lab, wish);
            let mut buffer = vec![0; READ_BUFFER];
            let mut context = Context::from_waker(Waker::noop());
            vm(&lab, &format!("ip link set {} down", tap.name()));
            tap.transmit(&udp(9, b"x"), TxMeta::default());
            assert_eq!(tap.lost(), 1);
            while tap.read(&mut buffer).unwrap().is_some() {}
            assert!(tap.poll_readable(&mut context).is_pending());

            vm(&lab, &format!("ip link delete {}", tap.name()));
            let shown = tokio::time::timeout(PATIENCE, async {
                loop {
                    poll_fn(|cx| tap.poll_readable(cx)).await?;
                    tap.read(&mut buffer)?;
                }
            });
            let shown: Result<(), std::io::Error> = shown.await.expect("it was never reported");
            assert!(shown.unwrap_err().to_string().contains(tap.name()));
            assert!(matches!(tap.poll_readable(&mut context), Poll::Pending));
            assert!(matches!(tap.read(&mut buffer), Ok(None)));
            tap.transmit(&udp(9, b"x"), TxMeta::default());
            assert_eq!(tap.lost(), 2);
        }
    });
}

#[test]
fn a_taken_name_is_reported_and_a_dropped_tap_leaves_nothing() {
    let Some(lab) = lab::lab_or_skip() else { return };
    in_vm(&lab, async || {
        for wish in [OffloadWish::Auto, OffloadWish::Off] {
            let tap = Tap::open("taken", OffloadWish::Auto).unwrap();
            assert!(
                matches!(Tap::open("taken", wish), Err(TapError::Busy { name }) if name == "taken")
            );
            assert!(matches!(Tap::open("eth0", wish), Err(TapError::Busy { .. })));
            drop(tap);
            assert!(matches!(Tap::open("a/b", wish), Err(TapError::InvalidName { .. })));
            // A user's persistent device is taken over, and does not outlive us.
            vm(&lab, "ip tuntap add dev kept mode tap");
            let tap = Tap::open("kept", wish);
            drop(tap.unwrap());
            assert!(!vm(&lab, "ip -brief link").contains("kept"));
        }
        assert!(!vm(&lab, "ip -brief link").contains("taken"));
    });
}
