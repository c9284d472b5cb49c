//! `resolv.conf` as read by the GNU C library (`res_vinit_1` and `__resolv_conf_load` in
//! resolv/res_init.c): a keyword at the beginning of a line, a blank or tab after it, and only a
//! line feed at its end. So a file with carriage returns names no server.

use crate::Nameserver;

/// The most servers that are queried (`MAXNS` in resolv.h); further ones are ignored.
pub const MOST_SERVERS: usize = 3;

/// The content of a `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Every server that it names, in its order.
    pub named: Vec<Nameserver>,
    /// The search domains of a name with few dots: the last `search` or `domain` counts.
    pub search: Vec<String>,
}

impl ResolvConf {
    /// Reads a file's text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.split('\n').filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(value) = value(line, "nameserver") {
                // Text after the address is ignored.
                conf.named.extend(words(value).next().and_then(|word| word.parse().ok()));
            } else if let Some(value) = value(line, "search") {
                conf.search = words(value).map(str::to_owned).collect();
            } else if let Some(value) = value(line, "domain") {
                conf.search = words(value).take(1).map(str::to_owned).collect();
            }
        }
        conf
    }

    /// The servers that are queried.
    #[must_use]
    pub fn servers(&self) -> &[Nameserver] {
        &self.named[..self.named.len().min(MOST_SERVERS)]
    }
}

fn value<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    line.strip_prefix(keyword).filter(|value| value.starts_with([' ', '\t']))
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        ResolvConf::read(text).servers().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_are_taken_in_order_and_no_more_than_three() {
        let text = "# nameserver 192.0.2.9\n;nameserver 192.0.2.9\nnameserver 192.0.2.1\n\
                    nameserver\tfe80::1%eth0 # ours\n\
                    nameserver192.0.2.9\n nameserver 192.0.2.9\nnameserver \t 2001:db8::53\n\
                    nameserver x\nnameserver\n\
                    nameserver 192.0.2.4";
        assert_eq!(servers(text), ["192.0.2.1", "fe80::1%eth0", "2001:db8::53"]);
        assert_eq!(ResolvConf::read(text).named.len(), 4);
    }

    #[test]
    fn a_carriage_return_is_a_part_of_the_address() {
        assert!(servers("nameserver 192.0.2.1\r\nnameserver 192.0.2.2\r\n").is_empty());
        assert_eq!(servers("nameserver 192.0.2.1 \r\n"), ["192.0.2.1"]);
    }

    #[test]
    fn the_last_search_list_counts() {
        let read = |text: &str| ResolvConf::read(text).search;
        assert_eq!(read("search a.test  b.test\n"), ["a.test", "b.test"]);
        assert_eq!(read("search a.test\ndomain c.test d.test\n"), ["c.test"]);
        assert!(read("searching a.test\n").is_empty());
    }
}
