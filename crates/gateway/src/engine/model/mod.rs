//! The whole tunnel against a model: random programs of apps, servers, relays and losses, in
//! virtual time.
//!
//! The test runs the product's own engine with its stack, its lanes and their sessions. Around it
//! stand the app's kernel (smoltcp, `vm.rs`), a link that loses packets and lets them overtake each
//! other (`link.rs`), and pretend relays with the product's own session and decoder (`relay.rs`).
//! The book (`book.rs`) knows what each side has done, and judges at once what the other side sees:
//! bytes are equal, ends are equal, no limit is passed. In the end everything that can end by
//! itself must have ended, and all tables must be empty.
//!
//! A program is made from a number (`program.rs`), and made smaller where it fails. `failed.rs` has
//! programs that failed once. The design follows Firezone's `tunnel_test`.

mod book;
mod failed;
mod lanes;
mod link;
mod moves;
mod program;
mod relay;
mod room;
mod status;
mod vm;
mod windows;

use self::book::{Book, Conn};
use self::program::{Act, Answering, Dice, Linked, Program, Reply, What};
use self::relay::{Asleep, Relay};
use self::vm::Vm;
use super::core::Open;
use super::pretend::world::{self, Gateway, Setup, World as _};
use crate::relays::Request;
use stack::Offload;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Programs of one run of all tests here.
const PROGRAMS: u64 = 10_000;

/// Tests that share them, so that they run side by side.
const SHARES: u64 = 4;

/// After the last act nothing is lost for this long before everything is judged; then stalled sides
/// continue for the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// After this time UDP sockets and questions of a gateway without apps are gone (RFC 4787 REQ-5).
const IDLE: Duration = Duration::from_secs(310);

/// After this time the gateway has noticed that an idle app is gone.
const FORGOTTEN: Duration = Duration::from_secs(1000);

struct World {
    program: Program,
    gateway: Gateway,
    vm: Vm,
    relays: Vec<Relay>,
    book: Book,
    dice: Dice,
    is_released: bool,
    /// The gateway has asked for a link.
    has_linked: bool,
}

impl world::World for World {
    const MOST_PASSES: usize = 100_000;

    fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Start { lane, answer } => {
                let setting = self.program.setting;
                let (pipes, seed) = (world::start(answer, setting.pipe), self.dice.roll());
                self.relays.push(Relay::new(lane, pipes, setting, seed, self.gateway.now));
            }
            // The lane may no longer wait for its end.
            Request::End { answer, .. } => drop(answer.send(Some("it was ended".to_owned()))),
            Request::Link { lane, news } => {
                let is_first = !std::mem::replace(&mut self.has_linked, true);
                let plan = match self.program.setting.link {
                    Linked::Never => Linked::Never,
                    plan if is_first => plan,
                    Linked::Up { .. } | Linked::DiesAtMove { .. } | Linked::Breaks { .. } => {
                        Linked::Up { ms: 1 }
                    }
                };
                let mut asked = self.relays.iter_mut().filter(|relay| relay.lane == lane);
                if let Some(relay) = asked.next_back() {
                    relay.link.ask(plan, news);
                }
            }
        }
    }

    fn step(&mut self) -> bool {
        let now = self.gateway.now;
        let mut moved = self.vm.step(now, self.gateway.engine.core.tap(), &mut self.book);
        for relay in &mut self.relays {
            moved |= relay.step(now, &mut self.book, self.is_released);
        }
        self.bury();
        moved
    }
}

impl World {
    fn new(program: &Program, start: Instant) -> Self {
        let setting = program.setting;
        let setup = Setup {
            mtu: setting.mtu,
            offload: if setting.offload { Offload::Datagrams } else { Offload::None },
            lanes: setting.lanes,
            seed: program.seed,
            ..Setup::default()
        };
        let mut dice = Dice(program.seed);
        Self {
            program: program.clone(),
            gateway: Gateway::new(setup, start),
            vm: Vm::new(setting, dice.roll(), start),
            relays: Vec::new(),
            book: Book {
                is_crowded: setting.max_flows <= 2,
                is_lossy: program.is_lossy(),
                ..Book::default()
            },
            dice,
            is_released: false,
            has_linked: false,
        }
    }

    /// Relays that the gateway has given up must have been dead or silent.
    fn bury(&mut self) {
        self.relays.retain(|relay| {
            let given_up = relay.is_given_up();
            if given_up {
                relay.excuse(&mut self.book);
            }
            assert!(
                !given_up || relay.is_dead || relay.asleep.is_some(),
                "a relay that lives was given up"
            );
            !given_up
        });
    }

    /// Time passes until `end`.
    fn run_until(&mut self, end: Instant) {
        loop {
            self.settle();
            let engine = Some(self.gateway.engine.armed);
            let relays = self.relays.iter().filter_map(Relay::next_deadline).min();
            let next = [engine, self.vm.next_deadline(self.gateway.now), relays]
                .into_iter()
                .flatten()
                .min();
            // Work that is due at once had its turn, and is due again a little later.
            let soon = self.gateway.now + Duration::from_micros(500);
            let next = next.map_or(end, |at| at.max(soon));
            if next >= end {
                self.gateway.now = self.gateway.now.max(end);
                return;
            }
            self.gateway.now = next;
        }
    }

    fn act(&mut self, act: Act) {
        let now = self.gateway.now;
        match act.what {
            What::Connect(mut plan) => {
                // Tiny windows cost a frame each.
                plan.up = plan.up.min(u64::from(self.program.setting.window) * 300);
                let conn = self.book.conns.len();
                self.book.conns.push(Conn::new(plan));
                self.vm.connect(now, conn, plan.to, plan.app.buffer);
            }
            What::DnsConnection { queries, step, answers } => {
                self.vm.ask_by_tcp(now, queries, step, answers)
            }
            What::Query(answers) => self.vm.ask(now, answers, &mut self.book),
            What::Datagram { port, host, bytes, reply } => {
                self.vm.send_datagram(now, port, host, bytes, reply, &mut self.book);
            }
            What::Ping { host, bytes, answered } => {
                self.vm.ping(now, host, bytes, answered, &mut self.book)
            }
            What::Dies { lane } => {
                for relay in self.relays.iter_mut().filter(|relay| relay.lane == lane) {
                    relay.die(&mut self.book);
                }
            }
            What::Hangs { lane } => {
                for relay in self.relays.iter_mut().filter(|relay| relay.lane == lane) {
                    relay.excuse(&mut self.book);
                    relay.asleep = Some(Asleep::ForEver);
                }
            }
            What::Sleeps { lane, ms } => {
                let until = Asleep::Until(now + Duration::from_millis(ms));
                for relay in self
                    .relays
                    .iter_mut()
                    .filter(|relay| relay.lane == lane && relay.asleep.is_none())
                {
                    relay.asleep = Some(until);
                }
            }
            What::Blackout { ms } => {
                self.vm.dark_until = self.vm.dark_until.max(now + Duration::from_millis(ms))
            }
        }
    }

    /// Whether datagrams and questions must all have come through.
    fn is_whole(&self) -> bool {
        let setting = self.program.setting;
        let quiet = |act: &Act| {
            !matches!(
                act.what,
                What::Dies { .. }
                    | What::Hangs { .. }
                    | What::Sleeps { .. }
                    | What::Blackout { .. }
            )
        };
        self.program.acts.iter().all(quiet)
            && setting.link.is_sound()
            && setting.max_binds > 2
            && setting.pipe >= 4096
    }

    fn run(&mut self) {
        self.vm.dns_is_whole = self.is_whole();
        let start = self.gateway.now + Duration::from_secs(1);
        self.run_until(start);
        assert!(self.relays.iter().all(Relay::is_ready), "no relay after a second");
        for act in self.program.acts.clone() {
            self.run_until(start + Duration::from_millis(act.at_ms));
            self.act(act);
        }
        self.run_until(self.gateway.now + Duration::from_millis(200));
        self.vm.heal();
        // Hanging relays are given up in that time.
        self.run_until(self.gateway.now + PATIENCE);
        self.book.assert_complete(false);
        self.assert_works();
        (self.is_released, self.vm.is_released) = (true, true);
        self.run_until(self.gateway.now + PATIENCE);
        self.book.assert_complete(true);
        self.vm.assert_dns_over();
        self.vm.kill_all(&mut self.book);
        self.run_until(self.gateway.now + IDLE);
        if self.gateway.engine.core.open().in_stack > 0 {
            self.run_until(self.gateway.now + FORGOTTEN);
        }
        self.book.assert_over(self.is_whole());
        self.assert_empty();
    }

    /// Whatever happened before, datagrams, queries and pings come through now.
    fn assert_works(&mut self) {
        let before = self.book.numbers;
        self.book.queries.clear();
        self.book.pings.clear();
        let ports = self.program.setting.max_binds.min(4);
        for port in 0..u8::try_from(ports).unwrap() {
            self.vm.send_datagram(self.gateway.now, port, 0, 100, Reply::Echo(1), &mut self.book);
        }
        self.vm.ask(self.gateway.now, Answering::Answer, &mut self.book);
        self.vm.ping(self.gateway.now, 0, 56, true, &mut self.book);
        self.run_until(self.gateway.now + Duration::from_secs(2));
        let numbers = self.book.to_server.keys().chain(self.book.to_app.keys());
        assert_eq!(
            numbers.filter(|number| **number > before).count(),
            0,
            "datagrams do not come through"
        );
        assert!(
            self.book.queries.is_empty() && self.book.pings.is_empty(),
            "queries and pings do not come through"
        );
    }

    fn assert_empty(&mut self) {
        assert_eq!(self.gateway.engine.core.open(), Open::default(), "something is left");
        for lane in &mut self.gateway.engine.lanes {
            let session = lane.ready().expect("every relay is ready in the end");
            assert_eq!(session.flow_count(), 0, "flows are left in a session");
            assert_eq!(session.counters().offences, 0, "a relay sent more than it was allowed");
        }
        self.relays.iter().for_each(Relay::assert_empty);
    }
}

/// Runs a program. An error says how it failed.
fn outcome(program: &Program) -> Result<(), String> {
    let run = catch_unwind(AssertUnwindSafe(|| World::new(program, super::now()).run()));
    run.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

/// The simplest program around this one that still fails, and how.
fn simplest(program: Program, failure: String) -> (Program, String) {
    let (mut program, mut failure) = (program, failure);
    let mut tries = 0;
    'simpler: loop {
        for simpler in program.simpler() {
            tries += 1;
            if tries > 2000 {
                return (program, failure);
            }
            if let Err(text) = outcome(&simpler) {
                (program, failure) = (simpler, text);
                continue 'simpler;
            }
        }
        return (program, failure);
    }
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn check(seed: u64) {
    let program = Program::random(seed);
    if let Err(failure) = outcome(&program) {
        assert!(std::env::var_os("UNDERPASS_MODEL_TRACE").is_none(), "{failure}");
        let (program, simple) = simplest(program, failure.clone());
        panic!(
            "UNDERPASS_MODEL_SEED={seed} fails: {failure}\nsimpler: {simple}\n{}",
            program.as_rust()
        );
    }
}

/// A share of the programs. `UNDERPASS_MODEL_SEED` runs that one alone, and `UNDERPASS_MODEL_TRACE`
/// shows its segments; `UNDERPASS_MODEL_PROGRAMS` is how many programs there are in all.
fn check_share(share: u64) {
    if let Some(seed) = number_in("UNDERPASS_MODEL_SEED") {
        return if share == 0 {
            check(seed)
        };
    }
    let programs = number_in("UNDERPASS_MODEL_PROGRAMS").unwrap_or(PROGRAMS);
    let mut dice = Dice(crate::seed());
    (0..programs / SHARES).for_each(|_| check(dice.roll()));
}

#[test]
fn random_programs_first_share() {
    check_share(0);
}

#[test]
fn random_programs_second_share() {
    check_share(1);
}

#[test]
fn random_programs_third_share() {
    check_share(2);
}

#[test]
fn random_programs_fourth_share() {
    check_share(3);
}

#[test]
fn programs_that_failed_once() {
    for (n, program) in failed::programs().iter().enumerate() {
        if let Err(failure) = outcome(program) {
            panic!("program {n} of failed.rs fails again: {failure}\n{}", program.as_rust());
        }
    }
}
