//! The relay's program in the lab's host, and the frames it sends.

use lab::{Lab, Place};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use wire::frame::VERSION;
use wire::{Capabilities, Decoder, Frame, Hello, HostFacts, RequestId, Sealer};

/// Longest wait of any test: only a failing one reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// A frame without borrowing.
#[derive(Debug)]
pub(crate) enum Event {
    Changed,
    Facts(Box<HostFacts>),
    /// Any other frame as `{:?}` writes it.
    Frame(String),
}

pub(crate) struct Relay {
    child: Child,
    stdin: ChildStdin,
    sealer: Sealer,
    events: Receiver<Event>,
    pub(crate) hello: Hello,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Relay {
    pub(crate) fn start(lab: &Lab) -> Self {
        let program = env!("CARGO_BIN_EXE_underpass-relay");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &lab.namespace(Place::Windows), program]);
        command
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (said_hello, hello) = channel();
        let (tell, events) = channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::default();
            loop {
                let n = stdout.read(decoder.space()).unwrap_or(0);
                if n == 0 {
                    return;
                }
                decoder.filled(n);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    // A test that has ended does not listen any more.
                    let _ = match frame {
                        Frame::Hello(hello) => said_hello.send(hello).map_err(drop),
                        Frame::Ping { .. } => Ok(()),
                        Frame::Changed => tell.send(Event::Changed).map_err(drop),
                        Frame::Facts { json, .. } => tell
                            .send(Event::Facts(serde_json::from_slice(json).unwrap()))
                            .map_err(drop),
                        other => tell.send(Event::Frame(format!("{other:?}"))).map_err(drop),
                    };
                }
            }
        });
        let hello = hello.recv_timeout(DEADLINE).expect("the relay sends no hello");
        let mut relay = Self { child, stdin, sealer: Sealer::default(), events, hello };
        relay.send(&Frame::Hello(Hello {
            version: VERSION,
            capabilities: Capabilities::default(),
            max_flows: 0,
            max_binds: 0,
            build: "test".into(),
        }));
        relay
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, frame: &Frame<'_>) {
        self.send_all(std::slice::from_ref(frame));
    }

    /// Sends frames in one write.
    pub(crate) fn send_all(&mut self, frames: &[Frame<'_>]) {
        let mut bytes = Vec::new();
        for frame in frames {
            let mut plain = Vec::new();
            frame.encode(&mut plain);
            self.sealer.append(&plain, &mut bytes);
        }
        self.stdin.write_all(&bytes).unwrap();
    }

    pub(crate) fn next(&self) -> Event {
        self.events.recv_timeout(DEADLINE).expect("no frame came in time")
    }

    /// The event that comes within `patience`, if any does.
    pub(crate) fn next_within(&self, patience: Duration) -> Option<Event> {
        match self.events.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the relay ended"),
        }
    }

    /// The next frame that is not about the host's network.
    pub(crate) fn next_frame(&self) -> String {
        loop {
            if let Event::Frame(frame) = self.next() {
                return frame;
            }
        }
    }

    pub(crate) fn facts(&mut self) -> HostFacts {
        self.send(&Frame::AskFacts { request: RequestId(1) });
        loop {
            if let Event::Facts(facts) = self.next() {
                return *facts;
            }
        }
    }
}
