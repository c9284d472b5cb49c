//! Windows' socket addresses, read.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET,
};

/// The IP address in a socket address; `None` for a null pointer or another family.
///
/// # Safety
/// The pointer is null or leads to a socket address of its family's size.
pub(super) unsafe fn socket_address(address: *const SOCKADDR) -> Option<SocketAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null, and every socket address begins with its family.
    match unsafe { (*address).sa_family } {
        AF_INET => {
            // SAFETY: the family says that it is one; it may lie anywhere.
            let v4 = unsafe { address.cast::<SOCKADDR_IN>().read_unaligned() };
            // SAFETY: each view of the four bytes is valid.
            let octets = unsafe { v4.sin_addr.S_un.S_addr }.to_ne_bytes();
            Some(SocketAddrV4::new(Ipv4Addr::from(octets), u16::from_be(v4.sin_port)).into())
        }
        AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { address.cast::<SOCKADDR_IN6>().read_unaligned() };
            // SAFETY: each view of the sixteen bytes is valid.
            let octets = unsafe { v6.sin6_addr.u.Byte };
            // SAFETY: the scope is a number in either view.
            let scope = unsafe { v6.Anonymous.sin6_scope_id };
            Some(
                SocketAddrV6::new(Ipv6Addr::from(octets), u16::from_be(v6.sin6_port), 0, scope)
                    .into(),
            )
        }
        _ => None,
    }
}

/// The address in one of Windows' unions of both families.
pub(super) fn inet_address(address: &SOCKADDR_INET) -> Option<SocketAddr> {
    // SAFETY: the union is as large as the larger of the two, and begins with the family in both.
    unsafe { socket_address((&raw const *address).cast()) }
}
