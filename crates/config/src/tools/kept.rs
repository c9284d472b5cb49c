//! The record of a changed file, from which the file is restored: exactly if our lines are
//! untouched, otherwise key by key. Values that others have set since stay.

use crate::tools::change::Change;
use crate::tools::error::FormatError;
use crate::tools::format::Format;
use crate::tools::places::Place;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file that was changed. It has passwords wherever the file had them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The name of the tool whose file it is.
    pub tool: String,
    /// The file.
    pub path: PathBuf,
    /// Folders that were made for it, the outermost first.
    pub folders: Vec<PathBuf>,
    format: Format,
    /// Whether there was no file before.
    is_new: bool,
    change: Option<Change>,
    keys: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    key: String,
    before: Option<String>,
    set: String,
}

/// A restored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its text; `None` if the file must not exist.
    pub text: Option<String>,
    /// Keys that others have changed since: they stay as they are.
    pub left: Vec<String>,
}

/// The text of a place's file with the setting in it; `text` is `None` if there is no file.
///
/// # Errors
/// The file is not well-formed.
pub fn with_setting(place: &Place, text: Option<&str>) -> Result<String, FormatError> {
    let now = text.unwrap_or_default().to_owned();
    place
        .wanted
        .iter()
        .try_fold(now, |text, (key, value)| place.format.set(&text, key, Some(value)))
}

impl Kept {
    /// What to remember of a file that becomes `after` from `text`. `earlier` is what was
    /// remembered when it was changed before: what was there before that is what is given back in
    /// the end.
    #[must_use]
    pub fn of(place: &Place, text: Option<&str>, earlier: Option<&Self>, after: &str) -> Self {
        let undone = earlier.and_then(|earlier| earlier.undone(text));
        let base = undone.clone().unwrap_or_else(|| text.map(str::to_owned));
        let before = |key: &str| {
            let now = base.as_deref().and_then(|text| place.format.get(text, key));
            let ours = earlier.filter(|_| undone.is_none()).and_then(|earlier| earlier.key(key));
            match ours {
                Some(ours) if now.as_ref() == Some(&ours.set) => ours.before.clone(),
                Some(_) | None => now,
            }
        };
        let key = |(key, value): &(String, String)| Key {
            key: key.clone(),
            before: before(key),
            set: value.clone(),
        };
        Self {
            tool: place.tool.name().to_owned(),
            path: place.path.clone(),
            folders: earlier.map(|earlier| earlier.folders.clone()).unwrap_or_default(),
            format: place.format,
            is_new: base.is_none(),
            change: Change::between(base.as_deref().unwrap_or_default(), after),
            keys: place.wanted.iter().map(key).collect(),
        }
    }

    /// The file as it is to be again, given its text now.
    #[must_use]
    pub fn restore(&self, text: Option<&str>) -> Restored {
        if let Some(text) = self.undone(text) {
            return Restored { text, left: Vec::new() };
        }
        let (mut text, mut left) = (text.unwrap_or_default().to_owned(), Vec::new());
        for Key { key, before, set } in &self.keys {
            let now = self.format.get(&text, key);
            if now == *before {
                continue;
            }
            match self.format.set(&text, key, before.as_deref()) {
                Ok(restored) if now.as_ref() == Some(set) => text = restored,
                Ok(_) | Err(_) => {
                    left.push(if key.is_empty() { "*".to_owned() } else { key.clone() })
                }
            }
        }
        let is_gone = self.is_new && text.trim().is_empty();
        Restored { text: (!is_gone).then_some(text), left }
    }

    /// Whether this value of a key is the one that was set.
    #[must_use]
    pub fn has_set(&self, key: &str, value: &str) -> bool {
        // A file that is set as a whole has its keys in its text.
        let is_it = |kept: &Key| {
            if kept.key.is_empty() { kept.set.contains(value) } else { kept.set == value }
        };
        self.keys.iter().any(|kept| (kept.key.is_empty() || kept.key == key) && is_it(kept))
    }

    fn key(&self, wanted: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.key == wanted)
    }

    /// The text without our lines, if they can be found. The inner option is `None` if the file
    /// must not exist.
    fn undone(&self, text: Option<&str>) -> Option<Option<String>> {
        // The file was removed, and our lines with it.
        let Some(text) = text else { return Some(None) };
        let undone = self
            .change
            .as_ref()
            .map_or_else(|| Some(text.to_owned()), |change| change.undo(text))?;
        // The header of a section may be ours and have lines of others below it by now, which mean
        // something else without it.
        let keys: Vec<&str> = self.keys.iter().map(|key| key.key.as_str()).collect();
        let is_whole = self.format.agree(text, &undone, &keys);
        is_whole.then(|| (!self.is_new || !undone.is_empty()).then_some(undone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::places::{Readers, Tool};

    fn place(format: Format, url: &str) -> Place {
        let keys = [(Format::Whole, ""), (Format::Json, "proxies.default.httpProxy")];
        let key = keys.iter().find(|(of, _)| *of == format).map_or("http.proxy", |(_, key)| key);
        let wanted = vec![(key.to_owned(), url.to_owned())];
        Place { tool: Tool::Cargo, path: "/f".into(), format, wanted, readers: Readers::Owner }
    }

    fn apply(place: &Place, text: Option<&str>, earlier: Option<&Kept>) -> (String, Kept) {
        let after = with_setting(place, text).unwrap();
        let kept = Kept::of(place, text, earlier, &after);
        (after, kept)
    }

    #[test]
    fn given_back_exactly_however_often_it_was_set() {
        for (format, before) in [
            (Format::Toml, None),
            (Format::Toml, Some("")),
            (Format::Toml, Some("[http]\nproxy='old'  # why\n\n[net]\nretry=1")),
            (Format::Git, Some("[user]\n\tname = x\n[http]\n\tproxy = old\n")),
            (Format::Json, Some("{\"auths\":{}}")),
            (Format::Json, None),
            (Format::Whole, None),
        ] {
            let (once, kept) = apply(&place(format, "P"), before, None);
            let (twice, kept) = apply(&place(format, "Q"), Some(&once), Some(&kept));
            let (same, kept) = apply(&place(format, "Q"), Some(&twice), Some(&kept));
            assert_eq!(same, twice, "once is enough");
            let restored = Restored { text: before.map(str::to_owned), left: vec![] };
            assert_eq!(kept.restore(Some(&same)), restored, "{format:?} {before:?}");
        }
    }

    #[test]
    fn what_others_wrote_since_stays() {
        let toml = place(Format::Toml, "P");
        let (after, kept) = apply(&toml, Some("[http]\nproxy = 'old'\n"), None);
        // Lines elsewhere, and a line of its own among ours.
        let more = format!("# mine\n{after}timeout = 1\n");
        assert_eq!(
            kept.restore(Some(&more)).text.as_deref(),
            Some("# mine\n[http]\nproxy = 'old'\ntimeout = 1\n")
        );
        let rewritten = "[http]\nproxy   =   \"P\"\ntimeout = 1\n";
        let restored = kept.restore(Some(rewritten));
        assert_eq!(
            (restored.text.as_deref(), restored.left.len()),
            (Some("[http]\nproxy   =   \"old\"\ntimeout = 1\n"), 0)
        );
        // A section that was ours has become another's too.
        let (after, new) = apply(&toml, None, None);
        assert_eq!(
            new.restore(Some(&format!("{after}timeout = 1\n"))).text.as_deref(),
            Some("[http]\ntimeout = 1\n")
        );
        // The value itself.
        let changed = "[http]\nproxy = \"mine\"\n";
        assert_eq!(
            kept.restore(Some(changed)),
            Restored { text: Some(changed.into()), left: vec!["http.proxy".into()] }
        );
        // Set again over the change, the change is what was before.
        let (after, kept) = apply(&toml, Some(changed), Some(&kept));
        assert_eq!(kept.restore(Some(&after)).text.as_deref(), Some(changed));
        // The file is gone.
        assert_eq!(kept.restore(None), Restored { text: None, left: vec![] });
    }

    #[test]
    fn docker_writes_its_file_anew_and_ours_is_found_all_the_same() {
        let json = place(Format::Json, "P");
        let (_, kept) = apply(&json, Some("{\"auths\": {}}"), None);
        let by_docker = "{\n\t\"auths\": {\n\t\t\"r\": {}\n\t},\n\t\"proxies\": {\n\
                         \t\t\"default\": {\n\t\t\t\"httpProxy\": \"P\"\n\t\t}\n\t}\n}";
        let text = kept.restore(Some(by_docker)).text.unwrap();
        assert_eq!(text.replace(char::is_whitespace, ""), "{\"auths\":{\"r\":{}}}");
    }
}
