//! The core of `underpass doctor`: the facts that it looks at ([`facts`]), the checks that judge
//! them ([`checks`]), the way that packets take with its broken hop marked ([`way`]), and the
//! output ([`text`], [`json`], [`report`]). Pure: the crate `wsl` looks at the machine, and the
//! crate `probe` tries its network.
#![forbid(unsafe_code)]

pub mod checks;
pub mod facts;
pub mod finding;
pub mod json;
pub mod lists;
mod masked;
pub mod report;
#[cfg(test)]
mod sample;
pub mod steps;
pub mod text;
mod view;
pub mod way;

pub use checks::{Diagnosis, judge};
pub use finding::{Area, Finding, FixStep, Severity, Shell};
