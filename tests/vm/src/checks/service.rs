//! `underpass service`, by a real systemd: start, kill, restart, stop, journal.

use super::helper::{UNDERPASS, WSL};
use super::{Bench, Result, ensure};
use crate::stop::until;
use lab::addresses::{NAT_GATEWAY, SERVER};
use lab::interop::host_relays;
use std::time::Duration;

/// Succeeds if systemd shows the service as active.
pub(super) const IS_ACTIVE: &str = "systemctl is-active --quiet underpass";

pub(super) fn installs(bench: &mut Bench) -> Result {
    bench.must(&format!("{UNDERPASS} service install"))?;
    let active = bench.within(120, IS_ACTIVE)?;
    bench.traffic(30)?;
    bench.must(&format!("systemctl is-enabled --quiet underpass && {UNDERPASS} service status"))?;
    Ok(format!("active {:.1} s after it", active.as_secs_f64()))
}

/// The process of the gateway, by its number in the helper distro.
fn gateway(bench: &Bench) -> Result {
    let status = bench.must(&format!("{UNDERPASS} status --json"))?;
    let status: serde_json::Value =
        serde_json::from_str(&status).map_err(|error| format!("{error}: {status}"))?;
    status["pid"].as_u64().map(|pid| pid.to_string()).ok_or_else(|| status.to_string())
}

pub(super) fn survives_the_gateway(bench: &mut Bench) -> Result {
    let former = gateway(bench)?;
    bench.must(&format!("{WSL} -d underpass --cd / --exec /bin/kill -9 {former}"))?;
    let took = bench.traffic(60)?;
    let next = gateway(bench)?;
    ensure(next != former, || format!("the gateway is still process {former}"))?;
    bench.within(60, IS_ACTIVE)?;
    Ok(format!("traffic again after {:.1} s", took.as_secs_f64()))
}

pub(super) fn is_restarted_when_killed(bench: &mut Bench) -> Result {
    let restarts = "systemctl show --property NRestarts --value underpass";
    let before = bench.must(restarts)?;
    bench.must("systemctl kill --signal KILL underpass")?;
    let took = bench.within(90, &format!("test \"$({restarts})\" != {before} && {IS_ACTIVE}"))?;
    bench.traffic(30)?;
    Ok(format!("active again after {:.1} s", took.as_secs_f64()))
}

pub(super) fn restarts(bench: &mut Bench) -> Result {
    bench.must("systemctl restart underpass")?;
    let took = bench.within(90, IS_ACTIVE)?;
    bench.traffic(30)?;
    Ok(format!("active {:.1} s after it returned", took.as_secs_f64()))
}

/// As systemd-binfmt removes it in some distros (microsoft/WSL #8843).
pub(super) fn restores_the_entry(bench: &mut Bench) -> Result {
    let entry = "/proc/sys/fs/binfmt_misc/WSLInterop";
    bench.must(&format!("echo -1 >{entry} && ! test -e {entry}"))?;
    bench.must("systemctl restart underpass")?;
    bench.within(90, IS_ACTIVE)?;
    bench.traffic(30)?;
    bench.must(&format!("grep -q enabled {entry}"))?;
    Ok("the unit writes it again".to_owned())
}

pub(super) fn has_a_journal(bench: &mut Bench) -> Result {
    let journal = bench.must("journalctl --unit underpass --output cat --no-pager")?;
    ensure(journal.contains("underpass: up"), || journal.clone())?;
    Ok(format!("{} lines, 'underpass: up' among them", journal.lines().count()))
}

pub(super) fn stops(bench: &mut Bench) -> Result {
    bench.must("systemctl stop underpass")?;
    let state = bench
        .must("systemctl show --property ActiveState,Result,SubState underpass | tr '\\n' ' '")?;
    ensure(state.contains("ActiveState=inactive"), || state.clone())?;
    // The command that its wsl.exe runs in the helper distro ends with it; the boot command's
    // gateway, which has other words, stays.
    bench.within(20, "! pgrep --full '[u]nderpass up --attach$' >/dev/null")?;
    Ok(state)
}

/// After removal and termination, the network is as before, and nothing runs on the host.
pub(super) fn leaves_nothing(bench: &mut Bench) -> Result {
    bench.must(&format!(
        "{UNDERPASS} service remove && ! test -e /etc/systemd/system/underpass.service \
         && ! test -e /usr/local/lib/underpass"
    ))?;
    bench.must(&format!("{WSL} --terminate underpass"))?;
    bench.within(
        30,
        "! systemctl is-active --quiet wsl@underpass && ! ip link show underpass0 2>/dev/null",
    )?;
    let route = bench.must(&format!("ip route get {SERVER}"))?;
    ensure(route.contains(&format!("via {NAT_GATEWAY} dev eth0")), || route.clone())?;
    let gone = until(Duration::from_secs(30), || host_relays(&bench.machine.lab).is_empty());
    ensure(gone, || "a relay still runs on the host".to_owned())?;
    Ok("the old route is back, no TAP, no relay".to_owned())
}
