//! Variables that a script fills with what resolv.conf says. Much advice does so, and the address
//! is that of the Windows host only in NAT mode without DNS tunneling.

use super::check::Found;
use super::fixes::{self, own};
use super::removal::sed;
use crate::facts::{ProxyProbe, StartLine};
use crate::finding::FixStep;
use crate::view::{View, has_failed};
use messages::{Text, doctor_proxy as say};
use std::net::IpAddr;

/// The nameservers of resolv.conf that a value names, where it names no proxy for that.
pub(super) fn servers(view: &View<'_>, probe: &ProxyProbe) -> Vec<IpAddr> {
    if has_failed(&probe.resolved) {
        return several(view, &probe.value);
    }
    let wrong = |address: &IpAddr| view.names_server(*address) && !view.is_windows(*address);
    // At the gateway, or wherever else Windows is, it is the port that is wrong.
    probe.address.filter(wrong).filter(|_| has_failed(&probe.opened)).into_iter().collect()
}

/// `http://ADDRESS ADDRESS:PORT`, each word a nameserver, as a script makes it that takes every
/// line.
fn several(view: &View<'_>, value: &str) -> Vec<IpAddr> {
    let value = value.trim();
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let hosts = rest.rsplit_once(':').map_or(rest, |(hosts, _)| hosts);
    let addresses: Option<Vec<IpAddr>> =
        hosts.split_whitespace().map(|word| word.parse().ok()).collect();
    let addresses = addresses.unwrap_or_default();
    let are_servers =
        addresses.len() > 1 && addresses.iter().all(|address| view.names_server(*address));
    if are_servers { addresses } else { Vec::new() }
}

/// The evidence, and the change of the start file.
pub(super) fn found(view: &View<'_>, probe: &ProxyProbe, mut evidence: Vec<Text>) -> Found {
    let servers = servers(view, probe);
    let cause = if servers.len() > 1 {
        say::NAMESERVERS_CAUSE.text()
    } else {
        say::NAMESERVER_CAUSE.text()
    };
    let named: Vec<String> = servers.iter().map(ToString::to_string).collect();
    evidence.push(say::NAMESERVER_SEEN.with("servers", named.join(", ")));
    let reads = view.facts.start_lines.iter().filter(|start| start.text.contains(RESOLV_CONF));
    let mut fix = Vec::new();
    for start in reads {
        let text = say::NAMESERVER_LINE_SEEN.with("line", start.line).with("file", &start.file);
        evidence.push(text.with("variable", &start.variable).with("text", &start.text));
        fix.extend(change(view, start));
    }
    Found { evidence, cause, fix }
}

const RESOLV_CONF: &str = "resolv.conf";

/// Has a line ask for the host. Where it does more than to set one variable, an editor has to.
fn change(view: &View<'_>, start: &StartLine) -> Vec<FixStep> {
    let command = format!("$({} host)", own(view));
    let value = start.text.split_once('=').map(|(_, value)| value.trim().trim_matches('"'));
    let is_whole = value.is_some_and(|value| {
        let in_words = value.starts_with("$(") && value.ends_with(')');
        let in_ticks = value.starts_with('`') && value.ends_with('`');
        (in_words || in_ticks) && !value.contains(';')
    });
    if !is_whole {
        let text = say::NAMESERVER_HAND_FIX.with("file", &start.file).with("line", start.line);
        return vec![FixStep::Say(text.with("command", command))];
    }
    let act = format!("s/=.*/=\"{}\"/", command.replace('/', r"\/").replace('&', r"\&"));
    let command = sed(&start.file, &[(start.line, RESOLV_CONF, act)]);
    vec![FixStep::Say(say::NAMESERVER_LINE_FIX.text()), fixes::linux(&[&command])]
}
