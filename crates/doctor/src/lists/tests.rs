use super::verify::{ExitSeen, ProxySeen, ReachSeen, Seen, judge};
use super::{Item, ItemState, Judged, proxy_test};
use crate::facts::Mode;
use crate::json::ListDocument;
use crate::{sample, text};
use messages::{Language, Sentence, Text, proxies, verify as words};
use probe::Failure;
use probe::client::Page;
use probe::resolver::{NameSeen, ServerAnswer};
use std::net::IpAddr;
use std::time::Duration;
use wire::facts::Adapter;
use wsl::NetworkingMode;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const TOOK: Duration = Duration::from_millis(12);

fn found(addresses: &[&str]) -> ServerAnswer {
    ServerAnswer::Addresses { found: addresses.iter().map(|text| ip(text)).collect(), took: TOOK }
}

fn name(name: &str, answers: &[(&str, ServerAnswer)]) -> NameSeen {
    let answers =
        answers.iter().map(|(server, answer)| (server.parse().unwrap(), answer.clone())).collect();
    NameSeen { name: name.to_owned(), hosts: Vec::new(), answers }
}

fn refused() -> Failure {
    Failure::Refused { address: "172.28.48.1:7890".to_owned() }
}

/// A machine in NAT mode on which everything works, with a proxy.
fn healthy() -> Seen {
    let mut facts = sample::nat();
    facts.links = vec![
        sample::link("lo", &["127.0.0.1/8", "10.255.255.254/32", "::1/128"]),
        sample::link("eth0", &["172.28.48.2/20", "fe80::1/64"]),
        wsl::network::Link {
            kind: Some("bridge".to_owned()),
            ..sample::link("docker0", &["172.17.0.1/16"])
        },
    ];
    sample::windows(&mut facts).host.adapters = vec![Adapter {
        up: true,
        addresses: ["192.0.2.7/24", "172.28.48.1/20"].map(str::to_owned).to_vec(),
        ..Adapter::default()
    }];
    sample::wslconfig(&mut facts, "");
    facts.resolv_conf.text = Some("nameserver 10.255.255.254\n".to_owned());
    Seen {
        facts,
        windows_trouble: None,
        resolv_conf: "/etc/resolv.conf".to_owned(),
        public_names: vec![name("example.com", &[("10.255.255.254", found(&["198.51.100.1"]))])],
        outside: ReachSeen { target: "example.com:443".to_owned(), outcome: Ok(TOOK) },
        exit: Some(ExitSeen {
            url: "https://echo.example/".to_owned(),
            outcome: Ok(ip("203.0.113.5")),
        }),
        proxies: vec![ProxySeen {
            variables: "http_proxy, https_proxy".to_owned(),
            proxy: "http://172.28.48.1:7890".to_owned(),
            is_loopback: false,
            outside: Ok(TOOK),
            exit: Some(Ok(ip("203.0.113.99"))),
        }],
        company_hosts: vec![ReachSeen {
            target: "git.corp.example:443".to_owned(),
            outcome: Ok(TOOK),
        }],
        company_names: vec![name("git.corp.example", &[("10.255.255.254", found(&["10.1.2.3"]))])],
    }
}

/// The one item of that kind.
fn item(seen: &Seen, key: &str) -> Item {
    let items: Vec<_> = judge(seen).into_iter().filter(|item| item.key == key).collect();
    let [item] = <[Item; 1]>::try_from(items).unwrap();
    item
}

/// Its state, and the sentences of what was said and advised.
fn verdict(seen: &Seen, key: &str) -> (ItemState, Vec<&'static Sentence>) {
    let item = item(seen, key);
    sentences(&item.judged)
}

fn sentences(judged: &Judged) -> (ItemState, Vec<&'static Sentence>) {
    (judged.state, judged.said.iter().chain(&judged.advice).map(Text::sentence).collect())
}

#[test]
fn a_healthy_machine_passes_every_item_in_order() {
    let items = judge(&healthy());
    let keys: Vec<_> = items.iter().map(|item| item.key).collect();
    let all = [
        "mode",
        "dns-server",
        "public-name",
        "outside",
        "exit",
        "proxy",
        "company-host",
        "company-name",
    ];
    assert_eq!(keys, all);
    for item in &items {
        assert_eq!(
            (item.judged.state, &item.judged.advice),
            (ItemState::Passed, &Vec::new()),
            "{item:?}"
        );
        for text in item.judged.said.iter().chain([&item.subject]) {
            let said = [Language::English, Language::Chinese].map(|language| text.say(language));
            assert!(said.iter().all(|said| !said.contains('{')), "a value is missing: {said:?}");
        }
    }
    let said = item(&healthy(), "mode").judged.said[0].say(Language::English);
    assert_eq!(said, "NAT is in force, as set in .wslconfig; addresses of the VM: 172.28.48.2");
}

#[test]
fn the_mode_in_force_is_compared_with_the_one_asked_for() {
    let mode = |wslconfig: &str, in_force: NetworkingMode, own: &[&str]| {
        let mut seen = healthy();
        seen.facts.mode = Mode { by_wslinfo: Some(in_force.name().to_owned()), by_signs: None };
        let own: Vec<_> = own.iter().map(|own| format!("{own}/24")).collect();
        let own: Vec<_> = own.iter().map(String::as_str).collect();
        seen.facts.links = vec![sample::link("eth0", &own)];
        sample::wslconfig(&mut seen.facts, wslconfig);
        verdict(&seen, "mode")
    };
    const MIRRORED: &str = "[wsl2]\nNetworkingMode=Mirrored\n";
    let (nat, windows) = (["172.28.48.2"], ["192.0.2.7"]);
    assert_eq!(
        mode("", NetworkingMode::Nat, &nat),
        (ItemState::Passed, vec![&words::MODE_AS_ASKED])
    );
    assert_eq!(
        mode(MIRRORED, NetworkingMode::Mirrored, &windows),
        (ItemState::Passed, vec![&words::MIRRORED_AS_ASKED])
    );
    let old = "[experimental]\nnetworkingMode=mirrored";
    assert_eq!(
        mode(old, NetworkingMode::Mirrored, &windows).0,
        ItemState::Passed,
        "its older place"
    );
    let both = format!("{old}\n[wsl2]\nnetworkingMode=nat");
    assert_eq!(
        mode(&both, NetworkingMode::Mirrored, &windows).0,
        ItemState::Passed,
        "the first line counts, also that of the older place"
    );
    assert_eq!(
        mode("[wsl2]\nnetworkingMode=mirorred", NetworkingMode::Nat, &nat).0,
        ItemState::Passed,
        "a bad name leaves the default"
    );
    let failed = |sentences: [&'static Sentence; 2]| (ItemState::Failed, sentences.to_vec());
    let differs = |advice| failed([&words::MODE_DIFFERS, advice]);
    assert_eq!(mode(MIRRORED, NetworkingMode::Nat, &nat), differs(&words::MIRRORED_NOT_IN_FORCE));
    assert_eq!(mode("", NetworkingMode::VirtioProxy, &windows), differs(&words::NAT_FELL_BACK));
    assert_eq!(mode("", NetworkingMode::Mirrored, &windows), differs(&words::RESTART_WSL));
    assert_eq!(
        mode("[wsl2]\nnetworkingMode=consomme", NetworkingMode::VirtioProxy, &windows).0,
        ItemState::Passed
    );
    // WSL's own statement is not taken for granted.
    let not_shared = failed([&words::NOT_SHARED, &words::MIRRORED_NOT_IN_FORCE]);
    assert_eq!(mode(MIRRORED, NetworkingMode::Mirrored, &nat), not_shared);
    assert_eq!(mode(MIRRORED, NetworkingMode::Mirrored, &[]), not_shared);

    let mut seen = healthy();
    (seen.facts.windows, seen.windows_trouble) = (None, Some("interop is off".to_owned()));
    assert_eq!(verdict(&seen, "mode"), (ItemState::Skipped, vec![&words::MODE_NOT_COMPARED]));
    // The signs alone may be those of another machine.
    seen.facts.interop.is_wsl = false;
    seen.facts.mode = Mode { by_wslinfo: None, by_signs: Some(NetworkingMode::Nat) };
    assert_eq!(verdict(&seen, "mode"), (ItemState::Skipped, vec![&words::NOT_WSL]));
}

#[test]
fn each_nameserver_that_counts_is_judged_by_what_it_says_of_public_names() {
    let server = |answer: ServerAnswer| {
        let mut seen = healthy();
        seen.public_names[0].answers[0].1 = answer;
        verdict(&seen, "dns-server")
    };
    let failed = |said: &'static Sentence| (ItemState::Failed, vec![said, &words::ADVISE_DNS]);
    assert_eq!(server(ServerAnswer::Silent(TOOK)), failed(&words::SILENT));
    assert_eq!(server(ServerAnswer::NoName), failed(&words::SAYS_NO_NAME));
    assert_eq!(server(ServerAnswer::NoAddress), failed(&words::SAYS_NO_ADDRESS));
    assert_eq!(server(ServerAnswer::Error("REFUSED".to_owned())), failed(&words::ANSWERS_ERROR));
    assert_eq!(
        server(ServerAnswer::NotAsked("no route".to_owned())),
        failed(&words::CANNOT_BE_ASKED)
    );

    // One of the names is gone.
    let mut seen = healthy();
    seen.public_names.insert(0, name("gone.example", &[("10.255.255.254", ServerAnswer::NoName)]));
    assert_eq!(verdict(&seen, "dns-server").0, ItemState::Passed);

    let mut seen = healthy();
    seen.facts.resolv_conf.text = None;
    assert_eq!(
        verdict(&seen, "dns-server"),
        (ItemState::Failed, vec![&words::NO_SERVER, &words::ADVISE_DNS_AUTO])
    );

    let servers = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    seen.facts.resolv_conf.text =
        Some(servers.map(|server| format!("nameserver {server}\n")).concat());
    seen.public_names =
        vec![name("example.com", &servers.map(|server| (server, found(&["198.51.100.1"])))[..3])];
    let states: Vec<_> = judge(&seen).into_iter().filter(|item| item.key == "dns-server").collect();
    assert_eq!(
        states.iter().map(|item| item.judged.state).collect::<Vec<_>>()[2..],
        [ItemState::Passed, ItemState::Skipped]
    );
    assert_eq!(states[3].judged.said[0].sentence(), &words::NOT_USED);
}

#[test]
fn names_are_resolved_as_the_c_library_does() {
    let error = || ServerAnswer::Error("SERVFAIL".to_owned());
    let known = found(&["10.1.2.3"]);
    let of = |answers: &[(&str, ServerAnswer)]| {
        let mut seen = healthy();
        seen.company_names = vec![name("git.corp.example", answers)];
        verdict(&seen, "company-name")
    };
    let resolved = (ItemState::Passed, vec![&words::RESOLVED]);
    for first in
        [error(), ServerAnswer::Silent(TOOK), ServerAnswer::NotAsked("no route".to_owned())]
    {
        assert_eq!(
            of(&[("10.0.0.1", first.clone()), ("10.0.0.2", known.clone())]),
            resolved,
            "{first:?}"
        );
    }
    // An answer is final, also where the next server knows better.
    let denied = of(&[("10.0.0.1", ServerAnswer::NoName), ("10.0.0.2", known.clone())]);
    assert_eq!(denied, (ItemState::Failed, vec![&words::DENIED, &words::ADVISE_ORDER]));
    let empty = of(&[("10.0.0.1", ServerAnswer::NoAddress), ("10.0.0.2", error())]);
    assert_eq!(
        empty,
        (ItemState::Failed, vec![&words::WITHOUT_ADDRESS, &words::ADVISE_COMPANY_DNS])
    );
    let silent = of(&[("10.0.0.1", ServerAnswer::Silent(TOOK)), ("10.0.0.2", error())]);
    assert_eq!(
        silent,
        (ItemState::Failed, vec![&words::NO_SERVER_ANSWERS, &words::ADVISE_COMPANY_DNS])
    );

    let mut seen = healthy();
    seen.company_names = vec![NameSeen {
        hosts: vec![ip("10.9.9.9")],
        ..name("git", &[("10.0.0.1", ServerAnswer::NoName)])
    }];
    assert_eq!(verdict(&seen, "company-name"), (ItemState::Passed, vec![&words::IN_HOSTS]));
    assert_eq!(seen.company_names[0].addresses(), [ip("10.9.9.9")]);

    // The same for public names, with the advice that fits them.
    let mut seen = healthy();
    seen.public_names[0].answers[0].1 = ServerAnswer::NoName;
    assert_eq!(
        verdict(&seen, "public-name"),
        (ItemState::Failed, vec![&words::DENIED, &words::ADVISE_DNS])
    );
}

#[test]
fn the_outside_and_the_exit_may_be_reached_by_the_proxy_alone() {
    let timed_out = || Failure::TimedOut {
        address: "198.51.100.1:443".to_owned(),
        patience: Duration::from_secs(5),
    };
    let mut seen = healthy();
    seen.outside.outcome = Err(timed_out());
    seen.exit.as_mut().unwrap().outcome = Err(timed_out());
    let by_proxy = (ItemState::Passed, vec![&words::TIMED_OUT, &words::BY_PROXY_ONLY]);
    assert_eq!(verdict(&seen, "outside"), by_proxy);
    assert_eq!(verdict(&seen, "exit"), by_proxy);
    assert_eq!(verdict(&seen, "proxy"), (ItemState::Passed, vec![&words::ONLY_EXIT]));
    let said = item(&seen, "outside").judged.said[0].say(Language::Chinese);
    assert_eq!(said, "5 s 内没有收到 198.51.100.1:443 的应答");

    seen.proxies.clear();
    assert_eq!(
        verdict(&seen, "outside"),
        (ItemState::Failed, vec![&words::TIMED_OUT, &words::ADVISE_DOCTOR])
    );
    assert_eq!(
        verdict(&seen, "exit"),
        (ItemState::Failed, vec![&words::TIMED_OUT, &words::ADVISE_ECHO])
    );
    seen.exit.as_mut().unwrap().outcome =
        Err(Failure::Tls { host: "echo.example".to_owned(), why: "expired".to_owned() });
    assert_eq!(
        verdict(&seen, "exit"),
        (ItemState::Failed, vec![&words::NO_TLS, &words::ADVISE_TLS])
    );
    seen.exit = None;
    assert!(judge(&seen).iter().all(|item| item.key != "exit"), "no service was to be asked");
}

#[test]
fn a_proxy_is_in_force_where_the_outside_sees_another_address() {
    assert_eq!(verdict(&healthy(), "proxy"), (ItemState::Passed, vec![&words::OTHER_EXIT]));
    let mut seen = healthy();
    seen.proxies[0].exit = Some(Ok(ip("203.0.113.5")));
    assert_eq!(
        verdict(&seen, "proxy"),
        (ItemState::Passed, vec![&words::SAME_EXIT, &words::ADVISE_SAME_EXIT])
    );
    seen.proxies[0].exit =
        Some(Err(Failure::Status { url: "https://echo.example/".to_owned(), status: 503 }));
    assert_eq!(
        verdict(&seen, "proxy"),
        (ItemState::Failed, vec![&words::STATUS, &words::ADVISE_ECHO])
    );
    (seen.exit, seen.proxies[0].exit) = (None, None);
    assert_eq!(verdict(&seen, "proxy"), (ItemState::Passed, vec![&words::PROXY_REACHES]));
    seen.proxies.clear();
    assert_eq!(verdict(&seen, "proxy"), (ItemState::Skipped, vec![&words::PROXY_NOT_SET]));
}

#[test]
fn what_to_try_for_a_dead_proxy_depends_on_the_mode_and_its_address() {
    let dead = |mode: Option<NetworkingMode>, is_loopback: bool, failure: Failure| {
        let mut seen = healthy();
        let name = mode.map(|mode| mode.name().to_owned());
        seen.facts.mode = Mode { by_wslinfo: name, by_signs: None };
        seen.proxies[0].is_loopback = is_loopback;
        (seen.proxies[0].outside, seen.proxies[0].exit) =
            (Err(failure.clone()), Some(Err(failure)));
        verdict(&seen, "proxy")
    };
    let failed = |advice: &'static Sentence| (ItemState::Failed, vec![&words::REFUSED, advice]);
    assert_eq!(dead(Some(NetworkingMode::Nat), false, refused()), failed(&words::ADVISE_ALLOW_LAN));
    assert_eq!(
        dead(Some(NetworkingMode::Nat), true, refused()),
        failed(&words::ADVISE_OWN_LOOPBACK)
    );
    assert_eq!(
        dead(Some(NetworkingMode::VirtioProxy), true, refused()),
        failed(&words::ADVISE_OWN_LOOPBACK)
    );
    assert_eq!(
        dead(Some(NetworkingMode::Mirrored), true, refused()),
        failed(&words::ADVISE_PROXY_STARTED)
    );
    assert_eq!(dead(None, true, refused()), failed(&words::ADVISE_PROXY_STARTED));
    let said = Failure::Proxy {
        proxy: "http://***@172.28.48.1:7890".to_owned(),
        why: "it wants a password".to_owned(),
    };
    assert_eq!(
        dead(Some(NetworkingMode::Nat), false, said),
        (ItemState::Failed, vec![&words::PROXY_SAYS])
    );
    let unusable = Failure::ProxyNotUsable {
        value: "ftp://x".to_owned(),
        why: "no scheme of a proxy".to_owned(),
    };
    assert_eq!(
        dead(Some(NetworkingMode::Nat), false, unusable),
        (ItemState::Failed, vec![&words::PROXY_NOT_USABLE])
    );
}

#[test]
fn a_company_host_that_is_not_reached_names_its_cause() {
    let host = |failure: Failure| {
        let mut seen = healthy();
        seen.company_hosts[0].outcome = Err(failure);
        verdict(&seen, "company-host")
    };
    let unresolved = Failure::Unresolved { name: "git.corp.example".to_owned() };
    assert_eq!(
        host(unresolved),
        (ItemState::Failed, vec![&words::UNRESOLVED, &words::ADVISE_COMPANY_DNS])
    );
    assert_eq!(
        host(refused()),
        (ItemState::Failed, vec![&words::REFUSED, &words::ADVISE_COMPANY_HOST])
    );
}

#[test]
fn proxy_variables_are_judged() {
    let of = |set: &[(&'static str, &str)], others| {
        let set: Vec<_> = set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        proxy_test::environment(&set, others).state
    };
    assert_eq!(of(&[("https_proxy", "http://h:1")], false), ItemState::Passed);
    let differing = [("https_proxy", "http://h:1"), ("HTTPS_PROXY", "http://h:2")];
    assert_eq!(of(&differing, false), ItemState::Failed);
    assert_eq!(of(&[("no_proxy", "x")], false), ItemState::Failed);
    assert_eq!(of(&[], true), ItemState::Skipped);
}

#[test]
fn what_proxies_answer_in_place_of_a_page_is_no_success() {
    for (line, sentence, is_well) in [
        ("HTTP/1.1 200 OK", &proxies::ANSWERED, true),
        ("HTTP/1.0 404 Not Found", &proxies::ANSWERED, true),
        ("HTTP/1.1 407 Proxy Authentication Required", &proxies::LOGIN_REQUIRED, false),
        ("HTTP/1.1 403 Forbidden", &proxies::NOT_ALLOWED, false),
        ("HTTP/1.1 503 Service Unavailable", &proxies::ANSWERED, false),
        ("SSH-2.0-OpenSSH", &proxies::NOT_A_STATUS, false),
    ] {
        let answer = Ok(Page::Answer(line.to_owned()));
        let state = if is_well { ItemState::Passed } else { ItemState::Failed };
        let judged = proxy_test::page(&answer);
        assert_eq!(sentences(&judged), (state, vec![sentence]), "{line}");
        // By its address a page only shows whose fault it is.
        let by_address = proxy_test::by_address(&answer);
        let state = if is_well { ItemState::Skipped } else { ItemState::Failed };
        assert_eq!(by_address.state, state, "{line}");
    }
    assert_eq!(
        sentences(&proxy_test::port(&Err(refused()))),
        (ItemState::Failed, vec![&words::REFUSED, &proxies::HINT_PORT])
    );
}

#[test]
fn states_stand_in_a_column_in_either_language() {
    let connected = || words::CONNECTED.with("time", "1 ms");
    let item = |judged| Item::new("outside", words::OUTSIDE.with("target", "a:1"), judged);
    let items = [
        item(Judged::passed(connected()).and(connected())),
        item(Judged::failed(connected()).advise([words::ADVISE_DOCTOR.text()])),
        Item { took: Some(TOOK), ..item(Judged::skipped(connected())) },
    ];
    let all = |language| {
        let lines: String = items.iter().map(|item| text::item(item, language)).collect();
        lines + &text::ending(&items, language)
    };
    assert_eq!(
        all(Language::English),
        "ok       outside, a:1: connected in 1 ms; connected in 1 ms\n\
         failed   outside, a:1: connected in 1 ms\n         \
         -> `underpass doctor` finds the broken hop.\n\
         skipped     12 ms  outside, a:1: connected in 1 ms\n1 of 3 failed.\n"
    );
    let chinese = all(Language::Chinese);
    let start = "通过     外网 a:1：1 ms 内连接成功；1 ms 内连接成功\n失败     ";
    assert!(chinese.starts_with(start), "{chinese}");
    let document = ListDocument::new(&items, Language::English);
    assert_eq!((document.version, document.well, document.items[2].ms), (1, false, Some(12)));
    assert_eq!(document.items[1].state, "failed");
    assert_eq!(
        document.items[1].advice.as_deref(),
        Some("`underpass doctor` finds the broken hop.")
    );
}
