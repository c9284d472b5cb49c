//! One packet at a time: a stack without offload, and the result of each packet.

use super::{Sink, config, frame, start, udp};
use std::time::{Duration, Instant};
use underpass_stack::*;

pub const APP: &str = "10.99.0.18:5000";
pub const PEER: &str = "8.8.4.4:9999";

pub struct Rig {
    pub now: Instant,
    pub stack: Stack,
}

impl Rig {
    pub fn new(mtu: usize) -> Self {
        let now = start();
        Self { now, stack: Stack::new(config(Offload::None, mtu), now) }
    }

    pub fn feed(&mut self, packet: &[u8]) -> (Vec<Event>, Vec<Vec<u8>>) {
        let mut sink = Sink::default();
        self.stack.ingest(self.now, &frame(packet), RxMeta::Unverified, &mut sink);
        let events = std::iter::from_fn(|| self.stack.poll_event()).collect();
        (events, sink.0.into_iter().map(|(bytes, _)| bytes[14..].to_vec()).collect())
    }

    pub fn bind(&mut self, from: &str, to: &str) -> BindId {
        let (events, _) = self.feed(&udp(from, to, 64, b"x"));
        match events[..] {
            [.., Event::Datagram { bind, .. }] => bind,
            _ => panic!("{events:?}"),
        }
    }

    pub fn out(&mut self, act: impl FnOnce(&mut Stack, Instant, &mut Sink)) -> Vec<Vec<u8>> {
        let mut sink = Sink::default();
        act(&mut self.stack, self.now, &mut sink);
        sink.0.into_iter().map(|(bytes, _)| bytes[14..].to_vec()).collect()
    }

    pub fn wait(&mut self, by: Duration) -> Vec<Event> {
        self.now += by;
        let mut sink = Sink::default();
        self.stack.handle_timeout(self.now, &mut sink);
        std::iter::from_fn(|| self.stack.poll_event()).collect()
    }
}
