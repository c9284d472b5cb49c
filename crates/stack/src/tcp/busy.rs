//! Counts the flows that share the memory of a pass.

/// The approximate number of flows that recently had work: as many as in the busiest pass, reduced
/// by a fraction in each pass since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy {
    /// In parts of [`Busy::PARTS`], so that the decay is smooth.
    parts: usize,
}

impl Busy {
    const PARTS: usize = 64;

    pub(super) fn after_pass(self, flows: usize) -> Self {
        Self { parts: (self.parts - self.parts / Self::PARTS).max(flows * Self::PARTS) }
    }

    pub(super) fn flows(self) -> usize {
        self.parts.div_ceil(Self::PARTS).max(1)
    }
}
