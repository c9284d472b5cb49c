//! Versions of Windows and of WSL, as far as settings depend on them.

use std::fmt;
use std::str::FromStr;

/// A Windows, by its build: the rest of its version has been 10.0 for all that WSL 2 runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Windows(pub u32);

impl Windows {
    /// The first Windows 11.
    pub const ELEVEN: Self = Self(22_000);
    /// Windows 11 22H2.
    pub const ELEVEN_22H2: Self = Self(22_621);
}

/// Written as people call it, then the build.
impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0..22_000 => "10",
            22_000..22_621 => "11 21H2",
            22_621 => "11 22H2",
            22_631 => "11 23H2",
            26_100 => "11 24H2",
            _ => "11",
        };
        write!(f, "Windows {name} ({})", self.0)
    }
}

/// From `10.0.22631`, `10.0.22631.4317`, `Windows 10.0.22631`, or the build alone.
impl FromStr for Windows {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion { what: "Windows", example: "10.0.22631", text: text.to_owned() };
        let plain = text.trim().strip_prefix("Windows ").unwrap_or_else(|| text.trim());
        let parts: Vec<u32> =
            plain.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        match parts[..] {
            [build] | [10, 0, build] | [10, 0, build, _] => Ok(Self(build)),
            _ => Err(bad()),
        }
    }
}

/// A WSL, by the first three numbers of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wsl(pub [u32; 3]);

impl fmt::Display for Wsl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "WSL {major}.{minor}.{patch}")
    }
}

/// From `2.5.9`, `2.5.9.0`, or `2.5`.
impl FromStr for Wsl {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion { what: "WSL", example: "2.5.9", text: text.to_owned() };
        let parts: Vec<u32> =
            text.trim().split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        match parts[..] {
            [major, minor] => Ok(Self([major, minor, 0])),
            [major, minor, patch] | [major, minor, patch, _] => Ok(Self([major, minor, patch])),
            _ => Err(bad()),
        }
    }
}

/// The text is not a version of that program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a version of {what}: a version looks like {example}")]
pub struct BadVersion {
    what: &'static str,
    example: &'static str,
    text: String,
}

/// The known facts of the machine that the settings are for. Checks skip facts that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Its Windows.
    pub windows: Option<Windows>,
    /// Its WSL.
    pub wsl: Option<Wsl>,
}

impl Versions {
    /// Whether the Windows is known to be older.
    #[must_use]
    pub fn windows_is_before(&self, needed: Windows) -> bool {
        self.windows.is_some_and(|windows| windows < needed)
    }

    /// Whether the WSL is known to be older.
    #[must_use]
    pub fn wsl_is_before(&self, needed: Wsl) -> bool {
        self.wsl.is_some_and(|wsl| wsl < needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_windows_and_wsl_write_them() {
        for text in ["10.0.22631", "10.0.22631.4317", "Windows 10.0.22631.4317", "22631"] {
            assert_eq!(text.parse(), Ok(Windows(22_631)), "{text}");
        }
        assert_eq!("Windows 10.0.22631".parse(), Ok(Windows(22_631)));
        assert!("Linux 6.6.87".parse::<Windows>().is_err());
        assert_eq!("2.5.9.0".parse(), Ok(Wsl([2, 5, 9])));
        assert!("2.5.10".parse::<Wsl>().unwrap() > "2.5.9".parse().unwrap());
        let error = "Ubuntu".parse::<Wsl>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "'Ubuntu' is not a version of WSL: a version looks like 2.5.9"
        );
        assert!("6.1.7601".parse::<Windows>().is_err());
        assert_eq!(Windows(19_045).to_string(), "Windows 10 (19045)");
        assert_eq!(Windows::ELEVEN_22H2.to_string(), "Windows 11 22H2 (22621)");
    }
}
