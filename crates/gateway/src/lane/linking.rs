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

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn after(linking: &Linking, now: Instant) -> Option<u64> {
        linking.wait(now).map(|wait| wait.as_secs())
    }

    fn lost(linking: &mut Linking, now: Instant, lived: Duration) {
        let source = io::ErrorKind::UnexpectedEof.into();
        let why = LaneError::Link { kind: LinkKind::Tcp, source };
        linking.broke(now, LinkKind::Tcp, lived, &why);
    }

    #[test]
    fn tries_that_fail_wait_longer_also_with_the_next_relay() {
        let now = crate::engine::now();
        let mut linking = Linking::default();
        assert_eq!(linking.next_deadline(), None, "the relay knows no links");
        linking.begin(now);
        assert!(linking.is_due(now), "the first try is at once");
        let (_news, news) = mpsc::channel(1);
        linking.tries(news);
        let refused = r#"{"failures":[{"link":"tcp","cause":"refused","code":111,"text":"x"}]}"#;
        linking.hear(now, refused.as_bytes());
        assert_eq!(after(&linking, now), Some(30));
        assert_eq!(linking.failures()[0].cause, LinkCause::Refused);
        linking.hear(now, refused.as_bytes());
        assert_eq!(after(&linking, now), Some(30), "nothing was under way");
        linking.stop();
        let later = now + Duration::from_secs(10);
        linking.begin(later);
        assert_eq!(after(&linking, later), Some(20));
        for wait in [60, 120, 240, 480, 600, 600] {
            lost(&mut linking, later, Duration::ZERO);
            assert_eq!(linking.next_deadline(), None, "the next relay decides");
            linking.begin(later);
            assert_eq!(after(&linking, later), Some(wait));
        }
        assert_eq!(linking.failures().len(), 1, "one for each kind");
        assert_eq!(linking.failures()[0].cause, LinkCause::Broke);
        lost(&mut linking, later, LINK_HEALTHY_AFTER);
        linking.begin(later);
        assert_eq!(after(&linking, later), Some(30), "it was healthy");
    }

    #[test]
    fn a_link_that_is_up_is_no_failure_and_a_worse_one_names_the_better() {
        let now = crate::engine::now();
        let mut linking = Linking::default();
        linking.begin(now);
        let (send, news) = mpsc::channel(2);
        linking.tries(news);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(linking.poll(&mut cx, now).is_none());
        let both = r#"{"failures":[{"link":"vsock","cause":"denied"}],"is_linked":true}"#;
        linking.hear(now, both.as_bytes());
        assert_eq!(after(&linking, now), None, "another offer works");
        let (input, output) = (Box::new(tokio::io::sink()), Box::new(tokio::io::empty()));
        assert!(send.try_send(LinkNews::Up(LinkKind::Tcp, input, output)).is_ok());
        assert!(matches!(linking.poll(&mut cx, now), Some(Step::Move(LinkKind::Tcp, ..))));
        let kinds: Vec<_> = linking.failures().iter().map(|failure| failure.link).collect();
        assert_eq!((kinds, after(&linking, now)), (vec![LinkKind::Vsock], None));
    }

    #[test]
    fn a_report_of_a_hostile_relay_is_kept_within_bounds() {
        let now = crate::engine::now();
        let failure = |letter: &str| {
            let text = letter.repeat(60_000);
            serde_json::json!({ "link": "tcp", "cause": "other", "text": text })
        };
        let many = serde_json::json!({ "failures": [failure("é"), failure("x"), failure("y")] });
        for json in [many.to_string(), "{".to_owned(), String::new()] {
            let mut linking = Linking::default();
            linking.begin(now);
            let (_news, news) = mpsc::channel(1);
            linking.tries(news);
            linking.hear(now, json.as_bytes());
            assert_eq!(after(&linking, now), Some(30));
            assert!(linking.failures().iter().all(|failure| failure.text.len() <= MOST_WORDS));
        }
    }
}
