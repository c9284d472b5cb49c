//! Datagrams for the VM's apps. If the kernel takes super-packets of UDP, those that follow each
//! other between the same two ends, with the same marks, go to it as one (virtio 1.2 section 5.1.6,
//! VIRTIO_NET_HDR_GSO_UDP_L4). It passes them to the app's socket one by one, unless the app has
//! asked for more (udp(7), `UDP_GRO`).

use crate::link::{ETHERNET, IpHead, Link, len16};
use crate::offload::{Gso, GsoKind, Offload, PartialChecksum, Transmit, TxMeta};
use crate::packet::{UDP, transport_sum};
use crate::stats::Stats;

/// Bytes of UDP's header.
const HEADER: usize = 8;

/// Offset of its checksum.
const CHECKSUM: u16 = 6;

/// Most datagrams of a super-packet.
const MOST: usize = 32;

/// The two ends of a datagram, and its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatagramHead {
    pub(crate) ip: IpHead,
    /// Source and destination.
    pub(crate) ports: [u16; 2],
}

impl DatagramHead {
    /// Bytes of all headers.
    fn len(&self) -> usize {
        ETHERNET + self.ip.len() + HEADER
    }
}

/// The datagrams that wait for more of their kind.
#[derive(Debug)]
pub(crate) struct Outgoing {
    offload: Offload,
    /// `None` if nothing waits.
    head: Option<DatagramHead>,
    /// Payload bytes of the first.
    size: usize,
    count: usize,
    /// The frame: room for its headers, and the payloads.
    frame: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(offload: Offload) -> Self {
        Self { offload, head: None, size: 0, count: 0, frame: Vec::new() }
    }

    /// Whether [`Outgoing::flush`] sends something.
    pub(crate) fn waits(&self) -> bool {
        self.head.is_some()
    }

    /// Sends a datagram, at the next [`Outgoing::flush`] at the latest.
    pub(crate) fn add(
        &mut self,
        link: &mut Link,
        stats: &mut Stats,
        out: &mut dyn Transmit,
        head: DatagramHead,
        bytes: &[u8],
    ) {
        if self.joins(head, bytes) {
            self.frame.extend_from_slice(bytes);
            self.count += 1;
            return;
        }
        self.flush(link, stats, out);
        if head.ip.len() + HEADER + bytes.len() > link.mtu {
            let datagram = datagram(head, bytes);
            return link.send(stats, out, head.ip, &datagram);
        }
        self.frame.clear();
        self.frame.resize(head.len(), 0);
        self.frame.extend_from_slice(bytes);
        (self.head, self.size, self.count) = (Some(head), bytes.len(), 1);
        if self.offload != Offload::Datagrams {
            self.flush(link, stats, out);
        }
    }

    /// Whether a datagram can go with those that wait.
    fn joins(&self, head: DatagramHead, bytes: &[u8]) -> bool {
        let waiting = self.frame.len() - head.len().min(self.frame.len());
        self.head == Some(head)
            && (1..=self.size).contains(&bytes.len())
            && waiting == self.count * self.size
            && self.count < MOST
            && self.frame.len() - ETHERNET + bytes.len() <= usize::from(u16::MAX)
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self, link: &mut Link, stats: &mut Stats, out: &mut dyn Transmit) {
        let Some(head) = self.head.take() else { return };
        let udp = head.len() - HEADER;
        let length = self.frame.len() - udp;
        let mut headers = std::mem::take(&mut link.scratch);
        headers.clear();
        let is_packet = link.put_header(&mut headers, head.ip, length, None);
        if is_packet {
            if head.ip.dst.is_ipv4() {
                // Its other datagrams have the identifications that follow.
                link.next_id = link.next_id.wrapping_add((self.count as u32).saturating_sub(1));
            }
            headers.extend_from_slice(&udp_header(head, length));
            self.frame[..headers.len()].copy_from_slice(&headers);
        }
        link.scratch = headers;
        if !is_packet {
            return;
        }
        let sum = transport_sum(head.ip.src, head.ip.dst, UDP, length);
        let mut meta = TxMeta::default();
        let sum = if self.offload == Offload::None {
            sum.add_slice(&self.frame[udp..]).to_ones_complement_with_no_zero()
        } else {
            meta.checksum = Some(PartialChecksum { start: len16(udp), offset: CHECKSUM });
            !sum.ones_complement()
        };
        let place = udp + usize::from(CHECKSUM);
        self.frame[place..place + 2].copy_from_slice(&sum.to_ne_bytes());
        if self.count > 1 {
            let (size, header_len) = (len16(self.size), len16(head.len()));
            meta.gso = Some(Gso { kind: GsoKind::Udp, size, header_len });
        }
        stats.frames_out += 1;
        stats.bytes_out += self.frame.len() as u64;
        out.transmit(&self.frame, meta);
    }
}

/// The header (RFC 768) of a datagram of `length` bytes, without its checksum.
fn udp_header(head: DatagramHead, length: usize) -> [u8; HEADER] {
    let [[s0, s1], [d0, d1]] = head.ports.map(u16::to_be_bytes);
    let [l0, l1] = len16(length).to_be_bytes();
    [s0, s1, d0, d1, l0, l1, 0, 0]
}

/// A datagram with its header and checksum, to be fragmented.
fn datagram(head: DatagramHead, bytes: &[u8]) -> Vec<u8> {
    let length = HEADER + bytes.len();
    let mut datagram = Vec::with_capacity(length);
    datagram.extend_from_slice(&udp_header(head, length));
    datagram.extend_from_slice(bytes);
    let sum = transport_sum(head.ip.src, head.ip.dst, UDP, length)
        .add_slice(&datagram)
        .to_ones_complement_with_no_zero();
    let place = usize::from(CHECKSUM);
    datagram[place..place + 2].copy_from_slice(&sum.to_ne_bytes());
    datagram
}
