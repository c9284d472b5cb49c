//! A run of bytes that a stream loses or repeats, as users of WSL report it (microsoft/WSL issue
//! 41063). A file describes it in four words: `input drop 100000 512`, with the stream (`input` or
//! `output` of the program), `drop` or `double`, the start of the run, and its length in bytes.

use std::fs;
use std::path::Path;

/// One of the program's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// To the program.
    Input,
    /// From the program.
    Output,
}

/// The damage to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Drop,
    Double,
}

/// A run of bytes, and the position of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The damaged stream.
    pub stream: Stream,
    fate: Fate,
    /// The start and end of the run in the stream: `begin <= end`.
    begin: u64,
    end: u64,
    /// Bytes that have passed.
    passed: u64,
    /// The bytes of the run.
    run: Vec<u8>,
}

impl Damage {
    /// Reads and removes the file: the damage happens once. `None` if there is no such file.
    #[must_use]
    pub fn take(file: &Path) -> Option<Self> {
        let damage = Self::parse(&fs::read_to_string(file).ok()?)?;
        fs::remove_file(file).ok()?;
        Some(damage)
    }

    fn parse(text: &str) -> Option<Self> {
        let [stream, fate, begin, length] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let stream = match stream {
            "input" => Stream::Input,
            "output" => Stream::Output,
            _ => return None,
        };
        let fate = match fate {
            "drop" => Fate::Drop,
            "double" => Fate::Double,
            _ => return None,
        };
        let (begin, length): (u64, u64) = (begin.parse().ok()?, length.parse().ok()?);
        Some(Self { stream, fate, begin, end: begin + length, passed: 0, run: Vec::new() })
    }

    /// The stream's next bytes, with the damage.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        for byte in piece {
            let is_in_run = (self.begin..self.end).contains(&self.passed);
            self.passed += 1;
            if is_in_run && self.fate == Fate::Drop {
                continue;
            }
            out.push(*byte);
            if is_in_run {
                self.run.push(*byte);
                if self.passed == self.end {
                    out.append(&mut self.run);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_lost_or_doubled_however_the_stream_is_cut() {
        for (text, expected) in [
            ("input drop 3 4", "abchijkl"),
            ("input double 3 4", "abcdefgdefghijkl"),
            ("input drop 10 9", "abcdefghij"),
        ] {
            for step in [1, 2, 5, 12] {
                let mut damage = Damage::parse(text).unwrap();
                let out: Vec<u8> =
                    b"abcdefghijkl".chunks(step).flat_map(|piece| damage.pass(piece)).collect();
                assert_eq!(String::from_utf8_lossy(&out), expected, "{text} in pieces of {step}");
            }
        }
        assert_eq!(Damage::parse("output drop 1"), None);
    }
}
