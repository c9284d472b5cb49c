//! Step 4: the proxies that the environment names, each judged once by the first thing that is
//! wrong with it; and proxies that are missing.

use super::check::{Check, Found};
use super::good::{good, is_socks, on_at, on_with, url};
use super::network::has_proxy;
use super::wsl::names_old_address;
use super::{fixes, seen};
use crate::facts::{Outcome, ProxyProbe, ProxySetting, StartLine, Tool, Why};
use crate::finding::{FixStep, Shell};
use crate::view::{Spelling, View, has_failed, is_ok, spelling as spelling_of};
use crate::way::Place;
use messages::quote::{for_powershell, in_shell};
use messages::{Text, doctor, doctor_proxy as say};
use std::net::IpAddr;
use wsl::NetworkingMode;

pub(super) const CHECKS: &[Check] = &[
    Check::problem("proxy-nameserver", &say::NAMESERVER, nameserver).at(Place::Proxy),
    Check::problem("proxy-setting", &say::WRITTEN, written).at(Place::Proxy),
    Check::problem("proxy-excluded", &say::EXCLUDED, excluded).at(Place::Proxy),
    Check::problem("proxy-name", &say::NAME, name).at(Place::Proxy),
    Check::problem("proxy-loopback", &say::LOOPBACK, loopback).at(Place::Proxy),
    Check::problem("proxy-allow-lan", &say::ALLOW_LAN, allow_lan).at(Place::Proxy),
    Check::problem("proxy-closed", &say::RUNNING, closed).at(Place::Proxy),
    Check::problem("proxy-protocol", &say::PROTOCOL, protocol).at(Place::Proxy),
    Check::problem("proxy-login", &say::LOGIN, login).at(Place::Proxy),
    Check::problem("proxy-request", &say::REQUEST, request).at(Place::Proxy),
    Check::problem("proxy-blank", &say::BLANK, blank).at(Place::Proxy),
    Check::problem("proxy-tls", &say::TLS, tls).at(Place::Proxy),
    Check::problem("proxy-port", &say::PORT, port).at(Place::Proxy),
    Check::problem("proxy-scheme", &say::SCHEME, scheme).at(Place::Proxy),
    Check::problem("proxy-needed", &say::NEEDED, needed).at(Place::Proxy),
    Check::problem("proxy-system", &say::SYSTEM, system_proxy).at(Place::Proxy),
    Check::hint("proxy-spelling", &say::SPELLING, spelling),
];

/// The fault of a proxy: the first one, in the order in which a connection meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// At a nameserver's address, or at several ones, where programs expect one of a proxy.
    Nameserver,
    /// No address of a proxy at all.
    Written,
    UnknownName,
    /// At the VM's own loopback, where no program listens.
    Loopback,
    /// At an address that WSL had before.
    OldAddress,
    /// On Windows, open there and shut from here; or perhaps so.
    ForWindowsOnly(Certainty),
    Closed,
    Protocol,
    Login,
    Request,
    /// The proxy works, and programs do not take the setting for what is meant.
    Spelling(Spelling),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Seen,
    Guessed,
}

fn fault(view: &View<'_>, probe: &ProxyProbe) -> Option<Fault> {
    if !super::nameserver::servers(view, probe).is_empty() {
        return Some(Fault::Nameserver);
    }
    if has_failed(&probe.resolved) {
        return Some(if probe.host.is_empty() { Fault::Written } else { Fault::UnknownName });
    }
    if has_failed(&probe.opened) {
        return Some(why_closed(view, probe));
    }
    let wants_login =
        |outcome: &Outcome| matches!(outcome, Outcome::Failed { why: Why::Authentication, .. });
    if [&probe.http, &probe.socks5, &probe.request].into_iter().any(wants_login)
        && !is_ok(&probe.request)
    {
        return Some(Fault::Login);
    }
    // After a request that succeeds, only the spelling of the setting can be wrong.
    if is_ok(&probe.request) {
        return spelling_of(probe).map(Fault::Spelling);
    }
    let asked = if is_socks(&probe.value) { &probe.socks5 } else { &probe.http };
    if has_failed(asked) && !speaks(asked) {
        return Some(Fault::Protocol);
    }
    has_failed(&probe.request).then_some(Fault::Request)
}

fn why_closed(view: &View<'_>, probe: &ProxyProbe) -> Fault {
    let Some(address) = probe.address else { return Fault::Closed };
    let mode = view.mode();
    if names_old_address(view, address) {
        return Fault::OldAddress;
    }
    if address.is_loopback() {
        let own = mode.is_some_and(|mode| mode != NetworkingMode::Mirrored);
        return if own { Fault::Loopback } else { Fault::Closed };
    }
    // In mirrored mode Windows' addresses are the VM's own, and the proxy is at 127.0.0.1.
    if !view.is_windows(address) || mode == Some(NetworkingMode::Mirrored) {
        return Fault::Closed;
    }
    match &probe.on_windows_loopback {
        Outcome::Ok { .. } => Fault::ForWindowsOnly(Certainty::Seen),
        Outcome::Failed { .. } => Fault::Closed,
        Outcome::NotTried if windows_proxy_is_local(view, Some(probe.port)) => {
            Fault::ForWindowsOnly(Certainty::Seen)
        }
        Outcome::NotTried => Fault::ForWindowsOnly(Certainty::Guessed),
    }
}

/// Whether Windows' own setting names a proxy on its loopback; at a port, where one is given.
fn windows_proxy_is_local(view: &View<'_>, port: Option<u16>) -> bool {
    let setting = view.windows().and_then(|windows| windows.host.user_proxy.as_ref());
    let Some(text) = setting.and_then(|proxy| proxy.proxy.as_deref()) else { return false };
    proxy::windows::proxies(text, 443).iter().any(|proxy| {
        let local = match proxy.host() {
            proxy::Host::Address(address) => address.is_loopback(),
            proxy::Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
        };
        local && port.is_none_or(|port| port == proxy.port())
    })
}

/// A refusal is an answer in the protocol too.
fn speaks(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Ok { .. } | Outcome::Failed { why: Why::Authentication | Why::ProxyRefused, .. }
    )
}

/// A setting that works, and that programs do not take for what is meant.
fn misspelt(view: &View<'_>, how: Spelling, cause: &'static messages::Sentence) -> Option<Found> {
    let (evidence, probe, _) = faulty(view, |fault| fault == Fault::Spelling(how))?;
    let url = url(probe);
    let lines = settings(view, probe)
        .iter()
        .map(|setting| format!("export {}='{}'", setting.key, in_shell(&url)))
        .collect();
    Some(Found {
        evidence,
        cause: cause.text(),
        fix: vec![
            FixStep::Say(say::PROTOCOL_FIX.text()),
            FixStep::Run { shell: Shell::Linux, lines },
        ],
    })
}

/// The first proxy of the environment that has a fault, with every variable that names it.
fn faulty<'a>(
    view: &View<'a>,
    is: impl Fn(Fault) -> bool,
) -> Option<(Vec<Text>, &'a ProxyProbe, Fault)> {
    let (first, probe, found) =
        view.proxies_of(Tool::Environment).find_map(|(setting, probe)| {
            fault(view, probe).filter(|found| is(*found)).map(|found| (setting, probe, found))
        })?;
    let same =
        |setting: &&ProxySetting| setting.tool == Tool::Environment && setting.value == first.value;
    let mut evidence: Vec<Text> =
        view.facts.proxies.iter().filter(same).map(seen::setting).collect();
    evidence.extend(start_lines(view, probe).map(|start| {
        let text = say::START_LINE_SEEN.with("line", start.line).with("file", &start.file);
        text.with("text", &start.text)
    }));
    Some((evidence, probe, found))
}

/// The settings of the environment that name a proxy.
fn settings<'a>(view: &View<'a>, probe: &ProxyProbe) -> Vec<&'a ProxySetting> {
    let same =
        |setting: &&ProxySetting| setting.tool == Tool::Environment && setting.value == probe.value;
    view.facts.proxies.iter().filter(same).collect()
}

/// Lines of start files that set a variable that names a proxy.
fn start_lines<'a>(view: &View<'a>, probe: &ProxyProbe) -> impl Iterator<Item = &'a StartLine> {
    let settings = settings(view, probe);
    let of_it =
        move |start: &&StartLine| settings.iter().any(|setting| setting.key == start.variable);
    view.facts.start_lines.iter().filter(of_it)
}

/// Clears the variables that name a proxy.
fn forget(view: &View<'_>, probe: &ProxyProbe) -> Vec<FixStep> {
    let settings = settings(view, probe);
    let command = if settings.iter().all(|setting| setting.is_ours) {
        format!("eval \"$({} proxy off)\"", fixes::own(view))
    } else {
        let names: Vec<&str> = settings.iter().map(|setting| setting.key.as_str()).collect();
        format!("unset {}", names.join(" "))
    };
    let mut fix = vec![FixStep::Say(say::FORGET_FIX.text()), fixes::linux(&[&command])];
    fix.extend(start_lines(view, probe).map(|start| {
        let text = say::FORGET_LINE_FIX.with("line", start.line).with("file", &start.file);
        FixStep::Say(text.with("variable", &start.variable))
    }));
    fix
}

/// Sets the variables to a proxy that works, if one is known.
fn set_good(view: &View<'_>) -> Vec<FixStep> {
    if good(view).is_some() { fixes::proxy_on(view).into() } else { Vec::new() }
}

fn nameserver(view: &View<'_>) -> Option<Found> {
    let (evidence, probe, _) = faulty(view, |fault| fault == Fault::Nameserver)?;
    let found = super::nameserver::found(view, probe, evidence);
    Some(Found {
        fix: set_good(view).into_iter().chain(found.fix).chain(forget(view, probe)).collect(),
        ..found
    })
}

/// A proxy's place, as people write it.
pub(super) fn place(probe: &ProxyProbe) -> String {
    let host = probe.host.trim_matches(['[', ']']);
    let is_v6 = host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
    if is_v6 { format!("[{host}]:{}", probe.port) } else { format!("{host}:{}", probe.port) }
}

pub(super) fn not_opened(probe: &ProxyProbe) -> Option<Text> {
    match &probe.opened {
        Outcome::Failed { why, detail } => Some(seen::connect_failed(&place(probe), *why, detail)),
        Outcome::Ok { .. } | Outcome::NotTried => None,
    }
}

/// What a setting says that names no proxy.
pub(super) fn not_written(probe: &ProxyProbe) -> Option<Text> {
    match &probe.resolved {
        Outcome::Failed { why, detail } if probe.host.is_empty() => {
            Some(say::WRITTEN_SEEN.with("detail", seen::in_words(*why, detail)))
        }
        Outcome::Failed { .. } | Outcome::Ok { .. } | Outcome::NotTried => None,
    }
}

fn written(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::Written)?;
    evidence.extend(not_written(probe));
    let mut fix = vec![FixStep::Say(say::WRITTEN_FIX.text())];
    fix.extend(set_good(view));
    fix.extend(forget(view, probe));
    Some(Found { evidence, cause: say::WRITTEN_CAUSE.text(), fix })
}

fn name(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::UnknownName)?;
    evidence.push(say::NAME_SEEN.with("host", &probe.host));
    let command = format!("Resolve-DnsName {}", for_powershell(&probe.host));
    Some(Found {
        evidence,
        cause: say::NAME_CAUSE.text(),
        fix: vec![FixStep::Say(say::NAME_FIX.text()), fixes::run(Shell::Powershell, &[&command])],
    })
}

fn mode_word(view: &View<'_>) -> &'static str {
    view.mode().map_or("nat", NetworkingMode::name)
}

/// The tunnel's address for Windows' loopback, as a fix where it is up.
fn by_tunnel(view: &View<'_>, probe: &ProxyProbe) -> Vec<FixStep> {
    let is_shut = has_failed(&probe.at_tunnel_host);
    let host = view.facts.tunnel.host.filter(|_| view.tunnel_is_up() && !is_shut);
    let Some(host) = host else { return Vec::new() };
    let command = on_with(view, &format!(" --host {host} --port {}", probe.port));
    vec![FixStep::Say(say::ALLOW_LAN_TUNNEL_FIX.with("host", host)), fixes::linux(&[&command])]
}

fn loopback(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::Loopback)?;
    evidence.extend(not_opened(probe));
    let mut fix = by_tunnel(view, probe);
    if good(view).is_none() {
        fix.push(FixStep::Say(say::LOOPBACK_LAN_FIX.text()));
    }
    fix.extend(fixes::proxy_on(view));
    fix.extend(fixes::mirrored(view));
    Some(Found { evidence, cause: say::LOOPBACK_CAUSE.with("mode", mode_word(view)), fix })
}

fn allow_lan(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, found) =
        faulty(view, |fault| matches!(fault, Fault::ForWindowsOnly(_)))?;
    evidence.extend(not_opened(probe));
    if is_ok(&probe.on_windows_loopback) {
        evidence.push(say::ALLOW_LAN_LOOPBACK_SEEN.with("port", probe.port));
    } else if windows_proxy_is_local(view, Some(probe.port)) {
        let setting =
            view.windows().and_then(|windows| windows.host.user_proxy.as_ref()?.proxy.as_deref());
        evidence.extend(setting.map(|proxy| say::ALLOW_LAN_SYSTEM_SEEN.with("proxy", proxy)));
    }
    let cause = if found == Fault::ForWindowsOnly(Certainty::Seen) {
        say::ALLOW_LAN_CAUSE.with("mode", mode_word(view))
    } else {
        say::ALLOW_LAN_MAYBE_CAUSE.text()
    };
    let rule = format!(
        "New-NetFirewallRule -DisplayName 'Proxy for WSL' -Direction Inbound -Action Allow \
         -Protocol TCP -LocalPort {} \
         -InterfaceAlias 'vEthernet (WSL*'",
        probe.port
    );
    let mut fix = set_good(view);
    fix.extend([
        FixStep::Say(say::ALLOW_LAN_FIX.text()),
        FixStep::Say(say::ALLOW_LAN_FIREWALL_FIX.text()),
        fixes::run(Shell::AdminPowershell, &[&rule]),
    ]);
    fix.extend(by_tunnel(view, probe));
    fix.extend(fixes::mirrored(view));
    Some(Found { evidence, cause, fix })
}

fn closed(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::Closed)?;
    evidence.extend(not_opened(probe));
    let on_windows = probe.address.is_some_and(|address| {
        has_failed(&probe.on_windows_loopback)
            && (address.is_loopback() || view.is_windows(address))
    });
    let cause =
        if on_windows { say::RUNNING_WINDOWS_CAUSE.text() } else { say::RUNNING_CAUSE.text() };
    let mut fix = set_good(view);
    fix.push(FixStep::Say(say::RUNNING_FIX.text()));
    fix.extend(forget(view, probe));
    Some(Found { evidence, cause, fix })
}

fn protocol(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::Protocol)?;
    let names = [("http", "HTTP"), ("socks5", "SOCKS5")];
    let [(_, asked), (scheme, spoken)] =
        if is_socks(&probe.value) { [names[1], names[0]] } else { names };
    evidence.push(say::PROTOCOL_SEEN.with("asked", asked));
    let other = if is_socks(&probe.value) { &probe.http } else { &probe.socks5 };
    if !speaks(other) {
        let mut fix = set_good(view);
        fix.push(FixStep::Say(say::PROTOCOL_PORT_FIX.text()));
        fix.extend(forget(view, probe));
        return Some(Found { evidence, cause: say::PROTOCOL_NEITHER_CAUSE.text(), fix });
    }
    let command = on_at(view, probe.address, &probe.host, scheme, probe.port);
    Some(Found {
        evidence,
        cause: say::PROTOCOL_OTHER_CAUSE.with("spoken", spoken),
        fix: vec![FixStep::Say(say::PROTOCOL_FIX.text()), fixes::linux(&[&command])],
    })
}

fn login(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::Login)?;
    evidence.push(say::LOGIN_SEEN.with("host", &probe.host).with("port", probe.port));
    let scheme = if is_socks(&probe.value) { "socks5" } else { "http" };
    let url = format!("{scheme}://USER:PASSWORD@{}", place(probe));
    let lines = settings(view, probe)
        .iter()
        .map(|setting| format!("export {}='{}'", setting.key, in_shell(&url)))
        .collect();
    let mut fix =
        vec![FixStep::Say(say::LOGIN_FIX.text()), FixStep::Run { shell: Shell::Linux, lines }];
    fix.extend(set_good(view));
    Some(Found { evidence, cause: say::LOGIN_CAUSE.text(), fix })
}

fn request(view: &View<'_>) -> Option<Found> {
    let (mut evidence, probe, _) = faulty(view, |fault| fault == Fault::Request)?;
    let Outcome::Failed { why, detail } = &probe.request else { return None };
    let text = say::REQUEST_SEEN.with("host", &probe.host).with("port", probe.port);
    evidence.push(
        text.with("target", &view.facts.question.outside)
            .with("detail", seen::in_words(*why, detail)),
    );
    let mut fix = vec![
        FixStep::Say(say::REQUEST_FIX.text()),
        fixes::linux(&[&format!("{} proxy test", fixes::own(view))]),
    ];
    fix.extend(set_good(view));
    Some(Found { evidence, cause: say::REQUEST_CAUSE.text(), fix })
}

fn excluded(view: &View<'_>) -> Option<Found> {
    let star = view.no_host_by_proxy().filter(|_| view.has_proxy_variables())?;
    let variables = [&star.key.to_ascii_lowercase(), &star.key.to_ascii_uppercase()]
        .map(String::as_str)
        .join(" ");
    Some(Found {
        evidence: vec![seen::setting(star)],
        cause: say::EXCLUDED_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::EXCLUDED_FIX.text()),
            fixes::linux(&[&format!("unset {variables}")]),
        ],
    })
}

fn blank(view: &View<'_>) -> Option<Found> {
    misspelt(view, Spelling::Blank, &say::BLANK_CAUSE)
}

fn tls(view: &View<'_>) -> Option<Found> {
    misspelt(view, Spelling::Tls, &say::TLS_CAUSE)
}

fn port(view: &View<'_>) -> Option<Found> {
    misspelt(view, Spelling::NoPort, &say::PORT_CAUSE)
}

fn scheme(view: &View<'_>) -> Option<Found> {
    misspelt(view, Spelling::NoScheme, &say::SCHEME_CAUSE)
}

fn needed(view: &View<'_>) -> Option<Found> {
    if !view.is_cut_off() || !has_proxy(view) || view.has_proxy_variables() {
        return None;
    }
    let proxy = view.windows()?.host.user_proxy.as_ref()?;
    let shown = proxy.proxy.as_ref().or(proxy.pac_url.as_ref())?;
    let mut evidence =
        super::network::attempts(view, crate::facts::Subject::Outside, crate::facts::Whence::Vm);
    evidence.extend([say::NEEDED_SEEN.with("proxy", shown), say::NEEDED_NONE_SEEN.text()]);
    let mirrored = view.mode() == Some(NetworkingMode::Mirrored);
    let auto_off = view.switched_off("autoProxy");
    let cause = if auto_off {
        say::NEEDED_AUTO_OFF_CAUSE.text()
    } else if !mirrored && windows_proxy_is_local(view, None) {
        say::NEEDED_LOCAL_CAUSE.with("mode", mode_word(view))
    } else {
        say::NEEDED_CAUSE.text()
    };
    let mut fix = vec![
        FixStep::Say(say::NEEDED_FIX.text()),
        fixes::linux(&[&on_with(view, " --from windows")]),
        FixStep::Say(say::NEEDED_VIA_FIX.text()),
        fixes::run(Shell::Powershell, &["wsl -d underpass up --via windows"]),
    ];
    // WSL has no autoProxy on Windows 10. On newer ones it is on unless a setting switches it off.
    if auto_off {
        fix.push(FixStep::Say(say::NEEDED_AUTO_FIX.text()));
        fix.push(fixes::lines(fixes::WSLCONFIG, &["[wsl2]", "autoProxy=true"]));
        fix.extend(fixes::shutdown(view));
    } else if !mirrored && windows_proxy_is_local(view, None) {
        fix.extend(fixes::mirrored(view));
    }
    Some(Found { evidence, cause, fix })
}

fn system_proxy(view: &View<'_>) -> Option<Found> {
    view.windows()?;
    // What Windows reaches without a proxy needs none.
    if view.windows_reaches_outside() == Some(true)
        || !view.switched_on("autoProxy")
        || has_proxy(view)
        || view.has_proxy_variables()
        || !view.is_cut_off()
    {
        return None;
    }
    let mut fix = vec![FixStep::Say(say::SYSTEM_FIX.text())];
    fix.push(fixes::run(Shell::Powershell, &["wsl --shutdown"]));
    Some(Found {
        evidence: vec![
            doctor::FILE_ASKS_FOR.with("file", fixes::WSLCONFIG).with("setting", "autoProxy=true"),
            say::SYSTEM_SEEN.text(),
        ],
        cause: say::SYSTEM_CAUSE.text(),
        fix,
    })
}

/// Variables that programs read in one spelling or the other.
const VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

fn spelling(view: &View<'_>) -> Option<Found> {
    let is_set = |key: &str| {
        view.facts
            .proxies
            .iter()
            .any(|setting| setting.tool == Tool::Environment && setting.key == key)
    };
    let (set, missing) = VARIABLES.into_iter().find_map(|lower| {
        let upper = lower.to_ascii_uppercase();
        match (is_set(&upper), is_set(lower)) {
            (true, false) => Some((upper, lower.to_owned())),
            (false, true) => Some((lower.to_owned(), upper)),
            (true, true) | (false, false) => None,
        }
    })?;
    let command = format!("export {missing}=\"${set}\"");
    let mut fix = vec![fixes::linux(&[&command])];
    fix.extend(fixes::proxy_on(view));
    Some(Found {
        evidence: vec![say::SPELLING_SEEN.with("set", set).with("missing", missing)],
        cause: say::SPELLING_CAUSE.text(),
        fix,
    })
}
