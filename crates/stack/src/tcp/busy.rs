//! How many flows share the memory of a pass.

/// About how many flows have something to do, of late: as many as in the busiest pass, and less by
/// a part in each pass since.
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
