//! `underpass up --attach`: stays with the gateway that another process runs, and with each one
//! that follows it. It starts none: in the helper distro that is the boot command's to do.
//!
//! A person's terminal (`wsl -d underpass up`), the systemd unit and the scheduled task use it. It
//! ends by a signal, or with exit code 1 when no gateway has run for [`PATIENCE`], so that the unit
//! or the task starts it again, and the distro with it.

use crate::show;
use anyhow::bail;
use gateway::Status;
use gateway::control::StatusError;
use gateway::status::GatewayState;
use messages::{Text, command as words};
use std::time::{Duration, Instant};

/// Between two looks at the gateway.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long no gateway may run. The boot command starts the next one after at most 15 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a look at the gateway shows.
#[derive(Debug)]
enum Seen {
    /// It answers.
    Running(Box<Status>),
    /// There is one, and it has no time to answer: it copies the relay to Windows' disk, say.
    Busy,
    /// There is none.
    Nothing,
}

/// Stays with gateways as long as there are some; each line for people is given to `tell`.
///
/// # Errors
/// None has run for [`PATIENCE`].
#[expect(
    clippy::disallowed_methods,
    reason = "the end of a process that is not this one's child can only be looked for"
)]
pub(crate) fn attach(
    look: impl Fn() -> Result<Status, StatusError>,
    tell: impl Fn(&str),
) -> anyhow::Result<std::convert::Infallible> {
    let mut follower = Follower::new(Instant::now());
    loop {
        let seen = match look() {
            Ok(status) => Seen::Running(Box::new(status)),
            Err(StatusError::Broken { .. }) => Seen::Busy,
            Err(error @ StatusError::Permission { .. }) => return Err(error.into()),
            Err(StatusError::NotRunning) => Seen::Nothing,
        };
        for line in follower.step(seen, Instant::now())? {
            tell(&line);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What was seen so far.
#[derive(Debug)]
struct Follower {
    /// The gateway that this is with.
    with: Option<u32>,
    /// Whether it was said that traffic flows through it.
    is_announced: bool,
    /// Whether it was said that there is none.
    is_waiting: bool,
    /// When there was one last, or the start.
    last: Instant,
}

impl Follower {
    fn new(now: Instant) -> Self {
        Self { with: None, is_announced: false, is_waiting: false, last: now }
    }

    /// The lines that a look at the gateway gives.
    ///
    /// # Errors
    /// None has run for [`PATIENCE`].
    fn step(&mut self, seen: Seen, now: Instant) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        match seen {
            Seen::Running(status) => {
                self.last = now;
                self.is_waiting = false;
                if self.with != Some(status.pid) {
                    lines.extend(self.with.map(ended));
                    lines.push(say(&words::ATTACHED.with("pid", status.pid)));
                    self.with = Some(status.pid);
                    self.is_announced = false;
                }
                if !self.is_announced && status.state == GatewayState::Up {
                    lines.extend(show::announcement(&status, crate::voice::language()));
                    self.is_announced = true;
                }
            }
            Seen::Busy => self.last = now,
            Seen::Nothing => {
                if let Some(pid) = self.with.take() {
                    lines.push(ended(pid));
                    self.last = now;
                }
                if !self.is_waiting {
                    lines.push(say(&words::WAITING.text()));
                    self.is_waiting = true;
                }
                if now.duration_since(self.last) >= PATIENCE {
                    bail!(
                        "no tunnel has run for {} s: /var/log/underpass.log of the helper distro \
                         shows why none starts; elsewhere start one with `underpass up`",
                        PATIENCE.as_secs()
                    );
                }
            }
        }
        Ok(lines)
    }
}

fn ended(pid: u32) -> String {
    say(&words::ENDED.with("pid", pid))
}

fn say(text: &Text) -> String {
    text.say(crate::voice::language())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pid: u32, state: GatewayState) -> Seen {
        let json = serde_json::json!({
            "state": state, "mode": "nat", "version": "1", "pid": pid, "uptime_s": 0,
            "captured": [], "relays": [],
            "flows": { "tcp": 0, "tcp_pending": 0, "time_wait": 0, "udp": 0, "echo": 0, "dns": 0 },
            "totals": { "tcp": 0, "udp": 0, "dns": 0, "echo": 0 },
            "dns_answers": {}, "bytes": { "up": 0, "down": 0 },
            "packets": { "up": 0, "down": 0 }, "drops": {}, "limits": [],
        });
        Seen::Running(Box::new(serde_json::from_value(json).unwrap()))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn it_follows_from_one_gateway_to_the_next_and_gives_up_when_there_is_none() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut follower = Follower::new(began);
        let mut step = |seen, seconds| follower.step(seen, at(seconds)).unwrap().join("\n");
        assert_eq!(step(Seen::Nothing, 0), "underpass: waiting for the next gateway");
        assert_eq!(step(Seen::Nothing, 59), "", "once");
        assert!(
            step(status(7, GatewayState::Starting), 60).contains("already running as process 7")
        );
        assert_eq!(step(status(7, GatewayState::Up), 61), "underpass: up");
        assert_eq!(step(status(7, GatewayState::NoRelay), 62), "");
        assert_eq!(step(status(7, GatewayState::Up), 63), "");
        let ended = step(Seen::Nothing, 1000);
        assert_eq!(
            ended,
            "underpass: process 7 has ended\nunderpass: waiting for the next gateway"
        );
        assert_eq!(step(Seen::Busy, 1050), "");
        assert_eq!(step(Seen::Nothing, 1109), "");
        assert_eq!(step(status(8, GatewayState::Up), 1110).lines().count(), 2);
        // Replaced between two looks.
        let replaced = step(status(9, GatewayState::Up), 1111);
        assert!(
            replaced.starts_with(
                "underpass: process 8 has ended\nunderpass: already running as process 9"
            ),
            "{replaced}"
        );
        assert!(replaced.ends_with("\nunderpass: up"), "{replaced}");
        assert_eq!(step(Seen::Nothing, 1170).lines().count(), 2);
        assert_eq!(step(Seen::Nothing, 1229), "");
        let error = follower.step(Seen::Nothing, at(1230)).unwrap_err().to_string();
        assert!(error.contains("60 s") && error.contains("underpass.log"), "{error}");
    }
}
