//! The keys, from WSL's public sources (2.5.8 to 2.9.4) and documentation.

use super::{Key, Kind, NEW_NETWORKING, Place};
use crate::version::Windows;

/// A key of a section of a file that every WSL 2 minds.
const fn key(place: Place, section: &'static str, name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { place, section, name, kind, default, windows: None, wsl: None, older_section: None }
}

const fn wsl2(name: &'static str, kind: Kind, default: &'static str) -> Key {
    key(Place::WslConfig, "wsl2", name, kind, default)
}

/// One that needs Windows 11.
const fn wsl2_eleven(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { windows: Some(Windows::ELEVEN), ..wsl2(name, kind, default) }
}

/// One that came as an experiment, which its older section still tells.
const fn former_experiment(name: &'static str, kind: Kind, default: &'static str, windows: Option<Windows>) -> Key {
    Key { windows, wsl: Some(NEW_NETWORKING), older_section: Some("experimental"), ..wsl2(name, kind, default) }
}

const fn experiment(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { wsl: Some(NEW_NETWORKING), ..key(Place::WslConfig, "experimental", name, kind, default) }
}

/// One that needs Windows 11 22H2.
const fn experiment_22h2(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { windows: Some(Windows::ELEVEN_22H2), ..experiment(name, kind, default) }
}

const fn conf(section: &'static str, name: &'static str, kind: Kind, default: &'static str) -> Key {
    key(Place::WslConf, section, name, kind, default)
}

const MODES: Kind = Kind::Choice(&["nat", "mirrored", "virtioproxy", "consomme", "bridged", "none"]);

pub(super) static KEYS: &[Key] = &[
    // Which Windows it needs depends on the mode: see the check.
    former_experiment("networkingMode", MODES, "nat", None),
    former_experiment("dnsTunneling", Kind::Bool, "true", Some(Windows::ELEVEN_22H2)),
    former_experiment("firewall", Kind::Bool, "true", Some(Windows::ELEVEN_22H2)),
    former_experiment("autoProxy", Kind::Bool, "true", Some(Windows::ELEVEN)),
    wsl2("dnsProxy", Kind::Bool, "true"),
    wsl2("localhostForwarding", Kind::Bool, "true"),
    wsl2("dhcp", Kind::Bool, "true"),
    wsl2("dhcpTimeout", Kind::Int, "5000"),
    wsl2("ipv6", Kind::Bool, "false"),
    wsl2("macAddress", Kind::Mac, ""),
    wsl2("vmSwitch", Kind::Text, ""),
    wsl2("memory", Kind::Size, "50%"),
    wsl2("processors", Kind::Int, "all"),
    wsl2("swap", Kind::Size, "25%"),
    wsl2("swapFile", Kind::Text, ""),
    wsl2("defaultVhdSize", Kind::Size, "1TB"),
    wsl2("kernel", Kind::Text, ""),
    wsl2("kernelModules", Kind::Text, ""),
    wsl2("kernelCommandLine", Kind::Text, ""),
    wsl2("loadKernelModules", Kind::Text, ""),
    wsl2("loadDefaultKernelModules", Kind::Bool, "true"),
    wsl2("systemDistro", Kind::Text, ""),
    wsl2("safeMode", Kind::Bool, "false"),
    wsl2_eleven("nestedVirtualization", Kind::Bool, "true"),
    wsl2("virtio", Kind::Bool, "true"),
    wsl2("virtio9p", Kind::Bool, "false"),
    wsl2("virtiofs", Kind::Bool, "false"),
    wsl2("hostFileSystemAccess", Kind::Bool, "true"),
    wsl2("gpuSupport", Kind::Bool, "true"),
    wsl2("guiApplications", Kind::Bool, "true"),
    wsl2("hardwarePerformanceCounters", Kind::Bool, "true"),
    wsl2("isolateDistroCgroup", Kind::Bool, "true"),
    wsl2("telemetry", Kind::Bool, "true"),
    wsl2_eleven("vmIdleTimeout", Kind::Int, "60000"),
    wsl2("kernelBootTimeout", Kind::Int, "30000"),
    wsl2("distributionStartTimeout", Kind::Int, "60000"),
    wsl2("mountDeviceTimeout", Kind::Int, "5000"),
    wsl2_eleven("debugConsole", Kind::Bool, "false"),
    wsl2("debugConsoleLogFile", Kind::Text, ""),
    wsl2("earlyBootLogging", Kind::Bool, "false"),
    wsl2("kernelDebugPort", Kind::Int, "0"),
    wsl2("crashDumpFolder", Kind::Text, ""),
    wsl2("maxCrashDumpCount", Kind::Int, "10"),
    key(Place::WslConfig, "general", "distributionInstallPath", Kind::Text, ""),
    key(Place::WslConfig, "general", "instanceIdleTimeout", Kind::Int, "15000"),
    experiment("autoMemoryReclaim", Kind::Choice(&["dropCache", "gradual", "disabled"]), "dropCache"),
    experiment("sparseVhd", Kind::Bool, "false"),
    experiment_22h2("bestEffortDnsParsing", Kind::Bool, "false"),
    experiment_22h2("dnsTunnelingIpAddress", Kind::Address, "10.255.255.254"),
    experiment("initialAutoProxyTimeout", Kind::Int, "1000"),
    experiment_22h2("ignoredPorts", Kind::Ports, ""),
    experiment_22h2("hostAddressLoopback", Kind::Bool, "false"),
    experiment("setVersionDebug", Kind::Bool, "false"),
    experiment("swiotlb", Kind::Size, "0"),
    experiment("virtioFsAggregateShares", Kind::Bool, "true"),
    conf("automount", "enabled", Kind::Bool, "true"),
    conf("automount", "root", Kind::Text, "/mnt/"),
    conf("automount", "options", Kind::Text, ""),
    conf("automount", "mountFsTab", Kind::Bool, "true"),
    conf("automount", "ldconfig", Kind::Bool, "true"),
    conf("automount", "cgroups", Kind::Choice(&["v2", "v1"]), "v2"),
    conf("network", "generateHosts", Kind::Bool, "true"),
    conf("network", "generateResolvConf", Kind::Bool, "true"),
    conf("network", "hostname", Kind::Text, ""),
    conf("interop", "enabled", Kind::Bool, "true"),
    conf("interop", "appendWindowsPath", Kind::Bool, "true"),
    conf("boot", "command", Kind::Text, ""),
    conf("boot", "systemd", Kind::Bool, "false"),
    conf("boot", "initTimeout", Kind::Int, "10000"),
    conf("boot", "protectBinfmt", Kind::Bool, "true"),
    conf("user", "default", Kind::Text, ""),
    conf("time", "useWindowsTimezone", Kind::Bool, "true"),
    conf("gpu", "enabled", Kind::Bool, "true"),
    conf("gpu", "appendLibPath", Kind::Bool, "true"),
    conf("fileServer", "enabled", Kind::Bool, "true"),
    conf("fileServer", "logFile", Kind::Text, ""),
    conf("fileServer", "logLevel", Kind::Int, ""),
    conf("fileServer", "logTruncate", Kind::Bool, "true"),
    conf("filesystem", "umask", Kind::Int, "0022"),
    conf("general", "guiApplications", Kind::Bool, "true"),
];
