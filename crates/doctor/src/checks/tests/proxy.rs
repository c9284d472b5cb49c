//! Step 4: proxies of the environment, and proxies that are missing.

use crate::checks::judge;
use crate::facts::*;
use crate::finding::{Area, Severity};
use crate::sample::*;
use crate::steps::StepOutcome as Answered;
use crate::way::{HopState, Place};
use wire::facts::Proxy;

const GATEWAY_PROXY: &str = "http://172.28.48.1:7890";

/// A proxy on Windows that listens for Windows only.
fn for_windows_only() -> Facts {
    let mut facts = nat();
    shut_proxy(&mut facts, GATEWAY_PROXY).on_windows_loopback = OK;
    facts
}

fn at_loopback() -> Facts {
    let mut facts = nat();
    shut_proxy(&mut facts, "http://127.0.0.1:7890");
    facts
}

fn not_running() -> Facts {
    let mut facts = nat();
    shut_proxy(&mut facts, GATEWAY_PROXY).on_windows_loopback = failed(Why::Refused);
    facts
}

fn unknown_name() -> Facts {
    let mut facts = nat();
    let probe = shut_proxy(&mut facts, "http://proxy.corp.example:3128");
    probe.address = None;
    probe.resolved = failed(Why::NameUnknown);
    probe.opened = Outcome::NotTried;
    facts
}

fn unreadable() -> Facts {
    let mut facts = nat();
    let probe = shut_proxy(&mut facts, "http://172.28.48.1:7890");
    let words = "its port is missing".to_owned();
    *probe = ProxyProbe {
        value: probe.value.clone(),
        resolved: Outcome::Failed { why: Why::Other, detail: words },
        ..ProxyProbe::default()
    };
    facts
}

fn set(facts: &mut Facts, value: &str, change: impl FnOnce(&mut ProxyProbe)) {
    proxy(facts, "https_proxy", value);
    change(proxy(facts, "HTTPS_PROXY", value));
}

fn other_protocol() -> Facts {
    let mut facts = nat();
    set(&mut facts, GATEWAY_PROXY, |probe| {
        probe.http = failed(Why::WrongProtocol);
        probe.socks5 = OK;
        probe.request = failed(Why::WrongProtocol);
    });
    facts
}

fn neither_protocol() -> Facts {
    let mut facts = other_protocol();
    facts.probes.proxies[0].socks5 = failed(Why::WrongProtocol);
    facts
}

fn without_login() -> Facts {
    let mut facts = nat();
    set(&mut facts, GATEWAY_PROXY, |probe| {
        probe.http = failed(Why::Authentication);
        probe.request = failed(Why::Authentication);
    });
    facts
}

fn without_node() -> Facts {
    let mut facts = nat();
    set(&mut facts, GATEWAY_PROXY, |probe| {
        probe.request =
            Outcome::Failed { why: Why::ProxyRefused, detail: "502 Bad Gateway".to_owned() };
    });
    facts
}

/// Only a proxy leads out, Windows knows of it, WSL does not.
fn needed() -> Facts {
    let mut facts = nat();
    cut(&mut facts);
    tried(&mut facts, Subject::Outside, Method::Tcp, Whence::Windows, failed(Why::TimedOut));
    windows(&mut facts).host.user_proxy =
        Some(Proxy { proxy: Some("proxy.corp.example:3128".to_owned()), ..Proxy::default() });
    facts
}

fn system_proxy_off() -> Facts {
    let mut facts = nat();
    wslconfig(&mut facts, "[wsl2]\nautoProxy=true\n");
    for whence in [Whence::Vm, Whence::Windows] {
        tried(&mut facts, Subject::Outside, Method::Tcp, whence, failed(Why::TimedOut));
    }
    facts
}

fn one_spelling() -> Facts {
    let mut facts = nat();
    proxy(&mut facts, "HTTPS_PROXY", GATEWAY_PROXY);
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![
        for_windows_only(),
        at_loopback(),
        not_running(),
        unknown_name(),
        unreadable(),
        other_protocol(),
        neither_protocol(),
        without_login(),
        without_node(),
        needed(),
        system_proxy_off(),
        one_spelling(),
        written(" http://172.28.48.1:7890"),
        written("172.28.48.1:7890"),
        tls_that_is_none(),
        excluded(),
        written("http://172.28.48.1"),
        at_a_nameserver(),
    ]
}

fn proxy_is(facts: &Facts, state: HopState) {
    let diagnosis = judge(facts, None);
    assert_eq!(diagnosis.way.iter().find(|hop| hop.place == Place::Proxy).unwrap().state, state);
}

#[test]
fn a_proxy_for_windows_only_wants_allow_lan() {
    let text = said(&only(&for_windows_only(), "proxy-allow-lan"));
    for part in [
        "Allow LAN",
        "172.28.48.1:7890 refuses",
        "port 7890 is open at 127.0.0.1",
        "New-NetFirewallRule",
        "-LocalPort 7890",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("198.18."), "there is no tunnel to go by: {text}");
    proxy_is(&for_windows_only(), HopState::Troubled);
    // Windows' own setting shows that it listens there.
    let mut by_setting = for_windows_only();
    by_setting.probes.proxies[0].on_windows_loopback = Outcome::NotTried;
    windows(&mut by_setting).host.user_proxy =
        Some(Proxy { proxy: Some("127.0.0.1:7890".to_owned()), ..Proxy::default() });
    let text = said(&only(&by_setting, "proxy-allow-lan"));
    assert!(text.contains("Windows' own proxy setting is 127.0.0.1:7890"), "{text}");
    // Nothing is known of it: it is not claimed.
    let mut guessed = for_windows_only();
    guessed.probes.proxies[0].on_windows_loopback = Outcome::NotTried;
    let text = said(&only(&guessed, "proxy-allow-lan"));
    assert!(text.contains("or the program is not running"), "{text}");
    // At another of Windows' addresses.
    let mut wifi = nat();
    shut_proxy(&mut wifi, "http://192.168.1.23:7890").on_windows_loopback = OK;
    only(&wifi, "proxy-allow-lan");
    // It opens.
    let mut well = nat();
    set(&mut well, GATEWAY_PROXY, |_| ());
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn by_the_tunnel_no_allow_lan_is_needed() {
    let mut facts = with_tunnel(nat());
    shut_proxy(&mut facts, GATEWAY_PROXY).on_windows_loopback = OK;
    let text = said(&only(&facts, "proxy-allow-lan"));
    assert!(text.contains("underpass proxy on --host 198.18.64.3 --port 7890"), "{text}");
}

#[test]
fn loopback_is_the_vm_itself_but_in_mirrored_mode() {
    let text = said(&only(&at_loopback(), "proxy-loopback"));
    assert!(
        text.contains("In NAT mode 127.0.0.1 is the VM itself")
            && text.contains("underpass proxy on --port 7890"),
        "{text}"
    );
    let mut mirrored = mirrored();
    shut_proxy(&mut mirrored, "http://127.0.0.1:7890").on_windows_loopback = failed(Why::Refused);
    let text = said(&only(&mirrored, "proxy-closed"));
    assert!(text.contains("No program on Windows listens on that port"), "{text}");
    // A proxy in the VM is as good as any.
    let mut own = nat();
    set(&mut own, "http://127.0.0.1:7890", |_| ());
    assert_eq!(ids(&own), [""; 0]);
}

#[test]
fn a_proxy_that_does_not_run_or_has_no_name_is_reported_as_that() {
    let text = said(&only(&not_running(), "proxy-closed"));
    assert!(text.contains("No program on Windows listens on that port"), "{text}");
    assert!(
        text.ends_with("unset https_proxy HTTPS_PROXY"),
        "they were not set by `proxy on`: {text}"
    );
    let mut ours = not_running();
    ours.proxies.iter_mut().for_each(|setting| setting.is_ours = true);
    let text = said(&only(&ours, "proxy-closed"));
    assert!(text.ends_with("eval \"$(underpass proxy off)\""), "{text}");
    // The line of a start file that sets them is named.
    let mut set = not_running();
    let text = "export https_proxy=http://172.28.48.1:7890".to_owned();
    let (file, variable) = ("/home/li/.bashrc".to_owned(), "https_proxy".to_owned());
    set.start_lines.push(StartLine { file, line: 7, variable, text });
    let text = said(&only(&set, "proxy-closed"));
    assert!(
        text.contains("Line 7 of /home/li/.bashrc sets it") && text.contains("Also remove line 7"),
        "{text}"
    );
    // A proxy that was found elsewhere is the one that is set.
    let found = ProxyProbe {
        value: "socks5://172.28.48.1:10808".to_owned(),
        host: "172.28.48.1".to_owned(),
        address: Some(address("172.28.48.1")),
        port: 10808,
        request: OK,
        ..ProxyProbe::default()
    };
    let mut other = not_running();
    other.probes.listening.push(found);
    let text = said(&only(&other, "proxy-closed"));
    assert!(text.contains("eval \"$(underpass proxy on --scheme socks5 --port 10808)\""), "{text}");
    let mut elsewhere = nat();
    shut_proxy(&mut elsewhere, "http://192.0.2.80:3128");
    assert!(
        said(&only(&elsewhere, "proxy-closed")).contains("192.0.2.80:3128 refuses the connection")
    );
    assert!(
        said(&only(&unreadable(), "proxy-setting"))
            .contains("It is not a usable proxy: its port is missing")
    );
    assert!(
        said(&only(&unknown_name(), "proxy-name")).contains("Resolve-DnsName proxy.corp.example")
    );
}

#[test]
fn the_protocol_must_be_the_one_that_is_set() {
    let text = said(&only(&other_protocol(), "proxy-protocol"));
    assert!(
        text.contains("does not speak HTTP")
            && text.contains("proxy on --scheme socks5 --port 7890"),
        "{text}"
    );
    assert!(
        said(&only(&neither_protocol(), "proxy-protocol"))
            .contains("neither HTTP CONNECT nor SOCKS5")
    );
    let mut socks = nat();
    set(&mut socks, "socks5://172.28.48.1:7890", |probe| {
        probe.socks5 = failed(Why::WrongProtocol);
        probe.http = OK;
        probe.request = failed(Why::WrongProtocol);
    });
    let text = said(&only(&socks, "proxy-protocol"));
    assert!(text.contains("proxy on --port 7890") && !text.contains("--scheme"), "{text}");
    // What refuses to be of use to this user speaks the protocol.
    only(&without_login(), "proxy-login");
}

#[test]
fn a_proxy_that_refuses_or_has_no_way_out_is_reported_as_that() {
    let text = said(&only(&without_login(), "proxy-login"));
    assert!(text.contains("export HTTPS_PROXY='http://USER:PASSWORD@172.28.48.1:7890'"), "{text}");
    let text = said(&only(&without_node(), "proxy-request"));
    assert!(text.contains("502 Bad Gateway") && text.contains("underpass proxy test"), "{text}");
    // One variable's proxy works, another's does not.
    let mut two = without_node();
    for key in ["http_proxy", "HTTP_PROXY"] {
        proxy(&mut two, key, "http://192.0.2.80:3128");
    }
    only(&two, "proxy-request");
    // Nothing works: the proxy is where the way ends.
    let mut all = without_node();
    tried(&mut all, Subject::Outside, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    assert!(ids(&all).contains(&"proxy-request"));
    proxy_is(&all, HopState::Broken);
}

#[test]
fn where_only_a_proxy_leads_out_one_must_be_set() {
    let text = said(&only(&needed(), "proxy-needed"));
    for part in ["proxy.corp.example:3128", "underpass proxy on --from windows", "up --via windows"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    // An exception from proxies is not a proxy.
    let mut exceptions = needed();
    exceptions.proxies.push(ProxySetting::new(Tool::Environment, None, "NO_PROXY", "localhost"));
    only(&exceptions, "proxy-needed");
    let mut off = needed();
    wslconfig(&mut off, "[wsl2]\nautoProxy=false\n");
    let text = said(&only(&off, "proxy-needed"));
    assert!(text.contains("is off") && text.contains("autoProxy=true"), "{text}");
    let mut local = needed();
    windows(&mut local).host.user_proxy.as_mut().unwrap().proxy =
        Some("http=127.0.0.1:7890;https=127.0.0.1:7890".to_owned());
    let text = said(&only(&local, "proxy-needed"));
    assert!(
        text.contains("does not pass such a setting on in NAT mode")
            && text.contains("networkingMode=mirrored"),
        "{text}"
    );
    // By a script.
    let mut pac = needed();
    windows(&mut pac).host.user_proxy = Some(Proxy {
        pac_url: Some("http://pac.corp.example/a.pac".to_owned()),
        ..Proxy::default()
    });
    assert!(said(&only(&pac, "proxy-needed")).contains("a.pac"));
    // It works without: what Windows does is its own affair.
    let mut well = nat();
    windows(&mut well).host.user_proxy = needed().windows.unwrap().host.user_proxy;
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn auto_proxy_needs_a_system_proxy() {
    assert_eq!(ids(&system_proxy_off()), ["windows-offline", "proxy-system"]);
    let finding = judge(&system_proxy_off(), None).findings.remove(1);
    assert!(said(&finding).contains("'System Proxy'"));
    let mut unasked = system_proxy_off();
    wslconfig(&mut unasked, "");
    assert_eq!(ids(&unasked), ["windows-offline"]);
    let mut without = system_proxy_off();
    tried(&mut without, Subject::Outside, Method::Tcp, Whence::Windows, OK);
    assert_eq!(ids(&without), ["network-tcp"]);
    let mut well = nat();
    wslconfig(&mut well, "[wsl2]\nautoProxy=true\n");
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn one_spelling_of_a_variable_is_a_hint() {
    let finding = only(&one_spelling(), "proxy-spelling");
    assert_eq!(finding.severity, Severity::Hint);
    assert!(said(&finding).contains("HTTPS_PROXY is set, but https_proxy is not"));
    let mut other = nat();
    proxy(&mut other, "http_proxy", GATEWAY_PROXY);
    assert!(
        said(&only(&other, "proxy-spelling")).contains("http_proxy is set, but HTTP_PROXY is not")
    );
}

/// The start file of much advice, with DNS tunneling.
fn at_a_nameserver() -> Facts {
    let mut facts = nat();
    shut_proxy(&mut facts, "http://10.255.255.254:7890");
    facts.start_lines = [
        ("WINDOWS_HOST", "$(grep nameserver /etc/resolv.conf | cut -d' ' -f2)"),
        ("https_proxy", "x"),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (variable, value))| StartLine {
        file: "/home/li/.bashrc".to_owned(),
        line: index + 2,
        variable: variable.to_owned(),
        text: format!("export {variable}={value}"),
    })
    .collect();
    facts
}

#[test]
fn a_nameserver_is_not_the_windows_host() {
    let facts = at_a_nameserver();
    let text = said(&only(&facts, "proxy-nameserver"));
    for part in [
        "Line 2 of /home/li/.bashrc reads WINDOWS_HOST from resolv.conf",
        "Line 3 of /home/li/.bashrc sets it",
        "The value contains 10.255.255.254",
        "sed -i --follow-symlinks '2{/resolv\\.conf/s/=.*/=\"$(underpass host)\"/}' /home/li/.bashrc",
        "unset https_proxy HTTPS_PROXY",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A line that does more is left to an editor.
    let mut more = at_a_nameserver();
    more.start_lines[0].text += "; echo $WINDOWS_HOST";
    let text = said(&only(&more, "proxy-nameserver"));
    assert!(
        text.contains("line 2, take the address from `$(underpass host)`") && !text.contains("sed"),
        "{text}"
    );
    // Two nameservers.
    let mut two = at_a_nameserver();
    let text = "nameserver 10.255.255.254\nnameserver 172.28.48.1\n";
    two.resolv_conf.text = Some(text.to_owned());
    let value = "http://10.255.255.254\n172.28.48.1:7890";
    for setting in &mut two.proxies {
        value.clone_into(&mut setting.value);
    }
    let probe = &mut two.probes.proxies[0];
    *probe = ProxyProbe {
        value: value.to_owned(),
        resolved: failed(Why::Other),
        ..ProxyProbe::default()
    };
    let text = said(&only(&two, "proxy-nameserver"));
    assert!(text.contains("The value contains 10.255.255.254, 172.28.48.1"), "{text}");
    // At the gateway it is Windows that is asked, and the port that is wrong.
    let mut gateway = windows_10();
    shut_proxy(&mut gateway, "http://172.28.48.1:7890").on_windows_loopback = failed(Why::Refused);
    only(&gateway, "proxy-closed");
}

#[test]
fn without_a_port_programs_differ() {
    let text = said(&only(&written("http://172.28.48.1"), "proxy-port"));
    assert!(text.ends_with("export HTTPS_PROXY='http://172.28.48.1:7890'"), "{text}");
}

/// A setting of both spellings of `https_proxy` that a proxy stands behind, written in an odd way.
fn written(value: &str) -> Facts {
    let mut facts = nat();
    set(&mut facts, GATEWAY_PROXY, |_| ());
    for setting in &mut facts.proxies {
        value.clone_into(&mut setting.value);
    }
    value.clone_into(&mut facts.probes.proxies[0].value);
    facts
}

fn tls_that_is_none() -> Facts {
    let mut facts = written("https://172.28.48.1:7890");
    facts.probes.proxies[0].tls = failed(Why::WrongProtocol);
    facts
}

fn star(value: &str) -> ProxySetting {
    ProxySetting::new(Tool::Environment, None, "no_proxy", value)
}

fn excluded() -> Facts {
    let mut facts = nat();
    set(&mut facts, GATEWAY_PROXY, |_| ());
    facts.proxies.push(star("*"));
    facts
}

#[test]
fn a_proxy_that_works_is_no_use_where_programs_do_not_take_its_setting() {
    let bare = written("172.28.48.1:7890");
    for (mut facts, id, is_taken) in [
        (written(" http://172.28.48.1:7890"), "proxy-blank", false),
        (written("http://172.28.48.1:7890\t"), "proxy-blank", false),
        (tls_that_is_none(), "proxy-tls", false),
        (bare, "proxy-scheme", true),
    ] {
        let text = said(&only(&facts, id));
        assert!(
            text.ends_with(
                "export https_proxy='http://172.28.48.1:7890'\nexport HTTPS_PROXY='http://172.28.48.1:7890'"
            ),
            "{text}"
        );
        assert!(!judge(&facts, None).is_well(), "{id}");
        // Where nothing else leads out, the way is cut unless some programs take it.
        for method in [Method::Icmp, Method::Tcp] {
            tried(&mut facts, Subject::Outside, method, Whence::Vm, failed(Why::TimedOut));
        }
        let outside = judge(&facts, None).steps[0].result;
        assert_eq!(outside == Answered::Yes, is_taken, "{id}: {outside:?}");
    }
    // A name and a password stay where they are.
    let mut secret = written(" http://me:pw@172.28.48.1:7890");
    secret.probes.proxies[0].value = " http://me:pw@172.28.48.1:7890".to_owned();
    let text = said(&only(&secret, "proxy-blank"));
    assert!(
        text.contains("'http://USER:PASSWORD@172.28.48.1:7890'") && !text.contains("pw@"),
        "{text}"
    );
}

#[test]
fn whether_a_proxy_that_speaks_tls_leads_out_is_not_known() {
    let mut facts = written("https://172.28.48.1:7890");
    let probe = &mut facts.probes.proxies[0];
    (probe.tls, probe.http, probe.socks5, probe.request) =
        (OK, Outcome::NotTried, Outcome::NotTried, Outcome::NotTried);
    let diagnosis = judge(&facts, None);
    assert_eq!((diagnosis.findings.len(), diagnosis.steps[3].result), (0, Answered::Unknown));
    assert!(!diagnosis.is_well() && !judge(&facts, Some(Area::Proxy)).is_well());
    // With another area alone the doctor says so.
    assert!(judge(&facts, Some(Area::Dns)).is_well());
}

#[test]
fn a_star_excepts_every_host_from_the_proxy() {
    let mut facts = excluded();
    let text = said(&only(&facts, "proxy-excluded"));
    assert!(
        text.contains("The variable no_proxy is *.") && text.ends_with("unset no_proxy NO_PROXY"),
        "{text}"
    );
    // curl and Python take it as a whole value only.
    facts.proxies.last_mut().unwrap().value = "*.corp.example".to_owned();
    assert_eq!(ids(&facts), [""; 0]);
    // Without a proxy it excepts nothing.
    let mut none = nat();
    none.proxies.push(star("*"));
    assert_eq!(ids(&none), [""; 0]);
    // Where only a proxy leads out, nothing does.
    let mut cut_off = nat();
    cut(&mut cut_off);
    set(&mut cut_off, GATEWAY_PROXY, |_| ());
    assert_eq!(judge(&cut_off, None).steps[0].result, Answered::Yes);
    cut_off.proxies.push(star("*"));
    assert_eq!(judge(&cut_off, None).steps[0].result, Answered::No);
    assert!(ids(&cut_off).contains(&"proxy-excluded"));
}
