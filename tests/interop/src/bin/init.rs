//! The interpreter that binfmt_misc starts for Windows programs: `interop-init PROGRAM NAME
//! [ARGUMENT]...` (flag `P` keeps the program's own name, which Windows does not need).
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command: Vec<String> = words.next().into_iter().chain(words.skip(1)).collect();
    match interop_model::init::run(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = write!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
