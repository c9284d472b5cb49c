//! The owner of resolv.conf, and whether it fits WSL's settings.

use super::check::{Check, Found};
use super::fixes;
use crate::finding::FixStep;
use crate::view::{DNS_TUNNEL, View};
use crate::way::Place;
use messages::{doctor, doctor_dns as say};
use std::net::IpAddr;
use wsl::NetworkingMode;

pub(super) const CHECKS: &[Check] = &[
    Check::problem("dns-private", &say::PRIVATE, private).at(Place::Resolver),
    Check::problem("dns-immutable", &say::IMMUTABLE, immutable),
    Check::hint("dns-against-mode", &say::AGAINST_MODE, against_mode),
    Check::hint("dns-by-hand", &say::BY_HAND, by_hand),
    Check::hint("dns-tunneling-off", &say::TUNNELING_OFF, tunneling_off).past_way_out(),
];

fn private(view: &View<'_>) -> Option<Found> {
    view.facts.resolv_conf.private.then(|| Found {
        evidence: vec![say::PRIVATE_SEEN.text()],
        cause: say::PRIVATE_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::PRIVATE_FIX.text()),
            fixes::linux(&["sudo chmod a+r /etc/resolv.conf"]),
        ],
    })
}

fn immutable(view: &View<'_>) -> Option<Found> {
    if !view.facts.resolv_conf.immutable || view.resolv_conf_is_left_alone() {
        return None;
    }
    let auto = fixes::as_root(view, "settings dns auto");
    let mut fix = vec![
        FixStep::Say(say::IMMUTABLE_FIX.text()),
        fixes::linux(&["sudo chattr -i /etc/resolv.conf", &auto]),
    ];
    fix.extend(fixes::shutdown(view));
    fix.push(FixStep::Say(say::IMMUTABLE_KEEP_FIX.text()));
    fix.push(fixes::lines(fixes::WSL_CONF, &["[network]", "generateResolvConf=false"]));
    Some(Found {
        evidence: vec![say::IMMUTABLE_SEEN.text()],
        cause: say::IMMUTABLE_CAUSE.text(),
        fix,
    })
}

/// Where Windows answers by DNS tunnelling, if that is on: it is by default in versions that have
/// it, and mirrored mode wants it.
fn tunnel_server(view: &View<'_>) -> Option<IpAddr> {
    let mirrored = view.mode() == Some(NetworkingMode::Mirrored);
    if view.switched_off("dnsTunneling") || !(mirrored || view.switched_on("dnsTunneling")) {
        return None;
    }
    Some(
        view.wslconfig("dnsTunnelingIpAddress")
            .and_then(|text| text.parse().ok())
            .unwrap_or(DNS_TUNNEL),
    )
}

fn against_mode(view: &View<'_>) -> Option<Found> {
    let server = tunnel_server(view)?;
    if !view.resolv_conf_is_left_alone() || view.names_server(server) {
        return None;
    }
    let asks = |file: &str, setting: &str| {
        doctor::FILE_ASKS_FOR.with("file", file).with("setting", setting)
    };
    let mut evidence = vec![asks(fixes::WSL_CONF, "generateResolvConf=false")];
    if view.switched_on("dnsTunneling") {
        evidence.push(asks(fixes::WSLCONFIG, "dnsTunneling=true"));
    }
    evidence.extend(view.mode().map(|mode| doctor::MODE_IN_FORCE.with("mode", mode.name())));
    Some(Found {
        evidence,
        cause: say::AGAINST_MODE_CAUSE.with("server", server),
        fix: fixes::dns_auto(view),
    })
}

fn by_hand(view: &View<'_>) -> Option<Found> {
    let file = &view.facts.resolv_conf;
    file.text.as_deref()?;
    // systemd-resolved writes its own file, and asks the servers that it is configured with.
    // Outside of WSL no program writes the file for Windows.
    let of_system = file.link.as_deref().is_some_and(|link| link.contains("systemd/resolve"));
    if !view.facts.interop.is_wsl
        || view.resolv_conf_is_from_wsl()
        || of_system
        || against_mode(view).is_some()
        || immutable(view).is_some()
    {
        return None;
    }
    let servers: Vec<String> = view.nameservers().iter().map(ToString::to_string).collect();
    if servers.is_empty() {
        return None;
    }
    let mut evidence = vec![say::BY_HAND_SEEN.with("servers", servers.join(", "))];
    if file.immutable {
        evidence.push(say::BY_HAND_LOCKED_SEEN.text());
    }
    let mut fix = vec![FixStep::Say(say::BY_HAND_FIX.text())];
    fix.push(fixes::linux(&[&fixes::as_root(view, "settings dns auto")]));
    Some(Found { evidence, cause: say::BY_HAND_CAUSE.text(), fix })
}

fn tunneling_off(view: &View<'_>) -> Option<Found> {
    if !view.switched_off("dnsTunneling")
        || view.can_tunnel_dns() == Some(false)
        || view.names_work() == Some(false)
    {
        return None;
    }
    let evidence =
        doctor::FILE_ASKS_FOR.with("file", fixes::WSLCONFIG).with("setting", "dnsTunneling=false");
    Some(Found {
        evidence: vec![evidence],
        cause: say::TUNNELING_OFF_CAUSE.text(),
        fix: fixes::dns_tunneling(view),
    })
}
