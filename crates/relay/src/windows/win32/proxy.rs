//! Proxy settings as WinHTTP reports them, and the registry keys that change with them.

use super::library::functions;
use super::text::{taken, wide};
use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinHttp::{
    ERROR_WINHTTP_LOGIN_FAILURE, WINHTTP_ACCESS_TYPE_NAMED_PROXY, WINHTTP_ACCESS_TYPE_NO_PROXY,
    WINHTTP_AUTO_DETECT_TYPE_DHCP, WINHTTP_AUTO_DETECT_TYPE_DNS_A, WINHTTP_AUTOPROXY_AUTO_DETECT,
    WINHTTP_AUTOPROXY_CONFIG_URL, WINHTTP_AUTOPROXY_OPTIONS, WINHTTP_CURRENT_USER_IE_PROXY_CONFIG,
    WINHTTP_PROXY_INFO, WinHttpGetDefaultProxyConfiguration, WinHttpGetIEProxyConfigForCurrentUser,
    WinHttpGetProxyForUrl, WinHttpOpen,
};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, KEY_NOTIFY, REG_NOTIFY_CHANGE_LAST_SET,
    REG_NOTIFY_CHANGE_NAME, RegCloseKey, RegNotifyChangeKeyValue, RegOpenKeyExW,
};
use windows_sys::core::{BOOL, PCWSTR, w};
use wire::facts::Proxy;

functions! {
    struct WinHttp from "winhttp.dll" {
        user: WinHttpGetIEProxyConfigForCurrentUser(*mut WINHTTP_CURRENT_USER_IE_PROXY_CONFIG) -> BOOL;
        machine: WinHttpGetDefaultProxyConfiguration(*mut WINHTTP_PROXY_INFO) -> BOOL;
        open: WinHttpOpen(PCWSTR, u32, PCWSTR, PCWSTR, u32) -> *mut c_void;
        for_url: WinHttpGetProxyForUrl(
            *mut c_void, PCWSTR, *mut WINHTTP_AUTOPROXY_OPTIONS, *mut WINHTTP_PROXY_INFO,
        ) -> BOOL;
    }
}

/// A registry key that holds proxy settings.
///
/// WinHTTP has a call that reports their changes, but only from Windows 10 version 1903 on; the
/// registry reports them everywhere.
#[derive(Debug)]
pub(crate) struct Settings(HKEY);

// SAFETY: a key's handle may be used by any thread, and only its owner closes it.
unsafe impl Send for Settings {}

impl Settings {
    /// The user's settings, their form for each connection, and the machine's. Only these keys, not
    /// those below: the browser's cache is there.
    pub(crate) fn all() -> [io::Result<Self>; 3] {
        let settings = w!(r"Software\Microsoft\Windows\CurrentVersion\Internet Settings");
        let connections =
            w!(r"Software\Microsoft\Windows\CurrentVersion\Internet Settings\Connections");
        let places = [
            (HKEY_CURRENT_USER, settings),
            (HKEY_CURRENT_USER, connections),
            (HKEY_LOCAL_MACHINE, connections),
        ];
        places.map(|(root, path)| Self::open(root, path))
    }

    fn open(root: HKEY, path: PCWSTR) -> io::Result<Self> {
        let mut key: HKEY = null_mut();
        // SAFETY: the path ends in null, and the handle's place outlives the call.
        match unsafe { RegOpenKeyExW(root, path, 0, KEY_NOTIFY, &raw mut key) } {
            0 => Ok(Self(key)),
            code => Err(io::Error::from_raw_os_error(code as i32)),
        }
    }

    /// Waits until a value of the key changes.
    ///
    /// # Errors
    /// Windows' error. Then it reports no changes.
    pub(crate) fn wait_for_change(&self) -> io::Result<()> {
        let changes = REG_NOTIFY_CHANGE_LAST_SET | REG_NOTIFY_CHANGE_NAME;
        let no_event: HANDLE = null_mut();
        // SAFETY: the key is open with the right to be notified; without an event the call waits.
        match unsafe { RegNotifyChangeKeyValue(self.0, 0, changes, no_event, 0) } {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code as i32)),
        }
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        // SAFETY: the handle belongs to this value, and is not used any more. A failure to close it
        // does no harm.
        unsafe { RegCloseKey(self.0) };
    }
}

/// The user's settings.
pub(crate) fn of_user() -> Option<Proxy> {
    let mut config = WINHTTP_CURRENT_USER_IE_PROXY_CONFIG::default();
    // SAFETY: the structure outlives the call.
    if unsafe { (WinHttp::load().ok()?.user)(&raw mut config) } == 0 {
        return None;
    }
    // SAFETY: each is null or a string that the caller must free (Microsoft's page of the
    // structure).
    unsafe {
        Some(Proxy {
            auto_detect: config.fAutoDetect != 0,
            pac_url: taken(config.lpszAutoConfigUrl),
            proxy: taken(config.lpszProxy),
            bypass: taken(config.lpszProxyBypass),
        })
    }
}

/// The machine's settings (`netsh winhttp`).
pub(crate) fn of_machine() -> Option<Proxy> {
    let mut info = WINHTTP_PROXY_INFO::default();
    // SAFETY: the structure outlives the call.
    if unsafe { (WinHttp::load().ok()?.machine)(&raw mut info) } == 0 {
        return None;
    }
    // SAFETY: as above.
    unsafe {
        Some(Proxy {
            auto_detect: false,
            pac_url: None,
            proxy: taken(info.lpszProxy),
            bypass: taken(info.lpszProxyBypass),
        })
    }
}

/// The list of proxies that a script (PAC) names for a URL, or `None` if it says that none is
/// needed. The script is at `script`, or searched for in the network (WPAD); Windows caches it for
/// a while. May take seconds.
///
/// # Errors
/// Windows' error: there is no script, or it cannot be fetched or run.
pub(crate) fn script_says(
    url: &str,
    search: bool,
    script: Option<&str>,
) -> io::Result<Option<String>> {
    match ask_script(url, search, script, false) {
        // The server of the script requires authentication: as the user, with Windows' own
        // credentials. Not on the first try, because then nothing is cached.
        Err(error) if error.raw_os_error() == Some(ERROR_WINHTTP_LOGIN_FAILURE as i32) => {
            ask_script(url, search, script, true)
        }
        outcome => outcome,
    }
}

fn ask_script(
    url: &str,
    search: bool,
    script: Option<&str>,
    log_on: bool,
) -> io::Result<Option<String>> {
    let http = WinHttp::load()?;
    let session = session(&http)?;
    let (url, script) = (wide(url), script.map(wide));
    let mut options =
        WINHTTP_AUTOPROXY_OPTIONS { fAutoLogonIfChallenged: log_on.into(), ..Default::default() };
    if search {
        options.dwFlags |= WINHTTP_AUTOPROXY_AUTO_DETECT;
        options.dwAutoDetectFlags = WINHTTP_AUTO_DETECT_TYPE_DHCP | WINHTTP_AUTO_DETECT_TYPE_DNS_A;
    }
    if let Some(script) = &script {
        options.dwFlags |= WINHTTP_AUTOPROXY_CONFIG_URL;
        options.lpszAutoConfigUrl = script.as_ptr();
    }
    let mut info = WINHTTP_PROXY_INFO::default();
    // SAFETY: the session stays open, both texts end in zero, and all of them outlive the call.
    if unsafe { (http.for_url)(session, url.as_ptr(), &raw mut options, &raw mut info) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: each is null or a string that the caller must free (Microsoft's page of the
    // structure).
    let (proxies, _) = unsafe { (taken(info.lpszProxy), taken(info.lpszProxyBypass)) };
    Ok(proxies.filter(|_| info.dwAccessType == WINHTTP_ACCESS_TYPE_NAMED_PROXY))
}

/// WinHTTP's session of this process, in which it caches scripts.
fn session(http: &WinHttp) -> io::Result<*mut c_void> {
    static SESSION: OnceLock<usize> = OnceLock::new();
    if let Some(open) = SESSION.get() {
        return Ok(*open as *mut c_void);
    }
    // SAFETY: only nulls and numbers go in.
    let opened = unsafe { (http.open)(null(), WINHTTP_ACCESS_TYPE_NO_PROXY, null(), null(), 0) };
    if opened.is_null() {
        return Err(io::Error::last_os_error());
    }
    // One that came second stays open as well; there are at most a few.
    Ok(*SESSION.get_or_init(|| opened as usize) as *mut c_void)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_change_of_the_users_proxy_is_reported_at_once() {
        let [settings, ..] = Settings::all();
        let settings = settings.unwrap();
        let (noticed, notices) = mpsc::channel();
        std::thread::spawn(
            move || while settings.wait_for_change().is_ok() && noticed.send(()).is_ok() {},
        );
        let none = notices.recv_timeout(Duration::from_millis(300));
        assert_eq!(none, Err(mpsc::RecvTimeoutError::Timeout), "nothing has changed");
        // The test cannot see whether the thread already waits. So it repeats the change until the
        // thread notices it.
        let key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings";
        let set = |n: u32| {
            let proxy = format!("192.0.2.{n}:8080");
            let words = ["add", key, "/v", "ProxyServer", "/t", "REG_SZ", "/d", &proxy, "/f"];
            assert!(Command::new("reg.exe").args(words).output().unwrap().status.success());
            notices.recv_timeout(Duration::from_secs(5)).is_ok()
        };
        let noticed = (1..4).any(set);
        Command::new("reg.exe").args(["delete", key, "/v", "ProxyServer", "/f"]).output().unwrap();
        assert!(noticed);
    }
}
