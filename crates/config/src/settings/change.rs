//! Changes that are asked for, made so that they count: a line of an older section that would count
//! before the new one goes.

use crate::settings::effective::lines;
use crate::settings::ini::{EditError, FaultKind, File};
use crate::settings::schema::{Key, Place};
use std::fmt;
use std::str::FromStr;

/// One key to be set, or to be as if it was never set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: &'static Key,
    /// To what; `None` takes it out.
    pub value: Option<String>,
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It is not written as one.
    #[error("'{text}' is not {form}; for example: {example}")]
    Form {
        /// What was given.
        text: String,
        /// What it should be.
        form: &'static str,
        /// One that is.
        example: &'static str,
    },
    /// WSL has no such key.
    #[error("{}", unknown(.name, .nearest.as_deref()))]
    Unknown {
        /// What was given.
        name: String,
        /// The nearest that it has.
        nearest: Option<String>,
    },
    /// Both files have it.
    #[error("{}", ambiguous(.name, *.places))]
    Ambiguous {
        /// What was given.
        name: String,
        /// Which files.
        places: [Place; 2],
    },
    /// WSL could not read the value.
    #[error("'{value}' is not a value that WSL accepts for {name}: it accepts {takes}")]
    Value {
        /// For which key.
        name: String,
        /// What was given.
        value: String,
        /// What it takes.
        takes: String,
    },
    /// The file cannot be changed so.
    #[error("{place}: {error}")]
    Edit {
        /// Which file.
        place: Place,
        /// Why.
        error: EditError,
    },
}

fn unknown(name: &str, nearest: Option<&str>) -> String {
    let hint = nearest.map_or_else(String::new, |nearest| format!(": did you mean {nearest}?"));
    format!("WSL has no key '{name}' in .wslconfig or wsl.conf{hint}")
}

fn ambiguous(name: &str, places: [Place; 2]) -> String {
    let [one, other] = places;
    format!("both files have a key '{name}': write '{one}:{name}' or '{other}:{name}'")
}

impl Change {
    /// Makes it in the key's file; the file of another is left alone.
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn make(&self, file: &mut File) -> Result<(), EditError> {
        let key = self.key;
        // Its text here is not what its bytes say, and nothing of it counts.
        if file.faults().any(|fault| fault.kind == FaultKind::Utf16) {
            return Err(EditError::Utf16);
        }
        let Some(value) = &self.value else {
            for section in [Some(key.section), key.older_section].into_iter().flatten() {
                file.remove(section, key.name);
            }
            return Ok(());
        };
        let counts = lines(file, key).next().map(|entry| entry.section.to_owned());
        let mut changed = file.clone();
        if let (Some(section), Some(older)) = (counts, key.older_section)
            && section.eq_ignore_ascii_case(older)
        {
            changed.remove(older, key.name);
        }
        changed.set(key.section, key.name, value)?;
        *file = changed;
        Ok(())
    }
}

/// The requested change, as people write it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => write!(f, "{} (not set)", self.key),
        }
    }
}

/// From `wsl2.networkingMode=mirrored`, or with the file before it:
/// `wsl.conf:general.guiApplications=false`.
impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let form = || ChangeError::Form {
            text: text.to_owned(),
            form: "SECTION.KEY=VALUE",
            example: "wsl2.networkingMode=mirrored",
        };
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let (key, value) = (named(name.trim())?, value.trim());
        if key.value(value).is_none() {
            return Err(ChangeError::Value {
                name: key.to_string(),
                value: value.to_owned(),
                takes: key.takes(value),
            });
        }
        Ok(Self { key, value: Some(value.to_owned()) })
    }
}

/// The key of a name such as `wsl2.networkingMode` or `wsl.conf:boot.systemd`.
///
/// # Errors
/// There is none of that name, or there are two.
pub fn named(text: &str) -> Result<&'static Key, ChangeError> {
    let form = || ChangeError::Form {
        text: text.to_owned(),
        form: "SECTION.KEY",
        example: "wsl2.networkingMode",
    };
    let (places, name) = match text.split_once(':') {
        Some((file, name)) => {
            let place = Place::ALL
                .into_iter()
                .find(|place| place.name().trim_start_matches('.') == file.trim_start_matches('.'));
            (vec![place.ok_or_else(form)?], name)
        }
        None => (Place::ALL.to_vec(), text),
    };
    let (section, key) = name.split_once('.').ok_or_else(form)?;
    let found: Vec<_> = places.iter().filter_map(|place| Key::find(*place, section, key)).collect();
    match found[..] {
        [key] => Ok(key),
        [] => {
            let nearest = places.iter().find_map(|place| Key::nearest(*place, section, key));
            Err(ChangeError::Unknown {
                name: name.to_owned(),
                nearest: nearest.map(ToString::to_string),
            })
        }
        _ => Err(ChangeError::Ambiguous { name: name.to_owned(), places: Place::ALL }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, changes: &[&str]) -> String {
        let mut file = File::parse(text);
        for change in changes {
            change.parse::<Change>().unwrap().make(&mut file).unwrap();
        }
        file.to_string()
    }

    #[test]
    fn what_is_suggested_is_what_was_meant() {
        let of = |section, name, written| {
            Key::find(Place::WslConfig, section, name).unwrap().takes(written)
        };
        for (name, written, suggested) in [
            ("processors", "4 cores", "4"),
            ("processors", "four", "4"),
            ("memory", "8 GB", "8GB"),
            ("memory", "16gb", "16GB"),
            ("memory", "much", "8GB, 512MB, 4096"),
            ("vmIdleTimeout", "never", "60000"),
            ("vmIdleTimeout", "30 s", "30"),
        ] {
            assert_eq!(of("wsl2", name, written), suggested, "{written}");
        }
    }

    #[test]
    fn a_change_counts_even_where_an_older_section_came_first() {
        let text = "[experimental]\nnetworkingMode=nat\nsparseVhd=true\n[wsl2]\nmemory=4GB\n";
        let after = changed(text, &["wsl2.networkingMode=mirrored"]);
        assert_eq!(
            after,
            "[experimental]\nsparseVhd=true\n[wsl2]\nmemory=4GB\nnetworkingMode=mirrored\n"
        );
        let mut file =
            File::parse("[wsl2]\nnetworkingMode=nat\n[experimental]\nnetworkingMode=mirrored\n");
        Change { key: named("wsl2.networkingMode").unwrap(), value: None }.make(&mut file).unwrap();
        assert_eq!(file.to_string(), "[wsl2]\n[experimental]\n");
    }

    #[test]
    fn utf_16_of_a_distro_is_not_changed_at_all() {
        let mut file = File::parse_as("[\0b\0o\0o\0t\0]\0\n\0", Place::WslConf.reader());
        let before = file.clone();
        for value in [None, Some("true".to_owned())] {
            let change = Change { key: named("boot.systemd").unwrap(), value };
            assert_eq!(change.make(&mut file), Err(EditError::Utf16));
            assert_eq!(file, before);
        }
    }

    #[test]
    fn names_and_values_are_those_of_wsl() {
        assert_eq!(
            "WSL2.networkingmode=mirrored".parse::<Change>().unwrap().to_string(),
            "wsl2.networkingMode=mirrored"
        );
        let error = |text: &str| text.parse::<Change>().unwrap_err().to_string();
        assert_eq!(
            error("wsl2.networkMode=nat"),
            "WSL has no key 'wsl2.networkMode' in .wslconfig or wsl.conf: did you mean wsl2.networkingMode?"
        );
        assert!(error("general.guiApplications=maybe").contains("it accepts true, false"));
        assert!(
            error("wsl2.memory=8 GB").contains("it accepts 8GB"),
            "{}",
            error("wsl2.memory=8 GB")
        );
        assert!(error("mirrored").contains("SECTION.KEY=VALUE"));
        assert!(error("wslx.conf:boot.systemd=true").contains("SECTION.KEY"));
        assert_eq!(named("wslconfig:general.instanceIdleTimeout").unwrap().place, Place::WslConfig);
        assert_eq!(named("wsl.conf:boot.systemd").unwrap().place, Place::WslConf);
    }
}
