//! Connections to a VM by Hyper-V sockets (Microsoft, "Make your own integration services";
//! hvsocket.h). The address itself is built and tested in `hyperv.rs` of the crate.

use crate::hyperv::{Address, FAMILY};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::os::windows::io::AsRawSocket as _;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock::{
    SOCKADDR, SOCKET, WSAGetLastError, connect as winsock_connect, setsockopt,
};
use windows_sys::Win32::System::Hypervisor::{
    HV_PROTOCOL_RAW, HVSOCKET_CONNECT_TIMEOUT, HVSOCKET_CONNECT_TIMEOUT_MAX, SOCKADDR_HV,
};

// The pure half must describe the structure that Windows' own bindings have.
const _: () = assert!(size_of::<Address>() == size_of::<SOCKADDR_HV>());
const _: () = assert!(align_of::<Address>() == align_of::<SOCKADDR_HV>());

/// Connects to an address, with buffers of `buffer` bytes each way, and waits at most `within`.
/// Blocks this thread. The socket stays a blocking one.
///
/// # Errors
/// Windows' code: WSAEAFNOSUPPORT (10047) without Hyper-V, WSAEACCES (10013) where the VM belongs
/// to another account, WSAECONNREFUSED (10061) or WSAETIMEDOUT (10060) if nothing listens there.
pub(crate) fn connect(address: &Address, buffer: usize, within: Duration) -> io::Result<Socket> {
    let protocol = Protocol::from(HV_PROTOCOL_RAW as i32);
    let socket = Socket::new(Domain::from(i32::from(FAMILY)), Type::STREAM, Some(protocol))?;
    for set in [Socket::set_send_buffer_size, Socket::set_recv_buffer_size] {
        // A smaller one works too, only slower.
        if let Err(error) = set(&socket, buffer) {
            tracing::debug!(%error, "the Hyper-V socket keeps its size");
        }
    }
    let raw = socket.as_raw_socket() as SOCKET;
    let milliseconds = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
    let limit = milliseconds.clamp(1, HVSOCKET_CONNECT_TIMEOUT_MAX).to_ne_bytes();
    // SAFETY: the value is a ULONG of 4 bytes that outlives the call (hvsocket.h: the level of the
    // option is the protocol).
    let failed = unsafe {
        let (level, option) = (HV_PROTOCOL_RAW as i32, HVSOCKET_CONNECT_TIMEOUT as i32);
        setsockopt(raw, level, option, limit.as_ptr(), 4)
    };
    if failed != 0 {
        // The caller has a limit too; this thread then waits as long as Windows does.
        tracing::debug!(error = %last_error(), "the Hyper-V socket keeps its limit for connects");
    }
    let name = (&raw const *address).cast::<SOCKADDR>();
    // SAFETY: the address has the size, the alignment and the fields of SOCKADDR_HV, is only read,
    // and outlives the call (Microsoft's page of `connect`).
    let failed = unsafe { winsock_connect(raw, name, size_of::<Address>() as i32) };
    if failed == 0 { Ok(socket) } else { Err(last_error()) }
}

fn last_error() -> io::Error {
    // SAFETY: it takes nothing and reads the thread's own error code.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;
    use windows_sys::Win32::Networking::WinSock::AF_HYPERV;
    use windows_sys::core::GUID;

    const VM: u128 = 0x0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9;

    #[test]
    fn an_address_is_the_structure_of_windows_bindings() {
        let built = Address::of_port("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", 5000).unwrap();
        let service = GUID::from_u128(0x00001388_facb_11e6_bd58_64006a7986d3);
        let theirs = SOCKADDR_HV {
            Family: AF_HYPERV,
            Reserved: 0,
            VmId: GUID::from_u128(VM),
            ServiceId: service,
        };
        assert_eq!((offset_of!(SOCKADDR_HV, VmId), offset_of!(SOCKADDR_HV, ServiceId)), (4, 20));
        // SAFETY: both have the same size, the structure has no padding, and bytes have no invalid
        // pattern.
        let bytes: [u8; 36] = unsafe { std::mem::transmute(theirs) };
        assert_eq!(built.0, bytes);
    }

    /// Wine lacks Hyper-V sockets, and a Windows that has them lacks this VM.
    #[test]
    fn a_vm_that_does_not_exist_is_an_error_of_windows() {
        let address = Address::of_port("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", 5000).unwrap();
        let error = connect(&address, 256 * 1024, Duration::from_secs(1)).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
    }
}
