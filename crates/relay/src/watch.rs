//! Waits for one change of the host's network, for `underpass selftest changes`: the same
//! notifications that a running relay passes on to its gateway.

use crate::os::{self, Resolver, changes};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use wire::facts::HostChange;

/// The first change within `patience`.
///
/// # Errors
/// The system does not support notifications.
pub async fn first(resolver: &Resolver, patience: Duration) -> io::Result<HostChange> {
    let before = os::facts();
    let mut changes = changes::watch(resolver)?;
    let start = Instant::now();
    let changed = matches!(timeout(patience, changes.recv()).await, Ok(Some(())));
    let after_ms = changed.then(|| u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    Ok(HostChange { after_ms, facts_differ: changed && os::facts() != before })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_change_it_ends_with_its_patience() {
        let seen = first(&Resolver::default(), Duration::from_millis(1)).await.unwrap();
        assert_eq!(seen, HostChange { after_ms: None, facts_differ: false });
    }
}
