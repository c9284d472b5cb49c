//! Real pings by Windows' own calls, which need no rights; see `win32/icmp.rs`.
//!
//! No answer stays no answer: Windows' time-out is told to nobody.

use super::win32::icmp::{self, Reply, Request, Sender};
use crate::echo::Outcome;
use crate::limits::{ECHO_MEMORY, MAX_PINGS};
use std::net::IpAddr;
use std::time::Instant;
use tokio::sync::mpsc;
use wire::frame::Family;
use wire::{Capabilities, Fault, FaultKind, RequestId};

/// Assumed where Windows does not tell the time to live of a reply, as with IPv6.
const USUAL_TTL: u8 = 64;

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Heard {
    id: RequestId,
    /// `None` when nobody answered.
    outcome: Option<Outcome>,
}

/// The thread that pings, started at the first use.
pub(crate) struct Echoes {
    sender: Option<Sender>,
    /// `under_way <= MAX_PINGS`
    under_way: usize,
    heard: mpsc::Sender<Heard>,
}

/// The families that this Windows lets its users ping by.
pub(crate) fn capabilities() -> Capabilities {
    let can = |family, capability| if icmp::can(family) { capability } else { Capabilities::default() };
    can(Family::V4, Capabilities::ECHO4).with(can(Family::V6, Capabilities::ECHO6))
}

impl Echoes {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Heard>) {
        // Each request is heard of once, so there is always room.
        let (heard, receiver) = mpsc::channel(MAX_PINGS);
        (Self { sender: None, under_way: 0, heard }, receiver)
    }

    /// Sends an echo request. `Some` when that cannot be.
    pub(crate) fn send(&mut self, _: Instant, id: RequestId, to: IpAddr, ttl: u8, payload: &[u8]) -> Option<Fault> {
        if self.under_way >= MAX_PINGS {
            // Lost, as where a link is full.
            return None;
        }
        if self.sender.is_none() {
            let heard = self.heard.clone();
            let tell = move |reply: Reply| {
                let heard_of = Heard { id: reply.id, outcome: outcome(reply) };
                // Only an engine that ended is not there to hear it.
                let _ = heard.try_send(heard_of);
            };
            match Sender::start(ECHO_MEMORY, tell) {
                Ok(sender) => self.sender = Some(sender),
                Err(error) => {
                    tracing::warn!(%error, "pings cannot be sent");
                    return Some(Fault { kind: FaultKind::Prohibited, router: None });
                }
            }
        }
        self.under_way += 1;
        if let Some(sender) = &self.sender {
            sender.send(Request { id, to, ttl, payload: payload.to_vec() });
        }
        None
    }

    /// The request that was heard of, and how it ended; `None` for one that nobody answered.
    pub(crate) fn claim(&mut self, _: Instant, heard: Heard) -> Option<(RequestId, Outcome)> {
        self.under_way -= 1;
        Some((heard.id, heard.outcome?))
    }
}

/// What a status means (`IP_STATUS`, as Microsoft's page of `ICMP_ECHO_REPLY` lists them; the system's own codes where nothing was
/// sent).
fn outcome(reply: Reply) -> Option<Outcome> {
    let v6 = reply.from.is_ipv6();
    let kind = match reply.status {
        0 => return Some(Outcome::Reply { ttl: reply.ttl.unwrap_or(USUAL_TTL), payload: reply.payload }),
        11002 | 1231 => FaultKind::NetworkUnreachable,
        11003 | 1232 => FaultKind::HostUnreachable,
        // The same number for both (IP_DEST_PROHIBITED).
        11004 if v6 => FaultKind::Prohibited,
        11004 => FaultKind::ProtocolUnreachable,
        11005 => FaultKind::PortUnreachable,
        11009 => FaultKind::PacketTooBig { mtu: 0 },
        11013 | 11014 | 11041 => FaultKind::TimeExceeded,
        5 => FaultKind::Prohibited,
        // IP_REQ_TIMED_OUT and whatever says nothing of the way.
        status => {
            tracing::debug!(status, "no answer to a ping");
            return None;
        }
    };
    let router = Some(reply.from).filter(|from| !from.is_unspecified());
    Some(Outcome::Error(Fault { kind, router }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u32, from: &str) -> Option<Outcome> {
        let from = from.parse().unwrap();
        outcome(Reply { id: RequestId(1), status, from, ttl: Some(57), payload: b"data".to_vec() })
    }

    fn fault(kind: FaultKind, router: Option<&str>) -> Option<Outcome> {
        Some(Outcome::Error(Fault { kind, router: router.map(|router| router.parse().unwrap()) }))
    }

    #[test]
    fn each_status_is_a_reply_an_error_with_its_router_or_nothing() {
        assert_eq!(told(0, "192.0.2.1"), Some(Outcome::Reply { ttl: 57, payload: b"data".to_vec() }));
        assert_eq!(told(11013, "192.0.2.1"), fault(FaultKind::TimeExceeded, Some("192.0.2.1")));
        assert_eq!(told(11002, "0.0.0.0"), fault(FaultKind::NetworkUnreachable, None));
        assert_eq!(told(11003, "192.0.2.1"), fault(FaultKind::HostUnreachable, Some("192.0.2.1")));
        assert_eq!(told(11004, "192.0.2.1"), fault(FaultKind::ProtocolUnreachable, Some("192.0.2.1")));
        assert_eq!(told(11004, "2001:db8::1"), fault(FaultKind::Prohibited, Some("2001:db8::1")));
        assert_eq!(told(11005, "192.0.2.1"), fault(FaultKind::PortUnreachable, Some("192.0.2.1")));
        assert_eq!(told(1231, "0.0.0.0"), fault(FaultKind::NetworkUnreachable, None));
        assert_eq!(told(11010, "0.0.0.0"), None, "a time-out is silence");
    }

    #[tokio::test]
    async fn many_pings_are_under_way_at_once_and_each_has_its_own_answer() {
        let (mut echoes, mut heard) = Echoes::new();
        #[expect(clippy::disallowed_methods, reason = "the clock is not looked at here")]
        let now = Instant::now();
        let count: u32 = if icmp::can(Family::V4) { 100 } else { 0 };
        for id in 0..count {
            let to = std::net::Ipv4Addr::LOCALHOST.into();
            assert_eq!(echoes.send(now, RequestId(id), to, 64, &vec![id as u8; id as usize * 10]), None);
        }
        let mut answered = Vec::new();
        while answered.len() < count as usize {
            let message = tokio::time::timeout(std::time::Duration::from_secs(20), heard.recv()).await;
            let (id, outcome) = echoes.claim(now, message.expect("no answer").unwrap()).unwrap();
            let Outcome::Reply { payload, .. } = outcome else { panic!("{id:?}: {outcome:?}") };
            assert_eq!(payload, vec![id.0 as u8; id.0 as usize * 10]);
            answered.push(id.0);
        }
        answered.sort_unstable();
        assert_eq!(answered, (0..count).collect::<Vec<_>>());
        assert_eq!(echoes.under_way, 0);
    }
}
