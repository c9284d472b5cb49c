//! The schema of WSL's two settings files: every key with its type, its default, and what it needs.
//! The keys are in `keys.rs`.

mod keys;
mod value;

pub use value::{Value, parse_size};

use crate::settings::ini::Reader;
use crate::settings::version::{Versions, Windows, Wsl};
use std::fmt;

/// One of the settings files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `%UserProfile%\.wslconfig`: of the VM, for all distros of a user.
    WslConfig,
    /// `/etc/wsl.conf` of a distro.
    WslConf,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::WslConfig, Self::WslConf];

    /// Who reads it.
    #[must_use]
    pub const fn reader(self) -> Reader {
        match self {
            Self::WslConfig => Reader::Windows,
            Self::WslConf => Reader::Linux,
        }
    }

    /// The file's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WslConfig => ".wslconfig",
            Self::WslConf => "wsl.conf",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`, `1` or `0`.
    Bool,
    /// A number as C writes it: `0x10` is 16, `010` is 8.
    Int,
    /// Bytes: a number and then a unit, in capitals and without a space.
    Size,
    /// One of these, in any case.
    Choice(&'static [&'static str]),
    /// Ports, with commas between them.
    Ports,
    /// An IPv4 address.
    Address,
    /// A hardware address.
    Mac,
    /// A path of Windows, of Linux, or anything else.
    Text,
}

/// A key of a settings file.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its file.
    pub place: Place,
    /// Its section, as WSL spells it.
    pub section: &'static str,
    /// Its name, as WSL spells it.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The value if the key is not set and no version is too old; empty if there is no default.
    pub default: &'static str,
    /// The oldest Windows on which it has an effect.
    pub windows: Option<Windows>,
    /// The oldest WSL that reads it.
    pub wsl: Option<Wsl>,
    /// An older section that still has it.
    pub older_section: Option<&'static str>,
}

/// The first WSL that takes `dnsTunneling` for on.
const TUNNELING_BY_DEFAULT: Wsl = Wsl([2, 2, 1]);

/// The first WSL with mirrored networking, DNS tunneling and autoProxy.
pub const NEW_NETWORKING: Wsl = Wsl([2, 0, 0]);

/// The first WSL whose mode `virtioproxy` is called `consomme`; the old name stays as an alias
/// (`NetworkingModes` in `WslCoreConfig.h`).
pub const CONSOMME: Wsl = Wsl([2, 9, 0]);

impl Key {
    /// The valid value nearest to the written one, in words that are the same in every language.
    #[must_use]
    pub fn takes(&self, written: &str) -> String {
        let meant = number_in(written);
        match self.kind {
            Kind::Bool => "true, false, 1, 0".to_owned(),
            Kind::Int => match meant.filter(|(number, _)| self.value(number).is_some()) {
                Some((number, _)) => number.to_owned(),
                // A default that is not a number stands for a number of the machine's.
                None if self.value(self.default).is_none() => "4".to_owned(),
                None => self.default.to_owned(),
            },
            Kind::Size => {
                let size = meant.and_then(|(number, unit)| {
                    Some(format!("{number}{}B", unit?.to_ascii_uppercase()))
                });
                size.filter(|size| self.value(size).is_some())
                    .unwrap_or_else(|| "8GB, 512MB, 4096".to_owned())
            }
            Kind::Choice(choices) => choices.join(", "),
            Kind::Ports => "3000,9000".to_owned(),
            Kind::Address => "10.255.255.254".to_owned(),
            Kind::Mac => "00-15-5D-01-02-03, 00:15:5D:01:02:03".to_owned(),
            Kind::Text => "…".to_owned(),
        }
    }

    /// The key that was most likely meant by a name that is not a key: one that differs in a few
    /// letters only.
    #[must_use]
    pub fn nearest(place: Place, section: &str, name: &str) -> Option<&'static Self> {
        let (section, name) = (section.to_lowercase(), name.to_lowercase());
        // A third of the letters may be wrong; in a name of three or four, one.
        let most = (name.len() / 3).max(1);
        let distance = |key: &&Self| strsim::damerau_levenshtein(&name, &key.name.to_lowercase());
        let near = Self::all(place).filter(|key| distance(key) <= most);
        near.min_by_key(|key| {
            (distance(key), strsim::damerau_levenshtein(&section, &key.section.to_lowercase()))
        })
    }

    /// All keys of a file, in the order in which they are shown.
    pub fn all(place: Place) -> impl Iterator<Item = &'static Self> {
        keys::KEYS.iter().filter(move |key| key.place == place)
    }

    /// The key that these names mean in a file, by its older section too.
    #[must_use]
    pub fn find(place: Place, section: &str, name: &str) -> Option<&'static Self> {
        Self::all(place).find(|key| {
            let sections = [Some(key.section), key.older_section];
            key.name.eq_ignore_ascii_case(name)
                && sections.iter().flatten().any(|known| known.eq_ignore_ascii_case(section))
        })
    }

    /// The sections of a file, each once.
    #[must_use]
    pub fn sections(place: Place) -> Vec<&'static str> {
        let mut sections: Vec<_> = Self::all(place).map(|key| key.section).collect();
        sections.dedup();
        sections
    }

    /// What counts on this machine where the key is not set.
    #[must_use]
    pub fn default_on(&self, versions: &Versions) -> &'static str {
        let is_too_old = self.windows.is_some_and(|needed| versions.windows_is_before(needed))
            || self.wsl.is_some_and(|needed| versions.wsl_is_before(needed))
            || self.name == "dnsTunneling" && versions.wsl_is_before(TUNNELING_BY_DEFAULT);
        if is_too_old && self.kind == Kind::Bool { "false" } else { self.default }
    }

    /// A value as WSL reads it. `None` if WSL cannot read it, and then the default counts.
    #[must_use]
    pub fn value(&self, text: &str) -> Option<Value> {
        value::parse(self.kind, self.place.reader(), text)
    }

    /// What a value means to the WSL of this machine.
    #[must_use]
    pub fn value_on(&self, text: &str, versions: &Versions) -> Option<Value> {
        let is_consomme = versions.wsl.map(|wsl| wsl >= CONSOMME);
        match (self.value(text)?, is_consomme) {
            (Value::Choice("consomme"), Some(false)) => None,
            (Value::Choice("virtioproxy"), Some(true)) => Some(Value::Choice("consomme")),
            (value, _) => Some(value),
        }
    }
}

/// As people name it: `wsl2.networkingMode`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.section, self.name)
    }
}

/// The digits that a text begins with, and the letter of the unit that follows.
fn number_in(text: &str) -> Option<(&str, Option<char>)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = text[end..].trim_start().chars().next().filter(|unit| "kmgtKMGT".contains(*unit));
    (end > 0).then(|| (&text[..end], unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_older_sections_lead_to_their_key() {
        let mode = Key::find(Place::WslConfig, "wsl2", "networkingMode").unwrap();
        assert_eq!(Key::find(Place::WslConfig, "Experimental", "NETWORKINGMODE"), Some(mode));
        assert_eq!(mode.to_string(), "wsl2.networkingMode");
        assert_eq!(Key::find(Place::WslConf, "wsl2", "networkingMode"), None);
        assert_eq!(Key::sections(Place::WslConfig), ["wsl2", "general", "experimental"]);
        assert_eq!(Key::sections(Place::WslConf).len(), 10);
    }

    #[test]
    fn every_default_is_a_value_of_its_kind_and_every_key_is_there_once() {
        let mut seen = std::collections::BTreeSet::new();
        for key in Place::ALL.into_iter().flat_map(Key::all) {
            assert!(seen.insert((key.place, key.to_string().to_lowercase())), "{key} twice");
            let is_words = ["all", "50%", "25%"].contains(&key.default);
            assert!(
                is_words || key.default.is_empty() || key.value(key.default).is_some(),
                "{key}: {}",
                key.default
            );
        }
        assert_eq!(seen.len(), 80);
    }

    #[test]
    fn a_default_depends_on_what_is_too_old() {
        let on = |name: &str, windows, wsl| {
            let key = Key::find(Place::WslConfig, "wsl2", name).unwrap();
            key.default_on(&Versions { windows: Some(Windows(windows)), wsl: Some(Wsl(wsl)) })
        };
        assert_eq!(on("firewall", 22_631, [2, 5, 9]), "true");
        assert_eq!(on("firewall", 19_045, [2, 5, 9]), "false");
        // Whether DnsQueryRaw works is asked, not guessed by the build.
        assert_eq!(on("dnsTunneling", 19_045, [2, 5, 9]), "true");
        assert_eq!(on("dnsTunneling", 22_631, [2, 1, 5]), "false");
        let firewall = Key::find(Place::WslConfig, "wsl2", "firewall").unwrap();
        assert_eq!(firewall.default_on(&Versions::default()), "true");
    }

    #[test]
    fn a_mode_has_the_name_that_this_wsl_gives_it() {
        let mode = Key::find(Place::WslConfig, "wsl2", "networkingMode").unwrap();
        let on = |text, wsl| {
            let versions = Versions { windows: None, wsl };
            mode.value_on(text, &versions).map(|value| value.to_string())
        };
        let table = [
            ("VirtioProxy", Some([2, 8, 12]), Some("virtioproxy")),
            ("virtioproxy", Some([2, 9, 0]), Some("consomme")),
            ("Consomme", Some([2, 9, 0]), Some("consomme")),
            ("consomme", Some([2, 8, 12]), None),
            ("consomme", None, Some("consomme")),
            ("mirrored", Some([2, 5, 8]), Some("mirrored")),
        ];
        for (text, wsl, expected) in table {
            assert_eq!(on(text, wsl.map(Wsl)).as_deref(), expected, "{text} {wsl:?}");
        }
    }
}
