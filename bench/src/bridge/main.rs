//! `underpass-stdio-bridge TAP PROGRAM [ARG…]`: carries Ethernet frames between a TAP and a
//! program's standard streams, each after its length in two little-endian bytes, gvproxy's format.
//! It stands for wsl-vpnkit's `gvforwarder`, which Debian does not have.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use tun_tap::{Iface, Mode};

/// The largest frame that fits a length of two bytes.
const LARGEST: usize = u16::MAX as usize;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "underpass-stdio-bridge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until the program ends.
fn run() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let name = words.next().context("which TAP?")?;
    let program = words.next().context("which program?")?;
    let tap = Arc::new(Iface::without_packet_info(&name, Mode::Tap).with_context(|| name.clone())?);
    let mut child =
        Command::new(&program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (to, from) = child.stdin.take().zip(child.stdout.take()).context("no pipes")?;
    let outwards = Arc::clone(&tap);
    // It ends with the process.
    let _ = std::thread::spawn(move || copy_out(&outwards, to));
    copy_in(&tap, from)?;
    child.wait()?;
    Ok(())
}

fn copy_out(tap: &Iface, mut to: impl Write) -> anyhow::Result<()> {
    let mut frame = vec![0; 2 + LARGEST];
    loop {
        let length = tap.recv(&mut frame[2..])?;
        frame[..2].copy_from_slice(&u16::try_from(length)?.to_le_bytes());
        to.write_all(&frame[..2 + length])?;
    }
}

fn copy_in(tap: &Iface, from: impl Read) -> anyhow::Result<()> {
    let mut from = std::io::BufReader::with_capacity(LARGEST, from);
    let (mut length, mut frame) = ([0; 2], vec![0; LARGEST]);
    while from.read_exact(&mut length).is_ok() {
        let frame = &mut frame[..usize::from(u16::from_le_bytes(length))];
        from.read_exact(frame)?;
        // A frame that the device does not take is lost, as on a cable.
        let _ = tap.send(frame);
    }
    Ok(())
}
