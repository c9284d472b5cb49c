//! Adapters, routes and the system's version.

use super::addresses::{inet_address, socket_address};
use super::library::functions;
use super::text::{list, text};
use std::ffi::c_void;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use tokio::sync::mpsc;
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, HANDLE};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GAA_FLAG_INCLUDE_GATEWAYS, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_MULTICAST,
    GetAdaptersAddresses, GetBestInterface, GetIpForwardTable2, IP_ADAPTER_ADDRESSES_LH,
    MIB_IPFORWARD_ROW2, MIB_IPFORWARD_TABLE2, MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE,
    NotifyIpInterfaceChange, NotifyRouteChange2, PIPFORWARD_CHANGE_CALLBACK,
    PIPINTERFACE_CHANGE_CALLBACK,
};
use windows_sys::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows_sys::Win32::Networking::WinSock::{ADDRESS_FAMILY, AF_UNSPEC, SOCKET_ADDRESS};
use windows_sys::Win32::System::SystemInformation::{
    COMPUTER_NAME_FORMAT, ComputerNameDnsFullyQualified, ComputerNameDnsHostname,
    GetComputerNameExW, OSVERSIONINFOW,
};

functions! {
    struct IpHelper from "iphlpapi.dll" {
        adapters: GetAdaptersAddresses(u32, u32, *const c_void, *mut IP_ADAPTER_ADDRESSES_LH, *mut u32) -> u32;
        routes: GetIpForwardTable2(ADDRESS_FAMILY, *mut *mut MIB_IPFORWARD_TABLE2) -> u32;
        free_table: FreeMibTable(*const c_void);
        best_interface: GetBestInterface(u32, *mut u32) -> u32;
        notify_routes: NotifyRouteChange2(
            ADDRESS_FAMILY, PIPFORWARD_CHANGE_CALLBACK, *const c_void, bool, *mut HANDLE,
        ) -> u32;
        notify_interfaces: NotifyIpInterfaceChange(
            ADDRESS_FAMILY, PIPINTERFACE_CHANGE_CALLBACK, *const c_void, bool, *mut HANDLE,
        ) -> u32;
    }
}

/// An adapter as Windows reports it.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) description: String,
    /// IANA's number of its kind (ifType).
    pub(crate) kind: u32,
    pub(crate) up: bool,
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) dns_servers: Vec<IpAddr>,
    /// The domain of this machine's name on the adapter's network; may be empty.
    pub(crate) dns_suffix: String,
    pub(crate) metric: u32,
    pub(crate) mtu: u32,
}

/// A route as Windows reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) to: IpAddr,
    pub(crate) prefix: u8,
    pub(crate) adapter: u32,
}

/// All adapters.
///
/// # Errors
/// Windows' error.
pub(crate) fn adapters() -> io::Result<Vec<Adapter>> {
    let helper = IpHelper::load()?;
    let flags = GAA_FLAG_INCLUDE_GATEWAYS | GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST;
    // Microsoft's page advises to begin with 15 KiB. The size needed may grow between two calls.
    let mut size = 16 * 1024_u32;
    for _ in 0..8 {
        let mut buffer = vec![0_u64; (size as usize).div_ceil(8)];
        size = (buffer.len() * 8) as u32;
        let first = buffer.as_mut_ptr().cast::<IP_ADAPTER_ADDRESSES_LH>();
        // SAFETY: the buffer is aligned for the structures and has the size given.
        let code =
            unsafe { (helper.adapters)(u32::from(AF_UNSPEC), flags, null(), first, &raw mut size) };
        match code {
            0 => {
                // SAFETY: Windows filled the buffer with a list that ends in null, and it lives
                // until the list was read.
                let all = unsafe { list(first.cast_const(), |a| a.Next.cast_const()) };
                return Ok(all.map(adapter).collect());
            }
            ERROR_BUFFER_OVERFLOW => {}
            code => return Err(io::Error::from_raw_os_error(code as i32)),
        }
    }
    Err(io::Error::from_raw_os_error(ERROR_BUFFER_OVERFLOW as i32))
}

fn adapter(of: &IP_ADAPTER_ADDRESSES_LH) -> Adapter {
    let ip = |address: &SOCKET_ADDRESS| {
        // SAFETY: null, or a socket address of its family's size in the same buffer.
        unsafe { socket_address(address.lpSockaddr) }.map(|address| address.ip())
    };
    // SAFETY: each of the lists and strings is in the buffer that `of` is in.
    let (addresses, gateways, servers, suffix, name, description) = unsafe {
        (
            list(of.FirstUnicastAddress.cast_const(), |a| a.Next.cast_const()),
            list(of.FirstGatewayAddress.cast_const(), |a| a.Next.cast_const()),
            list(of.FirstDnsServerAddress.cast_const(), |a| a.Next.cast_const()),
            text(of.DnsSuffix),
            text(of.FriendlyName),
            text(of.Description),
        )
    };
    Adapter {
        // SAFETY: the index is a number in either view of the union.
        index: unsafe { of.Anonymous1.Anonymous.IfIndex },
        name: name.unwrap_or_default(),
        description: description.unwrap_or_default(),
        kind: of.IfType,
        up: of.OperStatus == IfOperStatusUp,
        addresses: addresses
            .filter_map(|a| Some((ip(&a.Address)?, a.OnLinkPrefixLength)))
            .collect(),
        gateways: gateways.filter_map(|a| ip(&a.Address)).collect(),
        dns_servers: servers.filter_map(|a| ip(&a.Address)).collect(),
        dns_suffix: suffix.unwrap_or_default(),
        metric: of.Ipv4Metric,
        mtu: of.Mtu,
    }
}

/// This machine's name in the DNS, without its domain and with it.
pub(crate) fn computer_names() -> [Option<String>; 2] {
    [ComputerNameDnsHostname, ComputerNameDnsFullyQualified].map(computer_name)
}

fn computer_name(form: COMPUTER_NAME_FORMAT) -> Option<String> {
    // No DNS name is longer (RFC 1035 section 2.3.4). The zero at its end counts going in, not
    // coming out.
    let mut units = [0_u16; 256];
    let mut length = units.len() as u32;
    // SAFETY: the buffer has as many units as the length says, and both outlive the call
    // (Microsoft's page of `GetComputerNameExW`).
    let is_known = unsafe { GetComputerNameExW(form, units.as_mut_ptr(), &raw mut length) } != 0;
    let name = units.get(..length as usize).filter(|name| is_known && !name.is_empty())?;
    Some(String::from_utf16_lossy(name))
}

/// All routes.
///
/// # Errors
/// Windows' error.
pub(crate) fn routes() -> io::Result<Vec<Route>> {
    let helper = IpHelper::load()?;
    let mut table: *mut MIB_IPFORWARD_TABLE2 = null_mut();
    // SAFETY: the pointer outlives the call.
    let code = unsafe { (helper.routes)(AF_UNSPEC, &raw mut table) };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code as i32));
    }
    // SAFETY: Windows says how many rows follow the head of the table.
    let rows = unsafe {
        let first = (&raw const (*table).Table).cast::<MIB_IPFORWARD_ROW2>();
        std::slice::from_raw_parts(first, (*table).NumEntries as usize)
    };
    let route = |row: &MIB_IPFORWARD_ROW2| {
        let to = inet_address(&row.DestinationPrefix.Prefix)?.ip();
        Some(Route { to, prefix: row.DestinationPrefix.PrefixLength, adapter: row.InterfaceIndex })
    };
    let routes = rows.iter().filter_map(route).collect();
    // SAFETY: Windows' own memory, freed once and not used any more.
    unsafe { (helper.free_table)(table.cast::<c_void>().cast_const()) };
    Ok(routes)
}

/// The index of the adapter that reaches an address.
pub(crate) fn way_to(address: Ipv4Addr) -> Option<u32> {
    let helper = IpHelper::load().ok()?;
    let mut index = 0;
    // SAFETY: the number outlives the call.
    let code =
        unsafe { (helper.best_interface)(u32::from_ne_bytes(address.octets()), &raw mut index) };
    (code == 0).then_some(index)
}

/// Windows' version: major, minor, build.
pub(crate) fn version() -> (u32, u32, u32) {
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32,
        ..Default::default()
    };
    // SAFETY: the structure holds its own size, and outlives the call.
    unsafe { RtlGetVersion(&raw mut version) };
    (version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber)
}

/// The receiver of change notifications. Windows calls from threads of its own, also while a
/// notification is being cancelled; so it lives forever.
static CHANGES: OnceLock<mpsc::Sender<()>> = OnceLock::new();

unsafe extern "system" fn route_changed(
    _: *const c_void,
    _: *const MIB_IPFORWARD_ROW2,
    _: MIB_NOTIFICATION_TYPE,
) {
    changed();
}

unsafe extern "system" fn adapter_changed(
    _: *const c_void,
    _: *const MIB_IPINTERFACE_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    changed();
}

fn changed() {
    if let Some(tell) = CHANGES.get() {
        // One that waits is as good as two.
        let _ = tell.try_send(());
    }
}

/// Reports changes of routes and adapters as long as the process runs. Call it once only.
///
/// # Errors
/// Windows' error. Then no changes, or only some, are reported.
pub(crate) fn notify(tell: mpsc::Sender<()>) -> io::Result<()> {
    let helper = IpHelper::load()?;
    if CHANGES.set(tell).is_err() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut handle: HANDLE = null_mut();
    // SAFETY: the functions and the data that they use live forever; the handles are never closed.
    let codes = unsafe {
        [
            (helper.notify_routes)(AF_UNSPEC, Some(route_changed), null(), false, &raw mut handle),
            (helper.notify_interfaces)(
                AF_UNSPEC,
                Some(adapter_changed),
                null(),
                false,
                &raw mut handle,
            ),
        ]
    };
    match codes.into_iter().find(|code| *code != 0) {
        None => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code as i32)),
    }
}
