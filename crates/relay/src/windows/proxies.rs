//! Windows' proxy settings, evaluated for each destination: a script (PAC) by WinHTTP, everything
//! else by `via/host.rs`. Answers are cached for a while, until something changes.

use super::win32::proxy;
use crate::limits::{MAX_PROXY_ANSWERS, PROXY_ANSWERS_KEPT, PROXY_QUESTIONS, SCRIPT_RETRY_AFTER};
use crate::via::Route;
use crate::via::host::{Asked, Decision, decide};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Semaphore;
use wire::facts::Proxy;
use wire::{Capabilities, HostProxy};

/// The proxy capability in a hello.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::VIA_HOST;

/// Asks Windows, and caches its answers.
#[derive(Clone)]
pub(crate) struct Asker {
    known: Arc<Mutex<Known>>,
    /// A script runs on a thread, which may have to fetch it first.
    threads: Arc<Semaphore>,
}

#[derive(Default)]
struct Known {
    /// Grows with each change, so that older answers are not cached.
    edition: u64,
    answers: HashMap<Asked, (Instant, Route)>,
    /// Questions on behalf of datagrams; at most [`MAX_PROXY_ANSWERS`].
    asking: HashSet<Asked>,
    /// Until then the script is left alone.
    no_script_until: Option<Instant>,
}

#[expect(clippy::disallowed_methods, reason = "the relay's shell reads the clock")]
fn now() -> Instant {
    Instant::now()
}

impl Asker {
    /// Every Windows has these settings.
    pub(crate) fn new() -> Option<Self> {
        Some(Self { known: Arc::default(), threads: Arc::new(Semaphore::new(PROXY_QUESTIONS)) })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed: every question is asked again.
    pub(crate) fn refresh(&self) {
        let mut known = self.lock();
        *known = Known {
            edition: known.edition + 1,
            asking: std::mem::take(&mut known.asking),
            ..Known::default()
        };
    }

    /// The route to a destination.
    pub(crate) async fn ask(&self, to: SocketAddr, name: Option<&str>) -> Route {
        let asked = Asked::connection(to, name);
        if let Some(route) = self.kept(&asked) {
            return route;
        }
        // The semaphore is never closed.
        let _turn = self.threads.acquire().await;
        // Another task may have asked the same meanwhile.
        if let Some(route) = self.kept(&asked) {
            return route;
        }
        let (edition, script) = {
            let known = self.lock();
            (known.edition, known.no_script_until.is_none_or(|until| now() >= until))
        };
        let question = asked.clone();
        let decision = tokio::task::spawn_blocking(move || by_settings(&question, script)).await;
        // A thread that panicked has no answer: no connection is better than one past the proxy.
        let Ok(decision) = decision else { return Route::Through(Vec::new()) };
        let mut known = self.lock();
        if let Some(why) = decision.trouble.as_ref().filter(|_| script) {
            tracing::warn!(
                "Windows' proxy script cannot be run, the other settings are followed: {why}"
            );
            known.no_script_until = Some(now() + SCRIPT_RETRY_AFTER);
        }
        if known.edition == edition {
            if known.answers.len() >= MAX_PROXY_ANSWERS {
                known.answers.clear();
            }
            known.answers.insert(asked, (now(), decision.route()));
        }
        decision.route()
    }

    fn kept(&self, asked: &Asked) -> Option<Route> {
        let known = self.lock();
        let (since, route) = known.answers.get(asked)?;
        (now() < *since + PROXY_ANSWERS_KEPT).then(|| route.clone())
    }

    /// The route to a destination if it is known. If not, this starts the question, so that it is
    /// known later.
    pub(crate) fn known(&self, to: SocketAddr) -> Option<Route> {
        let asked = Asked::connection(to, None);
        if let Some(route) = self.kept(&asked) {
            return Some(route);
        }
        {
            let mut known = self.lock();
            if known.asking.len() >= MAX_PROXY_ANSWERS || !known.asking.insert(asked.clone()) {
                return None;
            }
        }
        let asker = self.clone();
        tokio::spawn(async move {
            asker.ask(to, None).await;
            asker.lock().asking.remove(&asked);
        });
        None
    }
}

/// Applies the user's current settings.
fn by_settings(asked: &Asked, may_ask_script: bool) -> Decision {
    let settings = proxy::of_user().unwrap_or_default();
    decide(&settings, asked, |url| ask_script(&settings, url, may_ask_script))
}

fn ask_script(settings: &Proxy, url: &str, may_ask: bool) -> Result<Option<String>, String> {
    if !may_ask {
        return Err("it failed a moment ago".to_owned());
    }
    let script = settings.pac_url.as_deref();
    proxy::script_says(url, settings.auto_detect, script).map_err(|error| match script {
        Some(script) => format!("{}: {error}", ::proxy::mask(script)),
        None => error.to_string(),
    })
}

/// The proxies that Windows' settings name for a URL.
///
/// # Errors
/// It is not a URL with a host.
pub fn for_url(url: &str) -> Result<HostProxy, String> {
    let asked = Asked::url(url)
        .ok_or_else(|| format!("'{}' is not a URL with a host", ::proxy::mask(url)))?;
    Ok(by_settings(&asked, true).report(&asked))
}
