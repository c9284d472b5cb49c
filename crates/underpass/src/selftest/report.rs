//! The findings of a self-test as plain data, printed as JSON or as lines for people. Knows no
//! socket and no clock.

use super::redact::redacted;
use messages::{Language, padded, reasons, selftest as words};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The version of the JSON document. It grows when a key changes its meaning or goes; new keys do
/// not change it.
pub(crate) const VERSION: u32 = 1;

/// Columns of an item's name: the longest is `tcp-traceroute`.
const ITEM: usize = 16;

/// Columns of an outcome.
const OUTCOME: usize = 9;

/// The outcome of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It works.
    Yes,
    /// It does not work.
    No,
    /// It could not be tried; the detail says why.
    Skipped,
}

/// What one item found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    /// One sentence for people.
    pub(crate) detail: String,
    /// Measured numbers. The name ends with the unit: `up_mbit`, `round_trip_us`.
    pub(crate) figures: BTreeMap<&'static str, f64>,
    /// Words worth comparing between machines, such as a version or a path through the system.
    pub(crate) notes: BTreeMap<&'static str, String>,
}

impl Finding {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), figures: BTreeMap::new(), notes: BTreeMap::new() }
    }

    pub(crate) fn yes(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Yes, detail)
    }

    pub(crate) fn no(detail: impl Into<String>) -> Self {
        Self::new(Outcome::No, detail)
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, why)
    }

    /// The same with a number, rounded to what is worth reading.
    pub(crate) fn figure(mut self, name: &'static str, value: f64) -> Self {
        self.figures.insert(name, (value * 10.0).round() / 10.0);
        self
    }

    /// The same with a word.
    pub(crate) fn note(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.notes.insert(name, value.into());
        self
    }
}

/// A finding and the item that it is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) item: String,
    #[serde(flatten)]
    pub(crate) finding: Finding,
    /// How long the item took.
    pub(crate) took_ms: u64,
}

impl Row {
    /// Leaves out what must not be in a report that is passed on (`redact.rs`).
    pub(crate) fn new(item: String, mut finding: Finding, took: Duration) -> Self {
        finding.detail = redacted(&finding.detail);
        Self { item, finding, took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Everything that a self-test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) version: u32,
    /// The version of the program.
    pub(crate) underpass: String,
    /// `uname -r`.
    pub(crate) kernel: String,
    /// `uname -m`.
    pub(crate) machine: String,
    /// Processors of the VM.
    pub(crate) processors: usize,
    pub(crate) items: Vec<Row>,
}

impl Report {
    /// Whether an item does not work.
    pub(crate) fn has_failures(&self) -> bool {
        self.items.iter().any(|row| row.finding.outcome == Outcome::No)
    }

    /// As lines for people.
    pub(crate) fn text(&self, language: Language) -> String {
        let head = words::ON
            .with("version", &self.underpass)
            .with("kernel", &self.kernel)
            .with("machine", &self.machine);
        let mut text = head.say(language) + "\n";
        for row in &self.items {
            let outcome = match row.finding.outcome {
                Outcome::Yes => words::YES.text(),
                Outcome::No => words::NO.text(),
                Outcome::Skipped => words::SKIPPED.text(),
            };
            let outcome = padded(&outcome.say(language), OUTCOME);
            let detail = reasons::in_words(&row.finding.detail, language);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:<ITEM$}{outcome}{detail}", row.item);
            let figures = row.finding.figures.iter().map(|(name, value)| format!("{name} {value}"));
            let notes = row.finding.notes.iter().map(|(name, value)| format!("{name} {value}"));
            let all: Vec<String> = figures.chain(notes).collect();
            if !all.is_empty() {
                let _ = writeln!(text, "{:margin$}{}", "", all.join(", "), margin = ITEM + OUTCOME);
            }
        }
        text
    }
}

/// The middle one of some values; nothing without values.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let finding =
            Finding::new(outcome, "it is so").figure("up_mbit", 12.345).note("path", "raw-query");
        Report {
            version: VERSION,
            underpass: "0.1.0".to_owned(),
            kernel: "6.6.87.2".to_owned(),
            machine: "x86_64".to_owned(),
            processors: 2,
            items: vec![Row::new("pipe".to_owned(), finding, Duration::from_millis(7))],
        }
    }

    #[test]
    fn the_document_has_a_version_and_one_object_an_item() {
        let json = serde_json::to_value(report(Outcome::Yes)).unwrap();
        assert_eq!(json["version"], 1);
        let item = serde_json::json!({
            "item": "pipe", "outcome": "yes", "detail": "it is so", "figures": { "up_mbit": 12.3 },
            "notes": { "path": "raw-query" }, "took_ms": 7,
        });
        assert_eq!(json["items"], serde_json::json!([item]));
    }

    #[test]
    fn no_row_has_an_address_or_a_user() {
        let finding = Finding::no("/mnt/c/Users/Anna/r.exe: no connection to 10.1.2.3:443");
        let row = Row::new("start".to_owned(), finding, Duration::ZERO);
        assert_eq!(row.finding.detail, "/mnt/c/Users/[user]/r.exe: no connection to [address]:443");
    }

    #[test]
    fn only_what_does_not_work_is_a_failure() {
        let failures = [Outcome::Yes, Outcome::Skipped, Outcome::No]
            .map(|outcome| report(outcome).has_failures());
        assert_eq!(failures, [false, false, true]);
        let text = report(Outcome::No).text(Language::English);
        assert!(
            text.contains("pipe            NO       it is so\n")
                && text.contains("up_mbit 12.3, path raw-query"),
            "{text}"
        );
    }

    #[test]
    fn the_middle_value_is_no_outlier() {
        assert_eq!(median(vec![900.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
