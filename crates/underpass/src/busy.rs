//! Shows on a terminal that a command waits for something: after a second, a line on standard error
//! that disappears again. Elsewhere nothing is written.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A shorter wait shows no line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two changes of the line.
const TURN: Duration = Duration::from_millis(250);

const SIGNS: [char; 4] = ['|', '/', '-', '\\'];

/// Whether people watch standard error on a terminal that obeys escape sequences.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The line, until it is dropped.
pub(crate) struct Busy {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Busy {
    /// Begins to wait for `what`.
    pub(crate) fn with(what: String) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let watched = stop.clone();
        let draw = move || draw_until(&watched, &what);
        // Without a thread there is no line, and nothing else depends on it.
        let start = || std::thread::Builder::new().name("busy".to_owned()).spawn(draw).ok();
        let thread = if is_watched() { start() } else { None };
        Self { stop, thread }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw_until(stop: &(Mutex<bool>, Condvar), what: &str) {
    let what = messages::printable_line(what);
    let mut is_drawn = false;
    let mut patience = PATIENCE;
    for sign in SIGNS.into_iter().cycle() {
        let stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = stop.1.wait_timeout_while(stopped, patience, |stopped| !*stopped);
        let (stopped, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            break;
        }
        drop(stopped);
        // To the beginning of the line, and nothing on it (ECMA-48, EL).
        write(&format!("\r\x1b[2K{sign} {what}"));
        is_drawn = true;
        patience = TURN;
    }
    if is_drawn {
        write("\r\x1b[2K");
    }
}

/// Nothing depends on it: if it cannot be written it is left out.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
