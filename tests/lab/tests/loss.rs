//! Frames that are lost on the TAP only slow a transfer down.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::scene::{PATIENCE, Script, python, python_server, transfer, tunnelled_lab};
use lab::tunnel::send_signal;
use lab::{Lab, Place, until};

const MIB: u64 = 1024 * 1024;

/// Drops one percent of the packets each way on the TAP.
const LOSS: &str = "table inet loss {
    chain down { type filter hook input priority 0; iifname \"underpass0\" numgen random mod 100 < 1 counter drop; }
    chain up { type filter hook output priority 0; oifname \"underpass0\" numgen random mod 100 < 1 counter drop; }
}";

/// The packets that each chain has dropped: down, up.
fn lost(lab: &Lab) -> [u64; 2] {
    let rules = lab.run(Place::Wsl, &["nft", "list", "table", "inet", "loss"]).unwrap().stdout;
    let counts: Vec<u64> = rules
        .split("counter packets ")
        .skip(1)
        .map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    counts.try_into().unwrap()
}

fn one_percent_lost(options: &[&str]) {
    let Some((lab, _tunnel)) = tunnelled_lab(options) else { return };
    let _server =
        python_server(&lab, Place::Internet, Script::Transfer.text(), &["serve", "5001"], 5001);
    let _echo =
        python_server(&lab, Place::Internet, Script::Crowd.text(), &["serve", "5002"], 5002);
    let loaded = lab.run(Place::Wsl, &["nft", LOSS]).unwrap();
    assert!(loaded.succeeded(), "{loaded:?}");
    let steps: [(&str, u64, u32); 4] = [
        ("upload", 16 * MIB, 1),
        ("download", 16 * MIB, 1),
        ("upload", 4 * MIB, 4),
        ("download", 4 * MIB, 4),
    ];
    for (how, bytes, streams) in steps {
        let before = lost(&lab);
        let done = transfer(&lab, 5001, how, (bytes, streams), 0);
        let [down, up] = lost(&lab);
        assert_eq!(
            done["exact"], true,
            "{how} over {streams} streams: {done}, lost {before:?} to {down}, {up}"
        );
    }
    let chat = python(&lab, Place::Wsl, Script::Crowd.text(), &["pingpong", SERVER, "5002", "400"]);
    assert!(chat.succeeded(), "{chat:?}");
    let [down, up] = lost(&lab);
    assert!(down > 0 && up > 0, "nothing was lost: {down} down, {up} up");
}

#[test]
fn a_hundredth_of_all_frames_lost_each_way_only_slows_transfers() {
    one_percent_lost(&[]);
}

#[test]
fn a_hundredth_of_all_frames_lost_each_way_only_slows_transfers_at_a_small_mtu() {
    one_percent_lost(&["--mtu", "1500"]);
}

#[test]
fn a_burst_that_overflows_the_queue_only_slows_uploads() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _server =
        python_server(&lab, Place::Internet, Script::Transfer.text(), &["serve", "5001"], 5001);
    let shorter =
        lab.run(Place::Wsl, &["ip", "link", "set", "underpass0", "txqueuelen", "4"]).unwrap();
    assert!(shorter.succeeded(), "{shorter:?}");
    let gateway = tunnel.engine();
    let dropped = || {
        let link = lab
            .run(Place::Wsl, &["ip", "-json", "-statistics", "link", "show", "underpass0"])
            .unwrap()
            .stdout;
        let link: serde_json::Value = serde_json::from_str(&link).unwrap();
        link[0]["stats64"]["tx"]["dropped"].as_u64().unwrap()
    };
    let sent = || tunnel.status()["bytes"]["up"].as_u64().unwrap();
    std::thread::scope(|scope| {
        let uploads = scope.spawn(|| transfer(&lab, 5001, "upload", (100 * MIB, 8), 0));
        for burst in 0..3 {
            let (before, from) = (dropped(), sent());
            assert!(
                until(PATIENCE, || sent() > from + 10 * MIB),
                "burst {burst}: no upload continues"
            );
            send_signal(gateway, "STOP");
            let overflowed = until(PATIENCE, || dropped() > before);
            send_signal(gateway, "CONT");
            assert!(overflowed, "burst {burst}: the queue took everything");
        }
        let done = uploads.join().unwrap();
        assert_eq!(done["exact"], true, "{done}");
    });
}
