//! A stand-in for WSL's `wslpath`: `wslpath -u 'C:\Windows'` prints `/mnt/c/Windows`, and `wslpath
//! -w /mnt/c/Windows` the reverse.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let answer = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-u", path] => linux(path),
        ["-w", path] => windows(path),
        _ => None,
    };
    match answer {
        Some(answer) => ExitCode::from(u8::from(writeln!(std::io::stdout(), "{answer}").is_err())),
        None => {
            let _ = writeln!(std::io::stderr(), "wslpath: {}: Invalid argument", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn linux(path: &str) -> Option<String> {
    let (drive, rest) = path.split_once(":\\")?;
    let letter = drive.chars().next().filter(|_| drive.len() == 1)?.to_ascii_lowercase();
    Some(format!("/mnt/{letter}/{}", rest.replace('\\', "/")))
}

fn windows(path: &str) -> Option<String> {
    let (letter, rest) = path.strip_prefix("/mnt/")?.split_once('/')?;
    (letter.len() == 1)
        .then(|| format!("{}:\\{}", letter.to_ascii_uppercase(), rest.replace('/', "\\")))
}
