//! Windows' answers that WSL needs before it starts: the registry, a service, and whether a
//! function of the resolver works.

use super::raw_query::RawFunctions;
use super::text::wide;
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{ERROR_SERVICE_DOES_NOT_EXIST, GetLastError};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RegGetValueW};
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, OpenSCManagerW, OpenServiceW, QueryServiceStatus, SC_HANDLE,
    SC_MANAGER_CONNECT, SERVICE_QUERY_STATUS, SERVICE_STATUS, SERVICE_STOPPED,
};

/// Whether `DnsQueryRaw` works, by WSL's own check.
pub(crate) fn has_dns_query_raw() -> bool {
    RawFunctions::load().is_ok_and(RawFunctions::are_on)
}

/// A number of the registry below `HKEY_LOCAL_MACHINE`; `None` if the key or the value does not
/// exist, or is not a number.
pub(crate) fn machine_number(key: &str, name: &str) -> Option<u32> {
    let (mut value, mut size) = (0_u32, 4_u32);
    // SAFETY: the names end with a zero; value and size outlive the call, and the size is the
    // value's.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            wide(key).as_ptr(),
            wide(name).as_ptr(),
            RRF_RT_REG_DWORD,
            null_mut(),
            (&raw mut value).cast(),
            &raw mut size,
        )
    };
    (code == 0).then_some(value)
}

/// Whether a service exists and is not stopped (microsoft/WSL, `helpers.cpp`, `IsServiceRunning`);
/// `None` if this user may not know.
pub(crate) fn is_running(service: &str) -> Option<bool> {
    // SAFETY: null names this machine and its active database.
    let manager = Handle(unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT) });
    if manager.0.is_null() {
        return None;
    }
    // SAFETY: the manager is open, and the name ends with a zero.
    let service =
        Handle(unsafe { OpenServiceW(manager.0, wide(service).as_ptr(), SERVICE_QUERY_STATUS) });
    if service.0.is_null() {
        // SAFETY: the call has no arguments.
        return (unsafe { GetLastError() } == ERROR_SERVICE_DOES_NOT_EXIST).then_some(false);
    }
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the service is open with the right to query its status, whose place outlives the
    // call.
    let is_known = unsafe { QueryServiceStatus(service.0, &raw mut status) } != 0;
    is_known.then_some(status.dwCurrentState != SERVICE_STOPPED)
}

/// A handle of the service manager.
struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the handle belongs to this value, and is not used any more. A failure to
            // close it does no harm.
            unsafe { CloseServiceHandle(self.0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_registry_are_read_and_missing_ones_give_none() {
        // Every Windows has this number, and Wine too.
        let number = machine_number(
            r"SYSTEM\CurrentControlSet\Control\Session Manager",
            "CriticalSectionTimeout",
        );
        let version = machine_number(
            r"SOFTWARE\Microsoft\Windows NT\CurrentVersion",
            "CurrentMajorVersionNumber",
        );
        assert!(number.is_some() || version == Some(10), "{number:?} {version:?}");
        assert_eq!(
            machine_number(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion", "CurrentBuild"),
            None,
            "a text"
        );
        assert_eq!(machine_number(r"SOFTWARE\Policies\NoSuchKey", "NoSuchValue"), None);
    }

    #[test]
    fn a_service_that_is_not_there_does_not_run() {
        assert_eq!(is_running("NoSuchService"), Some(false));
        // Windows' remote procedure calls run as long as Windows does.
        assert_eq!(is_running("RpcSs"), Some(true));
    }
}
