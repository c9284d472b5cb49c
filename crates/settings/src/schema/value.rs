//! What a value means, read as WSL reads it.

use super::Kind;
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
                match UNITS.iter().rev().find(|(_, shift)| *bytes > 0 && bytes.is_multiple_of(1_u64 << *shift)) {
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
pub(super) fn parse(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Int => parse_int(text).map(Value::Int),
        Kind::Size => parse_size(text).map(Value::Size),
        Kind::Choice(choices) => {
            choices.iter().find(|choice| choice.eq_ignore_ascii_case(text)).copied().map(Value::Choice)
        }
        Kind::Ports => {
            let is_port = |port: &str| port.trim().parse::<u16>().is_ok_and(|port| port > 0);
            text.split(',').filter(|port| !port.is_empty()).all(is_port).then(|| Value::Text(text.to_owned()))
        }
        Kind::Address => text.parse::<Ipv4Addr>().ok().map(|address| Value::Text(address.to_string())),
        Kind::Mac => is_mac(text).then(|| Value::Text(text.to_owned())),
        Kind::Text => Some(Value::Text(text.to_owned())),
    }
}

/// C's `strtol` with base 0, all of the text.
fn parse_int(text: &str) -> Option<i32> {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if digits.starts_with('0') && digits.len() > 1 => (8, &digits[1..]),
        None => (10, digits),
    };
    // A sign behind the sign is none of C's.
    let number = if digits.starts_with(['+', '-']) { None } else { i64::from_str_radix(digits, radix).ok() };
    i32::try_from(number? * sign).ok()
}

/// Bytes from digits and a unit, as WSL has it: `8GB`, `512M`, `0`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit);
    let number: u64 = digits.parse().ok()?;
    if number == 0 && digits != "0" {
        return None;
    }
    let shift = match unit {
        "" => 0,
        unit => UNITS.iter().find(|(name, _)| *name == unit || name[..1] == *unit)?.1,
    };
    number.checked_mul(1_u64 << shift)
}

/// Six pairs of hexadecimal digits, `:` or `-` between them.
fn is_mac(text: &str) -> bool {
    let is_pair = |pair: &str| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit());
    [':', '-'].iter().any(|separator| text.split(*separator).count() == 6 && text.split(*separator).all(is_pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_four_words() {
        assert_eq!(parse(Kind::Bool, "TRUE"), Some(Value::Bool(true)));
        assert_eq!(parse(Kind::Bool, "0"), Some(Value::Bool(false)));
        for bad in ["yes", "on", "", "2", "true "] {
            assert_eq!(parse(Kind::Bool, bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_those_of_c() {
        for (text, number) in [("5000", 5000), ("-1", -1), ("0x10", 16), ("010", 8), ("0", 0), ("+7", 7), (" 7", 7)] {
            assert_eq!(parse_int(text), Some(number), "{text}");
        }
        for bad in ["", "08", "0x", "1s", "1 ", "--1", "0x-1", "2147483648", "3.5"] {
            assert_eq!(parse_int(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_have_units_in_capitals_without_a_space() {
        for (text, bytes) in
            [("8GB", 8 << 30), ("512M", 512 << 20), ("1TB", 1 << 40), ("4096", 4096), ("1B", 1), ("0", 0), ("2K", 2048)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["8 GB", "8gb", "8GiB", "", "GB", "8.5GB", "00", "99999999999TB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        assert_eq!(Value::Size(8 << 30).to_string(), "8GB");
        assert_eq!([Value::Size(0), Value::Size(1536)].map(|v| v.to_string()), ["0", "1536B"]);
    }

    #[test]
    fn others_are_what_they_say() {
        let modes = Kind::Choice(&["nat", "mirrored"]);
        assert_eq!(parse(modes, "Mirrored"), Some(Value::Choice("mirrored")));
        assert_eq!(parse(modes, "mirror"), None);
        assert!(parse(Kind::Ports, "3000,9000").is_some() && parse(Kind::Ports, "3000,70000").is_none());
        assert!(parse(Kind::Address, "10.255.255.254").is_some() && parse(Kind::Address, "10.255").is_none());
        assert!(parse(Kind::Mac, "00-15-5d-01-02-03").is_some() && parse(Kind::Mac, "00155d010203").is_none());
    }
}
