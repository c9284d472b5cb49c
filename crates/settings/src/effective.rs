//! What is in force: of each key the first line that counts, else the default, and over both what WSL makes of settings that exclude each
//! other and of a Windows that is too old.

use crate::ini::{Entry, File};
use crate::schema::{Key, Kind, Place};
use crate::version::{Versions, Windows};
use std::fmt;

/// The two files of a machine, and what is known of it. A file that is not there is an empty one.
#[derive(Clone, Debug)]
pub struct Situation {
    /// `.wslconfig`.
    pub wslconfig: File,
    /// `/etc/wsl.conf`.
    pub wsl_conf: File,
    /// Of Windows and WSL.
    pub versions: Versions,
}

impl Situation {
    /// From the files' texts.
    #[must_use]
    pub fn new(wslconfig: &str, wsl_conf: &str, versions: Versions) -> Self {
        let [wslconfig, wsl_conf] = [(wslconfig, Place::WslConfig), (wsl_conf, Place::WslConf)]
            .map(|(text, place)| File::parse_as(text, place.reader()));
        Self { wslconfig, wsl_conf, versions }
    }

    /// One of the files.
    #[must_use]
    pub const fn file(&self, place: Place) -> &File {
        match place {
            Place::WslConfig => &self.wslconfig,
            Place::WslConf => &self.wsl_conf,
        }
    }

    /// What is in force, for all keys.
    #[must_use]
    pub fn effective(&self) -> Effective {
        let keys = Place::ALL.into_iter().flat_map(Key::all);
        let mut effective = Effective { settings: keys.map(|key| self.written(key)).collect() };
        effective.force_by_versions(&self.versions);
        effective.force_by_settings();
        effective
    }

    /// A key by its file alone.
    fn written(&self, key: &'static Key) -> Setting {
        let default = key.default_on(&self.versions);
        let (value, origin) = match lines(self.file(key.place), key).next() {
            None => (default.to_owned(), Origin::Default),
            Some(entry) => match key.value(entry.value) {
                Some(value) => (value.to_string(), Origin::Line(entry.line)),
                None => (default.to_owned(), Origin::BadLine(entry.line)),
            },
        };
        Setting { key, value, default, origin }
    }
}

/// The lines for a key in their order, those of its older section included: the first of them all counts.
pub(crate) fn lines<'a>(file: &'a File, key: &'static Key) -> impl Iterator<Item = Entry<'a>> {
    file.entries().filter(move |entry| Key::find(key.place, entry.section, entry.key) == Some(key))
}

/// All settings as they are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    settings: Vec<Setting>,
}

/// A key as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub key: &'static Key,
    /// What counts; empty for nothing.
    pub value: String,
    /// What would count without any line.
    pub default: &'static str,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No line sets it.
    Default,
    /// This line of its file, counted from 1.
    Line(usize),
    /// This line sets it to what WSL cannot read, so the default counts.
    BadLine(usize),
    /// Something else leaves no choice.
    Forced {
        /// What.
        because: Because,
        /// The line that says otherwise.
        line: Option<usize>,
    },
}

/// What leaves no choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// Another setting, with its value.
    Setting(String),
    /// A Windows that does not have it.
    Windows(Windows),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(setting) => f.write_str(setting),
            Self::Windows(windows) => write!(f, "{windows}"),
        }
    }
}

impl Effective {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// What a key's value is, by the names in the schema; empty for a key that is not in it.
    #[must_use]
    pub fn value(&self, place: Place, section: &str, name: &str) -> &str {
        let setting = self.setting(place, section, name);
        setting.map_or("", |setting| &setting.value)
    }

    /// A key of `.wslconfig`'s section `wsl2`.
    #[must_use]
    pub fn wsl2(&self, name: &str) -> &str {
        self.value(Place::WslConfig, "wsl2", name)
    }

    /// A setting by its key's names.
    #[must_use]
    pub fn setting(&self, place: Place, section: &str, name: &str) -> Option<&Setting> {
        let key = Key::find(place, section, name)?;
        self.settings.iter().find(|setting| setting.key == key)
    }

    fn force_by_versions(&mut self, versions: &Versions) {
        let Some(windows) = versions.windows else { return };
        if windows < Windows::ELEVEN_22H2
            && ["mirrored", "virtioproxy", "consomme"].contains(&self.wsl2("networkingMode"))
        {
            self.force(("wsl2", "networkingMode"), "nat", &Because::Windows(windows));
        }
        for setting in &mut self.settings {
            if setting.key.kind == Kind::Bool && setting.key.windows.is_some_and(|needed| windows < needed) {
                setting.force("false", &Because::Windows(windows));
            }
        }
    }

    /// What WSL makes of settings that exclude each other.
    fn force_by_settings(&mut self) {
        if self.wsl2("safeMode") == "true" {
            let off =
                ["hostFileSystemAccess", "nestedVirtualization", "hardwarePerformanceCounters", "gpuSupport", "virtio"];
            for name in off.into_iter().chain(["guiApplications", "dnsTunneling", "autoProxy"]) {
                self.force_for("safeMode", ("wsl2", name), "false");
            }
            for (name, value) in [("swap", "0"), ("kernel", ""), ("kernelModules", ""), ("networkingMode", "none")] {
                self.force_for("safeMode", ("wsl2", name), value);
            }
        }
        if self.wsl2("virtio") == "false" {
            for name in ["virtio9p", "virtiofs"] {
                self.force_for("virtio", ("wsl2", name), "false");
            }
        }
        let mode = self.wsl2("networkingMode").to_owned();
        if mode == "mirrored" {
            self.force_for("networkingMode", ("wsl2", "firewall"), "true");
        } else {
            self.force_for("networkingMode", ("experimental", "hostAddressLoopback"), "false");
            self.force_for("networkingMode", ("experimental", "ignoredPorts"), "");
            if mode != "nat" {
                self.force_for("networkingMode", ("wsl2", "dnsTunneling"), "false");
            }
        }
        let address = self.setting(Place::WslConfig, "experimental", "dnsTunnelingIpAddress");
        if address.is_some_and(|address| matches!(address.origin, Origin::BadLine(_))) {
            let because = Because::Setting("experimental.dnsTunnelingIpAddress".to_owned());
            self.force(("wsl2", "dnsTunneling"), "false", &because);
        }
        if self.wsl2("dnsTunneling") == "false" {
            self.force_for("dnsTunneling", ("experimental", "bestEffortDnsParsing"), "false");
            self.force_for("dnsTunneling", ("experimental", "dnsTunnelingIpAddress"), "");
        }
    }

    /// Because of a key of `wsl2` that is as it is.
    fn force_for(&mut self, because: &str, key: (&str, &str), value: &str) {
        let because = Because::Setting(format!("wsl2.{because}={}", self.wsl2(because)));
        self.force(key, value, &because);
    }

    fn force(&mut self, (section, name): (&str, &str), value: &str, because: &Because) {
        let key = Key::find(Place::WslConfig, section, name);
        for setting in self.settings.iter_mut().filter(|setting| Some(setting.key) == key) {
            setting.force(value, because);
        }
    }
}

impl Setting {
    fn force(&mut self, value: &str, because: &Because) {
        if self.value == value {
            return;
        }
        value.clone_into(&mut self.value);
        let line = match self.origin {
            Origin::Line(line) => Some(line),
            Origin::Forced { line, .. } => line,
            Origin::Default => None,
            // That it cannot be read is the better reason.
            Origin::BadLine(_) => return,
        };
        self.origin = Origin::Forced { because: because.clone(), line };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(build: u32) -> Versions {
        Versions { windows: Some(Windows(build)), wsl: None }
    }

    #[test]
    fn a_value_has_an_origin() {
        let text = "[wsl2]\nprocessors=0x4\nmemory=8 GB\n[experimental]\nNetworkingMode=Mirrored\n[wsl2]\nnetworkingMode=nat\n";
        let effective = Situation::new(text, "[boot]\nsystemd=1\n", on(22_631)).effective();
        let of = |place, section, name| {
            let setting = effective.setting(place, section, name).unwrap();
            (setting.value.as_str(), setting.origin.clone(), setting.default)
        };
        assert_eq!(of(Place::WslConfig, "wsl2", "processors"), ("4", Origin::Line(2), "all"));
        assert_eq!(of(Place::WslConfig, "wsl2", "memory"), ("50%", Origin::BadLine(3), "50%"));
        assert_eq!(of(Place::WslConfig, "wsl2", "networkingMode"), ("mirrored", Origin::Line(5), "nat"));
        assert_eq!(of(Place::WslConfig, "wsl2", "dnsProxy"), ("true", Origin::Default, "true"));
        assert_eq!(of(Place::WslConf, "boot", "systemd"), ("true", Origin::Line(2), "false"));
        assert_eq!(effective.iter().count(), Place::ALL.into_iter().flat_map(Key::all).count());
    }

    #[test]
    fn what_excludes_each_other_is_settled_as_wsl_does() {
        let effective = |text| Situation::new(text, "", on(22_631)).effective();
        let mirrored = effective("[wsl2]\nnetworkingMode=mirrored\nfirewall=false\n");
        let because = |setting: &str| Because::Setting(setting.to_owned());
        let firewall = mirrored.setting(Place::WslConfig, "wsl2", "firewall").unwrap();
        assert_eq!(firewall.value, "true");
        assert_eq!(firewall.origin, Origin::Forced { because: because("wsl2.networkingMode=mirrored"), line: Some(3) });
        let proxied = effective("[wsl2]\nnetworkingMode=virtioproxy\n[experimental]\nbestEffortDnsParsing=true\n");
        assert_eq!(proxied.wsl2("dnsTunneling"), "false");
        let parsing = proxied.setting(Place::WslConfig, "experimental", "bestEffortDnsParsing").unwrap();
        assert_eq!(parsing.origin, Origin::Forced { because: because("wsl2.dnsTunneling=false"), line: Some(4) });
        assert_eq!(
            effective("[experimental]\nhostAddressLoopback=true\n").value(
                Place::WslConfig,
                "experimental",
                "hostAddressLoopback"
            ),
            "false"
        );
        let safe = effective("[wsl2]\nsafeMode=true\nvirtiofs=true\nswap=4GB\n");
        assert_eq!(["networkingMode", "virtiofs", "swap"].map(|name| safe.wsl2(name)), ["none", "false", "0"]);
        let broken = effective("[experimental]\ndnsTunnelingIpAddress=10.0\n");
        assert_eq!(broken.wsl2("dnsTunneling"), "false");
    }

    #[test]
    fn an_old_windows_leaves_no_choice() {
        let old = Situation::new("[wsl2]\nnetworkingMode=mirrored\ndnsTunneling=true\n", "", on(19_045)).effective();
        assert_eq!([old.wsl2("networkingMode"), old.wsl2("dnsTunneling")], ["nat", "false"]);
        let mode = old.setting(Place::WslConfig, "wsl2", "networkingMode").unwrap();
        assert_eq!(mode.origin, Origin::Forced { because: Because::Windows(Windows(19_045)), line: Some(2) });
        let unknown = Situation::new("[wsl2]\nnetworkingMode=mirrored\n", "", Versions::default()).effective();
        assert_eq!(unknown.wsl2("networkingMode"), "mirrored");
    }
}
