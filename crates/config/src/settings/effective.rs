//! The settings in force: the first line of each key that counts, else the default. WSL's rules on
//! this Windows (`rules.rs`) override both.

mod rules;

use crate::settings::ini::{Entry, File};
use crate::settings::schema::{Key, Place};
use crate::settings::version::{Versions, Windows};
use messages::{Language, Text, settings as say};
use std::fmt;
use wire::facts::WslHost;

/// The two files of a machine, and what is known of it. A file that is not there is an empty one.
#[derive(Clone, Debug)]
pub struct Situation {
    /// `.wslconfig`.
    pub wslconfig: File,
    /// `/etc/wsl.conf`.
    pub wsl_conf: File,
    /// Of Windows and WSL.
    pub versions: Versions,
    /// What else WSL looks at in Windows. What is not known decides nothing.
    pub host: WslHost,
}

impl Situation {
    /// From the files' texts.
    #[must_use]
    pub fn new(wslconfig: &str, wsl_conf: &str, versions: Versions) -> Self {
        let [wslconfig, wsl_conf] = [(wslconfig, Place::WslConfig), (wsl_conf, Place::WslConf)]
            .map(|(text, place)| File::parse_as(text, place.reader()));
        Self { wslconfig, wsl_conf, versions, host: WslHost::default() }
    }

    /// The same on a Windows of which this is known.
    #[must_use]
    pub fn on(self, host: WslHost) -> Self {
        Self { host, ..self }
    }

    /// One of the files.
    #[must_use]
    pub const fn file(&self, place: Place) -> &File {
        match place {
            Place::WslConfig => &self.wslconfig,
            Place::WslConf => &self.wsl_conf,
        }
    }

    /// The settings in force, for all keys.
    #[must_use]
    pub fn effective(&self) -> Effective {
        let keys = Place::ALL.into_iter().flat_map(Key::all);
        let mut effective = Effective { settings: keys.map(|key| self.written(key)).collect() };
        effective.settle(&self.versions, &self.host);
        effective
    }

    /// The reason that rules out mirrored mode on this machine, whatever `.wslconfig` says.
    #[must_use]
    pub fn no_mirrored(&self) -> Option<Because> {
        let wanted = Self::new("[wsl2]\nnetworkingMode=mirrored\n", "", self.versions);
        match wanted.on(self.host.clone()).effective().mode() {
            Some(Setting { origin: Origin::Forced { because, .. }, .. }) => Some(because.clone()),
            Some(_) | None => None,
        }
    }

    /// Whether WSL can ask Windows for names (`IsDnsTunnelingSupported` and `Config::Initialize` of
    /// microsoft/WSL). Where Windows was not asked for the function, its version decides:
    /// Microsoft's page names Windows 11 22H2.
    #[must_use]
    pub fn can_tunnel_dns(&self) -> Option<bool> {
        if self.host.global_secure_access == Some(true) {
            return Some(false);
        }
        let by_version = || self.versions.windows.map(|windows| windows >= Windows::ELEVEN_22H2);
        self.host.dns_query_raw.or_else(by_version)
    }

    /// A key by its file alone.
    fn written(&self, key: &'static Key) -> Setting {
        let default = key.default_on(&self.versions);
        let (value, origin) = match lines(self.file(key.place), key).next() {
            None => (default.to_owned(), Origin::Default),
            Some(entry) => match key.value_on(entry.value, &self.versions) {
                Some(value) => (value.to_string(), Origin::Line(entry.line)),
                None => (default.to_owned(), Origin::BadLine(entry.line)),
            },
        };
        Setting { key, value, default, origin }
    }
}

/// The lines for a key in their order, those of its older section included: the first of them all
/// counts.
pub(crate) fn lines<'a>(file: &'a File, key: &'static Key) -> impl Iterator<Item = Entry<'a>> {
    file.entries().filter(move |entry| Key::find(key.place, entry.section, entry.key) == Some(key))
}

/// The value of a key in `.wslconfig`, as it is written there. The first of its lines counts, also
/// one in its older section. `None` if no line sets it.
#[must_use]
pub fn asked_for<'a>(wslconfig: &'a File, section: &str, name: &str) -> Option<&'a str> {
    lines(wslconfig, Key::find(Place::WslConfig, section, name)?).next().map(|entry| entry.value)
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
    /// A group policy of WSL, by the name of its value in the registry.
    Policy {
        /// The value's name.
        name: &'static str,
        /// The value.
        value: u32,
    },
    /// A service of Windows that runs.
    Service(&'static str),
    /// A value of the registry: IPv6 is switched off.
    NoIpv6,
    /// `DnsQueryRaw` is missing or switched off.
    NoDnsQueryRaw,
    /// WSL ignores the key whatever it says.
    Ignored,
}

impl Because {
    /// For people.
    #[must_use]
    pub fn text(&self) -> Text {
        match self {
            Self::Setting(setting) => say::BY_SETTING.with("setting", setting),
            Self::Windows(windows) => say::BY_WINDOWS.with("windows", windows),
            Self::Policy { name, value } => say::BY_POLICY.with("name", name).with("value", value),
            Self::Service(name) => say::BY_SERVICE.with("name", name),
            Self::NoIpv6 => say::BY_NO_IPV6.text(),
            Self::NoDnsQueryRaw => say::BY_NO_DNS_QUERY_RAW.text(),
            Self::Ignored => say::BY_WSL.text(),
        }
    }
}

/// In English, for programs.
impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text().say(Language::English))
    }
}

impl Effective {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// A key's value, by the names in the schema; empty for a key that is not in it.
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

    /// The networking mode.
    #[must_use]
    pub fn mode(&self) -> Option<&Setting> {
        self.setting(Place::WslConfig, "wsl2", "networkingMode")
    }

    /// A setting by its key's names.
    #[must_use]
    pub fn setting(&self, place: Place, section: &str, name: &str) -> Option<&Setting> {
        let key = Key::find(place, section, name)?;
        self.settings.iter().find(|setting| setting.key == key)
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
mod tests;
