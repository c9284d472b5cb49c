//! Check lists: the doctor's shorter profiles. Each judges facts item by item, in the order in
//! which a packet depends on them, and says of each what was seen; one that failed fails the list.
//! `settings verify` looks at what a change of settings should have brought, `proxy test` at a
//! proxy from its port to a page.

mod failures;
mod item;
pub mod proxy_test;
pub mod verify;

pub use item::{Item, ItemState, Judged, is_well};

#[cfg(test)]
mod tests;
