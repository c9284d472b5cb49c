//! All facts, folded away: a section for each key, named as in `--json`. Empty facts and probes
//! that were not tried are left out.

use super::html::Html;
use crate::facts::Facts;
use serde_json::{Map, Value};

/// One section for each key of the facts. They are masked already.
pub(super) fn sections(html: &mut Html, facts: &Facts) {
    let Ok(Value::Object(facts)) = serde_json::to_value(facts) else { return };
    for (name, value) in facts {
        if is_empty(&value) {
            continue;
        }
        html.open("details", &[]);
        html.element("summary", &[], &words(&name));
        show(html, &value);
        html.close("details");
    }
}

/// `by_wslinfo` reads as `by wslinfo`.
fn words(key: &str) -> String {
    key.replace(['_', '-'], " ")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == "not-tried",
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(entries) => entries.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn show(html: &mut Html, value: &Value) {
    match value {
        Value::Object(entries) => object(html, entries),
        Value::Array(items) if items.iter().all(|item| line(item).is_some()) => {
            let lines: Vec<String> = items.iter().filter_map(line).collect();
            html.element("p", &[], &lines.join(", "));
        }
        Value::Array(items) => {
            html.open("ul", &[]);
            for item in items.iter().filter(|item| !is_empty(item)) {
                html.open("li", &[]);
                show(html, item);
                html.close("li");
            }
            html.close("ul");
        }
        Value::String(text) if text.contains('\n') => html.element("pre", &[], text),
        Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Null => {
            html.element("p", &[], &line(value).unwrap_or_default());
        }
    }
}

/// What has one line only.
fn line(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.contains('\n') => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some("-".to_owned()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn object(html: &mut Html, entries: &Map<String, Value>) {
    html.open("dl", &[]);
    for (key, value) in entries.iter().filter(|(_, value)| !is_empty(value)) {
        html.element("dt", &[], &words(key));
        html.open("dd", &[]);
        show(html, value);
        html.close("dd");
    }
    html.close("dl");
}
