//! The Windows half: `interop-host SOCKET WINE BUFFER DRIVES` serves forever. `WINE` is the program
//! that starts Windows programs, `BUFFER` the size of a copy and of a pipe to a program, `DRIVES`
//! the folder of the drives. The file `SOCKET.policy` lists the forbidden programs, `SOCKET.damage`
//! the damage to the bytes of the next relay.
#![forbid(unsafe_code)]

use interop_model::host::{Options, serve};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let mut errors = std::io::stderr();
    let [_, socket, wine, buffer, drives] = &words[..] else {
        let _ = writeln!(errors, "usage: interop-host SOCKET WINE BUFFER DRIVES");
        return ExitCode::from(2);
    };
    let Ok(buffer) = buffer.parse::<usize>() else {
        let _ = writeln!(errors, "interop-host: '{}' is not a number of bytes", words[3]);
        return ExitCode::from(2);
    };
    let [policy, damage] = ["policy", "damage"].map(|name| format!("{socket}.{name}").into());
    let options = Options { wine: wine.clone(), buffer, drives: drives.into(), policy, damage };
    match serve(Path::new(socket), &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(errors, "interop-host: {socket}: {error}");
            ExitCode::FAILURE
        }
    }
}
