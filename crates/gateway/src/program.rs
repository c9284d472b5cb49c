//! The kind of a program file: its system and its processor.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// A program's system and processor, according to its file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A PE image, with the name of its processor if it is known.
    Windows(Option<&'static str>),
    /// An ELF image, likewise.
    Linux(Option<&'static str>),
    /// A script, or no program at all.
    Other,
}

impl Kind {
    /// Reads the file's header. A file that cannot be read counts as a script: starting it shows
    /// the error.
    pub(crate) fn of(path: &Path) -> Self {
        Self::read(path).unwrap_or(Self::Other)
    }

    fn read(path: &Path) -> io::Result<Self> {
        // It may be another user's pipe, which must not block.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let mut file = File::from(open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Ok(Self::Other);
        }
        let mut magic = [0; 4];
        file.read_exact(&mut magic)?;
        let mut at = |offset: u32| {
            let mut bytes = [0; 4];
            file.seek(SeekFrom::Start(offset.into()))?;
            file.read_exact(&mut bytes)?;
            io::Result::Ok(bytes)
        };
        let word = |bytes: [u8; 4]| u16::from_le_bytes([bytes[0], bytes[1]]);
        if magic.starts_with(b"MZ") {
            // Microsoft, PE Format: the header's place stands at 0x3c, its machine field 4 bytes
            // after the start of its signature. For a shorter file Windows gives the error.
            let machine =
                at(0x3c).and_then(|place| at(u32::from_le_bytes(place).saturating_add(4)));
            return Ok(Self::Windows(machine.ok().and_then(|machine| match word(machine) {
                0x014c => Some("x86"),
                0x8664 => Some("x86_64"),
                0xaa64 => Some("aarch64"),
                _ => None,
            })));
        }
        if &magic == b"\x7fELF" {
            // System V ABI, ELF header: e_machine at 18. Every processor that WSL runs on is
            // little-endian.
            return Ok(Self::Linux(match word(at(18)?) {
                3 => Some("x86"),
                62 => Some("x86_64"),
                183 => Some("aarch64"),
                _ => None,
            }));
        }
        Ok(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn programs_are_distinguished_by_their_headers() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(Kind::of(&own), Kind::Linux(Some(std::env::consts::ARCH)));
        let scratch = Scratch::new("kind");
        let of = |bytes: &[u8]| Kind::of(&scratch.write("file", bytes));
        let mut windows = vec![0; 0x90];
        windows[..2].copy_from_slice(b"MZ");
        windows[0x3c] = 0x80;
        windows[0x84..0x86].copy_from_slice(&[0x64, 0xaa]);
        assert_eq!(of(&windows), Kind::Windows(Some("aarch64")));
        windows[0x3c..0x40].copy_from_slice(&[0xff; 4]);
        assert_eq!(of(&windows), Kind::Windows(None), "its header is beyond the file's end");
        assert_eq!(of(b"MZ and no more"), Kind::Windows(None));
        assert_eq!(of(b"#!/bin/sh\n"), Kind::Other);
        assert_eq!(of(b""), Kind::Other);
        assert_eq!(of(b"\x7fELF"), Kind::Other);
        assert_eq!(Kind::of(&scratch.join("missing")), Kind::Other);
    }
}
