//! Interop, modes, the clock, addresses that changed, Windows' firewall.

use crate::facts::*;
use crate::finding::Severity;
use crate::sample::*;
use wire::facts::WslHost;

fn interop_off() -> Facts {
    let mut facts = nat();
    facts.wsl_conf = Some("[interop]\nenabled = false\n".to_owned());
    facts.interop.run = failed(Why::NotPermitted);
    facts
}

fn no_entry() -> Facts {
    let mut facts = nat();
    facts.interop.entry = Some(Entry::Missing);
    facts.interop.run = Outcome::Failed { why: Why::Other, detail: "Exec format error".to_owned() };
    facts
}

fn entry_disabled() -> Facts {
    let mut facts = no_entry();
    facts.interop.entry = Some(Entry::Disabled);
    facts
}

fn stale_socket() -> Facts {
    let mut facts = nat();
    facts.interop.socket_lives = false;
    facts.interop.run = failed(Why::Other);
    facts
}

fn run_fails() -> Facts {
    let mut facts = nat();
    facts.interop.run = Outcome::Failed {
        why: Why::Other,
        detail: "UtilAcceptVsock: accept4 failed 110".to_owned(),
    };
    facts
}

fn fallen_back() -> Facts {
    let mut facts = nat();
    wslconfig(&mut facts, "[wsl2]\nnetworkingMode=mirrored\n");
    facts
}

fn no_such_mode() -> Facts {
    let mut facts = nat();
    wslconfig(&mut facts, "[wsl2]\nnetworkingMode=mirror\n");
    facts
}

fn too_old_for_mode() -> Facts {
    let mut facts = fallen_back();
    windows(&mut facts).host.system = "Windows 10.0.19045".to_owned();
    facts
}

fn behind() -> Facts {
    let mut facts = nat();
    facts.clock.ahead_of_windows_ms = Some(-5_400_000);
    facts
}

fn ahead() -> Facts {
    let mut facts = nat();
    facts.clock.ahead_of_windows_ms = Some(31_000);
    facts
}

/// The VM's address changed, and much still names the old one.
fn changed() -> Facts {
    let mut facts = nat();
    facts.remembered.vm = vec![address("172.22.0.9")];
    facts.remembered.gateways = vec![address("172.22.0.1")];
    facts.hosts = Some("127.0.0.1 localhost\n172.22.0.1 winhost\n".to_owned());
    windows(&mut facts).port_proxies = vec![PortProxy {
        listen: "0.0.0.0:8080".to_owned(),
        to: "172.22.0.9".to_owned(),
        port: 80,
    }];
    facts.remembered.mentions = vec![Mention {
        file: "/home/li/.bashrc".to_owned(),
        line: 12,
        address: address("172.22.0.1"),
    }];
    shut_proxy(&mut facts, "http://172.22.0.1:7890");
    facts
}

/// A proxy at an address that only WSL can have given, with nothing remembered.
fn stray() -> Facts {
    let mut facts = nat();
    facts.remembered = Remembered::default();
    shut_proxy(&mut facts, "http://172.29.16.1:7890");
    facts
}

fn firewall_off() -> Facts {
    let mut facts = nat();
    wslconfig(&mut facts, "[experimental]\nfirewall=0\n");
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![
        in_utf_16(),
        interop_off(),
        no_entry(),
        entry_disabled(),
        stale_socket(),
        run_fails(),
        fallen_back(),
        no_such_mode(),
        too_old_for_mode(),
        behind(),
        ahead(),
        changed(),
        stray(),
        firewall_off(),
    ]
}

fn in_utf_16() -> Facts {
    let mut facts = nat();
    // As the probe reads `FF FE` and the UTF-16 that follows.
    let letters: String =
        "[interop]\nenabled=false\n".chars().flat_map(|letter| [letter, '\0']).collect();
    facts.wsl_conf = Some(format!("\u{fffd}\u{fffd}{letters}"));
    facts
}

#[test]
fn a_wsl_conf_that_wsl_cannot_read_is_reported_and_not_believed() {
    let text = said(&only(&in_utf_16(), "wsl-conf-encoding"));
    assert!(text.contains("UTF-16") && text.contains("iconv -f UTF-16"), "{text}");
}

#[test]
fn interop_that_is_off_is_reported_once() {
    let text = said(&only(&interop_off(), "wsl-interop"));
    assert!(text.contains("enabled=true") && text.contains("/etc/wsl.conf"), "{text}");
    let mut on = interop_off();
    on.wsl_conf = Some("[interop]\nenabled=true\nappendWindowsPath=false\n".to_owned());
    on.interop.run = OK;
    assert_eq!(ids(&on), [""; 0]);
    // Elsewhere than in WSL there is none.
    let mut no_wsl = interop_off();
    no_wsl.interop.is_wsl = false;
    assert_eq!(ids(&no_wsl), [""; 0]);
}

#[test]
fn interop_that_is_broken_is_reported_by_what_is_broken() {
    let text = said(&only(&no_entry(), "wsl-interop-entry"));
    assert!(
        text.contains(
            "echo ':WSLInterop:M::MZ::/init:FP' | sudo tee /proc/sys/fs/binfmt_misc/register"
        ),
        "{text}"
    );
    assert!(said(&only(&entry_disabled(), "wsl-interop-entry")).contains("echo 1 | sudo tee"));
    assert!(
        said(&only(&stale_socket(), "wsl-interop-socket"))
            .contains("export WSL_INTEROP=/run/WSL/1_interop")
    );
    assert!(said(&only(&run_fails(), "wsl-interop-run")).contains("accept4 failed 110"));
    // Programs run: whatever looks odd does no harm.
    for mut facts in [no_entry(), entry_disabled(), stale_socket(), run_fails()] {
        facts.interop.run = OK;
        assert_eq!(ids(&facts), [""; 0]);
    }
}

#[test]
fn a_mode_that_is_asked_for_must_be_in_force() {
    let text = said(&only(&fallen_back(), "wsl-mode"));
    assert!(
        text.contains("sets networkingMode=mirrored") && text.contains("wsl --shutdown"),
        "{text}"
    );
    assert!(
        said(&only(&too_old_for_mode(), "wsl-mode"))
            .contains("This Windows (build 19045) is too old")
    );
    assert!(said(&only(&no_such_mode(), "wsl-mode")).contains("WSL does not know this mode"));
    // The older section; the mode as it looks where wslinfo is missing.
    let mut old_section = fallen_back();
    wslconfig(&mut old_section, "[experimental]\nnetworkingMode=mirrored\n");
    old_section.mode.by_wslinfo = None;
    only(&old_section, "wsl-mode");
    // Of both sections the line that comes first counts (microsoft/WSL, `src/shared/configfile`).
    for (text, is_fine) in [
        ("[experimental]\nnetworkingMode=mirrored\n[wsl2]\nnetworkingMode=nat\n", false),
        ("[experimental]\nnetworkingMode=nat\n[wsl2]\nnetworkingMode=mirrored\n", true),
    ] {
        let mut both = fallen_back();
        wslconfig(&mut both, text);
        assert_eq!(ids(&both).is_empty(), is_fine, "{text}");
    }
    let mut in_force = mirrored();
    wslconfig(&mut in_force, "[wsl2]\nNetworkingMode = Mirrored\n");
    assert_eq!(ids(&in_force), [""; 0]);
    let mut unknown = fallen_back();
    unknown.mode = Mode::default();
    assert_eq!(ids(&unknown), [""; 0]);
}

#[test]
fn what_keeps_wsl_from_a_mode_is_named() {
    let on_newest = |facts: &mut Facts, wsl: WslHost| {
        let windows = windows(facts);
        windows.wsl_version = Some("2.9.4.0".to_owned());
        windows.host.wsl = Some(wsl);
    };
    let mut no_ipv6 = fallen_back();
    on_newest(&mut no_ipv6, WslHost { ipv6_disabled_components: Some(0xff), ..WslHost::default() });
    let text = said(&only(&no_ipv6, "wsl-mode"));
    assert!(
        text.contains("needs IPv6") && text.contains(config::settings::recommend::PREFER_IPV4),
        "{text}"
    );
    let mut policy = fallen_back();
    let policies = [("AllowNetworkingModeUserSetting".to_owned(), 0)].into();
    on_newest(&mut policy, WslHost { policies, ..WslHost::default() });
    let text = said(&only(&policy, "wsl-mode"));
    assert!(
        text.contains("AllowNetworkingModeUserSetting=0") && text.contains("underpass up"),
        "{text}"
    );
    let mut no_virtio = nat();
    wslconfig(&mut no_virtio, "[wsl2]\nnetworkingMode=consomme\nvirtio=false\n");
    on_newest(&mut no_virtio, WslHost::default());
    let text = said(&only(&no_virtio, "wsl-mode"));
    assert!(text.contains("Another setting prevents it: wsl2.virtio=false"), "{text}");
    // WSL 2.5.9 has no mode of that name, and a Windows 10 has virtioproxy.
    let mut older = nat();
    wslconfig(&mut older, "[wsl2]\nnetworkingMode=consomme\n");
    assert!(said(&only(&older, "wsl-mode")).contains("WSL does not know this mode"));
    let mut ten = nat();
    wslconfig(&mut ten, "[wsl2]\nnetworkingMode=virtioproxy\n");
    windows(&mut ten).host.system = "Windows 10.0.19045".to_owned();
    let text = said(&only(&ten, "wsl-mode"));
    assert!(text.contains("was not restarted") && !text.contains("too old"), "{text}");
}

#[test]
fn dns_tunneling_is_offered_where_windows_has_it() {
    let with = |build: &str, function| {
        let mut facts = nat();
        wslconfig(&mut facts, "[wsl2]\ndnsTunneling=false\n");
        let host = &mut windows(&mut facts).host;
        host.system = build.to_owned();
        host.wsl = Some(WslHost { dns_query_raw: function, ..WslHost::default() });
        ids(&facts).contains(&"dns-tunneling-off")
    };
    for (build, function, is_offered) in [
        ("Windows 10.0.19045", Some(true), true),
        ("Windows 10.0.19045", None, false),
        ("Windows 10.0.22631", None, true),
        ("Windows 10.0.22631", Some(false), false),
    ] {
        assert_eq!(with(build, function), is_offered, "{build} {function:?}");
    }
}

#[test]
fn the_clock_may_be_off_by_what_asking_takes() {
    assert!(said(&only(&behind(), "wsl-clock")).contains("5400 s behind"));
    let text = said(&only(&ahead(), "wsl-clock"));
    assert!(text.contains("31 s ahead") && text.contains("sudo hwclock -s"), "{text}");
    let mut near = nat();
    near.clock.ahead_of_windows_ms = Some(30_000);
    assert_eq!(ids(&near), [""; 0]);
    near.clock.ahead_of_windows_ms = None;
    assert_eq!(ids(&near), [""; 0]);
}

#[test]
fn addresses_of_before_the_restart_are_found_wherever_they_are_named() {
    let text = said(&only(&changed(), "wsl-address"));
    for part in [
        "changed from 172.22.0.9, 172.22.0.1 to 172.28.48.2",
        "https_proxy still uses 172.22.0.1",
        "/etc/hosts still uses 172.22.0.1",
        r"sudo sed -i 's/^172\.22\.0\.1\b/172.28.48.1/' /etc/hosts",
        "listenaddress=0.0.0.0 listenport=8080 connectaddress=172.28.48.2 connectport=80",
        "/home/li/.bashrc:12 still uses 172.22.0.1",
        "underpass proxy on --port 7890",
        "networkingMode=mirrored",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Each by itself is enough.
    let only_one: [fn(&mut Facts); 3] = [
        |facts| facts.hosts = changed().hosts,
        |facts| windows(facts).port_proxies = changed().windows.unwrap().port_proxies,
        |facts| facts.remembered.mentions = changed().remembered.mentions,
    ];
    for change in only_one {
        let mut facts = nat();
        facts.remembered.gateways = changed().remembered.gateways;
        change(&mut facts);
        only(&facts, "wsl-address");
    }
}

#[test]
fn new_addresses_that_no_file_names_are_how_nat_is() {
    let mut facts = nat();
    facts.remembered = Remembered { mentions: vec![], ..changed().remembered };
    assert_eq!(ids(&facts), [""; 0]);
    // The named addresses are the present ones.
    let mut same = changed();
    same.remembered.vm = vec![address("172.28.48.2")];
    same.remembered.gateways = vec![address("172.28.48.1")];
    same.hosts = Some("172.28.48.1 winhost\n".to_owned());
    same.proxies.clear();
    assert_eq!(ids(&same), [""; 0]);
}

#[test]
fn a_proxy_at_an_address_of_no_known_network_is_an_old_one() {
    let text = said(&only(&stray(), "wsl-address"));
    assert!(text.contains("172.29.16.1, which is in no network of this VM"), "{text}");
    // The company has that range: it is its proxy, and down.
    let mut company = stray();
    windows(&mut company).host.routes.push("172.29.0.0/16".to_owned());
    only(&company, "proxy-closed");
    let mut unknown = stray();
    unknown.windows = None;
    only(&unknown, "proxy-closed");
}

#[test]
fn windows_firewall_for_wsl_that_is_off_is_a_hint() {
    assert_eq!(only(&firewall_off(), "windows-firewall").severity, Severity::Hint);
    let mut old = firewall_off();
    windows(&mut old).host.system = "Windows 10.0.19045".to_owned();
    assert_eq!(ids(&old), [""; 0]);
    let mut on = firewall_off();
    wslconfig(&mut on, "[wsl2]\nfirewall=true\nfirewall=false\n");
    assert_eq!(ids(&on), [""; 0], "the first line counts");
}
