//! Tells that the host's network changed: adapters and routes by Windows' calls, addresses by a
//! socket that is told of them, proxy settings by the registry's keys that hold them, and whatever
//! those miss by a slow look at all facts.

use super::resolver::Resolver;
use super::win32::{adapters, proxy, sockets};
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Between two reports. A VPN that connects makes dozens of changes: the first is sent at once,
/// the rest together after this.
const QUIET: Duration = Duration::from_secs(1);

/// Between two looks at the facts.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Starts to watch; something comes out of the channel after each change, and after changes in
/// quick succession once a second. Ends when the receiver is dropped.
///
/// # Errors
/// None; the same as on Linux, where there may be.
pub(crate) fn watch(_: &Resolver) -> io::Result<mpsc::Receiver<()>> {
    // One is enough in each: it says no more than "since the last one".
    let ((noticed, notices), (tell, changes)) = (mpsc::channel(1), mpsc::channel(1));
    if let Err(error) = adapters::notify(noticed.clone()) {
        tracing::debug!(%error, "changes of routes are noticed only by looking");
    }
    // Not bound: it needs no port to be told.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    let addresses = socket.and_then(|socket| {
        let wait = move || sockets::wait_for_address_change(&socket);
        keep_waiting("addresses", noticed.clone(), wait)
    });
    if let Err(error) = addresses {
        tracing::debug!(%error, "changes of addresses are noticed only by looking");
    }
    for key in proxy::Settings::all() {
        let noticed = noticed.clone();
        let watched =
            key.and_then(|key| keep_waiting("proxies", noticed, move || key.wait_for_change()));
        if let Err(error) = watched {
            tracing::debug!(%error, "changes of some proxy settings are noticed only by looking");
        }
    }
    tokio::spawn(follow(notices, tell));
    Ok(changes)
}

/// A thread that waits for changes, one after the other.
fn keep_waiting(
    name: &str,
    noticed: mpsc::Sender<()>,
    wait: impl Fn() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let watch = move || {
        while wait().is_ok() {
            if noticed.blocking_send(()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(watch).map(drop)
}

async fn follow(mut notices: mpsc::Receiver<()>, tell: mpsc::Sender<()>) {
    let facts = || tokio::task::spawn_blocking(super::facts);
    let mut seen = facts().await.ok();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = tell.closed() => return,
            Some(()) = notices.recv() => {}
            _ = look.tick() => {}
        }
        let now = facts().await.ok();
        if now == seen {
            continue;
        }
        seen = now;
        if tell.send(()).await.is_err() {
            return;
        }
        sleep(QUIET).await;
    }
}
