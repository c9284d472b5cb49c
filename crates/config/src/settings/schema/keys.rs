//! The keys, from WSL's public sources (2.5.8 to 2.9.4, and main of August 2026) and documentation:
//! `ParseConfigFile` in `src/windows/common/WslCoreConfig.cpp` with the defaults of
//! `WslCoreConfig.h`, and `src/linux/init/WslDistributionConfig.cpp` with those of
//! `WslDistributionConfig.h`.

use super::{Key, Kind, NEW_NETWORKING, Place};
use crate::settings::version::{Windows, Wsl};

/// A key of a section of a file that every WSL 2 minds.
const fn key(
    place: Place,
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
) -> Key {
    Key { place, section, name, kind, default, windows: None, wsl: None, older_section: None }
}

const fn wsl2(name: &'static str, kind: Kind, default: &'static str) -> Key {
    key(Place::WslConfig, "wsl2", name, kind, default)
}

/// One that came as an experiment, which its older section still tells.
const fn former_experiment(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    windows: Option<Windows>,
) -> Key {
    Key {
        windows,
        wsl: Some(NEW_NETWORKING),
        older_section: Some("experimental"),
        ..wsl2(name, kind, default)
    }
}

const fn experiment(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { wsl: Some(NEW_NETWORKING), ..key(Place::WslConfig, "experimental", name, kind, default) }
}

const fn conf(section: &'static str, name: &'static str, kind: Kind, default: &'static str) -> Key {
    key(Place::WslConf, section, name, kind, default)
}

/// In the source after 2.9.4, and in no tag up to it.
const AFTER_2_9_4: Wsl = Wsl([2, 9, 5]);

const MODES: Kind =
    Kind::Choice(&["nat", "mirrored", "virtioproxy", "consomme", "bridged", "none"]);

pub(super) static KEYS: &[Key] = &[
    // Only mirrored needs a newer Windows: see `effective::rules`.
    former_experiment("networkingMode", MODES, "nat", None),
    // It goes by `DnsQueryRaw`, not by a version (`WslCoreVm::IsDnsTunnelingSupported`).
    former_experiment("dnsTunneling", Kind::Bool, "true", None),
    // Windows is asked for its Hyper-V firewall (`GetHyperVFirewallSupportVersion`), and for
    // WinHTTP's newer functions (`s_LoadWinHttpProxyMethods`): the versions are those of
    // Microsoft's page on .wslconfig.
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
    // `WslCoreVm::GenerateConfigJson` asks for Windows 11.
    Key { windows: Some(Windows::ELEVEN), ..wsl2("nestedVirtualization", Kind::Bool, "true") },
    wsl2("virtio", Kind::Bool, "true"),
    wsl2("virtio9p", Kind::Bool, "false"),
    wsl2("virtiofs", Kind::Bool, "false"),
    wsl2("hostFileSystemAccess", Kind::Bool, "true"),
    wsl2("gpuSupport", Kind::Bool, "true"),
    wsl2("guiApplications", Kind::Bool, "true"),
    wsl2("hardwarePerformanceCounters", Kind::Bool, "true"),
    Key { wsl: Some(AFTER_2_9_4), ..wsl2("isolateDistroCgroup", Kind::Bool, "true") },
    wsl2("telemetry", Kind::Bool, "true"),
    wsl2("vmIdleTimeout", Kind::Int, "60000"),
    wsl2("kernelBootTimeout", Kind::Int, "30000"),
    wsl2("distributionStartTimeout", Kind::Int, "60000"),
    wsl2("mountDeviceTimeout", Kind::Int, "5000"),
    wsl2("debugConsole", Kind::Bool, "false"),
    wsl2("debugConsoleLogFile", Kind::Text, ""),
    wsl2("earlyBootLogging", Kind::Bool, "false"),
    wsl2("kernelDebugPort", Kind::Int, "0"),
    wsl2("crashDumpFolder", Kind::Text, ""),
    wsl2("maxCrashDumpCount", Kind::Int, "10"),
    key(Place::WslConfig, "general", "distributionInstallPath", Kind::Text, ""),
    key(Place::WslConfig, "general", "instanceIdleTimeout", Kind::Int, "15000"),
    experiment(
        "autoMemoryReclaim",
        Kind::Choice(&["dropCache", "gradual", "disabled"]),
        "dropCache",
    ),
    experiment("sparseVhd", Kind::Bool, "false"),
    experiment("bestEffortDnsParsing", Kind::Bool, "false"),
    experiment("dnsTunnelingIpAddress", Kind::Address, "10.255.255.254"),
    experiment("initialAutoProxyTimeout", Kind::Int, "1000"),
    experiment("ignoredPorts", Kind::Ports, ""),
    experiment("hostAddressLoopback", Kind::Bool, "false"),
    experiment("setVersionDebug", Kind::Bool, "false"),
    Key { wsl: Some(Wsl([2, 8, 9])), ..experiment("swiotlb", Kind::Size, "0") },
    Key { wsl: Some(AFTER_2_9_4), ..experiment("virtioFsAggregateShares", Kind::Bool, "true") },
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
    // TRACE_LEVEL_INFORMATION.
    conf("fileServer", "logLevel", Kind::Int, "4"),
    conf("fileServer", "logTruncate", Kind::Bool, "true"),
    conf("filesystem", "umask", Kind::Int, "0022"),
    conf("general", "guiApplications", Kind::Bool, "true"),
];
