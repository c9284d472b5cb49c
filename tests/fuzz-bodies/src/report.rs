//! The output of `underpass doctor` about a machine with arbitrary facts: texts for a terminal,
//! JSON, and the page. They contain no secret of a URL, no terminal control sequence, and only the
//! page's own HTML.

use crate::Bytes;
use doctor::facts::Facts;
use doctor::json::Document;
use doctor::report::page;
use doctor::text::{Colour, Hints, render};
use doctor::{Finding, FixStep, Shell, judge};
use messages::Language;
use serde_json::Value;
use std::sync::OnceLock;

/// A machine with a value in each of its facts, and many faults.
pub const MACHINE: &str = include_str!("report/facts.json");

/// A password that no text of a machine contains by chance.
const SECRET: &str = "s3cr3t";

/// Marks texts: nothing in this program contains it, and a shell treats it specially.
const MARK: char = '\u{2620}';

/// Most strings of a machine that one input replaces.
const CHANGES: usize = 12;

/// The facts of [`MACHINE`], and the places in them that take any text.
struct Machine {
    facts: Value,
    texts: Vec<String>,
}

fn machine() -> &'static Machine {
    static MACHINE_READ: OnceLock<Machine> = OnceLock::new();
    MACHINE_READ.get_or_init(|| {
        let Ok(facts) = serde_json::from_str::<Value>(MACHINE) else { unreachable!("it is JSON") };
        let mut all = Vec::new();
        strings(&facts, &mut String::new(), &mut all);
        // Addresses, prefixes and keywords are texts only in JSON.
        let takes_any = |place: &String| {
            let mut changed = facts.clone();
            put(&mut changed, place, "any text".to_owned());
            serde_json::from_value::<Facts>(changed).is_ok()
        };
        all.retain(takes_any);
        Machine { facts, texts: all }
    })
}

/// The places of all strings of a value, as JSON pointers (RFC 6901).
fn strings(value: &Value, place: &mut String, all: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let length = place.len();
        place.push('/');
        place.push_str(&key.replace('~', "~0").replace('/', "~1"));
        strings(value, place, all);
        place.truncate(length);
    };
    match value {
        Value::String(_) => all.push(place.clone()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| below(&n.to_string(), item))
        }
        Value::Object(entries) => entries.iter().for_each(|(key, value)| below(key, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn put(value: &mut Value, place: &str, text: String) {
    if let Some(slot) = value.pointer_mut(place) {
        *slot = Value::String(text);
    }
}

/// The page is HTML in which every `<` begins a tag of its own, each closed in its place. It can
/// fetch and run nothing.
fn is_sound(page: &str) {
    let is_text = |text: &str| {
        let odd = |c: char| {
            c.is_control() && c != '\n' && c != '\t'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(odd), "{text:?}");
        for behind in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"]
                .iter()
                .any(|entity| behind.starts_with(entity));
            assert!(known, "an ampersand that is not an entity: {text:?}");
        }
        assert!(!text.contains(['"', '\'', '>']), "not escaped: {text:?}");
    };
    let Some(mut rest) = page.strip_prefix("<!doctype html>\n") else {
        panic!("another beginning: {page}")
    };
    let mut open: Vec<&str> = Vec::new();
    while let Some((text, behind)) = rest.split_once('<') {
        if open.last() == Some(&"style") {
            assert!(behind.starts_with("/style>"), "a tag in the style");
        } else {
            is_text(text);
        }
        let (tag, behind) =
            behind.split_once('>').unwrap_or_else(|| panic!("a tag without an end"));
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of its place");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            "<{tag}>"
        );
        let forbidden =
            ["a", "base", "embed", "form", "iframe", "img", "link", "object", "script", "svg"];
        assert!(!forbidden.contains(&name), "<{tag}>");
        for (n, part) in attributes.split('"').enumerate() {
            // Names and values alternate.
            let key = part.trim().trim_end_matches('=');
            let is_own =
                n % 2 == 1 || key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(
                is_own && !key.starts_with("on") && !["src", "href", "style"].contains(&key),
                "<{tag}>"
            );
        }
        if name != "meta" {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest == "\n", "not closed: {open:?}");
}

/// The part of a line that a shell interprets: the line without the text between single quotes,
/// which it takes literally.
fn outside_quotes(line: &str, shell: Shell) -> String {
    let is_quote = |letter: char| match shell {
        Shell::Linux => letter == '\'',
        Shell::Powershell | Shell::AdminPowershell => {
            matches!(letter, '\'' | '\u{2018}'..='\u{201b}')
        }
    };
    let (mut outside, mut is_inside, mut escapes) = (String::new(), false, false);
    for letter in line.chars() {
        let is_escaped = std::mem::take(&mut escapes);
        if is_quote(letter) && !is_escaped {
            is_inside = !is_inside;
        } else if !is_inside {
            escapes = shell == Shell::Linux && letter == '\\' && !is_escaped;
            outside.push(letter);
        }
    }
    assert!(!is_inside, "a quote is open at its end: {line}");
    outside
}

/// No command that a finding recommends contains a secret or more than one line, and a machine's
/// texts are quoted there.
fn is_safe(finding: &Finding) {
    for step in &finding.fix {
        let FixStep::Run { shell, lines } = step else { continue };
        for line in lines {
            assert!(!line.contains(SECRET), "{}: {line}", finding.id);
            assert!(
                !outside_quotes(line, *shell).contains(MARK),
                "{}: a shell would obey it: {line}",
                finding.id
            );
        }
    }
}

/// Any bytes: texts in a machine's facts. Returns the number of findings.
pub fn report(data: &[u8]) -> usize {
    let mut input = Bytes(data);
    let machine = machine();
    let mut changed = machine.facts.clone();
    let mut said = String::new();
    for _ in 0..CHANGES {
        if input.0.is_empty() {
            break;
        }
        let (place, shape) = (usize::from(input.two()), input.byte());
        let length = usize::from(input.byte());
        let text = String::from_utf8_lossy(input.take(length)).into_owned();
        said.push_str(&text);
        let text = match shape & 3 {
            0 => format!("{text} http://me:{SECRET}@host.test:8080/ {text}"),
            1 => format!("http://me:{SECRET}@host.test:8080/{text}"),
            2 => format!("{text}'\u{2019}; {MARK}{text}"),
            _ => text,
        };
        put(&mut changed, &machine.texts[place % machine.texts.len()], text);
    }
    let Ok(facts) = serde_json::from_value::<Facts>(changed) else {
        unreachable!("each place takes any text")
    };
    let diagnosis = judge(&facts, None);
    diagnosis.findings.iter().for_each(is_safe);
    let masked = facts.masked();
    assert_eq!(masked.masked(), masked, "hidden twice equals hidden once");
    for language in [Language::English, Language::Chinese] {
        let (page, text) = (
            page(&facts, &diagnosis, language),
            render(&diagnosis, language, Colour::None, Hints::InFull),
        );
        let document = Document::new(&facts, &diagnosis, language);
        let json = serde_json::to_string(&document).unwrap_or_default();
        is_sound(&page);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(
            serde_json::from_str::<Document>(&json).ok().as_ref(),
            Some(&document),
            "written and read again"
        );
        for shown in [&page, &text, &json] {
            assert!(!shown.contains(SECRET) || said.contains(SECRET), "a secret is shown: {shown}");
        }
    }
    diagnosis.findings.len()
}
