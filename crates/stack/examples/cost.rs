//! Measures what the stack costs: time per 64 KiB each way, and memory per idle connection. `cargo
//! run --release --example cost`.
//!
//! The memory is the kernel's count for this process, so it is measured on Linux only. With glibc,
//! set `MALLOC_MMAP_THRESHOLD_=16384 MALLOC_TOP_PAD_=0`. Otherwise glibc cuts rings from the end of
//! the heap, where `calloc` clears them, and each idle flow costs all of its rings. The gateway's
//! own allocator does more: its mappings have no header, which touches a page of each ring.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::unwrap_used, reason = "a measurement that breaks may stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};
use underpass_stack::{
    AddressPlan, Capacity, Config, Event, Filtering, FlowId, HostAccess, Ipv6, Offload, RxMeta,
    Stack, Transmit, TxMeta,
};

const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const PIECE: usize = 64_000;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Counts the frames sent and keeps the last segment's numbers.
#[derive(Default)]
struct Out {
    frames: usize,
    data: usize,
    next: u32,
}

impl Transmit for Out {
    fn transmit(&mut self, frame: &[u8], _: TxMeta) {
        let tcp = &frame[34..];
        let data = tcp.len() - 4 * usize::from(tcp[12] >> 4);
        self.frames += 1;
        self.data += data;
        let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        self.next = seq
            .wrapping_add(u32::try_from(data).unwrap())
            .wrapping_add(u32::from(tcp[13] >> 1 & 1));
        black_box(frame);
    }
}

struct App {
    stack: Stack,
    out: Out,
    now: Instant,
}

#[derive(Clone, Copy)]
struct Conn {
    port: u16,
    flow: FlowId,
    seq: u32,
    ack: u32,
}

impl App {
    fn new() -> Self {
        let subnet = [10, 99, 0, 16].into();
        let now = clock();
        let config = Config {
            mtu: 1500,
            offload: Offload::Vnet,
            addresses: AddressPlan { subnet, captured: Vec::new(), host_access: HostAccess::All },
            ipv6: Ipv6::Enabled,
            udp_filtering: Filtering::default(),
            gateway_mac: GATEWAY_MAC,
            vm_mac: VM_MAC,
            capacity: Capacity::default(),
            seed: 1,
        };
        Self { stack: Stack::new(config, now), out: Out::default(), now }
    }

    fn frame(port: u16, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut header = etherparse::TcpHeader::new(port, 80, seq, 0xffff);
        (header.syn, header.ack) = (flags & SYN != 0, flags & ACK != 0);
        header.acknowledgment_number = ack;
        if header.syn {
            header.set_options_raw(&[2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2]).unwrap();
        }
        let mut frame = [GATEWAY_MAC, VM_MAC].concat();
        frame.extend_from_slice(&[8, 0]);
        etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 8, 8], 64)
            .tcp_header(header)
            .write(&mut frame, data)
            .unwrap();
        frame
    }

    fn feed(&mut self, frame: &[u8]) {
        self.stack.ingest(self.now, frame, RxMeta::ChecksumTrusted, &mut self.out);
    }

    fn open(&mut self, port: u16) -> Conn {
        self.feed(&Self::frame(port, 0, 0, SYN, &[]));
        let Some(Event::Connect { flow, .. }) = self.stack.poll_event() else {
            panic!("no Connect")
        };
        self.stack.accept(self.now, flow, &mut self.out);
        self.stack.service(self.now, &mut self.out);
        let conn = Conn { port, flow, seq: 1, ack: self.out.next };
        self.say(conn, &[]);
        conn
    }

    fn say(&mut self, conn: Conn, data: &[u8]) {
        self.feed(&Self::frame(conn.port, conn.seq, conn.ack, ACK, data));
        self.turn();
    }

    fn turn(&mut self) {
        self.stack.service(self.now, &mut self.out);
        while let Some(event) = self.stack.poll_event() {
            black_box(event);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn clock() -> Instant {
    Instant::now()
}

fn report(what: &str, took: Duration, rounds: u32) {
    println!("{what:<44} {:>9.0} ns", took.as_nanos() as f64 / f64::from(rounds));
}

fn up(rounds: u32) {
    let mut app = App::new();
    let mut conn = app.open(1000);
    let mut frame = App::frame(conn.port, conn.seq, conn.ack, ACK, &[1; PIECE]);
    let mut room = Vec::with_capacity(PIECE);
    let began = clock();
    for _ in 0..rounds {
        frame[38..42].copy_from_slice(&conn.seq.to_be_bytes());
        app.feed(&frame);
        room.clear();
        app.stack.read(conn.flow, PIECE, |bytes| room.extend_from_slice(bytes));
        app.turn();
        conn.seq = conn.seq.wrapping_add(PIECE as u32);
    }
    report("64,000 bytes from the app: ingest, read, ACK", began.elapsed(), rounds);
}

fn down(rounds: u32) {
    let mut app = App::new();
    let mut conn = app.open(1000);
    let bytes = vec![1; PIECE];
    let mut ack = App::frame(conn.port, conn.seq, conn.ack, ACK, &[]);
    let began = clock();
    for _ in 0..rounds {
        let taken = app.stack.write(conn.flow, &bytes);
        app.turn();
        conn.ack = conn.ack.wrapping_add(taken as u32);
        ack[42..46].copy_from_slice(&conn.ack.to_be_bytes());
        app.feed(&ack);
        app.turn();
    }
    report("64,000 bytes to the app: write, send, ACK", began.elapsed(), rounds);
    println!("{:<44} {:>9.0} bytes", "  data a frame", app.out.data as f64 / app.out.frames as f64);
}

fn small(rounds: u32) {
    let mut app = App::new();
    let conns: Vec<Conn> = (0..1000).map(|port| app.open(1000 + port)).collect();
    let mut frames: Vec<Vec<u8>> =
        conns.iter().map(|conn| App::frame(conn.port, conn.seq, conn.ack, ACK, &[1; 64])).collect();
    let began = clock();
    for round in 0..rounds {
        let at = round as usize % conns.len();
        let seq = 1 + 64 * (round / conns.len() as u32);
        frames[at][38..42].copy_from_slice(&seq.to_be_bytes());
        app.feed(&frames[at]);
        app.stack.read(conns[at].flow, 64, |bytes| {
            black_box(bytes);
        });
        app.turn();
    }
    report("64 bytes on one of 1,000 flows", began.elapsed(), rounds);
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}

fn memory(flows: u16, bytes: usize) {
    let mut app = App::new();
    let before = resident();
    for port in 0..flows {
        let mut conn = app.open(1000 + port);
        let mut left = bytes;
        while left > 0 {
            let n = left.min(16_000);
            left -= n;
            app.say(conn, &vec![1; n]);
            conn.seq += n as u32;
            app.stack.read(conn.flow, n, |bytes| {
                black_box(bytes);
            });
            app.stack.write(conn.flow, &vec![2; n]);
            app.turn();
            conn.ack = conn.ack.wrapping_add(n as u32);
            app.say(conn, &[]);
        }
    }
    let after = resident();
    for _ in 0..20 {
        app.now += Duration::from_secs(1);
        app.stack.handle_timeout(app.now, &mut app.out);
    }
    let idle = resident();
    let each = |bytes: f64| (bytes - before) / f64::from(flows) / 1024.0;
    println!(
        "{flows} flows, {bytes} bytes each way: {:.1} KiB a flow, idle {:.1} KiB ({} rings renewed)",
        each(after),
        each(idle),
        app.stack.stats().rings_renewed
    );
}

fn main() {
    // Memory first, while the heap is still clean.
    memory(2000, 0);
    memory(2000, 500);
    memory(2000, 60_000);
    up(20_000);
    down(20_000);
    small(200_000);
}
