//! WSL's service: `wsl-service SOCKET SHARED INSTANCE VM` serves until its standard input ends.
//! `SHARED` is the folder that all distros share; `INSTANCE` and `VM` are the idle time-outs in
//! milliseconds. A negative one means never.
#![forbid(unsafe_code)]

use interop_model::wsl::service::{Options, serve};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let mut errors = std::io::stderr();
    let [_, socket, shared, instance, vm] = &words[..] else {
        let _ = writeln!(errors, "usage: wsl-service SOCKET SHARED INSTANCE VM");
        return ExitCode::from(2);
    };
    let (Ok(instance), Ok(vm)) = (instance.parse::<i64>(), vm.parse::<i64>()) else {
        let _ = writeln!(errors, "wsl-service: a time-out is a number of milliseconds");
        return ExitCode::from(2);
    };
    let timeout = |milliseconds| u64::try_from(milliseconds).ok().map(Duration::from_millis);
    let options =
        Options { instance_idle: timeout(instance), vm_idle: timeout(vm), shared: shared.into() };
    match serve(Path::new(socket), options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(errors, "wsl-service: {socket}: {error}");
            ExitCode::FAILURE
        }
    }
}
