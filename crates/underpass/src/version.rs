//! The text of `--version`. The build script finds commit and date.

/// Version, and commit and date of the source where they are known.
pub(crate) const LONG: &str = concat!(env!("CARGO_PKG_VERSION"), env!("UNDERPASS_SOURCE"));
