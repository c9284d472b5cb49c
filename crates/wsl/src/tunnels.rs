//! Other programs that take WSL's traffic, detected by their processes, by their devices, or by a
//! default route to a TUN device.

use crate::network::{Link, Route};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Another program that takes WSL's traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherTunnel {
    /// Its name, such as `wsl-vpnkit`.
    pub name: String,
    /// The sign of it: a process with its id, or an interface.
    pub sign: String,
    /// Its interface, if it exists.
    pub device: Option<String>,
}

/// Processes, as the kernel cuts their names (15 bytes), and their programs. Other distros do not
/// see a helper distro's own processes, but its device.
const PROCESSES: [(&str, &str); 9] = [
    ("wsl-vpnkit", "wsl-vpnkit"),
    ("wsl-gvproxy.exe", "wsl-vpnkit"),
    ("wsl-vm", "wsl-vpnkit"),
    ("gvforwarder", "gvisor-tap-vsock"),
    ("vpnkit-tap-vsoc", "vpnkit"),
    ("tun2socks", "tun2socks"),
    ("tun2proxy", "tun2proxy"),
    ("tun2proxy-bin", "tun2proxy"),
    ("sshuttle", "sshuttle"),
];

/// Devices with known names.
const DEVICES: [(&str, &str); 2] = [("wsltap", "wsl-vpnkit"), ("eth0-tap", "vpnkit")];

/// Half of all addresses: two such routes take precedence over a default route without replacing
/// it.
const HALF: u8 = 1;

/// The tunnels besides the one whose device is `own`.
#[must_use]
pub fn look(links: &[Link], routes: &[Route], own: Option<&str>) -> Vec<OtherTunnel> {
    judge(&processes(Path::new("/proc")), links, routes, own)
}

/// Names and ids of all processes that this distro sees.
fn processes(proc: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let numbers = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let numbers = numbers.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    numbers
        .filter_map(|pid| {
            Some((fs::read_to_string(proc.join(&pid).join("comm")).ok()?.trim().to_owned(), pid))
        })
        .collect()
}

fn judge(
    processes: &[(String, String)],
    links: &[Link],
    routes: &[Route],
    own: Option<&str>,
) -> Vec<OtherTunnel> {
    let mut found: Vec<OtherTunnel> = Vec::new();
    let mut add = |name: &str, sign: String, device: Option<&str>| match found
        .iter_mut()
        .find(|one| one.name == name)
    {
        Some(one) => {
            one.sign = format!("{}, {sign}", one.sign);
            one.device = one.device.take().or(device.map(ToOwned::to_owned));
        }
        None => found.push(OtherTunnel {
            name: name.to_owned(),
            sign,
            device: device.map(ToOwned::to_owned),
        }),
    };
    for (device, name) in DEVICES {
        if links.iter().any(|link| link.name == device) {
            add(name, device.to_owned(), Some(device));
        }
    }
    for (process, pid) in processes {
        if let Some((_, name)) = PROCESSES.iter().find(|(known, _)| known == process) {
            add(name, format!("{process} ({pid})"), None);
        }
    }
    for link in links
        .iter()
        .filter(|link| link.kind.as_deref() == Some("tun") && own != Some(link.name.as_str()))
    {
        let leads_out = |route: &&Route| {
            route.destination.prefix_len() <= HALF
                && route.destination.addr().is_unspecified()
                && route.device.as_deref() == Some(link.name.as_str())
        };
        let known = DEVICES.iter().any(|(device, _)| *device == link.name);
        if let Some(route) = routes.iter().find(leads_out).filter(|_| !known) {
            add(&link.name, format!("{} dev {}", route.destination, link.name), Some(&link.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tun(name: &str) -> Link {
        Link { name: name.to_owned(), kind: Some("tun".to_owned()), up: true, ..Link::default() }
    }

    fn route(to: &str, device: &str) -> Route {
        Route {
            destination: to.parse().unwrap(),
            gateway: None,
            device: Some(device.to_owned()),
            table: 254,
            metric: 0,
            refuses: false,
        }
    }

    #[test]
    fn a_second_tunnel_is_known_by_its_process_its_device_or_its_route() {
        let processes =
            [("wsl-vm".to_owned(), "77".to_owned()), ("bash".to_owned(), "1".to_owned())];
        let links = [tun("wsltap"), tun("underpass0"), tun("tun9"), tun("idle0")];
        let routes = [
            route("0.0.0.0/0", "wsltap"),
            route("0.0.0.0/0", "underpass0"),
            route("0.0.0.0/1", "tun9"),
            route("10.0.0.0/8", "idle0"),
        ];
        let found = judge(&processes, &links, &routes, Some("underpass0"));
        let signs: Vec<_> = found
            .iter()
            .map(|one| (one.name.as_str(), one.sign.as_str(), one.device.as_deref()))
            .collect();
        assert_eq!(
            signs,
            [
                ("wsl-vpnkit", "wsltap, wsl-vm (77)", Some("wsltap")),
                ("tun9", "0.0.0.0/1 dev tun9", Some("tun9")),
            ]
        );
        assert!(judge(&processes[1..], &links[1..2], &routes[1..2], Some("underpass0")).is_empty());
    }

    #[test]
    fn processes_are_read_by_their_names() {
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let pid = std::process::id().to_string();
        assert!(processes(Path::new("/proc")).contains(&(own.trim().to_owned(), pid)));
    }
}
