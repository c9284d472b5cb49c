//! The Windows half: `interop-host SOCKET WINE PIPE DRIVES` serves for ever. `WINE` is the program that starts Windows programs, `PIPE` how
//! many bytes a pipe to a program holds, `DRIVES` the folder of the drives. Programs named in the file `SOCKET.policy` are forbidden.
#![forbid(unsafe_code)]

use interop_model::host::{Options, serve};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let mut errors = std::io::stderr();
    let [_, socket, wine, pipe, drives] = &words[..] else {
        let _ = writeln!(errors, "usage: interop-host SOCKET WINE PIPE DRIVES");
        return ExitCode::from(2);
    };
    let Ok(pipe_bytes) = pipe.parse() else {
        let _ = writeln!(errors, "interop-host: '{pipe}' is no number of bytes");
        return ExitCode::from(2);
    };
    let policy = format!("{socket}.policy").into();
    match serve(Path::new(socket), &Options { wine: wine.clone(), pipe_bytes, drives: drives.into(), policy }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(errors, "interop-host: {socket}: {error}");
            ExitCode::FAILURE
        }
    }
}
