//! The test runner (`src/bin/suite`), with pretend test programs: it counts, limits, tries again
//! and fails as documented.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::scene::Scratch;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The result of a suite run.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    said: String,
}

/// Runs the suite with test programs, each given by its name and its tests: a test's name, and its
/// body in shell words. They run in the folder of the program.
fn suite(scratch: &Scratch, programs: &[(&str, &[(&str, &str)])], options: &[&str]) -> Run {
    let mut messages = String::new();
    for (name, tests) in programs {
        let path = scratch.file(&format!("{name}.sh"), &program(tests));
        let message = serde_json::json!({
            "reason": "compiler-artifact", "manifest_path": scratch.path("Cargo.toml"), "executable": path,
            "target": { "kind": ["test"], "name": name }, "profile": { "test": true },
        });
        writeln!(messages, "{message}").unwrap();
    }
    let built = scratch.file("built.json", &messages);
    let mut command = Command::new(env!("CARGO_BIN_EXE_underpass-suite"));
    command.args(["--built", &built, "--logs", &scratch.path("logs")]).args(options);
    let output = command.output().unwrap();
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    Run { code: output.status.code(), said }
}

/// A shell script that behaves like Rust's test programs: `--list --format terse`, `--exact NAME`.
fn program(tests: &[(&str, &str)]) -> String {
    let mut text = "#!/bin/sh\ncase $2 in\n--format)\n".to_owned();
    for (name, _) in tests {
        writeln!(text, "echo '{name}: test'").unwrap();
    }
    text += "exit;;\n";
    for (name, body) in tests {
        writeln!(text, "{name})\n{body}\n;;").unwrap();
    }
    text + "esac\necho 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'\n"
}

/// The body of a test that fails when it runs first, and passes when it runs again.
fn fails_once(name: &str) -> String {
    format!("if mkdir {name}.seen; then echo the first time of {name}; exit 101; fi")
}

#[test]
fn all_tests_run_and_only_the_output_of_failures_is_shown() {
    let scratch = Scratch::new();
    let tests = [
        ("good", "echo quiet words; echo good >>ran"),
        ("bad", "echo loud words; echo bad >>ran; exit 101"),
    ];
    let run = suite(&scratch, &[("one", &tests), ("two", &[("other", "echo other >>ran")])], &[]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(!run.said.contains("quiet words"), "{}", run.said);
    // A failed test ran again, and failed again.
    assert_eq!(run.said.matches("loud words").count(), 2, "{}", run.said);
    let mut ran: Vec<String> = scratch.read("ran").lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, ["bad", "bad", "good", "other"]);
    assert!(
        run.said.ends_with(&format!("FAILED: {}/one::bad\n", folder(&scratch))),
        "{}",
        run.said
    );
    assert!(run.said.contains("suite: 3 tests, 2 passed"), "{}", run.said);
}

/// The name of the folder, which stands for the package.
fn folder(scratch: &Scratch) -> String {
    let path = scratch.path("");
    Path::new(&path).file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_test_that_passes_the_second_time_is_flaky_and_two_of_them_are_borne() {
    for (count, code) in [(2, 0), (3, 1)] {
        let scratch = Scratch::new();
        let names: Vec<String> = (0..count).map(|n| format!("wobbles_{n}")).collect();
        let bodies: Vec<String> = names.iter().map(|name| fails_once(name)).collect();
        let tests: Vec<(&str, &str)> =
            names.iter().zip(&bodies).map(|(name, body)| (name.as_str(), body.as_str())).collect();
        let run = suite(&scratch, &[("one", &tests)], &[]);
        assert_eq!(run.code, Some(code), "{}", run.said);
        let flaky = run.said.lines().filter(|line| line.starts_with("FLAKY")).count();
        assert_eq!(flaky, count, "{}", run.said);
        assert_eq!(run.said.contains("FAILED: 3 tests are flaky"), code == 1, "{}", run.said);
        let log = format!("logs/{}.one.wobbles_0.first.log", folder(&scratch));
        assert!(
            scratch.read(&log).contains("the first time of wobbles_0"),
            "its first output is kept"
        );
    }
}

#[test]
fn a_test_that_does_not_end_is_ended_with_all_of_its_processes() {
    let scratch = Scratch::new();
    // A process with its own session, like a server.
    let hangs = "setsid sleep 1000 & echo $! >child; sleep 1000";
    let run = suite(&scratch, &[("one", &[("hangs", hangs)])], &["--limit", "1"]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("it did not end within"), "{}", run.said);
    ended(&scratch);
}

/// Panics unless the process of the file `child` ends.
fn ended(scratch: &Scratch) {
    let child = scratch.read("child").trim().to_owned();
    assert!(!child.is_empty());
    let line = Path::new("/proc").join(&child).join("cmdline");
    // Its new parent reaps it.
    let gone = || std::fs::read(&line).map_or(true, |line| !line.starts_with(b"sleep"));
    assert!(lab::until(Duration::from_secs(10), gone), "process {child} still runs");
}

#[test]
fn a_test_that_leaves_a_process_fails_and_the_process_is_ended() {
    let scratch = Scratch::new();
    let leaves = "setsid sleep 1000 & echo $! >child";
    let run = suite(&scratch, &[("one", &[("leaves", leaves)])], &[]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("it left processes: sleep 1000"), "{}", run.said);
    ended(&scratch);
}

#[test]
fn a_program_that_knows_no_such_test_has_not_passed() {
    let scratch = Scratch::new();
    let none =
        "echo 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out'; exit 0";
    let run = suite(&scratch, &[("one", &[("gone", none)])], &[]);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("ran not exactly one test"), "{}", run.said);
}

#[test]
fn a_step_runs_beside_the_tests_and_its_failure_is_not_tried_again() {
    let scratch = Scratch::new();
    let (seen, failing) = (scratch.path("seen"), scratch.path("failing"));
    // The test waits for the step.
    let waits = format!("timeout 20 sh -c 'while [ ! -e {seen} ]; do :; done'");
    let [passes, fails] = [format!("echo >{seen}"), format!("echo x >>{failing}; exit 3")];
    // By then the test has ended.
    let alone = format!("cd {}; ls logs >left; ls left", scratch.path(""));
    let steps = ["--step", &passes, "--step", &fails, "--alone", &alone];
    let run = suite(&scratch, &[("one", &[("waits", waits.as_str())])], &steps);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("suite: 1 tests, 1 passed"), "{}", run.said);
    assert_eq!(scratch.read("failing"), "x\n");
    assert!(!scratch.read("left").contains("waits"), "{}", scratch.read("left"));
    assert!(run.said.contains("exit status: 3"), "{}", run.said);
}

#[test]
fn words_choose_tests_and_parts_left_out_are_counted() {
    let scratch = Scratch::new();
    let tests = [
        ("first_here", "echo 'left out with this relay: Ping6'"),
        ("second_here", "echo 'left out with this relay: Ping6'"),
        ("elsewhere", "exit 101"),
    ];
    let run = suite(&scratch, &[("one", &tests)], &["here_", "_here"]);
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(run.said.contains("2 times: left out with this relay: Ping6"), "{}", run.said);
    let run = suite(&scratch, &[("one", &tests)], &["nothing_like_it"]);
    assert_eq!(run.code, Some(2), "{}", run.said);
    let run = suite(&scratch, &[("one", &tests)], &["--list"]);
    let listed: Vec<&str> =
        run.said.lines().filter_map(|line| line.split_once("::")).map(|(_, test)| test).collect();
    assert_eq!((run.code, listed), (Some(0), vec!["elsewhere", "first_here", "second_here"]));
}
