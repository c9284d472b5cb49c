//! The kinds of file that tools have: how a key of each is read, set and removed.

use crate::tools::error::FormatError;
use crate::tools::json;
use crate::tools::lines::{self, Style};
use serde::{Deserialize, Serialize};
use toml_edit::{Document, DocumentMut, Item, TableLike, value};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// git's configuration.
    Git,
    /// pip's configuration.
    Pip,
    /// npm's configuration.
    Npmrc,
    /// Yarn 1's configuration.
    Yarnrc,
    /// The configuration of Yarn 2 and later.
    YarnYaml,
    /// curl's configuration.
    Curlrc,
    /// wget's configuration.
    Wgetrc,
    /// TOML.
    Toml,
    /// JSON.
    Json,
    /// A file that is ours as a whole; its only key is the empty one.
    Whole,
}

impl Format {
    /// The value of a key, if it has one.
    #[must_use]
    pub fn get(self, text: &str, key: &str) -> Option<String> {
        self.find(text, key).map(|(value, _)| value)
    }

    /// The value of a key, and its line, from 1, if that line holds nothing else.
    pub(crate) fn find(self, text: &str, key: &str) -> Option<(String, Option<usize>)> {
        match self.kind() {
            Kind::Lines(style) => {
                lines::get(style, text, key).map(|(value, line)| (value, Some(line)))
            }
            Kind::Toml => find_toml(text, key),
            Kind::Json => {
                json::get(text, &key.split('.').collect::<Vec<_>>()).map(|value| (value, None))
            }
            Kind::Whole => (!text.is_empty()).then(|| (text.to_owned(), None)),
        }
    }

    /// The text with the key set, or without it.
    ///
    /// # Errors
    /// The text is not well-formed.
    pub fn set(self, text: &str, key: &str, new: Option<&str>) -> Result<String, FormatError> {
        match self.kind() {
            Kind::Lines(style) => Ok(lines::set(style, text, key, new)),
            Kind::Toml => set_toml(text, key, new),
            Kind::Json => json::set(text, &key.split('.').collect::<Vec<_>>(), new),
            Kind::Whole => Ok(new.unwrap_or_default().to_owned()),
        }
    }

    /// Whether two texts say the same, apart from these keys. A text that is not well-formed says
    /// nothing.
    #[must_use]
    pub(crate) fn agree(self, one: &str, other: &str, keys: &[&str]) -> bool {
        let others = |text: &str| match self.kind() {
            Kind::Lines(style) => Some(lines::others(style, text, keys)),
            Kind::Toml => {
                let mut others = Vec::new();
                add_toml(text.parse::<DocumentMut>().ok()?.as_table(), "", keys, &mut others);
                others.sort();
                Some(others)
            }
            Kind::Json => json::others(text, keys),
            Kind::Whole => None,
        };
        others(one) == others(other)
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Git => Kind::Lines(Style::Git),
            Self::Pip => Kind::Lines(Style::Ini),
            Self::Npmrc => Kind::Lines(Style::Npmrc),
            Self::Yarnrc => Kind::Lines(Style::Yarnrc),
            Self::YarnYaml => Kind::Lines(Style::Yaml),
            Self::Curlrc => Kind::Lines(Style::Curlrc),
            Self::Wgetrc => Kind::Lines(Style::Wgetrc),
            Self::Toml => Kind::Toml,
            Self::Json => Kind::Json,
            Self::Whole => Kind::Whole,
        }
    }
}

enum Kind {
    Lines(Style),
    Toml,
    Json,
    Whole,
}

/// Adds every setting below a table, except those of these keys.
fn add_toml(table: &dyn TableLike, path: &str, keys: &[&str], others: &mut Vec<String>) {
    for (key, item) in table.iter() {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match item.as_table_like() {
            Some(table) => add_toml(table, &path, keys, others),
            None if keys.contains(&path.as_str()) => {}
            None => others.push(format!("{path}={}", item.to_string().trim())),
        }
    }
}

fn find_toml(text: &str, key: &str) -> Option<(String, Option<usize>)> {
    let document = Document::parse(text).ok()?;
    let (table, key) = key.split_once('.')?;
    let item = document.get(table)?.as_table_like()?.get(key)?;
    let start = item.span()?.start;
    // In an inline table other keys may be on the line.
    let line = text[..start].rsplit('\n').next().unwrap_or_default().trim();
    let name = line.strip_suffix('=').unwrap_or_default().trim_end();
    let is_alone = [key, &format!("{table}.{key}")].contains(&name);
    let number = text[..start].matches('\n').count() + 1;
    Some((item.as_str()?.to_owned(), is_alone.then_some(number)))
}

fn set_toml(text: &str, key: &str, new: Option<&str>) -> Result<String, FormatError> {
    // The error quotes the line, which may have a password.
    let problem = |problem: String| FormatError::Toml { problem: proxy::mask(&problem) };
    let mut document = text.parse::<DocumentMut>().map_err(|error| problem(error.to_string()))?;
    let (section, key) = key.split_once('.').unwrap_or(("", key));
    if document.get(section).is_none() {
        if new.is_none() {
            return Ok(text.to_owned());
        }
        document.insert(section, toml_edit::table());
    }
    let table: Option<&mut dyn TableLike> =
        document.get_mut(section).and_then(Item::as_table_like_mut);
    let table = table.ok_or_else(|| problem(format!("'{section}' is no table")))?;
    match (new, table.get_mut(key)) {
        (Some(new), Some(item)) if item.as_str() == Some(new) => return Ok(text.to_owned()),
        (Some(new), Some(item)) => {
            // The text around the value, such as a comment, stays.
            let decor = item.as_value().map(|value| value.decor().clone());
            *item = value(new);
            if let (Some(decor), Some(value)) = (decor, item.as_value_mut()) {
                *value.decor_mut() = decor;
            }
        }
        (Some(new), None) => {
            table.insert(key, value(new));
        }
        (None, _) => {
            table.remove(key);
            if table.is_empty() {
                document.remove(section);
            }
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_keeps_comments_order_and_layout() {
        let set = |text: &str| Format::Toml.set(text, "http.proxy", Some("P")).unwrap();
        assert_eq!(set(""), "[http]\nproxy = \"P\"\n");
        assert_eq!(
            set("# mine\n[net]\nretry = 3 # often\n"),
            "# mine\n[net]\nretry = 3 # often\n\n[http]\nproxy = \"P\"\n"
        );
        assert_eq!(
            set("[http]\nproxy = 'x' # why\ntimeout=1\n"),
            "[http]\nproxy = \"P\" # why\ntimeout=1\n"
        );
        assert_eq!(set("http.timeout = 1\n"), "http.timeout = 1\nhttp.proxy = \"P\"\n");
        assert_eq!(set("[http]\nproxy = 'P'\n"), "[http]\nproxy = 'P'\n", "it says so already");
        let line = |text: &str| Format::Toml.find(text, "http.proxy");
        let value = || "P".to_owned();
        assert_eq!(line("http = { proxy = 'P' }"), Some((value(), None)));
        assert_eq!(line("\n[http]\nproxy = 'P' # why\n"), Some((value(), Some(3))));
        assert_eq!(line("http.proxy = 'P'\n"), Some((value(), Some(1))));
        assert_eq!(Format::Toml.set("[http]\nproxy = 'P'\n", "http.proxy", None).unwrap(), "");
        for text in ["[http", "http = 3"] {
            assert!(
                matches!(
                    Format::Toml.set(text, "http.proxy", Some("P")),
                    Err(FormatError::Toml { .. })
                ),
                "{text}"
            );
        }
    }
}
