//! All scenarios. A count should be large enough (some million instructions) to hide hashes whose
//! seed differs in each process, and small enough that all scenarios take less than a minute.

mod codec;
mod sessions;
mod tcp;
mod without_connection;

use crate::scenario::Scenario;

/// In the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    [codec::SCENARIOS, sessions::SCENARIOS, tcp::SCENARIOS, without_connection::SCENARIOS].concat()
}
