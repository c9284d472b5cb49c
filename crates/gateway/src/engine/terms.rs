//! What the stack and the protocol call the same things: `stack` and `wire` do not know each other.

use crate::dns::front;
use stack::Refusal;
use std::net::IpAddr;
use wire::{ConnectFailure, QueryFailure};

pub(super) fn stack_hash(ip: IpAddr) -> u32 {
    let fold =
        |octets: &[u8]| octets.iter().fold(0u32, |hash, octet| hash.wrapping_mul(31).wrapping_add(u32::from(*octet)));
    match ip {
        IpAddr::V4(ip) => fold(&ip.octets()),
        IpAddr::V6(ip) => fold(&ip.octets()),
    }
}

pub(super) fn refusal(reason: ConnectFailure) -> Refusal {
    let unreachable = |kind| Refusal::Unreachable(stack::Fault { kind, router: None });
    match reason {
        ConnectFailure::NetworkUnreachable => unreachable(stack::FaultKind::NetworkUnreachable),
        ConnectFailure::HostUnreachable => unreachable(stack::FaultKind::HostUnreachable),
        ConnectFailure::PermissionDenied => unreachable(stack::FaultKind::Prohibited),
        ConnectFailure::Reported(fault) => Refusal::Unreachable(fault),
        // Nobody answered the host; the app waits as long as its own kernel wants.
        ConnectFailure::TimedOut => Refusal::Silent,
        ConnectFailure::Refused
        | ConnectFailure::NoResources
        | ConnectFailure::TooManyFlows
        | ConnectFailure::Other => Refusal::Reset,
    }
}

/// What the asker is told. A time-out stays one: nothing is told.
pub(super) fn no_answer(query: &[u8], reason: QueryFailure) -> Option<Vec<u8>> {
    match reason {
        QueryFailure::TimedOut => None,
        QueryFailure::NoServer => Some(front::failure(query, front::SERVFAIL)),
        QueryFailure::Refused => Some(front::failure(query, front::REFUSED)),
    }
}
