use super::*;
use crate::settings::version::Wsl;

fn on(build: u32) -> Versions {
    Versions { windows: Some(Windows(build)), wsl: None }
}

#[test]
fn a_value_has_an_origin() {
    let text = "[wsl2]\nprocessors=0x4\nmemory=8 GB\n[experimental]\nNetworkingMode=Mirrored\n\
                [wsl2]\nnetworkingMode=nat\n";
    let effective = Situation::new(text, "[boot]\nsystemd=1\n", on(22_631)).effective();
    let of = |place, section, name| {
        let setting = effective.setting(place, section, name).unwrap();
        (setting.value.as_str(), setting.origin.clone(), setting.default)
    };
    assert_eq!(of(Place::WslConfig, "wsl2", "processors"), ("4", Origin::Line(2), "all"));
    assert_eq!(of(Place::WslConfig, "wsl2", "memory"), ("50%", Origin::BadLine(3), "50%"));
    assert_eq!(
        of(Place::WslConfig, "wsl2", "networkingMode"),
        ("mirrored", Origin::Line(5), "nat")
    );
    assert_eq!(of(Place::WslConfig, "wsl2", "dnsProxy"), ("true", Origin::Default, "true"));
    assert_eq!(of(Place::WslConf, "boot", "systemd"), ("true", Origin::Line(2), "false"));
    assert_eq!(effective.iter().count(), Place::ALL.into_iter().flat_map(Key::all).count());
}

#[test]
fn what_excludes_each_other_is_settled_as_wsl_does() {
    let effective = |text| Situation::new(text, "", on(22_631)).effective();
    let mirrored = effective("[wsl2]\nnetworkingMode=mirrored\nfirewall=false\n");
    let because = |setting: &str| Because::Setting(setting.to_owned());
    let firewall = mirrored.setting(Place::WslConfig, "wsl2", "firewall").unwrap();
    assert_eq!(firewall.value, "true");
    assert_eq!(
        firewall.origin,
        Origin::Forced { because: because("wsl2.networkingMode=mirrored"), line: Some(3) }
    );
    let proxied = effective(
        "[wsl2]\nnetworkingMode=virtioproxy\n[experimental]\nbestEffortDnsParsing=true\n",
    );
    assert_eq!(proxied.wsl2("dnsTunneling"), "false");
    let parsing =
        proxied.setting(Place::WslConfig, "experimental", "bestEffortDnsParsing").unwrap();
    assert_eq!(
        parsing.origin,
        Origin::Forced { because: because("wsl2.dnsTunneling=false"), line: Some(4) }
    );
    assert_eq!(
        effective("[experimental]\nhostAddressLoopback=true\n").value(
            Place::WslConfig,
            "experimental",
            "hostAddressLoopback"
        ),
        "false"
    );
    let safe = effective("[wsl2]\nsafeMode=true\nvirtiofs=true\nswap=4GB\n");
    assert_eq!(
        ["networkingMode", "virtiofs", "swap"].map(|name| safe.wsl2(name)),
        ["none", "false", "0"]
    );
    let broken = effective("[experimental]\ndnsTunnelingIpAddress=10.0\n");
    assert_eq!(broken.wsl2("dnsTunneling"), "false");
}

#[test]
fn an_old_windows_leaves_no_choice() {
    let old =
        Situation::new("[wsl2]\nnetworkingMode=mirrored\ndnsTunneling=true\n", "", on(19_045))
            .effective();
    assert_eq!([old.wsl2("networkingMode"), old.wsl2("dnsTunneling")], ["nat", "true"]);
    let mode = old.setting(Place::WslConfig, "wsl2", "networkingMode").unwrap();
    assert_eq!(
        mode.origin,
        Origin::Forced { because: Because::Windows(Windows(19_045)), line: Some(2) }
    );
    let unknown =
        Situation::new("[wsl2]\nnetworkingMode=mirrored\n", "", Versions::default()).effective();
    assert_eq!(unknown.wsl2("networkingMode"), "mirrored");
}

/// A row: what .wslconfig says, on which WSL, and what a key of `wsl2` then is.
type Row = (&'static str, [u32; 3], &'static str);

fn check_rows(host: &WslHost, name: &str, rows: &[Row]) {
    for (text, wsl, expected) in rows {
        let versions = Versions { windows: Some(Windows(22_631)), wsl: Some(Wsl(*wsl)) };
        let text = format!("[wsl2]\n{text}\n");
        let effective = Situation::new(&text, "", versions).on(host.clone()).effective();
        assert_eq!(effective.wsl2(name), *expected, "{name} with {text:?} on {wsl:?} and {host:?}");
    }
}

#[test]
fn only_mirrored_needs_a_newer_windows() {
    for (mode, expected) in [
        ("mirrored", "nat"),
        ("virtioproxy", "virtioproxy"),
        ("bridged", "bridged"),
        ("none", "none"),
        ("nat", "nat"),
    ] {
        let text = format!("[wsl2]\nnetworkingMode={mode}\n");
        for build in [19_045, 22_000] {
            let effective = Situation::new(&text, "", on(build)).effective();
            assert_eq!(effective.wsl2("networkingMode"), expected, "{build}");
        }
    }
}

#[test]
fn consomme_is_a_mode_from_2_9_and_keeps_dns_tunneling() {
    let host = WslHost::default();
    check_rows(
        &host,
        "networkingMode",
        &[
            ("networkingMode=consomme", [2, 8, 12], "nat"),
            ("networkingMode=consomme", [2, 9, 0], "consomme"),
            ("networkingMode=VirtioProxy", [2, 8, 12], "virtioproxy"),
            ("networkingMode=VirtioProxy", [2, 9, 0], "consomme"),
        ],
    );
    check_rows(
        &host,
        "dnsTunneling",
        &[
            ("networkingMode=virtioproxy", [2, 8, 12], "false"),
            ("networkingMode=virtioproxy", [2, 9, 0], "true"),
            ("networkingMode=consomme", [2, 9, 4], "true"),
            // It is not the mode then.
            ("networkingMode=consomme", [2, 8, 12], "true"),
            ("networkingMode=bridged\nvmSwitch=x", [2, 9, 4], "false"),
            ("networkingMode=none", [2, 9, 4], "false"),
        ],
    );
}

#[test]
fn without_virtio_there_is_no_consomme() {
    let host = WslHost::default();
    check_rows(
        &host,
        "networkingMode",
        &[
            ("networkingMode=consomme\nvirtio=false", [2, 9, 4], "nat"),
            ("networkingMode=virtioproxy\nvirtio=false", [2, 8, 9], "nat"),
            ("networkingMode=virtioproxy\nvirtio=false", [2, 8, 8], "virtioproxy"),
            ("networkingMode=mirrored\nvirtio=false", [2, 9, 4], "mirrored"),
        ],
    );
    // Where a policy makes consomme the default, no other mode is left.
    check_rows(
        &policies(&[("DefaultNetworkingMode", 4)]),
        "networkingMode",
        &[
            ("virtio=false", [2, 9, 4], "none"),
            ("virtio=true", [2, 9, 4], "consomme"),
            ("virtio=true", [2, 8, 12], "virtioproxy"),
        ],
    );
}

#[test]
fn virtio9p_is_ignored() {
    let host = WslHost::default();
    check_rows(
        &host,
        "virtio9p",
        &[("virtio9p=true", [2, 5, 8], "false"), ("virtio9p=1", [2, 9, 4], "false")],
    );
    let effective = Situation::new("[wsl2]\nvirtio9p=true\n", "", on(22_631)).effective();
    let origin = &effective.setting(Place::WslConfig, "wsl2", "virtio9p").unwrap().origin;
    assert_eq!(*origin, Origin::Forced { because: Because::Ignored, line: Some(2) });
}

#[test]
fn mirrored_falls_back_to_nat_where_ipv6_is_switched_off() {
    let host = |components| WslHost { ipv6_disabled_components: components, ..WslHost::default() };
    check_rows(
        &host(Some(0xff)),
        "networkingMode",
        &[
            ("networkingMode=mirrored", [2, 9, 4], "nat"),
            ("networkingMode=mirrored", [2, 8, 5], "nat"),
            ("networkingMode=mirrored", [2, 8, 4], "mirrored"),
            ("networkingMode=mirrored", [2, 7, 2], "nat"),
            ("networkingMode=mirrored", [2, 7, 1], "mirrored"),
            ("networkingMode=virtioproxy", [2, 8, 5], "virtioproxy"),
        ],
    );
    for components in [None, Some(0), Some(0x20), Some(0xffff_ffff)] {
        let rows = [("networkingMode=mirrored", [2, 9, 4], "mirrored")];
        check_rows(&host(components), "networkingMode", &rows);
    }
}

#[test]
fn dns_tunneling_goes_by_the_function_and_the_service_not_by_a_version() {
    let host = |function, service| WslHost {
        dns_query_raw: function,
        global_secure_access: service,
        ..WslHost::default()
    };
    for (function, service, expected) in [
        (Some(true), Some(false), "true"),
        (Some(false), Some(false), "false"),
        (Some(true), Some(true), "false"),
        (None, None, "true"),
    ] {
        for build in [19_045, 22_631] {
            let effective =
                Situation::new("", "", on(build)).on(host(function, service)).effective();
            assert_eq!(
                effective.wsl2("dnsTunneling"),
                expected,
                "{build} {function:?} {service:?}"
            );
        }
    }
    // Without it, what belongs to it is off as well.
    let text = "[experimental]\nbestEffortDnsParsing=true\n";
    let effective = Situation::new(text, "", on(22_631)).on(host(Some(false), None)).effective();
    assert_eq!(effective.value(Place::WslConfig, "experimental", "bestEffortDnsParsing"), "false");
}

fn policies(policies: &[(&str, u32)]) -> WslHost {
    let policies = policies.iter().map(|(name, value)| ((*name).to_owned(), *value));
    WslHost { policies: policies.collect(), ..WslHost::default() }
}

#[test]
fn group_policy_can_decide_the_mode() {
    let wsl = [2, 9, 4];
    for (set, text, expected) in [
        // What counts without a line.
        (&[("DefaultNetworkingMode", 3)][..], "", "mirrored"),
        (&[("DefaultNetworkingMode", 0)], "", "none"),
        (&[("DefaultNetworkingMode", 4)], "", "consomme"),
        // Bridged is not taken: it needs a switch.
        (&[("DefaultNetworkingMode", 2)], "", "nat"),
        (&[("DefaultNetworkingMode", 3)], "networkingMode=nat", "nat"),
        (&[("DefaultNetworkingMode", 3)], "networkingMode=mirror", "mirrored"),
        // Whether a line counts.
        (&[("AllowNetworkingModeUserSetting", 0)], "networkingMode=mirrored", "nat"),
        (&[("AllowNetworkingModeUserSetting", 1)], "networkingMode=mirrored", "mirrored"),
        // This policy has no values except 0 and 1.
        (&[("AllowNetworkingModeUserSetting", 2)], "networkingMode=mirrored", "mirrored"),
        (&[("AllowNetworkingModeUserSetting", 0)], "networkingMode=none", "none"),
        (
            &[("AllowNetworkingModeUserSetting", 0), ("DefaultNetworkingMode", 3)],
            "networkingMode=nat",
            "mirrored",
        ),
        // A policy's mirrored does not switch the firewall on, without which there is no mirrored
        // mode.
        (&[("DefaultNetworkingMode", 3)], "firewall=false", "nat"),
    ] {
        check_rows(&policies(set), "networkingMode", &[(text, wsl, expected)]);
    }
    let host = policies(&[("AllowFirewallUserSetting", 0)]);
    check_rows(&host, "firewall", &[("firewall=false", wsl, "true")]);
    let host = policies(&[("AllowKernelUserSetting", 0), ("AllowNestedVirtualization", 0)]);
    check_rows(&host, "kernel", &[("kernel=k", wsl, "")]);
    check_rows(&host, "nestedVirtualization", &[("nestedVirtualization=true", wsl, "false")]);
    let host = policies(&[("AllowKernelDebugUserSetting", 0)]);
    check_rows(&host, "kernelDebugPort", &[("kernelDebugPort=50000", wsl, "0")]);
}

#[test]
fn safe_mode_reaches_into_the_distro_and_the_debug_console_logs_early() {
    let conf = "[boot]\nsystemd=true\ncommand=a\n[network]\ngenerateResolvConf=true\n";
    let safe = Situation::new("[wsl2]\nsafeMode=true\n", conf, on(22_631)).effective();
    let of = |section, name| safe.value(Place::WslConf, section, name);
    assert_eq!([of("boot", "systemd"), of("boot", "command")], ["false", ""]);
    assert_eq!(
        [of("network", "generateResolvConf"), of("boot", "protectBinfmt")],
        ["false", "true"]
    );
    check_rows(
        &WslHost::default(),
        "earlyBootLogging",
        &[
            ("debugConsole=true", [2, 5, 8], "true"),
            ("debugConsoleLogFile=log", [2, 5, 8], "true"),
            ("debugConsole=true\nearlyBootLogging=false", [2, 5, 8], "false"),
            ("", [2, 5, 8], "false"),
        ],
    );
}
