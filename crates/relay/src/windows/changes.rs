//! Reports changes of the host's network: adapters and routes by Windows' calls, addresses by a
//! socket that Windows notifies of them, proxy settings by the registry keys that hold them, and
//! everything else by a slow check of all facts.

use super::resolver::Resolver;
use super::win32::{adapters, proxy, sockets};
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Time between two reports. A VPN that connects makes dozens of changes: the first is reported at
/// once, the others together after this time.
const QUIET: Duration = Duration::from_secs(1);

/// Time between two checks of the facts.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Starts to watch. The channel receives an item after each change, and once a second during
/// changes in quick succession. Ends when the receiver is dropped.
///
/// # Errors
/// Never. The signature is the same as on Linux, where it may fail.
pub(crate) fn watch(_: &Resolver) -> io::Result<mpsc::Receiver<()>> {
    // One is enough in each: it says only "since the last one".
    let ((noticed, notices), (tell, changes)) = (mpsc::channel(1), mpsc::channel(1));
    if let Err(error) = adapters::notify(noticed.clone()) {
        tracing::debug!(%error, "changes of routes are noticed only by polling");
    }
    // Not bound: notifications need no port.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    let addresses = socket.and_then(|socket| {
        let wait = move || sockets::wait_for_address_change(&socket);
        keep_waiting("addresses", noticed.clone(), wait)
    });
    if let Err(error) = addresses {
        tracing::debug!(%error, "changes of addresses are noticed only by polling");
    }
    for key in proxy::Settings::all() {
        let noticed = noticed.clone();
        let watched =
            key.and_then(|key| keep_waiting("proxies", noticed, move || key.wait_for_change()));
        if let Err(error) = watched {
            tracing::debug!(%error, "changes of some proxy settings are noticed only by polling");
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
