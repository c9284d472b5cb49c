//! Step 3: the servers in resolv.conf, which of them answer, and whether another server would.

use super::check::{Check, Found};
use super::{fixes, seen};
use crate::facts::{Asked, Lookup, NameKind, Transport};
use crate::finding::{FixStep, Shell};
use crate::view::{DNS_TUNNEL, View, has_addresses};
use crate::way::Place;
use messages::quote::{for_powershell, for_shell};
use messages::{Text, doctor_dns as say};
use wsl::{Nameserver, ResolvConf};

pub(super) const CHECKS: &[Check] = &[
    Check::problem("dns-line-ends", &say::LINE_ENDS, line_ends).at(Place::Resolver).past_way_out(),
    Check::fatal("dns-no-server", &say::FILE, no_server).at(Place::Resolver).past_way_out(),
    Check::problem("windows-dns", &say::WINDOWS, windows_resolves_not)
        .at(Place::Resolver)
        .past_way_out(),
    Check::problem("dns-servers", &say::SERVERS, wrong_servers).at(Place::Resolver).past_way_out(),
    Check::problem("dns-intercepted", &say::INTERCEPTED, intercepted)
        .at(Place::Resolver)
        .past_way_out(),
    Check::problem("dns-udp", &say::UDP, tcp_only).at(Place::Resolver).past_way_out(),
    Check::problem("dns-first-server", &say::FIRST, first_server)
        .at(Place::Resolver)
        .past_way_out(),
    Check::problem("dns-nsswitch", &say::NSSWITCH, nsswitch).at(Place::Resolver).past_way_out(),
    Check::problem("dns-system", &say::SYSTEM, system).at(Place::Resolver).past_way_out(),
    Check::hint("dns-rebind", &say::REBIND, rebind),
];

/// Names that are shown at most, the newest.
const MOST_NAMES: usize = 3;

/// Whether a server's answers named this machine or Windows. Nothing is broken, unless the name is
/// the user's own.
fn rebind(view: &View<'_>) -> Option<Found> {
    let names = view.facts.tunnel.rebind.iter().rev().take(MOST_NAMES);
    let evidence: Vec<Text> = names.map(|name| say::REBIND_SEEN.with("name", name)).collect();
    let newest = view.facts.tunnel.rebind.last()?;
    Some(Found {
        evidence,
        cause: say::REBIND_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::REBIND_FIX.text()),
            fixes::run(
                Shell::Powershell,
                &[&format!("wsl -d underpass up --rebind-domain-ok {}", for_powershell(newest))],
            ),
        ],
    })
}

fn is_of_file(asked: &Asked) -> bool {
    matches!(asked, Asked::Nameserver(_))
}

/// Whether a server of resolv.conf resolves the public name, by any transport.
fn servers_resolve(view: &View<'_>) -> Option<bool> {
    view.resolves(NameKind::Public, is_of_file)
}

/// Whether another server than those of resolv.conf does, asked from the VM.
fn others_resolve(view: &View<'_>) -> Option<bool> {
    view.resolves(NameKind::Public, |asked| matches!(asked, Asked::Public(_) | Asked::OfAdapter(_)))
}

fn windows_resolves(view: &View<'_>) -> Option<bool> {
    view.resolves(NameKind::Public, |asked| *asked == Asked::Windows)
}

/// Whether programs get names all the same, such as by a resolver service.
fn system_resolves(view: &View<'_>) -> bool {
    view.resolves(NameKind::Public, |asked| *asked == Asked::System) == Some(true)
}

/// The answers of the servers that were asked for the public name. Each server is quoted once, its
/// UDP answer first.
fn answers(view: &View<'_>, who: impl Fn(&Asked) -> bool) -> Vec<Text> {
    let mut quoted: Vec<Asked> = Vec::new();
    let mut texts = Vec::new();
    for ask in view.asks(NameKind::Public).filter(|ask| who(&ask.asked)) {
        if !quoted.contains(&ask.asked) {
            quoted.push(ask.asked.clone());
            texts.extend(seen::ask(ask));
        }
    }
    texts
}

/// The text of resolv.conf with the line ends of Windows, where these hide a server from the C
/// library.
fn hidden_servers(view: &View<'_>) -> Option<ResolvConf> {
    let text = view.facts.resolv_conf.text.as_deref()?;
    let meant = ResolvConf::read(&text.replace("\r\n", "\n"));
    (meant.named.len() > ResolvConf::read(text).named.len()).then_some(meant)
}

fn line_ends(view: &View<'_>) -> Option<Found> {
    let meant = hidden_servers(view)?;
    if system_resolves(view) {
        return None;
    }
    let servers: Vec<String> = meant.servers().iter().map(ToString::to_string).collect();
    Some(Found {
        evidence: vec![say::LINE_ENDS_SEEN.with("servers", servers.join(", "))],
        cause: say::LINE_ENDS_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::LINE_ENDS_FIX.text()),
            fixes::linux(&["sudo sed -i --follow-symlinks 's/\\r$//' /etc/resolv.conf"]),
        ],
    })
}

fn no_server(view: &View<'_>) -> Option<Found> {
    let file = &view.facts.resolv_conf;
    if file.private {
        return None;
    }
    // Where names work and there is no file, it was not looked for, or something else resolves.
    if !view.nameservers().is_empty()
        || view.names_work() == Some(true)
        || hidden_servers(view).is_some()
    {
        return None;
    }
    let evidence = match (&file.text, &file.link) {
        (None, Some(link)) => say::FILE_DANGLING_SEEN.with("link", link),
        (None, None) => say::FILE_MISSING_SEEN.text(),
        (Some(_), _) => say::FILE_EMPTY_SEEN.text(),
    };
    Some(Found {
        evidence: vec![evidence],
        cause: say::FILE_CAUSE.text(),
        fix: fixes::dns_auto(view),
    })
}

fn windows_resolves_not(view: &View<'_>) -> Option<Found> {
    if windows_resolves(view) != Some(false)
        || servers_resolve(view) == Some(true)
        || system_resolves(view)
    {
        return None;
    }
    let mut evidence = answers(view, is_of_file);
    evidence.push(say::WINDOWS_SEEN.with("name", &view.facts.question.public_name));
    let commands = [
        "Get-DnsClientServerAddress",
        &format!("Resolve-DnsName {}", for_powershell(&view.facts.question.public_name)),
    ];
    Some(Found {
        evidence,
        cause: say::WINDOWS_CAUSE.text(),
        fix: vec![FixStep::Say(say::WINDOWS_FIX.text()), fixes::run(Shell::Powershell, &commands)],
    })
}

fn wrong_servers(view: &View<'_>) -> Option<Found> {
    if servers_resolve(view) != Some(false)
        || others_resolve(view) != Some(true)
        || system_resolves(view)
    {
        return None;
    }
    let mut evidence = answers(view, is_of_file);
    evidence.extend(answers(view, |asked| matches!(asked, Asked::Public(_) | Asked::OfAdapter(_))));
    let is_old = |server: &Nameserver| {
        view.facts.remembered.gateways.contains(&server.address)
            && view.gateway().is_some_and(|now| now != server.address)
    };
    let old = view.nameservers().into_iter().find(is_old);
    let cause = match old {
        Some(server) => say::SERVERS_OLD_GATEWAY_CAUSE.with("server", server),
        None => say::SERVERS_CAUSE.text(),
    };
    let mut fix = fixes::dns_auto(view);
    fix.extend(fixes::dns_tunneling(view));
    Some(Found { evidence, cause, fix })
}

fn intercepted(view: &View<'_>) -> Option<Found> {
    if servers_resolve(view) != Some(false)
        || others_resolve(view) != Some(false)
        || windows_resolves(view) == Some(false)
        || system_resolves(view)
    {
        return None;
    }
    // Silence is what an interceptor leaves; a server that answers with an error is reached.
    let is_silent = |answer: &Lookup| matches!(answer, Lookup::Failed { .. });
    if !view
        .asks(NameKind::Public)
        .filter(|ask| matches!(ask.asked, Asked::Public(_)))
        .all(|ask| is_silent(&ask.answer))
    {
        return None;
    }
    let mut evidence = answers(view, is_of_file);
    evidence.extend(view.asks(NameKind::Public).find_map(|ask| match &ask.asked {
        Asked::Public(server) => Some(say::INTERCEPTED_PUBLIC_SEEN.with("server", server)),
        Asked::System | Asked::Nameserver(_) | Asked::OfAdapter(_) | Asked::Windows => None,
    }));
    evidence.extend(answers(view, |asked| *asked == Asked::Windows));
    let mut fix = Vec::new();
    if view.switched_on("dnsTunneling") && !view.names_server(DNS_TUNNEL) {
        fix.push(FixStep::Say(say::INTERCEPTED_MIRROR_FIX.text()));
        fix.extend(fixes::dns_auto(view));
    } else {
        fix.extend(fixes::dns_tunneling(view));
    }
    fix.extend(fixes::tunnel());
    Some(Found { evidence, cause: say::INTERCEPTED_CAUSE.text(), fix })
}

/// The servers of resolv.conf by whether they answer over a transport.
fn server_that(
    view: &View<'_>,
    test: impl Fn(Option<bool>, Option<bool>) -> bool,
) -> Option<Nameserver> {
    view.nameservers().into_iter().find(|server| {
        test(
            view.server_resolves(server, Transport::Udp),
            view.server_resolves(server, Transport::Tcp),
        )
    })
}

fn tcp_only(view: &View<'_>) -> Option<Found> {
    if server_that(view, |udp, _| udp == Some(true)).is_some() {
        return None;
    }
    let server = server_that(view, |udp, tcp| udp == Some(false) && tcp == Some(true))?;
    let mut fix = vec![
        FixStep::Say(say::UDP_FIX.text()),
        fixes::linux(&["echo 'options use-vc' | sudo tee -a /etc/resolv.conf"]),
    ];
    fix.extend(fixes::dns_tunneling(view));
    fix.extend(fixes::tunnel());
    Some(Found {
        evidence: vec![say::UDP_SEEN.with("server", server)],
        cause: say::UDP_CAUSE.text(),
        fix,
    })
}

/// Takes a server's lines out of resolv.conf, which may be a link.
fn without_server(server: &Nameserver) -> String {
    let pattern = server.to_string().replace('.', r"\.");
    format!(
        r"sudo sed -i --follow-symlinks '/^nameserver[ \t]\+{pattern}\([ \t]\|$\)/d' /etc/resolv.conf"
    )
}

fn first_server(view: &View<'_>) -> Option<Found> {
    let servers = view.nameservers();
    let first = servers.first()?;
    let answers_by = |server: &Nameserver, transport| view.server_resolves(server, transport);
    let other_answers =
        servers[1..].iter().any(|server| answers_by(server, Transport::Udp) == Some(true));
    let is_silent = answers_by(first, Transport::Udp) == Some(false)
        && answers_by(first, Transport::Tcp) != Some(true);
    if !other_answers || !is_silent {
        return None;
    }
    let mut fix =
        vec![FixStep::Say(say::FIRST_FIX.text()), fixes::linux(&[&without_server(first)])];
    fix.extend(fixes::dns_auto(view));
    Some(Found {
        evidence: answers(view, is_of_file),
        cause: say::FIRST_CAUSE.with("server", first),
        fix,
    })
}

/// The `hosts` line of nsswitch.conf.
fn hosts_line<'a>(view: &View<'a>) -> Option<&'a str> {
    let text = view.facts.nsswitch.as_deref()?;
    text.lines().map(str::trim).find(|line| line.starts_with("hosts:"))
}

/// Services besides `dns` by which the C library asks the network for names.
const RESOLVERS: [&str; 2] = ["dns", "resolve"];

fn asks_dns(line: &str) -> bool {
    line.split_whitespace().any(|word| RESOLVERS.contains(&word))
}

/// Servers answer, and programs get nothing.
fn only_servers_resolve(view: &View<'_>) -> bool {
    let system = view.resolves(NameKind::Public, |asked| *asked == Asked::System);
    system == Some(false)
        && server_that(view, |udp, tcp| udp == Some(true) || tcp == Some(true)).is_some()
}

fn nsswitch(view: &View<'_>) -> Option<Found> {
    let line = hosts_line(view)?;
    if asks_dns(line) || system_resolves(view) {
        return None;
    }
    let services = line.trim_start_matches("hosts:").trim();
    let script = for_shell(&format!(r"s/^[ \t]*hosts:.*/hosts: {services} dns/")).into_owned();
    let command = format!("sudo sed -i --follow-symlinks {script} /etc/nsswitch.conf");
    let mut evidence = vec![say::NSSWITCH_SEEN.with("line", line)];
    evidence.extend(answers(view, is_of_file));
    Some(Found {
        evidence,
        cause: say::NSSWITCH_CAUSE.text(),
        fix: vec![FixStep::Say(say::NSSWITCH_FIX.text()), fixes::linux(&[&command])],
    })
}

fn system(view: &View<'_>) -> Option<Found> {
    // `dns-udp` says it where only TCP answers.
    if !only_servers_resolve(view)
        || hosts_line(view).is_some_and(|line| !asks_dns(line))
        || server_that(view, |udp, _| udp == Some(true)).is_none()
    {
        return None;
    }
    let name = &view.facts.question.public_name;
    let mut evidence = vec![say::SYSTEM_SEEN.with("name", name)];
    evidence.extend(
        view.asks(NameKind::Public).find(|ask| has_addresses(&ask.answer)).and_then(seen::ask),
    );
    Some(Found {
        evidence,
        cause: say::SYSTEM_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::SYSTEM_FIX.text()),
            fixes::linux(&[
                "grep hosts: /etc/nsswitch.conf",
                &format!("getent ahosts {name}"),
                "resolvectl status",
            ]),
        ],
    })
}
