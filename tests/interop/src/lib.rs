//! A model of WSL's interop: how a Linux process starts a Windows program, and how its standard
//! streams are carried.
//!
//! It follows microsoft/WSL as far as programs can notice it. [`init`] is the Linux half: `/init`,
//! which binfmt_misc starts for a file that begins with `MZ`. [`host`] is the Windows half: wsl.exe
//! or wslhost.exe. Four sockets join them, like four hvsockets there: standard input, output,
//! error, and control.
//!
//! - The Linux half is one thread that polls all streams and copies at most a buffer at a time with
//!   *blocking* writes (microsoft/WSL, `src/linux/init/binfmt.cpp`, `CreateProcessUtilityVm`).
//!   While it waits for the program to take its input, it takes none of the program's output. Two
//!   programs that each wait for the other to read deadlock for good, as in WSL.
//! - The Windows half has a thread for each stream, and pipes of a buffer to the program. A buffer
//!   has 4 KiB (`src/shared/inc/lxinitshared.h`, `LX_RELAY_BUFFER_SIZE`), and 64 KiB from
//!   microsoft/WSL pull request 41603 on: the host's option.
//! - A Linux half without an answer gives up after [`init::ACCEPT_TIMEOUT`] with the message and
//!   the exit code of `/init`. A socket whose Windows half is gone stays in place and
//!   takes connections (microsoft/WSL issues 41283, 41592).
//! - The Windows half can lose or duplicate a run of bytes of a stream (microsoft/WSL issue 41063):
//!   see [`damage`].
//! - Paths below `/mnt/` and a letter are Windows' drives. Only a Linux error reports a program
//!   that Windows does not start.
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

/// Bytes of each copy if the Windows half sets no number.
const BUFFER: usize = 4096;

/// The largest copy that a half may be asked for.
pub const MOST_BUFFER: usize = 1 << 20;

/// The variable with the path of the Windows half's socket, as in WSL.
pub const SOCKET_VARIABLE: &str = "WSL_INTEROP";

/// The purpose of one of the four sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// To the program.
    Stdin,
    /// From the program.
    Stdout,
    /// From the program.
    Stderr,
    /// The program's exit code, and whether the other half still exists.
    Control,
}

/// The first line on each socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The four sockets with the same value belong together.
    pub session: String,
    /// The purpose of this one.
    pub role: Role,
    /// The program's path and its arguments, without its own name.
    pub command: Vec<String>,
    /// Its current folder.
    pub directory: PathBuf,
}

/// A sign that the Windows half exists; the only line on the socket of standard input. It stands
/// for the connections of wslhost.exe to `/init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Bytes that each half copies at a time.
    pub buffer: usize,
}

/// The outcome of the program; the last line on the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It ran, and returned this exit code.
    Exited(u8),
    /// It was not started, with this Linux error. WSL uses ENOENT for a missing file, EACCES if an
    /// administrator is needed, and EINVAL for everything else.
    NotStarted(i32),
}

fn send(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads a line byte by byte, so that nothing after it is taken.
fn receive<T: for<'a> Deserialize<'a>>(stream: &UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::with_capacity(1, stream).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}
