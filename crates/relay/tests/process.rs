#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
//! The program itself: how it starts, and that it always ends.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use underpass_relay::limits::flows_below;
use wire::frame::VERSION;
use wire::limits::RELAY_DEAD_AFTER;
use wire::{Capabilities, Decoder, Frame, Hello};

fn relay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_underpass-relay"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("RUST_LOG");
    command
}

/// The exit code and the output on stderr. The child is killed if it does not end by itself.
fn end_of(mut child: Child, within: Duration) -> (Option<i32>, String) {
    let mut stderr = child.stderr.take().unwrap();
    let (said, end) = mpsc::channel();
    // The end of its stderr is the end of the process, and a channel allows a deadline.
    std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        said.send(text)
    });
    let text = end.recv_timeout(within);
    if text.is_err() {
        child.kill().unwrap();
    }
    (child.wait().unwrap().code(), text.expect("the relay did not end"))
}

#[test]
fn it_ends_well_when_its_input_ends() {
    let mut child = relay().spawn().unwrap();
    drop(child.stdin.take());
    assert_eq!(end_of(child, Duration::from_secs(10)), (Some(0), String::new()));
}

#[test]
fn it_takes_no_more_flows_than_its_limit_of_open_files_allows() {
    let program = env!("CARGO_BIN_EXE_underpass-relay");
    let mut command = Command::new("sh");
    // The soft limit is lower still, and is raised to the hard one.
    command.args(["-c", "ulimit -S -n 512; ulimit -H -n 1024; exec \"$0\"", program]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut decoder = Decoder::default();
    let n = child.stdout.as_mut().unwrap().read(decoder.space()).unwrap();
    decoder.filled(n);
    let Some(Frame::Hello(hello)) = decoder.next_frame().unwrap() else {
        panic!("the first frame is not a hello")
    };
    assert_eq!(hello.max_flows, flows_below(1024));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1024"));
    drop(child.stdin.take());
    assert_eq!(end_of(child, Duration::from_secs(10)), (Some(0), String::new()));
}

#[test]
fn it_ends_without_a_reader_of_its_output() {
    let mut child = relay().spawn().unwrap();
    drop(child.stdout.take());
    let (code, said) = end_of(child, Duration::from_secs(10));
    assert_eq!(code, Some(1));
    assert!(said.contains("nothing more can be written to the gateway"), "{said}");
}

#[test]
fn streams_that_are_not_pipes_are_an_error_that_says_so() {
    let child = relay().stdin(Stdio::null()).spawn().unwrap();
    let (code, said) = end_of(child, Duration::from_secs(10));
    assert_eq!(code, Some(1));
    assert!(said.contains("standard input must be a pipe or a socket from the gateway"), "{said}");
}

#[test]
fn probe_answers_once_in_json_and_ends() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let output =
        relay().args(["probe", "--resolve", "localhost", "--connect", &target]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let probe: wire::facts::HostProbe = serde_json::from_slice(&output.stdout).unwrap();
    assert!(probe.names[0].addresses.iter().any(|address| address == "127.0.0.1"), "{probe:?}");
    assert_eq!((&probe.connects[0].target, &probe.connects[0].failure), (&target, &None));
    assert!(probe.facts.system.starts_with("Linux "), "{probe:?}");
}

#[test]
fn a_variable_is_printed_as_json() {
    let value = "C:\\Users\\Anna Müller\\AppData\\Local";
    let said = |name: &str| {
        relay().args(["variable", name]).env("LOCALAPPDATA", value).output().unwrap().stdout
    };
    assert_eq!(serde_json::from_slice::<String>(&said("LOCALAPPDATA")).unwrap(), value);
    assert_eq!(said("NO_SUCH_VARIABLE"), b"null\n");
}

#[test]
fn unknown_arguments_are_a_usage_error() {
    let child = relay().arg("--nonsense").spawn().unwrap();
    assert_eq!(end_of(child, Duration::from_secs(10)).0, Some(2));
}

#[test]
fn a_gateway_of_another_version_is_named() {
    let mut child = relay().spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&hello(VERSION + 1)).unwrap();
    let stdin = child.stdin.take();
    let (code, said) = end_of(child, Duration::from_secs(10));
    drop(stdin);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("protocol version {}", VERSION + 1)), "{said}");
}

#[test]
fn it_ends_when_its_gateway_hangs_with_the_pipes_open() {
    let mut child = relay().spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&hello(VERSION)).unwrap();
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (code, said) = end_of(child, RELAY_DEAD_AFTER * 2);
    drop((stdin, stdout));
    assert_eq!(code, Some(1));
    assert!(said.contains("the gateway is gone"), "{said}");
}

fn hello(version: u16) -> Vec<u8> {
    let capabilities = Capabilities::default();
    let mut bytes = Vec::new();
    Frame::Hello(Hello { version, capabilities, max_flows: 1, max_binds: 1, build: "test".into() })
        .encode(&mut bytes);
    bytes
}

#[test]
fn only_the_relay_for_windows_knows_which_proxy_windows_uses() {
    let child = relay().args(["proxy", "https://me:s3cret@www.example.com/"]).spawn().unwrap();
    let (code, said) = end_of(child, Duration::from_secs(10));
    assert_eq!(code, Some(2));
    assert!(said.contains("only the relay for Windows") && !said.contains("s3cret"), "{said}");
}
