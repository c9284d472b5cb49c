//! Starts each peer: on the host, with its device in the VM. `scripts/bench-peers` has fetched
//! them.

use crate::subject::{Mtu, Subject};
use anyhow::ensure;
use lab::{Lab, Place, Process, until};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A device exists long before this.
const PATIENCE: Duration = Duration::from_secs(10);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers")
}

/// The path of a peer's program, if it could be fetched.
pub(crate) fn program(name: &str) -> PathBuf {
    folder().join("bin").join(name)
}

pub(crate) fn versions() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("versions.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Starts a peer; returns its processes, the one in the VM first. gvproxy always has an MTU of
/// 1,500 bytes.
pub(crate) fn start(lab: &Lab, subject: Subject, mtu: Mtu) -> anyhow::Result<Vec<Process>> {
    let mtu = mtu.bytes();
    let in_vm = |words: &str| -> anyhow::Result<()> {
        let done = lab.run(Place::Wsl, &words.split(' ').collect::<Vec<_>>())?;
        ensure!(done.succeeded(), "{words}: {}", done.stderr);
        Ok(())
    };
    // Its own one leads nowhere, and would take precedence.
    in_vm("ip route del default")?;
    let vm = format!("/run/netns/{}", lab.namespace(Place::Wsl));
    let program = program(subject.name()).display().to_string();
    match subject {
        Subject::Pasta => {
            let device = [
                "--foreground",
                "--config-net",
                "--mtu",
                mtu,
                "--ns-ifname",
                "pasta0",
                "--netns",
                &vm,
            ];
            let others =
                ["--netns-only", "--runas", "0", "--tcp-ports", "none", "--udp-ports", "none"];
            let inwards = ["--tcp-ns", "none", "--udp-ns", "none"];
            let words = [&[program.as_str()], &device[..], &others, &inwards].concat();
            Ok(vec![lab.start(Place::Windows, &words)?])
        }
        Subject::Slirp4netns => {
            let mtu = format!("--mtu={mtu}");
            let words = [program.as_str(), "--configure", &mtu, "--netns-type=path", &vm, "tap0"];
            Ok(vec![lab.start(Place::Windows, &words)?])
        }
        Subject::Gvproxy => {
            // Like wsl-vpnkit's script. Its own counterpart on the device is not in Debian; ours
            // carries the same frames.
            in_vm("ip tuntap add wsltap mode tap")?;
            in_vm("ip link set wsltap address 5a:94:ef:e4:0c:ee mtu 1500 up")?;
            in_vm("ip addr add 192.168.127.2/24 dev wsltap")?;
            let bridge =
                lab::built::programs().join("underpass-stdio-bridge").display().to_string();
            let host = lab.namespace(Place::Windows);
            let enter = [bridge.as_str(), "wsltap", "ip", "netns", "exec", &host];
            let words =
                [&enter[..], &[&program, "-listen-stdio=accept", "-mtu=1500", "-ssh-port=-1"]]
                    .concat();
            let bridge = lab.start(Place::Wsl, &words)?;
            let carrier = || {
                lab.run(Place::Wsl, &["ip", "link", "show", "wsltap"])
                    .is_ok_and(|link| link.stdout.contains("LOWER_UP"))
            };
            ensure!(until(PATIENCE, carrier), "the bridge does not take the device");
            in_vm("ip route add default via 192.168.127.1 dev wsltap")?;
            Ok(vec![bridge])
        }
        Subject::Underpass
        | Subject::Interop
        | Subject::Wine
        | Subject::WinePipe
        | Subject::Wine64
        | Subject::Kernel
        | Subject::Host => Ok(Vec::new()),
    }
}
