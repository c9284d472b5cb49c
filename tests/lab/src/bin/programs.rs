//! Real programs on the host's own path and through the tunnel: each runs both ways against the
//! same server, and both runs must print the same. `tests/programs/run` installs and starts it.

use lab::scene::{PATIENCE, Scratch, must, tunnelled_lab};
use lab::{Lab, Place, Process, until};
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The longest run of a program.
const LIMIT: &str = "90";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first().map(|(folder, names)| compare(Path::new(folder), names)) {
        Some(Ok(0)) => ExitCode::SUCCESS,
        Some(Ok(_)) => ExitCode::FAILURE,
        Some(Err(error)) => complain(&error.to_string()),
        None => complain("usage: underpass-programs FOLDER [NAME]..."),
    }
}

fn complain(what: &str) -> ExitCode {
    // If standard error is closed, the exit code remains.
    let _ = writeln!(io::stderr(), "programs: {what}");
    ExitCode::from(2)
}

/// Prints a row for each program; returns how many differ.
fn compare(folder: &Path, names: &[String]) -> Outcome<usize> {
    let folder = folder.canonicalize()?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "sh"));
    files.sort();
    let mut out = io::stdout();
    writeln!(out, "| program | what it does | the same as without the tunnel? |\n|---|---|---|")?;
    let mut differ = 0;
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let what = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
        let known = text
            .lines()
            .find_map(|line| line.strip_prefix("known="))
            .map(|why| why.trim_matches('"'));
        let outcome = both_ways(&file, &text);
        let verdict = match (&outcome, known) {
            (Ok(()), None) => "yes".to_owned(),
            (Ok(()), Some(_)) => "**yes, although a difference is known**".to_owned(),
            (Err(_), Some(why)) => format!("no: {why}"),
            (Err(_), None) => "**no**".to_owned(),
        };
        if let Err(error) = &outcome {
            writeln!(io::stderr(), "\n{name}: {error}\n")?;
        }
        differ += usize::from(outcome.is_ok() == known.is_some());
        writeln!(out, "| {name} | {what} | {verdict} |")?;
        out.flush()?;
    }
    Ok(differ)
}

/// Runs a program's server, then its client on the host and in the VM.
fn both_ways(file: &Path, text: &str) -> Outcome<()> {
    // A lab of its own: processes that a program leaves running end with it.
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else {
        return Err("there can be no lab here".into());
    };
    let scratch = Scratch::new();
    let _server = start_server(&lab, &scratch, file, text)?;
    let [reference, heard] =
        [Place::Windows, Place::Wsl].map(|place| client(&lab, place, &scratch, file));
    let (reference, heard) = (reference?, heard?);
    if reference != heard {
        return Err(format!("on the host:\n{reference}\nwith the tunnel:\n{heard}").into());
    }
    Ok(())
}

/// Starts the server on the internet, and waits until it listens on its `port`, if it names one.
fn start_server(lab: &Lab, scratch: &Scratch, file: &Path, text: &str) -> Outcome<Option<Process>> {
    if !text.contains("\nserver() {") {
        return Ok(None);
    }
    let folder = scratch.path("server");
    fs::create_dir_all(&folder)?;
    let words = words(file, "server", (&folder, &shared(scratch)?));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let server = lab.start_logged(Place::Internet, Path::new(&folder), &words)?;
    if let Some(port) = text.lines().find_map(|line| line.strip_prefix("port=")) {
        let listens =
            || !must(lab, Place::Internet, &format!("ss -Htuln sport = :{port}")).trim().is_empty();
        if !until(PATIENCE, listens) {
            return Err(format!(
                "its server does not listen: {}{}",
                server.stdout(),
                server.stderr()
            )
            .into());
        }
    }
    Ok(Some(server))
}

fn shared(scratch: &Scratch) -> io::Result<String> {
    let folder = scratch.path("shared");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs the client to its end. Returns its output, and its exit code if that was not 0.
fn client(lab: &Lab, place: Place, scratch: &Scratch, file: &Path) -> Outcome<String> {
    let folder = scratch.path(if place == Place::Wsl { "wsl" } else { "windows" });
    fs::create_dir_all(&folder)?;
    let mut limited = vec!["timeout".to_owned(), LIMIT.to_owned()];
    limited.extend(words(file, "client", (&folder, &shared(scratch)?)));
    let words: Vec<&str> = limited.iter().map(String::as_str).collect();
    let finished = lab.run(place, &words)?;
    if finished.succeeded() && finished.stdout.is_empty() {
        return Err(format!("in {place:?} it printed nothing: {}", finished.stderr).into());
    }
    if finished.succeeded() {
        return Ok(finished.stdout);
    }
    Ok(format!("{}exit code {:?}\n{}", finished.stdout, finished.code, finished.stderr))
}

/// The command line that runs a function of a program's file in a folder of its own. Server and
/// clients share another.
fn words(file: &Path, function: &str, (folder, shared): (&str, &str)) -> Vec<String> {
    let script = format!("set -eu; cd \"$DIR\"; . \"$0\"; {function}");
    let environment = [
        format!("DIR={folder}"),
        format!("SHARED={shared}"),
        format!("SERVER={}", lab::addresses::SERVER),
        format!("SERVER_V6={}", lab::addresses::SERVER_V6),
        "LC_ALL=C.UTF-8".to_owned(),
        format!("HOME={folder}"),
    ];
    // Everything that it starts ends with it.
    let mut words =
        ["unshare", "--pid", "--fork", "--kill-child", "env"].map(str::to_owned).to_vec();
    words.extend(environment);
    words.extend(["bash", "-c", &script].map(str::to_owned));
    words.push(file.display().to_string());
    words
}
