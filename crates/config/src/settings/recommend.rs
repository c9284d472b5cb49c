//! Recommends settings for a goal on this machine, line by line with the reason. Pure: its inputs
//! are files, versions and the host's facts. Its outputs are changes for the files, and commands
//! for the tunnel and for the steps that need an administrator of Windows.

use crate::settings::change::Change;
use crate::settings::effective::{Because, Origin, Situation};
use crate::settings::metric;
use crate::settings::nat;
use crate::settings::schema::{Key, NEW_NETWORKING, Place};
use crate::settings::subnet::{self, Subnet};
use crate::settings::version::Windows;
use ipnet::Ipv4Net;
use messages::{Sentence, Text, common, settings as say};
use std::fmt;
use std::str::FromStr;
use wire::HostFacts;
use wire::facts::{Adapter, Proxy};

/// What the network is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// A network beside a VPN.
    Vpn,
    /// Windows' proxy for programs in WSL.
    Proxy,
    /// Other machines reach services in WSL.
    Lan,
    /// What suits most.
    #[default]
    Default,
}

impl Goal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Vpn, Self::Proxy, Self::Lan];

    /// As it is given.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vpn => "vpn",
            Self::Proxy => "proxy",
            Self::Lan => "lan",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a goal is one of vpn, proxy, lan or default")]
pub struct UnknownGoal;

impl FromStr for Goal {
    type Err = UnknownGoal;

    fn from_str(name: &str) -> Result<Self, UnknownGoal> {
        Self::ALL.into_iter().find(|goal| goal.name() == name).ok_or(UnknownGoal)
    }
}

/// Who runs commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// PowerShell of an administrator.
    Administrator,
    /// PowerShell of any user.
    PowerShell,
    /// A shell in a distro.
    Linux,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A line of a settings file: `underpass settings apply` makes it.
    Change(Change),
    /// Commands, for a person to run.
    Run(Shell, Vec<String>),
    /// No action: for information.
    Know,
}

/// A line of the recommendation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: Text,
    /// Whether it is so already.
    pub is_done: bool,
}

/// What is recommended for a goal. Without facts of the host nothing is said of its VPN, routes and
/// proxy.
#[must_use]
pub fn recommend(goal: Goal, situation: &Situation, facts: Option<&HostFacts>) -> Vec<Advice> {
    let machine = Machine { goal, situation, facts };
    let mut advice = match situation.versions.windows {
        None => vec![know(say::WINDOWS_UNKNOWN.text())],
        Some(windows) if windows < Windows::ELEVEN_22H2 => {
            machine.with_nat(know(say::OLD_WINDOWS.with("is", windows)), windows)
        }
        Some(_) if situation.versions.wsl_is_before(NEW_NETWORKING) => {
            vec![run(
                Shell::PowerShell,
                ["wsl --update".to_owned()],
                say::OLD_WSL.with("needed", NEW_NETWORKING),
            )]
        }
        Some(windows) => match no_mirrored(situation) {
            Some(why) => machine.with_nat(why, windows),
            None => machine.with_mirrored(),
        },
    };
    advice.extend(machine.resolv_conf());
    advice.extend(machine.proxy());
    advice
}

/// The reason, if any, that rules out mirrored mode on a Windows that is new enough for it.
fn no_mirrored(situation: &Situation) -> Option<Advice> {
    Some(match situation.no_mirrored()? {
        Because::NoIpv6 => {
            run(Shell::Administrator, [PREFER_IPV4.to_owned()], say::NO_MIRRORED_IPV6.text())
        }
        Because::Policy { name, value } => {
            know(say::NO_MIRRORED_POLICY.with("policy", format!("{name}={value}")))
        }
        Because::Setting(_)
        | Because::Windows(_)
        | Because::Service(_)
        | Because::NoDnsQueryRaw
        | Because::Ignored => know(say::MODE_NOT_POSSIBLE.text()),
    })
}

struct Machine<'a> {
    goal: Goal,
    situation: &'a Situation,
    facts: Option<&'a HostFacts>,
}

fn know(reason: Text) -> Advice {
    Advice { action: Action::Know, reason, is_done: false }
}

fn run(shell: Shell, lines: impl IntoIterator<Item = String>, reason: Text) -> Advice {
    Advice { action: Action::Run(shell, lines.into_iter().collect()), reason, is_done: false }
}

/// The tunnel instead of a setting.
fn tunnel(reason: Text) -> Advice {
    run(Shell::Linux, ["underpass up".to_owned()], reason)
}

impl Machine<'_> {
    /// What Windows 11 22H2 and newer can do.
    fn with_mirrored(&self) -> Vec<Advice> {
        let mode = match self.goal {
            Goal::Vpn | Goal::Default => &say::MIRRORED,
            Goal::Proxy => &say::MIRRORED_FOR_PROXY,
            Goal::Lan => &say::MIRRORED_FOR_LAN,
        };
        let wanted = [
            ("networkingMode", "mirrored", mode),
            ("dnsTunneling", "true", &say::TUNNELING),
            ("autoProxy", "true", &say::AUTO_PROXY),
            ("firewall", "true", &say::FIREWALL),
        ];
        let is_possible = |name: &str| name != "dnsTunneling" || self.can_tunnel_dns();
        let wanted = wanted.into_iter().filter(|(name, ..)| is_possible(name));
        let mut advice: Vec<_> = wanted
            .filter_map(|(name, value, reason)| self.set("wsl2", name, value, reason))
            .collect();
        match self.goal {
            Goal::Vpn => {
                if self.can_tunnel_dns() {
                    let key = "bestEffortDnsParsing";
                    advice.extend(self.set("experimental", key, "true", &say::BEST_EFFORT));
                }
                advice.push(tunnel(say::TUNNEL_IF_MIRRORED_FAILS.text()));
            }
            Goal::Lan => {
                advice.extend(self.set(
                    "experimental",
                    "hostAddressLoopback",
                    "true",
                    &say::HOST_LOOPBACK,
                ));
                advice.push(run(
                    Shell::Administrator,
                    [HYPERV_RULE.to_owned()],
                    say::LAN_FIREWALL.text(),
                ));
            }
            Goal::Proxy | Goal::Default => {}
        }
        advice
    }

    /// The advice for older Windows: NAT, beside which the VPN must leave room.
    fn with_nat(&self, why: Advice, windows: Windows) -> Vec<Advice> {
        let mut advice = vec![why];
        let effective = self.situation.effective();
        if let Some(mode) = effective
            .mode()
            .filter(|mode| matches!(mode.origin, Origin::Forced { line: Some(_), .. }))
        {
            let change = Change { key: mode.key, value: None };
            advice.push(Advice {
                action: Action::Change(change),
                reason: say::MODE_NOT_POSSIBLE.text(),
                is_done: false,
            });
        }
        if self.can_tunnel_dns() {
            advice.extend(self.set("wsl2", "dnsTunneling", "true", &say::TUNNELING));
        }
        let vpns: Vec<&Adapter> = self
            .facts
            .iter()
            .flat_map(|facts| &facts.adapters)
            .filter(|a| a.vpn.is_some())
            .collect();
        match self.goal {
            Goal::Lan => advice.push(run(
                Shell::Administrator,
                PORT_PROXY.map(str::to_owned),
                say::LAN_PORT_PROXY.text(),
            )),
            Goal::Proxy if windows >= Windows::ELEVEN => {
                advice.extend(self.set("wsl2", "autoProxy", "true", &say::AUTO_PROXY));
            }
            // `proxy` says what to do, by where Windows' proxy is.
            Goal::Proxy => {}
            Goal::Vpn | Goal::Default => {
                // The tunnel first, which every VPN lets through and which changes nothing of
                // Windows; last the metric, which changes the way of all of Windows' traffic.
                match vpns.first() {
                    Some(vpn) => advice.push(tunnel(say::TUNNEL_FOR.with("vpn", &vpn.description))),
                    None if self.goal == Goal::Vpn => advice.push(tunnel(say::TUNNEL.text())),
                    None => {}
                }
                let clash = self.facts.and_then(subnet::clash);
                if self.goal == Goal::Vpn || clash.is_some() || !vpns.is_empty() {
                    advice.extend(self.subnet(clash));
                }
                advice.extend(vpns.iter().flat_map(|vpn| metric(vpn)));
            }
        }
        advice
    }

    fn can_tunnel_dns(&self) -> bool {
        self.situation.can_tunnel_dns() == Some(true)
    }

    /// A subnet for NAT that nothing overlaps. Without the host's routes it is the one that is
    /// least likely to be overlapped.
    fn subnet(&self, clash: Option<(Ipv4Net, Ipv4Net)>) -> Vec<Advice> {
        let commands = |net, reason| run(Shell::Administrator, nat::commands(net), reason);
        let order = || know(common::SUBNET_ORDER.text());
        let Some(facts) = self.facts else {
            let net = subnet::link_local();
            let advice = net.map(|net| commands(net, say::SUBNET_UNKNOWN.with("net", net)));
            return advice.into_iter().chain([order()]).collect();
        };
        let said = |net: Ipv4Net| match clash {
            Some((own, route)) => {
                say::SUBNET_CLASH.with("own", own).with("route", route).with("net", net)
            }
            None if Some(net) == subnet::link_local() => say::SUBNET_LINK_LOCAL.with("net", net),
            None => say::SUBNET_FREE.with("net", net),
        };
        match subnet::pick(facts) {
            Subnet::Good(net) => vec![Advice { is_done: true, ..commands(net, said(net)) }],
            Subnet::Free(net) => vec![commands(net, said(net)), order()],
            Subnet::None => vec![tunnel(say::SUBNET_NONE.text())],
        }
    }

    /// Restores WSL's own resolv.conf if another program or the user replaced it: the recommended
    /// modes depend on it.
    fn resolv_conf(&self) -> Option<Advice> {
        let effective = self.situation.effective();
        let generate = effective.setting(Place::WslConf, "network", "generateResolvConf")?;
        let change = Change { key: generate.key, value: None };
        let is_new = self.situation.versions.windows >= Some(Windows::ELEVEN_22H2);
        (is_new && generate.value == "false").then(|| Advice {
            action: Action::Change(change),
            reason: say::RESOLV_CONF.text(),
            is_done: false,
        })
    }

    /// What Windows' own proxy setting means for the goal.
    fn proxy(&self) -> Option<Advice> {
        let windows = self.situation.versions.windows.filter(|_| self.goal == Goal::Proxy)?;
        // A Windows 10 has no autoProxy: there a shell takes the setting.
        let by_hand = || run(Shell::Linux, [PROXY_ON.to_owned()], say::PROXY_BY_HAND.text());
        let has_auto = windows >= Windows::ELEVEN;
        let Some(facts) = self.facts else { return (!has_auto).then(by_hand) };
        let none = Proxy::default();
        let proxy = facts.user_proxy.as_ref().unwrap_or(&none);
        let Some(server) = &proxy.proxy else {
            let is_found = proxy.pac_url.is_some() || proxy.auto_detect;
            return match (is_found, has_auto) {
                (true, has_auto) => (!has_auto).then(by_hand),
                (false, true) => Some(know(say::NO_SYSTEM_PROXY.text())),
                (false, false) => Some(know(say::NO_SYSTEM_PROXY_TO_TAKE.text())),
            };
        };
        let has_mirrored =
            windows >= Windows::ELEVEN_22H2 && self.situation.no_mirrored().is_none();
        let is_loopback = ["127.", "localhost", "[::1]"].iter().any(|own| server.contains(own));
        if !has_mirrored && is_loopback {
            return Some(run(
                Shell::Linux,
                ["underpass up --via windows".to_owned()],
                say::LOOPBACK_PROXY.text(),
            ));
        }
        (!has_auto).then(by_hand)
    }

    /// A key of `.wslconfig` as it should be.
    fn set(
        &self,
        section: &str,
        name: &str,
        value: &str,
        reason: &'static Sentence,
    ) -> Option<Advice> {
        let key = Key::find(Place::WslConfig, section, name)?;
        let effective = self.situation.effective();
        let setting = effective.setting(Place::WslConfig, section, name)?;
        // A default is written too: another WSL may have another one.
        let is_done = setting.value == value && matches!(setting.origin, Origin::Line(_));
        let change = Change { key, value: Some(value.to_owned()) };
        Some(Advice { action: Action::Change(change), reason: reason.text(), is_done })
    }
}

/// A metric that lets Windows prefer its other adapters to AnyConnect's.
fn metric(vpn: &Adapter) -> Vec<Advice> {
    if !metric::is_anyconnect(&vpn.description) {
        return Vec::new();
    }
    let reason = if vpn.metric == 0 {
        say::METRIC_UNKNOWN.with("vpn", &vpn.description)
    } else {
        say::METRIC.with("vpn", &vpn.description).with("now", vpn.metric)
    };
    let task = say::METRIC_TASK.with("undo", metric::never());
    vec![
        run(Shell::Administrator, [metric::once(&vpn.name)], reason),
        run(Shell::Administrator, metric::at_each_connect(&vpn.name), task),
    ]
}

/// The command that keeps IPv6, and prefers IPv4 to it (Microsoft's page on `DisabledComponents`).
pub const PREFER_IPV4: &str = "Set-ItemProperty -Path \
                               'HKLM:\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters' \
                               -Name DisabledComponents -Type DWord -Value 0x20";

/// A port in the examples.
const HYPERV_RULE: &str = "New-NetFirewallHyperVRule -Name WSL-8080 -DisplayName 'WSL port 8080' \
                           -Direction Inbound -VMCreatorId \
                           '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}' -Protocol TCP -LocalPorts 8080";

/// The same by a forward of Windows' own.
const PORT_PROXY: [&str; 2] = [
    "netsh interface portproxy add v4tov4 listenaddress=0.0.0.0 listenport=8080 connectport=8080 connectaddress=$((wsl hostname -I).Split()[0])",
    "New-NetFirewallRule -DisplayName 'WSL port 8080' -Direction Inbound -Action Allow -Protocol TCP -LocalPort 8080",
];

const PROXY_ON: &str = "eval \"$(underpass proxy on --from windows)\"";

#[cfg(test)]
mod tests;
