//! What the engine counts for the status.

use crate::engine::spread::ShellDrops;
use crate::status::{Totals, UpDown};
use std::collections::BTreeMap;
use wire::AnsweredBy;
use wire::session::Counters;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) totals: Totals,
    pub(super) drops: ShellDrops,
    /// Answers of relays, by their source on the host.
    pub(super) dns_answers: BTreeMap<AnsweredBy, u64>,
    /// Stream bytes of relays that are gone.
    pub(super) past_bytes: UpDown,
}

impl Counts {
    pub(super) fn dns_answer(&mut self, by: AnsweredBy) {
        *self.dns_answers.entry(by).or_default() += 1;
    }

    /// A relay is gone; `counters` are those of its session.
    pub(super) fn relay_gone(&mut self, counters: &Counters) {
        self.past_bytes.up += counters.data_sent;
        self.past_bytes.down += counters.data_received;
    }
}
