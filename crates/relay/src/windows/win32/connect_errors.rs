//! The ICMP error that ended a TCP connect, which Windows reports from version 2004 of Windows 10
//! on.
//!
//! Rests on Microsoft's pages "IPPROTO_TCP socket options", `WSAGetIcmpErrorInfo` and
//! `ICMP_ERROR_INFO`: with `TCP_FAIL_CONNECT_ON_ICMP_ERROR` a connect fails as soon as an ICMP
//! error comes (without it, Windows tries until its time is over), and `TCP_ICMP_ERROR_INFO`
//! returns the error.

#[cfg(test)]
pub(crate) mod fake;

use super::addresses::inet_address;
use std::io;
use std::mem::size_of;
use std::net::IpAddr;
use std::os::windows::io::AsRawSocket;
use windows_sys::Win32::Networking::WinSock::{
    ICMP_ERROR_INFO, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, SOCKET,
    TCP_FAIL_CONNECT_ON_ICMP_ERROR, TCP_ICMP_ERROR_INFO, WSAGetLastError, getsockopt, setsockopt,
};
use wire::frame::Family;

/// Windows' two functions, or a fake's.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    set: unsafe extern "system" fn(SOCKET, i32, i32, *const u8, i32) -> i32,
    get: unsafe extern "system" fn(SOCKET, i32, i32, *mut u8, *mut i32) -> i32,
}

/// Windows' own.
pub(crate) const WINDOWS: Calls = Calls { set: setsockopt, get: getsockopt };

/// An ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IcmpError {
    pub(crate) from: Option<IpAddr>,
    pub(crate) family: Family,
    pub(crate) kind: u8,
    pub(crate) code: u8,
}

fn last_error() -> io::Error {
    // SAFETY: it takes nothing and reads the thread's own error code.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}

impl Calls {
    /// Makes a later connect fail when an ICMP error comes.
    ///
    /// # Errors
    /// This Windows is older than the option (WSAENOPROTOOPT).
    pub(crate) fn fail_on_errors(self, socket: &impl AsRawSocket) -> io::Result<()> {
        let on = 1_u32.to_ne_bytes();
        let socket = socket.as_raw_socket() as SOCKET;
        // SAFETY: the value is the DWORD of 4 bytes that the page asks for, and outlives the call.
        let failed = unsafe {
            (self.set)(socket, IPPROTO_TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR, on.as_ptr(), 4)
        };
        if failed == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// The ICMP error that has come since the last connect began; `None` if there is none, or
    /// Windows does not report it.
    pub(crate) fn error(self, socket: &impl AsRawSocket) -> Option<IcmpError> {
        const SIZE: i32 = size_of::<ICMP_ERROR_INFO>() as i32;
        let (mut info, mut size) = (ICMP_ERROR_INFO::default(), SIZE);
        let socket = socket.as_raw_socket() as SOCKET;
        let place = (&raw mut info).cast::<u8>();
        // SAFETY: the value is an ICMP_ERROR_INFO, as large as `size` says; both outlive the call.
        let failed =
            unsafe { (self.get)(socket, IPPROTO_TCP, TCP_ICMP_ERROR_INFO, place, &raw mut size) };
        if failed != 0 || size < SIZE {
            return None;
        }
        let family = match info.protocol {
            IPPROTO_ICMP => Family::V4,
            IPPROTO_ICMPV6 => Family::V6,
            _ => return None,
        };
        let from = inet_address(&info.srcaddress)
            .map(|from| from.ip())
            .filter(|from| !from.is_unspecified());
        Some(IcmpError { from, family, kind: info.r#type, code: info.code })
    }
}
