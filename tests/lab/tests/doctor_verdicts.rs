//! `underpass doctor` reports no fault only if every step works: it reads settings as programs do,
//! not more kindly. The test makes each fault in the lab, runs the doctor, and reads its verdict.

use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME};
use lab::doctor::{DoctorRun, Ward};
use lab::modes::ip;
use lab::scene::{PATIENCE, etc, http_server, must, python_server};
use lab::{Lab, Place, Process, lab_or_skip, programs, until};

/// A VM behind NAT without a fault.
fn nat(lab: &Lab) -> (Ward<'_>, Process) {
    let dns = lab.start_nat_dns().expect("dnsmasq");
    let ward = Ward::new(lab);
    ward.wait_for_names();
    (ward, dns)
}

#[track_caller]
fn finds(verdict: &DoctorRun, id: &str) {
    assert_eq!(verdict.problems(), [id], "{:#}", verdict.json);
    assert_eq!(
        (verdict.code, &verdict.json["well"]),
        (Some(1), &false.into()),
        "{id}: {}",
        verdict.complaints
    );
}

#[test]
fn a_proxy_that_works_is_not_enough_where_programs_read_its_setting_otherwise() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let _proxy =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &[NAT_GATEWAY, "7890"], 7890);
    let good = format!("http://{NAT_GATEWAY}:7890");
    for (value, no_proxy, found) in [
        (good.clone(), None, None),
        (format!("https://{NAT_GATEWAY}:7890"), None, Some("proxy-tls")),
        (format!("{NAT_GATEWAY}:7890"), None, Some("proxy-scheme")),
        (format!(" {good}"), None, Some("proxy-blank")),
        (good.clone(), Some("*"), Some("proxy-excluded")),
    ] {
        let mut variables = vec![("https_proxy", value.as_str()), ("HTTPS_PROXY", value.as_str())];
        variables.extend(no_proxy.map(|value| ("no_proxy", value)));
        let verdict = ward.verdict(&variables, &[]);
        match found {
            Some(id) => finds(&verdict, id),
            None => assert_eq!(
                (verdict.code, verdict.ids.len()),
                (Some(0), 0),
                "{value}: {:#}",
                verdict.json
            ),
        }
    }
}

#[test]
fn resolv_conf_is_read_as_the_c_library_reads_it() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // Windows' line ends: the C library takes the CR for a part of the address.
    etc(
        &lab,
        Place::Wsl,
        "resolv.conf",
        &format!("nameserver {NAT_GATEWAY}\r\noptions timeout:1 attempts:1\r\n"),
    );
    mends(&lab, &ward, "dns-line-ends", &[]);
    // A server at an address that is valid on one interface only.
    ip(&lab, "link add zone0 type veth peer name zone1");
    ip(&lab, "link set zone0 up");
    ip(&lab, "link set zone1 up");
    ip(&lab, "addr add fe80::53/64 dev zone0 nodad");
    let record = format!("--host-record={SERVER_NAME},{SERVER}");
    let words =
        ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"];
    let rest = [
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        "--except-interface=lo",
        "--interface=zone0",
        &record,
    ];
    let _server = lab.start(Place::Wsl, &[&words[..], &rest[..]].concat()).expect("dnsmasq");
    etc(
        &lab,
        Place::Wsl,
        "resolv.conf",
        "nameserver fe80::53%zone0\noptions timeout:1 attempts:1\n",
    );
    ward.wait_for_names();
    let verdict = ward.verdict(&[], &[]);
    assert_eq!((verdict.code, verdict.ids.len()), (Some(0), 0), "{:#}", verdict.json);
    let asks = verdict.json["facts"]["probes"]["dns"].as_array().expect("a list");
    let of_server = asks
        .iter()
        .find(|ask| ask["asked"]["nameserver"] == "fe80::53%zone0")
        .expect("it is queried");
    assert!(of_server["answer"].get("addresses").is_some(), "{of_server}");
}

/// The lab's user is root, and may not have sudo; its files are mounted over the machine's, so that
/// no file can be replaced, as `sed -i` does.
const STAND_INS: &str = r#"
sudo() { "$@"; }
sed() {
    for file; do :; done
    [ "$1" = -i ] || exec sed "$@"
    shift
    text=$(command sed "$@") && printf '%s\n' "$text" >"$file"
}
"#;

/// Runs the commands of a finding's first fix for a shell of the VM, like a user who pastes them.
fn paste(lab: &Lab, verdict: &DoctorRun, id: &str) {
    let findings = verdict.json["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|finding| finding["id"] == id).expect("it was found");
    let steps = finding["fix"].as_array().expect("a list");
    let commands =
        steps.iter().find(|step| step["run"]["shell"] == "linux").expect("it has commands");
    let lines = commands["run"]["lines"].as_array().expect("a list");
    let lines: Vec<&str> = lines.iter().filter_map(|line| line.as_str()).collect();
    let script = format!("{STAND_INS}set -e\n{}", lines.join("\n"));
    let done = lab.run(Place::Wsl, &["sh", "-c", &script]).expect("a shell");
    assert!(done.succeeded(), "{lines:?}: {done:?}");
}

/// Finds a fault, follows its fix, and finds no fault.
#[track_caller]
fn mends(lab: &Lab, ward: &Ward<'_>, id: &str, options: &[&str]) {
    let verdict = ward.verdict(&[], options);
    finds(&verdict, id);
    paste(lab, &verdict, id);
    let after = ward.verdict(&[], options);
    assert_eq!((after.code, after.ids.len()), (Some(0), 0), "{id}: {:#}", after.json);
}

#[test]
fn faults_of_the_vm_itself_are_not_blamed_on_others_and_the_fix_works() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, dns) = nat(&lab);
    // A rule that refuses, and tables that do.
    ip(&lab, "rule add priority 100 unreachable");
    mends(&lab, &ward, "network-rule", &[]);
    for kind in ["unreachable", "prohibit", "blackhole"] {
        ip(&lab, "rule add priority 100 lookup 77");
        ip(&lab, &format!("route add {kind} default table 77"));
        mends(&lab, &ward, "network-rule", &[]);
        ip(&lab, "rule del priority 100");
    }
    // A second default route, to a router that does not exist.
    ip(&lab, "route del default");
    ip(&lab, &format!("route add default via {NAT_GATEWAY} metric 100"));
    ip(&lab, "route add default via 172.28.63.254 dev eth0 metric 10");
    mends(&lab, &ward, "network-second-route", &[]);
    // A name of the company's in /etc/hosts with an old address.
    drop(dns);
    let _dns = nameserver(
        &lab,
        &[&format!("{SERVER_NAME},{SERVER}"), &format!("git.corp.test,{SERVER}")],
        SERVER,
    );
    let _git = http_server(&lab, Place::Internet, SERVER, 443, "git");
    etc(
        &lab,
        Place::Wsl,
        "hosts",
        "127.0.0.1 localhost\n192.0.2.99 git.corp.test\n::1 localhost\n",
    );
    mends(&lab, &ward, "dns-hosts-file", &["--company", "git.corp.test"]);
}

/// The nameserver at the NAT gateway's address with these records, once it returns the name's
/// address.
fn nameserver(lab: &Lab, records: &[&str], address: &str) -> Process {
    let words =
        ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"];
    let listen = format!("--listen-address={NAT_GATEWAY}");
    let records: Vec<String> =
        records.iter().map(|record| format!("--host-record={record}")).collect();
    let rest = ["--no-resolv", "--no-hosts", "--bind-interfaces", "--except-interface=lo", &listen];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let server = lab
        .start(Place::Windows, &[&words[..], &rest[..], &records[..]].concat())
        .expect("dnsmasq");
    let answer = || {
        lab.run(Place::Wsl, &["getent", "ahosts", SERVER_NAME])
            .map(|done| done.stdout)
            .unwrap_or_default()
    };
    assert!(until(PATIENCE, || answer().contains(address)), "{}", answer());
    server
}

#[test]
fn a_dead_first_server_is_taken_out_and_no_other() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // The address of the dead one begins like that of the other.
    let dead = &NAT_GATEWAY[..NAT_GATEWAY.len() - 1];
    assert!(dead.ends_with('.'), "{dead}");
    let lines = format!(
        "nameserver\t{dead}9\nnameserver {NAT_GATEWAY}\nnameserver {dead}99\noptions timeout:1 attempts:1\n"
    );
    etc(&lab, Place::Wsl, "resolv.conf", &lines);
    mends(&lab, &ward, "dns-first-server", &[]);
    let left = must(&lab, Place::Wsl, "cat /etc/resolv.conf");
    assert_eq!(
        left,
        format!("nameserver {NAT_GATEWAY}\nnameserver {dead}99\noptions timeout:1 attempts:1\n")
    );
}

#[test]
fn a_nameserver_that_lies_is_found_out() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, dns) = nat(&lab);
    drop(dns);
    let _liar = nameserver(&lab, &[&format!("{SERVER_NAME},127.0.0.1")], "127.0.0.1");
    finds(&ward.verdict(&[], &[]), "dns-lie");
}
