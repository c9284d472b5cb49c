//! The demo does what it says.

use lab::lab_or_skip;
use std::process::Command;

#[test]
fn the_demo_shows_all_of_its_steps() {
    if lab_or_skip().is_none() {
        return;
    }
    let mut demo = Command::new(env!("CARGO_BIN_EXE_underpass-demo"));
    let output = demo.env("UNDERPASS_BIN_DIR", lab::built::programs()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let headings: Vec<&str> = said.lines().filter(|line| line.starts_with("== ")).collect();
    assert!(headings.len() >= 13, "{headings:?}");
    for word in [
        "Hello from the internet",
        "192.0.2.1",
        "bytes from 203.0.113.10",
        "dev eth0",
        "underpass: up on",
    ] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn a_demo_that_cannot_show_a_step_fails() {
    if lab_or_skip().is_none() {
        return;
    }
    let scratch = lab::scene::Scratch::new();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_underpass-demo"));
    let output = demo.env("UNDERPASS_BIN_DIR", scratch.path("")).output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
