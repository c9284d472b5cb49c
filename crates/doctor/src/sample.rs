//! Facts for tests: healthy machines in each mode, and ways to break them.

use crate::checks::{Diagnosis, judge};
use crate::facts::*;
use crate::finding::Finding;
use messages::Language;
use std::net::IpAddr;
use wire::facts::{Adapter, HostFacts, Proxy, WslConfig};
use wsl::NetworkingMode;

pub(crate) const OK: Outcome = Outcome::Ok { ms: 12 };

pub(crate) const OUTSIDE: &str = "1.1.1.1:443";

pub(crate) fn failed(why: Why) -> Outcome {
    Outcome::Failed { why, detail: String::new() }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn link(name: &str, addresses: &[&str]) -> Link {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Link { name: name.to_owned(), kind: None, up: true, mtu: 1500, addresses }
}

pub(crate) fn default_by(gateway: &str, device: &str) -> Route {
    let gateway = address(gateway);
    let destination = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" }.parse().unwrap();
    Route {
        destination,
        gateway: Some(gateway),
        device: Some(device.to_owned()),
        table: 254,
        metric: 0,
        refuses: false,
    }
}

/// Replaces the outcome of an attempt.
pub(crate) fn tried(
    facts: &mut Facts,
    subject: Subject,
    method: Method,
    whence: Whence,
    outcome: Outcome,
) {
    let same =
        |reach: &Reach| (reach.subject, reach.method, reach.whence) == (subject, method, whence);
    facts.probes.reach.retain(|reach| !same(reach));
    let target = match (subject, method) {
        (Subject::Outside, Method::Icmp) => "1.1.1.1",
        (Subject::Outside, _) => OUTSIDE,
        (Subject::OutsideV6, _) => "[2606:4700:4700::1111]:443",
        (Subject::Company, _) => "git.corp.example:443",
        (Subject::GitSsh, _) => "github.com:22",
        (Subject::GitMirror, _) => "mirror.test:443",
        (Subject::Gateway, _) => "172.28.48.1",
    };
    facts.probes.reach.push(Reach { subject, method, whence, target: target.to_owned(), outcome });
}

/// Nothing of the VM's own packets gets out; Windows is not affected.
pub(crate) fn cut(facts: &mut Facts) {
    for method in [Method::Icmp, Method::Tcp] {
        tried(facts, Subject::Outside, method, Whence::Vm, failed(Why::TimedOut));
    }
    facts.probes.dns.retain(|ask| ask.asked == Asked::Windows);
}

pub(crate) fn resolved(addresses: &[&str]) -> Lookup {
    Lookup::Addresses { addresses: addresses.iter().map(|text| address(text)).collect(), ms: 9 }
}

pub(crate) const SILENT: Lookup = Lookup::Failed { why: Why::TimedOut, detail: String::new() };

pub(crate) const PUBLIC_NAME: &str = "www.msftconnecttest.com";
pub(crate) const COMPANY_NAME: &str = "git.corp.example";

/// A server of resolv.conf.
pub(crate) fn nameserver(text: &str) -> Asked {
    Asked::Nameserver(text.parse().unwrap())
}

/// Puts an answer in place of what was there.
pub(crate) fn asked(facts: &mut Facts, asked: Asked, kind: NameKind, answer: Lookup) {
    asked_over(facts, asked, Transport::Udp, kind, answer);
}

pub(crate) fn asked_over(
    facts: &mut Facts,
    asked: Asked,
    transport: Transport,
    kind: NameKind,
    answer: Lookup,
) {
    let same = |ask: &Ask| (&ask.asked, ask.transport, ask.kind) == (&asked, transport, kind);
    facts.probes.dns.retain(|ask| !same(ask));
    let name = if kind == NameKind::Public { PUBLIC_NAME } else { COMPANY_NAME }.to_owned();
    facts.probes.dns.push(Ask { asked, transport, name, kind, answer });
}

pub(crate) fn windows(facts: &mut Facts) -> &mut Windows {
    facts.windows.as_mut().unwrap()
}

pub(crate) fn wslconfig(facts: &mut Facts, text: &str) {
    let path = r"C:\Users\li\.wslconfig".to_owned();
    windows(facts).host.wslconfig = Some(WslConfig { path, text: Some(text.to_owned()) });
}

/// A VPN that is connected on Windows.
pub(crate) fn vpn(facts: &mut Facts, metric: u32) -> &mut Adapter {
    let adapter = Adapter {
        index: 30,
        name: "Ethernet 3".to_owned(),
        description: "Cisco AnyConnect Virtual Miniport Adapter".to_owned(),
        kind: "ethernet".to_owned(),
        up: true,
        addresses: vec!["10.8.0.7/24".to_owned()],
        dns_servers: vec!["10.8.0.1".to_owned()],
        metric,
        vpn: Some("anyconnect".to_owned()),
        ..Adapter::default()
    };
    let host = &mut windows(facts).host;
    host.adapters.push(adapter);
    host.adapters.last_mut().unwrap()
}

/// A variable that names a proxy, and a proxy that works.
pub(crate) fn proxy<'a>(facts: &'a mut Facts, key: &str, value: &str) -> &'a mut ProxyProbe {
    setting(facts, Tool::Environment, None, key, value)
}

/// A setting of a tool, and a proxy that works.
pub(crate) fn setting<'a>(
    facts: &'a mut Facts,
    tool: Tool,
    file: Option<&str>,
    key: &str,
    value: &str,
) -> &'a mut ProxyProbe {
    let url: proxy::ProxyUrl = value.parse().unwrap();
    let socks = url.scheme() == proxy::Scheme::Socks5;
    let host = url.host().to_string();
    let probe = ProxyProbe {
        value: value.to_owned(),
        address: host.parse().ok().or(Some(address("192.0.2.80"))),
        host,
        port: url.port(),
        resolved: OK,
        opened: OK,
        http: if socks { failed(Why::WrongProtocol) } else { OK },
        socks5: if socks { OK } else { failed(Why::WrongProtocol) },
        request: OK,
        ..ProxyProbe::default()
    };
    let line = file.map(|_| 3);
    facts.proxies.push(ProxySetting {
        line,
        ..ProxySetting::new(tool, file.map(str::to_owned), key, value)
    });
    facts.probes.proxies.retain(|probe| probe.value != value);
    facts.probes.proxies.push(probe);
    facts.probes.proxies.last_mut().unwrap()
}

/// Both spellings of a variable, so that nothing is left to hint at; the proxy does not open.
pub(crate) fn shut_proxy<'a>(facts: &'a mut Facts, value: &str) -> &'a mut ProxyProbe {
    proxy(facts, "https_proxy", value);
    let probe = proxy(facts, "HTTPS_PROXY", value);
    probe.opened = failed(Why::Refused);
    [&mut probe.http, &mut probe.socks5, &mut probe.request]
        .into_iter()
        .for_each(|outcome| *outcome = Outcome::NotTried);
    probe
}

fn host(wslconfig: &str) -> Windows {
    let wifi = Adapter {
        index: 7,
        name: "Wi-Fi".to_owned(),
        description: "Intel(R) Wi-Fi 6 AX201 160MHz".to_owned(),
        kind: "wi-fi".to_owned(),
        up: true,
        addresses: vec!["192.168.1.23/24".to_owned()],
        gateways: vec!["192.168.1.1".to_owned()],
        dns_servers: vec!["192.168.1.1".to_owned()],
        metric: 35,
        mtu: 1500,
        ..Adapter::default()
    };
    let config =
        WslConfig { path: r"C:\Users\li\.wslconfig".to_owned(), text: Some(wslconfig.to_owned()) };
    Windows {
        host: HostFacts {
            system: "Windows 10.0.22631".to_owned(),
            routes: vec!["192.168.1.0/24".to_owned()],
            dns_servers: vec!["192.168.1.1".to_owned()],
            adapters: vec![wifi],
            internet_adapter: Some(7),
            user_proxy: Some(Proxy::default()),
            wslconfig: Some(config),
            ..HostFacts::default()
        },
        wsl_version: Some("2.5.9.0".to_owned()),
        running_distros: vec!["Debian".to_owned(), "underpass".to_owned()],
        ..Windows::default()
    }
}

/// A machine on which all is well.
fn healthy(
    wslinfo: &str,
    mode: NetworkingMode,
    eth0: &str,
    gateway: &str,
    server: &str,
    wslconfig: &str,
) -> Facts {
    let question = Question {
        outside: OUTSIDE.to_owned(),
        public_name: PUBLIC_NAME.to_owned(),
        company: vec![COMPANY_NAME.to_owned()],
    };
    let mut facts = Facts {
        question,
        mode: Mode { by_wslinfo: Some(wslinfo.to_owned()), by_signs: Some(mode) },
        links: vec![
            link("lo", &["127.0.0.1/8", "::1/128"]),
            link("eth0", &[eth0, "fe80::215:5dff:fe00:1/64"]),
        ],
        routes: vec![default_by(gateway, "eth0")],
        neighbours: vec![Neighbour {
            address: address(gateway),
            device: "eth0".to_owned(),
            state: NeighbourState::Known,
        }],
        resolv_conf: ResolvConf {
            text: Some(format!(
                "# This file was automatically generated by WSL.\nnameserver {server}\n"
            )),
            link: Some("/mnt/wsl/resolv.conf".to_owned()),
            immutable: false,
            private: false,
        },
        wsl_conf: Some("[boot]\nsystemd=true\n".to_owned()),
        nsswitch: Some("passwd: files\nhosts: files dns\n".to_owned()),
        hosts: Some("127.0.0.1 localhost\n".to_owned()),
        tools: vec![Tool::Apt, Tool::Git, Tool::Docker, Tool::Curl],
        clock: Clock { ahead_of_windows_ms: Some(-140) },
        kernel: Kernel { tun: Some(true), ipv6_rules: Some(true) },
        interop: Interop {
            is_wsl: true,
            entry: Some(Entry::Present),
            socket: Some("/run/WSL/412_interop".to_owned()),
            socket_lives: true,
            sockets: 3,
            run: OK,
        },
        windows: Some(host(wslconfig)),
        remembered: Remembered {
            vm: vec![address("172.22.0.9")],
            gateways: vec![],
            mentions: vec![],
        },
        probes: Probes {
            mtu: Some(MtuProbe {
                device: "eth0".to_owned(),
                mtu: 1500,
                method: Method::Tcp,
                small: OK,
                large: OK,
                largest: None,
                told: None,
            }),
            ..Probes::default()
        },
        ..Facts::default()
    };
    // Windows' firewall drops pings of the VM.
    tried(&mut facts, Subject::Gateway, Method::Icmp, Whence::Vm, failed(Why::TimedOut));
    tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, OK);
    for subject in [Subject::Outside, Subject::Company, Subject::GitSsh] {
        tried(&mut facts, subject, Method::Tcp, Whence::Vm, OK);
        tried(&mut facts, subject, Method::Tcp, Whence::Windows, OK);
    }
    tried(&mut facts, Subject::Outside, Method::Icmp, Whence::Vm, OK);
    let server = nameserver(server);
    for kind in [NameKind::Public, NameKind::Company] {
        let answer =
            resolved(&[if kind == NameKind::Public { "13.107.4.52" } else { "10.20.0.5" }]);
        for who in [Asked::System, server.clone(), Asked::Windows] {
            asked(&mut facts, who, kind, answer.clone());
        }
    }
    // A company may block public servers. They are not needed if its own work.
    asked(&mut facts, Asked::Public(address("8.8.8.8")), NameKind::Public, SILENT);
    facts
}

pub(crate) fn nat() -> Facts {
    healthy("nat", NetworkingMode::Nat, "172.28.48.2/20", "172.28.48.1", "10.255.255.254", "")
}

pub(crate) fn mirrored() -> Facts {
    let config =
        "[wsl2]\nnetworkingMode=mirrored\ndnsTunneling=true\nautoProxy=true\nfirewall=true\n";
    let mut facts = healthy(
        "mirrored",
        NetworkingMode::Mirrored,
        "192.168.1.23/24",
        "192.168.1.1",
        "10.255.255.254",
        config,
    );
    facts.links.push(link("loopback0", &[]));
    facts
}

pub(crate) fn virtioproxy() -> Facts {
    let config = "[wsl2]\nnetworkingMode=virtioproxy\n";
    healthy(
        "consomme",
        NetworkingMode::VirtioProxy,
        "192.168.1.23/24",
        "192.168.1.1",
        "192.168.1.1",
        config,
    )
}

pub(crate) fn bridged() -> Facts {
    let config = "[wsl2]\nnetworkingMode=bridged\nvmSwitch=Lan\n";
    healthy(
        "bridged",
        NetworkingMode::Bridged,
        "192.168.1.77/24",
        "192.168.1.1",
        "192.168.1.1",
        config,
    )
}

/// NAT mode without DNS tunnelling on a Windows 10: the gateway resolves.
pub(crate) fn windows_10() -> Facts {
    let mut facts =
        healthy("nat", NetworkingMode::Nat, "172.28.48.2/20", "172.28.48.1", "172.28.48.1", "");
    windows(&mut facts).host.system = "Windows 10.0.19045".to_owned();
    facts
}

/// The tunnel is up, and what it makes good is broken beneath: a VPN is there, and the gateway is
/// dead.
pub(crate) fn with_tunnel(mut facts: Facts) -> Facts {
    facts.tunnel = Tunnel {
        state: TunnelState::Up,
        device: Some("underpass0".to_owned()),
        subnet: Some("198.18.64.0/28".parse().unwrap()),
        gateway: Some("198.18.64.1".parse().unwrap()),
        host: Some("198.18.64.3".parse().unwrap()),
        last_error: None,
        full: None,
        displaced: None,
        unconfined: Vec::new(),
        rebind: Vec::new(),
    };
    let mut device = link("underpass0", &["198.18.64.2/28"]);
    device.kind = Some("tun".to_owned());
    facts.links.push(device);
    let mut route = default_by("198.18.64.1", "underpass0");
    route.table = 8242;
    facts.routes.insert(0, route);
    tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
    facts.neighbours[0].state = NeighbourState::Silent;
    vpn(&mut facts, 1);
    facts
}

/// Each way in which a machine can be well.
pub(crate) fn all_healthy() -> Vec<(&'static str, Facts)> {
    let modes = [
        ("nat", nat as fn() -> Facts),
        ("mirrored", mirrored),
        ("virtioproxy", virtioproxy),
        ("bridged", bridged),
        ("nat, Windows 10", windows_10),
    ];
    let plain = modes.iter().map(|(name, facts)| (*name, facts()));
    plain.chain(modes.iter().map(|(name, facts)| (*name, with_tunnel(facts())))).collect()
}

/// The ids of what is found.
pub(crate) fn ids(facts: &Facts) -> Vec<&'static str> {
    judge(facts, None).findings.iter().map(|finding| finding.id).collect()
}

/// The one finding that these facts must give, and nothing else.
pub(crate) fn only(facts: &Facts, id: &str) -> Finding {
    let Diagnosis { mut findings, .. } = judge(facts, None);
    let ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, [id]);
    findings.remove(0)
}

/// A finding as one text in English: evidence, cause, fix.
pub(crate) fn said(finding: &Finding) -> String {
    use crate::finding::FixStep;
    let mut lines: Vec<String> =
        finding.evidence.iter().map(|text| text.say(Language::English)).collect();
    lines.push(finding.cause.say(Language::English));
    for step in &finding.fix {
        match step {
            FixStep::Say(text) => lines.push(text.say(Language::English)),
            FixStep::Run { lines: commands, .. } => lines.extend(commands.iter().cloned()),
            FixStep::Lines { file, lines: of_file } => {
                lines.push(file.clone());
                lines.extend(of_file.iter().cloned());
            }
        }
    }
    lines.join("\n")
}
