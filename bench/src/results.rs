//! The results: every figure, and the values derived from them. Pure.

use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    /// Peers that could not be measured, and why.
    pub(crate) absent: BTreeMap<String, String>,
    /// By the case's name.
    pub(crate) cases: BTreeMap<String, Case>,
    pub(crate) goals: Vec<Goal>,
}

/// One figure of several subjects.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) unit: String,
    /// By the subject's name, one value per round.
    pub(crate) values: BTreeMap<String, Vec<Value>>,
}

/// A figure, and the other load of the machine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Value {
    pub(crate) value: f64,
    /// The machine's load average of a minute at that time; it includes the measurement's own load.
    pub(crate) load: f64,
}

/// A goal and its result.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) text: String,
    pub(crate) goal: String,
    /// `None` if it could not be measured.
    pub(crate) measured: Option<f64>,
    pub(crate) met: Option<bool>,
}

impl Results {
    pub(crate) fn new(machine: Machine, rounds: usize) -> Self {
        Self { machine, rounds, ..Self::default() }
    }

    pub(crate) fn add(&mut self, case: &str, unit: &str, subject: &str, value: Value) {
        let case = self.cases.entry(case.to_owned()).or_default();
        unit.clone_into(&mut case.unit);
        case.values.entry(subject.to_owned()).or_default().push(value);
    }

    fn values(&self, case: &str, subject: &str) -> Option<Vec<f64>> {
        let values = self.cases.get(case)?.values.get(subject)?;
        Some(values.iter().map(|value| value.value).collect())
    }

    /// The median of a case's figures.
    pub(crate) fn median(&self, case: &str, subject: &str) -> Option<f64> {
        median(self.values(case, subject)?)
    }

    /// The median of the ratios of two figures, each pair from one round.
    pub(crate) fn ratio(&self, one: (&str, &str), other: (&str, &str)) -> Option<f64> {
        let pairs = self.values(one.0, one.1)?.into_iter().zip(self.values(other.0, other.1)?);
        median(pairs.map(|(one, other)| one / other).collect())
    }
}

/// The middle of the values, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, values.len().checked_sub(1)? / 2);
    Some(f64::midpoint(*values.get(lower)?, *values.get(upper)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_ratios_are_taken_round_by_round() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let mut results = Results::default();
        // The machine became slower; the ratio did not change.
        for (a, b) in [(10.0, 5.0), (2.0, 1.0), (4.0, 2.0)] {
            results.add("x", "u", "a", Value { value: a, load: 0.0 });
            results.add("x", "u", "b", Value { value: b, load: 0.0 });
        }
        assert_eq!(results.ratio(("x", "a"), ("x", "b")), Some(2.0));
        assert_eq!(results.ratio(("x", "a"), ("x", "c")), None);
    }
}
