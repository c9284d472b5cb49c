//! Real pings by Windows' own calls, which need no rights; see `pinger.rs` and `win32/icmp.rs`.
//!
//! A missing answer is not reported: the gateway gets no message about a time-out.

use super::pinger::{Pinger, Request};
use super::win32::icmp::{self, Reply};
use super::win32::sockets;
use crate::echo::Outcome;
use crate::limits::{MAX_ECHOES, PINGS, PingLimits};
use crate::plateau::{mtu_below, packet_size};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;
use tokio::sync::mpsc;
use wire::frame::Family;
use wire::{Capabilities, Fault, FaultKind, Fragments, Marks, RequestId};

/// Assumed if Windows does not report the time to live of a reply, as with IPv6.
const USUAL_TTL: u8 = 64;

/// The outcome of a request.
#[derive(Debug)]
pub(crate) struct Heard {
    id: RequestId,
    /// `None` without a reply.
    outcome: Option<Outcome>,
}

/// The thread that pings, started at the first use.
pub(crate) struct Echoes {
    functions: icmp::Functions,
    limits: PingLimits,
    pinger: Option<Pinger>,
    /// `under_way <= MAX_ECHOES`
    under_way: usize,
    /// Destinations and packet sizes of requests that no router may fragment. Windows reports that
    /// one was too big, but not the MTU.
    whole: HashMap<RequestId, (IpAddr, usize)>,
    heard: mpsc::Sender<Heard>,
}

/// The families by which this Windows lets its users ping.
pub(crate) fn capabilities() -> Capabilities {
    let can =
        |family, capability| if icmp::can(family) { capability } else { Capabilities::default() };
    can(Family::V4, Capabilities::ECHO4) | can(Family::V6, Capabilities::ECHO6)
}

impl Echoes {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Heard>) {
        Self::by(icmp::Functions::load(), PINGS)
    }

    fn by(functions: icmp::Functions, limits: PingLimits) -> (Self, mpsc::Receiver<Heard>) {
        // Each request has one outcome, so there is always room.
        let (heard, receiver) = mpsc::channel(MAX_ECHOES);
        (
            Self { functions, limits, pinger: None, under_way: 0, whole: HashMap::new(), heard },
            receiver,
        )
    }

    /// Sends an echo request. `Some` when that is not possible.
    pub(crate) fn send(
        &mut self,
        _: Instant,
        id: RequestId,
        to: IpAddr,
        marks: Marks,
        payload: &[u8],
    ) -> Option<Fault> {
        if self.under_way >= MAX_ECHOES {
            // Lost, as on a full link.
            return None;
        }
        if self.pinger.is_none() {
            let heard = self.heard.clone();
            let tell = move |id, reply: Option<Reply>| {
                // The receiver is gone only if the engine ended.
                let _ = heard.try_send(Heard { id, outcome: reply.and_then(outcome) });
            };
            match Pinger::start(self.functions, self.limits, tell) {
                Ok(pinger) => self.pinger = Some(pinger),
                Err(error) => {
                    tracing::warn!(%error, "pings cannot be sent");
                    return Some(Fault { kind: FaultKind::Prohibited, router: None });
                }
            }
        }
        self.under_way += 1;
        if marks.fragments == Fragments::Forbidden {
            self.whole.insert(id, (to, packet_size(to, payload.len())));
        }
        if let Some(pinger) = &self.pinger {
            pinger.send(Request { id, to, marks, payload: payload.to_vec() });
        }
        None
    }

    /// The request that an outcome belongs to, and how it ended; `None` for one without a reply.
    pub(crate) fn claim(&mut self, _: Instant, heard: Heard) -> Option<(RequestId, Outcome)> {
        self.under_way -= 1;
        let whole = self.whole.remove(&heard.id);
        let outcome = match (heard.outcome?, whole) {
            (
                Outcome::Error(Fault { kind: FaultKind::PacketTooBig { mtu: 0 }, router }),
                Some((to, size)),
            ) => {
                let mtu = mtu_below(size, sockets::path_mtu(to));
                Outcome::Error(Fault { kind: FaultKind::PacketTooBig { mtu }, router })
            }
            (outcome, _) => outcome,
        };
        Some((heard.id, outcome))
    }
}

/// The meaning of a status (`IP_STATUS`, as listed on Microsoft's pages of `ICMP_ECHO_REPLY` and
/// `ICMPV6_ECHO_REPLY`; the system's own codes if nothing was sent).
pub(super) fn outcome(reply: Reply) -> Option<Outcome> {
    let v6 = reply.from.is_ipv6();
    let kind = match reply.status {
        0 => {
            return Some(Outcome::Reply {
                ttl: reply.ttl.unwrap_or(USUAL_TTL),
                payload: reply.payload,
            });
        }
        11002 | 1231 => FaultKind::NetworkUnreachable,
        // IP_DEST_UNREACHABLE (11040) is IPv6's "unreachable" without a reason.
        // IP_DEST_SCOPE_MISMATCH (11045) is RFC 4443's "beyond scope of source address", which
        // Linux maps to EHOSTUNREACH too (net/ipv6/icmp.c, `tab_unreach`).
        11003 | 11040 | 11045 | 1232 => FaultKind::HostUnreachable,
        // The same number for both (IP_DEST_PROHIBITED).
        11004 if v6 => FaultKind::Prohibited,
        11004 => FaultKind::ProtocolUnreachable,
        11005 => FaultKind::PortUnreachable,
        11009 => FaultKind::PacketTooBig { mtu: 0 },
        11013 | 11014 | 11041 => FaultKind::TimeExceeded,
        5 => FaultKind::Prohibited,
        // IP_REQ_TIMED_OUT and every status that says nothing of the path.
        status => {
            tracing::debug!(status, "no answer to a ping");
            return None;
        }
    };
    let router = Some(reply.from).filter(|from| !from.is_unspecified());
    Some(Outcome::Error(Fault { kind, router }))
}

#[cfg(test)]
mod tests;
