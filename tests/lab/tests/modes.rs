//! WSL's networking modes: each is detected, its own routes stay unchanged, and the tunnel serves.
//! And whether the tunnel is needed at all.

use lab::addresses::{HOST, NAT_GATEWAY, ROUTER, SERVER, SERVER_NAME};
use lab::interop::Interop;
use lab::modes::lay_out;
use lab::scene::{
    PATIENCE, Scratch, cut_off_lab, http_status, must, rules, way_out, web_server, windows_lab,
};
use lab::tunnel::send_signal;
use lab::wsl::{Distro, Wsl};
use lab::{Lab, Place, Tunnel, Vpn, until};
use serde_json::json;

/// The routes to these addresses, by protocol, since mirrored mode's rules depend on it.
fn ways(lab: &Lab, to: &[&str]) -> Vec<String> {
    let way = |to: &str, protocol| {
        format!("{to} {protocol} {}", way_out(lab, &format!("{to} ipproto {protocol}")))
    };
    to.iter().flat_map(|to| ["tcp", "udp", "icmp"].map(|protocol| way(to, protocol))).collect()
}

/// A mode by WSL's name, and its state with the tunnel up.
struct Mode {
    wsl: &'static str,
    /// Its name in `status`.
    name: &'static str,
    /// The message of `up` about it.
    says: Option<&'static str>,
    /// The addresses that lead to the tunnel although they are neighbours.
    captured: &'static [&'static str],
    /// Addresses to which WSL's own routes stay.
    stay: &'static [&'static str],
}

fn serves_in(lab: &Lab, interop: &Interop, mode: &Mode) {
    let Mode { wsl: word, name, says, captured, stay } = mode;
    let _web = web_server(lab);
    lay_out(lab, word);
    let look =
        || (ways(lab, stay), rules(lab), must(lab, Place::Wsl, "ip -4 route show table all"));
    let before = look();
    let scratch = Scratch::new();
    let wsl = Wsl::new(lab, interop, scratch.path("wsl").as_ref()).in_mode(word);
    let mut tunnel = wsl.launch(&Distro::machine(), &[]);
    tunnel.wait_up();
    let status = tunnel.status();
    assert_eq!((&status["mode"], &status["captured"]), (&json!(name), &json!(captured)), "{word}");
    let lines = || tunnel.said().lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(until(PATIENCE, || lines().len() == 1 + usize::from(says.is_some())), "{:?}", lines());
    assert!(says.is_none_or(|says| lines()[1].contains(says)), "{word}: {:?}", lines());
    assert_eq!(http_status(lab, Place::Wsl, SERVER), "200", "{word}");
    assert_eq!(way_out(lab, SERVER), "underpass0", "{word}");
    assert_eq!(ways(lab, stay), before.0, "{word}: WSL's own routes are as before");
    let all = rules(lab);
    assert!(before.1.lines().all(|rule| all.contains(rule)), "{word}: {all}");
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(0));
    assert_eq!(look(), before, "{word}: none of WSL's routes changed");
}

#[test]
fn each_networking_mode_is_detected_and_served_and_its_own_routes_stay() {
    let on_the_hosts_network = &["127.0.0.1", HOST, ROUTER, "192.0.2.77"];
    let virtio = "Microsoft's user-mode network";
    let mode = |wsl, name, says, captured, stay| Mode { wsl, name, says, captured, stay };
    for mode in [
        mode("nat", "nat", None, &[NAT_GATEWAY], &["127.0.0.1", "172.28.48.77"]),
        mode(
            "mirrored",
            "mirrored",
            Some("its own rules stay in front"),
            &[],
            on_the_hosts_network,
        ),
        mode("virtioproxy", "virtioproxy", Some(virtio), &[], on_the_hosts_network),
        mode("consomme", "virtioproxy", Some(virtio), &[], on_the_hosts_network),
        mode(
            "bridged",
            "bridged",
            Some("the VM's router is a real one"),
            &[],
            on_the_hosts_network,
        ),
        mode("none", "none", Some("the tunnel is the only one"), &[], &["127.0.0.1"]),
    ] {
        let Some((lab, interop)) = windows_lab() else { return };
        serves_in(&lab, &interop, &mode);
        if mode.wsl == "mirrored" {
            let loopback =
                ["127.0.0.1 tcp loopback0", "127.0.0.1 udp loopback0", "127.0.0.1 icmp lo"];
            assert_eq!(ways(&lab, &["127.0.0.1"]), loopback, "the lab's mirrored mode is one");
        }
    }
}

#[test]
fn a_needless_tunnel_is_reported() {
    let Some(mut lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    let _dns = lab.start_nat_dns().unwrap();
    let (by_address, by_name) = (format!("{SERVER}:80"), format!("{SERVER_NAME}:80"));
    lab.set_vpn(Vpn::Off).unwrap();
    for outside in [&by_address, &by_name] {
        let mut tunnel = Tunnel::launch(&lab, &["--if-needed", "--outside", outside]);
        assert_eq!(
            tunnel.process().exit_code(PATIENCE),
            Some(0),
            "{outside}: {}",
            tunnel.complained()
        );
        assert!(
            tunnel.said().contains(&format!("reaches {outside}: the tunnel is not needed")),
            "{}",
            tunnel.said()
        );
        assert!(!tunnel.said().contains("underpass: up"), "{}", tunnel.said());
        // Without that option it is up, and says so.
        let tunnel = Tunnel::up(&lab, &["--outside", outside]);
        let is_reported = || {
            tunnel.said().contains(&format!("reaches {outside} too: the tunnel is not needed now"))
        };
        assert!(until(PATIENCE, is_reported), "{}", tunnel.said());
    }
    lab.set_vpn(Vpn::On).unwrap();
    for outside in [&by_address, &by_name] {
        let tunnel = Tunnel::up(&lab, &["--if-needed", "--outside", outside]);
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{outside}");
        assert_eq!(tunnel.said().lines().count(), 1, "{outside}: {}", tunnel.said());
    }
    // The traffic of another tunnel is not WSL's own network.
    let carried = Tunnel::up(&lab, &[]);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    let mut beside =
        Tunnel::launch(&lab, &["--if-needed", "--outside", &by_address, "--tap", "beside0"]);
    beside.wait_up();
    drop((beside, carried));
    let mut wrong = Tunnel::launch(&lab, &["--if-needed", "--outside", "nowhere"]);
    assert_eq!(wrong.process().exit_code(PATIENCE), Some(2));
    assert!(wrong.complained().contains("HOST:PORT"), "{}", wrong.complained());
}
