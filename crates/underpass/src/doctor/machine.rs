//! The facts that each profile of the doctor looks at: files, interop, and the kernel's network.

use super::survey;
use doctor::facts::{Facts, Mode, Windows};
use gateway::net::{Net, Survey};
use std::path::Path;
use wsl::files;

/// This machine, without attempts and without Windows.
pub(crate) struct Machine {
    pub(crate) facts: Facts,
    /// The kernel's network, for more questions.
    pub(super) net: Option<Net>,
    /// Why it could not be looked at.
    pub(crate) trouble: Option<String>,
}

/// Looks at this machine; `resolv_conf` is the file that names its nameservers.
pub(crate) async fn look(resolv_conf: &Path) -> Machine {
    let (net, seen) = match Net::open() {
        Ok(net) => {
            let seen = net.survey().await;
            (Some(net), seen)
        }
        Err(error) => (None, Err(error)),
    };
    let (seen, trouble) = match seen {
        Ok(seen) => (seen, None),
        Err(error) => (nothing(), Some(error.to_string())),
    };
    let facts = Facts {
        kernel: survey::kernel(&seen),
        interop: survey::interop(),
        mode: Mode { by_wslinfo: seen.wslinfo, by_signs: seen.signs },
        links: seen.links,
        routes: seen.routes,
        rules: seen.rules,
        resolv_conf: files::resolv_conf(resolv_conf),
        wsl_conf: files::text(Path::new("/etc/wsl.conf")),
        nsswitch: files::text(Path::new("/etc/nsswitch.conf")),
        hosts: files::text(Path::new("/etc/hosts")),
        gai_conf: files::text(Path::new("/etc/gai.conf")),
        ..Facts::default()
    };
    Machine { facts, net, trouble }
}

/// Adds Windows, whose addresses tell modes apart that look alike to the kernel.
pub(crate) fn add_windows(facts: &mut Facts, windows: Option<Windows>) {
    facts.windows = windows;
    let adapters = facts.windows.iter().flat_map(|windows| &windows.host.adapters);
    let up = adapters.filter(|adapter| adapter.up).flat_map(|adapter| &adapter.addresses);
    let addresses: Vec<_> = up.filter_map(|address| address.parse().ok()).collect();
    facts.mode.by_signs = facts.mode.by_signs.and_then(|suggested| {
        wsl::mode::beside_windows(suggested, &facts.links, &facts.routes, &addresses)
    });
}

/// A kernel of which nothing is known.
fn nothing() -> Survey {
    let (links, routes, rules) = Default::default();
    Survey { links, routes, rules, ipv6_rules: None, wslinfo: None, signs: None }
}
