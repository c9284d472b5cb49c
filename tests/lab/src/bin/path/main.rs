//! `underpass-path NEARER FARTHER UP DOWN SEED`: carries packets between two TUN devices, which it
//! makes, with the delay, loss and rate of each direction (`lab::path::Leg`). `lab::path` says
//! where it stands in the lab.
//!
//! Each direction has two threads. One reads a device and computes when each packet arrives; the
//! other waits for that time and writes to the other device all packets that are due. Packets of a
//! direction keep their order, so their times ascend.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab::path::{Leg, Shaper};
use tun_tap::{Iface, Mode};

/// Larger than any packet of a device with an MTU of 1,500 bytes.
const LARGEST: usize = 2048;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "underpass-path: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until it is killed or a device fails.
fn run(words: &[String]) -> Result<(), String> {
    let [nearer, farther, up, down, seed] = words else {
        return Err("usage: underpass-path NEARER FARTHER UP DOWN SEED".to_owned());
    };
    let (up, down): (Leg, Leg) = (up.parse()?, down.parse()?);
    let seed: u64 = seed.parse().map_err(|_| format!("'{seed}' is no number"))?;
    let open = |name: &String| {
        Iface::without_packet_info(name, Mode::Tun)
            .map(Arc::new)
            .map_err(|error| format!("{name}: {error}"))
    };
    let (nearer, farther) = (open(nearer)?, open(farther)?);
    let began = now();
    let directions = [
        (&nearer, &farther, Shaper::new(up, seed)),
        // Another sequence than that of the other direction.
        (&farther, &nearer, Shaper::new(down, !seed)),
    ];
    let threads = directions.map(|(from, to, shaper)| {
        let (from, to, way) = (Arc::clone(from), Arc::clone(to), Arc::new(Way::default()));
        let arrivals = Arc::clone(&way);
        let reader = std::thread::spawn(move || read(&from, shaper, began, &way));
        // It ends with the process.
        let _ = std::thread::spawn(move || write(&to, began, &arrivals));
        reader
    });
    for reader in threads {
        reader.join().map_err(|_| "a thread panicked".to_owned())??;
    }
    Ok(())
}

/// Packets on their way, with the time of their arrival.
#[derive(Default)]
struct Way {
    packets: Mutex<VecDeque<(Duration, Vec<u8>)>>,
    /// The first packet has come.
    filled: Condvar,
}

impl Way {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Duration, Vec<u8>)>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for packets that are due, and takes all of them.
    fn due(&self, began: Instant, batch: &mut Vec<Vec<u8>>) {
        let mut packets = self.lock();
        loop {
            let elapsed = now() - began;
            while let Some((_, packet)) = packets.pop_front_if(|(arrives, _)| *arrives <= elapsed) {
                batch.push(packet);
            }
            if !batch.is_empty() {
                return;
            }
            packets = match packets.front() {
                None => self.filled.wait(packets).unwrap_or_else(PoisonError::into_inner),
                Some((arrives, _)) => {
                    let left = *arrives - elapsed;
                    self.filled
                        .wait_timeout(packets, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

fn read(from: &Iface, mut shaper: Shaper, began: Instant, way: &Way) -> Result<(), String> {
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = from.recv(&mut buffer).map_err(|error| format!("{}: {error}", from.name()))?;
        let packet = &buffer[..length];
        let Some(arrives) = shaper.carry(now() - began, length) else { continue };
        let mut packets = way.lock();
        packets.push_back((arrives, packet.to_vec()));
        if packets.len() == 1 {
            way.filled.notify_one();
        }
    }
}

fn write(to: &Iface, began: Instant, way: &Way) {
    let mut batch = Vec::new();
    loop {
        way.due(began, &mut batch);
        for packet in batch.drain(..) {
            // A packet that the device does not take is lost, as on a cable.
            let _ = to.send(&packet);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "delaying packets is what this program is for")]
fn now() -> Instant {
    Instant::now()
}
