//! Translates between terms of the stack and of the protocol: `stack` and `wire` do not know each
//! other.

use crate::dns::front;
use stack::Refusal;
use std::net::IpAddr;
use wire::{ConnectFailure, QueryFailure};

pub(super) fn stack_hash(ip: IpAddr) -> u32 {
    let fold = |octets: &[u8]| {
        octets
            .iter()
            .fold(0u32, |hash, octet| hash.wrapping_mul(31).wrapping_add(u32::from(*octet)))
    };
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
        // The host got no answer; the app waits as long as its own kernel does.
        ConnectFailure::TimedOut => Refusal::Silent,
        ConnectFailure::Refused
        | ConnectFailure::NoResources
        | ConnectFailure::TooManyFlows
        | ConnectFailure::Other => Refusal::Reset,
    }
}

/// The answer for the client. A time-out stays a time-out: there is no answer.
pub(super) fn no_answer(query: &[u8], reason: QueryFailure) -> Option<Vec<u8>> {
    match reason {
        QueryFailure::TimedOut => None,
        QueryFailure::NoServer => Some(front::failure(query, front::SERVFAIL)),
        QueryFailure::Refused => Some(front::failure(query, front::REFUSED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_network_are_spread_over_all_lanes() {
        for (first, second) in
            [("192.0.2.1", "192.0.2.2"), ("192.0.2.1", "192.0.1.2"), ("fd00::1:0", "fd00::1")]
        {
            let hash = |ip: &str| stack_hash(ip.parse().unwrap());
            assert_ne!(hash(first), hash(second));
        }
        for lanes in 2..=4 {
            let v4 = (0..=255).map(|host| IpAddr::from([10, 0, 0, host]));
            let v6 = (0..=255).map(|host| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, host]));
            for family in [v4.collect::<Vec<_>>(), v6.collect()] {
                for lane in 0..lanes {
                    let share = family.iter().filter(|ip| stack_hash(**ip) % lanes == lane).count();
                    assert!(
                        share * lanes as usize > 200,
                        "lane {lane} of {lanes} gets {share} of 256"
                    );
                }
            }
        }
    }

    #[test]
    fn an_app_hears_why_its_connect_failed() {
        let unreachable = |kind| Refusal::Unreachable(stack::Fault { kind, router: None });
        let reported =
            stack::Fault { kind: stack::FaultKind::Prohibited, router: Some([10, 0, 0, 1].into()) };
        for (reason, expected) in [
            (ConnectFailure::NetworkUnreachable, unreachable(stack::FaultKind::NetworkUnreachable)),
            (ConnectFailure::HostUnreachable, unreachable(stack::FaultKind::HostUnreachable)),
            (ConnectFailure::PermissionDenied, unreachable(stack::FaultKind::Prohibited)),
            (ConnectFailure::Reported(reported), Refusal::Unreachable(reported)),
            (ConnectFailure::TimedOut, Refusal::Silent),
            (ConnectFailure::Refused, Refusal::Reset),
            (ConnectFailure::NoResources, Refusal::Reset),
            (ConnectFailure::TooManyFlows, Refusal::Reset),
            (ConnectFailure::Other, Refusal::Reset),
        ] {
            assert_eq!(refusal(reason), expected, "{reason:?}");
        }
    }

    #[test]
    fn a_failed_question_keeps_its_reason_and_a_time_out_stays_silent() {
        let query = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        assert_eq!(no_answer(&query, QueryFailure::TimedOut), None);
        for (reason, code) in [(QueryFailure::NoServer, 2), (QueryFailure::Refused, 5)] {
            let answer = no_answer(&query, reason).unwrap();
            assert_eq!((&answer[..2], answer[3] & 15), (&query[..2], code), "{reason:?}");
        }
    }
}
