//! `underpass doctor` says that all is well only where every step is: settings as programs read them, not
//! more kindly. Each fault is made in the lab, the doctor is run, and its verdict is read.

use lab::addresses::NAT_GATEWAY;
use lab::doctor::{Verdict, Ward};
use lab::scene::python_server;
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
