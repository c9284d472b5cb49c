//! The meaning of a value, read as WSL reads it.

use super::Kind;
use crate::settings::ini::Reader;
use std::fmt;
use std::net::Ipv4Addr;

/// A value that WSL can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// On or off.
    Bool(bool),
    /// A number.
    Int(i32),
    /// Bytes.
    Size(u64),
    /// One of a few, as WSL spells it.
    Choice(&'static str),
    /// Anything else, as it stands.
    Text(String),
}

/// As WSL would write it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Size(bytes) => {
                match UNITS
                    .iter()
                    .rev()
                    .find(|(_, shift)| *bytes > 0 && bytes.is_multiple_of(1_u64 << *shift))
                {
                    Some((unit, shift)) => write!(f, "{}{unit}", bytes >> shift),
                    None => write!(f, "{bytes}"),
                }
            }
            Self::Choice(value) => f.write_str(value),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// Units of sizes, and the power of two that each is.
const UNITS: [(&str, u32); 5] = [("B", 0), ("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40)];

/// What a text means as a value of this kind.
pub(super) fn parse(kind: Kind, reader: Reader, text: &str) -> Option<Value> {
    match kind {
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Int => parse_int(text, reader).map(Value::Int),
        Kind::Size => parse_size(text).map(Value::Size),
        Kind::Choice(choices) => choices
            .iter()
            .find(|choice| choice.eq_ignore_ascii_case(text))
            .copied()
            .map(Value::Choice),
        Kind::Ports => {
            let is_port = |port: &str| parse_port(port).is_some();
            let ports = text.split(',').filter(|port| !port.is_empty());
            ports.into_iter().all(is_port).then(|| Value::Text(text.to_owned()))
        }
        Kind::Address => {
            text.parse::<Ipv4Addr>().ok().map(|address| Value::Text(address.to_string()))
        }
        Kind::Mac => is_mac(text).then(|| Value::Text(text.to_owned())),
        Kind::Text => Some(Value::Text(text.to_owned())),
    }
}

/// What C's functions skip before a number.
const C_SPACES: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];

/// A sign, if one stands there, and what follows it.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// C's `strtol` with base 0, all of the text (`ConfigKey::ParseImpl`). On Windows a `long` has 32
/// bits, so a number that is too large is the largest there is; in the distro it is refused.
fn parse_int(text: &str, reader: Reader) -> Option<i32> {
    let (is_negative, digits) = sign(text.trim_start_matches(C_SPACES));
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if digits.starts_with('0') && digits.len() > 1 => (8, &digits[1..]),
        None => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // More digits than an i128 has are too many for a long as well.
    let number = i128::from_str_radix(digits, radix).unwrap_or(i128::MAX);
    let number = if is_negative { -number } else { number };
    match reader {
        Reader::Windows => i32::try_from(number.clamp(i32::MIN.into(), i32::MAX.into())).ok(),
        Reader::Linux => i32::try_from(number).ok(),
    }
}

/// A port as `std::stoi` reads it (`parseIgnoredPorts`): digits after spaces and a sign, whatever
/// follows.
fn parse_port(text: &str) -> Option<u16> {
    let (is_negative, digits) = sign(text.trim_start_matches(C_SPACES));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|port| *port > 0 && !is_negative)
}

/// Bytes from digits and a unit: `8GB`, `512M`, `0` (`ParseMemorySize` in
/// `src/shared/inc/stringshared.h`, by `strtoull` with base 10). As there a number that is too
/// large becomes another one.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (is_negative, digits) = sign(text.trim_start_matches(C_SPACES));
    let unit = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, unit) = digits.split_at(unit);
    if digits.is_empty() {
        return None;
    }
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    // A zero is one digit, and the text's first.
    if number == 0 && (digits != "0" || !text.starts_with('0')) {
        return None;
    }
    let number = if is_negative { number.wrapping_neg() } else { number };
    let shift = match unit {
        "" => 0,
        unit => UNITS.iter().find(|(name, _)| *name == unit || name[..1] == *unit)?.1,
    };
    Some(number.wrapping_mul(1_u64 << shift))
}

/// Six pairs of hexadecimal digits, `:` or `-` between them.
fn is_mac(text: &str) -> bool {
    let is_pair = |pair: &str| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit());
    [':', '-']
        .iter()
        .any(|separator| text.split(*separator).count() == 6 && text.split(*separator).all(is_pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_four_words() {
        assert_eq!(parse(Kind::Bool, Reader::Windows, "TRUE"), Some(Value::Bool(true)));
        assert_eq!(parse(Kind::Bool, Reader::Windows, "0"), Some(Value::Bool(false)));
        for bad in ["yes", "on", "", "2", "true "] {
            assert_eq!(parse(Kind::Bool, Reader::Windows, bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_those_of_c() {
        for (text, number) in
            [("5000", 5000), ("-1", -1), ("0x10", 16), ("010", 8), ("0", 0), ("+7", 7), (" 7", 7)]
        {
            for reader in [Reader::Windows, Reader::Linux] {
                assert_eq!(parse_int(text, reader), Some(number), "{text}");
            }
        }
        for bad in ["", "08", "0x", "1s", "1 ", "--1", "0x-1", "3.5", "+", "-"] {
            assert_eq!(parse_int(bad, Reader::Windows), None, "{bad}");
        }
        // A long of Windows ends where an int does, and strtol gives its end.
        for (text, number) in [("2147483648", i32::MAX), ("-9999999999", i32::MIN)] {
            assert_eq!(parse_int(text, Reader::Windows), Some(number), "{text}");
            assert_eq!(parse_int(text, Reader::Linux), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_units_in_capitals_without_a_space() {
        for (text, bytes) in [
            ("8GB", 8 << 30),
            ("512M", 512 << 20),
            ("1TB", 1 << 40),
            ("4096", 4096),
            ("1B", 1),
            ("0", 0),
            ("2K", 2048),
            ("0GB", 0),
            ("+8GB", 8 << 30),
            (" 1MB", 1 << 20),
            ("08GB", 8 << 30),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["8 GB", "8gb", "8GiB", "", "GB", "8.5GB", "00", "+0", "-"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        // strtoull takes a sign, and nothing looks whether the product still fits.
        assert_eq!(parse_size("-1B"), Some(u64::MAX));
        assert_eq!(parse_size("99999999999TB"), Some(99_999_999_999_u64.wrapping_mul(1 << 40)));
        assert_eq!(Value::Size(8 << 30).to_string(), "8GB");
        assert_eq!([Value::Size(0), Value::Size(1536)].map(|v| v.to_string()), ["0", "1536B"]);
    }

    #[test]
    fn others_are_what_they_say() {
        let modes = Kind::Choice(&["nat", "mirrored"]);
        assert_eq!(parse(modes, Reader::Windows, "Mirrored"), Some(Value::Choice("mirrored")));
        assert_eq!(parse(modes, Reader::Windows, "mirror"), None);
        assert!(
            parse(Kind::Ports, Reader::Windows, "3000,9000").is_some()
                && parse(Kind::Ports, Reader::Windows, "3000,70000").is_none()
        );
        for (text, is_port) in
            [(" 80,,443 ", true), ("80abc", true), ("0", false), ("-80", false), ("x", false)]
        {
            assert_eq!(parse(Kind::Ports, Reader::Windows, text).is_some(), is_port, "{text}");
        }
        assert!(
            parse(Kind::Address, Reader::Windows, "10.255.255.254").is_some()
                && parse(Kind::Address, Reader::Windows, "10.255").is_none()
        );
        assert!(
            parse(Kind::Mac, Reader::Windows, "00-15-5d-01-02-03").is_some()
                && parse(Kind::Mac, Reader::Windows, "00155d010203").is_none()
        );
    }
}
