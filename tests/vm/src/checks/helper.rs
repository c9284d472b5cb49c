//! The packaged helper distro, started like WSL starts it.

use super::{Bench, Result, ensure};
use crate::stop::until;
use std::time::Duration;

/// Windows' program, by its path in every distro.
pub(super) const WSL: &str = "/mnt/c/Windows/System32/wsl.exe";

/// The command that the gateway publishes for other distros.
pub(super) const UNDERPASS: &str = "/mnt/wsl/underpass/underpass";

/// How long the model of WSL keeps an unused distro. WSL's 15 s, shortened.
const IDLE_SECONDS: u64 = 10;

/// With TUN as a missing module, the command names the keys of .wslconfig to check. Then the module
/// is loaded, as WSL's mini_init does before any distro starts.
pub(super) fn names_the_keys(bench: &mut Bench) -> Result {
    let tried = bench.must(&format!("{WSL} -d underpass --cd / --exec /usr/bin/underpass up"));
    let loaded = bench.must(
        "mount -t ext4 -o ro /dev/vdb /usr/lib/modules && modprobe tun && test -c /dev/net/tun",
    );
    let Err(said) = tried else { return Err("`underpass up` works without TUN".to_owned()) };
    loaded?;
    let named = ["loadDefaultKernelModules", "kernelModules"].iter().all(|key| said.contains(key));
    ensure(named && !said.contains("modprobe"), || said.clone())?;
    Ok(said.lines().find(|line| line.contains("loadDefault")).unwrap_or_default().trim().to_owned())
}

/// A unit of Debian's systemd whose wsl.exe uses the helper distro for as long as it runs.
const CLIENT: &str = "wsl-client";

pub(super) fn starts(bench: &mut Bench) -> Result {
    bench.must(&format!(
        "echo {IDLE_SECONDS} >/opt/vm/idle && systemd-run --quiet --unit {CLIENT} \
         --setenv WSL_INTEROP=$WSL_INTEROP \
         {WSL} -d underpass --cd / --exec /bin/sleep 10000"
    ))?;
    let up = bench.within(180, &format!("{UNDERPASS} status | grep -q ready"))?;
    let traffic = bench.traffic(60)?;
    Ok(format!("up after {:.1} s, traffic {:.1} s later", up.as_secs_f64(), traffic.as_secs_f64()))
}

/// Only a wsl.exe keeps a distro; the relay, which its boot command started, does not.
pub(super) fn outlives_its_clients(bench: &mut Bench) -> Result {
    bench.must(&format!("systemctl stop {CLIENT}"))?;
    let patience = Duration::from_secs(3 * IDLE_SECONDS);
    let ended =
        until(patience, || bench.must("systemctl is-active --quiet wsl@underpass").is_err());
    ensure(!ended, || "WSL has ended the helper distro, which no wsl.exe uses".to_owned())?;
    bench.traffic(10)?;
    Ok(format!("3 idle time-outs of {IDLE_SECONDS} s"))
}
