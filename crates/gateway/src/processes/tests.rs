//! Tries what a confined process must not do. A test process cannot continue after being confined,
//! so each attempt runs this test program again, confined as the role in its environment.

use super::{Role, confine};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

const ROLE: &str = "UNDERPASS_TEST_ROLE";
const ATTEMPT: &str = "UNDERPASS_TEST_ATTEMPT";
const SCRATCH: &str = "UNDERPASS_TEST_SCRATCH";

/// The exit codes of an attempt that succeeded, and of one that an error refused.
const DONE: i32 = 50;
const REFUSED: i32 = 51;

type Attempt = fn() -> io::Result<()>;

/// A folder where root and every user can write: a refusal there comes from Landlock.
fn scratch() -> std::path::PathBuf {
    let own = || std::env::temp_dir().join(format!("underpass-confined-{}", std::process::id()));
    std::env::var_os(SCRATCH).map_or_else(own, Into::into)
}

const ATTEMPTS: [(&str, Attempt); 9] = [
    ("nothing", || Ok(())),
    ("start a program", || Command::new("/bin/true").status().map(drop)),
    ("open a socket to the internet", || UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("make a file", || File::create(scratch()).map(drop)),
    ("write to a file", || OpenOptions::new().write(true).open(scratch()).map(drop)),
    ("remove a file", || fs::remove_file(scratch())),
    ("read a user's file", || File::open(scratch()).map(drop)),
    ("signal another process", || Ok(kill(Pid::from_raw(1), None)?)),
    ("panic", || {
        let caught = std::panic::catch_unwind(|| panic!("for a test"));
        if caught.is_err() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
    }),
];

/// A part of `what_a_confined_process_tries`; on its own it tries nothing.
#[test]
fn as_a_confined_process() {
    let Ok(name) = std::env::var(ROLE) else { return };
    let role = Role::ALL.into_iter().find(|role| role.name() == name).unwrap();
    let wanted = std::env::var(ATTEMPT).unwrap();
    let (_, attempt) = ATTEMPTS.into_iter().find(|(name, _)| *name == wanted).unwrap();
    // The user stays: the tested rule holds for root, too.
    let mut confined = confine::Confined::default();
    confined.restrict(role);
    assert_eq!(confined.missing, [""; 0]);
    std::process::exit(if attempt().is_ok() { DONE } else { REFUSED });
}

fn tried(role: Role, attempt: &str) -> Output {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--nocapture", "--exact", "processes::tests::as_a_confined_process"]);
    again
        .env(ROLE, role.name())
        .env(ATTEMPT, attempt)
        .env(SCRATCH, scratch())
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
    Killed,
}

#[test]
fn what_a_confined_process_tries() {
    use Outcome::{Done, Killed, Refused};
    for (role, expected) in [
        (Role::Engine, [Done, Killed, Killed, Killed, Killed, Killed, Refused, Killed, Done]),
        (Role::Network, [Done, Killed, Killed, Refused, Refused, Killed, Done, Killed, Done]),
    ] {
        for ((attempt, _), expected) in ATTEMPTS.into_iter().zip(expected) {
            fs::write(scratch(), "").unwrap();
            let Output { status, stderr, .. } = tried(role, attempt);
            let said = String::from_utf8_lossy(&stderr);
            let outcome = match (status.code(), status.signal()) {
                (Some(DONE), _) => Done,
                (Some(REFUSED), _) => Refused,
                (_, Some(libc::SIGSYS)) => Killed,
                _ => panic!("{role:?}, {attempt}: {status}"),
            };
            assert_eq!(outcome, expected, "{role:?}: {attempt}: {said}");
            if attempt == "panic" {
                let place = "as_a_confined_process";
                assert!(
                    said.contains("for a test") && said.contains(place),
                    "{role:?}: no backtrace: {said}"
                );
            }
        }
    }
    fs::remove_file(scratch()).unwrap();
}
