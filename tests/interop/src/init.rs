//! The Linux half: one thread, blocking copies.

use crate::{Accepted, BUFFER, Ending, MOST_BUFFER, Opening, Role, SOCKET_VARIABLE, receive, send};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the Windows half may take to answer (microsoft/WSL, `src/linux/init/binfmt.cpp`,
/// `ACCEPT_TIMEOUT`). [`TIMEOUT_VARIABLE`] sets another.
pub const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The variable that sets another time-out, in milliseconds.
pub const TIMEOUT_VARIABLE: &str = "INTEROP_MODEL_ACCEPT_TIMEOUT_MS";

/// Why no program ran.
#[derive(Debug)]
pub enum Failure {
    /// Neither `WSL_INTEROP` nor a parent process names a socket.
    NoSocket,
    /// The socket takes no connection: its file outlived the listening process.
    Unreachable(io::Error),
    /// The Windows half did not answer in time.
    NoAnswer,
    /// It ended.
    Broken(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl std::fmt::Display for Failure {
    /// In the form of `/init`'s log; its process has no thread name (`src/linux/init/common.h`,
    /// `LOG_ERROR`; `util.cpp`, `UtilConnectUnix` and `UtilAcceptVsock`: ECONNREFUSED is 111,
    /// ETIMEDOUT 110). Without a socket it prints nothing (`UtilConnectToInteropServer`).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut log = |text: &str| writeln!(f, "<3>WSL ({} - ) ERROR: {text}", std::process::id());
        match self {
            Self::NoSocket => Ok(()),
            Self::Unreachable(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                log(&format!("UtilConnectUnix:543: connect failed {errno}"))
            }
            Self::NoAnswer => {
                log(&format!("UtilAcceptVsock:281: accept4 failed {}", libc::ETIMEDOUT))
            }
            Self::Broken(error) => log(&error.to_string()),
        }
    }
}

/// The source of a stream of bytes, and its destination.
struct Copy<'a> {
    from: File,
    to: Target<'a>,
}

enum Target<'a> {
    /// The other half learns of its end.
    Socket(&'a UnixStream),
    File(File),
}

/// The socket of the Windows half: the one in `WSL_INTEROP` if it exists, otherwise the first
/// parent process's own (microsoft/WSL, `src/linux/init/util.cpp`, `UtilConnectToInteropServer`).
fn socket() -> Result<PathBuf, Failure> {
    let named = env::var_os(SOCKET_VARIABLE).map(PathBuf::from);
    if let Some(named) = &named
        && named.exists()
    {
        return Ok(named.clone());
    }
    let mut parent = Some(std::os::unix::process::parent_id());
    while let Some(pid) = parent.filter(|pid| *pid > 0) {
        let path = PathBuf::from(format!("/run/WSL/{pid}_interop"));
        if path.exists() {
            return Ok(path);
        }
        parent = parent_of(pid);
    }
    named.ok_or(Failure::NoSocket)
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Starts the program through the Windows half that `WSL_INTEROP` or a parent process names,
/// carries its streams, and returns its exit code. `command` is its path and its arguments.
///
/// # Errors
/// There is no Windows half, or it ended.
#[expect(clippy::disallowed_methods, reason = "a session's name must be new each time")]
pub fn run(command: Vec<String>) -> Result<u8, Failure> {
    let socket = socket()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let session = format!("{}-{now}", std::process::id());
    let directory = env::current_dir()?;
    let open = |role| {
        let mut stream = UnixStream::connect(&socket).map_err(Failure::Unreachable)?;
        let (session, command, directory) = (session.clone(), command.clone(), directory.clone());
        send(&mut stream, &Opening { session, role, command, directory })?;
        Result::<_, Failure>::Ok(stream)
    };
    let [stdin, stdout, stderr, control] =
        [open(Role::Stdin)?, open(Role::Stdout)?, open(Role::Stderr)?, open(Role::Control)?];
    let file = |fd: BorrowedFd<'_>| io::Result::Ok(File::from(fd.try_clone_to_owned()?));
    let mut copies = [
        Some(Copy { from: file(io::stdin().as_fd())?, to: Target::Socket(&stdin) }),
        Some(Copy { from: file(stdout.as_fd())?, to: Target::File(file(io::stdout().as_fd())?) }),
        Some(Copy { from: file(stderr.as_fd())?, to: Target::File(file(io::stderr().as_fd())?) }),
    ];
    let mut piece = vec![0; accepted([&stdin, &stdout, &stderr, &control])?.min(MOST_BUFFER)];
    loop {
        let ready = wait(&copies)?;
        for (copy, ready) in copies.iter_mut().zip(ready) {
            if ready && !copy.as_mut().is_some_and(|copy| copy.step(&mut piece)) {
                *copy = None;
            }
        }
        // The exit code comes last: the program's output is taken to its end first.
        if copies[1].is_none() && copies[2].is_none() {
            return match receive::<Ending>(&control)? {
                Ending::Exited(code) => Ok(code),
                Ending::NotStarted(errno) => {
                    let program = command.first().map_or("", String::as_str);
                    writeln!(
                        io::stderr(),
                        "{program}: {}",
                        nix::errno::Errno::from_raw(errno).desc()
                    )?;
                    Ok(1)
                }
            };
        }
    }
}

/// Waits for a sign of the Windows half, and returns the bytes that each half copies at a time.
fn accepted([stdin, others @ ..]: [&UnixStream; 4]) -> Result<usize, Failure> {
    let set = env::var(TIMEOUT_VARIABLE).ok().and_then(|text| text.parse().ok());
    let timeout = set.map_or(ACCEPT_TIMEOUT, Duration::from_millis);
    let mut fds = [stdin, others[0], others[1], others[2]]
        .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
    if poll(&mut fds, PollTimeout::try_from(timeout).map_err(io::Error::other)?)
        .map_err(io::Error::from)?
        == 0
    {
        return Err(Failure::NoAnswer);
    }
    Ok(if fds[0].any().unwrap_or(false) { receive::<Accepted>(stdin)?.buffer } else { BUFFER })
}

/// The copies that can continue. When the Windows half dies, all of its streams end.
fn wait(copies: &[Option<Copy<'_>>; 3]) -> io::Result<[bool; 3]> {
    let live = copies.iter().enumerate().filter_map(|(n, copy)| Some((n, copy.as_ref()?)));
    let (places, mut fds): (Vec<usize>, Vec<PollFd<'_>>) =
        live.map(|(n, copy)| (n, PollFd::new(copy.from.as_fd(), PollFlags::POLLIN))).unzip();
    poll(&mut fds, PollTimeout::NONE)?;
    let mut ready = [false; 3];
    for (n, fd) in places.into_iter().zip(fds) {
        ready[n] = fd.any().unwrap_or(false);
    }
    Ok(ready)
}

impl Copy<'_> {
    /// One read and one blocking write; false at the stream's end, and when there is no reader any
    /// more.
    fn step(&mut self, piece: &mut [u8]) -> bool {
        let n = match self.from.read(piece) {
            Ok(n) => n,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        if n == 0 {
            if let Target::Socket(socket) = &self.to {
                // The other half may be gone already.
                let _ = socket.shutdown(Shutdown::Write);
            }
            return false;
        }
        match &mut self.to {
            Target::Socket(socket) => socket.write_all(&piece[..n]).is_ok(),
            Target::File(file) => file.write_all(&piece[..n]).is_ok(),
        }
    }
}
