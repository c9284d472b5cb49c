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
    /// What it belongs to: the first word of its name.
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
    pub(super) find: Find,
}

/// Looks, and says what is wrong.
type Find = fn(&View<'_>) -> Option<Found>;

impl Check {
    /// A check whose finding ends all checks that need a way out.
    pub(super) const fn fatal(id: &'static str, title: &'static Sentence, find: Find) -> Self {
        Self::new(id, Severity::Fatal, title, find)
    }

    /// A check that finds what does not work.
    pub(super) const fn problem(id: &'static str, title: &'static Sentence, find: Find) -> Self {
        Self::new(id, Severity::Problem, title, find)
    }

    /// A check that finds what works and could be better.
    pub(super) const fn hint(id: &'static str, title: &'static Sentence, find: Find) -> Self {
        Self::new(id, Severity::Hint, title, find)
    }

    const fn new(
        id: &'static str,
        severity: Severity,
        title: &'static Sentence,
        find: Find,
    ) -> Self {
        let area = Area::of_id(id);
        Self { id, area, severity, title, needs: Needs::Facts, hop: None, find }
    }

    /// The same check, of a hop of the way.
    pub(super) const fn at(self, hop: Place) -> Self {
        Self { hop: Some(hop), ..self }
    }

    /// The same check, made only where there is a way out.
    pub(super) const fn past_way_out(self) -> Self {
        Self { needs: Needs::WayOut, ..self }
    }
}

/// What a check cannot be made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Only the facts.
    Facts,
    /// A way out: without one it would blame parts that are only beyond the break.
    WayOut,
}

/// The fault that a check found.
pub(super) struct Found {
    pub(super) evidence: Vec<Text>,
    pub(super) cause: Text,
    pub(super) fix: Vec<FixStep>,
}
