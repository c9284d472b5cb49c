//! Two sessions and the memory that replaces their pipe.

use std::net::SocketAddr;
use std::time::Instant;
use wire::{Capabilities, Decoder, FlowId, Frame, Hello, Pull, Role, Session, Source, Then};

/// Bytes that the product stages for one write.
const STAGING: usize = 128 * 1024;

/// The source of the gateway's end: a number of bytes of each flow.
pub(crate) struct Supply {
    bytes: Box<[u8]>,
    /// The bytes left of each flow, by its number.
    left: Vec<usize>,
}

impl Source for Supply {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let left = &mut self.left[flow.0 as usize];
        let taken = max.min(*left);
        out.extend_from_slice(&self.bytes[..taken]);
        *left -= taken;
        Pull { taken, then: if *left > 0 { Then::More } else { Then::Drained } }
    }
}

struct End {
    session: Session,
    decoder: Decoder,
}

impl End {
    fn new(role: Role, now: Instant) -> Self {
        let hello = Hello {
            version: wire::frame::VERSION,
            capabilities: Capabilities::default(),
            max_flows: 1024,
            max_binds: 1024,
            build: String::new(),
        };
        Self { session: Session::new(role, hello, now), decoder: Decoder::default() }
    }

    /// Reads everything that came through the pipe.
    fn read(
        &mut self,
        now: Instant,
        mut bytes: &[u8],
        mut act: impl FnMut(&mut Session, Frame<'_>),
    ) {
        while !bytes.is_empty() {
            let space = self.decoder.space();
            let n = space.len().min(bytes.len());
            space[..n].copy_from_slice(&bytes[..n]);
            self.decoder.filled(n);
            bytes = &bytes[n..];
            while let Some(frame) =
                self.decoder.next_frame().unwrap_or_else(|error| panic!("{error}"))
            {
                if let Some(frame) =
                    self.session.accept(now, frame).unwrap_or_else(|error| panic!("{error}"))
                {
                    act(&mut self.session, frame);
                }
            }
        }
    }
}

/// A gateway's session, a relay's, and open flows.
pub(crate) struct Pipe {
    gateway: End,
    relay: End,
    supply: Supply,
    staging: Vec<u8>,
    now: Instant,
}

impl Pipe {
    pub(crate) fn new(flows: u32, window: u32) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do; it is compared with no other"
        )]
        let now = Instant::now();
        let mut pipe = Self {
            gateway: End::new(Role::Gateway, now),
            relay: End::new(Role::Relay, now),
            supply: Supply {
                bytes: vec![7; wire::limits::MAX_DATA].into(),
                left: vec![0; flows as usize],
            },
            staging: Vec::new(),
            now,
        };
        for flow in 0..flows {
            pipe.gateway.session.open(
                FlowId(flow),
                SocketAddr::from(([203, 0, 113, 10], 80)),
                window,
            );
        }
        while pipe.round() > 0 {}
        pipe
    }

    /// Moves `bytes` of each flow from the gateway to the relay.
    pub(crate) fn upload(&mut self, bytes: usize) {
        let total = bytes * self.supply.left.len();
        self.supply.left.fill(bytes);
        for flow in (0..).map(FlowId).take(self.supply.left.len()) {
            self.gateway.session.mark_ready(flow);
        }
        let before = self.relay.session.counters().data_received;
        while self.round() > 0 {}
        assert_eq!(self.relay.session.counters().data_received - before, total as u64);
    }

    /// One write of the gateway, and the relay's answer. Returns the bytes written.
    fn round(&mut self) -> usize {
        let Self { gateway, relay, supply, staging, now } = self;
        staging.clear();
        gateway.session.fill(staging, STAGING, supply);
        let written = staging.len();
        relay.read(*now, staging, |session, frame| {
            if let Frame::Data { flow, bytes } = frame {
                session.consumed(flow, bytes.len());
            } else if let Frame::Open { flow, window, .. } = frame {
                session.opened(flow, window);
            }
        });
        staging.clear();
        relay.session.fill(staging, STAGING, supply);
        gateway.read(*now, staging, |_, _| {});
        written
    }
}
