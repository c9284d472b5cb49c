//! The command's contract: options and configuration file, exit codes, output, and what it leaves
//! behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::built::programs;
use lab::relay::{Lack, Relay, lacks};
use lab::scene::{
    PATIENCE, Scratch, cut_off_lab, exec_relay, http_status, python, python_server, rules,
    tunnelled_lab, web_server,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Tunnel, until};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// The contract's own number: a stop takes at most this long.
const STOP: Duration = Duration::from_secs(2);

/// Serves a fixed text at the host's own 127.0.0.1.
const LOOPBACK_SERVER: &str = "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'host')
    def log_message(self, *args): pass
http.server.HTTPServer(('127.0.0.1', 80), Handler).serve_forever()
";

/// Ends a command that should have refused to run; returns its exit code and output.
fn refused(lab: &Lab, options: &[&str]) -> (Option<i32>, String) {
    let mut tunnel = Tunnel::launch_bare(lab, options);
    let code = tunnel.process().exit_code(PATIENCE);
    assert_eq!(tunnel.said(), "", "{options:?}: nothing on standard output");
    (code, tunnel.complained())
}

fn nothing_is_left(lab: &Lab, why: &str) {
    let links = lab.run(Place::Wsl, &["ip", "-o", "link"]).unwrap().stdout;
    assert_eq!(
        links.lines().filter(|line| !line.contains(" lo:") && !line.contains(" eth0@")).count(),
        0,
        "{why}: {links}"
    );
    assert!(!rules(lab).contains("3006"), "{why}: {}", rules(lab));
    for family in ["-4", "-6"] {
        for table in ["30062", "30063"] {
            let routes = lab
                .run(Place::Wsl, &["ip", family, "route", "show", "table", table])
                .unwrap()
                .stdout;
            assert_eq!(routes, "", "{why}");
        }
    }
    let relays = || {
        lab.run(Place::Windows, &["ip", "netns", "pids", &lab.namespace(Place::Windows)])
            .unwrap()
            .stdout
    };
    let relay_runs = || relays().lines().any(|pid| exe(pid).ends_with("underpass-relay"));
    assert!(until(STOP, || !relay_runs()), "{why}: a relay is left");
}

fn exe(pid: &str) -> String {
    fs::read_link(format!("/proc/{pid}/exe"))
        .map(|path| path.display().to_string())
        .unwrap_or_default()
}

#[test]
fn every_option_does_what_it_says_on_the_command_line_and_in_the_file() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let _loopback = python_server(&lab, Place::Windows, LOOPBACK_SERVER, &[], 80);
    let relay = |name: &str| {
        let words = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\nset --\n{}",
            scratch.path(name),
            exec_relay(&lab)
        );
        scratch.file(&format!("relay-{name}"), &words)
    };
    let by_options = relay("options");
    let by_file = relay("file");
    let options = [
        &[
            "--relay",
            &by_options,
            "--relay-arg",
            "--one",
            "--relay-arg",
            "two words",
            "--lanes",
            "2",
        ][..],
        &[
            "--tap",
            "tap7",
            "--mtu",
            "1400",
            "--subnet",
            "10.9.8.16/28",
            "--no-host-loopback",
            "--no-offload",
        ],
    ]
    .concat();
    let text = format!(
        "relay = '{by_file}'\nrelay-arg = ['--one', 'two words']\nlanes = 2\ntap = 'tap7'\nmtu = 1400\n\
         subnet = '10.9.8.16/28'\nno-host-loopback = true\nno-offload = true\n"
    );
    let config = scratch.file("config.toml", &text);
    for (name, options) in [("options", &options[..]), ("file", &["--config", &config])] {
        let mut tunnel = Tunnel::launch_bare(&lab, options);
        tunnel.wait_up();
        assert_eq!(scratch.read(name), "--one\ntwo words\n", "{name}: --relay and --relay-arg");
        assert!(
            tunnel.said().starts_with("underpass: up on tap7 (10.9.8."),
            "{name}: {}",
            tunnel.said()
        );
        let ready = || {
            tunnel.status()["relays"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|r| r["state"] == "ready")
                .count()
        };
        assert!(until(PATIENCE, || ready() == 2), "{name}: --lanes: {}", tunnel.status());
        let tap = &tunnel.status()["tap"];
        assert_eq!(
            (&tap["name"], &tap["mtu"], &tap["offload"]),
            (&"tap7".into(), &1400.into(), &false.into()),
            "{name}"
        );
        let link = lab.run(Place::Wsl, &["ip", "-4", "addr", "show", "tap7"]).unwrap().stdout;
        assert!(link.contains("mtu 1400 ") && link.contains("inet 10.9.8."), "{name}: {link}");
        let host = tap["ipv4"]["host"].as_str().unwrap().to_owned();
        assert_eq!(http_status(&lab, Place::Wsl, &host), "000", "{name}: --no-host-loopback");
        drop(tunnel);
    }
    // The command line takes precedence over the file. Options that it does not set keep the file's
    // values, and those in neither have their defaults.
    let config = scratch.file("over.toml", "lanes = 3\nmtu = 1400\ntap = 'tap8'\n");
    let tunnel = Tunnel::up(&lab, &["--config", &config, "--mtu", "9000"]);
    let status = tunnel.status();
    assert_eq!(status["relays"].as_array().unwrap().len(), 3);
    assert_eq!((&status["tap"]["name"], &status["tap"]["mtu"]), (&"tap8".into(), &9000.into()));
    let host = status["tap"]["ipv4"]["host"].as_str().unwrap().to_owned();
    assert_eq!(
        http_status(&lab, Place::Wsl, &host),
        "200",
        "the host's loopback is reached by default"
    );
}

#[test]
fn unknown_words_are_a_usage_error_that_names_them() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let unknown = scratch.file("unknown.toml", "lanes = 2\nlaness = 3\n");
    let mistyped = scratch.file("mistyped.toml", "lanes = 'two'\n");
    let broken = scratch.file("broken.toml", "lanes = \n");
    let missing = scratch.path("missing.toml");
    for (options, named) in [
        (&["--config", &unknown][..], "laness"),
        (&["--config", &mistyped], "lanes"),
        (&["--config", &broken], &broken),
        (&["--config", &missing], &missing),
        (&["--lanes", "0"], "--lanes"),
        (&["--lanes", "17"], "--lanes"),
        (&["--lanes", "two"], "--lanes"),
        (&["--mtu", "1279"], "--mtu"),
        (&["--mtu", "65521"], "--mtu"),
        (&["--subnet", "10.0.0.0/24"], "--subnet"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let (code, said) = refused(&lab, options);
        assert_eq!(code, Some(2), "{options:?}: {said}");
        assert!(said.contains(named), "{options:?} must be named: {said}");
    }
    let words = [programs().join("underpass").display().to_string()];
    assert_eq!(lab.run(Place::Wsl, &[&words[0]]).unwrap().code, Some(2), "no command at all");
    assert_eq!(lab.run(Place::Wsl, &[&words[0], "no-such-command"]).unwrap().code, Some(2));
    let version = lab.run(Place::Wsl, &[&words[0], "--version"]).unwrap();
    assert!(version.succeeded() && version.stdout.starts_with("underpass "), "{version:?}");
    nothing_is_left(&lab, "usage errors");
}

#[test]
fn a_password_that_other_users_can_read_is_warned_of() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let config = scratch.file("via.toml", "via = 'http://me:s3cret@proxy.test:3128'\n");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    // After a usage error it ends before it does anything.
    let said = |options: &[&str]| refused(&lab, &[options, &["--lanes", "0"]].concat()).1;
    for (bits, warns) in [(0o600, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&config, mode(bits)).unwrap();
        let said = said(&["--config", &config]);
        assert_eq!(said.contains(&format!("run `chmod 600 {config}`")), warns, "{bits:o} {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let given = said(&["--via", "http://me:s3cret@proxy.test:3128"]);
    assert!(given.contains("every user of this VM can read the password in --via"), "{given}");
    assert!(given.contains("UNDERPASS_VIA") && !given.contains("s3cret"), "{given}");
    let without = said(&["--via", "http://proxy.test:3128"]);
    assert!(!without.contains("password"), "{without}");
}

#[test]
fn a_relay_that_cannot_be_started_ends_it_with_a_clear_message() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let not_executable = scratch.file("data", "x");
    fs::set_permissions(&not_executable, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    let missing = scratch.path("missing");
    for (relay, said_of_it) in [
        (&missing, "was not found: give its path with --relay"),
        (&not_executable, "is not executable"),
    ] {
        let (code, said) = refused(&lab, &["--relay", relay]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(relay.as_str()) && said.contains(said_of_it), "{said}");
        nothing_is_left(&lab, relay);
    }
    let (code, said) = refused(&lab, &["--relay", "no-such-relay-anywhere"]);
    assert_eq!(
        (code, said.contains("no-such-relay-anywhere was not found")),
        (Some(1), true),
        "{said}"
    );
}

#[test]
fn a_relay_that_ends_at_once_is_tried_again_ever_more_slowly_and_its_last_words_are_shown() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let words = format!(
        "#!/bin/sh\nif [ -e {} ]; then {}fi\ndate +%s.%N >> {}\necho the licence has run out >&2\nexit 7\n",
        scratch.path("well"),
        exec_relay(&lab),
        scratch.path("starts"),
    );
    let relay = scratch.file("relay", &words);
    let mut tunnel = Tunnel::launch_bare(&lab, &["--relay", &relay]);
    let starts = || {
        scratch.read("starts").lines().filter_map(|line| line.parse().ok()).collect::<Vec<f64>>()
    };
    assert!(until(PATIENCE, || starts().len() >= 7), "it keeps trying: {:?}", starts());
    let gaps: Vec<f64> = starts().windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The first restart is immediate; then the waits double from 0.1 s. A loaded machine makes gaps
    // longer, never shorter.
    for (gap, least) in gaps[1..].iter().zip([0.1, 0.2, 0.4, 0.8, 1.6]) {
        assert!((least..least + 3.0).contains(gap), "waits of {gaps:?}");
    }
    assert!(tunnel.process().is_running());
    let log = tunnel.complained();
    assert!(log.contains("the licence has run out") && log.contains("exit status: 7"), "{log}");
    let status = tunnel.status();
    assert_eq!(status["state"], "starting", "{status}");
    let last_error = status["relays"][0]["last_error"].as_str().unwrap();
    assert!(
        last_error.contains("the licence has run out") && last_error.contains("exit status: 7"),
        "{last_error}"
    );
    assert!(status["relays"][0]["restarts"].as_u64().unwrap() >= 5, "{status}");
    let text = tunnel.command(&["status"]).unwrap().stdout;
    assert!(text.contains("the licence has run out"), "{text}");
    assert_eq!(tunnel.said(), "", "it is not up");
    let _ = scratch.file("well", "");
    tunnel.wait_up();
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(tunnel.process().exit_code(STOP), Some(0));
}

#[test]
fn every_signal_to_stop_ends_it_within_2_s_in_any_state_and_leaves_nothing() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let _web = web_server(&lab);
    for signal in ["TERM", "INT", "HUP"] {
        let mut tunnel = Tunnel::up(&lab, &["--lanes", "2"]);
        // A connection is open and transfers.
        let hold =
            "import socket, sys, time; s = socket.create_connection((sys.argv[1], 80)); s.recv(1)";
        let client = lab.start(Place::Wsl, &["python3", "-c", hold, SERVER]).unwrap();
        assert!(until(PATIENCE, || tunnel.status()["flows"]["tcp"] == 1), "{}", tunnel.status());
        send_signal(tunnel.process().pid(), signal);
        assert_eq!(tunnel.process().exit_code(STOP), Some(0), "{signal}: {}", tunnel.complained());
        nothing_is_left(&lab, signal);
        assert_eq!(
            fs::read_dir(tunnel.runtime_dir()).unwrap().count(),
            0,
            "{signal}: lock and socket are gone"
        );
        drop(client);
    }
    // A relay that hangs, and one that never answers.
    let mut tunnel = Tunnel::up(&lab, &[]);
    for relay in tunnel.relays() {
        send_signal(relay, "STOP");
    }
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(tunnel.process().exit_code(STOP), Some(0), "its relay hangs");
    nothing_is_left(&lab, "its relay hangs");
    let mute = scratch.file("mute", "#!/bin/sh\nexec tail -f /dev/null\n");
    let mut tunnel = Tunnel::launch_bare(&lab, &["--relay", &mute]);
    assert!(until(PATIENCE, || tunnel.command(&["status"]).unwrap().succeeded()));
    send_signal(tunnel.process().pid(), "INT");
    assert_eq!(tunnel.process().exit_code(STOP), Some(0), "its relay is mute");
    nothing_is_left(&lab, "its relay is mute");
}

#[test]
fn a_second_one_names_the_running_process_and_harms_nothing() {
    let Some((lab, mut first)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    let before = (rules(&lab), first.relays());
    let mut second = first.launch_again(&lab, &["--tap", "other0"]);
    assert_eq!(second.process().exit_code(PATIENCE), Some(1));
    let pid = first.process().pid();
    assert!(
        second.complained().contains(&format!("runs already, as process {pid}")),
        "{}",
        second.complained()
    );
    assert_eq!(second.said(), "");
    assert_eq!((rules(&lab), first.relays()), before);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    // In another runtime directory the device is in use.
    let mut other = Tunnel::launch(&lab, &[]);
    assert_eq!(other.process().exit_code(PATIENCE), Some(1));
    assert!(other.complained().contains("--tap"), "{}", other.complained());
    assert_eq!((rules(&lab), http_status(&lab, Place::Wsl, SERVER)), (before.0, "200".to_owned()));
}

#[test]
fn status_shows_everything_while_it_runs_and_a_clear_sentence_otherwise() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&["--lanes", "2"]) else { return };
    let _web = web_server(&lab);
    let dns = lab.start_nat_dns().unwrap();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    let _ = lab.run(Place::Wsl, &["ping", "-c1", "-W2", SERVER]).unwrap();
    let _ = lab
        .run(Place::Wsl, &["dig", "+time=2", "+tries=1", "@172.28.48.1", "www.lab.test"])
        .unwrap();
    // A connection stays open, and a datagram was sent.
    let client = "
import socket, sys
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b'x', (sys.argv[1], 9))
t = socket.create_connection((sys.argv[1], 80)); t.recv(1)";
    let client = lab.start(Place::Wsl, &["python3", "-c", client, SERVER]).unwrap();
    assert!(until(PATIENCE, || tunnel.status()["flows"]["tcp"] == 1));
    // The tunnel is up with its first relay; the others may still be starting.
    let is_ready = |relay: &Value| relay["state"] == "ready";
    assert!(until(PATIENCE, || tunnel.status()["relays"].as_array().unwrap().iter().all(is_ready)));
    let status = tunnel.status();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let expected = [
        "bytes",
        "captured",
        "direct",
        "dns_answers",
        "drops",
        "flows",
        "limits",
        "mirrored",
        "mode",
        "network_error",
        "packets",
        "pid",
        "privileges",
        "relays",
        "state",
        "tap",
        "totals",
        "uptime_s",
        "version",
    ];
    assert_eq!(keys(&status), expected);
    assert_eq!((&status["state"], &status["mode"]), (&"up".into(), &"nat".into()));
    assert_eq!(status["pid"], tunnel.process().pid());
    assert_eq!(status["network_error"], Value::Null);
    assert_eq!(status["captured"], serde_json::json!(["172.28.48.1"]));
    assert_eq!(status["mirrored"], serde_json::json!([]));
    let direct = status["direct"].as_array().unwrap();
    assert!(
        direct.iter().any(|one| one["prefix"].as_str().unwrap().starts_with("172.28.48.0/")),
        "{direct:?}"
    );
    assert!(direct.iter().all(|one| keys(one) == ["device", "prefix"]), "{direct:?}");
    assert!(status["uptime_s"].as_u64().unwrap() < 120);
    let tap = &status["tap"];
    assert_eq!(keys(tap), ["ipv4", "ipv6", "mtu", "name", "offload", "way_mtu"]);
    for family in ["ipv4", "ipv6"] {
        assert_eq!(keys(&tap[family]), ["gateway", "host", "prefix", "vm"]);
    }
    let at = lab.run(Place::Wsl, &["ip", "addr", "show", "underpass0"]).unwrap().stdout;
    for family in ["ipv4", "ipv6"] {
        let own = format!("{}/{}", tap[family]["vm"].as_str().unwrap(), tap[family]["prefix"]);
        assert!(at.contains(&own), "{own}: {at}");
    }
    let relays = status["relays"].as_array().unwrap();
    assert_eq!(relays.len(), 2);
    for (lane, relay) in relays.iter().enumerate() {
        assert_eq!(
            keys(relay),
            ["age_s", "can", "lane", "last_error", "link", "pid", "restarts", "state", "version"]
        );
        assert_eq!(
            (&relay["lane"], &relay["restarts"], &relay["state"]),
            (&lane.into(), &0.into(), &"ready".into())
        );
        assert!(exe(&relay["pid"].to_string()).ends_with(Relay::chosen().program()), "{relay}");
        assert!(relay["age_s"].as_u64().unwrap() < 120 && relay["last_error"].is_null());
        assert!(relay["version"].as_str().unwrap().contains("0.1"), "{relay}");
        let abilities = ["udp", "dns", "ping", "changes"]
            .into_iter()
            .chain((!lacks(Lack::Ping6)).then_some("ping6"));
        for ability in abilities {
            assert!(relay["can"].as_array().unwrap().contains(&ability.into()), "{relay}");
        }
    }
    assert_eq!(
        keys(&status["flows"]),
        ["dns", "echo", "forgotten", "tcp", "tcp_pending", "time_wait", "udp"]
    );
    assert_eq!(status["flows"]["udp"], 1);
    let totals = &status["totals"];
    assert_eq!(
        (&totals["tcp"], &totals["udp"], &totals["dns"], &totals["echo"]),
        (&2.into(), &1.into(), &1.into(), &1.into())
    );
    for key in ["bytes", "packets"] {
        assert!(
            status[key]["up"].as_u64().unwrap() > 0 && status[key]["down"].as_u64().unwrap() > 0,
            "{status}"
        );
    }
    let limits = status["limits"].as_array().unwrap();
    for name in ["tcp", "tcp-pending", "udp", "questions", "dns-connections"] {
        let limit = limits.iter().find(|limit| limit["name"] == name).unwrap();
        assert!(limit["now"].as_u64().unwrap() <= limit["max"].as_u64().unwrap(), "{limit}");
    }
    assert_eq!(limits.iter().find(|limit| limit["name"] == "tcp").unwrap()["now"], 1);
    let text = tunnel.command(&["status"]).unwrap();
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> =
        text.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for subject in [
        "state",
        "mode",
        "tap",
        "addresses",
        "captured",
        "relay",
        "flows",
        "answers",
        "bytes",
        "drops",
        "limits",
    ] {
        assert!(lines.contains(&subject), "{subject}: {}", text.stdout);
    }
    drop((client, dns));
    for signal in ["TERM", "KILL"] {
        send_signal(tunnel.process().pid(), signal);
        let _ = tunnel.process().exit_code(STOP);
        for words in [&["status"][..], &["status", "--json"]] {
            let finished = tunnel.command(words).unwrap();
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{signal}");
            let sentence = "underpass: underpass is not running: start it with `underpass up`\n";
            assert_eq!(finished.stderr, sentence, "{signal}");
        }
        if signal == "TERM" {
            tunnel = Tunnel::up(&lab, &[]);
        }
    }
}

#[test]
fn logs_go_to_standard_error_and_standard_output_has_one_line() {
    let Some((lab, quiet)) = tunnelled_lab(&[]) else { return };
    let one_line = |tunnel: &Tunnel| {
        let said = tunnel.said();
        assert!(said.starts_with("underpass: up on ") && said.matches('\n').count() == 1, "{said}");
    };
    one_line(&quiet);
    assert_eq!(quiet.complained(), "", "without a fault it prints nothing");
    drop(quiet);
    for (option, level, beyond) in [("-v", " INFO ", "DEBUG"), ("-vv", "DEBUG", "TRACE")] {
        let tunnel = Tunnel::up(&lab, &[option]);
        one_line(&tunnel);
        let log = tunnel.complained();
        assert!(log.contains(level) && !log.contains(beyond), "{option}: {log}");
        assert!(!log.contains('\x1b'), "colours are for terminals: {log}");
    }
    // RUST_LOG takes precedence over -v; on a terminal there are colours.
    let program = programs().join("underpass").display().to_string();
    let scratch = Scratch::new();
    let run = format!("UNDERPASS_RUNTIME_DIR={}", scratch.path("run"));
    let relay = scratch.file("relay", &format!("#!/bin/sh\n{}", exec_relay(&lab)));
    let on_a_terminal = "
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
text = b''
while b'underpass: up' not in text:
    text += os.read(terminal, 65536)
os.kill(pid, signal.SIGTERM)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.write(text.decode())
sys.exit(code)";
    let base = ["env", &run, "RUST_LOG=underpass_gateway=trace,gateway=trace"];
    let rest = ["python3", "-c", on_a_terminal, &program, "up", "--relay", &relay];
    let finished = lab.run(Place::Wsl, &[&base[..], &rest[..]].concat()).unwrap();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("\x1b[") && finished.stdout.contains("DEBUG"), "{finished:?}");
    let silent = [
        "env",
        &run,
        "RUST_LOG=off",
        "python3",
        "-c",
        on_a_terminal,
        &program,
        "-vvv",
        "up",
        "--relay",
        &relay,
    ];
    let finished = lab.run(Place::Wsl, &silent).unwrap();
    assert!(
        finished.succeeded() && finished.stdout.trim_end().lines().count() == 1,
        "RUST_LOG=off: {finished:?}"
    );
}

#[test]
fn the_two_programs_need_no_other_file_of_the_checkout() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    let scratch = Scratch::new();
    for name in ["underpass", "underpass-relay"] {
        fs::copy(programs().join(name), scratch.path(name)).unwrap();
    }
    let checkout =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    // In a separate mount namespace where the checkout is an empty folder; the working directory is
    // the root.
    let script = format!(
        "mount --make-rprivate / && mount -t tmpfs none {checkout} && [ -z \"$(ls {checkout})\" ] && cd / && \
         exec env -i UNDERPASS_RUNTIME_DIR={run} PATH=/usr/bin:/bin:/usr/sbin:/sbin {underpass} up \
         --relay ip --relay-arg netns --relay-arg exec --relay-arg {windows} --relay-arg {relay}",
        checkout = checkout.display(),
        run = scratch.path("run"),
        underpass = scratch.path("underpass"),
        windows = lab.namespace(Place::Windows),
        relay = scratch.path("underpass-relay"),
    );
    let folder = scratch.path("logs");
    let words = ["unshare", "--mount", "sh", "-c", &script];
    let process = lab.start_logged(Place::Wsl, folder.as_ref(), &words).unwrap();
    let up = until(PATIENCE, || process.stdout().contains("underpass: up"));
    assert!(up, "{}{}", process.stdout(), process.stderr());
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    drop(process);
    // Without --relay it uses the relay beside itself; that one runs in the VM here, which is
    // enough to see it start.
    let script = format!(
        "cd / && exec env -i UNDERPASS_RUNTIME_DIR={} {} up",
        scratch.path("run"),
        scratch.path("underpass")
    );
    let process = lab.start_logged(Place::Wsl, folder.as_ref(), &["sh", "-c", &script]).unwrap();
    let beside = scratch.path("underpass-relay");
    let pids = || {
        lab.run(Place::Wsl, &["ip", "netns", "pids", &lab.namespace(Place::Wsl)]).unwrap().stdout
    };
    let started = until(PATIENCE, || pids().lines().any(|pid| exe(pid) == beside));
    assert!(started, "{}{}", process.stdout(), process.stderr());
}

#[test]
fn the_relay_logs_to_standard_error_and_ends_with_its_input() {
    let Some(lab) = cut_off_lab() else { return };
    let relay = programs().join("underpass-relay").display().to_string();
    let program = "
import subprocess, sys, time
relay = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
hello = relay.stdout.read(16)
assert hello[:4] == bytes([1, hello[1], 0, 0]) and hello[8:] == b'UNDERPAS', hello
started = time.monotonic()
relay.stdin.close()
code = relay.wait(10)
print(code, time.monotonic() - started < 2)";
    let finished = python(&lab, Place::Windows, program, &[&relay]);
    assert_eq!(finished.stdout.trim(), "0 True", "{finished:?}");
}
