use super::*;
use crate::settings::schema::Kind;
use crate::settings::version::Wsl;
use messages::Language;
use wire::facts::WslHost;

fn on(wslconfig: &str, wsl_conf: &str, build: u32, wsl: [u32; 3]) -> Vec<Finding> {
    check(&Situation::new(
        wslconfig,
        wsl_conf,
        Versions { windows: Some(Windows(build)), wsl: Some(Wsl(wsl)) },
    ))
}

/// Codes with lines.
fn codes(findings: &[Finding]) -> Vec<(&'static str, Option<usize>)> {
    findings.iter().map(|finding| (finding.code, finding.line)).collect()
}

fn of_wslconfig(text: &str) -> Vec<Finding> {
    on(text, "", 22_631, [2, 5, 9])
}

/// What is said of the first finding.
fn said(findings: &[Finding]) -> String {
    let first = &findings[0];
    let effect =
        first.effect.as_ref().map_or(String::new(), |effect| effect.say(Language::English));
    format!("{} {effect} {}", first.what.say(Language::English), first.fix.say(Language::English))
}

#[test]
fn good_files_have_no_finding() {
    let wslconfig = "\u{feff}# mine\r\n[wsl2]\r\nnetworkingMode=mirrored\r\ndnsTunneling=true\r\n\
                     autoProxy=true\r\nfirewall=true\r\n\
                     memory=8GB\r\n[experimental]\r\nautoMemoryReclaim=gradual\r\n\
                     sparseVhd=true\r\nbestEffortDnsParsing=true\r\n";
    let wsl_conf = "[boot]\nsystemd=true\n[user]\ndefault=anna\n[network]\n\
                    generateResolvConf = true\n[filesystem]\numask=022\n";
    assert_eq!(on(wslconfig, wsl_conf, 22_631, [2, 5, 9]), []);
    assert_eq!(on("", "", 19_045, [2, 0, 0]), []);
}

#[test]
fn an_unknown_key_is_reported_with_the_nearest_one() {
    let findings = of_wslconfig("[wsl2]\nnetworkMode=mirrored\nmemmory=8GB\nnosuchthing=1\n");
    assert_eq!(
        codes(&findings),
        [("unknown", Some(2)), ("unknown", Some(3)), ("unknown", Some(4))]
    );
    assert!(said(&findings).contains("wsl2.networkingMode"), "{}", said(&findings));
    assert!(said(&findings[1..]).contains("wsl2.memory"), "{}", said(&findings[1..]));
    assert_eq!(findings[2].fix.sentence(), &say::UNKNOWN_FIX);
}

#[test]
fn a_key_in_the_wrong_section_or_file_is_reported_with_the_right_one() {
    let findings = of_wslconfig(
        "memory=8GB\n[wsl2]\nsparseVhd=true\ngenerateResolvConf=false\n[wsl]\nswap=0\n",
    );
    let expected = [
        ("wrong-section", Some(1)),
        ("wrong-section", Some(3)),
        ("wrong-file", Some(4)),
        ("wrong-section", Some(6)),
    ];
    assert_eq!(codes(&findings), expected);
    assert!(said(&findings[1..]).contains("[experimental]"), "{}", said(&findings[1..]));
    assert!(said(&findings[2..]).contains("wsl.conf"), "{}", said(&findings[2..]));
    let conf = on("", "[wsl2]\nnetworkingMode=mirrored\n", 22_631, [2, 5, 9]);
    assert_eq!(codes(&conf), [("wrong-file", Some(2))]);
    assert!(said(&conf).contains(".wslconfig"), "{}", said(&conf));
}

#[test]
fn bad_values_are_reported_with_what_counts_instead() {
    let findings =
        of_wslconfig("[wsl2]\nmemory=8 GB\nprocessors=four\nfirewall=yes\nnetworkingMode=mirror\n");
    assert_eq!(codes(&findings), [2, 3, 4, 5].map(|line| ("bad-value", Some(line))));
    assert!(
        said(&findings).contains("50%") && said(&findings).contains("8GB"),
        "{}",
        said(&findings)
    );
    assert!(said(&findings[3..]).contains("nat, mirrored"), "{}", said(&findings[3..]));
    let mac = of_wslconfig("[wsl2]\nnetworkingMode=bridged\nvmSwitch=x\nmacAddress=1\n");
    assert!(
        mac.iter()
            .any(|finding| finding.code == "bad-value" && finding.severity == Severity::Error),
        "{mac:?}"
    );
    assert_eq!(
        codes(&on("", "[filesystem]\numask=22\n", 22_631, [2, 5, 9])),
        [("bad-value", Some(2))]
    );
    let address = of_wslconfig("[experimental]\ndnsTunnelingIpAddress=10.0\n");
    assert_eq!(codes(&address), [("bad-value", Some(2))]);
    assert!(said(&address).contains("dnsTunneling"), "{}", said(&address));
}

#[test]
fn the_first_of_two_lines_counts_even_if_it_is_bad_or_of_the_older_section() {
    let findings = of_wslconfig(
        "[wsl2]\nmemory=x\nMemory=8GB\n[experimental]\nfirewall=false\n[wsl2]\nfirewall=true\n",
    );
    let expected = [
        ("bad-value", Some(2)),
        ("duplicate", Some(3)),
        ("older-section", Some(5)),
        ("duplicate", Some(7)),
    ];
    assert_eq!(codes(&findings), expected);
    assert!(said(&findings[1..]).contains("line 2"), "{}", said(&findings[1..]));
}

#[test]
fn keys_that_this_windows_or_wsl_is_too_old_for_are_reported() {
    let text = "[wsl2]\nnetworkingMode=mirrored\ndnsTunneling=true\nautoProxy=true\nmemory=4GB\n\
                nestedVirtualization=false\n";
    let ten = on(text, "", 19_045, [2, 5, 9]);
    // DNS tunneling goes by a function of Windows, which is not known here.
    assert_eq!(codes(&ten), [2, 4].map(|line| ("windows-too-old", Some(line))));
    assert!(
        said(&ten).contains("Windows 11 22H2") && said(&ten).contains("Windows 10 (19045)"),
        "{}",
        said(&ten)
    );
    assert_eq!(codes(&on(text, "", 22_000, [2, 5, 9])), [("windows-too-old", Some(2))]);
    let other = "[wsl2]\nnetworkingMode=virtioproxy\nvmIdleTimeout=1\ndebugConsole=true\n";
    assert_eq!(on(other, "", 19_045, [2, 5, 9]), [], "WSL asks for no newer Windows");
    let newer = "[wsl2]\nisolateDistroCgroup=true\n[experimental]\nswiotlb=64MB\n";
    assert_eq!(
        codes(&on(newer, "", 22_631, [2, 8, 8])),
        [2, 4].map(|line| ("wsl-too-old", Some(line)))
    );
    assert_eq!(codes(&on(newer, "", 22_631, [2, 9, 4])), [("wsl-too-old", Some(2))]);
    assert_eq!(
        codes(&on(text, "", 22_631, [1, 2, 5])),
        [2, 3, 4].map(|line| ("wsl-too-old", Some(line)))
    );
    assert_eq!(
        codes(&on("[wsl2]\nnetworkingMode=consomme\n", "", 22_631, [2, 5, 9])),
        [("wsl-too-old", Some(2))]
    );
    let unknown = check(&Situation::new(text, "", Versions::default()));
    assert_eq!(unknown, []);
}

#[test]
fn the_version_that_a_key_or_its_value_needs_is_new_enough_and_the_one_before_is_not() {
    let (windows_now, wsl_now) = (Windows(30_000), Wsl([9, 0, 0]));
    let mut judged = 0;
    for key in Key::all(Place::WslConfig) {
        let values = match key.kind {
            Kind::Bool => &["true", "false"][..],
            Kind::Int => &["7"],
            Kind::Size => &["64MB"],
            Kind::Choice(choices) => choices,
            Kind::Ports => &["80"],
            Kind::Address => &["10.0.0.9"],
            Kind::Mac | Kind::Text => continue,
        };
        for value in values {
            let mut judge = |windows, wsl, too_old: Option<&str>| {
                let versions = Versions { windows: Some(windows), wsl: Some(wsl) };
                let text = format!("[{}]\n{}={value}\n", key.section, key.name);
                let findings = check(&Situation::new(&text, "", versions));
                let codes = findings.iter().map(|finding| finding.code);
                let codes: Vec<_> = codes.filter(|code| code.ends_with("-too-old")).collect();
                // What counts anyway needs nothing.
                let is_default = *value == key.default_on(&versions);
                let expected = too_old.filter(|_| !is_default);
                assert_eq!(codes, expected.as_slice(), "{key}={value} on {windows}, {wsl}");
                judged += 1;
            };
            let windows =
                if *value == "mirrored" { Some(22_621) } else { key.windows.map(|w| w.0) };
            if let Some(needed) = windows {
                judge(Windows(needed), wsl_now, None);
                judge(Windows(needed - 1), wsl_now, Some("windows-too-old"));
            }
            let wsl = if *value == "consomme" { Some([2, 9, 0]) } else { key.wsl.map(|wsl| wsl.0) };
            if let Some(needed) = wsl {
                let before = match needed {
                    [major, 0, 0] => [major - 1, 99, 99],
                    [major, minor, 0] => [major, minor - 1, 99],
                    [major, minor, patch] => [major, minor, patch - 1],
                };
                judge(windows_now, Wsl(needed), None);
                judge(windows_now, Wsl(before), Some("wsl-too-old"));
            }
        }
    }
    assert!(judged > 60, "{judged}");
}

#[test]
fn settings_that_fight_each_other_are_reported() {
    let mirrored = "[wsl2]\nnetworkingMode=mirrored\n";
    let both = on(mirrored, "[network]\ngenerateResolvConf=false\n", 22_631, [2, 5, 9]);
    assert_eq!(codes(&both), [("resolv-conf-and-mode", Some(2))]);
    assert_eq!((both[0].place, both[0].severity), (Place::WslConf, Severity::Warning));
    let nat = |wslconfig| on(wslconfig, "[network]\ngenerateResolvConf=false\n", 22_631, [2, 5, 9]);
    assert_eq!(
        codes(&nat("[wsl2]\ndnsTunneling=true\n")),
        [("resolv-conf-and-tunneling", Some(2))]
    );
    assert_eq!(nat(""), []);
    assert_eq!(
        codes(&of_wslconfig(
            "[wsl2]\nnetworkingMode=mirrored\nfirewall=false\nlocalhostForwarding=true\n"
        )),
        [("overruled", Some(3)), ("needless", Some(4))]
    );
    assert_eq!(
        codes(&of_wslconfig("[wsl2]\nnetworkingMode=virtioproxy\ndnsTunneling=true\n")),
        [("overruled", Some(3))]
    );
    assert_eq!(
        codes(&of_wslconfig("[experimental]\nignoredPorts=3000\n")),
        [("overruled", Some(2))]
    );
    assert_eq!(
        codes(&of_wslconfig("[wsl2]\nnetworkingMode=bridged\n")),
        [("bridged", Some(2)), ("bridged-without-switch", Some(2))]
    );
    assert_eq!(codes(&of_wslconfig("[wsl2]\nnetworkingMode=none\n")), [("mode-none", Some(2))]);
    let off = on("", "[interop]\nenabled=false\nappendWindowsPath=false\n", 22_631, [2, 5, 9]);
    assert_eq!(codes(&off), [("interop-off", Some(2)), ("needless", Some(3))]);
}

#[test]
fn settings_without_effect_on_this_windows_are_reported_with_a_fix() {
    let on = |text: &str, host: WslHost| {
        let versions = Versions { windows: Some(Windows(22_631)), wsl: Some(Wsl([2, 9, 4])) };
        check(&Situation::new(&format!("[wsl2]\n{text}\n"), "", versions).on(host))
    };
    let host = WslHost::default;
    let policy =
        WslHost { policies: [("AllowNetworkingModeUserSetting".to_owned(), 0)].into(), ..host() };
    for (text, host, code, word) in [
        ("networkingMode=mirrored", policy, "policy", "AllowNetworkingModeUserSetting=0"),
        (
            "networkingMode=mirrored",
            WslHost { ipv6_disabled_components: Some(0xff), ..host() },
            "mirrored-without-ipv6",
            "DisabledComponents",
        ),
        (
            "dnsTunneling=true",
            WslHost { global_secure_access: Some(true), ..host() },
            "tunneling-and-service",
            "GlobalSecureAccessTunnelingService",
        ),
        (
            "dnsTunneling=true",
            WslHost { dns_query_raw: Some(false), ..host() },
            "tunneling-not-possible",
            "DnsQueryRaw",
        ),
        ("virtio9p=true", host(), "ignored", "wsl2.virtio9p"),
        ("virtio=false\nnetworkingMode=consomme", host(), "overruled", "wsl2.virtio=false"),
    ] {
        let findings = on(text, host);
        let line = Some(1 + text.lines().count());
        assert_eq!(codes(&findings), [(code, line)], "{text}");
        assert!(said(&findings).contains(word), "{}", said(&findings));
        let chinese =
            findings[0].what.say(Language::Chinese) + &findings[0].fix.say(Language::Chinese);
        assert!(chinese.contains(word), "{chinese}");
    }
    // Without the line there is no setting without effect.
    assert_eq!(on("", WslHost { dns_query_raw: Some(false), ..host() }), []);
}

#[test]
fn values_outside_of_ascii_are_reported_in_wslconfig_alone() {
    let findings = of_wslconfig("# 交换文件\n[wsl2]\nswapFile=C:\\\\用户\\\\swap.vhdx\n");
    assert_eq!(codes(&findings), [("not-ascii", Some(3))]);
    assert!(said(&findings).contains("wsl2.swapFile"), "{}", said(&findings));
    assert_eq!(on("", "[user]\ndefault=张三\n", 22_631, [2, 5, 9]), []);
}

#[test]
fn utf_16_is_reported_as_that() {
    let text: Vec<u8> =
        "\u{feff}[boot]\r\nsystemd=true\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let findings = on("", &String::from_utf8_lossy(&text), 22_631, [2, 5, 9]);
    assert_eq!(
        (codes(&findings), findings[0].severity),
        (vec![("fault", Some(1))], Severity::Error)
    );
    assert!(
        said(&findings).contains("UTF-16") && said(&findings).contains("iconv"),
        "{}",
        said(&findings)
    );
}

#[test]
fn a_line_that_wsl_cannot_read_is_reported_with_its_effect() {
    let windows = of_wslconfig("[wsl2]\nkernel=C:\\Users\\k\n[experimental\nsparseVhd=true\n");
    assert_eq!(codes(&windows), [("fault", Some(2)), ("fault", Some(3))]);
    assert!(said(&windows).contains(r"C:\\Users"), "{}", said(&windows));
    let linux = on(
        "",
        "[boot]\nsystemd=true\n; old\n[network]\ngenerateResolvConf=false\n",
        22_631,
        [2, 5, 9],
    );
    assert_eq!(codes(&linux), [("fault", Some(3))]);
    assert_eq!(linux[0].severity, Severity::Error);
    assert!(said(&linux).contains("line 3"), "{}", said(&linux));
    assert_eq!(codes(&on("", "\u{feff}[boot]\n", 22_631, [2, 5, 9])), [("fault", Some(1))]);
}
