//! WSL's networking modes.

use crate::network::{Link, Route, way_out};
use crate::program::{Silent, ask};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long `wslinfo` may take before the kernel's own facts must suffice.
const WSLINFO_PATIENCE: Duration = Duration::from_secs(2);

/// A networking mode of WSL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkingMode {
    /// WSL's own network behind Windows' NAT.
    Nat,
    /// Windows' adapters and addresses.
    Mirrored,
    /// Microsoft's user-mode NAT; also called `consomme`.
    VirtioProxy,
    /// A Hyper-V switch of the user's.
    Bridged,
    /// No network.
    None,
}

impl NetworkingMode {
    /// The mode with a name in the form of `.wslconfig` and `wslinfo`; case and surrounding blanks
    /// are ignored.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "nat" => Self::Nat,
            "mirrored" => Self::Mirrored,
            "virtioproxy" | "consomme" => Self::VirtioProxy,
            "bridged" => Self::Bridged,
            "none" => Self::None,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Mirrored => "mirrored",
            Self::VirtioProxy => "virtioproxy",
            Self::Bridged => "bridged",
            Self::None => "none",
        }
    }
}

/// The networking mode according to `wslinfo`; `None` if this is not a WSL.
///
/// # Errors
/// It did not answer in time: it asks a Windows process.
pub async fn wslinfo() -> Result<Option<String>, Silent> {
    let output = ask("wslinfo", &["--networking-mode"], WSLINFO_PATIENCE).await?;
    Ok(output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// What an interface shows of the mode.
#[derive(Clone, Copy, Debug)]
pub struct Interface<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is switched on (`IFF_UP`), also without a carrier.
    pub is_on: bool,
}

/// The mode that the VM's interfaces suggest, the tunnel's left out. Mirrored mode has `loopback0`,
/// mode `none` only `lo`, NAT a way out by `eth0`. Other modes with a way out by `eth0` look like
/// NAT; [`beside_windows`] tells them apart.
#[must_use]
pub fn by_interfaces(
    interfaces: &[Interface<'_>],
    way_out: Option<&str>,
) -> Option<NetworkingMode> {
    let mut others = interfaces.iter().filter(|one| one.name != "lo");
    if interfaces.iter().any(|one| one.name == "loopback0") {
        Some(NetworkingMode::Mirrored)
    } else if !others.any(|one| one.is_on) {
        Some(NetworkingMode::None)
    } else {
        (way_out == Some("eth0")).then_some(NetworkingMode::Nat)
    }
}

/// The mode that [`by_interfaces`] suggests, compared with the addresses of Windows' adapters where
/// they are known.
#[must_use]
pub fn beside_windows(
    suggested: NetworkingMode,
    links: &[Link],
    routes: &[Route],
    windows: &[IpNet],
) -> Option<NetworkingMode> {
    match suggested {
        // An eth0 that is down is a network that is broken, not none.
        NetworkingMode::None => links.iter().all(|link| link.name != "eth0").then_some(suggested),
        NetworkingMode::Nat => Some(behind_eth0(links, routes, windows)),
        NetworkingMode::Mirrored | NetworkingMode::VirtioProxy | NetworkingMode::Bridged => {
            Some(suggested)
        }
    }
}

/// Behind NAT, unless Windows has the same address (its user-mode network), or a gateway that is
/// not Windows' own leads out of a network that Windows is in (a switch).
fn behind_eth0(links: &[Link], routes: &[Route], windows: &[IpNet]) -> NetworkingMode {
    let of_eth0 = links.iter().filter(|link| link.name == "eth0").flat_map(|link| &link.addresses);
    let own: Vec<IpNet> = of_eth0.filter(|address| address.addr().is_ipv4()).copied().collect();
    if own.iter().any(|own| windows.iter().any(|one| one.addr() == own.addr())) {
        return NetworkingMode::VirtioProxy;
    }
    let gateway = way_out(routes, None).and_then(|route| route.gateway);
    let shared = own.iter().any(|own| windows.iter().any(|one| own.trunc() == one.trunc()));
    if shared && !windows.iter().any(|one| Some(one.addr()) == gateway) {
        NetworkingMode::Bridged
    } else {
        NetworkingMode::Nat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::MAIN;

    #[test]
    fn interfaces_suggest_the_mode() {
        let of = |names: &[&str], way_out| {
            // A name in upper case is one that is switched off.
            let lower: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
            let interfaces: Vec<_> = names
                .iter()
                .zip(&lower)
                .map(|(name, lower)| Interface { name: lower, is_on: name == lower })
                .collect();
            by_interfaces(&interfaces, way_out)
        };
        for (names, way_out, mode) in [
            (&["lo", "eth0"][..], Some("eth0"), Some(NetworkingMode::Nat)),
            (&["lo", "eth0"], Some("eth1"), None),
            (&["lo", "eth0"], None, None),
            (&["lo"], None, Some(NetworkingMode::None)),
            (&["lo", "SIT0"], None, Some(NetworkingMode::None)),
            (&["lo", "eth0", "loopback0"], Some("eth0"), Some(NetworkingMode::Mirrored)),
        ] {
            assert_eq!(of(names, way_out), mode, "{names:?} by {way_out:?}");
        }
    }

    #[test]
    fn modes_that_look_alike_are_told_apart_by_windows_addresses() {
        let link = |address: &str| Link {
            name: "eth0".to_owned(),
            addresses: vec![address.parse().unwrap()],
            ..Link::default()
        };
        let route = |gateway: &str| Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            gateway: gateway.parse().ok(),
            device: Some("eth0".to_owned()),
            table: MAIN,
            metric: 0,
            refuses: false,
        };
        let windows = ["192.168.1.5/24", "172.28.48.1/20"].map(|net| net.parse().unwrap());
        for (own, gateway, windows, expected) in [
            ("172.28.48.2/20", "172.28.48.1", &windows[..], NetworkingMode::Nat),
            ("172.28.48.2/20", "172.28.48.1", &[], NetworkingMode::Nat),
            ("192.168.1.5/24", "192.168.1.1", &windows, NetworkingMode::VirtioProxy),
            ("192.168.1.50/24", "192.168.1.1", &windows, NetworkingMode::Bridged),
        ] {
            let (links, routes) = ([link(own)], [route(gateway)]);
            let mode = beside_windows(NetworkingMode::Nat, &links, &routes, windows);
            assert_eq!(mode, Some(expected), "{own}");
        }
        let none = NetworkingMode::None;
        assert_eq!(beside_windows(none, &[link("172.28.48.2/20")], &[], &[]), None);
        assert_eq!(beside_windows(none, &[], &[], &[]), Some(none));
    }

    #[test]
    fn a_mode_has_one_name_in_texts_and_in_json() {
        for mode in [
            NetworkingMode::Nat,
            NetworkingMode::Mirrored,
            NetworkingMode::VirtioProxy,
            NetworkingMode::Bridged,
            NetworkingMode::None,
        ] {
            assert_eq!(NetworkingMode::by_name(&mode.name().to_uppercase()), Some(mode));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{}\"", mode.name()));
        }
        assert_eq!(NetworkingMode::by_name("consomme\n"), Some(NetworkingMode::VirtioProxy));
        assert_eq!(NetworkingMode::by_name("Usage: wslinfo"), None);
    }
}
