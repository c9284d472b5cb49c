//! Packet filters of the VM, as listed by `nft` or else `iptables-save`; both need root.

use crate::program::said;
use serde::{Deserialize, Serialize};

/// Packet filters of the VM (nftables, or iptables over it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Whether the base chain for outgoing packets drops by policy.
    pub output_drops: bool,
    /// Whether the base chain for forwarded packets drops by policy, as Docker sets it.
    pub forward_drops: bool,
    /// Whether Docker's chains exist.
    pub docker_chains: bool,
    /// Rules that drop or reject outgoing packets, in the form of `nft`.
    pub dropping_rules: Vec<String>,
}

/// Most rules in the facts.
const MOST: usize = 20;

/// The existing filters. Empty without the rights or the programs to look.
pub async fn look() -> Filter {
    let (nft, iptables) =
        tokio::join!(said("nft", &["list", "ruleset"]), said("iptables-save", &[]));
    match (nft, iptables) {
        (Some(nft), _) => of_nft(&nft),
        (None, Some(iptables)) => of_iptables(&iptables),
        (None, None) => Filter::default(),
    }
}

/// The purpose of a base chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Output,
    Forward,
    Other,
}

/// Reads the output of `nft list ruleset`.
fn of_nft(text: &str) -> Filter {
    let mut filter = Filter::default();
    let mut hook = Hook::Other;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ") {
            hook = Hook::Other;
            filter.docker_chains |= name.starts_with("DOCKER");
        } else if let Some(base) = line.strip_prefix("type filter hook ") {
            hook = match base.split_whitespace().next() {
                Some("output") => Hook::Output,
                Some("forward") => Hook::Forward,
                _ => Hook::Other,
            };
            let drops = base.contains("policy drop");
            filter.output_drops |= drops && hook == Hook::Output;
            filter.forward_drops |= drops && hook == Hook::Forward;
        } else if hook == Hook::Output && is_dropping(line) && filter.dropping_rules.len() < MOST {
            filter.dropping_rules.push(line.to_owned());
        }
    }
    filter
}

fn is_dropping(rule: &str) -> bool {
    let verdict = |word: &str| matches!(word, "drop" | "reject");
    rule.split_whitespace().any(verdict)
}

/// Reads the output of `iptables-save`.
fn of_iptables(text: &str) -> Filter {
    let mut filter = Filter::default();
    let mut table = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        }
        if let Some(chain) = line.strip_prefix(':') {
            filter.docker_chains |= chain.starts_with("DOCKER");
            filter.output_drops |= table == "filter" && chain.starts_with("OUTPUT DROP");
            filter.forward_drops |= table == "filter" && chain.starts_with("FORWARD DROP");
        }
        let drops = line.contains(" -j DROP") || line.contains(" -j REJECT");
        if line.starts_with("-A OUTPUT ") && drops && filter.dropping_rules.len() < MOST {
            filter.dropping_rules.push(line.to_owned());
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let nft = "table ip filter {\n\tchain DOCKER {\n\t}\n\n\tchain FORWARD {\n\
                   \t\ttype filter hook forward priority filter; policy drop;\n\
                   \t\tcounter packets 0 bytes 0 jump DOCKER\n\t\tip saddr 10.0.0.0/8 drop\n\t}\n\n\
                   \tchain OUTPUT {\n\
                   \t\ttype filter hook output priority filter; policy accept;\n\
                   \t\tudp dport 53 counter packets 1 bytes 2 drop\n\t}\n}\n";
        let iptables = "*nat\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\nCOMMIT\n*filter\n\
                        :INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n\
                        :OUTPUT ACCEPT [0:0]\n-A FORWARD -s 10.0.0.0/8 -j DROP\n\
                        -A OUTPUT -p udp -m udp --dport 53 -j DROP\nCOMMIT\n";
        for (filter, rule) in [
            (of_nft(nft), "udp dport 53 counter packets 1 bytes 2 drop"),
            (of_iptables(iptables), "-A OUTPUT -p udp -m udp --dport 53 -j DROP"),
        ] {
            assert_eq!(
                (filter.output_drops, filter.forward_drops, filter.docker_chains),
                (false, true, true)
            );
            assert_eq!(filter.dropping_rules, [rule]);
        }
        let closed = of_nft("chain out {\n type filter hook output priority 0; policy drop;\n}\n");
        assert!(closed.output_drops && !closed.forward_drops);
        assert_eq!(
            of_nft(
                "chain prerouting {\n type nat hook output priority 0; policy accept;\n drop\n}\n"
            ),
            Filter::default()
        );
        assert_eq!(of_iptables(""), Filter::default());
    }
}
