//! The link of a pretend relay: when it comes up, the relay's move to it, and its end.

use super::program::Linked;
use crate::engine::pretend::pipe::Pipe;
use crate::engine::pretend::relay::Pipes;
use crate::relays::LinkNews;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::link::{Offer, Secret};
use wire::{LinkKind, LinkOffers, Session};

/// How far the relay has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    ByStdio,
    Soon,
    Announced,
    ByLink,
}

pub(super) struct Link {
    plan: Linked,
    /// Bytes that each direction holds.
    bytes: usize,
    /// How the gateway learns of it.
    news: Option<mpsc::Sender<LinkNews>>,
    /// When it comes up.
    due: Option<Instant>,
    pipes: Option<Pipes>,
    receives: bool,
    sends: Sends,
    breaks: Option<Instant>,
}

impl Link {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            plan: Linked::Never,
            bytes,
            news: None,
            due: None,
            pipes: None,
            receives: false,
            sends: Sends::ByStdio,
            breaks: None,
        }
    }

    /// The gateway asks for one.
    pub(super) fn ask(&mut self, plan: Linked, news: mpsc::Sender<LinkNews>) {
        if plan == Linked::Never {
            return;
        }
        let secret = Secret::new([0; 32]);
        let address = ([127, 0, 0, 1], 1).into();
        let offers = vec![Offer::Tcp { address }];
        let offers = LinkOffers { nonce: secret.clone(), answer: secret, offers };
        assert!(news.try_send(LinkNews::Offers(Some(offers), Vec::new())).is_ok());
        (self.plan, self.news) = (plan, Some(news));
    }

    /// The relay has the offers.
    pub(super) fn dial(&mut self, now: Instant) {
        self.due = self.plan.ms().map(|ms| now + Duration::from_millis(ms));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.due, self.breaks].into_iter().flatten().min()
    }

    /// Returns whether it has come up now.
    pub(super) fn step(&mut self, now: Instant) -> bool {
        if self.due.take_if(|at| *at <= now).is_none() {
            return false;
        }
        let Some(news) = self.news.take() else { return false };
        let pipes = Pipes { up: Pipe::new(self.bytes), down: Pipe::new(self.bytes) };
        let (input, output) = (Box::new(pipes.up.end()), Box::new(pipes.down.end()));
        if news.try_send(LinkNews::Up(LinkKind::Tcp, input, output)).is_ok() {
            self.pipes = Some(pipes);
        }
        true
    }

    /// The gateway has moved.
    pub(super) fn moved(&mut self, now: Instant) {
        assert!(self.pipes.is_some() && !self.receives, "a move without a link");
        (self.receives, self.sends) = (true, Sends::Soon);
        if let Linked::Breaks { after_ms, .. } = self.plan {
            self.breaks = Some(now + Duration::from_millis(after_ms));
        }
    }

    /// Whether the relay's process ends at the gateway's move.
    pub(super) fn kills(&self) -> bool {
        self.receives && matches!(self.plan, Linked::DiesAtMove { .. })
    }

    /// Whether the link breaks now, under a relay that lives on.
    pub(super) fn breaks(&mut self, now: Instant) -> bool {
        self.breaks.take_if(|at| *at <= now).is_some()
    }

    pub(super) fn close(&self) {
        if let Some(pipes) = &self.pipes {
            pipes.up.close();
            pipes.down.close();
        }
    }

    /// The pipe by which the gateway sends; `stdio` before its move.
    pub(super) fn up<'a>(&'a self, stdio: &'a Pipes) -> &'a Pipe {
        &self.pipes.as_ref().filter(|_| self.receives).unwrap_or(stdio).up
    }

    /// The pipe by which the relay sends.
    pub(super) fn down<'a>(&'a self, stdio: &'a Pipes) -> &'a Pipe {
        let pipes = self.pipes.as_ref().filter(|_| self.sends == Sends::ByLink);
        &pipes.unwrap_or(stdio).down
    }

    /// Called between two frames, with nothing left to write.
    pub(super) fn between_frames(&mut self, session: &mut Session, staging: &mut Vec<u8>) {
        self.sends = match self.sends {
            Sends::Soon => {
                session.move_out(staging);
                Sends::Announced
            }
            Sends::Announced => Sends::ByLink,
            other @ (Sends::ByStdio | Sends::ByLink) => other,
        };
    }
}
