//! Windows, as the relay and Windows' own programs describe it.

use super::Wishes;
use crate::windows::{Asked, Relay};
use config::settings::version;
use doctor::facts::{Entry, Interop, Outcome, Why, Windows};
use gateway::{HostError, QuestionError, host};
use proxy::Target;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;
use wire::HostFacts;
use wire::facts::HostProbe;

/// How long Windows may take for everything: the relay itself takes 3.5 s for names and connections
/// without an answer.
const PATIENCE: Duration = Duration::from_millis(6500);

/// Windows' answers.
pub(super) struct WindowsAnswers {
    /// Nothing where the relay could not be asked.
    pub(super) windows: Option<Windows>,
    /// What the relay tried.
    pub(super) probe: Option<HostProbe>,
    /// By how much this clock is ahead of Windows'.
    pub(super) ahead_ms: Option<i64>,
    /// The outcome of running a Windows program.
    pub(super) run: Outcome,
    /// Why the relay could not be asked, for people.
    pub(super) trouble: Option<String>,
}

impl WindowsAnswers {
    fn nothing(run: Outcome, trouble: Option<String>) -> Self {
        Self { windows: None, probe: None, ahead_ms: None, run, trouble }
    }
}

/// Asks Windows for names and connections, and for what it knows of itself.
pub(super) async fn ask(
    wishes: &Wishes,
    interop: &Interop,
    names: &[String],
    targets: &[Target],
) -> WindowsAnswers {
    // Starting a Windows program restores the kernel's entry first; a doctor only looks.
    if interop.is_wsl && matches!(interop.entry, Some(Entry::Missing | Entry::Disabled)) {
        return WindowsAnswers::nothing(Outcome::NotTried, None);
    }
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let relay = async {
        let relay = Relay::find(wishes.relay.clone()).await;
        timed(relay.probe(names, &targets)).await
    };
    let words = async {
        if !interop.is_wsl {
            return (None, Vec::new(), Vec::new(), Vec::new());
        }
        let (version, running, all, ports) = tokio::join!(
            host::wsl_version(),
            host::running_distros(),
            host::distros(),
            host::port_proxies()
        );
        let distros = (said(running).unwrap_or_default(), said(all).unwrap_or_default());
        (said(version), distros.0, distros.1, said(ports).unwrap_or_default())
    };
    // Windows' other programs are left out where they take too long.
    let (relay, words) = tokio::join!(timeout(PATIENCE, relay), timeout(PATIENCE, words));
    let (wsl_version, running_distros, distros, port_proxies) = words.unwrap_or_default();
    let Ok(Timed { value: Asked { relay, outcome }, before, after, ms }) = relay else {
        let words = format!("the relay did not answer within {} ms", PATIENCE.as_millis());
        return WindowsAnswers::nothing(failed(interop.is_wsl, Why::TimedOut, &words), Some(words));
    };
    let is_windows = relay.is_windows();
    let probe = match outcome {
        Ok(probe) => probe,
        Err(error) => {
            let why = match &error {
                HostError::Silent { .. } => Why::TimedOut,
                HostError::Spawn(_) => Why::NotPermitted,
                HostError::Ended { .. } | HostError::Nonsense { .. } => Why::Other,
            };
            let words = error.to_string();
            return WindowsAnswers::nothing(failed(is_windows, why, &words), Some(words));
        }
    };
    let windows = Windows {
        wsl_version,
        running_distros,
        distros,
        port_proxies,
        ..described(probe.facts.clone())
    };
    WindowsAnswers {
        windows: Some(windows),
        ahead_ms: ahead(before, after, probe.unix_ms),
        probe: Some(probe),
        run: if is_windows { Outcome::Ok { ms } } else { Outcome::NotTried },
        trouble: None,
    }
}

/// Windows as the relay alone knows it, without any attempt.
///
/// # Errors
/// Why it could not be asked, for people.
pub(crate) async fn facts(relay: Option<PathBuf>) -> Result<Windows, String> {
    let facts = Relay::find(relay).await.facts().await.outcome;
    facts.map(described).map_err(|error| error.to_string())
}

fn described(host: HostFacts) -> Windows {
    let build = host.system.parse::<version::Windows>().ok().map(|windows| windows.0);
    Windows { build, host, ..Windows::default() }
}

fn said<T>(answer: Result<T, QuestionError>) -> Option<T> {
    answer.inspect_err(|error| tracing::info!("{error}")).ok()
}

fn failed(tried: bool, why: Why, detail: &str) -> Outcome {
    if tried { Outcome::Failed { why, detail: detail.to_owned() } } else { Outcome::NotTried }
}

/// A value, when it was asked for and when it came (milliseconds since 1970), and how long it took.
struct Timed<T> {
    value: T,
    before: u64,
    after: u64,
    ms: u64,
}

#[expect(clippy::disallowed_methods, reason = "this machine's clock is compared with Windows'")]
async fn timed<T>(future: impl Future<Output = T>) -> Timed<T> {
    let unix_ms = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let (before, start) = (unix_ms(), Instant::now());
    let value = future.await;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Timed { value, before, after: unix_ms(), ms }
}

/// By how much this clock is ahead of one that said `theirs` some time between `before` and
/// `after`: no more than is certain.
fn ahead(before: u64, after: u64, theirs: u64) -> Option<i64> {
    if theirs == 0 {
        return None;
    }
    let ahead = if theirs < before { i128::from(before) - i128::from(theirs) } else { 0 };
    let behind = if theirs > after { i128::from(theirs) - i128::from(after) } else { 0 };
    i64::try_from(ahead - behind).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_only_as_far_as_that_is_certain() {
        assert_eq!(ahead(1000, 2000, 1500), Some(0));
        assert_eq!(ahead(1000, 2000, 400), Some(600));
        assert_eq!(ahead(1000, 2000, 61_000), Some(-59_000));
        assert_eq!(ahead(1000, 2000, 0), None, "a relay that does not tell");
    }
}
