//! The output of `underpass doctor --json`, as `docs/doctor.schema.json` describes it, and that of
//! the check lists. Within a version keys only get added and ids keep their meaning; sentences are
//! for people and may change.

use crate::checks::Diagnosis;
use crate::facts::Facts;
use crate::finding::{Area, Finding, FixStep, Severity, Shell};
use crate::lists::{self, Item};
use crate::steps;
use crate::text::joined;
use crate::way::Hop;
use messages::Language;
use serde::{Deserialize, Serialize};

/// The version of the document's form. A new one takes a key away, or gives it another meaning.
pub const VERSION: u32 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`VERSION`].
    pub version: u32,
    /// Whether only hints were found, and no step's answer is `no` or `unknown`.
    pub well: bool,
    /// The faults, the worst first.
    pub findings: Vec<WrittenFinding>,
    /// Ids of checks that were not made, since something that they need is broken.
    pub skipped: Vec<String>,
    /// The four steps.
    pub steps: Vec<steps::StepResult>,
    /// The way from a program to the internet.
    pub way: Vec<Hop>,
    /// The facts, without secrets.
    pub facts: Facts,
}

/// A finding in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFinding {
    /// The check's name.
    pub id: String,
    /// What it belongs to.
    pub area: Area,
    /// How bad it is.
    pub severity: Severity,
    /// The fault, as a title.
    pub check: String,
    /// The evidence.
    pub evidence: Vec<String>,
    /// Why it is so.
    pub cause: String,
    /// The fix.
    pub fix: Vec<WrittenStep>,
}

/// A step of a fix, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenStep {
    /// Words.
    Say(String),
    /// Commands.
    Run {
        /// Where they are typed.
        shell: Shell,
        /// The commands.
        lines: Vec<String>,
    },
    /// Lines of a file.
    File {
        /// The file.
        path: String,
        /// The lines.
        lines: Vec<String>,
    },
}

impl Document {
    /// Texts in a language.
    #[must_use]
    pub fn new(facts: &Facts, diagnosis: &Diagnosis, language: Language) -> Self {
        Self {
            version: VERSION,
            well: diagnosis.is_well(),
            findings: diagnosis
                .findings
                .iter()
                .map(|finding| WrittenFinding::new(finding, language))
                .collect(),
            skipped: diagnosis.skipped.iter().map(|check| check.id.to_owned()).collect(),
            steps: diagnosis.steps.clone(),
            way: diagnosis.way.clone(),
            facts: facts.masked(),
        }
    }
}

impl WrittenFinding {
    fn new(finding: &Finding, language: Language) -> Self {
        Self {
            id: finding.id.to_owned(),
            area: finding.area,
            severity: finding.severity,
            check: finding.title.text().say(language),
            evidence: finding.evidence.iter().map(|text| text.say(language)).collect(),
            cause: finding.cause.say(language),
            fix: finding.fix.iter().map(|step| written(step, language)).collect(),
        }
    }
}

fn written(step: &FixStep, language: Language) -> WrittenStep {
    match step {
        FixStep::Say(text) => WrittenStep::Say(text.say(language)),
        FixStep::Run { shell, lines } => WrittenStep::Run { shell: *shell, lines: lines.clone() },
        FixStep::Lines { file, lines } => {
            WrittenStep::File { path: file.clone(), lines: lines.clone() }
        }
    }
}

/// The document of a check list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDocument {
    /// [`VERSION`].
    pub version: u32,
    /// Whether no item failed.
    pub well: bool,
    /// The items, in their order.
    pub items: Vec<WrittenItem>,
}

/// An item in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenItem {
    /// The kind of item.
    pub item: String,
    /// What was looked at.
    pub subject: String,
    /// `passed`, `failed` or `skipped`.
    pub state: String,
    /// What was seen.
    pub said: String,
    /// What to try.
    pub advice: Option<String>,
    /// How many milliseconds it took, where it is an attempt of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

impl ListDocument {
    /// Texts in a language.
    #[must_use]
    pub fn new(items: &[Item], language: Language) -> Self {
        let written = |item: &Item| WrittenItem {
            item: item.key.to_owned(),
            subject: item.subject.say(language),
            state: item.judged.state.key().to_owned(),
            said: joined(&item.judged.said, language),
            advice: (!item.judged.advice.is_empty()).then(|| joined(&item.judged.advice, language)),
            ms: item.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        };
        Self {
            version: VERSION,
            well: lists::is_well(items),
            items: items.iter().map(written).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::judge;
    use crate::facts::{Method, Subject, Whence, Why};
    use crate::sample::*;

    #[test]
    fn the_document_can_be_read_again_and_holds_all() {
        let mut facts = nat();
        cut(&mut facts);
        shut_proxy(&mut facts, "http://li:s3cret@192.0.2.80:7890");
        let diagnosis = judge(&facts, None);
        let document = Document::new(&facts, &diagnosis, Language::English);
        let text = serde_json::to_string_pretty(&document).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
        assert!(!document.well && !document.skipped.is_empty());
        let ids: Vec<&str> = document.findings.iter().map(|finding| finding.id.as_str()).collect();
        assert_eq!(ids, ["network-nat", "proxy-closed"]);
        // Names that programs go by.
        for part in [
            r#""severity": "fatal""#,
            r#""area": "network""#,
            r#""shell": "powershell""#,
            r#""place": "interface""#,
            r#""state": "broken""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn facts_without_what_was_added_later_can_be_read() {
        let facts: Facts =
            serde_json::from_str(r#"{"mode": {"by_signs": "nat"}, "some_day": 1}"#).unwrap();
        assert_eq!(facts.mode.by_signs, Some(wsl::NetworkingMode::Nat));
        let mut full = nat();
        tried(
            &mut full,
            Subject::OutsideV6,
            Method::Tcp,
            Whence::AroundTunnel,
            failed(Why::Refused),
        );
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), full);
    }

    #[test]
    fn sentences_are_in_the_language_and_ids_are_not() {
        let mut facts = nat();
        cut(&mut facts);
        let diagnosis = judge(&facts, None);
        let [english, chinese] =
            [Language::English, Language::Chinese].map(|of| Document::new(&facts, &diagnosis, of));
        assert_eq!(english.findings[0].id, chinese.findings[0].id);
        assert!(
            chinese.findings[0].cause.contains("数据包") && english.findings[0].cause.is_ascii()
        );
    }
}
