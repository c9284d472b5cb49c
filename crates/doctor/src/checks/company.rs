//! Outside works, the company inside does not: its names, then its hosts.

use super::check::{Check, Found};
use super::network::attempts;
use super::{fixes, seen};
use crate::facts::{Ask, Asked, Lookup, Method, NameKind, Subject, Whence};
use crate::finding::{FixStep, Shell};
use crate::view::{View, has_addresses};
use crate::way::Place;
use messages::quote::{for_powershell, for_shell};
use messages::{doctor_dns, doctor_network as say};
use std::net::IpAddr;
use wsl::{MOST_SERVERS, NetworkingMode};

pub(super) const CHECKS: &[Check] = &[
    Check::problem("dns-company", &doctor_dns::COMPANY, missing_server)
        .at(Place::Resolver)
        .past_way_out(),
    Check::problem("dns-split", &doctor_dns::SPLIT, only_windows)
        .at(Place::Resolver)
        .past_way_out(),
    Check::problem("dns-company-unknown", &doctor_dns::UNKNOWN, unknown)
        .at(Place::Resolver)
        .past_way_out(),
    Check::problem("network-company", &say::COMPANY, unreachable).at(Place::Vpn).past_way_out(),
];

fn is_of_wsl(asked: &Asked) -> bool {
    matches!(asked, Asked::System | Asked::Nameserver(_))
}

/// The first company name that WSL does not resolve, though it can resolve public ones, with all
/// that was asked for it.
fn unresolved<'a>(view: &View<'a>) -> Option<(&'a str, Vec<&'a Ask>)> {
    // Where no name at all works there are other findings.
    if view.names_work() == Some(false) {
        return None;
    }
    let asks: Vec<&Ask> = view.asks(NameKind::Company).collect();
    let of = |name: &str| asks.iter().copied().filter(|ask| ask.name == name).collect::<Vec<_>>();
    asks.iter().map(|ask| (ask.name.as_str(), of(&ask.name))).find(|(_, of_name)| {
        // As programs ask for it; by the servers where that was not tried.
        let system: Vec<_> = of_name.iter().filter(|ask| ask.asked == Asked::System).collect();
        let by_wsl: Vec<_> = of_name.iter().filter(|ask| is_of_wsl(&ask.asked)).collect();
        let counted = if system.is_empty() { by_wsl } else { system };
        !counted.is_empty() && !counted.iter().any(|ask| has_addresses(&ask.answer))
    })
}

/// DNS servers of Windows' adapters that know the name, asked from the VM.
fn servers_that_know(asks: &[&Ask]) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for ask in asks.iter().filter(|ask| has_addresses(&ask.answer)) {
        if let Asked::OfAdapter(server) = ask.asked
            && !servers.contains(&server)
        {
            servers.push(server);
        }
    }
    servers
}

fn windows_answer<'a>(asks: &[&'a Ask]) -> Option<&'a Lookup> {
    asks.iter().find(|ask| ask.asked == Asked::Windows).map(|ask| &ask.answer)
}

fn missing_server(view: &View<'_>) -> Option<Found> {
    let (name, asks) = unresolved(view)?;
    let servers = servers_that_know(&asks);
    if servers.is_empty() {
        return None;
    }
    let mut command = fixes::as_root(view, "settings dns manual");
    let own = view.nameservers();
    let own = own.iter().map(|server| &server.address);
    for server in servers.iter().chain(own).take(MOST_SERVERS) {
        command += &format!(" --server {server}");
    }
    if let Some((_, domain)) = name.split_once('.') {
        command += &format!(" --search {}", for_shell(domain));
    }
    let mut evidence: Vec<_> =
        asks.iter().filter(|ask| is_of_wsl(&ask.asked)).filter_map(|ask| seen::ask(ask)).collect();
    let knows =
        |ask: &&&Ask| matches!(ask.asked, Asked::OfAdapter(_)) && has_addresses(&ask.answer);
    evidence.extend(asks.iter().filter(knows).filter_map(|ask| seen::ask(ask)));
    evidence.dedup();
    let mut fix = fixes::dns_tunneling(view);
    fix.extend([FixStep::Say(doctor_dns::COMPANY_FIX.text()), fixes::linux(&[&command])]);
    fix.extend(fixes::tunnel());
    Some(Found { evidence, cause: doctor_dns::COMPANY_CAUSE.text(), fix })
}

fn only_windows(view: &View<'_>) -> Option<Found> {
    let (name, asks) = unresolved(view)?;
    let Lookup::Addresses { addresses, .. } = windows_answer(&asks)? else { return None };
    if addresses.is_empty() || !servers_that_know(&asks).is_empty() {
        return None;
    }
    let mut evidence: Vec<_> =
        asks.iter().filter(|ask| is_of_wsl(&ask.asked)).filter_map(|ask| seen::ask(ask)).collect();
    evidence.dedup();
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    evidence.push(doctor_dns::SPLIT_SEEN.with("name", name).with("addresses", list.join(", ")));
    let mut fix = fixes::dns_tunneling(view);
    fix.extend(fixes::tunnel());
    Some(Found { evidence, cause: doctor_dns::SPLIT_CAUSE.text(), fix })
}

fn unknown(view: &View<'_>) -> Option<Found> {
    let (name, asks) = unresolved(view)?;
    // Where Windows was not asked, all that is known is that these servers don't.
    if asks.iter().any(|ask| has_addresses(&ask.answer) && !is_of_wsl(&ask.asked)) {
        return None;
    }
    let seen = match windows_answer(&asks) {
        Some(_) => doctor_dns::UNKNOWN_SEEN.with("name", name),
        None => asks.iter().find_map(|ask| seen::ask(ask))?,
    };
    Some(Found {
        evidence: vec![seen],
        cause: doctor_dns::UNKNOWN_CAUSE.text(),
        fix: vec![
            FixStep::Say(doctor_dns::UNKNOWN_FIX.text()),
            fixes::run(Shell::Powershell, &[&format!("Resolve-DnsName {}", for_powershell(name))]),
        ],
    })
}

fn unreachable(view: &View<'_>) -> Option<Found> {
    let failed = |whence| view.reaches(Subject::Company, whence, Method::Tcp) == Some(false);
    // Pings alone prove nothing: many hosts of companies drop them.
    // `dns-hosts-file` says it where the address is a wrong one.
    if !failed(Whence::Vm) || view.is_cut_off() || super::answers::is_pinned(view) {
        return None;
    }
    let mut evidence = attempts(view, Subject::Company, Whence::Vm);
    evidence.extend(attempts(view, Subject::Company, Whence::Windows));
    evidence.extend(view.vpns().map(seen::vpn));
    if failed(Whence::Windows) {
        let target = view.reached(Subject::Company, Whence::Vm).next()?.target.clone();
        let (host, port) = target.rsplit_once(':').unwrap_or((&target, "443"));
        let (host, port) = (for_powershell(host.trim_matches(['[', ']'])), for_powershell(port));
        let command = format!("Test-NetConnection {host} -Port {port}");
        let fix = vec![
            FixStep::Say(say::COMPANY_NOWHERE_FIX.text()),
            fixes::run(Shell::Powershell, &[&command]),
        ];
        return Some(Found { evidence, cause: say::COMPANY_NOWHERE_CAUSE.text(), fix });
    }
    let mut fix: Vec<FixStep> = fixes::tunnel().into();
    if view.mode() != Some(NetworkingMode::Mirrored) {
        fix.extend(fixes::mirrored(view));
    }
    Some(Found { evidence, cause: say::COMPANY_CAUSE.text(), fix })
}
