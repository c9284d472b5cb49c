//! Takes the items of a check list one after the other: shows on a terminal what is being tried,
//! and writes each item when it is over, so that a person who waits sees the ones so far. JSON is
//! written at the end.

use crate::progress::{Progress, Result};
use clap::ColorChoice;
use doctor::json::ListDocument;
use doctor::lists::{Item, ItemState, Judged, is_well};
use messages::{Language, Text};
use std::process::ExitCode;
use tokio::time::Instant;

/// A check list that is being made.
pub(crate) struct Listing {
    items: Vec<Item>,
    is_json: bool,
    language: Language,
    pub(crate) progress: Progress,
}

impl Listing {
    pub(crate) fn new(is_json: bool) -> Self {
        Self {
            items: Vec::new(),
            is_json,
            language: crate::voice::language(),
            progress: Progress::before_report(is_json, ColorChoice::Auto),
        }
    }

    /// Makes an attempt, whose item follows those before it.
    pub(crate) async fn take(
        &mut self,
        key: &'static str,
        subject: Text,
        attempt: impl Future<Output = Judged>,
    ) -> ItemState {
        let began = Instant::now();
        let judged = self.progress.watch(subject.clone(), |judged| of(judged.state), attempt).await;
        let state = judged.state;
        self.add(Item { key, subject, judged, took: Some(began.elapsed()) });
        state
    }

    /// Adds an item.
    pub(crate) fn add(&mut self, item: Item) {
        self.progress.clear();
        if !self.is_json {
            crate::tell(doctor::text::item(&item, self.language).trim_end());
        }
        self.items.push(item);
    }

    /// Writes what is left to write. The exit code says whether no item failed.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(crate) fn end(self) -> anyhow::Result<ExitCode> {
        if self.is_json {
            let document = ListDocument::new(&self.items, self.language);
            crate::print_json(&(serde_json::to_string_pretty(&document)? + "\n"))?;
        } else {
            crate::print(&doctor::text::ending(&self.items, self.language))?;
        }
        Ok(if is_well(&self.items) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn of(state: ItemState) -> Result {
    match state {
        ItemState::Passed => Result::Works,
        ItemState::Failed => Result::Fails,
        ItemState::Skipped => Result::Nothing,
    }
}
