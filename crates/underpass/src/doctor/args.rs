//! The options of `underpass doctor`.

use clap::{Args, ColorChoice};
use messages::Language;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Addresses that answer at port 443 nearly everywhere: public resolvers, which also serve DNS over
/// HTTPS. The second is in China.
const OUTSIDE: [&str; 3] = ["1.1.1.1:443", "223.5.5.5:443", "[2606:4700:4700::1111]:443"];

/// What Windows itself asks for when it wants to know whether it is online.
pub(crate) const PUBLIC_NAME: &str = "www.msftconnecttest.com";

/// Public nameservers, in the same order as [`OUTSIDE`].
const PUBLIC_DNS: [&str; 3] = ["1.1.1.1", "223.5.5.5", "8.8.8.8"];

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  underpass doctor
  underpass doctor --company git.corp.example:22 --company 10.20.0.5
  underpass doctor --only dns --lang zh
  underpass doctor --report report.html

Exit code: 0 all is well, 1 there are problems or a step is not answered with yes, 2 the command line is wrong.")]
pub(crate) struct DoctorOptions {
    /// As one JSON document: facts and findings
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a report with a picture of the way into a file, to be looked at in any browser
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Show hints in full, also where there are problems
    #[arg(long)]
    pub(crate) hints: bool,
    /// Tell of one area only: network, dns, proxy, windows, wsl or tools
    #[arg(long, value_name = "AREA")]
    pub(crate) only: Option<doctor::Area>,
    /// Whether to use colours
    #[arg(long, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
    /// Language of the findings, en or zh [default: by LC_ALL, LC_MESSAGES and LANG]
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Option<Language>,
    /// Whom to reach on the internet by TCP; repeat it for others, or for IPv6 [default: well-known
    /// resolvers, port 443]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) outside: Vec<HostPort>,
    /// A host of your company's, by name or address, that is to be reached; repeat it for more
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) company: Vec<String>,
    /// The public name to ask for [default: a name given with --outside, or
    /// www.msftconnecttest.com]
    #[arg(long, value_name = "NAME")]
    pub(crate) public_name: Option<String>,
    /// A public nameserver to compare with; repeat it for more [default: 1.1.1.1, 223.5.5.5 and
    /// 8.8.8.8]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) public_dns: Vec<IpAddr>,
    /// The relay that tells of Windows [default: as for `underpass up`]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) relay: Option<PathBuf>,
}

impl DoctorOptions {
    /// Whom to reach on the internet.
    pub(crate) fn outside(&self) -> Vec<HostPort> {
        if self.outside.is_empty() { default_outside() } else { self.outside.clone() }
    }

    /// The public name to ask for.
    pub(crate) fn public_name(&self) -> String {
        let of_outside =
            || self.outside.iter().find(|one| one.address().is_none()).map(|one| one.host.clone());
        self.public_name.clone().or_else(of_outside).unwrap_or_else(|| PUBLIC_NAME.to_owned())
    }

    /// The public nameservers to compare with.
    pub(crate) fn public_dns(&self) -> Vec<IpAddr> {
        if !self.public_dns.is_empty() {
            return self.public_dns.clone();
        }
        default_public_dns()
    }
}

pub(crate) fn default_public_dns() -> Vec<IpAddr> {
    PUBLIC_DNS.iter().filter_map(|address| address.parse().ok()).collect()
}

pub(crate) fn default_outside() -> Vec<HostPort> {
    OUTSIDE.iter().filter_map(|text| text.parse().ok()).collect()
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl HostPort {
    /// The address, if it is given by one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// A host of the company's, whose port may be missing.
    pub(crate) fn of_company(text: &str, port: u16) -> Self {
        text.parse()
            .unwrap_or_else(|_| Self { host: text.trim_matches(['[', ']']).to_owned(), port })
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// No host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be HOST:PORT, such as 192.0.2.1:443, www.example.com:443 or [2001:db8::1]:443")]
pub(crate) struct NoHostPort;

impl FromStr for HostPort {
    type Err = NoHostPort;

    fn from_str(text: &str) -> Result<Self, NoHostPort> {
        let (host, port) = text.rsplit_once(':').ok_or(NoHostPort)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(NoHostPort)?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let plain = |host: &str| {
            !host.is_empty()
                && !host.contains(|letter: char| letter.is_whitespace() || "[]/@:".contains(letter))
        };
        match bare {
            Some(v6) if v6.parse::<std::net::Ipv6Addr>().is_ok() => {
                Ok(Self { host: v6.to_owned(), port })
            }
            None if plain(host) => Ok(Self { host: host.to_owned(), port }),
            Some(_) | None => Err(NoHostPort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for text in ["192.0.2.1:443", "www.lab.test:80", "[2001:db8::1]:443"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "host",
            ":80",
            "host:",
            "host:0",
            "host:x",
            "2001:db8::1:443",
            "[x]:1",
            "http://a:80",
            "a b:1",
        ] {
            assert_eq!(wrong.parse::<HostPort>(), Err(NoHostPort), "{wrong}");
        }
        assert_eq!(HostPort::of_company("git.corp.test", 443).to_string(), "git.corp.test:443");
        assert_eq!(HostPort::of_company("git.corp.test:22", 443).to_string(), "git.corp.test:22");
        assert_eq!(HostPort::of_company("2001:db8::5", 443).to_string(), "[2001:db8::5]:443");
        assert_eq!(default_outside().len(), OUTSIDE.len());
    }
}
