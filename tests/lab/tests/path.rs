//! Long, lossy and narrow paths beyond the host. The host's kernel recovers from their losses, not
//! the tunnel, so transfers through the tunnel are as exact and about as fast as the host's own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;
use std::time::Duration;

use lab::addresses::SERVER;
use lab::path::{Leg, SlowPath};
use lab::scene::{Script, python, python_server, tunnelled_lab};
use lab::{Lab, Place, Process};

const MIB: u64 = 1024 * 1024;
const HALF: Duration = Duration::from_millis(10);
/// So slow that a busy machine is faster.
const RATE: u64 = 20_000_000;

fn path(lab: &Lab, leg: Leg) -> SlowPath<'_> {
    SlowPath::start(lab, Path::new(env!("CARGO_BIN_EXE_underpass-path")), (leg, leg), 1).unwrap()
}

fn servers(lab: &Lab) -> [Process; 2] {
    [(Script::Transfer, "5001"), (Script::Crowd, "5002")].map(|(script, port)| {
        let number = port.parse().unwrap();
        python_server(lab, Place::Internet, script.text(), &["serve", port], number)
    })
}

/// A transfer from a place: seconds, if every byte was right.
fn seconds(lab: &Lab, place: Place, how: &str, (bytes, streams): (u64, u32)) -> f64 {
    let words = ["run", SERVER, "5001", how, &bytes.to_string(), &streams.to_string(), "0"];
    let done = python(lab, place, Script::Transfer.text(), &words);
    let answer: serde_json::Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    assert_eq!(answer["exact"], true, "{how} from {place:?}: {done:?}");
    answer["seconds"].as_f64().unwrap()
}

/// The median round trip of a byte from a place.
fn round_trip(lab: &Lab, place: Place) -> Duration {
    let words = ["pingpong", SERVER, "5002", "50"];
    let done = python(lab, place, Script::Crowd.text(), &words);
    let microseconds: f64 = done.stdout.trim().parse().unwrap_or_else(|_| panic!("{done:?}"));
    Duration::from_secs_f64(microseconds / 1e6)
}

/// Packets that did not leave the path, and those that entered it, up and then down.
fn lost(path: &SlowPath<'_>) -> [(u64, u64); 2] {
    path.packets().unwrap().map(|(entered, left)| (entered - left, entered))
}

#[test]
fn the_path_delays_each_packet_and_vanishes_with_its_program() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _servers = servers(&lab);
    let slow = path(&lab, Leg::lossy(HALF, 0.0));
    for place in [Place::Windows, Place::Wsl] {
        let time = round_trip(&lab, place);
        // A busy machine adds to it.
        assert!((2 * HALF..4 * HALF).contains(&time), "{place:?}: {time:?}");
    }
    drop(slow);
    let time = round_trip(&lab, Place::Wsl);
    assert!(time < HALF, "without the path: {time:?}");
}

#[test]
fn losses_beyond_the_host_only_slow_transfers_as_they_slow_the_hosts_own() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _servers = servers(&lab);
    let slow = path(&lab, Leg::lossy(HALF, 0.01));
    for how in ["upload", "download"] {
        // By RFC 5681 a stream carries about 7 Mbit/s here.
        for load in [(MIB, 1), (MIB / 2, 8)] {
            let [own, tunnelled] =
                [Place::Windows, Place::Wsl].map(|place| seconds(&lab, place, how, load));
            // Luck with the last packets costs up to a second each time.
            assert!(tunnelled < 3.0 * own + 3.0, "{how} {load:?}: {tunnelled} s, host {own} s");
        }
    }
    for (lost, entered) in lost(&slow) {
        let share = lost as f64 / entered as f64;
        assert!((0.003..0.03).contains(&share), "{lost} of {entered} packets lost");
    }
}

#[test]
fn a_narrow_path_is_filled_through_the_tunnel() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _servers = servers(&lab);
    let _slow = path(&lab, Leg::limited(HALF, RATE, 5 * HALF));
    for how in ["upload", "download"] {
        for (bytes, streams) in [(4 * MIB, 1), (MIB / 2, 8)] {
            let [own, tunnelled] = [Place::Windows, Place::Wsl]
                .map(|place| seconds(&lab, place, how, (bytes, streams)));
            let least = (4 * MIB * 8) as f64 / RATE as f64;
            // Each of the two may overshoot, and then needs seconds for what it lost.
            assert!(own > least && tunnelled > least, "faster than the path: {own}, {tunnelled}");
            assert!(tunnelled < 3.0 * own + 3.0, "{how}: {tunnelled} s, host {own} s");
        }
    }
}
