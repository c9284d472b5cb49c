//! The stand-in for `wsl.exe`: `wsl-exe SOCKET [ARGUMENT]...`.
#![forbid(unsafe_code)]

use interop_model::wsl::client::run;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((socket, arguments)) = words.split_first() else { return ExitCode::from(2) };
    match run(Path::new(socket), arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "wsl.exe: {error}");
            ExitCode::FAILURE
        }
    }
}
