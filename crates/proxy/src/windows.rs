//! Windows' own forms of proxy settings, as text: the proxies that a setting names for a
//! connection, and the connections that its bypass list excepts. Knows no Windows: the caller
//! supplies the texts.

use crate::target::{Host, Target};
use crate::url::{ProxyUrl, Scheme};
use std::net::IpAddr;

/// The port of a proxy that a setting names without one, by its protocol.
const PORTS: [(Scheme, u16); 2] = [(Scheme::Http, 80), (Scheme::Socks5, 1080)];

/// The proxies that a setting names for a connection to `port`, in its order. Semicolons or blanks
/// separate its items, each `[KIND=][SCHEME://]HOST[:PORT]`; one without a kind is for everything.
/// If there is no item for web pages of that port, `socks=` applies.
#[must_use]
pub fn proxies(setting: &str, port: u16) -> Vec<ProxyUrl> {
    let kind = if port == 80 { "http" } else { "https" };
    let items = || {
        setting
            .split(|letter: char| letter == ';' || letter.is_whitespace())
            .filter(|item| !item.is_empty())
    };
    let of = |wanted: &str| -> Vec<ProxyUrl> {
        items()
            .filter_map(|item| {
                let (kind, place) = item.split_once('=').unwrap_or(("", item));
                if kind.eq_ignore_ascii_case(wanted) { proxy(place, wanted) } else { None }
            })
            .collect()
    };
    ["", "socks"]
        .into_iter()
        .fold(of(kind), |found, next| if found.is_empty() { of(next) } else { found })
}

fn proxy(place: &str, kind: &str) -> Option<ProxyUrl> {
    let (scheme, place) = place.split_once("://").unwrap_or(("", place));
    let socks = kind == "socks" || scheme.to_ascii_lowercase().starts_with("socks");
    let scheme = if socks { Scheme::Socks5 } else { Scheme::Http };
    let place = place.trim_end_matches('/');
    let has_port = matches!(Target::read(place), Some((_, Some(_))));
    let usual = PORTS.iter().find(|(of, _)| *of == scheme).map_or(80, |(_, port)| *port);
    let port = if has_port { String::new() } else { format!(":{usual}") };
    format!("{}://{place}{port}", scheme.as_str()).parse().ok()
}

/// Whether a bypass list excepts a connection from the proxy: by its host's name, or by its
/// address. Semicolons or blanks separate its items, each `[SCHEME://]PATTERN[:PORT]` with `*` for
/// any text, or `<local>` for names without a dot.
#[must_use]
pub fn bypasses(list: &str, name: Option<&str>, address: Option<IpAddr>, port: u16) -> bool {
    let name = name.map(str::to_ascii_lowercase);
    let address = address.map(|address| address.to_canonical());
    let forms = address.map(|address| [address.to_string(), Host::Address(address).to_string()]);
    let texts: Vec<String> = name.clone().into_iter().chain(forms.into_iter().flatten()).collect();
    let items = list
        .split(|letter: char| letter == ';' || letter.is_whitespace())
        .filter(|item| !item.is_empty());
    items.map(str::to_ascii_lowercase).any(|item| {
        if item == "<local>" {
            return name.as_ref().is_some_and(|name| !name.contains('.'));
        }
        let item = item.split_once("://").map_or(item.as_str(), |(_, rest)| rest);
        let (pattern, of) = match item.rsplit_once(':') {
            Some((pattern, of)) if !pattern.contains(':') || pattern.ends_with(']') => {
                (pattern, of.parse().ok())
            }
            _ => (item, None),
        };
        of.is_none_or(|of: u16| of == port) && texts.iter().any(|text| matches(pattern, text))
    })
}

/// Whether a text matches a pattern, whose `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        // The earliest place leaves the most for the rest.
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(setting: &str, port: u16) -> Vec<String> {
        proxies(setting, port).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_form_of_a_setting_names_its_proxy() {
        assert_eq!(named("proxy:3128", 443), ["http://proxy:3128"]);
        assert_eq!(named("proxy", 443), ["http://proxy:80"]);
        assert_eq!(named("http://proxy:8080/", 80), ["http://proxy:8080"]);
        assert_eq!(named("[fd00::1]:8080", 80), ["http://[fd00::1]:8080"]);
        assert_eq!(named("a:1;b:2 c:3", 443), ["http://a:1", "http://b:2", "http://c:3"]);
        let each = "http=a:1;https=b:2;ftp=c:3;socks=d:4";
        assert_eq!(
            (named(each, 80), named(each, 443)),
            (vec!["http://a:1".into()], vec!["http://b:2".into()])
        );
        assert_eq!(named(each, 22), ["http://b:2"]);
        assert_eq!(named("http=a:1;socks=d", 443), ["socks5://d:1080"]);
        assert_eq!(named("http=a:1", 443), [""; 0], "Windows goes directly too");
        assert_eq!(named("http=a:1;b:2", 443), ["http://b:2"]);
        assert_eq!(named("socks5://d:4", 443), ["socks5://d:4"]);
        assert_eq!(named("  ; =", 443), [""; 0]);
    }

    #[test]
    fn a_bypass_list_is_about_names_addresses_and_ports() {
        let by = |list: &str, name: Option<&str>, address: &str, port| {
            bypasses(list, name, address.parse().ok(), port)
        };
        let somewhere = "192.0.2.1";
        assert!(
            by("<local>", Some("intranet"), somewhere, 443)
                && !by("<local>", Some("a.test"), somewhere, 443)
        );
        assert!(!by("<local>", None, somewhere, 443), "an address is not a local name");
        let list = "*.corp.test;10.*; fd00::* ;host.test:8080;https://*.x.test";
        assert!(
            by(list, Some("A.Corp.test"), somewhere, 443)
                && !by(list, Some("corp.test"), somewhere, 443)
        );
        assert!(by(list, None, "10.1.2.3", 443) && by(list, Some("a.test"), "10.1.2.3", 443));
        assert!(!by(list, None, "110.1.2.3", 443) && !by(list, None, "192.0.2.10", 443));
        assert!(
            by(list, Some("host.test"), somewhere, 8080)
                && !by(list, Some("host.test"), somewhere, 443)
        );
        assert!(by(list, Some("b.x.test"), somewhere, 443) && by("*", None, somewhere, 1));
        assert!(by(list, None, "fd00::7", 443) && by("[fd00::7]", None, "fd00::7", 443));
        assert!(!by("", Some("a.test"), somewhere, 443));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_a_plain_search_would_say(
            pattern in "[ab*]{0,6}",
            text in "[ab]{0,8}",
        ) {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
                    Some((letter, rest)) => text.first() == Some(letter) && slow(rest, &text[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_setting_panics(text in "[a-z0-9:;=/\\[\\]<>* .]{0,40}") {
            let _ = proxies(&text, 443);
            let _ = bypasses(&text, Some("a.test"), Some(IpAddr::from([192, 0, 2, 1])), 443);
        }
    }
}
