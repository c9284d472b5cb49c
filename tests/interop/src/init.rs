//! The Linux half: one thread, blocking copies.

use crate::{Ending, Opening, PIECE, Role, SOCKET_VARIABLE, receive, send};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a stream of bytes comes from, and where it goes.
struct Copy<'a> {
    from: File,
    to: Target<'a>,
}

enum Target<'a> {
    /// Its end is told to the other half.
    Socket(&'a UnixStream),
    File(File),
}

/// Starts the program by the Windows half whose socket `WSL_INTEROP` names, carries its streams, and gives its exit code. `command` is
/// its path and its arguments.
///
/// # Errors
/// There is no Windows half, or it ended.
#[expect(clippy::disallowed_methods, reason = "a session's name is to be new each time")]
pub fn run(command: Vec<String>) -> io::Result<u8> {
    let socket = env::var_os(SOCKET_VARIABLE).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("{SOCKET_VARIABLE} is not set: no Windows to ask"))
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let session = format!("{}-{now}", std::process::id());
    let directory = env::current_dir()?;
    let open = |role| {
        let mut stream = UnixStream::connect(&socket)?;
        let (session, command, directory) = (session.clone(), command.clone(), directory.clone());
        send(&mut stream, &Opening { session, role, command, directory })?;
        io::Result::Ok(stream)
    };
    let [stdin, stdout, stderr, control] =
        [open(Role::Stdin)?, open(Role::Stdout)?, open(Role::Stderr)?, open(Role::Control)?];
    let file = |fd: BorrowedFd<'_>| io::Result::Ok(File::from(fd.try_clone_to_owned()?));
    let mut copies = [
        Some(Copy { from: file(io::stdin().as_fd())?, to: Target::Socket(&stdin) }),
        Some(Copy { from: file(stdout.as_fd())?, to: Target::File(file(io::stdout().as_fd())?) }),
        Some(Copy { from: file(stderr.as_fd())?, to: Target::File(file(io::stderr().as_fd())?) }),
    ];
    let mut piece = [0; PIECE];
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
                    writeln!(io::stderr(), "{program}: {}", nix::errno::Errno::from_raw(errno).desc())?;
                    Ok(1)
                }
            };
        }
    }
}

/// Which of the copies can go on. When the Windows half dies, all of its streams end.
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
    /// One read and one blocking write; false at the stream's end, and when nobody takes it any more.
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
