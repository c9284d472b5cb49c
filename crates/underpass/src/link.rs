//! Links to files for terminals that follow them (OSC 8,
//! <https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda>).

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The path of a file as a link to it. In WSL the terminal is a program of Windows, which finds the
/// distro's files below `wsl.localhost`.
pub(crate) fn to_file(path: &Path, distro: Option<&str>) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut address = "file://".to_owned();
    if let Some(distro) = distro {
        address += "wsl.localhost/";
        push_encoded(&mut address, distro.as_bytes());
    }
    push_encoded(&mut address, absolute.as_os_str().as_bytes());
    let shown = path.display().to_string();
    format!("\x1b]8;;{address}\x1b\\{}\x1b]8;;\x1b\\", messages::printable_line(&shown))
}

/// Only the letters of RFC 3986 section 2.3 and slashes stay as they are.
fn push_encoded(address: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            address.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_whole_and_nothing_in_a_name_is_obeyed() {
        assert_eq!(
            to_file(Path::new("/tmp/a b/报.html"), None),
            "\x1b]8;;file:///tmp/a%20b/%E6%8A%A5.html\x1b\\/tmp/a b/报.html\x1b]8;;\x1b\\"
        );
        let odd = to_file(Path::new("/x\x1b]0;y\x07"), Some("Ubuntu 24"));
        assert!(odd.starts_with("\x1b]8;;file://wsl.localhost/Ubuntu%2024/x%1B%5D0%3By%07\x1b\\"));
        assert_eq!(odd.matches('\x1b').count(), 4, "{odd:?}");
    }
}
