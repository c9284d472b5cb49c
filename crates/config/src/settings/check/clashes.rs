//! Settings that fight each other, within a file and across both.

use super::{Finding, Severity};
use crate::settings::effective::{Because, Effective, Origin, Setting};
use crate::settings::schema::Place;
use messages::settings as say;

/// Where a line of a setting is, if one sets it.
fn line(setting: &Setting) -> Option<usize> {
    match setting.origin {
        Origin::Line(line) | Origin::BadLine(line) => Some(line),
        Origin::Forced { line, .. } => line,
        Origin::Default => None,
    }
}

/// Lines without effect, each with the reason. Lines that need a newer Windows are reported
/// elsewhere.
pub(super) fn without_effect(place: Place, effective: &Effective) -> Vec<Finding> {
    let settings = effective.iter().filter(|setting| setting.key.place == place);
    let findings = settings.filter_map(|setting| {
        let Origin::Forced { because, line: Some(line) } = &setting.origin else { return None };
        let key = setting.key;
        let (code, what, fix) = match because {
            Because::Setting(because) => (
                "overruled",
                say::OVERRULED.with("key", key).with("because", because),
                say::OVERRULED_FIX.with("key", key).with("because", because),
            ),
            Because::Policy { name, value } => (
                "policy",
                say::POLICY.with("key", key).with("policy", format!("{name}={value}")),
                say::POLICY_FIX.with("key", key),
            ),
            Because::Service(service) => (
                "tunneling-and-service",
                say::TUNNELING_AND_SERVICE.with("key", key).with("service", service),
                say::TUNNELING_AND_SERVICE_FIX.with("key", key),
            ),
            Because::NoIpv6 => (
                "mirrored-without-ipv6",
                say::MIRRORED_WITHOUT_IPV6.with("key", key),
                say::MIRRORED_WITHOUT_IPV6_FIX.with("key", key),
            ),
            Because::NoDnsQueryRaw => (
                "tunneling-not-possible",
                say::TUNNELING_NOT_POSSIBLE.with("key", key),
                say::TUNNELING_NOT_POSSIBLE_FIX.with("key", key),
            ),
            Because::Ignored => {
                ("ignored", say::IGNORED.with("key", key), say::IGNORED_FIX.with("key", key))
            }
            Because::Windows(_) => return None,
        };
        Some(Finding::new(Severity::Warning, code, place, Some(*line), (what, fix)))
    });
    findings.collect()
}

/// What fits no single line.
pub(super) fn clashes(effective: &Effective) -> Vec<Finding> {
    let mut findings = needless(effective);
    let setting = |place, section, name| effective.setting(place, section, name);
    let at = |place, section, name| setting(place, section, name).and_then(line);
    let is = |place, section, name, value: &str| effective.value(place, section, name) == value;
    let mode = effective.wsl2("networkingMode");
    let mode_line = at(Place::WslConfig, "wsl2", "networkingMode");
    if is(Place::WslConf, "network", "generateResolvConf", "false") {
        let line = at(Place::WslConf, "network", "generateResolvConf");
        let finding = |severity, code, what| {
            Finding::new(severity, code, Place::WslConf, line, (what, say::RESOLV_CONF_FIX.text()))
        };
        if mode == "mirrored" {
            findings.push(finding(
                Severity::Warning,
                "resolv-conf-and-mode",
                say::MIRRORED_RESOLV_CONF.text(),
            ));
        } else if is(Place::WslConfig, "wsl2", "dnsTunneling", "true")
            && at(Place::WslConfig, "wsl2", "dnsTunneling").is_some()
        {
            findings.push(finding(
                Severity::Note,
                "resolv-conf-and-tunneling",
                say::TUNNELING_RESOLV_CONF.text(),
            ));
        }
    }
    if is(Place::WslConf, "interop", "enabled", "false") {
        let said = (say::INTEROP_OFF.text(), say::INTEROP_OFF_FIX.text());
        findings.push(Finding::new(
            Severity::Warning,
            "interop-off",
            Place::WslConf,
            at(Place::WslConf, "interop", "enabled"),
            said,
        ));
    }
    if mode == "bridged" {
        let finding =
            |severity, code, said| Finding::new(severity, code, Place::WslConfig, mode_line, said);
        findings.push(finding(
            Severity::Note,
            "bridged",
            (say::BRIDGED.text(), say::BRIDGED_FIX.text()),
        ));
        if effective.wsl2("vmSwitch").is_empty() {
            let said = (say::BRIDGED_WITHOUT_SWITCH.text(), say::BRIDGED_WITHOUT_SWITCH_FIX.text());
            findings.push(finding(Severity::Error, "bridged-without-switch", said));
        }
    }
    if mode == "none" && mode_line.is_some() {
        let said = (say::MODE_NONE.text(), say::MODE_NONE_FIX.text());
        findings.push(Finding::new(Severity::Note, "mode-none", Place::WslConfig, mode_line, said));
    }
    findings
}

/// Lines for what is only looked at when another setting is so.
fn needless(effective: &Effective) -> Vec<Finding> {
    use Place::{WslConf, WslConfig};
    let is = |place, section, name, value: &str| effective.value(place, section, name) == value;
    let bridged = is(WslConfig, "wsl2", "networkingMode", "bridged");
    let mounts = is(WslConf, "automount", "enabled", "true");
    let systemd = is(WslConf, "boot", "systemd", "true");
    let serves = is(WslConf, "fileServer", "enabled", "true");
    let rules = [
        (
            (WslConfig, "wsl2", "localhostForwarding"),
            !is(WslConfig, "wsl2", "networkingMode", "mirrored"),
            "wsl2.networkingMode=nat",
        ),
        ((WslConfig, "wsl2", "vmSwitch"), bridged, "wsl2.networkingMode=bridged"),
        ((WslConfig, "wsl2", "macAddress"), bridged, "wsl2.networkingMode=bridged"),
        ((WslConfig, "wsl2", "dhcp"), bridged, "wsl2.networkingMode=bridged"),
        ((WslConfig, "wsl2", "dhcpTimeout"), bridged, "wsl2.networkingMode=bridged"),
        (
            (WslConfig, "wsl2", "dnsProxy"),
            is(WslConfig, "wsl2", "dnsTunneling", "false"),
            "wsl2.dnsTunneling=false",
        ),
        ((WslConfig, "wsl2", "swapFile"), !is(WslConfig, "wsl2", "swap", "0"), "wsl2.swap=4GB"),
        (
            (WslConfig, "experimental", "initialAutoProxyTimeout"),
            is(WslConfig, "wsl2", "autoProxy", "true"),
            "wsl2.autoProxy=true",
        ),
        ((WslConf, "automount", "root"), mounts, "automount.enabled=true"),
        ((WslConf, "automount", "options"), mounts, "automount.enabled=true"),
        (
            (WslConf, "interop", "appendWindowsPath"),
            is(WslConf, "interop", "enabled", "true"),
            "interop.enabled=true",
        ),
        ((WslConf, "boot", "initTimeout"), systemd, "boot.systemd=true"),
        ((WslConf, "boot", "protectBinfmt"), systemd, "boot.systemd=true"),
        (
            (WslConf, "gpu", "appendLibPath"),
            is(WslConf, "gpu", "enabled", "true"),
            "gpu.enabled=true",
        ),
        ((WslConf, "fileServer", "logFile"), serves, "fileServer.enabled=true"),
        ((WslConf, "fileServer", "logLevel"), serves, "fileServer.enabled=true"),
    ];
    let idle = rules.into_iter().filter(|(_, is_of_use, _)| !is_of_use);
    let findings = idle.filter_map(|((place, section, name), _, needs)| {
        let setting = effective.setting(place, section, name)?;
        let Origin::Line(line) = setting.origin else { return None };
        let what = say::NEEDLESS.with("key", setting.key).with("needs", needs);
        let fix = say::NEEDLESS_FIX.with("key", setting.key);
        Some(Finding::new(Severity::Note, "needless", place, Some(line), (what, fix)))
    });
    findings.collect()
}
