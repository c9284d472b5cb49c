//! The committed counts, and their file.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

/// The fraction by which a count may exceed its baseline. A change of the surrounding code, inlined
/// elsewhere, makes a few per cent.
pub(crate) const TOLERANCE: f64 = 0.10;

/// Counts of an earlier run.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// Compiler, valgrind and processor of that run.
    pub(crate) tools: String,
    /// Per unit, by scenario.
    instructions: BTreeMap<String, u64>,
}

impl Baseline {
    pub(crate) fn new(tools: &str, counts: impl Iterator<Item = (&'static str, u64)>) -> Self {
        Self {
            tools: tools.to_owned(),
            instructions: counts.map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }

    pub(crate) fn read() -> Result<Self> {
        let text =
            fs::read_to_string(FILE).with_context(|| format!("{FILE}: make it with --write"))?;
        serde_json::from_str(&text).with_context(|| format!("{FILE}: renew it with --write"))
    }

    pub(crate) fn write(&self) -> Result<()> {
        fs::write(FILE, serde_json::to_string_pretty(self)? + "\n").context(FILE)
    }

    /// The count of a scenario.
    pub(crate) fn of(&self, scenario: &str) -> Option<u64> {
        self.instructions.get(scenario).copied()
    }
}
