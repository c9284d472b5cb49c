//! The meaning of Windows' error codes for a connection and for a datagram (Microsoft: "Windows
//! Sockets Error Codes", "System Error Codes").

use wire::{ConnectFailure, Fault, FaultKind};

/// Why a connect failed. Sockets report codes from 10,000 on. The system's own codes mean the same
/// after an overlapped connect.
pub(crate) fn connect_failure(code: i32) -> ConnectFailure {
    match code {
        // WSAECONNREFUSED, ERROR_CONNECTION_REFUSED
        10061 | 1225 => ConnectFailure::Refused,
        // WSAETIMEDOUT, ERROR_SEM_TIMEOUT
        10060 | 121 => ConnectFailure::TimedOut,
        // WSAENETUNREACH, WSAENETDOWN, WSAEAFNOSUPPORT, ERROR_NETWORK_UNREACHABLE
        10051 | 10050 | 10047 | 1231 => ConnectFailure::NetworkUnreachable,
        // WSAEHOSTUNREACH, WSAEHOSTDOWN, ERROR_HOST_UNREACHABLE
        10065 | 10064 | 1232 => ConnectFailure::HostUnreachable,
        // WSAEACCES (a firewall says no), ERROR_ACCESS_DENIED
        10013 | 5 => ConnectFailure::PermissionDenied,
        // WSAEADDRINUSE and WSAENOBUFS (no dynamic port is left), WSAEADDRNOTAVAIL, WSAEMFILE
        10048 | 10055 | 10049 | 10024 => ConnectFailure::NoResources,
        _ => ConnectFailure::Other,
    }
}

/// The fault that the gateway receives when the host itself does not send a datagram; `None` if
/// nothing is known about its path.
pub(crate) fn local_fault(code: i32) -> Option<Fault> {
    let kind = match code {
        10051 | 10050 | 10047 => FaultKind::NetworkUnreachable,
        10065 | 10064 => FaultKind::HostUnreachable,
        10013 => FaultKind::Prohibited,
        _ => return None,
    };
    Some(Fault { kind, router: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_own_reason() {
        for (code, reason) in [
            (10061, ConnectFailure::Refused),
            (10060, ConnectFailure::TimedOut),
            (10051, ConnectFailure::NetworkUnreachable),
            (10065, ConnectFailure::HostUnreachable),
            (10013, ConnectFailure::PermissionDenied),
            (10048, ConnectFailure::NoResources),
            (10055, ConnectFailure::NoResources),
            (1225, ConnectFailure::Refused),
            (10022, ConnectFailure::Other),
        ] {
            assert_eq!(connect_failure(code), reason, "{code}");
        }
        let kind = |code| local_fault(code).map(|fault| fault.kind);
        assert_eq!(kind(10051), Some(FaultKind::NetworkUnreachable));
        assert_eq!(kind(10065), Some(FaultKind::HostUnreachable));
        assert_eq!(kind(10013), Some(FaultKind::Prohibited));
        // WSAEWOULDBLOCK: a full buffer says nothing of the path.
        assert_eq!(kind(10035), None);
    }
}
