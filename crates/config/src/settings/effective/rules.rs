//! WSL's rules for the settings, one by one in its own order (microsoft/WSL at 2.9.4). Each
//! rule names its function: `Config::ParseConfigFile` and `Config::Initialize` in
//! `src/windows/common/WslCoreConfig.cpp`, `WslCoreVm::ValidateNetworkingMode` in
//! `src/windows/service/exe/WslCoreVm.cpp`. A rule that came with a version applies from it on, and
//! where the version is not known.

use super::{Because, Effective, Origin};
use crate::settings::schema::{CONSOMME, Key, Kind, Place};
use crate::settings::version::{Versions, Windows, Wsl};
use wire::facts::WslHost;

/// The oldest WSL whose source is public. What came before it is not judged by rules read there.
const OLDEST_SOURCE: Wsl = Wsl([2, 5, 8]);

/// `Initialize`: consomme, then still called virtioproxy, falls back where `virtio` is off.
const CONSOMME_NEEDS_VIRTIO: Wsl = Wsl([2, 8, 9]);

/// `ValidateNetworkingMode`: 0xFF in `DisabledComponents` ends mirrored mode from 2.7.2 on, and
/// from 2.8.5 on, but not from 2.8.0 to 2.8.4.
const MIRRORED_NEEDS_IPV6: [(Wsl, Wsl); 2] =
    [(Wsl([2, 7, 2]), Wsl([2, 8, 0])), (Wsl([2, 8, 5]), Wsl([u32::MAX, 0, 0]))];

/// `c_ipv6Disabled` of `ValidateNetworkingMode`.
const IPV6_DISABLED: u32 = 0xff;

/// The service beside which `Initialize` switches DNS tunneling off.
const GLOBAL_SECURE_ACCESS: &str = "GlobalSecureAccessTunnelingService";

/// What safe mode switches off in a distro (`src/linux/init/WslDistributionConfig.cpp`).
const UNSAFE_IN_DISTRO: [(&str, &str); 12] = [
    ("automount", "enabled"),
    ("automount", "ldconfig"),
    ("automount", "mountFsTab"),
    ("boot", "systemd"),
    ("network", "generateHosts"),
    ("network", "generateResolvConf"),
    ("fileServer", "enabled"),
    ("gpu", "appendLibPath"),
    ("gpu", "enabled"),
    ("interop", "appendWindowsPath"),
    ("interop", "enabled"),
    ("time", "useWindowsTimezone"),
];

impl Effective {
    /// Applies all rules.
    pub(super) fn settle(&mut self, versions: &Versions, host: &WslHost) {
        self.parsed();
        self.policies(versions, host);
        if host.global_secure_access == Some(true) && self.wsl2("dnsTunneling") == "true" {
            self.force(("wsl2", "dnsTunneling"), "false", &Because::Service(GLOBAL_SECURE_ACCESS));
        }
        self.safe_mode();
        self.devices(versions, host);
        self.dns_by_mode(versions);
        self.by_windows(versions);
        self.validated(versions, host);
        self.consequences();
    }

    /// The end of `ParseConfigFile`.
    fn parsed(&mut self) {
        if self.wsl2("networkingMode") == "mirrored" {
            self.force_for("networkingMode", ("wsl2", "firewall"), "true");
        }
        let address = self.setting(Place::WslConfig, "experimental", "dnsTunnelingIpAddress");
        if address.is_some_and(|address| matches!(address.origin, Origin::BadLine(_))) {
            let because = Because::Setting("experimental.dnsTunnelingIpAddress".to_owned());
            self.force(("wsl2", "dnsTunneling"), "false", &because);
        }
        let boot_logging = self.setting(Place::WslConfig, "wsl2", "earlyBootLogging");
        if boot_logging.is_some_and(|setting| setting.origin == Origin::Default) {
            let wanted = ["debugConsole", "debugConsoleLogFile"]
                .into_iter()
                .find(|name| !["", "false"].contains(&self.wsl2(name)));
            if let Some(name) = wanted {
                self.force_for(name, ("wsl2", "earlyBootLogging"), "true");
            }
        }
    }

    /// The policies of `Initialize` (`src/windows/inc/wslpolicies.h`).
    fn policies(&mut self, versions: &Versions, host: &WslHost) {
        let forbids = |name: &str| host.policies.get(name) == Some(&0);
        for (name, section, key, value) in [
            ("AllowKernelUserSetting", "wsl2", "kernel", ""),
            ("AllowKernelUserSetting", "wsl2", "kernelModules", ""),
            ("AllowSystemDistroUserSetting", "wsl2", "systemDistro", ""),
            ("AllowKernelCommandLineUserSetting", "wsl2", "kernelCommandLine", ""),
            ("AllowKernelDebugUserSetting", "wsl2", "kernelDebugPort", "0"),
            ("AllowNestedVirtualization", "wsl2", "nestedVirtualization", "false"),
        ] {
            if forbids(name) {
                self.force((section, key), value, &Because::Policy { name, value: 0 });
            }
        }
        let default = default_mode(versions, host);
        let mode = self.setting(Place::WslConfig, "wsl2", "networkingMode");
        let is_set = mode.is_some_and(|mode| matches!(mode.origin, Origin::Line(_)));
        let name = "AllowNetworkingModeUserSetting";
        if !is_set {
            if let Some(value) = host.policies.get(DEFAULT_MODE) {
                let because = Because::Policy { name: DEFAULT_MODE, value: *value };
                self.force(("wsl2", "networkingMode"), default, &because);
            }
        } else if forbids(name) && self.wsl2("networkingMode") != "none" {
            self.force(("wsl2", "networkingMode"), default, &Because::Policy { name, value: 0 });
        }
        let name = "AllowFirewallUserSetting";
        if self.wsl2("networkingMode") != "mirrored" && forbids(name) {
            self.force(("wsl2", "firewall"), "true", &Because::Policy { name, value: 0 });
        }
    }

    /// `EnableSafeMode` of `Initialize`, and what it means in a distro.
    fn safe_mode(&mut self) {
        if self.wsl2("safeMode") != "true" {
            return;
        }
        for name in [
            "hostFileSystemAccess",
            "nestedVirtualization",
            "hardwarePerformanceCounters",
            "gpuSupport",
            "virtio",
            "guiApplications",
            "dnsTunneling",
            "autoProxy",
        ] {
            self.force_for("safeMode", ("wsl2", name), "false");
        }
        for (name, value) in
            [("swap", "0"), ("kernel", ""), ("kernelModules", ""), ("networkingMode", "none")]
        {
            self.force_for("safeMode", ("wsl2", name), value);
        }
        let because = Because::Setting("wsl2.safeMode=true".to_owned());
        for (section, name) in UNSAFE_IN_DISTRO {
            self.force_in(Place::WslConf, (section, name), "false", &because);
        }
        self.force_in(Place::WslConf, ("boot", "command"), "", &because);
    }

    /// `EnableVirtio` and `EnableVirtio9p` of `Initialize`.
    fn devices(&mut self, versions: &Versions, host: &WslHost) {
        if self.wsl2("virtio") == "false" {
            for name in ["virtio9p", "virtiofs"] {
                self.force_for("virtio", ("wsl2", name), "false");
            }
            self.force_for("virtio", ("experimental", "swiotlb"), "0");
            let is_consomme = ["consomme", "virtioproxy"].contains(&self.wsl2("networkingMode"));
            if is_consomme && !versions.wsl_is_before(CONSOMME_NEEDS_VIRTIO) {
                let default = default_mode(versions, host);
                let mode =
                    if ["consomme", "virtioproxy"].contains(&default) { "none" } else { "nat" };
                self.force_for("virtio", ("wsl2", "networkingMode"), mode);
            }
        }
        // MessageConfigVirtio9pDisabled.
        if !versions.wsl_is_before(OLDEST_SOURCE) {
            self.force(("wsl2", "virtio9p"), "false", &Because::Ignored);
        }
    }

    /// The modes in which `Initialize` leaves DNS tunneling on; consomme came to them with its
    /// name.
    fn dns_by_mode(&mut self, versions: &Versions) {
        let has_dns = match self.wsl2("networkingMode") {
            "nat" | "mirrored" => true,
            "consomme" => !versions.wsl_is_before(CONSOMME),
            _ => false,
        };
        if !has_dns {
            self.force_for("networkingMode", ("wsl2", "dnsTunneling"), "false");
        }
    }

    /// Switches that a Windows is too old for (see the schema).
    fn by_windows(&mut self, versions: &Versions) {
        let Some(windows) = versions.windows else { return };
        for setting in &mut self.settings {
            let is_too_old = setting.key.windows.is_some_and(|needed| windows < needed);
            if setting.key.kind == Kind::Bool && is_too_old {
                setting.force("false", &Because::Windows(windows));
            }
        }
    }

    /// `ValidateNetworkingMode`.
    fn validated(&mut self, versions: &Versions, host: &WslHost) {
        if self.wsl2("networkingMode") == "mirrored" {
            let minds_ipv6 = versions.wsl.is_none_or(|wsl| {
                MIRRORED_NEEDS_IPV6.iter().any(|(from, to)| (*from..*to).contains(&wsl))
            });
            if host.ipv6_disabled_components == Some(IPV6_DISABLED) && minds_ipv6 {
                self.force(("wsl2", "networkingMode"), "nat", &Because::NoIpv6);
            } else if let Some(windows) =
                versions.windows.filter(|windows| *windows < Windows::ELEVEN_22H2)
            {
                self.force(("wsl2", "networkingMode"), "nat", &Because::Windows(windows));
            } else if self.wsl2("firewall") == "false" {
                // A policy made it mirrored, so that `ParseConfigFile` left the firewall off.
                self.force_for("firewall", ("wsl2", "networkingMode"), "nat");
            }
        }
        if host.dns_query_raw == Some(false) && self.wsl2("dnsTunneling") == "true" {
            self.force(("wsl2", "dnsTunneling"), "false", &Because::NoDnsQueryRaw);
        }
    }

    /// Keys that WSL only looks at with another (`Initialize`).
    fn consequences(&mut self) {
        if self.wsl2("dnsTunneling") == "false" {
            self.force_for("dnsTunneling", ("experimental", "bestEffortDnsParsing"), "false");
            self.force_for("dnsTunneling", ("experimental", "dnsTunnelingIpAddress"), "");
        }
        if self.wsl2("networkingMode") != "mirrored" {
            self.force_for("networkingMode", ("experimental", "hostAddressLoopback"), "false");
            self.force_for("networkingMode", ("experimental", "ignoredPorts"), "");
        }
    }

    /// Because of a key of `wsl2` that is as it is.
    fn force_for(&mut self, because: &str, key: (&str, &str), value: &str) {
        let because = Because::Setting(format!("wsl2.{because}={}", self.wsl2(because)));
        self.force(key, value, &because);
    }

    fn force(&mut self, key: (&str, &str), value: &str, because: &Because) {
        self.force_in(Place::WslConfig, key, value, because);
    }

    fn force_in(
        &mut self,
        place: Place,
        (section, name): (&str, &str),
        value: &str,
        because: &Because,
    ) {
        let key = Key::find(place, section, name);
        for setting in self.settings.iter_mut().filter(|setting| Some(setting.key) == key) {
            setting.force(value, because);
        }
    }
}

/// The policy that names the mode in force where no line sets one.
const DEFAULT_MODE: &str = "DefaultNetworkingMode";

/// The mode without a line (`Initialize`; the numbers are those of `NetworkingMode` in
/// `WslCoreConfig.h`).
fn default_mode(versions: &Versions, host: &WslHost) -> &'static str {
    match host.policies.get(DEFAULT_MODE) {
        Some(0) => "none",
        Some(3) => "mirrored",
        Some(4) if versions.wsl_is_before(CONSOMME) => "virtioproxy",
        Some(4) => "consomme",
        Some(_) | None => "nat",
    }
}
