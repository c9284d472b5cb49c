//! A model of WSL's interop: how a Linux process starts a Windows program, and how its standard
//! streams are carried.
//!
//! What is modelled is what microsoft/WSL does, as far as programs can notice it: [`init`] is the
//! Linux half, what `/init` does when binfmt_misc starts it for a file that begins with `MZ`;
//! [`host`] is the Windows half, what wsl.exe or wslhost.exe does. Four sockets join them, as four
//! hvsockets do there: standard input, output, error, and control.
//!
//! - The Linux half is one thread that polls all streams and copies at most a buffer at a time with
//!   *blocking* writes (microsoft/WSL, `src/linux/init/binfmt.cpp`,
//!   `CreateProcessUtilityVm`): while it waits for the program to take its input, it takes none of
//!   the program's output. Two programs that each wait for the other to read deadlock for good, as
//!   in WSL.
//! - The Windows half has a thread for each stream, and pipes of a buffer to the program. A buffer
//!   has 4 KiB (`src/shared/inc/lxinitshared.h`, `LX_RELAY_BUFFER_SIZE`), and 64 KiB from
//!   microsoft/WSL pull request 41603 on: the host's option.
//! - A Linux half whose request is not answered gives up after [`init::ACCEPT_TIMEOUT`] with the
//!   words and the exit code of `/init`. A socket whose Windows half is gone stays in place and
//!   takes connections (microsoft/WSL issues 41283, 41592).
//! - The Windows half can lose or double a run of bytes of a stream (microsoft/WSL issue 41063):
//!   see [`damage`].
//! - Paths below `/mnt/` and a letter are Windows' drives. A program that Windows does not start is
//!   told by an error of Linux' alone.
//! - When the Linux half dies the program is ended; when the Windows half dies the program is
//!   orphaned, and only sees its pipes break.
#![forbid(unsafe_code)]

pub mod damage;
pub mod host;
pub mod init;
pub mod wsl;

use serde::{Deserialize, Serialize};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Bytes of each copy where the Windows half names none.
const BUFFER: usize = 4096;

/// The most bytes that a half may be asked to copy at a time.
pub const MOST_BUFFER: usize = 1 << 20;

/// The variable with the path of the Windows half's socket, as in WSL.
pub const SOCKET_VARIABLE: &str = "WSL_INTEROP";

/// What one of the four sockets is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Towards the program.
    Stdin,
    /// From the program.
    Stdout,
    /// From the program.
    Stderr,
    /// The program's exit code, and who is still there.
    Control,
}

/// The first line on each socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Which four sockets belong together.
    pub session: String,
    /// What this one is for.
    pub role: Role,
    /// The program's path and its arguments, without its own name.
    pub command: Vec<String>,
    /// Where it is to run.
    pub directory: PathBuf,
}

/// That the Windows half is there; the only line that comes by the socket of standard input. It is
/// what the connections of wslhost.exe are to `/init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Bytes that each half copies at a time.
    pub buffer: usize,
}

/// What became of the program; the last line on the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It ran, and gave this exit code.
    Exited(u8),
    /// It was not started, for this error of Linux'. WSL knows ENOENT for a missing file, EACCES
    /// where an administrator is needed, and EINVAL for everything else.
    NotStarted(i32),
}

fn send(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads a line byte by byte, so that nothing behind it is taken.
fn receive<T: for<'a> Deserialize<'a>>(stream: &UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::with_capacity(1, stream).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}
