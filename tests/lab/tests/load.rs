//! Many connections, much data and readers that stop: everything arrives, no connection waits for
//! another, and nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::relay::{Lack, Relay, lacks};
use lab::scene::{
    Script, cpu_time, memory_kib, memory_together_kib, product, python, python_server, transfer,
    tunnelled_lab,
};
use lab::{Lab, Place, Process, Tunnel, until};
use std::fs;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Work of seconds on an idle machine may take a minute on a loaded one.
const LONG: Duration = Duration::from_secs(90);

/// `crowd.py hold` in the VM, with its connections open.
fn crowd(lab: &Lab, count: u32, door: u16) -> Process {
    let (count, door) = (count.to_string(), door.to_string());
    let words = ["python3", "-c", Script::Crowd.text(), "hold", SERVER, "5002", &count, &door];
    let mut crowd = lab.start(Place::Wsl, &words).unwrap();
    let filter = format!("sport = :{door}");
    let listens =
        || !lab.run(Place::Wsl, &["ss", "-Htln", &filter]).unwrap().stdout.trim().is_empty();
    assert!(
        until(LONG, || listens() || !crowd.is_running()),
        "{count} connections do not get open"
    );
    assert!(crowd.is_running(), "not all of {count} connections could be made");
    crowd
}

/// How many connections of a crowd echoed a byte when they were new, and how many do now.
fn alive(lab: &Lab, door: u16) -> String {
    let ask = "import socket,sys; print(socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(100).decode(), end='')";
    python(lab, Place::Wsl, ask, &[&door.to_string()]).stdout
}

fn echo_server(lab: &Lab) -> Process {
    python_server(lab, Place::Internet, Script::Crowd.text(), &["serve", "5002"], 5002)
}

fn transfer_server(lab: &Lab) -> Process {
    python_server(lab, Place::Internet, Script::Transfer.text(), &["serve", "5001"], 5001)
}

fn flows(tunnel: &Tunnel, kind: &str) -> u64 {
    tunnel.status()["flows"][kind].as_u64().unwrap()
}

/// The median round trip of a byte in microseconds, and the CPU time of a process meanwhile.
fn pingpong(lab: &Lab, rounds: u32, pid: u32) -> (f64, Duration) {
    let before = cpu_time(pid);
    let done = python(
        lab,
        Place::Wsl,
        Script::Crowd.text(),
        &["pingpong", SERVER, "5002", &rounds.to_string()],
    );
    let spent = cpu_time(pid) - before;
    (done.stdout.trim().parse().unwrap_or_else(|error| panic!("{error}: {done:?}")), spent)
}

/// The smallest of several measurements: other programs of the machine only ever add.
fn least<T: PartialOrd>(looks: impl Iterator<Item = T>) -> T {
    looks.reduce(|least, look| if look < least { look } else { least }).unwrap()
}

#[test]
fn four_streams_of_up_to_a_gibibyte_come_back_byte_exact() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = transfer_server(&lab);
    // With interop a gibibyte takes as long as several without it.
    let each = if Relay::chosen() == Relay::Linux { 1024 * MIB } else { 256 * MIB };
    let done = transfer(&lab, 5001, "echo", (each, 4), 0);
    assert_eq!(done["exact"], true, "{done}");
    let bytes = &tunnel.status()["bytes"];
    assert!(
        bytes["up"].as_u64() >= Some(4 * each) && bytes["down"].as_u64() >= Some(4 * each),
        "{bytes}"
    );
}

#[test]
fn nothing_is_left_of_thousands_of_connections_that_the_server_closed_first() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server =
        python_server(&lab, Place::Internet, Script::Crowd.text(), &["closing", "5003"], 5003);
    let visit = |count: u32| {
        let count = count.to_string();
        python(&lab, Place::Wsl, Script::Crowd.text(), &["visit", SERVER, "5003", &count]).stdout
    };
    let pids = product(&tunnel);
    let descriptors = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let over = || flows(&tunnel, "tcp") == 0 && flows(&tunnel, "time_wait") == 0;
    // Tables and the C library's heap have their full size from here on.
    assert_eq!(visit(500).trim(), "500");
    assert!(until(LONG, over));
    let before: Vec<(usize, u64)> =
        pids.iter().map(|pid| (descriptors(pid), memory_kib(*pid))).collect();
    // With interop each takes several times as long.
    let count = if Relay::chosen() == Relay::Linux { 6000 } else { 2000 };
    assert_eq!(visit(count).trim(), count.to_string(), "each got its byte and its end");
    assert!(flows(&tunnel, "time_wait") > 0, "the gateway answers late segments for them");
    assert!(until(LONG, over), "{}", tunnel.status()["flows"]);
    assert!(tunnel.status()["totals"]["tcp"].as_u64() >= Some(u64::from(count) + 500));
    for (pid, (files, memory)) in pids.iter().zip(before) {
        assert!(
            until(LONG, || descriptors(pid) <= files),
            "{files} descriptors became {}",
            descriptors(pid)
        );
        // Not a KiB for each.
        let now = memory_kib(*pid);
        assert!(now < memory + 5 * 1024, "{memory} KiB became {now}");
    }
}

/// Bytes of a transfer whose reader stops, and the number of them: more than all buffers on the
/// path of a flow hold, those of the four kernels included.
const STALLED: (u64, u32) = (48 * MIB, 8);

#[test]
fn readers_that_stop_for_a_minute_go_on() {
    // The stack's time-outs are the same with every relay.
    if Relay::chosen() != Relay::Linux {
        return;
    }
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = transfer_server(&lab);
    std::thread::scope(|scope| {
        // Longer than any time-out of a segment, so that one would show.
        let stalled = ["upload", "download"]
            .map(|how| scope.spawn(|| transfer(&lab, 5001, how, STALLED, 60)));
        for transfer in stalled {
            let done = transfer.join().unwrap();
            assert_eq!(done["exact"], true, "{done}");
            // Without the window update the sender would probe after its next doubled wait: 40 s.
            assert!(done["gap"].as_f64() < Some(15.0), "the window was not opened: {done}");
        }
    });
}

#[test]
fn readers_that_stop_stall_only_themselves_and_go_on_at_once() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = transfer_server(&lab);
    let seconds = |how| {
        let done = transfer(&lab, 5001, how, (64 * MIB, 1), 0);
        assert_eq!(done["exact"], true, "{how}: {done}");
        done["seconds"].as_f64().unwrap()
    };
    let pids = product(&tunnel);
    let alone = [seconds("upload"), seconds("download")];
    std::thread::scope(|scope| {
        let stalled = ["upload", "download"]
            .map(|how| scope.spawn(|| transfer(&lab, 5001, how, STALLED, 20)));
        let moved = || {
            let bytes = &tunnel.status()["bytes"];
            (bytes["up"].as_u64().unwrap(), bytes["down"].as_u64().unwrap())
        };
        let start = moved();
        let filled = || moved().0 > start.0 + 4 * MIB && moved().1 > start.1 + 4 * MIB;
        assert!(until(LONG, filled), "the stalled transfers have not begun");
        let beside = [seconds("upload"), seconds("download")];
        let memory = memory_together_kib(&pids);
        assert!(
            stalled.iter().all(|transfer| !transfer.is_finished()),
            "too slow: the readers had continued already; {alone:?} s alone, {beside:?} s beside"
        );
        for (alone, beside) in alone.iter().zip(beside) {
            assert!(
                beside < alone * 3.0 + 1.0,
                "{alone} s alone, {beside} s beside stalled readers"
            );
        }
        // 16 flows with a mebibyte in the gateway and one in the relay, and the programs' own
        // memory.
        assert!(memory < 64 * 1024, "{memory} KiB");
        for transfer in stalled {
            let done = transfer.join().unwrap();
            assert_eq!(done["exact"], true, "{done}");
            // Without the window update the sender would probe after its next doubled wait: 2.6 s
            // or more.
            assert!(done["gap"].as_f64() < Some(2.0), "the window was not opened at once: {done}");
        }
    });
}

#[test]
fn ten_thousand_connections_at_once_stay_alive_and_a_packet_costs_the_same_beside_them() {
    if lacks(Lack::Crowds) {
        return;
    }
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = echo_server(&lab);
    let pids = product(&tunnel);
    let gateway = pids[0];
    pingpong(&lab, 2000, gateway);
    let memory = || memory_together_kib(&pids);
    let rest = memory();
    let cost = |_| pingpong(&lab, 2000, gateway).1;
    let alone = least((0..3).map(cost));
    let crowd = crowd(&lab, 10_000, 7001);
    assert!(flows(&tunnel, "tcp") >= 10_000, "{}", tunnel.status()["flows"]);
    let beside = least((0..3).map(cost));
    assert!(
        beside < alone.mul_f64(1.5),
        "2,000 bytes there and back cost {alone:?} alone, {beside:?} beside 10,000"
    );
    assert!(until(LONG, || memory() < 64 * 1024), "{} KiB at 10,000 connections", memory());
    assert_eq!(alive(&lab, 7001), "10000 10000", "echoes when new, and at the end");
    drop(crowd);
    // Code that did not run before is in memory now, too.
    let given_back = until(Duration::from_secs(60), || memory() < rest + rest / 4);
    assert!(given_back, "{} KiB a minute after 10,000 connections, {rest} before", memory());
}

#[test]
fn two_thousand_idle_connections_cost_little_memory_and_no_latency() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (_server, _transfers) = (echo_server(&lab), transfer_server(&lab));
    let pids = product(&tunnel);
    let memory = || memory_together_kib(&pids);
    let latency = |_| pingpong(&lab, 500, pids[0]).0;
    let alone = least((0..3).map(latency));
    let _crowd = crowd(&lab, 2000, 7001);
    // When they have been idle for some seconds.
    assert!(until(LONG, || memory() < 24 * 1024), "{} KiB at 2,000 connections", memory());
    let beside = least((0..5).map(latency));
    assert!(beside < 2.0 * alone, "{alone} us alone, {beside} us beside 2,000 connections");
    for how in ["upload", "download"] {
        let done = transfer(&lab, 5001, how, (64 * MIB, 8), 0);
        assert_eq!(done["exact"], true, "{how}: {done}");
    }
    assert!(until(LONG, || memory() < 40 * 1024), "{} KiB after much data beside them", memory());
    assert_eq!(alive(&lab, 7001), "2000 2000");
}
