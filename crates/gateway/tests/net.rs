//! Rules and routes in a lab's VM, judged by `ip`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Waker};

use common::old_kernel::OldKernel;
use common::{GATEWAY_MAC, PATIENCE, VM_MAC, frame, in_vm, sysctl, vm};
use etherparse::{IpNumber, NetSlice, SlicedPacket};
use gateway::net::{IpNet, Net, NetError, NoIpv6, Observed, Plan, Tap6, Ways, captured, uplink};
use gateway::tap::{OffloadWish, Tap};
use lab::addresses::{NAT_GATEWAY, NAT_NETWORK, SERVER, SERVER_V6};
use lab::{Lab, Place};
use stack::Elsewhere;
use wsl::NetworkingMode;
use wsl::network::{Neighbour, NeighbourState};

const TAP: &str = "up0";
const RESOLV_CONF: &str = "nameserver 172.28.48.1\n";
/// Marks a run of this test program as the gateway that is killed.
const VICTIM: &str = "UNDERPASS_TEST_VICTIM";

fn plan(observed: &Observed) -> Plan {
    Plan {
        tap: TAP.to_owned(),
        mtu: 9000,
        way_mtu: Some(1400),
        vm_mac: VM_MAC,
        gateway_mac: GATEWAY_MAC,
        vm4: Ipv4Addr::new(192, 168, 214, 2),
        gateway4: Ipv4Addr::new(192, 168, 214, 1),
        prefix4: 28,
        v6: Some(Tap6 {
            vm: "fd75:6e64:6572::2".parse().unwrap(),
            gateway: "fd75:6e64:6572::1".parse().unwrap(),
            prefix: 64,
        }),
        own: observed.own.iter().filter(|own| !uplink(observed).contains(own)).copied().collect(),
        uplink: uplink(observed),
        elsewhere: Vec::new(),
        // Not the lab's own: `scripts/test --machine ports` has others.
        ephemeral: (32_768, 60_999),
        captured: captured(observed, &Ways::default(), RESOLV_CONF),
        mirrored: Vec::new(),
    }
}

/// A TAP to which all traffic is routed.
async fn start() -> (Tap, Net, Plan) {
    let tap = Tap::open(TAP, OffloadWish::Auto).unwrap();
    let net = Net::open().unwrap();
    let plan = plan(&net.observe(TAP).await.unwrap());
    net.prepare_link(&plan).await.unwrap();
    net.apply(&plan).await.unwrap();
    (tap, net, plan)
}

/// The rules of a family, a line each, without the spaces at its ends.
fn rules(lab: &Lab, family: &str) -> Vec<String> {
    let text = vm(lab, &format!("ip {family} rule"));
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The interface by which the VM reaches an address.
fn way(lab: &Lab, query: &str) -> String {
    let text = vm(lab, &format!("ip route get {query}"));
    let mut words = text.split_whitespace().skip_while(|&word| word != "dev");
    words.nth(1).unwrap_or_else(|| panic!("{text}")).to_owned()
}

const UNTOUCHED: [&str; 3] =
    ["0: from all lookup local", "32766: from all lookup main", "32767: from all lookup default"];
const UNTOUCHED_V6: [&str; 2] = [UNTOUCHED[0], UNTOUCHED[1]];

const OURS: [&str; 12] = [
    "0: from all lookup local",
    "30059: from all to 172.28.48.1 ipproto udp dport 53 lookup 30062 proto 117",
    "30059: from all to 172.28.48.1 ipproto tcp dport 53 lookup 30062 proto 117",
    "30060: from 172.28.48.2 to 172.28.48.1 lookup main proto 117",
    "30060: from 172.28.48.2 ipproto udp sport 1-32767 lookup main proto 117",
    "30060: from 172.28.48.2 ipproto udp sport 61000-65534 lookup main proto 117",
    "30061: from all to 172.28.48.1 iif lo ipproto tcp lookup 30063 proto 117",
    "30062: from all to 172.28.48.1 iif lo lookup 30062 proto 117",
    "30447: from all lookup main suppress_prefixlength 0 proto 117",
    "30448: from all ipproto tcp lookup 30063 proto 117",
    "30449: from all lookup 30062 proto 117",
    "32766: from all lookup main",
];

#[test]
fn a_survey_shows_what_ip_shows() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, "ip link add br0 mtu 1400 type bridge");
    vm(&lab, "ip route add 198.18.0.0/15 via 172.28.48.1 metric 7");
    vm(&lab, "ip route add blackhole 198.51.100.0/24 table 77");
    vm(
        &lab,
        "ip rule add pref 5 from 10.0.0.0/8 to 192.0.2.1 iif eth0 ipproto udp dport 53 lookup 77",
    );
    vm(&lab, "ip rule add pref 6 not fwmark 0x10 lookup main suppress_prefixlength 0");
    vm(&lab, "ip neigh add 172.28.48.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent");
    let gone = lab.run(Place::Wsl, &["ping", "-c", "1", "-W", "4", "172.28.48.8"]).unwrap();
    assert!(!gone.succeeded(), "{gone:?}");
    in_vm(&lab, async || {
        let net = Net::open().unwrap();
        let survey = net.survey().await.unwrap();
        let link = |name: &str| survey.links.iter().find(|link| link.name == name).unwrap();
        let (eth0, bridge) = (link("eth0"), link("br0"));
        assert_eq!((eth0.kind.as_deref(), eth0.up, eth0.mtu), (Some("veth"), true, 1500));
        assert!(eth0.addresses.contains(&"172.28.48.2/20".parse().unwrap()), "{eth0:?}");
        assert_eq!((bridge.kind.as_deref(), bridge.up, bridge.mtu), (Some("bridge"), false, 1400));
        assert_eq!(link("lo").addresses[0].to_string(), "127.0.0.1/8");
        let route = |to: &str| {
            survey.routes.iter().find(|route| route.destination.to_string() == to).unwrap()
        };
        let default = route("0.0.0.0/0");
        assert_eq!(default.gateway, Some(NAT_GATEWAY.parse().unwrap()));
        assert_eq!(
            (default.device.as_deref(), default.table, default.metric),
            (Some("eth0"), 254, 0)
        );
        assert_eq!(route("198.18.0.0/15").metric, 7);
        assert_eq!((route("198.51.100.0/24").table, route("198.51.100.0/24").refuses), (77, true));
        assert!(survey.routes.iter().all(|route| route.table != 255), "{:?}", survey.routes);
        let rule = |priority| survey.rules.iter().find(|rule| rule.priority == priority).unwrap();
        assert_eq!(
            rule(5).text,
            "from 10.0.0.0/8 to 192.0.2.1 iif eth0 ipproto udp dport 53 lookup 77"
        );
        assert_eq!(rule(6).text, "not from all fwmark 0x10 lookup main suppress_prefixlength 0");
        assert_eq!((rule(5).table, rule(32766).text.as_str()), (Some(77), "from all lookup main"));
        assert_eq!(survey.ipv6_rules, Some(true));
        assert_eq!((survey.wslinfo, survey.signs), (None, Some(NetworkingMode::Nat)));
        let neighbours = net.neighbours().await.unwrap();
        let state = |address: &str| {
            let of =
                |neighbour: &&Neighbour| neighbour.address == address.parse::<IpAddr>().unwrap();
            neighbours.iter().find(of).map(|neighbour| neighbour.state)
        };
        assert_eq!(state("172.28.48.9"), Some(NeighbourState::Known), "{neighbours:?}");
        assert_eq!(state("172.28.48.8"), Some(NeighbourState::Silent), "{neighbours:?}");
    });
}

#[test]
fn the_network_is_seen_without_the_tap() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, "ip address add 10.255.255.254/32 dev lo");
    vm(&lab, "ip route add 198.18.0.0/15 via 172.28.48.1");
    vm(&lab, "ip route add blackhole 198.51.100.0/24 table 77");
    sysctl(&lab, "net/ipv4/ip_local_port_range", "20000 30001");
    sysctl(&lab, "net/ipv4/conf/eth0/rp_filter", "1");
    in_vm(&lab, async || {
        let net = Net::open().unwrap();
        let before = net.observe(TAP).await.unwrap();
        let (_tap, ..) = start().await;
        let observed = net.observe(TAP).await.unwrap();
        assert_eq!(before, observed, "our own interface, routes and rules are left out");
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!(observed.own, ["172.28.48.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(observed.gateways, [NAT_GATEWAY.parse::<IpAddr>().unwrap()]);
        assert_eq!(observed.mode, Some(NetworkingMode::Nat));
        assert_eq!(
            (observed.ephemeral, &observed.strict[..]),
            ((20_000, 30_001), &["eth0".to_owned()][..])
        );
        assert_eq!(uplink(&observed), [] as [IpAddr; 0]);
        assert!(observed.connected.contains(&net(NAT_NETWORK)));
        assert!(!observed.connected.contains(&net("198.18.0.0/15")));
        for route in
            [NAT_NETWORK, "198.18.0.0/15", "198.51.100.0/24", "10.255.255.254/32", "127.0.0.0/8"]
        {
            assert!(observed.routes.contains(&net(route)), "{route} in {:?}", observed.routes);
        }
        assert!(observed.routes.iter().all(|route| route.prefix_len() > 0));
        assert_eq!(captured(&observed, &Ways::default(), RESOLV_CONF), observed.gateways);
    });
}

#[test]
fn everything_goes_to_the_tap_but_neighbours_replies_and_routes_of_others() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, "ip route add 198.18.0.0/15 via 172.28.48.1");
    vm(&lab, "ip link add docker0 type bridge");
    vm(&lab, "ip address add 172.17.0.1/16 dev docker0");
    vm(&lab, "ip link set docker0 up");
    vm(&lab, "sysctl -qw net.ipv4.ip_forward=1");
    let _service = lab.start(Place::Wsl, &["python3", "-m", "http.server", "8000"]).unwrap();
    in_vm(&lab, async || {
        let (tap, _net, _plan) = start().await;
        let mut wanted = OURS.to_vec();
        wanted.insert(3, "30060: from 172.17.0.1 lookup main proto 117");
        assert_eq!(rules(&lab, "-4")[..13], wanted);
        assert_eq!(rules(&lab, "-6"), [OURS[0], OURS[8], OURS[9], OURS[10], OURS[11]]);
        for (query, expected) in [
            (SERVER, TAP),
            (SERVER_V6, TAP),
            // The captured nameserver, and its neighbours.
            (NAT_GATEWAY, TAP),
            ("172.28.48.9", "eth0"),
            ("198.18.0.1", "eth0"),
            ("127.0.0.1", "lo"),
            ("203.0.113.10 from 172.17.0.1", "eth0"),
            // From the uplink address: a client's connection, and a server's answer.
            ("203.0.113.10 from 172.28.48.2", TAP),
            ("203.0.113.10 from 172.28.48.2 ipproto udp sport 40000", TAP),
            ("203.0.113.10 from 172.28.48.2 ipproto udp sport 32767", "eth0"),
            ("203.0.113.10 from 172.28.48.2 ipproto udp sport 61000", "eth0"),
            ("172.28.48.1 from 172.28.48.2", "eth0"),
            ("172.28.48.1 from 172.28.48.2 ipproto udp dport 53", TAP),
            // A container's packet: forwarded, with an address that this machine does not have.
            ("203.0.113.10 from 192.168.214.2", TAP),
            ("203.0.113.10 from 172.17.0.2 iif docker0", TAP),
            ("172.28.48.1 from 172.17.0.2 iif docker0 ipproto udp dport 53", TAP),
            ("172.28.48.1 from 172.17.0.2 iif docker0 ipproto tcp dport 53", TAP),
            // A published port's reply to the host leaves by the way of its request.
            ("172.28.48.1 from 172.17.0.2 iif docker0 ipproto tcp sport 80 dport 50000", "eth0"),
        ] {
            assert_eq!(way(&lab, query), expected, "{query}");
        }
        // The host reaches a service in the VM at eth0's address, although its own address is
        // captured.
        let fetch = ["curl", "--silent", "--max-time", "5", "http://172.28.48.2:8000/"];
        assert!(lab::until(PATIENCE, || lab.run(Place::Windows, &fetch).unwrap().succeeded()));

        let _ping = lab.start(Place::Wsl, &["ping", "-c", "1", SERVER]).unwrap();
        let (source, target, link) = frame(&tap, |bytes, _| {
            let packet = SlicedPacket::from_ethernet(bytes).unwrap();
            let Some(NetSlice::Ipv4(ip)) = packet.net else { return None };
            let header = ip.header();
            (header.protocol() == IpNumber::ICMP)
                .then(|| (header.source_addr(), header.destination_addr(), bytes[..12].to_vec()))
        })
        .await;
        assert_eq!(
            (source.to_string(), target.to_string()),
            ("192.168.214.2".to_owned(), SERVER.to_owned())
        );
        assert_eq!(link, [GATEWAY_MAC, VM_MAC].concat());
    });
}

#[test]
fn the_interface_is_as_planned_and_silent() {
    let Some(lab) = lab::lab_or_skip() else { return };
    sysctl(&lab, "net/ipv4/conf/all/rp_filter", "1");
    in_vm(&lab, async || {
        let (_tap, net, mut plan) = start().await;
        let link = vm(&lab, "ip link show up0");
        for part in
            ["mtu 9000", "qlen 10000", "link/ether 02:00:00:00:00:02", "state UP", "LOWER_UP"]
        {
            assert!(
                link.contains(part) || part == "state UP" && link.contains("state UNKNOWN"),
                "{part}: {link}"
            );
        }
        let addresses = || vm(&lab, "ip -brief address show up0");
        let all = addresses();
        let all: Vec<&str> = all.split_whitespace().skip(2).collect();
        assert_eq!(all, ["192.168.214.2/28", "fd75:6e64:6572::2/64"]);
        assert!(!vm(&lab, "ip -6 address show up0").contains("tentative"));
        let neighbours = vm(&lab, "ip neigh show dev up0 nud permanent");
        assert!(
            neighbours.contains("192.168.214.1 lladdr 02:00:00:00:00:01 PERMANENT"),
            "{neighbours}"
        );
        assert!(
            neighbours.contains("fd75:6e64:6572::1 lladdr 02:00:00:00:00:01 PERMANENT"),
            "{neighbours}"
        );
        assert_eq!(vm(&lab, "cat /proc/sys/net/ipv4/conf/up0/rp_filter").trim(), "2");

        let setting = |key: &str| {
            vm(&lab, &format!("cat /proc/sys/net/ipv6/conf/up0/{key}")).trim().to_owned()
        };
        for (key, value) in [("accept_ra", "0"), ("addr_gen_mode", "1"), ("disable_ipv6", "0")] {
            assert_eq!(setting(key), value, "{key}");
        }

        // The same interface gets another subnet, and loses the old one with its routes and rules.
        vm(&lab, "ip address add 192.168.214.5/28 dev up0");
        plan.vm4 = Ipv4Addr::new(10, 214, 214, 2);
        plan.gateway4 = Ipv4Addr::new(10, 214, 214, 1);
        plan.v6 = None;
        net.prepare_link(&plan).await.unwrap();
        net.apply(&plan).await.unwrap();
        assert_eq!(addresses().split_whitespace().skip(2).collect::<Vec<_>>(), ["10.214.214.2/28"]);
        let route = vm(&lab, &format!("ip route get {SERVER}"));
        assert!(
            route.contains("via 10.214.214.1 dev up0") && route.contains("src 10.214.214.2"),
            "{route}"
        );
        assert_eq!(rules(&lab, "-6"), UNTOUCHED_V6, "without IPv6 no rule of ours remains");
        assert_eq!(setting("disable_ipv6"), "1");
        plan.tap = "other".to_owned();
        assert!(
            matches!(net.apply(&plan).await, Err(NetError::NoInterface { name }) if name == "other")
        );
    });
}

#[test]
fn applying_again_changes_nothing_and_cleans_up_after_others_of_us() {
    let Some(lab) = lab::lab_or_skip() else { return };
    // The remains of a killed run with another subnet, and another program's rules: with our
    // numbers, but without our mark.
    vm(&lab, "ip rule add from 10.9.9.9 lookup main priority 30060 protocol 117");
    vm(&lab, "ip rule add to 10.9.9.1 lookup 30062 priority 30061 protocol 117");
    vm(&lab, "ip rule add from all iif lo lookup 30062 priority 30063 protocol 117");
    vm(&lab, "ip rule add from 10.8.8.8 lookup main priority 30060");
    vm(&lab, "ip route add default via 172.28.48.7 metric 5 table 30062");
    in_vm(&lab, async || {
        let (_tap, net, mut plan) = start().await;
        let foreign = "30060: from 10.8.8.8 lookup main";
        let mut wanted = OURS.to_vec();
        wanted.insert(3, foreign);
        assert_eq!(rules(&lab, "-4")[..13], wanted);
        assert_eq!(vm(&lab, "ip route show table 30062").lines().count(), 1);

        let mut changes = net.changes().unwrap();
        net.apply(&plan).await.unwrap();
        assert_eq!(rules(&lab, "-4")[..13], wanted);
        vm(&lab, "ip address add 172.28.48.77/20 dev eth0");
        poll_fn(|cx| changes.poll_changed(cx)).await;
        plan.own = net.observe(TAP).await.unwrap().own;
        assert!(plan.own.contains(&"172.28.48.77".parse().unwrap()));
        net.apply(&plan).await.unwrap();
        assert_eq!(way(&lab, "203.0.113.10 from 172.28.48.77"), "eth0");

        net.withdraw().await.unwrap();
        assert_eq!(rules(&lab, "-4"), [UNTOUCHED[0], foreign, UNTOUCHED[1], UNTOUCHED[2]]);
        assert_eq!(rules(&lab, "-6"), UNTOUCHED_V6);
        assert_eq!(vm(&lab, "ip route show table 30062"), "");
        assert_eq!(way(&lab, SERVER), "eth0");
        net.withdraw().await.unwrap();
    });
}

/// The MTU of the route to an address, if the route has one.
fn mtu_to(lab: &Lab, query: &str) -> Option<u32> {
    let text = vm(lab, &format!("ip route get {query}"));
    text.split_whitespace()
        .skip_while(|&word| word != "mtu")
        .nth(1)
        .map(|word| word.parse().unwrap())
}

#[test]
fn all_but_tcp_sees_the_mtu_of_the_way_out() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, &format!("ip route add 10.0.0.0/8 via {NAT_GATEWAY} proto kernel metric 1"));
    in_vm(&lab, async || {
        let (_tap, net, mut plan) = start().await;
        plan.mirrored = vec!["10.0.0.0/8".parse().unwrap()];
        let mut changes = net.changes().unwrap();
        for (way_mtu, v4, v6) in [
            (Some(1400), Some(1400), Some(1400)),
            (Some(1000), Some(1000), Some(1280)),
            (None, None, None),
            (Some(1500), Some(1500), Some(1500)),
        ] {
            plan.way_mtu = way_mtu;
            for _ in 0..2 {
                net.apply(&plan).await.unwrap();
            }
            for (to, mtu) in [(SERVER, v4), ("10.1.2.3", v4), (NAT_GATEWAY, v4), (SERVER_V6, v6)] {
                // Also without a protocol: scripts such as wg-quick take their MTU from that.
                let icmp = if to.contains(':') { " ipproto ipv6-icmp" } else { " ipproto icmp" };
                for protocol in ["", " ipproto udp", icmp] {
                    assert_eq!(
                        mtu_to(&lab, &format!("{to}{protocol}")),
                        mtu,
                        "{to}{protocol}, {way_mtu:?}"
                    );
                }
                assert_eq!(mtu_to(&lab, &format!("{to} ipproto tcp")), None, "{to}, {way_mtu:?}");
                assert_eq!(way(&lab, &format!("{to} ipproto tcp")), TAP, "{to}, {way_mtu:?}");
            }
            let quiet = changes.poll_changed(&mut Context::from_waker(Waker::noop())).is_pending();
            assert_eq!(
                quiet,
                way_mtu.is_some(),
                "only removals are reported, ours too: {way_mtu:?}"
            );
            let tables = [("30062", 2), ("30063", if way_mtu.is_some() { 2 } else { 0 })];
            for (table, routes) in tables {
                let all = vm(&lab, &format!("ip route show table {table}"));
                assert_eq!(all.lines().count(), routes, "{table}, {way_mtu:?}: {all}");
            }
        }
        net.withdraw().await.unwrap();
        assert_eq!(rules(&lab, "-4"), UNTOUCHED);
        assert_eq!(vm(&lab, "ip route show table 30063"), "");
    });
}

#[test]
fn changes_of_others_are_reported_and_our_own_are_not() {
    let Some(lab) = lab::lab_or_skip() else { return };
    in_vm(&lab, async || {
        let tap = Tap::open(TAP, OffloadWish::Auto).unwrap();
        let net = Net::open().unwrap();
        let plan = plan(&net.observe(TAP).await.unwrap());
        net.prepare_link(&Plan { v6: None, ..plan.clone() }).await.unwrap();
        let mut changes = net.changes().unwrap();
        for _ in 0..2 {
            net.prepare_link(&plan).await.unwrap();
            net.apply(&plan).await.unwrap();
        }
        // The kernel reports all this before it answers the last request, so it waits in the socket
        // by now; the runtime checks its sockets before it wakes a task that yielded.
        tokio::task::yield_now().await;
        let mut context = Context::from_waker(Waker::noop());
        assert!(
            changes.poll_changed(&mut context).is_pending(),
            "our own change was reported: the gateway would never rest"
        );
        for doing in [
            "ip address add 172.28.48.78/20 dev eth0",
            "ip route del default",
            "ip rule del priority 30449",
            "ip link set eth0 down",
            "ip route flush table 30062",
            "ip address flush dev up0",
            "ip link set up0 down",
        ] {
            vm(&lab, doing);
            let reported = tokio::time::timeout(PATIENCE, poll_fn(|cx| changes.poll_changed(cx)));
            reported.await.unwrap_or_else(|_| panic!("not reported: {doing}"));
        }
        drop(tap);
    });
}

#[test]
fn without_a_default_route_and_without_ipv6() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, "ip route del default");
    sysctl(&lab, "net/ipv6/conf/all/disable_ipv6", "1");
    in_vm(&lab, async || {
        let (_tap, net, _plan) = start().await;
        assert_eq!(way(&lab, SERVER), TAP);
        assert_eq!(way(&lab, NAT_GATEWAY), TAP, "the nameserver of resolv.conf lies next door");
        assert!(net.observe(TAP).await.unwrap().gateways.is_empty());
        assert_eq!(rules(&lab, "-6"), UNTOUCHED_V6);
        assert!(vm(&lab, "ip -6 address show up0").is_empty());
    });
}

#[test]
fn what_began_elsewhere_goes_on_there_and_what_else_starts_goes_to_the_tap() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, "ip -6 address add 2001:db8:9::2/64 dev eth0 nodad");
    in_vm(&lab, async || {
        let (tap, net, mut plan) = start().await;
        assert_eq!(
            plan.uplink,
            ["172.28.48.2", "2001:db8:9::2"].map(|own| own.parse::<IpAddr>().unwrap())
        );
        let mut changes = net.changes().unwrap();
        let ends = ["172.28.48.2:8080", "[2001:db8:9::2]:8080"]
            .map(|end| Elsewhere::Tcp(end.parse().unwrap()));
        let ping = |own: &str, peer: &str| Elsewhere::Ping {
            own: own.parse().unwrap(),
            peer: peer.parse().unwrap(),
        };
        let pings = [ping("172.28.48.2", SERVER), ping("2001:db8:9::2", SERVER_V6)];
        plan.elsewhere = [ends, pings].concat();
        for _ in 0..2 {
            net.apply(&plan).await.unwrap();
        }
        let quiet = changes.poll_changed(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(quiet, "each was set once, and none was taken for another's");
        let all = || [rules(&lab, "-4"), rules(&lab, "-6")].concat();
        for rule in [
            "30060: from 172.28.48.2 ipproto tcp sport 8080 lookup main proto 117",
            "30060: from 2001:db8:9::2 ipproto tcp sport 8080 lookup main proto 117",
            "30060: from 172.28.48.2 to 203.0.113.10 ipproto icmp lookup main proto 117",
            "30060: from 2001:db8:9::2 to 2001:db8:f::10 ipproto ipv6-icmp lookup main proto 117",
        ] {
            assert_eq!(
                all().iter().filter(|found| *found == rule).count(),
                1,
                "{rule}: {:?}",
                all()
            );
        }
        for (query, expected) in [
            ("203.0.113.10 from 172.28.48.2 ipproto tcp sport 8080", "eth0"),
            ("203.0.113.10 from 172.28.48.2 ipproto tcp sport 8081", TAP),
            ("203.0.113.10 from 172.28.48.2 ipproto icmp", "eth0"),
            ("203.0.113.11 from 172.28.48.2 ipproto icmp", TAP),
        ] {
            assert_eq!(way(&lab, query), expected, "{query}");
        }
        let texts = net.survey().await.unwrap().rules;
        let survey = |text: &str| texts.iter().any(|rule| rule.text == text);
        assert!(survey("from 172.28.48.2 ipproto tcp sport 8080 lookup main"), "{texts:?}");
        assert!(
            survey("from 2001:db8:9::2 to 2001:db8:f::10 ipproto ipv6-icmp lookup main"),
            "{texts:?}"
        );
        plan.elsewhere.clear();
        net.apply(&plan).await.unwrap();
        assert!(
            all().iter().all(|rule| !rule.contains("8080") && !rule.contains("icmp")),
            "{:?}",
            all()
        );
        drop(tap);
        assert_eq!(
            way(&lab, "203.0.113.10 from 172.28.48.2"),
            "eth0",
            "the rules that are left lead nowhere"
        );
        net.withdraw().await.unwrap();
        assert_eq!(
            (rules(&lab, "-4"), rules(&lab, "-6")),
            (UNTOUCHED.map(str::to_owned).into(), UNTOUCHED_V6.map(str::to_owned).into())
        );
    });
}

/// The VM's IPv6 routes of all tables, without those of the TAP's own.
fn routes6(lab: &Lab) -> Vec<String> {
    let all = vm(lab, "ip -6 route show table all");
    all.lines().filter(|line| !line.contains(TAP)).map(str::to_owned).collect()
}

#[test]
fn where_the_kernel_has_one_table_for_ipv6_it_stays_as_it_was_and_ipv4_is_led_away() {
    let Some(lab) = lab::lab_or_skip() else { return };
    vm(&lab, "ip -6 address add 2001:db8:9::2/64 dev eth0 nodad");
    vm(&lab, "ip -6 route add default via 2001:db8:9::1 dev eth0");
    in_vm(&lab, async || {
        let before = (routes6(&lab), rules(&lab, "-6"));
        let tap = Tap::open(TAP, OffloadWish::Auto).unwrap();
        let net = Net::open_by::<OldKernel>().unwrap();
        assert_eq!(Net::open().unwrap().ipv6().await, Ok(()), "this machine's kernel has rules");
        assert_eq!(net.survey().await.unwrap().ipv6_rules, Some(false));
        net.withdraw().await.unwrap();
        let mut plan = plan(&net.observe(TAP).await.unwrap());
        plan.mirrored = vec!["2000::/3".parse().unwrap()];
        for _ in 0..2 {
            net.prepare_link(&plan).await.unwrap();
            assert_eq!(net.apply(&plan).await.unwrap(), Some(NoIpv6::NoRules));
            assert_eq!(
                (way(&lab, SERVER), way(&lab, SERVER_V6)),
                (TAP.to_owned(), "eth0".to_owned())
            );
            assert_eq!(
                (routes6(&lab), rules(&lab, "-6")),
                before,
                "no IPv6 route is added or replaced"
            );
            let of_tap = vm(&lab, &format!("ip -6 route show table all dev {TAP}"));
            assert_eq!(of_tap.trim(), "", "the TAP has no IPv6");
        }
        assert_eq!(net.ipv6().await, Err(NoIpv6::NoRules));
        let said = NoIpv6::NoRules.to_string();
        for part in ["CONFIG_IPV6_MULTIPLE_TABLES", "5.15.90.1", "wsl --update", "wsl --shutdown"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        net.withdraw().await.unwrap();
        drop(tap);
        assert_eq!(
            (routes6(&lab), rules(&lab, "-6"), rules(&lab, "-4")),
            (before.0, before.1, UNTOUCHED.map(str::to_owned).into())
        );
    });
}

#[test]
fn mirrored_prefixes_are_routes_of_our_table_and_two_rules_for_each_length() {
    let Some(lab) = lab::lab_or_skip() else { return };
    for route in ["0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8"] {
        vm(&lab, &format!("ip route add {route} via {NAT_GATEWAY} proto kernel metric 1"));
    }
    vm(&lab, &format!("ip route add 10.99.0.0/16 via {NAT_GATEWAY}"));
    in_vm(&lab, async || {
        let (tap, net, mut plan) = start().await;
        assert_eq!(
            (way(&lab, SERVER), way(&lab, "10.1.2.3")),
            ("eth0".to_owned(), "eth0".to_owned())
        );
        let mut changes = net.changes().unwrap();
        plan.mirrored =
            ["0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8"].map(|net| net.parse().unwrap()).into();
        for _ in 0..2 {
            assert_eq!(net.apply(&plan).await.unwrap(), None);
        }
        assert!(
            changes.poll_changed(&mut Context::from_waker(Waker::noop())).is_pending(),
            "our own change was reported"
        );
        for (query, expected) in [
            (SERVER, TAP),
            ("8.8.8.8", TAP),
            ("10.1.2.3", TAP),
            // Longer prefixes in the main table, the user's route and the VM's own networks, stay
            // as before.
            ("10.99.0.1", "eth0"),
            ("172.28.48.9", "eth0"),
            ("127.0.0.1", "lo"),
            ("203.0.113.10 from 172.28.48.2", TAP),
        ] {
            assert_eq!(way(&lab, query), expected, "{query}");
        }
        let ours = || {
            rules(&lab, "-4")
                .into_iter()
                .filter(|rule| rule.contains("proto 117"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ours()[7..],
            [
                "30423: from all lookup main suppress_prefixlength 8 proto 117",
                "30424: from all ipproto tcp lookup 30063 suppress_prefixlength 7 proto 117",
                "30425: from all lookup 30062 suppress_prefixlength 7 proto 117",
                "30444: from all lookup main suppress_prefixlength 1 proto 117",
                "30445: from all ipproto tcp lookup 30063 suppress_prefixlength 0 proto 117",
                "30446: from all lookup 30062 suppress_prefixlength 0 proto 117",
                OURS[8],
                OURS[9],
                OURS[10],
            ]
        );
        assert_eq!(vm(&lab, "ip route show table 30062").lines().count(), 4);
        plan.mirrored = vec!["10.0.0.0/8".parse().unwrap()];
        net.apply(&plan).await.unwrap();
        assert_eq!((way(&lab, SERVER), way(&lab, "10.1.2.3")), ("eth0".to_owned(), TAP.to_owned()));
        assert_eq!((ours().len(), vm(&lab, "ip route show table 30062").lines().count()), (13, 2));
        drop(tap);
        assert_eq!(
            (way(&lab, SERVER), way(&lab, "10.1.2.3")),
            ("eth0".to_owned(), "eth0".to_owned()),
            "rules alone"
        );
        net.withdraw().await.unwrap();
        assert_eq!(rules(&lab, "-4"), UNTOUCHED);
    });
}

#[test]
fn a_killed_gateway_leaves_the_old_network_and_the_next_one_cleans_up() {
    if std::env::var_os(VICTIM).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async {
            let _alive = start().await;
            std::future::pending().await
        });
    }
    let Some(lab) = lab::lab_or_skip() else { return };
    let program = std::env::current_exe().unwrap();
    let assignment = format!("{VICTIM}=1");
    let name = "a_killed_gateway_leaves_the_old_network_and_the_next_one_cleans_up";
    let words = ["env", &assignment, program.to_str().unwrap(), "--exact", name, "--nocapture"];
    let victim = lab.start(Place::Wsl, &words).unwrap();
    assert!(lab::until(PATIENCE, || way(&lab, SERVER) == TAP), "the other gateway never came up");
    assert!(lab::until(PATIENCE, || way(&lab, SERVER_V6) == TAP));
    drop(victim);
    assert!(
        lab::until(PATIENCE, || !vm(&lab, "ip -brief link").contains(TAP)),
        "the TAP outlived its owner"
    );
    assert_eq!(vm(&lab, "ip route show table 30062"), "");
    assert_eq!(vm(&lab, "ip -6 route show table 30062"), "");
    assert_eq!(rules(&lab, "-4")[..12], OURS, "the rules are left");
    for query in [SERVER, NAT_GATEWAY, "172.28.48.9", "203.0.113.10 from 172.28.48.2"] {
        assert_eq!(way(&lab, query), "eth0", "{query}");
    }
    assert!(lab.run(Place::Wsl, &["ping", "-c", "1", "-W", "5", SERVER]).unwrap().succeeded());
    in_vm(&lab, async || {
        let (tap, net, _plan) = start().await;
        assert_eq!(rules(&lab, "-4")[..12], OURS);
        assert_eq!(way(&lab, SERVER), TAP);
        drop(tap);
        assert_eq!(way(&lab, SERVER), "eth0");
        net.withdraw().await.unwrap();
        assert_eq!(rules(&lab, "-4"), UNTOUCHED);
        assert_eq!(rules(&lab, "-6"), UNTOUCHED_V6);
    });
}
