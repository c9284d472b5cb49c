//! Finds the faults of the settings: each file line by line, then both together. Pure: texts and
//! versions in, findings out.

mod clashes;

use crate::settings::effective::{Effective, Situation};
use crate::settings::ini::{Entry, Fault, FaultKind, Reader};
use crate::settings::schema::{CONSOMME, Key, Place};
use crate::settings::version::{Versions, Windows};
use messages::{Sentence, Text, settings as say};
use std::collections::BTreeMap;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and could be better.
    Note,
    /// Something that is written has no effect, or another one than meant.
    Warning,
    /// WSL does not start so, or ignores what stands below.
    Error,
}

impl Severity {
    /// For machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which judgement this is; the same in every version of this program.
    pub code: &'static str,
    /// In which file.
    pub place: Place,
    /// On which line, counted from 1; none for what is not there.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: Text,
    /// Its effect, unless another field says it.
    pub effect: Option<Text>,
    /// What to do.
    pub fix: Text,
}

impl Finding {
    fn new(
        severity: Severity,
        code: &'static str,
        place: Place,
        line: Option<usize>,
        (what, fix): (Text, Text),
    ) -> Self {
        Self { severity, code, place, line, what, effect: None, fix }
    }
}

/// Everything that is wrong, in the order of the lines; what no line stands for comes last.
#[must_use]
pub fn check(situation: &Situation) -> Vec<Finding> {
    let effective = situation.effective();
    let mut findings: Vec<_> =
        Place::ALL.into_iter().flat_map(|place| lines(place, situation, &effective)).collect();
    findings.extend(clashes::clashes(&effective));
    findings.sort_by_key(|finding| (finding.place, finding.line.unwrap_or(usize::MAX)));
    findings
}

/// The faults of a file's lines, each by itself.
fn lines(place: Place, situation: &Situation, effective: &Effective) -> Vec<Finding> {
    let file = situation.file(place);
    let finding = |severity, code, line, what, fix| {
        Finding::new(severity, code, place, Some(line), (what, fix))
    };
    let mut findings: Vec<_> =
        file.faults().map(|fault| fault_of(place, &fault, file.has_unread())).collect();
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for entry in file.entries() {
        let name = full_name(&entry);
        let Some(key) = Key::find(place, entry.section, entry.key) else {
            // A faulty header, which has a finding of its own, leaves the keys below it in a
            // section that the user did not mean.
            if entry.section.is_empty()
                || file.headers().any(|(name, _)| name.eq_ignore_ascii_case(entry.section))
            {
                findings.push(unknown(place, &entry));
            }
            continue;
        };
        if let Some(counts) = first.get(&key.to_string()) {
            let what = say::DUPLICATE.with("key", &name).with("counts", counts);
            findings.push(finding(
                Severity::Warning,
                "duplicate",
                entry.line,
                what,
                say::DUPLICATE_FIX.with("line", entry.line),
            ));
            continue;
        }
        first.insert(key.to_string(), entry.line);
        if !key.section.eq_ignore_ascii_case(entry.section) {
            let what = say::OLDER_SECTION.with("key", &name);
            let fix = say::OLDER_SECTION_FIX.with("key", key.name).with("section", key.section);
            findings.push(finding(Severity::Note, "older-section", entry.line, what, fix));
        }
        let Some(value) = key.value(entry.value) else {
            let (severity, sentence) = bad_value(key);
            let default = shown(key.default_on(&situation.versions));
            let what = sentence.with("key", key).with("value", entry.value);
            let what =
                if sentence == &say::BAD_VALUE { what.with("default", default) } else { what };
            findings.push(finding(
                severity,
                "bad-value",
                entry.line,
                what,
                say::BAD_VALUE_FIX.with("takes", key.takes(entry.value)),
            ));
            continue;
        };
        findings.extend(
            too_old(key, &value.to_string(), &situation.versions)
                .map(|(code, what, fix)| finding(Severity::Warning, code, entry.line, what, fix)),
        );
        // `value += static_cast<char>(ch)` in `ParseConfigFile`: in the distro a sign is a byte, on
        // Windows it is a UTF-16 unit.
        if place.reader() == Reader::Windows && !entry.value.is_ascii() {
            let (what, fix) = (say::NOT_ASCII.with("key", key), say::NOT_ASCII_FIX.text());
            findings.push(finding(Severity::Warning, "not-ascii", entry.line, what, fix));
        }
        if key.name == "umask" && !entry.value.starts_with('0') {
            let what = say::UMASK_DECIMAL.with("value", entry.value);
            findings.push(finding(
                Severity::Warning,
                "bad-value",
                entry.line,
                what,
                say::UMASK_DECIMAL_FIX.with("value", entry.value),
            ));
        }
    }
    findings.extend(clashes::without_effect(place, effective));
    findings
}

/// How a line names its key.
fn full_name(entry: &Entry<'_>) -> String {
    if entry.section.is_empty() {
        entry.key.to_owned()
    } else {
        format!("{}.{}", entry.section, entry.key)
    }
}

/// An empty value, so that people see that it is one.
fn shown(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// A line that WSL cannot read.
fn fault_of(place: Place, fault: &Fault<'_>, has_unread: bool) -> Finding {
    let (what, fix) = match fault.kind {
        FaultKind::Beginning => (&say::FAULT_BEGINNING, &say::FAULT_BEGINNING_FIX),
        FaultKind::ByteOrderMark => (&say::FAULT_MARK, &say::FAULT_MARK_FIX),
        FaultKind::Header => (&say::FAULT_HEADER, &say::FAULT_HEADER_FIX),
        FaultKind::NoEquals => (&say::FAULT_NO_EQUALS, &say::FAULT_NO_EQUALS_FIX),
        FaultKind::Escape => (&say::FAULT_ESCAPE, &say::FAULT_ESCAPE_FIX),
        FaultKind::Utf16 => (&say::FAULT_UTF_16, &say::FAULT_UTF_16_FIX),
        FaultKind::Quote => (&say::FAULT_QUOTE, &say::FAULT_QUOTE_FIX),
    };
    let (severity, then) = match place.reader() {
        Reader::Windows => (Severity::Warning, say::FAULT_SKIPPED.text()),
        Reader::Linux if has_unread => (Severity::Error, say::FAULT_ENDS.with("line", fault.line)),
        Reader::Linux => (Severity::Warning, say::FAULT_SKIPPED.text()),
    };
    let text = fault.text.trim().trim_start_matches('\u{feff}');
    let is_utf_16 = fault.kind == FaultKind::Utf16;
    let what = if is_utf_16 { what.text() } else { what.with("text", text) };
    let said = (what, fix.text());
    Finding { effect: Some(then), ..Finding::new(severity, "fault", place, Some(fault.line), said) }
}

/// A key that WSL does not know where it stands.
fn unknown(place: Place, entry: &Entry<'_>) -> Finding {
    let name = full_name(entry);
    let finding = |code, what, fix| {
        Finding::new(Severity::Warning, code, place, Some(entry.line), (what, fix))
    };
    let by_name = |place| Key::all(place).find(|key| key.name.eq_ignore_ascii_case(entry.key));
    let other = Place::ALL.into_iter().find(|other| *other != place).unwrap_or(place);
    // Names such as `enabled` are in many sections: there only the whole name tells.
    let elsewhere = Key::find(other, entry.section, entry.key).or_else(|| by_name(other));
    if let Some(key) = by_name(place) {
        let sections: Vec<_> = Key::all(place)
            .filter(|other| other.name == key.name)
            .map(|key| format!("[{}]", key.section))
            .collect();
        let fix =
            say::WRONG_SECTION_FIX.with("key", key.name).with("sections", sections.join(", "));
        finding("wrong-section", say::WRONG_SECTION.with("key", name), fix)
    } else if let Some(key) = elsewhere {
        let what = say::WRONG_FILE.with("key", name).with("file", place);
        finding("wrong-file", what, say::WRONG_FILE_FIX.with("key", key).with("file", other))
    } else if let Some(key) = Key::nearest(place, entry.section, entry.key) {
        finding(
            "unknown",
            say::UNKNOWN.with("key", name),
            say::UNKNOWN_NEAREST_FIX.with("nearest", key),
        )
    } else {
        finding("unknown", say::UNKNOWN.with("key", name), say::UNKNOWN_FIX.text())
    }
}

/// How bad it is that a value cannot be read, and how that is said.
fn bad_value(key: &Key) -> (Severity, &'static Sentence) {
    match key.name {
        "macAddress" => (Severity::Error, &say::BAD_MAC),
        "dnsTunnelingIpAddress" => (Severity::Warning, &say::BAD_TUNNELING_ADDRESS),
        "ignoredPorts" => (Severity::Warning, &say::BAD_PORTS),
        _ => (Severity::Warning, &say::BAD_VALUE),
    }
}

/// Whether a Windows or a WSL is known to be too old for what a key is set to: code, what, fix.
fn too_old(key: &Key, value: &str, versions: &Versions) -> Option<(&'static str, Text, Text)> {
    let is_mode = key.name == "networkingMode";
    let set = format!("{key}={value}");
    // What is off anyway needs nothing.
    if value == key.default_on(versions) {
        return None;
    }
    // `ValidateNetworkingMode` looks at Windows for mirrored alone.
    let is_mirrored = is_mode && value == "mirrored";
    let windows_needed = if is_mirrored { Some(Windows::ELEVEN_22H2) } else { key.windows };
    if let (Some(needed), Some(is)) = (windows_needed, versions.windows)
        && is < needed
    {
        let what = say::WINDOWS_TOO_OLD.with("set", set).with("needed", needed).with("is", is);
        return Some(("windows-too-old", what, say::WINDOWS_TOO_OLD_FIX.text()));
    }
    let wsl_needed = if is_mode && value == "consomme" { Some(CONSOMME) } else { key.wsl };
    if let (Some(needed), Some(is)) = (wsl_needed, versions.wsl)
        && is < needed
    {
        let what = say::WSL_TOO_OLD.with("set", set).with("needed", needed).with("is", is);
        return Some(("wsl-too-old", what, say::WSL_TOO_OLD_FIX.text()));
    }
    None
}

#[cfg(test)]
mod tests;
