//! The commands that give WSL's NAT another subnet, for every command that prints them. Pure.
//!
//! WSL keeps its subnet. When it starts the VM it reads `NatNetwork` and `NatGatewayIpAddress`,
//! asks Windows' Host Networking Service (HNS) for a network with them, and writes back what that
//! network has (microsoft/WSL, `src/windows/common/WslCoreConfig.cpp`: `Config::Initialize`,
//! `Config::SaveNetworkingSettings`). A network that still exists is opened as it is
//! (`NatNetworking.cpp`: `CreateNetworkInternal`), and its old subnet is written over the new
//! values. So the network has to go, and nothing may start WSL before it is gone.

use ipnet::Ipv4Net;

/// The commands that give WSL's NAT a subnet: lines for an administrator's PowerShell. They must
/// run in this order, and WSL must not start between them.
#[must_use]
pub fn commands(net: Ipv4Net) -> Vec<String> {
    let gateway = net.hosts().next().unwrap_or(net.addr());
    let set = |name: &str, value: String| {
        format!("Set-ItemProperty -Path '{MACHINE_KEY}' -Name {name} -Type String -Value '{value}'")
    };
    vec![
        // HNS keeps a network that a VM uses.
        "wsl --shutdown".to_owned(),
        set("NatNetwork", net.to_string()),
        set("NatGatewayIpAddress", gateway.to_string()),
        // The VM's former address, which the new subnet does not have.
        format!("Remove-ItemProperty -Path '{USER_KEY}' -Name NatIpAddress {IF_IT_EXISTS}"),
        // `WSL`, or `WSL (Hyper-V firewall)` (`Config::NatNetworkName`).
        "Get-HnsNetwork | Where-Object Name -like 'WSL*' | Remove-HnsNetwork".to_owned(),
    ]
}

/// Where WSL keeps the subnet and the gateway of its NAT (`c_natNetwork`, `c_natGatewayAddress`).
const MACHINE_KEY: &str = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss";

/// Where it keeps the address of the user's VM (`c_natIpAddress`).
const USER_KEY: &str = r"HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss";

/// Without it PowerShell reports a value that is not there as an error.
const IF_IT_EXISTS: &str = "-ErrorAction SilentlyContinue";

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
