//! What a check list is made of.

use messages::{Sentence, Text, verify as words};
use std::time::Duration;

/// Whether an item is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It works.
    Passed,
    /// It does not work.
    Failed,
    /// There was nothing to look at.
    Skipped,
}

impl ItemState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static Sentence {
        match self {
            Self::Passed => &words::PASSED,
            Self::Failed => &words::FAILED,
            Self::Skipped => &words::SKIPPED,
        }
    }

    /// The word for it that programs read.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// How an item is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How it is.
    pub state: ItemState,
    /// What was seen; at least one sentence.
    pub said: Vec<Text>,
    /// What to try.
    pub advice: Vec<Text>,
}

impl Judged {
    fn new(state: ItemState, said: Text) -> Self {
        Self { state, said: vec![said], advice: Vec::new() }
    }

    /// It works.
    #[must_use]
    pub fn passed(said: Text) -> Self {
        Self::new(ItemState::Passed, said)
    }

    /// It does not work.
    #[must_use]
    pub fn failed(said: Text) -> Self {
        Self::new(ItemState::Failed, said)
    }

    /// There was nothing to look at.
    #[must_use]
    pub fn skipped(said: Text) -> Self {
        Self::new(ItemState::Skipped, said)
    }

    pub(super) fn and(mut self, said: Text) -> Self {
        self.said.push(said);
        self
    }

    pub(super) fn advise(mut self, advice: impl IntoIterator<Item = Text>) -> Self {
        self.advice.extend(advice);
        self
    }
}

/// A line of a check list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The kind of item, for programs, such as `dns-server`.
    pub key: &'static str,
    /// What was looked at.
    pub subject: Text,
    /// How it is.
    pub judged: Judged,
    /// How long that took, where the item is an attempt of its own.
    pub took: Option<Duration>,
}

impl Item {
    pub(super) fn new(key: &'static str, subject: Text, judged: Judged) -> Self {
        Self { key, subject, judged, took: None }
    }
}

/// Whether no item failed.
#[must_use]
pub fn is_well(items: &[Item]) -> bool {
    items.iter().all(|item| item.judged.state != ItemState::Failed)
}
