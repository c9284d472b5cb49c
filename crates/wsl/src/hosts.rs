//! `/etc/hosts` as the C library reads it (hosts(5)).

use std::net::IpAddr;

/// The lines of a text that name a host, from 1, each with its address. Case is ignored, and so is
/// a dot at the name's end.
pub fn lines_for<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (usize, IpAddr)> + 'a {
    let name = name.trim_end_matches('.');
    text.lines().enumerate().filter_map(move |(index, line)| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some((index + 1, address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        let hosts = "127.0.0.1 localhost # not this one: git\n10.1.2.3\tgit.corp.example GIT\n\
                     10.1.2.4 git\nx git\n";
        let found = |name: &str| {
            lines_for(hosts, name).map(|(line, at)| (line, at.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(found("git"), [(2, "10.1.2.3".to_owned()), (3, "10.1.2.4".to_owned())]);
        assert_eq!(found("git.corp.example."), [(2, "10.1.2.3".to_owned())]);
        assert!(found("gi").is_empty() && found("10.1.2.4").is_empty());
    }
}
