//! Removes private data from a self-test's findings, since their reports are passed on: addresses
//! of the user's network, and the user's name in paths. Loopback addresses say nothing of a
//! network.

use std::net::{IpAddr, SocketAddr};

/// What stands for an address.
const ADDRESS: &str = "[address]";

/// What stands for a user's name.
const USER: &str = "[user]";

/// The folders of users on Windows and Linux, in lower case, with either separator.
const HOMES: [&str; 3] = ["users/", "users\\", "/home/"];

/// Where a path ends that has no more separators.
const PATH_ENDS: [char; 10] = ['\n', '\'', '"', ':', ';', ',', '(', ')', '<', '>'];

/// The same text without addresses and names of users.
pub(super) fn redacted(text: &str) -> String {
    without_addresses(&without_users(text))
}

fn without_users(text: &str) -> String {
    // Only ASCII letters change, so that places stay the same.
    let lower = text.to_ascii_lowercase();
    let (mut result, mut from) = (String::new(), 0);
    let home = |from: usize| {
        HOMES.iter().filter_map(|home| Some(lower[from..].find(home)? + from + home.len())).min()
    };
    while let Some(begin) = home(from) {
        let rest = &text[begin..];
        // A name may have spaces; where a path goes on, it ends with the separator.
        let end = rest.find(|letter| PATH_ENDS.contains(&letter) || ['/', '\\'].contains(&letter));
        result.push_str(&text[from..begin]);
        result.push_str(USER);
        from = begin + end.unwrap_or(rest.len());
    }
    result + &text[from..]
}

fn without_addresses(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_hexdigit() || ".:".contains(letter);
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (mut result, mut rest) = (String::new(), text);
    while let Some(begin) = rest.find(is_part) {
        let before = rest[..begin].chars().next_back();
        let run = &rest[begin..];
        let run = &run[..run.find(|letter| !is_part(letter)).unwrap_or(run.len())];
        let after = rest[begin + run.len()..].chars().next();
        let is_alone = !before.is_some_and(is_word) && !after.is_some_and(is_word);
        result.push_str(&rest[..begin]);
        match in_place_of(run).filter(|_| is_alone) {
            Some(replaced) => result.push_str(&replaced),
            None => result.push_str(run),
        }
        rest = &rest[begin + run.len()..];
    }
    result + rest
}

/// The substitute for an address with or without a port, and with the end of a sentence after it.
fn in_place_of(run: &str) -> Option<String> {
    let address = run.trim_end_matches(['.', ':']);
    let (ip, port) = match (address.parse::<IpAddr>(), address.parse::<SocketAddr>()) {
        (Ok(ip), _) => (ip, String::new()),
        (_, Ok(socket)) => (socket.ip(), format!(":{}", socket.port())),
        _ => return None,
    };
    let says_nothing = ip.is_loopback() || ip.is_unspecified();
    (!says_nothing).then(|| format!("{ADDRESS}{port}{}", &run[address.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_users_are_left_out_and_all_else_stays() {
        for (text, left) in [
            (
                "no connection to 10.20.30.40:443: refused",
                "no connection to [address]:443: refused",
            ),
            ("the server is 10.1.2.3.", "the server is [address]."),
            ("10.0.0.0/8 and [2001:db8::1]:53", "[address]/8 and [[address]]:53"),
            ("fe80::1%eth0", "[address]%eth0"),
            (
                "the host's 127.0.0.1 is reached, and ::1",
                "the host's 127.0.0.1 is reached, and ::1",
            ),
            (
                "2026-11-29T23:54:48.168969Z  WARN gateway::lane: x",
                "2026-11-29T23:54:48.168969Z  WARN gateway::lane: x",
            ),
            ("Windows 10.0.22631, 4 of 5", "Windows 10.0.22631, 4 of 5"),
            (
                "the relay /mnt/c/Users/Anna Müller/AppData/Local/underpass/r.exe ended",
                "the relay /mnt/c/Users/[user]/AppData/Local/underpass/r.exe ended",
            ),
            (
                r"C:\Users\Anna Müller\.wslconfig, 'C:\users\anna'",
                r"C:\Users\[user]\.wslconfig, 'C:\users\[user]'",
            ),
            ("/home/anna/x: Permission denied", "/home/[user]/x: Permission denied"),
        ] {
            assert_eq!(redacted(text), left);
        }
    }
}
