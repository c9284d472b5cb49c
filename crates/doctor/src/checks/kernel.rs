//! The VM's kernel: what a tunnel needs of it, and what confines one.

use super::check::{Check, Found};
use super::fixes;
use crate::finding::{FixStep, Shell};
use crate::view::View;
use messages::doctor_kernel as say;

pub(super) const CHECKS: &[Check] = &[
    Check::problem("wsl-tun", &say::TUN, tun),
    Check::hint("wsl-ipv6-rules", &say::IPV6_RULES, ipv6_rules),
    Check::hint("wsl-confinement", &say::CONFINED, confined),
];

/// WSL loads `tun` unless loadDefaultKernelModules is false (`WslCoreConfig.cpp`), and only from a
/// disk of modules: its own for its own kernel, that of kernelModules for another (`WslCoreVm.cpp`;
/// `main.cpp` of init, which calls modprobe).
fn tun(view: &View<'_>) -> Option<Found> {
    if !view.facts.interop.is_wsl || view.facts.kernel.tun != Some(false) {
        return None;
    }
    let mut evidence = vec![say::TUN_SEEN.text()];
    let is_off = view.switched_off("loadDefaultKernelModules");
    if is_off {
        evidence.push(say::TUN_OFF_SEEN.text());
    }
    let custom = view.wslconfig("kernel").filter(|kernel| !kernel.is_empty());
    let without_modules = custom.filter(|_| view.wslconfig("kernelModules").is_none());
    evidence.extend(without_modules.map(|kernel| say::TUN_KERNEL_SEEN.with("kernel", kernel)));
    let mut fix = Vec::new();
    if is_off || without_modules.is_none() {
        let lines = ["[wsl2]", "loadDefaultKernelModules=true"];
        fix.extend([
            FixStep::Say(say::TUN_DEFAULT_FIX.text()),
            fixes::lines(fixes::WSLCONFIG, &lines),
        ]);
    }
    if !is_off || without_modules.is_some() {
        let lines = ["[wsl2]", r"kernelModules=C:\\path\\to\\modules.vhdx"];
        fix.extend([
            FixStep::Say(say::TUN_KERNEL_FIX.text()),
            fixes::lines(fixes::WSLCONFIG, &lines),
        ]);
    }
    fix.extend(fixes::shutdown(view));
    Some(Found { evidence, cause: say::TUN_CAUSE.text(), fix })
}

fn ipv6_rules(view: &View<'_>) -> Option<Found> {
    if !view.facts.interop.is_wsl || view.facts.kernel.ipv6_rules != Some(false) {
        return None;
    }
    let mut fix = vec![
        FixStep::Say(say::IPV6_RULES_FIX.text()),
        fixes::run(Shell::Powershell, &["wsl --update"]),
    ];
    fix.extend(fixes::shutdown(view));
    Some(Found {
        evidence: vec![say::IPV6_RULES_SEEN.text()],
        cause: say::IPV6_RULES_CAUSE.text(),
        fix,
    })
}

fn confined(view: &View<'_>) -> Option<Found> {
    let missing = &view.facts.tunnel.unconfined;
    if missing.is_empty() {
        return None;
    }
    let evidence =
        missing.iter().map(|missing| say::CONFINED_SEEN.with("missing", missing)).collect();
    let mut fix = vec![
        FixStep::Say(say::CONFINED_FIX.text()),
        fixes::run(Shell::Powershell, &["wsl --update"]),
    ];
    fix.extend(fixes::shutdown(view));
    Some(Found { evidence, cause: say::CONFINED_CAUSE.text(), fix })
}
