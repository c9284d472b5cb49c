//! When a lane tries for a link, and the outcome of its tries. It outlives the lane's relays.

use super::{LaneError, back_off};
use crate::limits::{LINK_BACK_OFF, LINK_HEALTHY_AFTER};
use crate::relays::LinkNews;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::link::{LinkCause, LinkFailure};
use wire::{LinkFailures, LinkKind, LinkOffers};

/// Failures that are kept: one of each kind. A relay may report more.
const MOST_FAILURES: usize = 2;

/// Bytes of a failure's words that are kept.
const MOST_WORDS: usize = wire::limits::MAX_WORDS;

/// See the module's text.
#[derive(Default)]
pub(crate) struct Linking {
    /// The try that is under way.
    news: Option<mpsc::Receiver<LinkNews>>,
    /// The next try with this relay; `None` if its session has a link, or none is to be tried.
    next: Option<Instant>,
    /// No try before this.
    not_before: Option<Instant>,
    /// Tries in a row that failed, and links that broke.
    count: u32,
    /// Why there is no better link.
    failures: Vec<LinkFailure>,
}

/// What a lane must do about a link.
pub(super) enum Step {
    /// Send these offers to the relay.
    Offer(LinkOffers),
    /// Move to this link.
    Move(LinkKind, crate::relay_streams::Input, crate::relay_streams::Output),
}

impl Linking {
    /// The relay has said that it can use links.
    pub(super) fn begin(&mut self, now: Instant) {
        self.news = None;
        self.next = Some(self.not_before.map_or(now, |at| at.max(now)));
    }

    /// The relay is gone.
    pub(super) fn stop(&mut self) {
        (self.news, self.next) = (None, None);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time for a try.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// A try has begun.
    pub(super) fn tries(&mut self, news: mpsc::Receiver<LinkNews>) {
        (self.news, self.next) = (Some(news), None);
    }

    /// What the supervisor reports.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<Step> {
        let Poll::Ready(news) = self.news.as_mut()?.poll_recv(cx) else { return None };
        match news {
            Some(LinkNews::Offers(offers, failures)) => {
                let has_failures = !failures.is_empty();
                self.failures = failures;
                if let Some(offers) = offers {
                    // This registers for the next news.
                    cx.waker().wake_by_ref();
                    return Some(Step::Offer(offers));
                }
                self.news = None;
                if has_failures {
                    self.failed(now);
                }
                None
            }
            Some(LinkNews::Up(kind, input, output)) => {
                self.news = None;
                self.failures.retain(|failure| failure.link != kind);
                Some(Step::Move(kind, input, output))
            }
            Some(LinkNews::Late) => {
                self.news = None;
                self.failed(now);
                None
            }
            None => {
                self.news = None;
                None
            }
        }
    }

    /// What the relay reports. A document that cannot be read says that nothing worked.
    pub(super) fn hear(&mut self, now: Instant, json: &[u8]) {
        if self.news.is_none() {
            return;
        }
        let LinkFailures { failures, is_linked } = serde_json::from_slice(json).unwrap_or_default();
        for mut failure in failures.into_iter().take(MOST_FAILURES) {
            failure.text.truncate(failure.text.floor_char_boundary(MOST_WORDS));
            self.note(failure);
        }
        if !is_linked {
            self.news = None;
            self.failed(now);
        }
    }

    fn note(&mut self, failure: LinkFailure) {
        self.failures.retain(|known| known.link != failure.link);
        self.failures.push(failure);
    }

    /// A link broke, or its session ended for a reason that may be the link.
    pub(super) fn broke(&mut self, now: Instant, kind: LinkKind, lived: Duration, why: &LaneError) {
        if lived >= LINK_HEALTHY_AFTER {
            self.count = 0;
        }
        let (code, text) = if let LaneError::Link { source, .. } = why {
            let has_ended = source.kind() == io::ErrorKind::UnexpectedEof;
            let ended = || "it ended while the relay ran".to_owned();
            let code = source.raw_os_error().unwrap_or_default();
            (code, if has_ended { ended() } else { source.to_string() })
        } else {
            (0, why.to_string())
        };
        self.note(LinkFailure { link: kind, cause: LinkCause::Broke, code, text });
        self.failed(now);
        self.next = None;
    }

    fn failed(&mut self, now: Instant) {
        let next = now + back_off(self.count.saturating_add(1), LINK_BACK_OFF);
        self.count = self.count.saturating_add(1);
        (self.next, self.not_before) = (Some(next), Some(next));
    }

    /// Why there is no better link.
    pub(crate) fn failures(&self) -> &[LinkFailure] {
        &self.failures
    }

    /// The wait for the next try.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(now))
    }
}
