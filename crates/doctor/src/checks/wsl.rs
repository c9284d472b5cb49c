//! WSL itself: interop, the mode in force, the clock; and last what only later does harm: addresses
//! that changed, a firewall that is off.

use super::check::{Check, Found};
use super::{fixes, seen};
use crate::facts::{Entry, Mention, Outcome, ProxyProbe, ProxySetting};
use crate::finding::{FixStep, Shell};
use crate::view::{View, has_failed, is_ok};
use crate::way::Place;
use config::settings::effective::{Because, Origin};
use messages::quote::for_powershell;
use messages::{Text, doctor, doctor_wsl as say};
use std::net::IpAddr;
use wsl::NetworkingMode;

pub(super) const FIRST: &[Check] = &[
    Check::problem("wsl-conf-encoding", &say::ENCODING, encoding),
    Check::problem("wsl-interop", &say::INTEROP, interop_off),
    Check::problem("wsl-interop-entry", &say::ENTRY, entry),
    Check::problem("wsl-interop-socket", &say::SOCKET, socket),
    Check::problem("wsl-interop-run", &say::RUN, run),
    Check::problem("wsl-mode", &say::MODE, mode),
    Check::problem("wsl-clock", &say::CLOCK, clock),
];

pub(super) const LAST: &[Check] = &[
    Check::problem("wsl-address", &say::ADDRESS, address).at(Place::Program),
    Check::hint("windows-firewall", &say::FIREWALL, firewall),
];

/// WSL reads wsl.conf as a text of bytes. Every letter of a UTF-16 text has a zero byte beside it,
/// and no text that it can read has one.
fn encoding(view: &View<'_>) -> Option<Found> {
    let text = view.facts.wsl_conf.as_deref()?;
    if !text.contains('\0') {
        return None;
    }
    let command = "sudo sh -c 'cd /etc && iconv -f UTF-16 -t UTF-8 wsl.conf >wsl.conf.new && mv \
                   wsl.conf.new wsl.conf'";
    let fix = [FixStep::Say(say::ENCODING_FIX.text()), fixes::linux(&[command])];
    Some(Found {
        evidence: vec![say::ENCODING_SEEN.text()],
        cause: say::ENCODING_CAUSE.text(),
        fix: fix.into_iter().chain(fixes::shutdown(view)).collect(),
    })
}

/// Whether wsl.conf switches interop off.
fn is_off(view: &View<'_>) -> bool {
    view.wsl_conf_switched_off("interop", "enabled")
}

fn interop_off(view: &View<'_>) -> Option<Found> {
    if !view.facts.interop.is_wsl || !is_off(view) {
        return None;
    }
    let setting = doctor::FILE_ASKS_FOR
        .with("file", fixes::WSL_CONF)
        .with("setting", "enabled=false ([interop])");
    let mut fix = vec![FixStep::Say(say::INTEROP_FIX.text())];
    fix.push(fixes::lines(fixes::WSL_CONF, &["[interop]", "enabled=true"]));
    fix.extend(fixes::shutdown(view));
    Some(Found { evidence: vec![setting], cause: say::INTEROP_CAUSE.text(), fix })
}

/// WSL's own entry in the kernel's list.
const ENTRY: &str = ":WSLInterop:M::MZ::/init:FP";

fn entry(view: &View<'_>) -> Option<Found> {
    let interop = &view.facts.interop;
    if !interop.is_wsl || is_off(view) || is_ok(&interop.run) {
        return None;
    }
    let (seen, command) = match interop.entry? {
        Entry::Present => return None,
        Entry::Missing => (
            say::ENTRY_MISSING_SEEN.text(),
            format!("echo '{ENTRY}' | sudo tee /proc/sys/fs/binfmt_misc/register"),
        ),
        Entry::Disabled => (
            say::ENTRY_DISABLED_SEEN.text(),
            "echo 1 | sudo tee /proc/sys/fs/binfmt_misc/WSLInterop".to_owned(),
        ),
    };
    Some(Found {
        evidence: vec![seen],
        cause: say::ENTRY_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::ENTRY_FIX.text()),
            fixes::linux(&[&command]),
            FixStep::Say(say::ENTRY_KEEP_FIX.text()),
            fixes::lines("/etc/binfmt.d/WSLInterop.conf", &[ENTRY]),
        ],
    })
}

fn socket(view: &View<'_>) -> Option<Found> {
    let interop = &view.facts.interop;
    let named = interop.socket.as_ref()?;
    if !interop.is_wsl
        || interop.socket_lives
        || is_ok(&interop.run)
        || is_off(view)
        || entry(view).is_some()
    {
        return None;
    }
    Some(Found {
        evidence: vec![say::SOCKET_SEEN.with("socket", named)],
        cause: say::SOCKET_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::SOCKET_FIX.text()),
            fixes::linux(&["export WSL_INTEROP=/run/WSL/1_interop"]),
        ],
    })
}

fn run(view: &View<'_>) -> Option<Found> {
    let interop = &view.facts.interop;
    let Outcome::Failed { why, detail } = &interop.run else { return None };
    if !interop.is_wsl || is_off(view) || entry(view).is_some() || socket(view).is_some() {
        return None;
    }
    let mut fix = vec![FixStep::Say(doctor::FIX_RESTART.text())];
    fix.extend(fixes::shutdown(view));
    Some(Found {
        evidence: vec![say::RUN_SEEN.with("detail", seen::in_words(*why, detail))],
        cause: say::RUN_CAUSE.text(),
        fix,
    })
}

fn mode(view: &View<'_>) -> Option<Found> {
    let (asked, in_force) = (view.mode_asked_for()?, view.mode()?);
    let setting = format!("networkingMode={asked}");
    let evidence = vec![
        doctor::FILE_ASKS_FOR.with("file", fixes::WSLCONFIG).with("setting", setting),
        doctor::MODE_IN_FORCE.with("mode", in_force.name()),
    ];
    let wanted = NetworkingMode::by_name(asked);
    if wanted == Some(in_force) {
        return None;
    }
    let origin = view.mode_origin();
    if wanted.is_none() || matches!(origin, Some(Origin::BadLine(_))) {
        let mut fix = vec![FixStep::Say(say::MODE_VALUE_FIX.text())];
        let values = "# none | nat | bridged | mirrored | virtioproxy | consomme (WSL 2.9)";
        fix.push(fixes::lines(fixes::WSLCONFIG, &["[wsl2]", "networkingMode=mirrored", values]));
        fix.extend(fixes::shutdown(view));
        return Some(Found { evidence, cause: say::MODE_VALUE_CAUSE.text(), fix });
    }
    if let Some(Origin::Forced { because, .. }) = origin {
        let (cause, fix) = overruled(view, &because);
        return Some(Found { evidence, cause, fix });
    }
    let mut fix = vec![FixStep::Say(say::MODE_FIX.text())];
    fix.extend(fixes::shutdown(view));
    Some(Found { evidence, cause: say::MODE_CAUSE.text(), fix })
}

/// The reason that WSL does not use the mode that a line asks for, and the fix.
fn overruled(view: &View<'_>, because: &Because) -> (Text, Vec<FixStep>) {
    match because {
        Because::Windows(windows) => {
            let mut fix = vec![FixStep::Say(say::MODE_OLD_FIX.text())];
            fix.push(fixes::lines(fixes::WSLCONFIG, &["[wsl2]", "networkingMode=nat"]));
            fix.extend(fixes::tunnel());
            (say::MODE_OLD_CAUSE.with("build", windows.0), fix)
        }
        Because::NoIpv6 => {
            let mut fix = vec![FixStep::Say(say::MODE_NO_IPV6_FIX.text())];
            fix.push(fixes::run(
                Shell::AdminPowershell,
                &[config::settings::recommend::PREFER_IPV4],
            ));
            fix.extend(fixes::tunnel());
            (say::MODE_NO_IPV6_CAUSE.text(), fix)
        }
        Because::Policy { name, value } => {
            let mut fix = vec![FixStep::Say(say::MODE_POLICY_FIX.text())];
            fix.extend(fixes::tunnel());
            (say::MODE_POLICY_CAUSE.with("policy", format!("{name}={value}")), fix)
        }
        Because::Setting(setting) => {
            let mut fix = vec![FixStep::Say(say::MODE_SETTING_FIX.with("setting", setting))];
            fix.extend(fixes::shutdown(view));
            (say::MODE_SETTING_CAUSE.with("setting", setting), fix)
        }
        Because::Service(_) | Because::NoDnsQueryRaw | Because::Ignored => {
            let mut fix = vec![FixStep::Say(say::MODE_FIX.text())];
            fix.extend(fixes::shutdown(view));
            (say::MODE_CAUSE.text(), fix)
        }
    }
}

/// Milliseconds by which a clock may be off: asking Windows takes some seconds at worst, and
/// one-time passwords allow half a minute.
const CLOCK_MS: u64 = 30_000;

fn clock(view: &View<'_>) -> Option<Found> {
    let ahead = view.facts.clock.ahead_of_windows_ms?;
    if ahead.unsigned_abs() <= CLOCK_MS {
        return None;
    }
    let seen = if ahead > 0 { say::CLOCK_AHEAD_SEEN.text() } else { say::CLOCK_BEHIND_SEEN.text() };
    let mut fix = vec![FixStep::Say(say::CLOCK_FIX.text()), fixes::linux(&["sudo hwclock -s"])];
    fix.push(FixStep::Say(doctor::FIX_RESTART.text()));
    fix.extend(fixes::shutdown(view));
    Some(Found {
        evidence: vec![seen.with("seconds", ahead.unsigned_abs() / 1000)],
        cause: say::CLOCK_CAUSE.text(),
        fix,
    })
}

/// Addresses that the VM and its gateways had and have no more.
fn old_addresses(view: &View<'_>) -> Vec<IpAddr> {
    let remembered = &view.facts.remembered;
    let all = remembered.vm.iter().chain(&remembered.gateways).copied();
    all.filter(|address| {
        !view.is_own(*address) && view.gateway() != Some(*address) && !address.is_loopback()
    })
    .collect()
}

/// Whether an address is one that WSL had before: a remembered one, or one of WSL's NAT range in
/// which there is no network now.
pub(super) fn names_old_address(view: &View<'_>, address: IpAddr) -> bool {
    old_addresses(view).contains(&address) || is_stray(view, address)
}

/// The range of which WSL takes its NAT's networks. A company may use it too, so it takes a Windows
/// that is known and has none of it there.
fn is_stray(view: &View<'_>, address: IpAddr) -> bool {
    let range = ipnet::IpNet::new_assert([172, 16, 0, 0].into(), 12);
    let in_vm = || {
        view.facts.links.iter().flat_map(|link| &link.addresses).any(|net| net.contains(&address))
    };
    let on_windows = || fixes::networks_of_windows(view).any(|(net, _)| net.contains(&address));
    range.contains(&address)
        && view.mode() == Some(NetworkingMode::Nat)
        && view.windows().is_some()
        && !in_vm()
        && !on_windows()
}

/// What it is now.
fn replacement(view: &View<'_>, old: IpAddr) -> Option<IpAddr> {
    if view.facts.remembered.vm.contains(&old) { own_address(view) } else { view.gateway() }
}

fn own_address(view: &View<'_>) -> Option<IpAddr> {
    let addresses = view.own_links().filter(|link| link.up).flat_map(|link| &link.addresses);
    addresses.map(ipnet::IpNet::addr).find(IpAddr::is_ipv4)
}

/// The places that still name old addresses, and their fixes.
#[derive(Default)]
struct Stale {
    evidence: Vec<Text>,
    fix: Vec<FixStep>,
}

impl Stale {
    fn see(&mut self, place: &str, address: IpAddr) {
        self.evidence.push(say::ADDRESS_NAMED_SEEN.with("place", place).with("address", address));
    }

    fn proxies(&mut self, view: &View<'_>, old: &[IpAddr]) {
        let probe_of = |setting: &ProxySetting| -> Option<&ProxyProbe> {
            view.facts.probes.proxies.iter().find(|probe| probe.value == setting.value)
        };
        let mut found = false;
        for setting in &view.facts.proxies {
            let Some((probe, address)) =
                probe_of(setting).and_then(|probe| Some((probe, probe.address?)))
            else {
                continue;
            };
            let place = match &setting.file {
                Some(file) => format!("{file} ({})", setting.key),
                None => setting.key.clone(),
            };
            if old.contains(&address) {
                self.see(&place, address);
            } else if has_failed(&probe.opened) && is_stray(view, address) {
                self.evidence
                    .push(say::ADDRESS_DEAD_SEEN.with("place", place).with("address", address));
            } else {
                continue;
            }
            found = true;
        }
        if found {
            self.fix.extend(fixes::proxy_on(view));
        }
    }

    fn hosts(&mut self, view: &View<'_>, old: &[IpAddr]) {
        let hosts = view.facts.hosts.as_deref().unwrap_or_default();
        for line in hosts.lines() {
            let Some(address) = line.split_whitespace().next().and_then(|word| word.parse().ok())
            else {
                continue;
            };
            if !old.contains(&address) {
                continue;
            }
            self.see("/etc/hosts", address);
            if let Some(new) = replacement(view, address) {
                let pattern = address.to_string().replace('.', r"\.");
                self.fix.push(FixStep::Say(
                    say::ADDRESS_HOSTS_FIX.with("new", new).with("old", address),
                ));
                self.fix.push(fixes::linux(&[&format!(
                    "sudo sed -i 's/^{pattern}\\b/{new}/' /etc/hosts"
                )]));
            }
        }
    }

    fn port_proxies(&mut self, view: &View<'_>, old: &[IpAddr]) {
        let ports = view.windows().map_or(&[][..], |windows| &windows.port_proxies);
        for port in ports {
            let Some(address) = port.to.parse().ok().filter(|address| old.contains(address)) else {
                continue;
            };
            self.see(&format!("netsh interface portproxy ({})", port.listen), address);
            let Some(new) = own_address(view) else { continue };
            let (listen, number) = port.listen.rsplit_once(':').unwrap_or((&port.listen, "PORT"));
            let (listen, number) = (for_powershell(listen), for_powershell(number));
            let command = format!(
                "netsh interface portproxy set v4tov4 listenaddress={listen} listenport={number} \
                 connectaddress={new} \
                 connectport={}",
                port.port
            );
            self.fix.push(FixStep::Say(say::ADDRESS_PORT_FIX.text()));
            self.fix.push(fixes::run(Shell::AdminPowershell, &[&command]));
        }
    }

    fn mentions(&mut self, view: &View<'_>, old: &[IpAddr]) {
        for Mention { file, line, address } in &view.facts.remembered.mentions {
            if !old.contains(address) {
                continue;
            }
            self.see(&format!("{file}:{line}"), *address);
            let of_vm = view.facts.remembered.vm.contains(address);
            let word = if of_vm {
                "$(hostname -I | cut -d' ' -f1)"
            } else {
                "$(ip route show default | cut -d' ' -f3)"
            };
            self.fix
                .push(FixStep::Say(say::ADDRESS_FILE_FIX.with("file", file).with("line", line)));
            self.fix.push(fixes::lines(file, &[word]));
        }
    }
}

fn address(view: &View<'_>) -> Option<Found> {
    let old = old_addresses(view);
    let mut stale = Stale::default();
    stale.proxies(view, &old);
    stale.hosts(view, &old);
    stale.port_proxies(view, &old);
    stale.mentions(view, &old);
    if stale.evidence.is_empty() {
        return None;
    }
    let mut evidence = Vec::new();
    if !old.is_empty()
        && let Some(now) = own_address(view)
    {
        evidence.push(say::ADDRESS_NOW_SEEN.with("before", seen::list(&old)).with("now", now));
    }
    evidence.extend(stale.evidence);
    let mut fix = stale.fix;
    if view.can_mirror() != Some(false) && view.mode() != Some(NetworkingMode::Mirrored) {
        fix.push(FixStep::Say(say::ADDRESS_MIRRORED_FIX.text()));
        fix.push(fixes::lines(fixes::WSLCONFIG, &["[wsl2]", "networkingMode=mirrored"]));
        fix.extend(fixes::shutdown(view));
    }
    Some(Found { evidence, cause: say::ADDRESS_CAUSE.text(), fix })
}

fn firewall(view: &View<'_>) -> Option<Found> {
    if !view.switched_off("firewall") || view.has_firewall() == Some(false) {
        return None;
    }
    let setting =
        doctor::FILE_ASKS_FOR.with("file", fixes::WSLCONFIG).with("setting", "firewall=false");
    let mut fix = vec![
        FixStep::Say(say::FIREWALL_FIX.text()),
        fixes::lines(fixes::WSLCONFIG, &["[wsl2]", "firewall=true"]),
    ];
    fix.extend(fixes::shutdown(view));
    Some(Found { evidence: vec![setting], cause: say::FIREWALL_CAUSE.text(), fix })
}
