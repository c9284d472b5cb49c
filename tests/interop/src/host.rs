//! The Windows half: a thread for each stream, small pipes to the program.

use crate::damage::{Damage, Stream};
use crate::{Accepted, Ending, MOST_BUFFER, Opening, Role, receive, send};
use nix::fcntl::{FcntlArg, fcntl};
use std::collections::HashMap;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The settings for starting programs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that starts Windows programs (those that begin with `MZ`).
    pub wine: String,
    /// Bytes of each copy, and of the pipes to and from a program.
    pub buffer: usize,
    /// The folder of the drives: folders named `c:` and so on.
    pub drives: PathBuf,
    /// A file with the policies of an administrator, one a line: [`DISABLE_CMD`], or the beginning
    /// of the paths of forbidden programs (AppLocker). It need not exist.
    pub policy: PathBuf,
    /// A file that describes the damage to a stream of the next relay (see [`crate::damage`]). It
    /// need not exist, and is removed once it takes effect.
    pub damage: PathBuf,
}

/// The policy "Prevent access to the command prompt", by the name of its value in the registry
/// (Microsoft, ADMX_ShellCommandPromptRegEditTools, DisableCMD). With it cmd.exe runs nothing,
/// writes [`DISABLED`], and ends with 1.
pub const DISABLE_CMD: &str = "DisableCMD";

/// The message of cmd.exe with [`DISABLE_CMD`], in English.
pub const DISABLED: &str = "The command prompt has been disabled by your administrator.\r\n\r\nPress any key to continue . . . \r\n";

/// Serves sessions at a socket forever.
///
/// # Errors
/// The socket cannot be listened at.
pub fn serve(socket: &Path, options: &Options) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let sessions = Arc::new(Mutex::new(HashMap::<String, Vec<(Opening, UnixStream)>>::new()));
    for stream in listener.incoming() {
        let (stream, sessions, options) = (stream?, Arc::clone(&sessions), options.clone());
        thread::spawn(move || {
            let Ok(opening) = receive::<Opening>(&stream) else { return };
            let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let parts = sessions.entry(opening.session.clone()).or_default();
            parts.push((opening, stream));
            if parts.len() < 4 {
                return;
            }
            let Some((opening, _)) = parts.first() else { return };
            let name = opening.session.clone();
            let Some(parts) = sessions.remove(&name) else { return };
            drop(sessions);
            session(parts, &options);
        });
    }
    Ok(())
}

/// One program, from its start to its end.
fn session(parts: Vec<(Opening, UnixStream)>, options: &Options) {
    let mut streams = HashMap::new();
    let mut asked = None;
    for (opening, stream) in parts {
        streams.insert(opening.role, stream);
        asked = Some(opening);
    }
    let Some(opening) = asked else { return };
    let [Some(mut stdin), Some(stdout), Some(stderr), Some(mut control)] =
        [Role::Stdin, Role::Stdout, Role::Stderr, Role::Control].map(|role| streams.remove(&role))
    else {
        return;
    };
    if send(&mut stdin, &Accepted { buffer: options.buffer }).is_err() {
        return;
    }
    if is_disabled(&opening, options) {
        let mut stdout = stdout;
        let _ = stdout.write_all(DISABLED.as_bytes());
        drop((stdin, stdout, stderr));
        let _ = send(&mut control, &Ending::Exited(1));
        return;
    }
    let ending = match distro_of(&control).and_then(|distro| start(&opening, &distro, options)) {
        Ok((child, input, output, errors)) => {
            let pid = child.id();
            let damage = is_relay(&opening).then(|| Damage::take(&options.damage)).flatten();
            let on = |stream| damage.clone().filter(|damage| damage.stream == stream);
            let size = options.buffer.min(MOST_BUFFER);
            let copies =
                [copy(output, stdout, size, on(Stream::Output)), copy(errors, stderr, size, None)];
            // It waits for the Linux side's next bytes, perhaps forever; after the session's end
            // they do not matter.
            copy(stdin, input, size, on(Stream::Input));
            let code = watch(child, &control);
            let _ = copies.map(thread::JoinHandle::join);
            Ending::Exited(code.unwrap_or_else(|error| {
                report(&format!("process {pid}: {error}"));
                1
            }))
        }
        Err(error) => {
            report(&format!("{:?}: {error}", opening.command));
            drop((stdout, stderr));
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            Ending::NotStarted(if is_missing { libc::ENOENT } else { libc::EINVAL })
        }
    };
    // The Linux side may be gone.
    let _ = send(&mut control, &ending);
}

/// Whether it is cmd.exe, and a policy forbids that.
fn is_disabled(opening: &Opening, options: &Options) -> bool {
    let is_cmd = name_of(opening).is_some_and(|name| name.eq_ignore_ascii_case("cmd.exe"));
    is_cmd && policies(options).lines().any(|line| line == DISABLE_CMD)
}

fn is_relay(opening: &Opening) -> bool {
    name_of(opening).is_some_and(|name| name.starts_with("underpass-relay"))
}

fn name_of(opening: &Opening) -> Option<&str> {
    Path::new(opening.command.first()?).file_name()?.to_str()
}

fn policies(options: &Options) -> String {
    fs::read_to_string(&options.policy).unwrap_or_default()
}

/// Prints an error. The test that started this program reads it.
fn report(text: &str) {
    let _ = writeln!(io::stderr(), "interop-host: {text}");
}

fn start(
    opening: &Opening,
    distro: &Path,
    options: &Options,
) -> io::Result<(Child, PipeWriter, PipeReader, PipeReader)> {
    let Some((program, args)) = opening.command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program was named"));
    };
    let file = seen_by_windows(distro, Path::new(program), &options.drives);
    if policies(options).lines().any(|beginning| program.starts_with(beginning)) {
        return Err(io::Error::other("a policy forbids it"));
    }
    let mut command = if let Some(words) = stand_in(&file)? {
        let (program, words) = words.split_first().ok_or(io::ErrorKind::InvalidData)?;
        let mut command = Command::new(program);
        command.args(words);
        command
    } else if is_windows_program(&file)? {
        let mut command = Command::new(&options.wine);
        command.arg(&file);
        command
    } else {
        Command::new(&file)
    };
    let (their_input, input) = small_pipe(options.buffer)?;
    let (output, their_output) = small_pipe(options.buffer)?;
    let (errors, their_errors) = small_pipe(options.buffer)?;
    let directory = seen_by_windows(distro, &opening.directory, &options.drives);
    command.args(args).current_dir(directory);
    // A signal to this program's group must not reach the program.
    command.stdin(their_input).stdout(their_output).stderr(their_errors).process_group(0);
    let child = command.spawn()?;
    Ok((child, input, output, errors))
}

/// The files of a Linux half's distro, which Windows sees as `\\wsl.localhost\NAME`.
fn distro_of(control: &UnixStream) -> io::Result<PathBuf> {
    let peer = nix::sys::socket::getsockopt(control, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(PathBuf::from(format!("/proc/{}/root", peer.pid())))
}

/// A file of the distro as Windows sees it: on its own drive if it is below `/mnt/` and a letter,
/// otherwise through the distro's file server.
fn seen_by_windows(distro: &Path, path: &Path, drives: &Path) -> PathBuf {
    let drive = path.strip_prefix("/mnt").ok().and_then(|rest| {
        let mut parts = rest.components();
        let letter = parts.next()?.as_os_str().to_str().filter(|name| name.len() == 1)?;
        Some(drives.join(format!("{letter}:")).join(parts.as_path()))
    });
    drive.unwrap_or_else(|| distro.join(path.strip_prefix("/").unwrap_or(path)))
}

/// The beginning of a file that stands for one of Windows' own programs. After it come the words of
/// the program of this machine that plays it, one a line. Linux takes such a file for a Windows
/// program.
pub const STAND_IN: &str = "MZ#!";

/// The words of a stand-in, if the file is one.
fn stand_in(file: &Path) -> io::Result<Option<Vec<String>>> {
    let bytes = fs::read(file)?;
    let words = bytes.strip_prefix(STAND_IN.as_bytes()).map(String::from_utf8_lossy);
    Ok(words.map(|words| words.lines().map(str::to_owned).collect()))
}

/// Whether a program is for Windows, and for a processor that Windows has here.
fn is_windows_program(file: &Path) -> io::Result<bool> {
    let bytes = fs::read(file)?;
    if !bytes.starts_with(b"MZ") {
        return Ok(false);
    }
    let word =
        |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let machine = word(0x3c).and_then(|header| word(header + 4));
    // 'This version of the file is not compatible with the version of Windows you're running.'
    if machine == Some(0x8664) {
        Ok(true)
    } else {
        Err(io::Error::other("it is not for this processor"))
    }
}

fn small_pipe(bytes: usize) -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    fcntl(writer.as_fd(), FcntlArg::F_SETPIPE_SZ(i32::try_from(bytes).map_err(io::Error::other)?))?;
    Ok((reader, writer))
}

/// A thread that copies until either end has ended, `size` bytes at a time.
pub(crate) fn copy(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    size: usize,
    mut damage: Option<Damage>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut piece = vec![0; size];
        while let Ok(n @ 1..) = from.read(&mut piece) {
            let written = match &mut damage {
                None => to.write_all(&piece[..n]),
                Some(damage) => to.write_all(&damage.pass(&piece[..n])),
            };
            if written.is_err() {
                return;
            }
        }
    })
}

/// Waits for the program's end, and ends it when the Linux half goes.
fn watch(mut child: Child, control: &UnixStream) -> io::Result<u8> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (done, watched) = (Arc::new(Mutex::new(false)), control.try_clone()?);
    let ended = Arc::clone(&done);
    thread::spawn(move || {
        // The Linux half sends nothing here: anything that comes is its end.
        let _ = (&watched).read(&mut [0]);
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ended {
            // It may end by itself at this very moment, but is not reaped before the lock is free.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    });
    // Waits without reaping, so that the pid stays this child's until the lock says otherwise.
    let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
    nix::sys::wait::waitid(nix::sys::wait::Id::Pid(pid), flags)?;
    let mut ended = done.lock().unwrap_or_else(PoisonError::into_inner);
    *ended = true;
    let status = child.wait()?;
    Ok(u8::try_from(status.code().unwrap_or(1) & 0xff).unwrap_or(1))
}
