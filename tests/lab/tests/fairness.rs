//! Attacks by an unprivileged user on the others, by taking as much of the tunnel as possible. Each
//! test is an attack that once cut off all users: user 65534 makes it, and root measures meanwhile.
//! `docs/security.md` lists the guarantees.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::relay::{Lack, Relay, lacks};
use lab::scene::tunnelled_lab_with_dns;
use lab::scene::{
    PATIENCE, Scratch, Script, UDP_SILENT, UDP_WHO, must, python, python_server, udp_server,
};
use lab::{Lab, Place, Process, Tunnel, until};
use serde_json::Value;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// An address on the internet that drops packets.
const BLACK_HOLE: &str = "203.0.113.200";

/// A server that takes every connection and never closes one.
const SERVE: &str = "
import resource, select, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
ports = [*range(9001, 9009), 9]
listen = lambda port: socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
listeners, kept = [listen(port) for port in ports], []
while True: kept += [listener.accept()[0] for listener in select.select(listeners, [], [])[0]]
";

/// The limits of other users' connects and questions (milliseconds, 99 of 100).
const MOST: (f64, f64) = (100.0, 200.0);

/// The time after an attack's end until everything is as before.
const BACK_WITHIN: Duration = Duration::from_secs(2);

struct Scene {
    lab: Lab,
    scratch: Scratch,
    _servers: [Process; 2],
    tunnel: Tunnel,
}

impl Scene {
    fn new() -> Option<Self> {
        if Relay::chosen() != Relay::Linux || lacks(Lack::Crowds) {
            return None;
        }
        let (lab, dns, tunnel) = tunnelled_lab_with_dns(&[])?;
        must(&lab, Place::Router, &format!("ip route add blackhole {BLACK_HOLE}"));
        let pings = lab
            .run(
                Place::Wsl,
                &["sh", "-c", "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range"],
            )
            .unwrap();
        assert!(pings.succeeded(), "{pings:?}");
        let server = python_server(&lab, Place::Internet, SERVE, &[], 9);
        Some(Self { lab, scratch: Scratch::new(), _servers: [dns, server], tunnel })
    }

    fn nameserver(&self) -> String {
        self.tunnel.status()["tap"]["ipv4"]["gateway"].as_str().unwrap().to_owned()
    }

    /// Starts an attack as user 65534, and waits until it holds as much as it can.
    fn attack(&self, words: &[&str]) -> Process {
        let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
        let all = [&user[..], &["/usr/bin/python3", "-c", Script::Fairness.text()], words].concat();
        let folder = self.scratch.path(words[0]);
        let mut attack = self.lab.start_logged(Place::Wsl, folder.as_ref(), &all).unwrap();
        let ready =
            until(3 * PATIENCE, || attack.stdout().contains("ready") || !attack.is_running());
        assert!(ready && attack.is_running(), "{words:?}: {}{}", attack.stdout(), attack.stderr());
        attack
    }

    fn measure(&self, seconds: &str, pipe: &str) -> Value {
        let words = ["measure", SERVER, "9", &self.nameserver(), seconds, pipe];
        let done = python(&self.lab, Place::Wsl, Script::Fairness.text(), &words);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }

    /// The others' measurements during an attack, and that everything is as before soon after it.
    fn hold(&self, attack: Process, pipe: &str) {
        let beside = self.measure("5", pipe);
        drop(attack);
        let end = now();
        let mut after = Value::Null;
        let back = until(PATIENCE, || {
            after = self.measure("0.3", pipe);
            is_well(&after)
        });
        let took = end.elapsed();
        // The figures in `docs/security.md`.
        let _ = writeln!(
            std::io::stderr(),
            "beside: {beside}\nafter {took:?}: {after}\n{}",
            self.tunnel.status()["drops"]
        );
        assert!(is_well(&beside), "beside the attack: {beside}\n{}", self.tunnel.status());
        assert!(back && took < BACK_WITHIN, "after {took:?}: {after}");
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}

/// No refusal, no delay.
fn is_well(measured: &Value) -> bool {
    let within = |kind: &str, most: f64| {
        measured[kind]["failed"] == 0
            && measured[kind]["p99_ms"].as_f64().is_some_and(|p99| p99 < most)
    };
    within("connect", MOST.0) && within("dns", MOST.1)
}

#[test]
fn connects_into_a_black_hole_leave_room_for_others() {
    let Some(scene) = Scene::new() else { return };
    scene.hold(scene.attack(&["black-hole", BLACK_HOLE, "4300"]), "udp");
}

#[test]
fn idle_connections_give_way_to_others() {
    let Some(scene) = Scene::new() else { return };
    scene.hold(scene.attack(&["idle", SERVER, "12800"]), "udp");
}

#[test]
fn connections_that_their_app_closed_give_way_first() {
    let Some(scene) = Scene::new() else { return };
    scene.hold(scene.attack(&["closes", SERVER, "14000"]), "udp");
}

#[test]
fn questions_to_a_silent_zone_leave_room_for_others() {
    let Some(scene) = Scene::new() else { return };
    scene.hold(scene.attack(&["silent", &scene.nameserver(), "600"]), "udp");
}

#[test]
fn idle_connections_to_the_nameserver_give_way_to_others() {
    let Some(scene) = Scene::new() else { return };
    scene.hold(scene.attack(&["dns-tcp", &scene.nameserver(), "600"]), "tcp");
}

#[test]
fn unanswered_pings_leave_room_for_questions() {
    let Some(scene) = Scene::new() else { return };
    scene.hold(scene.attack(&["ping", BLACK_HOLE, "9000"]), "udp");
}

#[test]
fn thousands_of_udp_sockets_change_no_other_users_mapping() {
    let Some(scene) = Scene::new() else { return };
    let _udp = udp_server(&scene.lab);
    let words = ["python3", "-c", Script::Fairness.text(), "keep", SERVER, &UDP_WHO.to_string()];
    let keep =
        scene.lab.start_logged(Place::Wsl, scene.scratch.path("keep").as_ref(), &words).unwrap();
    assert!(
        until(PATIENCE, || keep.stdout().lines().count() > 2),
        "{}{}",
        keep.stdout(),
        keep.stderr()
    );
    let attack = scene.attack(&["udp", SERVER, &UDP_SILENT.to_string(), "2100"]);
    let before = keep.stdout().lines().count();
    assert!(until(PATIENCE, || keep.stdout().lines().count() > before + 3), "{}", keep.stdout());
    scene.hold(attack, "udp");
    let seen = keep.stdout();
    let changes =
        seen.lines().collect::<Vec<_>>().windows(2).filter(|two| two[0] != two[1]).count();
    assert_eq!(changes, 0, "{seen}");
}
