//! A stand-in for WSL's `wslinfo`: `wslinfo --networking-mode` prints the content of the file
//! `/run/WSL/mode`.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mode = std::fs::read_to_string("/run/WSL/mode");
    match (&words[..], mode) {
        ([option], Ok(mode)) if option == "--networking-mode" => {
            ExitCode::from(u8::from(writeln!(std::io::stdout(), "{}", mode.trim()).is_err()))
        }
        _ => {
            let _ = writeln!(std::io::stderr(), "wslinfo: {}: Invalid argument", words.join(" "));
            ExitCode::FAILURE
        }
    }
}
