//! A long, lossy or narrow path between the lab's host and its internet. The kernel may have no
//! netem, so a program delays and drops the packets: `underpass-path`, between two TUN devices of
//! the lab's router.
//!
//! ```text
//! host -- inner | nearer -- underpass-path -- farther | outer -- internet
//!                     (all in the router's namespace)
//! ```
//!
//! Rules of the router lead what comes from `inner` to `nearer` and what comes from `outer` to
//! `farther`. Packets out of a TUN device take the router's ordinary routes. All of the host's
//! packets take this path, those of its own programs too.
//!
//! The devices have no segment offload: the kernel cuts super-packets before them, so loss and
//! queue count packets of 1,500 bytes, as a cable does.

mod leg;

pub use leg::{Leg, Shaper};

use std::path::Path;
use std::time::Duration;

use crate::run::Process;
use crate::topology::{Lab, LabError, Place};
use crate::wait::until;

/// The devices exist long before this.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each device, the router's link whose packets it takes, and the table that leads them there.
const DEVICES: [(&str, &str, &str); 2] = [("nearer", "inner", "101"), ("farther", "outer", "102")];

/// A path between host and internet. Dropped, the lab's links are as fast as before. Declare it
/// after its lab.
#[derive(Debug)]
pub struct SlowPath<'a> {
    lab: &'a Lab,
    process: Process,
}

impl<'a> SlowPath<'a> {
    /// Makes the path: `up` is the direction to the internet. `program` is the built
    /// `underpass-path`. The same seed loses the same packets of each direction, counted from now.
    ///
    /// # Errors
    /// The program does not start, or a command that leads packets to it failed.
    pub fn start(
        lab: &'a Lab,
        program: &Path,
        (up, down): (Leg, Leg),
        seed: u64,
    ) -> Result<Self, LabError> {
        let words = [up.to_string(), down.to_string(), seed.to_string()];
        let program = program.display().to_string();
        let words = [&program, DEVICES[0].0, DEVICES[1].0, &words[0], &words[1], &words[2]];
        // From here on its drop removes what exists.
        let path = Self { lab, process: lab.start(Place::Router, &words)? };
        let exists = |device: &str| {
            lab.run(Place::Router, &["ip", "link", "show", device])
                .is_ok_and(|shown| shown.succeeded())
        };
        if !until(PATIENCE, || DEVICES.iter().all(|(device, ..)| exists(device))) {
            return Err(LabError::Command {
                what: words.join(" "),
                said: "it made no devices".to_owned(),
            });
        }
        for (device, link, table) in DEVICES {
            path.ip(&format!("link set {device} addrgenmode none"))?;
            // Only the leg's own queue drops packets.
            path.ip(&format!("link set {device} mtu 1500 txqueuelen 10000 up"))?;
            for family in ["-4", "-6"] {
                path.ip(&format!("{family} route add default dev {device} table {table}"))?;
                path.ip(&format!("{family} rule add iif {link} lookup {table}"))?;
            }
        }
        Ok(path)
    }

    /// The process that carries the packets.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Packets that have entered and left the path so far, up and then down. Those that are on
    /// their way have only entered.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn packets(&self) -> Result<[(u64, u64); 2], LabError> {
        let shown = self.ip("-json -statistics link show")?;
        let links: serde_json::Value = serde_json::from_str(&shown).unwrap_or_default();
        let count = |device: &str, direction: &str| {
            let links = links.as_array().map_or(&[][..], Vec::as_slice);
            let link = links.iter().find(|link| link["ifname"] == device);
            link.and_then(|link| link["stats64"][direction]["packets"].as_u64()).unwrap_or(0)
        };
        let [(nearer, ..), (farther, ..)] = DEVICES;
        Ok([
            (count(nearer, "tx"), count(farther, "rx")),
            (count(farther, "tx"), count(nearer, "rx")),
        ])
    }

    fn ip(&self, words: &str) -> Result<String, LabError> {
        let words: Vec<&str> = ["ip"].into_iter().chain(words.split(' ')).collect();
        let finished = self.lab.run(Place::Router, &words)?;
        if finished.succeeded() {
            return Ok(finished.stdout);
        }
        Err(LabError::Command { what: words.join(" "), said: finished.stderr })
    }
}

impl Drop for SlowPath<'_> {
    fn drop(&mut self) {
        self.process.end();
        // The devices and their routes have ended with the program. A rule to an empty table leads
        // nowhere, so one that stays does no harm.
        for (_, link, table) in DEVICES {
            for family in ["-4", "-6"] {
                let _ = self.ip(&format!("{family} rule del iif {link} lookup {table}"));
            }
        }
    }
}
