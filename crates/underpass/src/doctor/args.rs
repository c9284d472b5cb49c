//! The options of `underpass doctor`.

use clap::{Args, ColorChoice};
use proxy::{Host, Target};
use std::net::IpAddr;
use std::path::PathBuf;

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
  underpass doctor --report report.html")]
pub(crate) struct DoctorOptions {
    #[arg(long)]
    pub(crate) json: bool,
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    #[arg(long)]
    pub(crate) hints: bool,
    #[arg(long, value_name = "AREA")]
    pub(crate) only: Option<doctor::Area>,
    #[arg(long, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) outside: Vec<Target>,
    #[arg(long, value_name = "HOST[:PORT]", value_parser = company)]
    pub(crate) company: Vec<String>,
    #[arg(long, value_name = "NAME")]
    pub(crate) public_name: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) public_dns: Vec<IpAddr>,
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) relay: Option<PathBuf>,
}

impl DoctorOptions {
    /// Whom to reach on the internet.
    pub(crate) fn outside(&self) -> Vec<Target> {
        if self.outside.is_empty() { default_outside() } else { self.outside.clone() }
    }

    /// The public name to ask for.
    pub(crate) fn public_name(&self) -> String {
        let of_outside =
            || self.outside.iter().find(|one| one.address().is_none()).map(|one| one.host.bare());
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

pub(crate) fn default_outside() -> Vec<Target> {
    OUTSIDE.iter().filter_map(|text| text.parse().ok()).collect()
}

fn company(text: &str) -> Result<String, &'static str> {
    let known = host_of(text, 1).map(|_| text.to_owned());
    known.ok_or("it must be HOST or HOST:PORT, such as git.corp.example:22 or 10.20.0.5")
}

/// A host whose port may be missing. None where it cannot be one.
pub(crate) fn host_of(text: &str, port: u16) -> Option<Target> {
    let (host, own) = match text.parse::<IpAddr>() {
        Ok(address) => (Host::Address(address), None),
        Err(_) => Target::read(text)?,
    };
    Some(Target { host, port: own.unwrap_or(port) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_missing() {
        for (text, host) in [
            ("git.corp.test", "git.corp.test:443"),
            ("git.corp.test:22", "git.corp.test:22"),
            ("2001:db8::5", "[2001:db8::5]:443"),
            ("[2001:db8::5]", "[2001:db8::5]:443"),
        ] {
            assert_eq!(host_of(text, 443).unwrap().to_string(), host);
        }
        assert_eq!(default_outside().len(), OUTSIDE.len());
    }
}
