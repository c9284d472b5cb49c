//! What a check is made of.

use crate::finding::{Area, FixStep, Severity};
use crate::view::View;
use crate::way::Place;
use messages::{Sentence, Text};

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its name for programs; never changes its meaning.
    pub id: &'static str,
    /// What it belongs to.
    pub area: Area,
    /// How bad it is if it finds something.
    pub severity: Severity,
    /// The fault that it finds, as a title.
    pub title: &'static Sentence,
    /// What it cannot be made without.
    pub(super) needs: Needs,
    /// The hop of the way that it is about, if it is about one.
    pub(super) hop: Option<Place>,
    /// Looks, and says what is wrong.
    pub(super) find: fn(&View<'_>) -> Option<Found>,
}

/// What a check cannot be made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing but the facts.
    Facts,
    /// A way out: without one it would find fault with what only lies behind.
    WayOut,
}

/// What a check says is wrong.
pub(super) struct Found {
    pub(super) evidence: Vec<Text>,
    pub(super) cause: Text,
    pub(super) fix: Vec<FixStep>,
}
