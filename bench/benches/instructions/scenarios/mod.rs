//! All scenarios. A count should be large enough (some million instructions) that hashes with a
//! seed of their own in each process do not show, and small enough that all of them take less than
//! a minute.

mod codec;
mod sessions;
mod tcp;
mod without_connection;

use crate::scenario::Scenario;

/// In the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    [codec::SCENARIOS, sessions::SCENARIOS, tcp::SCENARIOS, without_connection::SCENARIOS].concat()
}
