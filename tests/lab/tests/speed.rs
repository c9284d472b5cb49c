//! How fast it is: a floor that no working build goes below on any machine, and figures for people.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::scene::{PATIENCE, cpu_time, product, tunnelled_lab};
use lab::{Lab, Place, Process, until};
use std::io::Write as _;

/// A slow machine under the load of other builds carried over three times as much.
const FLOOR: f64 = 0.5e9;

fn iperf_server(lab: &Lab) -> Process {
    let server = lab.start(Place::Internet, &["iperf3", "--server"]).unwrap();
    let listens = || !lab.run(Place::Internet, &["ss", "-Htln", "sport = :5201"]).unwrap().stdout.trim().is_empty();
    assert!(until(PATIENCE, listens), "iperf3 does not listen");
    server
}

/// Bits a second, and bytes in all, as the receiver counted them.
fn iperf(lab: &Lab, options: &[&str]) -> (f64, f64) {
    let fixed = ["iperf3", "--client", SERVER, "--congestion", "cubic", "--json"];
    let done = lab.run(Place::Wsl, &[&fixed[..], options].concat()).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    let sum = &told["end"]["sum_received"];
    let number = |name: &str| sum[name].as_f64().unwrap_or_else(|| panic!("no {name}: {told}"));
    (number("bits_per_second"), number("bytes"))
}

#[test]
fn one_stream_each_way_keeps_above_a_floor() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = iperf_server(&lab);
    for options in [&["--time", "2"][..], &["--time", "2", "--reverse"]] {
        // Another program may have had the machine for a while.
        let best = (0..3).map(|_| iperf(&lab, options).0).find(|speed| *speed > FLOOR);
        assert!(best.is_some(), "{options:?}: below {FLOOR} bit/s three times");
    }
}

/// `cargo test -p underpass-lab --release --test speed -- --ignored`, on a quiet machine: one line a case.
#[test]
#[ignore = "figures for people, on a quiet machine"]
fn measured() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = iperf_server(&lab);
    let pids = product(&tunnel);
    let say = |line: &str| writeln!(std::io::stderr(), "{line}").unwrap();
    for round in 1..=3 {
        for (name, options) in [
            ("up 1", &["--time", "4"][..]),
            ("down 1", &["--time", "4", "--reverse"]),
            ("up 8", &["--time", "4", "--parallel", "8"]),
            ("down 8", &["--time", "4", "--parallel", "8", "--reverse"]),
        ] {
            let before: Vec<_> = pids.iter().map(|pid| cpu_time(*pid)).collect();
            let (speed, bytes) = iperf(&lab, options);
            let costs = pids.iter().zip(before).map(|(pid, before)| {
                let seconds = (cpu_time(*pid) - before).as_secs_f64();
                format!("{:.2}", seconds / bytes * 1e9)
            });
            let costs = costs.collect::<Vec<_>>().join(" + ");
            say(&format!("round {round}, {name}: {:.2} Gbit/s, {costs} s/GB (gateway + relay)", speed / 1e9));
        }
    }
}
