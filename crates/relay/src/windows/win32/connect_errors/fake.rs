//! The two socket options for tests, exactly as strict as Microsoft's page "IPPROTO_TCP socket
//! options" and those of `WSAGetIcmpErrorInfo` and `setsockopt`. The sockets are real; only the
//! content of an ICMP error comes from the test.

use super::{Calls, IcmpError};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, ICMP_ERROR_INFO, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, SOCKET,
    SOCKET_ERROR, TCP_FAIL_CONNECT_ON_ICMP_ERROR, TCP_ICMP_ERROR_INFO, WSAEFAULT, WSAENOPROTOOPT,
    WSANO_DATA, WSASetLastError,
};
use wire::frame::Family;

/// A Windows that reports errors.
pub(crate) const CALLS: Calls = Calls { set, get };

/// A Windows before version 2004, or a Wine.
pub(crate) const OLDER: Calls = Calls { set: no_set, get: no_get };

thread_local! {
    /// The error for a socket whose connect fails.
    static SAID: Cell<Option<IcmpError>> = const { Cell::new(None) };
    /// Sockets whose connects fail by an ICMP error.
    static FAIL: RefCell<HashSet<SOCKET>> = RefCell::default();
}

/// Gives this error to each failing connect of this thread.
pub(crate) fn says(error: IcmpError) {
    SAID.set(Some(error));
}

/// No ICMP error comes.
pub(crate) fn says_nothing() {
    SAID.set(None);
}

fn fails(code: i32) -> i32 {
    // SAFETY: it only sets the thread's own error code.
    unsafe { WSASetLastError(code) };
    SOCKET_ERROR
}

unsafe extern "system" fn set(
    socket: SOCKET,
    level: i32,
    option: i32,
    value: *const u8,
    length: i32,
) -> i32 {
    if (level, option) != (IPPROTO_TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR) {
        return fails(WSAENOPROTOOPT);
    }
    if value.is_null() || length < 4 {
        return fails(WSAEFAULT);
    }
    // SAFETY: the caller's value has at least the four bytes of a DWORD.
    let on = unsafe { value.cast::<u32>().read_unaligned() } != 0;
    FAIL.with_borrow_mut(|fail| if on { fail.insert(socket) } else { fail.remove(&socket) });
    0
}

unsafe extern "system" fn get(
    socket: SOCKET,
    level: i32,
    option: i32,
    value: *mut u8,
    length: *mut i32,
) -> i32 {
    if (level, option) != (IPPROTO_TCP, TCP_ICMP_ERROR_INFO) {
        return fails(WSAENOPROTOOPT);
    }
    let size = size_of::<ICMP_ERROR_INFO>();
    // SAFETY: the caller's length is readable if the pointer is not null.
    if value.is_null()
        || length.is_null()
        || usize::try_from(unsafe { *length }).unwrap_or(0) < size
    {
        return fails(WSAEFAULT);
    }
    // "If no ICMP error has been received since the last connect call, then WSANO_DATA is
    // returned". A socket without the option keeps trying, and has no error.
    let Some(error) = SAID.get().filter(|_| FAIL.with_borrow(|fail| fail.contains(&socket))) else {
        return fails(WSANO_DATA);
    };
    let mut info = ICMP_ERROR_INFO {
        protocol: if error.family == Family::V4 { IPPROTO_ICMP } else { IPPROTO_ICMPV6 },
        r#type: error.kind,
        code: error.code,
        ..ICMP_ERROR_INFO::default()
    };
    match error.from.unwrap_or(Ipv4Addr::UNSPECIFIED.into()) {
        IpAddr::V4(from) => {
            info.srcaddress.Ipv4.sin_family = AF_INET;
            info.srcaddress.Ipv4.sin_addr.S_un.S_addr = u32::from_ne_bytes(from.octets());
        }
        IpAddr::V6(from) => {
            info.srcaddress.Ipv6.sin6_family = AF_INET6;
            info.srcaddress.Ipv6.sin6_addr.u.Byte = from.octets();
        }
    }
    // SAFETY: both pointers lead to enough room, as checked above.
    unsafe {
        value.cast::<ICMP_ERROR_INFO>().write_unaligned(info);
        *length = size as i32;
    }
    0
}

unsafe extern "system" fn no_set(_: SOCKET, _: i32, _: i32, _: *const u8, _: i32) -> i32 {
    fails(WSAENOPROTOOPT)
}

unsafe extern "system" fn no_get(_: SOCKET, _: i32, _: i32, _: *mut u8, _: *mut i32) -> i32 {
    fails(WSAENOPROTOOPT)
}
