//! `underpass doctor` says that all is well only where every step is: settings as programs read them, not
//! more kindly. Each fault is made in the lab, the doctor is run, and its verdict is read.

use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME};
use lab::doctor::{Verdict, Ward};
use lab::modes::ip;
use lab::scene::{etc, python_server};
use lab::{Lab, Place, Process, lab_or_skip, programs};

/// A VM behind NAT in which all is well.
fn nat(lab: &Lab) -> (Ward<'_>, Process) {
    let dns = lab.start_nat_dns().expect("dnsmasq");
    let ward = Ward::new(lab);
    ward.wait_for_names();
    (ward, dns)
}

#[track_caller]
fn finds(verdict: &Verdict, id: &str) {
    assert_eq!(verdict.problems(), [id], "{:#}", verdict.json);
    assert_eq!((verdict.code, &verdict.json["well"]), (Some(1), &false.into()), "{id}: {}", verdict.complaints);
}

#[test]
fn a_proxy_that_works_is_not_enough_where_programs_read_its_setting_otherwise() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let _proxy = python_server(&lab, Place::Windows, programs::HTTP_PROXY, &[NAT_GATEWAY, "7890"], 7890);
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
            None => assert_eq!((verdict.code, verdict.ids.len()), (Some(0), 0), "{value}: {:#}", verdict.json),
        }
    }
}

#[test]
fn resolv_conf_is_read_as_the_c_library_reads_it() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    // Windows' line ends: the C library takes the CR for a part of the address.
    etc(&lab, Place::Wsl, "resolv.conf", &format!("nameserver {NAT_GATEWAY}\r\noptions timeout:1 attempts:1\r\n"));
    finds(&ward.verdict(&[], &[]), "dns-line-ends");
    // A server at an address that means something at one interface only.
    ip(&lab, "link add zone0 type veth peer name zone1");
    ip(&lab, "link set zone0 up");
    ip(&lab, "link set zone1 up");
    ip(&lab, "addr add fe80::53/64 dev zone0 nodad");
    let record = format!("--host-record={SERVER_NAME},{SERVER}");
    let words = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"];
    let rest =
        ["--no-resolv", "--no-hosts", "--bind-interfaces", "--except-interface=lo", "--interface=zone0", &record];
    let _server = lab.start(Place::Wsl, &[&words[..], &rest[..]].concat()).expect("dnsmasq");
    etc(&lab, Place::Wsl, "resolv.conf", "nameserver fe80::53%zone0\noptions timeout:1 attempts:1\n");
    ward.wait_for_names();
    let verdict = ward.verdict(&[], &[]);
    assert_eq!((verdict.code, verdict.ids.len()), (Some(0), 0), "{:#}", verdict.json);
    let asks = verdict.json["facts"]["probes"]["dns"].as_array().expect("a list");
    let of_server = asks.iter().find(|ask| ask["asked"]["nameserver"] == "fe80::53%zone0").expect("it is asked");
    assert!(of_server["answer"].get("addresses").is_some(), "{of_server}");
}
