//! `wsl.exe`: registers as a client, runs a command in a distro, carries its streams, and returns
//! its exit code.

use super::{Answer, Request};
use crate::host::copy;
use crate::{BUFFER, receive, send};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// The default `PATH` that init puts into a session's environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The exit code of a failed command of `wsl.exe` itself.
const FAILED: u8 = 1;

/// The parsed arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    distro: Option<String>,
    user: Option<String>,
    directory: Option<String>,
    command: Vec<String>,
}

/// Runs `wsl.exe` with these arguments against the service at a socket.
///
/// # Errors
/// The service does not answer, or a stream breaks.
pub fn run(socket: &Path, arguments: &[String]) -> io::Result<u8> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--terminate" | "-t", name] => {
            said(ask(socket, &Request::Terminate { name: name.to_owned() })?.1)
        }
        ["--shutdown"] => said(ask(socket, &Request::Shutdown)?.1),
        ["--version" | "-v"] => {
            print("WSL version: 2.5.9.0\nKernel version: 6.6.87.2-1\n", &mut io::stdout())?;
            Ok(0)
        }
        ["--list" | "-l", "--running", "--quiet" | "-q"] => match ask(socket, &Request::Running)?.1
        {
            Answer::Running(instances) => {
                let names: String =
                    instances.iter().map(|instance| format!("{}\n", instance.name)).collect();
                print(&names, &mut io::stdout())?;
                Ok(0)
            }
            answer @ (Answer::Done | Answer::Opened(_) | Answer::Failed(_)) => said(answer),
        },
        _ => match parse(arguments) {
            Some(words) => in_distro(socket, &words),
            None => {
                said(Answer::Failed(format!("Invalid command line option: {}", words.join(" "))))
            }
        },
    }
}

/// `-d NAME [-u USER] [--cd DIR] [--exec PROGRAM ARGS | [--] WORDS]`.
fn parse(arguments: &[String]) -> Option<Words> {
    let mut words = Words::default();
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        match option.as_str() {
            "-d" | "--distribution" => words.distro = Some(rest.next()?.clone()),
            "-u" | "--user" => words.user = Some(rest.next()?.clone()),
            "--cd" => words.directory = Some(rest.next()?.clone()),
            "--exec" | "-e" => {
                words.command = rest.cloned().collect();
                return Some(words).filter(|words| !words.command.is_empty());
            }
            option if option.starts_with('-') && option != "--" => return None,
            first => {
                // The shell reads words without --exec.
                let mut line: Vec<&str> =
                    Some(first).filter(|first| *first != "--").into_iter().collect();
                line.extend(rest.map(String::as_str));
                words.command = ["/bin/sh", "-c", &line.join(" ")].map(str::to_owned).to_vec();
                return Some(words);
            }
        }
    }
    words.command = vec!["/bin/sh".to_owned()];
    Some(words)
}

/// One request and its answer, and the connection.
fn ask(socket: &Path, request: &Request) -> io::Result<(UnixStream, Answer)> {
    let mut stream = UnixStream::connect(socket)?;
    send(&mut stream, request)?;
    let answer = receive(&stream)?;
    Ok((stream, answer))
}

/// The exit code of an answer. An error is printed.
fn said(answer: Answer) -> io::Result<u8> {
    match answer {
        Answer::Done | Answer::Opened(_) | Answer::Running(_) => Ok(0),
        Answer::Failed(why) => {
            print(&format!("{why}\n"), &mut io::stderr())?;
            Ok(FAILED)
        }
    }
}

/// `wsl.exe`'s own messages are UTF-16 unless WSL_UTF8 is 1; the environment of a program that
/// interop starts contains nothing of WSL's.
fn print(text: &str, to: &mut impl Write) -> io::Result<()> {
    let text = text.replace('\n', "\r\n");
    if std::env::var_os("WSL_UTF8").is_some_and(|value| value == "1") {
        return to.write_all(text.as_bytes());
    }
    to.write_all(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}

/// Runs a command in a distro; this process is a client of it meanwhile.
fn in_distro(socket: &Path, words: &Words) -> io::Result<u8> {
    let name = words.distro.clone().unwrap_or_default();
    // The connection is this process's registration, and ends with it.
    let (_registration, answer) = ask(socket, &Request::Open { name: name.clone() })?;
    let Answer::Opened(first) = answer else { return said(answer) };
    let mut command = enter(first);
    if let Some(user) = &words.user {
        let Some((uid, gid)) = user_of(first, user) else {
            return said(Answer::Failed(format!("User not found: {user}")));
        };
        command.args(["--setuid", &uid, "--setgid", &gid]);
    }
    command.arg("--");
    if let Some(directory) = &words.directory {
        command.args(["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory]);
    }
    command.args(&words.command).env_clear().env("PATH", PATH).env("WSL_DISTRO_NAME", name);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(input) = child.stdin.take() {
        copy(io::stdin(), input, BUFFER, None);
    }
    let unbuffered = |fd: BorrowedFd<'_>| io::Result::Ok(File::from(fd.try_clone_to_owned()?));
    let (to_output, to_errors) =
        (unbuffered(io::stdout().as_fd())?, unbuffered(io::stderr().as_fd())?);
    let output = child.stdout.take().map(|output| copy(output, to_output, BUFFER, None));
    let errors = child.stderr.take().map(|errors| copy(errors, to_errors, BUFFER, None));
    let status = child.wait()?;
    for copy in output.into_iter().chain(errors) {
        let _ = copy.join();
    }
    // Without an exit status (the distro has ended) `VmModeWorkerThread` of
    // `windows/common/interop.cpp` returns 1.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}

/// The command that enters a distro through its first process; options and words follow.
pub(super) fn enter(first: u32) -> Command {
    let mut command = Command::new("/usr/bin/nsenter");
    command.args(["--target", &first.to_string(), "--all", "--root", "--wd"]);
    command
}

/// A user's numbers from the distro's own list of users.
fn user_of(first: u32, name: &str) -> Option<(String, String)> {
    let users = fs::read_to_string(format!("/proc/{first}/root/etc/passwd")).ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2).map(str::to_owned);
    Some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_where_the_command_begins() {
        let words = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let exec = words("-d a --cd / --exec cat -d b").unwrap();
        assert_eq!((exec.distro.as_deref(), exec.directory.as_deref()), (Some("a"), Some("/")));
        assert_eq!(exec.command, ["cat", "-d", "b"]);
        assert_eq!(words("-d a up --help").unwrap().command, ["/bin/sh", "-c", "up --help"]);
        assert_eq!(words("-d a").unwrap().command, ["/bin/sh"]);
        for wrong in ["-d", "--exec", "-d a --exec", "--nonsense"] {
            assert_eq!(words(wrong), None, "{wrong}");
        }
    }
}
