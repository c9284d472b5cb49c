//! The goals, as ratios in one run wherever there is a subject to compare with, and whether they
//! are met. Pure.

use crate::cases::path::PATHS;
use crate::results::{Goal, Results};

const US: &str = "underpass";
const SLIRP: &str = "slirp4netns";

/// The side of its bound that a figure must be on.
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Judges every goal; one that could not be measured is neither met nor missed.
pub(crate) fn judge(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut goal = |text: String, bound: Bound, unit: &str, measured: Option<f64>| {
        let (sign, limit) = match bound {
            Bound::AtLeast(limit) => ("≥", limit),
            Bound::AtMost(limit) => ("≤", limit),
        };
        let met = measured.map(|measured| match bound {
            Bound::AtLeast(limit) => measured >= limit,
            Bound::AtMost(limit) => measured <= limit,
        });
        goals.push(Goal {
            text,
            goal: format!("{sign} {limit} {unit}").trim_end().to_owned(),
            measured,
            met,
        });
    };
    let ratio = |case: &str, other: &str| results.ratio((case, US), (case, other));
    let between = |one: &str, two: &str, who: &str| results.ratio((one, who), (two, who));
    // A peer counts with the better of one stream and eight.
    let best = |direction: &str, who: &str| {
        let of = |streams| results.median(&format!("tcp {direction} {streams}"), who);
        Some(of(1)?.max(of(8)?))
    };
    for direction in ["up", "down"] {
        for streams in [1, 8] {
            let case = format!("tcp {direction} {streams}");
            for peer in ["pasta", SLIRP] {
                let measured = results
                    .median(&case, US)
                    .zip(best(direction, peer))
                    .map(|(us, peer)| us / peer);
                goal(format!("{case}, to the best of {peer}"), Bound::AtLeast(1.0), "", measured);
            }
            goal(
                format!("{case}, to kernel forwarding"),
                Bound::AtLeast(0.7),
                "",
                ratio(&case, "kernel forwarding"),
            );
            goal(format!("{case}, to gvproxy"), Bound::AtLeast(15.0), "", ratio(&case, "gvproxy"));
            let (inside, beside) = (
                format!("container {direction} {streams}"),
                format!("beside container {direction} {streams}"),
            );
            goal(
                format!("{inside}, to the VM itself"),
                Bound::AtLeast(0.8),
                "",
                between(&inside, &beside, US),
            );
            let (through, model) =
                (format!("interop {direction} {streams}"), format!("model {direction}"));
            let measured = between(&through, &model, "underpass behind interop");
            goal(format!("{through}, to what the model moves"), Bound::AtLeast(0.9), "", measured);
        }
        let case = format!("udp {direction}");
        // Rates rise in steps of 5 %: figures at the same step differ by a hair.
        goal(format!("{case}, to pasta"), Bound::AtLeast(0.99), "", ratio(&case, "pasta"));
        for mtu in [65520, 1500] {
            let case = format!("{case} at 2 Gbit/s, MTU {mtu}");
            for peer in ["pasta", SLIRP] {
                goal(format!("{case}, to {peer}"), Bound::AtLeast(1.0), "", ratio(&case, peer));
            }
        }
    }
    for case in PATHS.iter().flat_map(|path| {
        ["up 1", "down 1", "up 8", "down 8"].map(|streams| format!("path {path}, {streams}"))
    }) {
        // Figures of a lossy path differ by some percent: a peer within them is not better.
        for other in ["the host itself", "pasta", SLIRP, "gvproxy"] {
            goal(format!("{case}, to {other}"), Bound::AtLeast(0.95), "", ratio(&case, other));
        }
    }
    let windows = "underpass, Windows relay by its pipe, 64 KiB";
    for direction in ["up", "down"] {
        let case = format!("tcp {direction} 1");
        let measured = results.median(&case, windows);
        goal(
            format!("{case}, Windows relay by a pipe of 64 KiB"),
            Bound::AtLeast(2.5),
            "Gbit/s",
            measured,
        );
    }
    goal(
        "tcp down 1, Windows relay by a pipe of 64 KiB, to up".to_owned(),
        Bound::AtLeast(1.0),
        "",
        between("tcp down 1", "tcp up 1", windows),
    );
    goal(
        "64 sockets of 1,200 bytes, to slirp4netns".to_owned(),
        Bound::AtLeast(1.0),
        "",
        ratio("quic", SLIRP),
    );
    for protocol in ["tcp", "udp"] {
        let case = format!("latency {protocol} p50");
        goal(format!("{case}, to slirp4netns"), Bound::AtMost(1.0), "", ratio(&case, SLIRP));
    }
    for direction in ["up", "down"] {
        let case = format!("latency beside 8 {direction} p99");
        goal(case.clone(), Bound::AtMost(5000.0), "us", results.median(&case, US));
    }
    let measured = between("latency beside 2000 idle p50", "latency beside 1 idle p50", US);
    goal(
        "latency beside 2,000 idle connections, to that beside one".to_owned(),
        Bound::AtMost(1.2),
        "",
        measured,
    );
    for parallel in [1, 32] {
        let case = format!("connects {parallel}");
        goal(format!("{case} at once, to pasta"), Bound::AtLeast(1.0), "", ratio(&case, "pasta"));
    }
    goal(
        "DNS queries, 32 at once".to_owned(),
        Bound::AtLeast(10_000.0),
        "1/s",
        results.median("dns", US),
    );
    goal("DNS queries lost".to_owned(), Bound::AtMost(0.0), "", results.median("dns lost", US));
    for (case, most) in
        [("memory at rest", 16.0), ("memory with 2000", 24.0), ("memory with 10000", 64.0)]
    {
        goal(
            format!("{case}, gateway and relay"),
            Bound::AtMost(most),
            "MiB",
            results.median(case, US),
        );
    }
    let measured = between("memory afterwards", "memory at rest", US);
    goal(
        "memory a minute after 10,000 connections, to that at rest".to_owned(),
        Bound::AtMost(1.1),
        "",
        measured,
    );
    for count in [1000, 10_000] {
        let measured =
            between(&format!("instructions beside {count} idle"), "instructions beside 1 idle", US);
        goal(
            format!("instructions a packet beside {count} idle flows, to one"),
            Bound::AtMost(1.1),
            "",
            measured,
        );
    }
    goal(
        "`up` to the first byte".to_owned(),
        Bound::AtMost(150.0),
        "ms",
        results.median("start", US),
    );
    let growth = between("soak memory after", "soak memory before", US);
    goal("memory after the soak, to before".to_owned(), Bound::AtMost(1.1), "", growth);
    for left in ["errors", "descriptors left", "restarts"] {
        let case = format!("soak {left}");
        goal(case.clone(), Bound::AtMost(0.0), "", results.median(&case, US));
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Value;

    #[test]
    fn a_goal_is_met_missed_or_not_measured() {
        let mut results = Results::default();
        for (case, us, peer) in
            [("tcp up 1", 9.0, 3.0), ("tcp up 8", 2.0, 4.0), ("latency tcp p50", 120.0, 100.0)]
        {
            results.add(case, "", US, Value { value: us, load: 0.0 });
            results.add(case, "", SLIRP, Value { value: peer, load: 0.0 });
        }
        let goals = judge(&results);
        let met =
            |text: &str| goals.iter().find(|goal| goal.text == text).and_then(|goal| goal.met);
        assert_eq!(
            met("tcp up 1, to the best of slirp4netns"),
            Some(true),
            "its best is that of eight streams"
        );
        assert_eq!(met("tcp up 8, to the best of slirp4netns"), Some(false));
        assert_eq!(met("latency tcp p50, to slirp4netns"), Some(false));
        assert_eq!(met("tcp up 1, to the best of pasta"), None);
    }
}
