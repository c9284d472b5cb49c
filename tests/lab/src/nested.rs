//! One more namespace of a lab, inside its VM: a container on a bridge, as Docker makes them. For
//! tests: everything here panics with a program's output.

use crate::addresses::NAT_GATEWAY;
use crate::leftovers;
use crate::run::{Finished, in_namespace, plain};
use crate::topology::{Lab, Place};

/// How the VM forwards a container's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masquerade {
    /// Under its own address, as Docker does.
    Yes,
    /// Unchanged.
    No,
}

/// A namespace on a bridge in the VM, with a default route by that bridge and the VM's nameserver.
/// Removed on drop, also by a panic; if its process was killed, by the next lab. Declare it after
/// its lab.
#[derive(Debug)]
pub struct Container {
    namespace: String,
    vm: String,
    bridge: String,
}

impl Container {
    /// The container has the address 172.`net`.0.2 and an MTU of 1500.
    ///
    /// # Panics
    /// A command that makes it fails.
    #[must_use]
    pub fn new(lab: &Lab, net: u8, masquerade: Masquerade) -> Self {
        let vm = lab.namespace(Place::Wsl);
        let container =
            Self { namespace: format!("{vm}-c{net}"), bridge: format!("docker{net}"), vm };
        let Self { namespace: inside, vm, bridge } = &container;
        let veth = format!("veth{net}");
        must(&["ip", "netns", "add", inside]);
        let overlay = leftovers::overlay(inside);
        let written = std::fs::create_dir_all(&overlay).and_then(|()| {
            leftovers::write_for_all(
                &overlay.join("resolv.conf"),
                &format!("nameserver {NAT_GATEWAY}\n"),
            )
        });
        written.unwrap_or_else(|error| panic!("{}: {error}", overlay.display()));
        let commands = [
            format!("-n {vm} link add {bridge} type bridge"),
            format!("-n {vm} addr add 172.{net}.0.1/16 dev {bridge}"),
            format!(
                "-n {vm} link add {veth} mtu 1500 type veth peer name eth0 mtu 1500 netns {inside}"
            ),
            format!("-n {vm} link set {veth} master {bridge} up"),
            format!("-n {vm} link set {bridge} up"),
            format!("-n {inside} link set lo up"),
            format!("-n {inside} link set eth0 up"),
            format!("-n {inside} addr add 172.{net}.0.2/16 dev eth0"),
            format!("-n {inside} route add default via 172.{net}.0.1"),
        ];
        for words in commands {
            must(&["ip"].into_iter().chain(words.split_whitespace()).collect::<Vec<_>>());
        }
        let enter = ["ip", "netns", "exec", vm];
        must(&[&enter[..], &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]].concat());
        if masquerade == Masquerade::Yes {
            let source = format!("172.{net}.0.0/16");
            let rule =
                ["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", &source, "!", "-o", bridge];
            must(&[&enter[..], &rule, &["-j", "MASQUERADE"]].concat());
        }
        container
    }

    /// Runs a program in the container to its end.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Finished {
        Finished::of(in_namespace(&self.namespace, words))
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        leftovers::remove(&self.namespace);
        let mut bridge = plain("ip");
        bridge.args(["-n", &self.vm, "link", "del", &self.bridge]);
        // If it does not go now, it goes with the lab.
        let _ = Finished::of(bridge);
    }
}

fn must(words: &[&str]) {
    let mut command = plain(words[0]);
    command.args(&words[1..]);
    let finished = Finished::of(command);
    assert!(finished.as_ref().is_ok_and(Finished::succeeded), "{}: {finished:?}", words.join(" "));
}
