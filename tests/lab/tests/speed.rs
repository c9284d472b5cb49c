//! A floor of speed that no working build falls below on any machine. `scripts/bench` gives figures
//! for people.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::scene::{PATIENCE, tunnelled_lab};
use lab::{Lab, Place, Process, until};

/// A slow machine under the load of other builds carried over three times as much.
const FLOOR: f64 = 0.5e9;

fn iperf_server(lab: &Lab) -> Process {
    let server = lab.start(Place::Internet, &["iperf3", "--server"]).unwrap();
    let listens = || {
        !lab.run(Place::Internet, &["ss", "-Htln", "sport = :5201"])
            .unwrap()
            .stdout
            .trim()
            .is_empty()
    };
    assert!(until(PATIENCE, listens), "iperf3 does not listen");
    server
}

/// Bits a second, as the receiver counted them.
fn iperf(lab: &Lab, options: &[&str]) -> f64 {
    let fixed = ["iperf3", "--client", SERVER, "--congestion", "cubic", "--json"];
    let done = lab.run(Place::Wsl, &[&fixed[..], options].concat()).unwrap();
    let output: serde_json::Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    let speed = output["end"]["sum_received"]["bits_per_second"].as_f64();
    speed.unwrap_or_else(|| panic!("no speed: {output}"))
}

#[test]
fn one_stream_each_way_keeps_above_a_floor() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = iperf_server(&lab);
    for options in [&["--time", "2"][..], &["--time", "2", "--reverse"]] {
        // Another program may have used the machine for a while.
        let best = (0..3).map(|_| iperf(&lab, options)).find(|speed| *speed > FLOOR);
        assert!(best.is_some(), "{options:?}: below {FLOOR} bit/s three times");
    }
}
