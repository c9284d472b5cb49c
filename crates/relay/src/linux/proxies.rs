//! A Linux host has no proxy settings that all its programs share, so there are none to follow.

use crate::via::Route;
use std::convert::Infallible;
use std::net::SocketAddr;
use wire::Capabilities;

/// The proxy capability in a hello.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::empty();

/// The host's settings, which do not exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker(Infallible);

impl Asker {
    /// Always `None`.
    pub(crate) fn new() -> Option<Self> {
        None
    }

    pub(crate) fn refresh(&self) {
        match self.0 {}
    }

    pub(crate) async fn ask(&self, _: SocketAddr, _: Option<&str>) -> Route {
        match self.0 {}
    }

    pub(crate) fn known(&self, _: SocketAddr) -> Option<Route> {
        match self.0 {}
    }
}

/// The proxies that the host's settings name for a URL.
///
/// # Errors
/// Always: only Windows has such settings.
pub fn for_url(_: &str) -> Result<wire::HostProxy, String> {
    Err("only the relay for Windows can tell which proxy Windows uses".to_owned())
}
