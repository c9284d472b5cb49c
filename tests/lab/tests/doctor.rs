//! `underpass doctor` on live faults: the test makes each fault in the lab, runs the doctor, and
//! reads its verdict. Facts of Windows that the lab's host does not have (its version,
//! `.wslconfig`) are laid over the relay's facts; all tests of the network use the lab's real
//! network.

use lab::addresses::{HOST, NAT_GATEWAY, ROUTER, SERVER, SERVER_NAME, SERVER_V6};
use lab::built::programs as programs_folder;
use lab::built::windows_relay;
use lab::doctor::{DoctorRun, Ward, add_vpn, remove_vpn};
use lab::modes::{carry, ip, lay_out};
use lab::scene::{PATIENCE, Scratch, etc, http_server, must, python_server, windows_lab};
use lab::wsl::{Distro, Running, Wsl};
use lab::{Lab, Place, Process, Tunnel, Vpn, lab_or_skip, programs, until};
use serde_json::{Value, json};

/// All variables of a proxy, in both spellings.
fn by_proxy(url: &str) -> Vec<(&'static str, &str)> {
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        .map(|name| (name, url))
        .into()
}

fn host(lab: &Lab, words: &str) {
    let _said = must(lab, Place::Windows, words);
}

#[track_caller]
fn is_well(verdict: &DoctorRun, why: &str) {
    assert_eq!(verdict.ids, Vec::<String>::new(), "{why}: {:#}", verdict.json);
    assert_eq!(
        (verdict.code, &verdict.json["well"]),
        (Some(0), &true.into()),
        "{why}: {}",
        verdict.complaints
    );
}

#[track_caller]
fn finds(verdict: &DoctorRun, id: &str) {
    assert_eq!(verdict.problems(), [id], "{:#}", verdict.json);
    assert_eq!(verdict.code, Some(1), "{id}: {}", verdict.complaints);
}

#[track_caller]
fn hints(verdict: &DoctorRun, id: &str) {
    assert!(verdict.ids.iter().any(|found| found == id), "{id}: {:#}", verdict.json);
    assert!(verdict.problems().is_empty() && verdict.code == Some(0), "{id}: {:#}", verdict.json);
}

/// A VM behind NAT without a fault.
fn nat(lab: &Lab) -> (Ward<'_>, Process) {
    let dns = lab.start_nat_dns().expect("dnsmasq");
    let ward = Ward::new(lab);
    ward.wait_for_names();
    (ward, dns)
}

/// Sets the VM's resolv.conf.
fn nameserver(lab: &Lab, server: &str) {
    etc(
        lab,
        Place::Wsl,
        "resolv.conf",
        &format!("nameserver {server}\noptions timeout:1 attempts:1\n"),
    );
}

#[test]
fn a_healthy_machine_gives_no_finding_in_any_mode() {
    const DNS_TUNNEL: &str = "10.255.255.254";
    for (mode, server) in [
        ("nat", NAT_GATEWAY),
        ("mirrored", DNS_TUNNEL),
        ("virtioproxy", DNS_TUNNEL),
        ("bridged", SERVER),
    ] {
        let Some(lab) = lab_or_skip() else { return };
        let _nat_dns = lab.start_nat_dns().expect("dnsmasq");
        lay_out(&lab, mode);
        let tunnelled = (server == DNS_TUNNEL).then(|| {
            ip(&lab, &format!("addr add {DNS_TUNNEL}/32 dev lo"));
            python_server(&lab, Place::Wsl, programs::DNS_SERVER, &[DNS_TUNNEL], 53)
        });
        if mode != "nat" {
            carry(&lab);
        }
        nameserver(&lab, server);
        let ward = Ward::new(&lab);
        ward.wslinfo(mode);
        ward.wslconfig(&format!("[wsl2]\nnetworkingMode={mode}\n"));
        ward.wait_for_names();
        is_well(&ward.verdict(&[], &[]), mode);
        let text = ward.run(3, &[], &[]);
        assert_eq!(text.code, Some(0), "{mode}: within 3 s: {text:?}");
        drop(tunnelled);
    }
}

#[test]
fn with_the_tunnel_up_all_is_well_also_through_a_proxy_on_windows_loopback() {
    let Some(mut lab) = lab_or_skip() else { return };
    let _dns = lab.start_nat_dns().expect("dnsmasq");
    cut_off_is_reported(&lab);
    lab.set_vpn(Vpn::On).expect("nft");
    let _proxy =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &["127.0.0.1", "7890"], 7890);
    let tunnel = Tunnel::up(&lab, &[]);
    let ward = Ward::new(&lab);
    ward.wait_for_names();
    let runtime = tunnel.runtime_dir().display().to_string();
    let here = ("UNDERPASS_RUNTIME_DIR", runtime.as_str());
    is_well(&ward.verdict(&[here], &[]), "the tunnel is up");
    let status = tunnel.status();
    let alias = status["tap"]["ipv4"]["host"].as_str().expect("an alias").to_owned();
    let url = format!("http://{alias}:7890");
    let variables = [by_proxy(&url), vec![here]].concat();
    let verdict = ward.verdict(&variables, &["--outside", &format!("[{SERVER_V6}]:80")]);
    is_well(&verdict, "a proxy at the tunnel's address for Windows");
    let reach = verdict.json["facts"]["probes"]["reach"].as_array().expect("a list");
    let around = reach
        .iter()
        .find(|one| one["whence"] == "around-tunnel" && one["subject"] == "outside")
        .expect("tried");
    assert!(around["outcome"].get("failed").is_some(), "WSL's own network is cut off: {around}");
}

/// Before the tunnel the same machine is cut off. The cause has no adapter, so only its effect
/// shows.
fn cut_off_is_reported(lab: &Lab) {
    let ward = Ward::new(lab);
    ward.wait_for_names();
    host(lab, "nft add table inet fault");
    host(lab, "nft add chain inet fault forward { type filter hook forward priority filter ; }");
    host(lab, "nft add rule inet fault forward iifname vm drop");
    finds(&ward.verdict(&[], &[]), "network-nat");
    host(lab, "nft delete table inet fault");
}

#[test]
fn names_that_do_not_resolve_are_reported_with_the_server_that_would() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // Symptom: IP works, names do not. No host has that address.
    nameserver(&lab, "192.0.2.99");
    finds(&ward.verdict(&[], &[]), "dns-servers");
    // The same if a host on the path blocks DNS.
    nameserver(&lab, NAT_GATEWAY);
    host(&lab, "nft add table inet fault");
    for chain in ["forward", "input"] {
        host(
            &lab,
            &format!(
                "nft add chain inet fault {chain} {{ type filter hook {chain} priority filter ; }}"
            ),
        );
        host(
            &lab,
            &format!(
                "nft add rule inet fault {chain} iifname vm meta l4proto {{ tcp, udp }} th dport 53 drop"
            ),
        );
    }
    finds(&ward.verdict(&[], &[]), "dns-intercepted");
    host(&lab, "nft delete table inet fault");
    // Symptom: outside works, company inside does not. The company's server is one of Windows', not
    // of WSL's.
    let records = [format!("git.corp.test,{ROUTER}"), format!("{SERVER_NAME},{SERVER}")];
    let options = records.map(|record| format!("--host-record={record}"));
    let words = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--no-resolv",
    ];
    let listen = [
        "--no-hosts",
        "--bind-interfaces",
        "--except-interface=lo",
        &format!("--listen-address={ROUTER}"),
    ]
    .map(str::to_owned);
    let words: Vec<&str> = words
        .into_iter()
        .chain(listen.iter().map(String::as_str))
        .chain(options.iter().map(String::as_str))
        .collect();
    let _company = lab.start(Place::Router, &words).expect("dnsmasq");
    let _git = http_server(&lab, Place::Router, ROUTER, 443, "git");
    etc(&lab, Place::Windows, "resolv.conf", &format!("nameserver {ROUTER}\n"));
    let known = || {
        lab.run(Place::Windows, &["getent", "hosts", "git.corp.test"])
            .is_ok_and(|answer| answer.succeeded())
    };
    assert!(until(PATIENCE, known), "the company's nameserver does not answer");
    let company = ["--company", "git.corp.test"];
    let verdict = ward.verdict(&[], &company);
    finds(&verdict, "dns-company");
    assert!(
        verdict.json["findings"][0]["fix"].to_string().contains(&format!("--server {ROUTER}")),
        "{:#}",
        verdict.json
    );
    // Split DNS: only Windows itself may query the company's server.
    host(&lab, "nft add table inet fault");
    host(&lab, "nft add chain inet fault forward { type filter hook forward priority filter ; }");
    host(
        &lab,
        &format!(
            "nft add rule inet fault forward iifname vm ip daddr {ROUTER} meta l4proto {{ tcp, udp }} th dport 53 drop"
        ),
    );
    finds(&ward.verdict(&[], &company), "dns-split");
    // With the company's server first in resolv.conf there is no fault. If its host is blocked, the
    // finding names the host, not its name resolution.
    host(&lab, "nft flush table inet fault");
    nameserver(&lab, ROUTER);
    is_well(&ward.verdict(&[], &company), "the company's server is queried");
    host(
        &lab,
        &format!("nft add rule inet fault forward iifname vm ip daddr {ROUTER} tcp dport 443 drop"),
    );
    finds(&ward.verdict(&[], &company), "network-company");
}

#[test]
fn a_vpn_that_cuts_wsl_is_reported_with_its_method() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // Symptom: no network at all. Two routes that together are a default route lead forwarded
    // packets to a network that does not know the VM.
    add_vpn(&lab);
    for half in ["0.0.0.0/1", "128.0.0.0/1"] {
        host(&lab, &format!("ip route add {half} via 10.8.0.1 dev cscotun0"));
    }
    let verdict = ward.verdict(&[], &[]);
    finds(&verdict, "network-vpn-routes");
    let way = verdict.json["way"].as_array().expect("a list");
    assert!(way.iter().any(|hop| hop["state"] == "broken"), "{way:?}");
    remove_vpn(&lab);
    is_well(&ward.verdict(&[], &[]), "the VPN is gone");
    // Symptom: VPN cuts WSL, by addresses that are WSL's as well.
    add_vpn(&lab);
    host(&lab, "ip route add 172.28.48.0/24 via 10.8.0.1 dev cscotun0");
    finds(&ward.verdict(&[], &[]), "network-overlap");
    remove_vpn(&lab);
    // The same by an adapter with a better metric than the others.
    add_vpn(&lab);
    host(&lab, "ip route del default");
    host(&lab, &format!("ip route add default via {ROUTER} metric 100"));
    host(&lab, "ip route add default via 10.8.0.1 dev cscotun0 metric 1");
    finds(&ward.verdict(&[], &[]), "network-metric");
    remove_vpn(&lab);
    // The end of the virtual switch on Windows is dead.
    host(&lab, "ip link set vm down");
    let dead = ward.verdict(&[], &[]);
    assert!(dead.is("network-gateway") || dead.is("network-interface"), "{:#}", dead.json);
}

#[test]
fn a_proxy_without_effect_is_reported_with_the_cause() {
    let Some(mut lab) = lab_or_skip() else { return };
    let dns = lab.start_nat_dns().expect("dnsmasq");
    let proxy = format!("http://me:s3cret@{NAT_GATEWAY}:7890");
    {
        let ward = Ward::new(&lab);
        ward.wait_for_names();
        // Symptom: proxy set but without effect. It listens for Windows only.
        let local =
            python_server(&lab, Place::Windows, programs::HTTP_PROXY, &["127.0.0.1", "7890"], 7890);
        let variables = by_proxy(&proxy);
        let verdict = ward.verdict(&variables, &[]);
        finds(&verdict, "proxy-allow-lan");
        let report = ward.path("report.html");
        let text = ward.run(10, &variables, &["--report", &report, "--lang", "zh"]);
        let page = std::fs::read_to_string(&report).expect("a report");
        for said in [
            verdict.json.to_string(),
            verdict.complaints,
            text.stdout.clone(),
            text.stderr,
            page.clone(),
        ] {
            assert!(
                !said.contains("s3cret") && !said.contains("//me"),
                "it shows a secret: {said}"
            );
        }
        assert!(text.stdout.contains("代理") && page.contains("</html>"), "{}", text.stdout);
        drop(local);
        finds(&ward.verdict(&variables, &[]), "proxy-closed");
        // With 'Allow LAN' it works; a web server at its port is not a proxy, nor does it speak
        // SOCKS5.
        let open =
            python_server(&lab, Place::Windows, programs::HTTP_PROXY, &["0.0.0.0", "7890"], 7890);
        is_well(&ward.verdict(&variables, &[]), "the proxy is open");
        let socks = format!("socks5://{NAT_GATEWAY}:7890");
        finds(&ward.verdict(&by_proxy(&socks), &[]), "proxy-protocol");
        drop(open);
    }
    // With the VPN, only the proxy reaches the outside: there is no fault except for tools that
    // ignore the environment.
    lab.set_vpn(Vpn::On).expect("nft");
    drop(dns);
    let _open =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &["0.0.0.0", "7890"], 7890);
    let ward = Ward::new(&lab);
    let verdict = ward.verdict(&by_proxy(&proxy), &["--only", "proxy"]);
    assert_eq!(verdict.ids, Vec::<String>::new(), "{:#}", verdict.json);
    let verdict = ward.verdict(&by_proxy(&proxy), &["--only", "tools"]);
    assert!(verdict.ids.iter().any(|id| id == "tools-apt"), "apt has no proxy: {:#}", verdict.json);
}

#[test]
fn tools_with_dead_proxies_of_their_own_are_named() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // Symptom: `apt update` times out.
    ward.apt(&format!("Acquire::http::Proxy \"http://{NAT_GATEWAY}:9\";\n"));
    finds(&ward.verdict(&[], &[]), "tools-apt");
    ward.apt("");
    // Symptom: `git clone` hangs, over https.
    ward.home(".gitconfig", &format!("[http]\n\tproxy = http://{NAT_GATEWAY}:9\n"));
    finds(&ward.verdict(&[], &[]), "tools-git");
    ward.home(".gitconfig", "");
    // The same over ssh.
    ward.home(
        ".ssh/config",
        &format!("Host *\n  ProxyCommand nc -X connect -x {NAT_GATEWAY}:9 %h %p\n"),
    );
    finds(&ward.verdict(&[], &[]), "tools-ssh");
    ward.home(".ssh/config", "");
    ward.home(".npmrc", &format!("proxy=http://{NAT_GATEWAY}:9\n"));
    finds(&ward.verdict(&[], &[]), "tools-others");
    ward.home(".npmrc", "");
    is_well(&ward.verdict(&[], &[]), "none is left");
    // Symptom: WSL's address changed after a restart. The doctor recorded the old one in earlier
    // runs.
    ward.home(".bashrc", &format!("export http_proxy=http://{NAT_GATEWAY}:7890\n"));
    host(&lab, "ip addr flush dev vm");
    host(&lab, "ip addr add 172.30.0.1/20 dev vm");
    host(&lab, "nft add rule ip nat postrouting ip saddr 172.30.0.0/20 oifname uplink masquerade");
    ip(&lab, "addr flush dev eth0");
    ip(&lab, "addr add 172.30.0.2/20 dev eth0");
    ip(&lab, "route add default via 172.30.0.1");
    nameserver(&lab, SERVER);
    ward.wait_for_names();
    etc(&lab, Place::Windows, "resolv.conf", &format!("nameserver {SERVER}\n"));
    let verdict = ward.verdict(&[], &[]);
    finds(&verdict, "wsl-address");
    assert!(
        verdict.json["findings"][0]["evidence"].to_string().contains(".bashrc:1"),
        "{:#}",
        verdict.json
    );
    ward.home(".bashrc", "");
    is_well(&ward.verdict(&[], &[]), "no file names the old address any more");
}

#[test]
fn other_faults_in_the_vm_are_reported() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // Large packets are lost on the path, without an error.
    let clamp = "nft add rule inet fault forward iifname vm meta length > 1400 drop";
    host(&lab, "nft add table inet fault");
    host(&lab, "nft add chain inet fault forward { type filter hook forward priority filter ; }");
    host(&lab, clamp);
    let verdict = ward.verdict(&[], &[]);
    finds(&verdict, "network-mtu");
    assert_eq!(verdict.json["facts"]["probes"]["mtu"]["largest"], 1400, "{:#}", verdict.json);
    host(&lab, "nft delete table inet fault");
    // Half-configured IPv6: an address and a route, but no router.
    ip(&lab, "addr add 2001:db8:5::2/64 dev eth0 nodad");
    ip(&lab, "-6 route add default via 2001:db8:5::1 dev eth0");
    finds(&ward.verdict(&[], &["--outside", &format!("[{SERVER_V6}]:80")]), "network-ipv6");
    ip(&lab, "addr del 2001:db8:5::2/64 dev eth0");
    ip(&lab, "-6 route flush default");
    // The VM's own filter.
    for words in [
        "add table inet fault",
        "add chain inet fault output { type filter hook output priority filter ; policy drop ; }",
    ] {
        let _said = must(&lab, Place::Wsl, &format!("nft {words}"));
    }
    finds(&ward.verdict(&[], &[]), "network-filter");
    let _said = must(&lab, Place::Wsl, "nft delete table inet fault");
    // A second tunnel took the default route and died.
    ip(&lab, "tuntap add wsltap mode tap");
    ip(&lab, "addr add 192.168.127.2/24 dev wsltap");
    ip(&lab, "link set wsltap up");
    ip(&lab, "route replace default via 192.168.127.1 dev wsltap");
    let verdict = ward.verdict(&[], &[]);
    finds(&verdict, "network-other-tunnel");
    assert!(
        verdict.json["findings"][0]["cause"].to_string().contains("wsl-vpnkit"),
        "{:#}",
        verdict.json
    );
    ip(&lab, "link del wsltap");
    ip(&lab, &format!("route add default via {NAT_GATEWAY}"));
    // A network of Docker's that covers the nameserver.
    ip(&lab, "link add docker0 type bridge");
    ip(&lab, "addr add 203.0.113.1/24 dev docker0");
    ip(&lab, "link set docker0 up");
    nameserver(&lab, SERVER);
    let verdict = ward.verdict(&[], &["--only", "tools"]);
    finds(&verdict, "tools-docker-subnet");
    ip(&lab, "link del docker0");
    nameserver(&lab, NAT_GATEWAY);
    // resolv.conf is locked. Some file systems cannot lock a file.
    let file = format!("/etc/netns/{}/resolv.conf", lab.namespace(Place::Wsl));
    let locked = |flag: &str| {
        lab.run(Place::Internet, &["chattr", flag, &file]).is_ok_and(|done| done.succeeded())
    };
    if locked("+i") {
        let verdict = ward.verdict(&[], &[]);
        // Before any step that may fail: a locked file would keep the lab from being removed.
        assert!(locked("-i"), "chattr -i {file}");
        finds(&verdict, "dns-immutable");
    }
    // No default route, and then no interface.
    ip(&lab, "route del default");
    finds(&ward.verdict(&[], &[]), "network-default-route");
    ip(&lab, "link set eth0 down");
    finds(&ward.verdict(&[], &[]), "network-interface");
}

#[test]
fn what_windows_says_is_compared_with_what_is() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    ward.wslinfo("nat");
    ward.wslconfig("[wsl2]\nfirewall=false\n");
    hints(&ward.verdict(&[], &[]), "windows-firewall");
    ward.wslconfig("[wsl2]\ndnsTunneling=false\n");
    let verdict = ward.verdict(&[], &[]);
    assert!(verdict.problems().is_empty(), "{:#}", verdict.json);
    ward.wslconfig("[wsl2]\nnetworkingMode=mirrored\n");
    finds(&ward.verdict(&[], &[]), "wsl-mode");
    // A day slow.
    let long_ago =
        json!({ "facts": { "system": "Windows 10.0.22631" }, "unix_ms": 1_700_000_000_000_u64 });
    ward.relay_says(&long_ago);
    finds(&ward.verdict(&[], &[]), "wsl-clock");
    // Without Windows the doctor still checks the rest, and says so.
    let missing = ward.verdict(&[], &["--relay", "/nonexistent/relay"]);
    assert!(missing.ids.is_empty() && missing.code == Some(0), "{:#}", missing.json);
    assert_eq!(missing.json["facts"]["windows"], Value::Null);
    assert!(missing.complaints.contains("Windows could not be queried"), "{}", missing.complaints);
    // Without privileges it checks what it may, and lists what it did not check.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let unprivileged = ward.run_by(&nobody, 10, &[], &["--json"]);
    let said: Value = serde_json::from_str(&unprivileged.stdout)
        .unwrap_or_else(|error| panic!("{error}: {unprivileged:?}"));
    assert_eq!((unprivileged.code, &said["findings"]), (Some(0), &json!([])), "{said:#}");
    assert!(unprivileged.stderr.contains("requires root"), "{}", unprivileged.stderr);
    // An unknown area, host or language is an error of the command line.
    for wrong in [["--only", "nonsense"], ["--outside", "nowhere"], ["--lang", "fr"]] {
        assert_eq!(ward.run(10, &[], &wrong).code, Some(2), "{wrong:?}");
    }
    let help = ward.run(10, &[], &["--help"]);
    assert!(
        help.stdout.contains("Examples:") && help.stdout.contains("underpass doctor --company"),
        "{}",
        help.stdout
    );
    assert_eq!(uplink_address(&verdict), HOST, "the lab's relay names the host");
}

/// The address of the host's adapter to the outside, according to the facts.
fn uplink_address(verdict: &DoctorRun) -> String {
    let adapters = verdict.json["facts"]["windows"]["host"]["adapters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let uplink =
        adapters.iter().find(|adapter| adapter["name"] == "uplink").cloned().unwrap_or_default();
    let addresses = uplink["addresses"].as_array().cloned().unwrap_or_default();
    let text = addresses.first().and_then(Value::as_str).unwrap_or_default().to_owned();
    text.split('/').next().unwrap_or_default().to_owned()
}

#[test]
fn in_wsl_windows_is_asked_by_its_own_relay_and_interop_is_looked_at() {
    let Some((mut lab, interop)) = windows_lab() else { return };
    lab.set_vpn(Vpn::Off).expect("nft");
    let _dns = lab.start_nat_dns().expect("dnsmasq");
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let command = format!(
        "mkdir -p /tmp/home && HOME=/tmp/home exec {}/underpass doctor --json --only wsl --relay {} --outside {SERVER}:80 \
         --public-name {SERVER_NAME} --public-dns {SERVER}",
        programs_folder().display(),
        windows_relay().display(),
    );
    let verdict_in = |distro: &Running| -> Value {
        let done = distro.sh(&command);
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("doctor: {error}: {done:?}"))
    };
    let ids = |verdict_in: &Value| -> Vec<String> {
        let findings = verdict_in["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().filter_map(|finding| Some(finding["id"].as_str()?.to_owned())).collect()
    };
    {
        let distro = wsl.start(&Distro::machine());
        let mut last = Value::Null;
        // A first Windows program may take longer here than the doctor waits.
        let well = until(3 * PATIENCE, || {
            last = verdict_in(&distro);
            ids(&last).is_empty() && last["facts"]["interop"]["run"].get("ok").is_some()
        });
        assert!(well, "{last:#}");
        let windows = &last["facts"]["windows"]["host"];
        assert!(
            windows["system"].as_str().is_some_and(|system| system.starts_with("Windows ")),
            "{windows:#}"
        );
        let asks = last["facts"]["probes"]["dns"].as_array().cloned().unwrap_or_default();
        let of_windows = asks
            .iter()
            .find(|ask| ask["asked"] == "windows")
            .expect("Windows was asked for the name");
        assert!(of_windows["answer"].get("addresses").is_some(), "{of_windows}");
        assert_eq!(last["facts"]["mode"]["by_wslinfo"], "nat");
    }
    let off = wsl.start(&Distro::machine().named("off").with_conf("[interop]\nenabled=false\n"));
    assert_eq!(ids(&verdict_in(&off)), ["wsl-interop"]);
    drop(off);
    interop.forget_entry();
    let without = wsl.start(&Distro::machine().named("without"));
    let said = verdict_in(&without);
    assert_eq!(ids(&said), ["wsl-interop-entry"], "{said:#}");
    assert_eq!(ids(&verdict_in(&without)), ["wsl-interop-entry"], "a doctor repairs nothing");
}
