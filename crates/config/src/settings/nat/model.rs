//! A Windows with WSL's NAT, as far as the subnet goes, and the few words of PowerShell that change
//! it. Each rule names the function of microsoft/WSL that it follows (`src/windows/common` at
//! 2.9.4); where Windows' own documents are silent, the model takes the worse case.

use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const NETWORK: &str = "NatNetwork";
const GATEWAY: &str = "NatGatewayIpAddress";
const ADDRESS: &str = "NatIpAddress";

/// String values of a registry key, by name.
type Key = BTreeMap<String, String>;

/// The machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss`.
    machine: Key,
    /// The user's `HKCU\Software\Microsoft\Windows\CurrentVersion\Lxss`.
    user: Key,
    /// Networks of HNS, by name.
    networks: BTreeMap<String, Network>,
    /// The VM's address while it runs.
    vm: Option<Ipv4Addr>,
    /// What WSL warned of at its last start.
    pub(super) warnings: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    subnet: Ipv4Net,
    gateway: Ipv4Addr,
}

/// The name of WSL's network with the firewall on, as it is by default (`Config::NatNetworkName`).
const NAME: &str = "WSL (Hyper-V firewall)";

/// What HNS chooses where WSL asks for no subnet.
const OWN_CHOICE: &str = "172.28.48.0/20";

impl Windows {
    /// One on which WSL has run before.
    pub(super) fn used() -> Self {
        let mut windows = Self::default();
        windows.start();
        windows
    }

    /// Anything starts WSL: a terminal, Docker Desktop, a task at logon. `Config::Initialize`,
    /// `NatNetworking::CreateNetwork`, `NatNetworking::Initialize` and
    /// `Config::SaveNetworkingSettings`, in that order.
    pub(super) fn start(&mut self) {
        if self.vm.is_some() {
            return;
        }
        self.warnings.clear();
        let network = self.open_or_create();
        let kept = self.user.get(ADDRESS).and_then(|text| text.parse().ok());
        // `NatNetworking::Initialize`: an endpoint with the former address, else one with any
        // address and a warning.
        let address = match kept {
            Some(address) if network.subnet.contains(&address) => address,
            other => {
                if other.is_some() {
                    self.warnings.push("MessageFailedToCreateNetworkEndpoint");
                }
                network.subnet.hosts().nth(7).unwrap()
            }
        };
        self.vm = Some(address);
        // `Config::SaveNetworkingSettings`.
        self.machine.insert(NETWORK.to_owned(), network.subnet.to_string());
        self.machine.insert(GATEWAY.to_owned(), network.gateway.to_string());
        self.user.insert(ADDRESS.to_owned(), address.to_string());
    }

    /// `NatNetworking::CreateNetworkInternal`: at HCN_E_NETWORK_ALREADY_EXISTS it opens the network
    /// that there is, whatever was asked for.
    fn open_or_create(&mut self) -> Network {
        if let Some(network) = self.networks.get(NAME) {
            return *network;
        }
        let asked_for = self.machine.get(NETWORK).map(|text| {
            let subnet: Option<Ipv4Net> = text.parse().ok();
            let gateway: Option<Ipv4Addr> =
                self.machine.get(GATEWAY).and_then(|text| text.parse().ok());
            subnet.zip(gateway).filter(|(subnet, gateway)| subnet.contains(gateway))
        });
        let own: Ipv4Net = OWN_CHOICE.parse().unwrap();
        let network = match asked_for {
            Some(Some((subnet, gateway))) => Network { subnet, gateway },
            other => {
                // `NatNetworking::CreateNetwork`: a second try without constraints, and a warning.
                if other.is_some() {
                    self.warnings.push("MessageFailedToCreateNetwork");
                }
                Network { subnet: own, gateway: own.hosts().next().unwrap() }
            }
        };
        self.networks.insert(NAME.to_owned(), network);
        network
    }

    /// The VM's end leaves the network: it is HNS's, and the registry is written at a start only.
    fn shut_down(&mut self) {
        self.vm = None;
    }

    /// The networks are not persistent (`NetworkFlags::EnableNonPersistent`).
    pub(super) fn restart(&mut self) {
        self.shut_down();
        self.networks.clear();
    }

    /// WSL's subnet while the VM runs.
    pub(super) fn subnet(&self) -> Option<Ipv4Net> {
        self.vm.and_then(|_| self.networks.get(NAME)).map(|network| network.subnet)
    }

    /// What the registry says of the subnet.
    pub(super) fn kept(&self) -> Option<&str> {
        self.machine.get(NETWORK).map(String::as_str)
    }

    /// Runs a line of PowerShell, by the user as administrator. Only lines that are known here may
    /// be printed.
    pub(super) fn run(&mut self, line: &str) {
        let words: Vec<String> =
            line.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["wsl", "--shutdown"] => self.shut_down(),
            [
                "Set-ItemProperty",
                "-Path",
                key,
                "-Name",
                name,
                "-Type",
                "String",
                "-Value",
                value,
            ] => {
                self.key(key).insert(name.to_owned(), value.to_owned());
            }
            [
                "Remove-ItemProperty",
                "-Path",
                key,
                "-Name",
                name,
                "-ErrorAction",
                "SilentlyContinue",
            ] => {
                self.key(key).remove(name);
            }
            [
                "Get-HnsNetwork",
                "|",
                "Where-Object",
                "Name",
                "-like",
                pattern,
                "|",
                "Remove-HnsNetwork",
            ] => {
                let start = pattern.strip_suffix('*').unwrap();
                // No document says whether a network that a VM uses is removed: here it stays.
                if self.vm.is_none() {
                    self.networks.retain(|name, _| !name.starts_with(start));
                }
            }
            _ => panic!("PowerShell does not know: {line}"),
        }
    }

    fn key(&mut self, path: &str) -> &mut Key {
        let path = path.to_lowercase();
        match path.strip_suffix(r"\software\microsoft\windows\currentversion\lxss") {
            Some("hklm:") => &mut self.machine,
            Some("hkcu:") => &mut self.user,
            _ => panic!("no key of WSL's: {path}"),
        }
    }
}
