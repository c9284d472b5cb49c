//! Counters: what came, what was dropped and why. Plain numbers; nobody decides by them.

/// Why something was dropped.
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
    /// An answer to a peer that did not come by the tunnel.
    Elsewhere,
    /// A segment other than SYN or RST for a connection that is not up yet.
    Pending,
    /// A segment that reaches beyond what was ever advertised.
    BeyondWindow,
    /// A SYN or RST that does not belong to the open connection of its addresses and ports.
    Spurious,
    /// A segment with a signature that only the server could check.
    Signed,
    /// The user of the stack does not fetch its events.
    EventsFull,
    /// Too many questions or echo requests pending.
    RequestsFull,
    /// ICMP of a kind that is not for us.
    Icmp,
    /// An ICMP error from the VM.
    IcmpError,
    /// An ICMP error that the rate limit held back.
    IcmpRate,
    /// TTL ran out.
    TtlExpired,
    /// Refused: an own port that nobody serves, or the host's loopback while it is switched off.
    Refused,
    /// From the relay for a bind or request that is gone, or too large.
    Late,
    /// A datagram from a host that the app has not sent one to.
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

/// Counters since the start, and how many there are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames from the TAP.
    pub frames_in: u64,
    /// Bytes of them.
    pub bytes_in: u64,
    /// Frames to the TAP.
    pub frames_out: u64,
    /// Bytes of them.
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
    /// SYNs that came again while their connect was pending.
    pub syn_retries: u64,
    /// Connections ended because their app answered nothing.
    pub flows_timed_out: u64,
    /// Half-open connections that were waited for too long.
    pub half_open_expired: u64,
    /// Half-open connections that made room for another owner's, or for newer ones.
    pub half_open_displaced: u64,
    /// Connections whose app had closed them, which made room.
    pub gone_displaced: u64,
    /// Open connections that made room for another owner's.
    pub idle_displaced: u64,
    /// Whose connection made room last.
    pub last_displaced: Option<crate::owner::Owner>,
    /// Connections refused because the table is full.
    pub flows_refused: u64,
    /// Connections ended because their app's kernel had forgotten them after the app's FIN.
    pub flows_forgotten: u64,
    /// Times that data or a FIN was sent again which smoltcp had no timer for.
    pub revived: u64,
    /// Silent apps that were asked whether they are still there.
    pub probes: u64,
    /// SYNs and RSTs for open connections that were answered with a challenge ACK.
    pub challenges: u64,
    /// Turns of a flow in the TCP engine: the cost of the work done, whatever the number of flows.
    pub turns: u64,
    /// Drops by reason, in the order of [`DropReason::ALL`].
    pub drops: [u64; DropReason::ALL.len()],
}

impl Stats {
    /// Count one drop.
    pub(crate) fn drop(&mut self, why: DropReason) {
        self.drops[why as usize] += 1;
    }

    /// How often that happened.
    pub fn dropped(&self, why: DropReason) -> u64 {
        self.drops[why as usize]
    }
}
