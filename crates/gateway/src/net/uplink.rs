//! Finds this machine's own addresses on the network that WSL gives the VM, where a VPN drops what
//! apps send. New conversations from these addresses go to the TAP; only answers to peers that came
//! in there stay (rules U). Pure.

use std::net::IpAddr;

use super::observe::Observed;
use wsl::NetworkingMode;

/// The interface of that network; the VM has no other except those that its user makes.
const DEVICE: &str = "eth0";

/// The addresses. There are none in modes in which they are the host's own or a real network's:
/// peers from anywhere may come in there. Addresses that the kernel filters strictly are left out:
/// it would drop a peer's packet before its answer could be recognized.
#[must_use]
pub fn uplink(observed: &Observed) -> Vec<IpAddr> {
    match observed.mode {
        Some(NetworkingMode::Nat | NetworkingMode::VirtioProxy) => {}
        Some(NetworkingMode::Mirrored | NetworkingMode::Bridged | NetworkingMode::None) | None => {
            return Vec::new();
        }
    }
    let is_strict = observed.strict.iter().any(|device| device == DEVICE);
    let there = observed.addresses.iter().filter(|address| address.device == DEVICE);
    let own = there.map(|address| address.own).filter(|own| observed.own.contains(own));
    own.filter(|own| own.is_ipv6() || !is_strict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_eth0_s_and_only_behind_a_nat() {
        let mut observed = Observed::behind_nat(&[
            ("eth0", "172.28.48.2", "172.28.48.0/20"),
            ("eth0", "fd00::2", "fd00::/64"),
            ("eth0", "fe80::2", "fe80::/64"),
            ("docker0", "172.17.0.1", "172.17.0.0/16"),
        ]);
        observed.own =
            ["172.28.48.2", "fd00::2", "172.17.0.1"].map(|own| own.parse().unwrap()).into();
        observed.strict = vec!["docker0".to_owned()];
        let shown = |observed: &Observed| {
            uplink(observed).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (mode, some) in [
            (Some(NetworkingMode::Nat), true),
            (Some(NetworkingMode::VirtioProxy), true),
            (Some(NetworkingMode::Mirrored), false),
            (Some(NetworkingMode::Bridged), false),
            (Some(NetworkingMode::None), false),
            (None, false),
        ] {
            observed.mode = mode;
            let expected: &[&str] = if some { &["172.28.48.2", "fd00::2"] } else { &[] };
            assert_eq!(shown(&observed), expected, "{mode:?}");
        }
        observed.mode = Some(NetworkingMode::Nat);
        observed.strict.push("eth0".to_owned());
        assert_eq!(shown(&observed), ["fd00::2"], "IPv6 has no such filter");
    }
}
