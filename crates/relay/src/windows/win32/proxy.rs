//! Proxy settings as WinHTTP tells them.

use super::text::taken;
use windows_sys::Win32::Networking::WinHttp::{
    WINHTTP_CURRENT_USER_IE_PROXY_CONFIG, WINHTTP_PROXY_INFO, WinHttpGetDefaultProxyConfiguration,
    WinHttpGetIEProxyConfigForCurrentUser,
};
use wire::facts::Proxy;

/// The user's settings.
pub(crate) fn of_user() -> Option<Proxy> {
    let mut config = WINHTTP_CURRENT_USER_IE_PROXY_CONFIG::default();
    // SAFETY: the structure outlives the call.
    if unsafe { WinHttpGetIEProxyConfigForCurrentUser(&raw mut config) } == 0 {
        return None;
    }
    // SAFETY: each is null or a string that is the caller's to free (Microsoft's page of the structure).
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
    if unsafe { WinHttpGetDefaultProxyConfiguration(&raw mut info) } == 0 {
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
