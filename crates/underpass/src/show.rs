//! The status in words. Knows no socket and no clock.

use gateway::Status;
use gateway::status::{
    KeepAlive, KeepAliveState, ProcessPrivileges, RelayStatus, TapStatus, ViaStatus,
};
use std::fmt::Write as _;

/// All that is said when traffic can flow, a line each.
pub(crate) fn announcement(status: &Status) -> Vec<String> {
    let mut lines = vec![up_line(status)];
    lines.extend(mode_line(&status.mode).map(str::to_owned));
    lines.extend(status.via.as_ref().map(via_line));
    lines
}

/// What `underpass up` says when traffic can flow.
fn up_line(status: &Status) -> String {
    match &status.tap {
        Some(tap) => format!("underpass: up on {} ({})", tap.name, addresses(tap)),
        None => "underpass: up".to_owned(),
    }
}

/// What `underpass up` says of a networking mode of WSL's that is not the default one.
fn mode_line(mode: &str) -> Option<&'static str> {
    match mode {
        "mirrored" => Some(
            "underpass: WSL's mode is mirrored: its own rules stay in front; default routes and what WSL \
             has mirrored of Windows' other routes go through the tunnel",
        ),
        "virtioproxy" => Some(
            "underpass: WSL's mode is virtioproxy (consomme): the tunnel goes before Microsoft's own user-mode network",
        ),
        "bridged" => Some(
            "underpass: WSL's mode is bridged: the VM's router is a real one, and is reached as before",
        ),
        "none" => Some("underpass: WSL's mode is none: the tunnel is the VM's only network"),
        _ => None,
    }
}

fn addresses(tap: &TapStatus) -> String {
    let v4 = tap.ipv4;
    let mut text = format!("{}/{}, gateway {}, host {}", v4.vm, v4.prefix, v4.gateway, v4.host);
    if let Some(v6) = tap.ipv6 {
        // Writing to a string cannot fail.
        let _ = write!(text, "; {}/{}, gateway {}, host {}", v6.vm, v6.prefix, v6.gateway, v6.host);
    }
    text
}

/// The whole status, a line a subject.
pub(crate) fn status(status: &Status) -> String {
    let mut lines = vec![
        (
            "state",
            format!(
                "{}, for {} (process {}, version {})",
                status.state,
                duration(status.uptime_s),
                status.pid,
                status.version
            ),
        ),
        (
            "mode",
            if status.mode.is_empty() { "not known yet".to_owned() } else { status.mode.clone() },
        ),
    ];
    if let Some(tap) = &status.tap {
        let offload = if tap.offload { "on" } else { "off" };
        let way = tap.way_mtu.map(|mtu| format!(" ({mtu} beside TCP)")).unwrap_or_default();
        lines.push(("tap", format!("{}, mtu {}{way}, offload {offload}", tap.name, tap.mtu)));
        lines.push(("addresses", addresses(tap)));
    }
    if let Some(reason) = &status.no_ipv6 {
        lines.push(("ipv6", format!("not carried: {reason}")));
    }
    if let Some(via) = &status.via {
        lines.push(("via", via_words(via)));
    }
    lines.push(("captured", list(status.captured.iter().map(ToString::to_string))));
    lines.push((
        "direct",
        first(status.direct.iter().map(|way| format!("{} dev {}", way.prefix, way.device))),
    ));
    if !status.mirrored.is_empty() {
        lines.push((
            "mirrored",
            format!("{}: through the tunnel", first(status.mirrored.iter().cloned())),
        ));
    }
    lines.extend(status.relays.iter().map(|relay| ("relay", relay_line(relay))));
    let flows = &status.flows;
    lines.push((
        "flows",
        format!(
            "tcp {} ({} pending, {} in time-wait), udp {}, dns {}, ping {}",
            flows.tcp, flows.tcp_pending, flows.time_wait, flows.udp, flows.dns, flows.echo
        ),
    ));
    let totals = &status.totals;
    lines.push((
        "so far",
        format!("tcp {}, udp {}, dns {}, ping {}", totals.tcp, totals.udp, totals.dns, totals.echo),
    ));
    let answers = status.dns_answers.iter().map(|(by, count)| format!("{by} {count}"));
    lines.push(("answers", list(answers)));
    lines.push((
        "bytes",
        format!("up {}, down {}", bytes(status.bytes.up), bytes(status.bytes.down)),
    ));
    lines.push(("packets", format!("up {}, down {}", status.packets.up, status.packets.down)));
    lines.push((
        "drops",
        list(status.drops.iter().map(|(reason, count)| format!("{reason} {count}"))),
    ));
    lines.push((
        "limits",
        list(
            status.limits.iter().map(|limit| format!("{} {}/{}", limit.name, limit.now, limit.max)),
        ),
    ));
    if let Some(refused) = &status.refused {
        let words = format!(
            "{} connections refused for want of room, the last {} s ago",
            refused.count, refused.last_s
        );
        lines.push(("full", words));
    }
    if let Some(displaced) = &status.displaced {
        let words = format!(
            "{} connections made room for other users', the last one, of {}, {} s ago",
            displaced.count, displaced.last_of, displaced.last_s
        );
        lines.push(("shares", words));
    }
    if let Some(rebind) = &status.rebind {
        let words =
            format!("{} DNS answers named the host and lost these addresses", rebind.answers);
        let names = rebind.names.iter().rev().take(4).cloned();
        lines.push(("rebind", format!("{words}; the last names: {}", list(names))));
    }
    if let Some(keep_alive) = &status.keep_alive {
        lines.push(("kept up", keep_alive_words(keep_alive)));
    }
    lines.extend(status.privileges.iter().map(|process| ("process", privileges_line(process))));
    if let Some(error) = &status.network_error {
        lines.push(("trouble", error.clone()));
    }
    lines.iter().fold(String::new(), |mut text, (name, line)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10}{}", line.replace('\n', "\n          "));
        text
    })
}

/// What `underpass up` says of a proxy.
fn via_line(via: &ViaStatus) -> String {
    format!("underpass: connections go via {}", via_place(via))
}

fn via_place(via: &ViaStatus) -> String {
    let proxy =
        if via.proxy == "windows" { "the proxies that Windows' settings name" } else { &via.proxy };
    if via.except.is_empty() {
        proxy.to_owned()
    } else {
        format!("{proxy}, but for {}", via.except.join(", "))
    }
}

fn via_words(via: &ViaStatus) -> String {
    let mut text = format!("{}; {} names known", via_place(via), via.names);
    if let Some(error) = &via.last_error {
        let _ = write!(text, "\nnothing goes through it: {error}");
    }
    text
}

fn keep_alive_words(keep_alive: &KeepAlive) -> String {
    let state = match keep_alive.state {
        KeepAliveState::Held => {
            return "by a wsl.exe of its own, until `wsl --terminate`".to_owned();
        }
        KeepAliveState::Starting => "a wsl.exe that keeps this distro running is being started",
        KeepAliveState::Waiting => {
            "nothing keeps this distro running; a wsl.exe is started again in some seconds"
        }
    };
    keep_alive
        .last_error
        .as_ref()
        .map_or_else(|| state.to_owned(), |error| format!("{state}\nlast ended: {error}"))
}

/// What a process of the gateway may do, and a line for each step that the machine refused.
fn privileges_line(of: &ProcessPrivileges) -> String {
    let mut words =
        vec![if of.user == 0 { "root".to_owned() } else { format!("user {}", of.user) }];
    words.push(match of.capabilities.len() {
        0 => "no capability".to_owned(),
        // Root's are all that there are.
        count @ 10.. => format!("{count} capabilities"),
        1..10 => {
            of.capabilities.iter().map(|name| format!("CAP_{name}")).collect::<Vec<_>>().join(" ")
        }
    });
    words.extend(of.no_new_privs.then(|| "no new privileges".to_owned()));
    words.extend(of.seccomp.then(|| "seccomp".to_owned()));
    words.extend(of.landlock.map(|version| format!("Landlock {version}")));
    let mut text = format!("{} ({}): {}", of.process, of.pid, words.join(", "));
    for missing in &of.missing {
        // Writing to a string cannot fail.
        let _ = write!(text, "\nnot in force: {missing}");
    }
    text
}

fn relay_line(relay: &RelayStatus) -> String {
    let mut text = format!("{}: {}", relay.lane, relay.state);
    if let (Some(pid), Some(age)) = (relay.pid, relay.age_s) {
        let _ = write!(text, ", process {pid} for {}", duration(age));
    }
    let _ = write!(text, ", {} restarts", relay.restarts);
    if let Some(version) = &relay.version {
        let _ = write!(text, ", {version} ({})", relay.can.join(" "));
    }
    if let Some(error) = &relay.last_error {
        let _ = write!(text, "\nlast ended: {error}");
    }
    text
}

/// Entries of a list that a line shows.
const MOST_SHOWN: usize = 20;

/// The first of a list that may be long, and how many more there are.
fn first(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(MOST_SHOWN);
    let mut text = list(items.take(MOST_SHOWN));
    if more > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {more} more (see --json)");
    }
    text
}

fn list(items: impl Iterator<Item = String>) -> String {
    let text = items.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

/// In the largest unit of which there is at least one.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let step = (count.ilog2() / 10).min(5);
    // One decimal, rounded down.
    let tenths = (u128::from(count) * 10) >> (10 * step);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[step as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        assert_eq!(
            [duration(59), duration(61), duration(3_660), duration(90_000)],
            ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }

    #[test]
    fn what_a_process_may_do_is_one_line_and_what_is_missing_another() {
        let engine = ProcessPrivileges {
            process: "underpass-engine".to_owned(),
            pid: 7,
            user: 65_530,
            no_new_privs: true,
            seccomp: true,
            missing: vec!["files: Landlock is switched off".to_owned()],
            ..ProcessPrivileges::default()
        };
        let text = "underpass-engine (7): user 65530, no capability, no new privileges, seccomp\n\
                    not in force: files: Landlock is switched off";
        assert_eq!(privileges_line(&engine), text);
        let network = ProcessPrivileges {
            capabilities: vec!["NET_ADMIN".to_owned()],
            landlock: Some(7),
            missing: Vec::new(),
            ..engine.clone()
        };
        assert!(
            privileges_line(&network)
                .ends_with("CAP_NET_ADMIN, no new privileges, seccomp, Landlock 7")
        );
        let root = ProcessPrivileges {
            user: 0,
            capabilities: vec![String::new(); 41],
            ..ProcessPrivileges::default()
        };
        assert!(
            privileges_line(&root).ends_with(": root, 41 capabilities"),
            "{}",
            privileges_line(&root)
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let items = |count: usize| first((0..count).map(|n| n.to_string()));
        assert_eq!((items(0), items(2)), ("none".to_owned(), "0, 1".to_owned()));
        assert!(items(MOST_SHOWN).ends_with(", 19"), "{}", items(MOST_SHOWN));
        assert!(
            items(MOST_SHOWN + 5).ends_with(", 19 and 5 more (see --json)"),
            "{}",
            items(MOST_SHOWN + 5)
        );
    }

    #[test]
    fn the_way_out_is_told_with_what_goes_without_and_what_is_wrong() {
        let via = |proxy: &str, except: &[&str], error: Option<&str>| ViaStatus {
            proxy: proxy.to_owned(),
            except: except.iter().map(|text| (*text).to_owned()).collect(),
            names: 3,
            last_error: error.map(str::to_owned),
        };
        let fixed = via("http://***@h:1", &["10.0.0.0/8", ".a.test"], Some("it is away"));
        assert_eq!(
            via_line(&fixed),
            "underpass: connections go via http://***@h:1, but for 10.0.0.0/8, .a.test"
        );
        assert!(
            via_words(&fixed).ends_with("; 3 names known\nnothing goes through it: it is away")
        );
        assert!(via_words(&via("windows", &[], None)).contains("Windows' settings"));
    }
}
