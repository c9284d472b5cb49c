use super::*;
use crate::settings::version::{Versions, Wsl};
use messages::Language;
use wire::facts::WslHost;

fn on(build: u32, wslconfig: &str, wsl_conf: &str) -> Situation {
    Situation::new(
        wslconfig,
        wsl_conf,
        Versions { windows: Some(Windows(build)), wsl: Some(Wsl([2, 5, 9])) },
    )
}

fn vpn(name: &str, description: &str) -> HostFacts {
    let adapter = Adapter {
        name: name.into(),
        description: description.into(),
        vpn: Some("its description says so".into()),
        metric: 1,
        up: true,
        ..Adapter::default()
    };
    HostFacts { routes: vec!["10.0.0.0/8".into()], adapters: vec![adapter], ..HostFacts::default() }
}

/// The actions in short.
fn actions(advice: &[Advice]) -> Vec<String> {
    let short = |advice: &Advice| match &advice.action {
        Action::Change(change) => change.to_string(),
        Action::Run(_, lines) => lines.join("; "),
        Action::Know => advice.reason.say(Language::English),
    };
    advice.iter().map(short).collect()
}

#[test]
fn a_new_windows_gets_mirrored_mode_with_all_that_belongs_to_it() {
    let advice = recommend(Goal::Default, &on(22_621, "[wsl2]\ndnsTunneling=true\n", ""), None);
    let expected =
        ["networkingMode=mirrored", "dnsTunneling=true", "autoProxy=true", "firewall=true"]
            .map(|set| format!("wsl2.{set}"));
    assert_eq!(actions(&advice), expected);
    assert_eq!(
        advice.iter().map(|advice| advice.is_done).collect::<Vec<_>>(),
        [false, true, false, false]
    );
    assert!(advice.iter().all(|advice| !advice.reason.say(Language::Chinese).is_empty()));
    let vpn = recommend(Goal::Vpn, &on(26_100, "", "[network]\ngenerateResolvConf=false\n"), None);
    assert_eq!(
        actions(&vpn)[4..],
        [
            "experimental.bestEffortDnsParsing=true",
            "underpass up",
            "network.generateResolvConf (not set)"
        ]
    );
    let lan = actions(&recommend(Goal::Lan, &on(22_631, "", ""), None));
    assert!(
        lan.contains(&"experimental.hostAddressLoopback=true".to_owned())
            && lan[5].starts_with("New-NetFirewallHyperVRule"),
        "{lan:?}"
    );
}

#[test]
fn an_old_windows_gets_a_subnet_and_the_metric_of_anyconnect() {
    let facts = vpn("Ethernet 3", "Cisco AnyConnect Virtual Miniport Adapter for Windows x64");
    let advice = recommend(Goal::Vpn, &on(19_045, "", ""), Some(&facts));
    let actions = actions(&advice);
    assert!(actions[0].contains("Windows 10 (19045)"), "{}", actions[0]);
    // The tunnel is the first, the metric the last.
    assert_eq!(actions[1], "underpass up");
    let subnet = nat::commands("192.168.240.0/24".parse().unwrap());
    assert_eq!(actions[2], subnet.join("; "));
    assert_eq!(actions[3], common::SUBNET_ORDER.en);
    assert_eq!(actions[4], "Set-NetIPInterface -InterfaceAlias 'Ethernet 3' -InterfaceMetric 6000");
    assert!(matches!(advice[2].action, Action::Run(Shell::Administrator, _)));
    assert_eq!(actions[5], metric::at_each_connect("Ethernet 3").join("; "));
    assert_eq!(actions.len(), 6);
    assert!(advice[4].reason.say(Language::English).contains("has the metric 1 and"), "{advice:?}");
    // 0 stands for a metric that Windows does not tell.
    let mut unknown = facts;
    unknown.adapters[0].metric = 0;
    let advice = recommend(Goal::Vpn, &on(19_045, "", ""), Some(&unknown));
    let reason = advice[4].reason.say(Language::English);
    assert!(reason.contains("if its metric is low") && !reason.contains('0'), "{reason}");
}

#[test]
fn any_other_vpn_of_an_old_windows_gets_the_tunnel() {
    let facts = vpn("Ethernet 4", "Fortinet SSL VPN Virtual Ethernet Adapter");
    let advice = recommend(Goal::Default, &on(19_045, "", ""), Some(&facts));
    assert_eq!(actions(&advice)[1], "underpass up");
    assert!(advice[1].reason.say(Language::English).contains("Fortinet"), "{advice:?}");
    // Without a VPN there is nothing to keep clear of.
    let plain = HostFacts::default();
    assert_eq!(recommend(Goal::Default, &on(19_045, "", ""), Some(&plain)).len(), 1);
    // Where nothing is known of the host, the subnet is one that no VPN routes.
    let unknown = actions(&recommend(Goal::Vpn, &on(19_045, "", ""), None));
    assert!(
        unknown[2].contains("NatNetwork -Type String -Value '169.254.214.0/24'"),
        "{unknown:?}"
    );
    assert_eq!(unknown[1], "underpass up");
}

#[test]
fn a_mode_that_windows_cannot_do_is_taken_out() {
    let advice =
        recommend(Goal::Default, &on(19_045, "[wsl2]\nnetworkingMode=mirrored\n", ""), None);
    assert_eq!(actions(&advice)[1], "wsl2.networkingMode (not set)");
}

#[test]
fn windows_proxy_decides_what_is_said_of_it() {
    let with = |proxy: Option<&str>| HostFacts {
        user_proxy: Some(Proxy { proxy: proxy.map(str::to_owned), ..Proxy::default() }),
        ..HostFacts::default()
    };
    let of = |build, facts: &HostFacts| {
        actions(&recommend(Goal::Proxy, &on(build, "", ""), Some(facts)))
    };
    assert!(of(22_631, &with(None)).last().unwrap().contains("Clash Verge"));
    assert_eq!(of(22_631, &with(Some("127.0.0.1:7890"))).len(), 4);
    assert_eq!(
        of(22_000, &with(Some("127.0.0.1:7890")))[1..],
        ["wsl2.autoProxy=true", "underpass up --via windows"]
    );
    let by_hand = "eval \"$(underpass proxy on --from windows)\"";
    assert_eq!(of(19_045, &with(Some("proxy.corp.example:8080")))[1..], [by_hand]);
    // One way each, and none that leads nowhere: NAT does not reach Windows' loopback, and nothing
    // takes what is not set.
    assert_eq!(of(19_045, &with(Some("127.0.0.1:7890")))[1..], ["underpass up --via windows"]);
    let none = of(19_045, &with(None));
    assert!(
        none.len() == 2 && none[1].contains("a shell could use") && !none[1].contains("autoProxy"),
        "{none:?}"
    );
    assert_eq!(actions(&recommend(Goal::Proxy, &on(19_045, "", ""), None))[1..], [by_hand]);
}

#[test]
fn what_windows_rules_out_is_not_recommended() {
    let with = |build, host| actions(&recommend(Goal::Default, &on(build, "", "").on(host), None));
    let host = WslHost::default;
    let no_ipv6 = with(22_631, WslHost { ipv6_disabled_components: Some(0xff), ..host() });
    // 2.5.9 does not look at it.
    assert_eq!(no_ipv6[0], "wsl2.networkingMode=mirrored");
    let newer = Versions { windows: Some(Windows(22_631)), wsl: Some(Wsl([2, 9, 4])) };
    let host_without = WslHost { ipv6_disabled_components: Some(0xff), ..host() };
    let no_ipv6 = recommend(Goal::Default, &Situation::new("", "", newer).on(host_without), None);
    assert_eq!(actions(&no_ipv6), [PREFER_IPV4, "wsl2.dnsTunneling=true"]);
    // NAT does not reach Windows' own 127.0.0.1, whatever the version.
    let user_proxy = Some(Proxy { proxy: Some("127.0.0.1:7890".to_owned()), ..Proxy::default() });
    let facts = HostFacts { user_proxy, ..HostFacts::default() };
    let situation = Situation::new("", "", newer)
        .on(WslHost { ipv6_disabled_components: Some(0xff), ..host() });
    let proxy = actions(&recommend(Goal::Proxy, &situation, Some(&facts)));
    assert_eq!(proxy.last().unwrap(), "underpass up --via windows");
    let policies = [("AllowNetworkingModeUserSetting".to_owned(), 0)].into();
    let policy = with(22_631, WslHost { policies, ..host() });
    assert!(policy[0].contains("AllowNetworkingModeUserSetting=0"), "{policy:?}");
    let no_dns = with(22_631, WslHost { dns_query_raw: Some(false), ..host() });
    assert_eq!(
        no_dns,
        ["networkingMode=mirrored", "autoProxy=true", "firewall=true"]
            .map(|set| format!("wsl2.{set}"))
    );
    // An older Windows may have it.
    let old = with(19_045, WslHost { dns_query_raw: Some(true), ..host() });
    assert_eq!(old[1..], ["wsl2.dnsTunneling=true"]);
}

#[test]
fn what_is_not_known_is_said() {
    let unknown = Situation::new("", "", Versions::default());
    assert!(actions(&recommend(Goal::Default, &unknown, None))[0].contains("--windows-version"));
    let old = Situation::new(
        "",
        "",
        Versions { windows: Some(Windows(22_631)), wsl: Some(Wsl([1, 2, 5])) },
    );
    assert_eq!(actions(&recommend(Goal::Default, &old, None)), ["wsl --update"]);
    assert_eq!("lan".parse(), Ok(Goal::Lan));
    assert!("wan".parse::<Goal>().is_err());
}

#[test]
fn what_is_recommended_is_nothing_to_complain_of() {
    for (goal, build) in Goal::ALL
        .into_iter()
        .flat_map(|goal| [19_045, 22_000, 22_621, 26_100].map(|build| (goal, build)))
    {
        let mut situation = on(build, "", "[network]\ngenerateResolvConf=false\n");
        for advice in recommend(goal, &situation.clone(), None) {
            let Action::Change(change) = advice.action else { continue };
            let file = match change.key.place {
                Place::WslConfig => &mut situation.wslconfig,
                Place::WslConf => &mut situation.wsl_conf,
            };
            change.make(file).unwrap();
        }
        assert_eq!(crate::settings::check::check(&situation), [], "{goal} {build}");
        let mode = if build < 22_621 { "nat" } else { "mirrored" };
        assert_eq!(situation.effective().wsl2("networkingMode"), mode);
    }
}
