//! Programs: what apps, servers, relays and the network do, and when. A program is made from a
//! seed, and simplified if it fails.

/// A small generator of numbers (SplitMix64): the same seed gives the same program on every
/// machine.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    pub(super) fn per_mille(&mut self, chance: u64) -> bool {
        self.roll() % 1000 < chance
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.between(0, all.len() as u64 - 1)).unwrap()]
    }
}

/// A whole program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The seed of losses and pieces.
    pub(super) seed: u64,
    pub(super) setting: Setting,
    pub(super) acts: Vec<Act>,
}

/// What does not change during a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Whether the TAP has segment offload.
    pub(super) offload: bool,
    pub(super) mtu: usize,
    pub(super) lanes: usize,
    /// Bytes that a pipe to or from a relay holds.
    pub(super) pipe: usize,
    /// Packets lost on the app's side, of 1,000; and those that others overtake.
    pub(super) loss: u64,
    pub(super) overtaken: u64,
    pub(super) latency_ms: u64,
    /// What each relay offers.
    pub(super) max_flows: u32,
    pub(super) max_binds: u32,
    /// What a relay lets the gateway send on a flow.
    pub(super) window: u32,
    pub(super) link: Linked,
}

/// The fate of the first link that the gateway asks for; later ones come up. The numbers are
/// milliseconds from the request to the link, and from the move to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    Never,
    Up {
        ms: u64,
    },
    /// The relay's process ends at the gateway's move.
    DiesAtMove {
        ms: u64,
    },
    /// The link breaks, and the relay does not end by itself.
    Breaks {
        ms: u64,
        after_ms: u64,
    },
}

impl Linked {
    fn random(dice: &mut Dice) -> Self {
        let ms = dice.of(&[0, 0, 1, 20, 300, 2500]);
        match dice.between(0, 9) {
            0..=3 => Self::Never,
            4..=7 => Self::Up { ms },
            8 => Self::DiesAtMove { ms },
            _ => Self::Breaks { ms, after_ms: dice.between(0, 500) },
        }
    }

    /// When it comes up.
    pub(super) fn ms(self) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::Up { ms } | Self::DiesAtMove { ms } | Self::Breaks { ms, .. } => Some(ms),
        }
    }

    /// Whether its session lives on.
    pub(super) fn is_sound(self) -> bool {
        matches!(self, Self::Never | Self::Up { .. })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) at_ms: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Connect(Plan),
    /// Queries one after the other over one TCP connection to the gateway's DNS, in pieces of
    /// `step` bytes.
    DnsConnection {
        queries: u8,
        step: u8,
        answers: Answering,
    },
    Query(Answering),
    /// A datagram from the app's port to a host, and what that host sends back.
    Datagram {
        port: u8,
        host: u8,
        bytes: u16,
        reply: Reply,
    },
    Ping {
        host: u8,
        bytes: u16,
        answered: bool,
    },
    /// A relay's process ends.
    Dies {
        lane: usize,
    },
    /// A relay does nothing any more and does not end.
    Hangs {
        lane: usize,
    },
    /// A relay does nothing for a while.
    Sleeps {
        lane: usize,
        ms: u64,
    },
    /// No packet gets through either way.
    Blackout {
        ms: u64,
    },
}

/// A TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) to: To,
    pub(super) outcome: Outcome,
    pub(super) connect_ms: u64,
    /// Bytes that the app has for the server, and the server for the app.
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) app: AppSide,
    pub(super) server: ServerSide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    V4,
    V6,
    /// The host's own loopback, by its alias.
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Opened,
    Refused,
    Unreachable,
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppSide {
    pub(super) buffer: usize,
    pub(super) end: AppEnd,
    pub(super) reads: Reads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppEnd {
    /// Ends its direction after its bytes, and reads on.
    AfterSending,
    /// Ends its direction after the server has.
    AfterServer,
    /// Ends its direction after its bytes and exits; a minute later its kernel forgets it.
    Exit,
    /// Resets after having read `read` bytes.
    Abort { read: u64 },
    /// Its kernel forgets it silently after it has read `read` bytes.
    Vanish { read: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerSide {
    pub(super) speaks: Speaks,
    pub(super) end: ServerEnd,
    pub(super) reads: Reads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    AtOnce,
    /// When it has all of the app's bytes.
    AfterApp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerEnd {
    AfterSending,
    AfterApp,
    Never,
    /// Resets after its bytes.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Eagerly,
    /// The given number of bytes every 10 ms.
    Slowly(u16),
    /// Nothing until long after the program.
    NotUntilTheEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    Answer,
    NoServer,
    Refused,
    TimedOut,
    /// The relay never says anything.
    Silence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Nothing,
    /// So many datagrams from the same host.
    Echo(u8),
    /// One from a host to which the app has not sent.
    FromStranger,
    PortUnreachable,
}

impl Setting {
    /// The simplest one.
    pub(super) const PLAIN: Self = Self {
        offload: false,
        mtu: 1500,
        lanes: 1,
        pipe: 65_536,
        loss: 0,
        overtaken: 0,
        latency_ms: 0,
        max_flows: 1000,
        max_binds: 1000,
        window: 65_536,
        link: Linked::Never,
    };
}

impl Program {
    pub(super) fn random(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let few = dice.per_mille(150);
        let setting = Setting {
            offload: dice.per_mille(500),
            mtu: dice.of(&[1500, 1500, 65_520]),
            lanes: dice.of(&[1, 1, 2, 3]),
            pipe: dice.of(&[1024, 4096, 65_536, 1 << 20]),
            loss: dice.of(&[0, 0, 0, 10, 80]),
            overtaken: dice.of(&[0, 0, 20, 200]),
            latency_ms: dice.of(&[0, 0, 1, 7]),
            max_flows: if few { 2 } else { 1000 },
            max_binds: if few { 2 } else { 1000 },
            window: dice.of(&[1, 100, 4096, 65_536, 1 << 20]),
            // Dice of its own: the programs of old seeds stay the same.
            link: Linked::random(&mut Dice(!seed)),
        };
        let count = dice.between(1, 14);
        let length = dice.of(&[5, 100, 2000]);
        let mut acts: Vec<Act> = (0..count)
            .map(|_| Act { at_ms: dice.between(0, length), what: What::random(&mut dice, setting) })
            .collect();
        acts.sort_by_key(|act| act.at_ms);
        Self { seed: dice.roll(), setting, acts }
    }

    /// Whether packets of TCP may be late by more than a second.
    pub(super) fn is_lossy(&self) -> bool {
        self.setting.loss > 0
            || self.acts.iter().any(|act| matches!(act.what, What::Blackout { .. }))
    }

    /// Programs that are a little simpler than this one.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for n in 0..self.acts.len() {
            let mut acts = self.acts.clone();
            acts.remove(n);
            all.push(Self { acts, ..self.clone() });
        }
        let (was, plain) = (self.setting, Setting::PLAIN);
        let settings = [
            Setting { offload: plain.offload, ..was },
            Setting { mtu: plain.mtu, ..was },
            Setting { lanes: plain.lanes, ..was },
            Setting { pipe: plain.pipe, ..was },
            Setting { loss: plain.loss, ..was },
            Setting { overtaken: plain.overtaken, ..was },
            Setting { latency_ms: plain.latency_ms, ..was },
            Setting { max_flows: plain.max_flows, max_binds: plain.max_binds, ..was },
            Setting { window: plain.window, ..was },
            Setting { link: plain.link, ..was },
        ];
        all.extend(
            settings
                .into_iter()
                .filter(|s| *s != was)
                .map(|setting| Self { setting, ..self.clone() }),
        );
        for (n, act) in self.acts.iter().enumerate() {
            for simpler in act.simpler() {
                let mut acts = self.acts.clone();
                acts[n] = simpler;
                all.push(Self { acts, ..self.clone() });
            }
        }
        all
    }

    /// As text, for the list of programs that failed once.
    pub(super) fn as_rust(&self) -> String {
        let Self { seed, setting, acts } = self;
        format!("Program {{ seed: {seed}, setting: {setting:?}, acts: vec!{acts:#?} }}")
    }
}

impl Act {
    fn simpler(self) -> Vec<Self> {
        let mut all = Vec::new();
        if self.at_ms > 0 {
            all.extend([Self { at_ms: 0, ..self }, Self { at_ms: self.at_ms / 2, ..self }]);
        }
        if let What::Connect(plan) = self.what {
            let eager = |reads| if reads == Reads::Eagerly { reads } else { Reads::Eagerly };
            let plans = [
                Plan { to: To::V4, ..plan },
                Plan { connect_ms: 0, ..plan },
                Plan { up: plan.up / 2, ..plan },
                Plan { down: plan.down / 2, ..plan },
                Plan { up: plan.up.saturating_sub(1), ..plan },
                Plan { down: plan.down.saturating_sub(1), ..plan },
                Plan { app: AppSide { buffer: 65_536, ..plan.app }, ..plan },
                Plan { app: AppSide { reads: eager(plan.app.reads), ..plan.app }, ..plan },
                Plan {
                    server: ServerSide { reads: eager(plan.server.reads), ..plan.server },
                    ..plan
                },
                Plan { server: ServerSide { speaks: Speaks::AtOnce, ..plan.server }, ..plan },
            ];
            all.extend(
                plans
                    .into_iter()
                    .filter(|p| *p != plan)
                    .map(|plan| Self { what: What::Connect(plan), ..self }),
            );
        }
        all
    }
}

impl What {
    fn random(dice: &mut Dice, setting: Setting) -> Self {
        let lane = usize::try_from(dice.between(0, setting.lanes as u64 - 1)).unwrap();
        match dice.between(0, 99) {
            0..=59 => Self::Connect(Plan::random(dice)),
            60..=64 => Self::DnsConnection {
                queries: dice.between(0, 80) as u8,
                step: dice.between(1, 255) as u8,
                answers: Answering::random(dice),
            },
            65..=69 => Self::Query(Answering::random(dice)),
            70..=81 => Self::Datagram {
                port: dice.between(0, 3) as u8,
                host: dice.between(0, 3) as u8,
                bytes: dice.of(&[8, 100, 1472, 1473, 4000, 20_000]),
                reply: match dice.between(0, 5) {
                    0 => Reply::Nothing,
                    1 => Reply::FromStranger,
                    2 => Reply::PortUnreachable,
                    _ => Reply::Echo(dice.between(1, 3) as u8),
                },
            },
            82..=86 => Self::Ping {
                host: dice.between(0, 3) as u8,
                bytes: dice.of(&[8, 56, 1400]),
                answered: dice.per_mille(700),
            },
            87..=90 => Self::Dies { lane },
            91..=92 => Self::Hangs { lane },
            93..=96 => Self::Sleeps { lane, ms: dice.between(1, 4000) },
            _ => Self::Blackout { ms: dice.between(1, 1500) },
        }
    }
}

impl Answering {
    fn random(dice: &mut Dice) -> Self {
        dice.of(&[
            Self::Answer,
            Self::Answer,
            Self::Answer,
            Self::NoServer,
            Self::Refused,
            Self::TimedOut,
            Self::Silence,
        ])
    }
}

impl Plan {
    fn random(dice: &mut Dice) -> Self {
        let bytes = |dice: &mut Dice| match dice.between(0, 6) {
            0 => 0,
            1 => dice.between(1, 3),
            2 | 3 => dice.between(1, 3000),
            4 | 5 => dice.between(1, 40_000),
            _ => dice.between(1, 250_000),
        };
        let (up, down) = (bytes(dice), bytes(dice));
        let reads = |dice: &mut Dice| match dice.between(0, 9) {
            0..=6 => Reads::Eagerly,
            7 | 8 => Reads::Slowly(dice.between(100, 5000) as u16),
            _ => Reads::NotUntilTheEnd,
        };
        Self {
            to: dice.of(&[To::V4, To::V4, To::V6, To::Host]),
            outcome: match dice.between(0, 19) {
                0 => Outcome::Refused,
                1 => Outcome::Unreachable,
                2 => Outcome::TimedOut,
                _ => Outcome::Opened,
            },
            connect_ms: dice.of(&[0, 0, 3, 50, 1500]),
            up,
            down,
            app: AppSide {
                buffer: dice.of(&[600, 4000, 65_536, 65_536, 300_000]),
                end: match dice.between(0, 9) {
                    0..=3 => AppEnd::AfterSending,
                    4..=6 => AppEnd::AfterServer,
                    7 => AppEnd::Exit,
                    8 => AppEnd::Abort { read: dice.between(0, down) },
                    _ => AppEnd::Vanish { read: dice.between(0, down) },
                },
                reads: reads(dice),
            },
            server: ServerSide {
                speaks: dice.of(&[Speaks::AtOnce, Speaks::AfterApp]),
                end: dice.of(&[
                    ServerEnd::AfterSending,
                    ServerEnd::AfterSending,
                    ServerEnd::AfterApp,
                    ServerEnd::AfterApp,
                    ServerEnd::Never,
                    ServerEnd::Reset,
                ]),
                reads: reads(dice),
            },
        }
    }

    /// Whether both ends close in order, if nothing comes between.
    pub(super) fn ends_in_order(&self) -> bool {
        let ends = match (self.app.end, self.server.end) {
            (AppEnd::AfterSending, ServerEnd::AfterSending | ServerEnd::AfterApp) => true,
            (AppEnd::AfterServer, ServerEnd::AfterSending) => true,
            (AppEnd::AfterSending | AppEnd::AfterServer, _) => false,
            (AppEnd::Exit | AppEnd::Abort { .. } | AppEnd::Vanish { .. }, _) => false,
        };
        self.outcome == Outcome::Opened && ends
    }

    /// Whether a side waits until long after the program.
    pub(super) fn stalls(&self) -> bool {
        self.app.reads == Reads::NotUntilTheEnd || self.server.reads == Reads::NotUntilTheEnd
    }
}
