//! The scenario, and the one function whose instructions are counted.

/// One call of a scenario's work. It checks its results, since nothing is cheaper than a dropped
/// packet.
pub(crate) type Work = Box<dyn FnMut()>;

/// A fixed amount of work.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The unit of the count.
    pub(crate) unit: &'static str,
    /// Units per call of the work.
    pub(crate) units: u64,
    /// Calls to count.
    pub(crate) calls: u64,
    /// Makes everything that the work needs.
    pub(crate) set_up: fn() -> Work,
}

impl Scenario {
    pub(crate) fn run(&self) {
        let mut work = (self.set_up)();
        // Buffers grow, tables fill and windows open once only.
        for _ in 0..2 + self.calls / 4 {
            work();
        }
        measured(self.calls, &mut work);
    }
}

/// The work whose instructions are counted. Callgrind identifies it by its name, so it must stay a
/// separate function.
#[inline(never)]
pub(crate) fn measured(calls: u64, work: &mut dyn FnMut()) {
    for _ in 0..calls {
        work();
    }
}
