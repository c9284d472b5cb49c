//! Counters of packets received and dropped, by reason. Plain numbers; no decision depends on them.

/// Why the stack dropped something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Shorter than its headers say, or not a packet at all.
    Malformed,
    /// A checksum is wrong.
    Checksum,
    /// Neither ARP, IPv4 nor IPv6.
    EtherType,
    /// Sent to another station's address.
    NotForUs,
    /// Source address that no station can have.
    BadSource,
    /// Broadcast or multicast.
    Group,
    /// Destination that leads nowhere (loopback, unused own address).
    BadDestination,
    /// An IP protocol that is not carried.
    Protocol,
    /// An IPv6 extension header that is not understood.
    ExtensionHeader,
    /// IPv6 while it is off.
    Ipv6Off,
    /// A fragment that overlaps, is too long or too many.
    Fragment,
    /// A reassembly that ran out of time or room.
    ReassemblyExpired,
    /// Too many half-open connections.
    HalfOpenFull,
    /// Too many connections.
    FlowsFull,
    /// A segment for a connection that does not exist.
    NoFlow,
    /// An answer to a peer that did not come through the tunnel.
    Elsewhere,
    /// A segment other than SYN or RST for a connection that is not up yet.
    Pending,
    /// A segment beyond every window that was advertised.
    BeyondWindow,
    /// A SYN or RST that does not belong to the open connection of its addresses and ports.
    Spurious,
    /// A segment with a signature that only the server could check.
    Signed,
    /// The stack's user does not fetch its events.
    EventsFull,
    /// Too many questions or echo requests pending.
    RequestsFull,
    /// ICMP of a kind that the stack does not handle.
    Icmp,
    /// An ICMP error from the VM.
    IcmpError,
    /// An ICMP error above the rate limit.
    IcmpRate,
    /// TTL ran out.
    TtlExpired,
    /// Refused: an own port without a service, or the host's loopback while it is switched off.
    Refused,
    /// From the relay for a bind or request that is gone, or too large.
    Late,
    /// A datagram from a host to which the app has sent none.
    Stranger,
}

impl DropReason {
    /// All reasons, in the order of [`Stats::drops`].
    pub const ALL: [Self; 29] = [
        Self::Malformed,
        Self::Checksum,
        Self::EtherType,
        Self::NotForUs,
        Self::BadSource,
        Self::Group,
        Self::BadDestination,
        Self::Protocol,
        Self::ExtensionHeader,
        Self::Ipv6Off,
        Self::Fragment,
        Self::ReassemblyExpired,
        Self::HalfOpenFull,
        Self::FlowsFull,
        Self::NoFlow,
        Self::Elsewhere,
        Self::Pending,
        Self::BeyondWindow,
        Self::Spurious,
        Self::Signed,
        Self::EventsFull,
        Self::RequestsFull,
        Self::Icmp,
        Self::IcmpError,
        Self::IcmpRate,
        Self::TtlExpired,
        Self::Refused,
        Self::Late,
        Self::Stranger,
    ];
}

/// Counters since the start, and current numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames from the TAP.
    pub frames_in: u64,
    /// Bytes of these frames.
    pub bytes_in: u64,
    /// Frames to the TAP.
    pub frames_out: u64,
    /// Bytes of these frames.
    pub bytes_out: u64,
    /// Connections now, half-open ones included.
    pub flows: usize,
    /// Half-open connections now.
    pub half_open: usize,
    /// Connections in all.
    pub flows_total: u64,
    /// TIME-WAIT records now.
    pub time_wait: usize,
    /// Entries of the TCP timer heap now, dead ones included.
    pub timers: usize,
    /// Connections whose idle rings were replaced by fresh ones.
    pub rings_renewed: u64,
    /// UDP binds now.
    pub binds: usize,
    /// UDP binds in all.
    pub binds_total: u64,
    /// Binds pushed out by newer ones.
    pub binds_evicted: u64,
    /// Repeated SYNs while their connect was pending.
    pub syn_retries: u64,
    /// Connections ended because their app did not answer.
    pub flows_timed_out: u64,
    /// Half-open connections that took too long.
    pub half_open_expired: u64,
    /// Half-open connections that made room for another owner's or for newer ones.
    pub half_open_displaced: u64,
    /// Connections whose app had closed them, which made room.
    pub gone_displaced: u64,
    /// Open connections that made room for another owner's.
    pub idle_displaced: u64,
    /// The owner of the connection that made room last.
    pub last_displaced: Option<crate::owner::Owner>,
    /// Connections refused because the table is full.
    pub flows_refused: u64,
    /// Connections ended because their app's kernel had forgotten them after the app's FIN.
    pub flows_forgotten: u64,
    /// Retransmissions of data or a FIN for which smoltcp had no timer.
    pub revived: u64,
    /// Keepalive probes to silent apps.
    pub probes: u64,
    /// SYNs and RSTs for open connections that got a challenge ACK.
    pub challenges: u64,
    /// Turns of flows in the TCP engine: the cost of the work done, whatever the number of flows.
    pub turns: u64,
    /// Drops by reason, in the order of [`DropReason::ALL`].
    pub drops: [u64; DropReason::ALL.len()],
}

impl Stats {
    /// Counts one drop.
    pub(crate) fn drop(&mut self, why: DropReason) {
        self.drops[why as usize] += 1;
    }

    /// The number of drops for that reason.
    pub fn dropped(&self, why: DropReason) -> u64 {
        self.drops[why as usize]
    }
}
