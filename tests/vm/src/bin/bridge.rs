//! `underpass-vm-bridge FROM TO` carries each connection to FROM on to TO, forever; see
//! [`vm::bridge::Endpoint`] for the forms of both.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;
use vm::bridge::{Endpoint, serve};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let endpoints: Vec<Endpoint> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let mut errors = std::io::stderr();
    let [from, to] = &endpoints[..] else {
        let _ = writeln!(
            errors,
            "usage: underpass-vm-bridge FROM TO, each unix:PATH or tcp:ADDRESS:PORT"
        );
        return ExitCode::from(2);
    };
    let Err(error) = serve(from, to) else { return ExitCode::SUCCESS };
    let _ = writeln!(errors, "underpass-vm-bridge: {}: {error}", words.join(" "));
    ExitCode::FAILURE
}
