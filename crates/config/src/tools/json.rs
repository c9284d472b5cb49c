//! One text in a JSON file, changed without a change to any other byte.

use crate::tools::error::FormatError;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The text at a path of keys, if there is one.
pub(crate) fn get(text: &str, path: &[&str]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    path.iter().try_fold(&value, |value, key| value.get(key))?.as_str().map(str::to_owned)
}

/// The file with the text at a path set, or without it; objects on the way are made, and go with
/// their last member.
///
/// # Errors
/// The text is not a JSON object, or a key of the path holds another value than an object.
pub(crate) fn set(text: &str, path: &[&str], value: Option<&str>) -> Result<String, FormatError> {
    let text = if text.trim().is_empty() { "{\n}\n" } else { text };
    member(text, path, value, Layout { unit: indent(text), depth: 0 })
}

/// How the file's lines are indented, and how deep the object is.
#[derive(Clone, Copy)]
struct Layout<'a> {
    unit: &'a str,
    depth: usize,
}

impl Layout<'_> {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn indent(self) -> String {
        self.unit.repeat(self.depth)
    }
}

/// Every setting except those of these paths, to be compared; `None` if the text is not JSON.
pub(crate) fn others(text: &str, keys: &[&str]) -> Option<Vec<String>> {
    fn add(value: &serde_json::Value, path: &str, keys: &[&str], others: &mut Vec<String>) {
        match value.as_object() {
            Some(members) => {
                for (key, value) in members {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    add(value, &path, keys, others);
                }
            }
            None if keys.contains(&path) => {}
            None => others.push(format!("{path}={value}")),
        }
    }
    let value = serde_json::from_str(if text.trim().is_empty() { "{}" } else { text }).ok()?;
    let mut others = Vec::new();
    add(&value, "", keys, &mut others);
    Some(others)
}

/// The same for one object.
fn member(
    object: &str,
    path: &[&str],
    value: Option<&str>,
    layout: Layout<'_>,
) -> Result<String, FormatError> {
    let Some((key, rest)) = path.split_first() else { return Ok(object.to_owned()) };
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(object)
        .map_err(|error| FormatError::Json { problem: proxy::mask(&error.to_string()) })?;
    let there = members.get(*key).map(|raw| raw.get());
    let Some(old) = there else {
        return Ok(
            value.map_or_else(|| object.to_owned(), |value| insert(object, path, value, layout))
        );
    };
    // A raw value is a piece of the text that it was read from.
    let start = old.as_ptr() as usize - object.as_ptr() as usize;
    let end = start + old.len();
    let new = if rest.is_empty() {
        value.map(json_text)
    } else {
        Some(member(old, rest, value, layout.deeper())?)
    };
    match new {
        // An object that this change emptied goes; one that was empty before stays.
        Some(new) if value.is_some() || new.trim() == old.trim() || !is_empty(&new) => {
            Ok(format!("{}{new}{}", &object[..start], &object[end..]))
        }
        Some(_) | None => Ok(without(object, key, start, end)),
    }
}

fn is_empty(object: &str) -> bool {
    object
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inner| inner.trim().is_empty())
}

/// The object with a new first member.
fn insert(object: &str, path: &[&str], value: &str, layout: Layout<'_>) -> String {
    let at = object.find('{').map_or(0, |brace| brace + 1);
    let (head, tail) = object.split_at(at);
    let is_last = tail.trim_start().starts_with('}');
    let comma = if is_last { "" } else { "," };
    if !object.trim().contains('\n') && !is_last {
        return format!("{head}{}{comma} {}", nested(path, value, None), tail.trim_start());
    }
    let inner = layout.deeper().indent();
    let member = nested(path, value, Some(layout.deeper()));
    // An empty object's brace needs a line of its own again.
    let tail = if is_last {
        format!("\n{}{}", layout.indent(), tail.trim_start())
    } else {
        tail.to_owned()
    };
    let separator = if is_last || tail.starts_with(['\n', '\r']) { "" } else { " " };
    format!("{head}\n{inner}{member}{comma}{separator}{tail}")
}

/// `"a": {"b": "value"}`, on lines of their own where a layout is given.
fn nested(path: &[&str], value: &str, layout: Option<Layout<'_>>) -> String {
    let (Some((key, rest)), value_text) = (path.split_first(), json_text(value)) else {
        return String::new();
    };
    if rest.is_empty() {
        return format!("{}: {value_text}", json_text(key));
    }
    match layout {
        None => format!("{}: {{{}}}", json_text(key), nested(rest, value, None)),
        Some(layout) => {
            let inner = nested(rest, value, Some(layout.deeper()));
            format!(
                "{}: {{\n{}{inner}\n{}}}",
                json_text(key),
                layout.deeper().indent(),
                layout.indent()
            )
        }
    }
}

/// What the file's lines are indented by.
fn indent(text: &str) -> &str {
    let line =
        text.lines().skip(1).find(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    // Docker's own files have tabs.
    line.map_or("\t", |line| &line[..line.len() - line.trim_start().len()])
}

/// The object without the member whose value stands there.
fn without(object: &str, key: &str, start: usize, end: usize) -> String {
    let before = object[..start].trim_end().trim_end_matches(':').trim_end();
    // A key that is written with escapes is found by its last quote but one.
    let plain = json_text(key);
    let name_start = if before.ends_with(&plain) {
        before.len() - plain.len()
    } else {
        before
            .get(..before.len().saturating_sub(1))
            .and_then(|rest| rest.rfind('"'))
            .unwrap_or(before.len())
    };
    let (head, tail) = (object[..name_start].trim_end(), object[end..].trim_start());
    match (tail.strip_prefix(','), head.strip_suffix(',')) {
        (Some(rest), _) => format!("{}{}", &object[..name_start], rest.trim_start()),
        (None, Some(head)) => format!("{head}{}", &object[end..]),
        (None, None) => format!("{head}{tail}"),
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: [&str; 3] = ["proxies", "default", "httpProxy"];

    #[test]
    fn one_text_is_set_and_no_other_byte_changes() {
        for before in [
            "",
            "{}",
            "{\n\t\"auths\": {\n\t\t\"r.test\": {\"auth\": \"eA==\"}\n\t},\n\t\"credsStore\": \"x\"\n}\n",
            "{\"auths\": {}, \"b\": [1, 2]}",
            "{\n  \"proxies\": {\n    \"tcp://h\": {\"httpProxy\": \"other\"}\n  }\n}",
            "{\"proxies\": {\"default\": {\"noProxy\": \"a\"}}}",
            "{\"proxies\": {\"default\": {\"httpProxy\": \"old\", \"noProxy\": \"a\"}}}",
        ] {
            let after = set(before, &PATH, Some("P\"")).unwrap();
            assert_eq!(get(&after, &PATH).as_deref(), Some("P\""), "{after}");
            assert_eq!(set(&after, &PATH, Some("P\"")).unwrap(), after, "once is enough");
            let (mut had, mut has): (serde_json::Value, serde_json::Value) = (
                serde_json::from_str(if before.is_empty() { "{}" } else { before }).unwrap(),
                serde_json::from_str(&after).unwrap(),
            );
            for value in [&mut had, &mut has] {
                value["proxies"]["default"]["httpProxy"] = "same".into();
            }
            assert_eq!(had, has, "{after}");
            // Nothing is lost: with its own lines taken out, the rest is there in the same order.
            let mut rest = after.as_str();
            for word in
                before.split_whitespace().filter(|word| !word.contains("old") && *word != "{}")
            {
                let word = word.trim_matches(['{', '}']);
                rest = rest
                    .split_once(word)
                    .unwrap_or_else(|| panic!("{word} of {before} in {after}"))
                    .1;
            }
        }
    }

    #[test]
    fn what_was_made_goes_and_what_others_made_stays() {
        for before in [
            "{\n\t\"auths\": {}\n}",
            "{\"auths\": {}}",
            "{\n\t\"auths\": {},\n\t\"proxies\": {\n\t\t\"x\": {}\n\t}\n}",
        ] {
            let set_one = set(before, &PATH, Some("P")).unwrap();
            let set_two = set(&set_one, &["proxies", "default", "noProxy"], Some("Q")).unwrap();
            let one = set(&set_two, &["proxies", "default", "noProxy"], None).unwrap();
            assert_eq!(get(&one, &PATH).as_deref(), Some("P"), "{one}");
            let none = set(&one, &PATH, None).unwrap();
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&none), value(before), "{none}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "{", "{\"proxies\": 3}", "# no"] {
            assert!(matches!(set(text, &PATH, Some("P")), Err(FormatError::Json { .. })), "{text}");
        }
    }
}
