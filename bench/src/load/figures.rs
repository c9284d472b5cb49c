//! Exact percentiles: every sample is kept.

use serde::Serialize;
use std::time::Duration;

/// Samples beyond these (32 MB) are not kept; the earlier ones suffice.
const MOST: usize = 4_000_000;

/// Measured durations.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    nanos: Vec<u64>,
}

impl Samples {
    /// With room for all samples, so that nothing moves while time is measured. The kernel provides
    /// the memory when it is used.
    pub(crate) fn roomy() -> Self {
        Self { nanos: Vec::with_capacity(MOST) }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        if self.nanos.len() < MOST {
            self.nanos.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    pub(crate) fn take_in(&mut self, others: Self) {
        let room = MOST - self.nanos.len();
        self.nanos.extend(others.nanos.into_iter().take(room));
    }

    pub(crate) fn sorted(self) -> Sorted {
        let mut nanos = self.nanos;
        nanos.sort_unstable();
        Sorted(nanos)
    }
}

/// Samples in order.
#[derive(Debug)]
pub(crate) struct Sorted(Vec<u64>);

impl Sorted {
    /// The smallest sample that `percent` of them do not exceed (the nearest rank); `None` without
    /// samples.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Micros> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.max(1) - 1).copied().map(Micros::from_nanos)
    }

    pub(crate) fn max(&self) -> Option<Micros> {
        self.0.last().copied().map(Micros::from_nanos)
    }
}

/// Microseconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct Micros(pub(crate) f64);

impl Micros {
    #[expect(clippy::cast_precision_loss, reason = "104 days of nanoseconds fit")]
    fn from_nanos(nanos: u64) -> Self {
        Self(nanos as f64 / 1000.0)
    }
}

/// The rate per second, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "no count gets this far")]
pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    (count as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE) * 10.0).round() / 10.0
}

/// A part of a whole; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "no count gets this far")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Sorted {
        let mut samples = Samples::default();
        micros.into_iter().for_each(|micros| samples.record(Duration::from_micros(micros)));
        samples.sorted()
    }

    #[test]
    fn a_percentile_is_a_sample() {
        let hundred = of((1..=100).rev());
        for percent in [1, 50, 90, 99, 100] {
            assert_eq!(hundred.percentile(percent), Some(Micros(percent as f64)));
        }
        let five = of([30, 10, 50, 20, 40]);
        assert_eq!(five.percentile(50), Some(Micros(30.0)));
        assert_eq!(five.percentile(99), Some(Micros(50.0)));
        assert_eq!(five.percentile(0), Some(Micros(10.0)));
        assert_eq!(five.max(), Some(Micros(50.0)));
        assert_eq!(of([7]).percentile(50), Some(Micros(7.0)));
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(of([]).percentile(50), None);
        assert_eq!(of([]).max(), None);
    }

    #[test]
    fn the_ones_taken_in_count() {
        let mut samples = Samples::default();
        samples.record(Duration::from_nanos(1500));
        let mut others = Samples::default();
        others.record(Duration::from_micros(3));
        samples.take_in(others);
        let sorted = samples.sorted();
        assert_eq!((sorted.percentile(50), sorted.max()), (Some(Micros(1.5)), Some(Micros(3.0))));
    }

    #[test]
    fn rates_and_shares() {
        assert!((per_second(500, Duration::from_secs(2)) - 250.0).abs() < 1e-9);
        assert!((share(1, 4) - 0.25).abs() < 1e-9);
        assert!(share(0, 0).abs() < 1e-9);
    }
}
