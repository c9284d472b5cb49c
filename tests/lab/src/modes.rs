//! WSL's networking modes as WSL lays them out in the VM (`src/linux/init/NetworkManager.cpp` of microsoft/WSL). For tests: all of it panics
//! with what a program said.

use crate::addresses::{HOST, ROUTER};
use crate::scene::must;
use crate::topology::{Lab, Place};

/// Where traffic to Windows' own addresses goes in mirrored mode: a neighbour that is not there, with a hardware address that Windows knows.
const LOOPBACK_GATEWAY: &str = "169.254.73.249";

/// The VM's address in bridged mode: another one of the host's network.
pub const BRIDGED: &str = "192.0.2.50";

/// Marks connections of a VM that has the host's own address, so that their replies find back to it.
const MARK: &str = "0x77";

/// Runs `ip` in the VM.
///
/// # Panics
/// It fails.
pub fn ip(lab: &Lab, words: &str) {
    let _said = must(lab, Place::Wsl, &format!("ip {words}"));
}

/// `eth0` with an address of the host's network, and its router.
fn on_the_hosts_network(lab: &Lab, address: &str) {
    ip(lab, "addr flush dev eth0");
    ip(lab, &format!("addr add {address}/24 dev eth0"));
    ip(lab, &format!("route add default via {ROUTER}"));
}

/// The device, rules and tables by which programs of the VM reach Windows' own addresses.
fn with_loopback_device(lab: &Lab) {
    ip(lab, "link add loopback0 type veth peer name gelnic");
    for device in ["loopback0", "gelnic"] {
        ip(lab, &format!("link set {device} up"));
    }
    ip(lab, "rule add pref 2 lookup local");
    ip(lab, "rule del pref 0");
    for protocol in ["tcp", "udp"] {
        for device in ["loopback0", "eth0"] {
            ip(lab, &format!("rule add pref 0 iif {device} ipproto {protocol} lookup local"));
        }
        for table in [127, 128] {
            ip(lab, &format!("rule add pref 1 ipproto {protocol} lookup {table}"));
        }
    }
    for (address, device, table) in [("127.0.0.1", "loopback0", 127), (HOST, "eth0", 128)] {
        ip(lab, &format!("neigh add {LOOPBACK_GATEWAY} lladdr 00:11:22:33:44:55 dev {device} nud permanent"));
        ip(lab, &format!("route add {address} via {LOOPBACK_GATEWAY} dev {device} onlink table {table}"));
    }
}

/// Lays the VM's network out as it is in a mode.
///
/// # Panics
/// A command that does so fails.
pub fn lay_out(lab: &Lab, mode: &str) {
    match mode {
        "mirrored" => {
            on_the_hosts_network(lab, HOST);
            with_loopback_device(lab);
        }
        "consomme" => {
            on_the_hosts_network(lab, HOST);
            with_loopback_device(lab);
            ip(lab, "addr add 169.254.73.250/28 dev loopback0");
        }
        "virtioproxy" => on_the_hosts_network(lab, HOST),
        "bridged" => on_the_hosts_network(lab, BRIDGED),
        "none" => ip(lab, "link del eth0"),
        _ => {}
    }
}

/// Has the host carry the packets of a VM that [`lay_out`] has put on its network: it answers for the router there, and takes what comes back
/// to the VM, also where the VM has the host's own address.
///
/// # Panics
/// A command that does so fails.
pub fn carry(lab: &Lab) {
    let host = |words: &str| must(lab, Place::Windows, words);
    for (key, value) in [("vm/proxy_arp", "1"), ("uplink/proxy_arp", "1"), ("vm/accept_local", "1")] {
        let script = format!("echo {value} > /proc/sys/net/ipv4/conf/{key}");
        let done = lab.run(Place::Windows, &["sh", "-c", &script]);
        assert!(done.as_ref().is_ok_and(crate::Finished::succeeded), "{key}: {done:?}");
    }
    for (address, table) in [(BRIDGED, "254"), (HOST, "77")] {
        let _said = host(&format!("ip route add {address} dev vm table {table}"));
    }
    let _said = host("ip rule add pref 5 lookup local");
    let _said = host(&format!("ip rule add pref 1 iif uplink fwmark {MARK} lookup 77"));
    let _said = host("ip rule del pref 0");
    let _said = host("nft add table ip carry");
    let _said = host("nft add chain ip carry prerouting { type filter hook prerouting priority mangle ; }");
    let _said = host(&format!("nft add rule ip carry prerouting iifname vm ct mark set {MARK}"));
    let _said = host("nft add rule ip carry prerouting iifname uplink meta mark set ct mark");
}
