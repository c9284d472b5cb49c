//! Steps 1 and 2, VPNs, large packets, IPv6, the company's hosts.

use crate::checks::judge;
use crate::facts::*;
use crate::finding::Severity;
use crate::sample::*;
use crate::way::{HopState, Place};
use messages::common;
use wsl::NetworkingMode;

fn cut_nat() -> Facts {
    let mut facts = nat();
    cut(&mut facts);
    facts
}

fn dead_gateway() -> Facts {
    let mut facts = cut_nat();
    tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
    facts
}

fn overlapping() -> Facts {
    let mut facts = cut_nat();
    vpn(&mut facts, 1).addresses = vec!["172.28.50.9/16".to_owned()];
    facts
}

fn outdone() -> Facts {
    let mut facts = cut_nat();
    let index = vpn(&mut facts, 1).index;
    windows(&mut facts).host.internet_adapter = Some(index);
    facts
}

fn all_into_the_vpn() -> Facts {
    let mut facts = cut_nat();
    windows(&mut facts).host.routes.extend(["0.0.0.0/1".to_owned(), "128.0.0.0/1".to_owned()]);
    facts
}

fn offline() -> Facts {
    let mut facts = cut_nat();
    tried(&mut facts, Subject::Outside, Method::Tcp, Whence::Windows, failed(Why::Unreachable));
    facts
}

fn second_tunnel() -> Facts {
    let mut facts = cut_nat();
    facts.other_tunnels.push(OtherTunnel {
        name: "wsl-vpnkit".to_owned(),
        sign: "interface wsltap".to_owned(),
        device: Some("wsltap".to_owned()),
    });
    facts.links.push(link("wsltap", &["192.168.127.2/24"]));
    facts.routes.insert(0, default_by("192.168.127.1", "wsltap"));
    facts
}

fn two_tunnels() -> Facts {
    let mut facts = with_tunnel(nat());
    facts.other_tunnels = second_tunnel().other_tunnels;
    facts
}

fn no_relay() -> Facts {
    let mut facts = with_tunnel(nat());
    facts.tunnel.state = TunnelState::NoRelay;
    facts.tunnel.last_error = Some("the relay ended: Windows refuses to start it".to_owned());
    facts
}

fn tunnel_without_way_out() -> Facts {
    let mut facts = with_tunnel(nat());
    cut(&mut facts);
    facts
}

/// Nothing more gets in, and all the signs of a way out that is blocked are there.
fn full_tunnel() -> Facts {
    let mut facts = tunnel_without_way_out();
    facts.tunnel.full = Some(12_288);
    facts
}

/// Some connections of one user had to make room.
fn crowded_tunnel() -> Facts {
    let mut facts = with_tunnel(nat());
    facts.tunnel.displaced = Some(Displaced { count: 30, last_of: "user 1000".to_owned() });
    facts
}

fn filtered() -> Facts {
    let mut facts = cut_nat();
    facts.filter.output_drops = true;
    facts
}

fn no_interface() -> Facts {
    let mut facts = cut_nat();
    facts.links.truncate(1);
    facts.routes.clear();
    facts
}

fn no_route() -> Facts {
    let mut facts = cut_nat();
    facts.routes.clear();
    facts
}

fn mode_none() -> Facts {
    let mut facts = no_interface();
    facts.mode = Mode { by_wslinfo: Some("none".to_owned()), by_signs: Some(NetworkingMode::None) };
    facts
}

fn pings_only() -> Facts {
    let mut facts = nat();
    tried(&mut facts, Subject::Outside, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    facts
}

fn black_hole() -> Facts {
    let mut facts = nat();
    facts.probes.mtu.as_mut().unwrap().large = failed(Why::TimedOut);
    facts
}

fn half_ipv6() -> Facts {
    let mut facts = nat();
    facts.links[1].addresses.push("2001:db8:5::9/64".parse().unwrap());
    facts.routes.push(default_by("fe80::1", "eth0"));
    tried(&mut facts, Subject::OutsideV6, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    facts
}

fn company_shut() -> Facts {
    let mut facts = nat();
    vpn(&mut facts, 60);
    tried(&mut facts, Subject::Company, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    facts
}

fn company_down() -> Facts {
    let mut facts = company_shut();
    tried(&mut facts, Subject::Company, Method::Tcp, Whence::Windows, failed(Why::TimedOut));
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![
        cut_nat(),
        dead_gateway(),
        overlapping(),
        outdone(),
        all_into_the_vpn(),
        offline(),
        second_tunnel(),
        two_tunnels(),
        no_relay(),
        tunnel_without_way_out(),
        full_tunnel(),
        crowded_tunnel(),
        filtered(),
        no_interface(),
        no_route(),
        mode_none(),
        pings_only(),
        black_hole(),
        half_ipv6(),
        company_shut(),
        company_down(),
    ]
}

fn state_of(facts: &Facts, place: Place) -> HopState {
    judge(facts, None).way.iter().find(|hop| hop.place == place).unwrap().state
}

#[test]
fn no_network_at_all_by_a_vpns_routes() {
    let facts = all_into_the_vpn();
    let said = said(&only(&facts, "network-vpn-routes"));
    for part in [
        "0.0.0.0/1, 128.0.0.0/1",
        "The gateway 172.28.48.1 answers",
        "networkingMode=mirrored",
        "NatNetwork",
        "wsl -d underpass up",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(state_of(&facts, Place::Gateway), HopState::Works);
    assert_eq!(state_of(&facts, Place::Vpn), HopState::Broken);
    assert_eq!(state_of(&facts, Place::Internet), HopState::Behind);
    // A VPN that is known by its adapter is named.
    let mut known = cut_nat();
    vpn(&mut known, 60);
    assert!(crate::sample::said(&only(&known, "network-vpn-routes")).contains("Cisco AnyConnect"));
    // One half is an ordinary route.
    let mut half = all_into_the_vpn();
    windows(&mut half).host.routes.pop();
    only(&half, "network-nat");
    // The same routes are not a fault if everything works.
    let mut well = nat();
    windows(&mut well).host.routes.extend(["0.0.0.0/1".to_owned(), "128.0.0.0/1".to_owned()]);
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn a_cut_without_a_known_culprit_is_reported_too() {
    let said = said(&only(&cut_nat(), "network-nat"));
    assert!(said.contains("Windows itself can reach 1.1.1.1:443"), "{said}");
    // The same where Windows could not be asked at all.
    let mut unknown = cut_nat();
    unknown.windows = None;
    unknown.probes.reach.retain(|reach| reach.whence == Whence::Vm);
    only(&unknown, "network-nat");
    assert_eq!(state_of(&unknown, Place::Windows), HopState::Broken);
}

#[test]
fn overlapping_subnets_are_found_where_nothing_works() {
    let finding = only(&overlapping(), "network-overlap");
    let text = said(&finding);
    assert!(text.contains("172.28.48.0/20") && text.contains("172.28.0.0/16"), "{text}");
    // The commands are those of `underpass settings recommend`, with what is to be minded.
    for line in config::settings::nat::commands("192.168.240.0/24".parse().unwrap()) {
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(text.contains(common::SUBNET_ORDER.en), "{text}");
    // By a route alone, as a Linux host tells it.
    let mut routed = cut_nat();
    windows(&mut routed).host.routes.push("172.16.0.0/12".to_owned());
    assert!(said(&only(&routed, "network-overlap")).contains("172.16.0.0/12"));
    // WSL's own network is among Windows' routes, and overlaps nothing by that.
    let mut own = cut_nat();
    windows(&mut own).host.routes.push("172.28.48.0/20".to_owned());
    only(&own, "network-nat");
    // Overlap without harm is not a fault.
    let mut well = nat();
    vpn(&mut well, 60).addresses = vec!["172.28.50.9/16".to_owned()];
    assert_eq!(ids(&well), [""; 0]);
    // In mirrored mode the addresses are Windows' own.
    let mut mirrored = mirrored();
    cut(&mut mirrored);
    only(&mirrored, "network-nat");
}

#[test]
fn the_subnet_that_is_offered_is_free() {
    let mut facts = overlapping();
    windows(&mut facts).host.routes.push("192.168.0.0/16".to_owned());
    windows(&mut facts).host.routes.push("10.0.0.0/8".to_owned());
    let said = said(&only(&facts, "network-overlap"));
    assert!(said.contains("NatNetwork -Type String -Value '172.30.240.0/24'"), "{said}");
    // WSL has one of those already, which nothing overlaps: another would not help.
    let mut good = cut_nat();
    vpn(&mut good, 60);
    let of_wsl = wire::facts::Adapter {
        name: "vEthernet (WSL)".to_owned(),
        up: true,
        addresses: vec!["192.168.240.1/24".to_owned()],
        ..wire::facts::Adapter::default()
    };
    windows(&mut good).host.adapters.push(of_wsl);
    let said = self::said(&only(&good, "network-vpn-routes"));
    assert!(!said.contains("NatNetwork"), "{said}");
}

#[test]
fn a_vpn_that_outdoes_the_others_by_its_metric_is_found() {
    let said_of = |facts: &Facts| said(&only(facts, "network-metric"));
    let text = said_of(&outdone());
    assert!(text.contains("whose metric is 1; Wi-Fi has 35"), "{text}");
    assert!(
        text.contains("Set-NetIPInterface -InterfaceAlias 'Ethernet 3' -InterfaceMetric 6000"),
        "{text}"
    );
    // The VPN has the higher metric: it is not that.
    let mut higher = outdone();
    windows(&mut higher).host.adapters[1].metric = 50;
    only(&higher, "network-vpn-routes");
    // Windows goes by another adapter: neither.
    let mut other = outdone();
    windows(&mut other).host.internet_adapter = Some(7);
    only(&other, "network-vpn-routes");
    // It works: no matter.
    let mut well = nat();
    let index = vpn(&mut well, 1).index;
    windows(&mut well).host.internet_adapter = Some(index);
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn a_proxy_program_in_tun_mode_comes_with_the_switch_to_change() {
    let mut facts = cut_nat();
    let adapter = vpn(&mut facts, 1);
    adapter.name = "Meta".to_owned();
    adapter.description = "Meta Tunnel".to_owned();
    let index = adapter.index;
    windows(&mut facts).host.internet_adapter = Some(index);
    let said_of = |facts: &Facts| said(&only(facts, "network-metric"));
    assert!(said_of(&facts).contains("TUN mode"));
    assert!(!said_of(&outdone()).contains("TUN mode"), "a company's VPN has none");
}

#[test]
fn a_dead_gateway_means_wsls_network_stack() {
    let facts = dead_gateway();
    let text = said(&only(&facts, "network-gateway"));
    assert!(text.contains("wsl --shutdown") && text.contains("172.28.48.1"), "{text}");
    assert!(text.contains("ends all programs running in: Debian, underpass"), "{text}");
    assert_eq!(state_of(&facts, Place::Gateway), HopState::Broken);
    assert_eq!(state_of(&facts, Place::Windows), HopState::Behind);
    // Without an attempt, the kernel's neighbour table decides.
    let mut by_table = cut_nat();
    by_table.probes.reach.retain(|reach| reach.subject != Subject::Gateway);
    by_table.neighbours[0].state = NeighbourState::Silent;
    only(&by_table, "network-gateway");
    // By pings alone, where nothing else is known; they prove it alive, too.
    let mut by_ping = dead_gateway();
    by_ping.probes.reach.retain(|reach| reach.method != Method::Neighbour);
    by_ping.neighbours.clear();
    only(&by_ping, "network-gateway");
    tried(&mut by_ping, Subject::Gateway, Method::Icmp, Whence::Vm, OK);
    only(&by_ping, "network-nat");
    // It answers no ping, because of Windows' firewall, but it exists.
    only(&cut_nat(), "network-nat");
    // It does not answer, and everything works.
    let mut well = nat();
    tried(&mut well, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn windows_that_is_offline_is_not_wsls_fault() {
    let facts = offline();
    assert!(
        said(&only(&facts, "windows-offline"))
            .contains("Windows itself cannot reach 1.1.1.1:443 either")
    );
    assert_eq!(state_of(&facts, Place::Windows), HopState::Broken);
    let mut no_adapter = cut_nat();
    windows(&mut no_adapter).host.internet_adapter = None;
    no_adapter.probes.reach.retain(|reach| reach.whence == Whence::Vm);
    only(&no_adapter, "windows-offline");
    // That it reaches the outside counts for more than how its adapters look.
    tried(&mut no_adapter, Subject::Outside, Method::Tcp, Whence::Windows, OK);
    only(&no_adapter, "network-nat");
    // A Linux host tells no adapters.
    windows(&mut no_adapter).host.adapters.clear();
    no_adapter.probes.reach.retain(|reach| reach.whence == Whence::Vm);
    only(&no_adapter, "network-nat");
}

#[test]
fn an_interface_an_address_and_a_route_are_needed() {
    assert!(said(&only(&no_interface(), "network-interface")).contains("lo (up)"));
    let mut down = cut_nat();
    down.links[1].up = false;
    only(&down, "network-interface");
    let mut bare = cut_nat();
    bare.links[1].addresses = vec!["fe80::1/64".parse().unwrap()];
    only(&bare, "network-interface");
    // Docker's bridges lead nowhere.
    let mut docker = no_interface();
    let mut bridge = link("docker0", &["172.17.0.1/16"]);
    bridge.kind = Some("bridge".to_owned());
    docker.links.push(bridge);
    only(&docker, "network-interface");
    let text = said(&only(&no_route(), "network-default-route"));
    assert!(text.contains("sudo ip route add default via 172.28.48.1 dev eth0"), "{text}");
    let mut refuses = cut_nat();
    refuses.routes[0].refuses = true;
    only(&refuses, "network-default-route");
    let finding = only(&mode_none(), "network-mode-none");
    assert_eq!(finding.severity, Severity::Fatal);
    assert_eq!(state_of(&mode_none(), Place::Interface), HopState::Broken);
}

#[test]
fn a_second_tunnel_is_in_the_way_when_it_carries_nothing_or_stands_beside_ours() {
    let text = said(&only(&second_tunnel(), "network-other-tunnel"));
    assert!(
        text.contains("wsl --terminate wsl-vpnkit")
            && text.contains("points to its interface wsltap"),
        "{text}"
    );
    // A tunnel that is known by its device alone has no distro and no unit.
    let mut nameless = second_tunnel();
    nameless.other_tunnels[0].name = "wsltap".to_owned();
    let text = said(&only(&nameless, "network-other-tunnel"));
    assert!(
        !text.contains("wsl --terminate") && text.contains("sudo ip link delete wsltap"),
        "{text}"
    );
    assert_eq!(only(&two_tunnels(), "network-two-tunnels").severity, Severity::Problem);
    // It works, and ours does not run: it is what the user wants.
    let mut well = second_tunnel();
    well.probes = nat().probes;
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn a_tunnel_without_relay_or_way_out_is_reported() {
    let text = said(&only(&no_relay(), "network-tunnel"));
    assert!(text.contains("Windows refuses to start it"), "{text}");
    assert_eq!(state_of(&no_relay(), Place::Tunnel), HopState::Troubled);
    let mut starting = no_relay();
    starting.tunnel.state = TunnelState::Starting;
    assert_eq!(ids(&starting), [""; 0]);
    only(&tunnel_without_way_out(), "network-tunnel-out");
    let full = said(&only(&full_tunnel(), "network-tunnel-full"));
    assert!(full.contains("12288") && !full.contains("firewall"), "{full}");
    let crowd = said(&only(&crowded_tunnel(), "network-tunnel-crowded"));
    assert!(crowd.contains("30 TCP") && crowd.contains("user 1000"), "{crowd}");
    let mut offline = tunnel_without_way_out();
    tried(&mut offline, Subject::Outside, Method::Tcp, Whence::Windows, failed(Why::Unreachable));
    only(&offline, "windows-offline");
}

#[test]
fn the_vms_own_filter_is_found_where_nothing_gets_out() {
    only(&filtered(), "network-filter");
    let mut by_rule = cut_nat();
    by_rule.filter.dropping_rules = vec!["tcp dport 443 drop".to_owned()];
    assert!(said(&only(&by_rule, "network-filter")).contains("tcp dport 443 drop"));
    let mut well = nat();
    well.filter.output_drops = true;
    well.filter.dropping_rules = vec!["tcp dport 25 drop".to_owned()];
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn pings_without_connections_are_no_way() {
    let text = said(&only(&pings_only(), "network-tcp"));
    assert!(
        text.contains("1.1.1.1 answers pings")
            && text.contains("underpass proxy on --from windows"),
        "{text}"
    );
    assert_eq!(state_of(&pings_only(), Place::Internet), HopState::Broken);
    // Connections without pings are what many companies have.
    let mut no_pings = nat();
    tried(&mut no_pings, Subject::Outside, Method::Icmp, Whence::Vm, failed(Why::TimedOut));
    assert_eq!(ids(&no_pings), [""; 0]);
}

#[test]
fn a_black_hole_for_large_packets_is_found() {
    assert!(said(&only(&black_hole(), "network-mtu")).contains("ip link set dev eth0 mtu 1280"));
    let mut measured = black_hole();
    let probe = measured.probes.mtu.as_mut().unwrap();
    probe.method = Method::Icmp;
    probe.largest = Some(1392);
    let text = said(&only(&measured, "network-mtu"));
    assert!(text.contains("has 1392 bytes") && text.contains("mtu 1392"), "{text}");
    let near: [fn(&mut MtuProbe); 5] = [
        |probe| probe.told = Some(1400),
        |probe| probe.small = failed(Why::TimedOut),
        |probe| probe.large = OK,
        |probe| probe.large = failed(Why::Unreachable),
        // A host that drops large pings of any size says nothing of the way.
        |probe| (probe.method, probe.largest) = (Method::Icmp, None),
    ];
    for (number, change) in near.into_iter().enumerate() {
        let mut facts = black_hole();
        change(facts.probes.mtu.as_mut().unwrap());
        assert_eq!(ids(&facts), [""; 0], "near miss {number}");
    }
    // Pings do not test connections that a program on Windows makes.
    let mut virtioproxy = virtioproxy();
    virtioproxy.probes.mtu = measured.probes.mtu;
    assert_eq!(ids(&virtioproxy), [""; 0]);
}

#[test]
fn ipv6_that_is_half_there_is_found() {
    let text = said(&only(&half_ipv6(), "network-ipv6"));
    assert!(
        text.contains("2001:db8:5::9/64") && text.contains("precedence ::ffff:0:0/96  100"),
        "{text}"
    );
    let mut whole = half_ipv6();
    tried(&mut whole, Subject::OutsideV6, Method::Tcp, Whence::Vm, OK);
    assert_eq!(ids(&whole), [""; 0]);
    let mut no_route = half_ipv6();
    no_route.routes.pop();
    assert_eq!(ids(&no_route), [""; 0]);
    let mut link_local = half_ipv6();
    link_local.links[1].addresses.pop();
    assert_eq!(ids(&link_local), [""; 0]);
}

#[test]
fn the_companys_hosts_are_reached_from_wsl_as_from_windows() {
    let text = said(&only(&company_shut(), "network-company"));
    assert!(text.contains("the traffic that it forwards for WSL does not get in"), "{text}");
    assert_eq!(state_of(&company_shut(), Place::Vpn), HopState::Troubled);
    assert_eq!(state_of(&company_shut(), Place::Internet), HopState::Works);
    let text = said(&only(&company_down(), "network-company"));
    assert!(text.contains("Test-NetConnection git.corp.example -Port 443"), "{text}");
    // Hosts of companies drop pings.
    let mut pings = nat();
    tried(&mut pings, Subject::Company, Method::Icmp, Whence::Vm, failed(Why::TimedOut));
    assert_eq!(ids(&pings), [""; 0]);
}
