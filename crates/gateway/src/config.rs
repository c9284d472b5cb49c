//! The gateway's settings: defaults, a TOML file, and options, which override both. The command
//! parses the command line.

use crate::dns::rebind::{Domain, NoDomain};
use crate::limits::MAX_LANES;
use crate::links::LinkWish;
use crate::publish::{default_folder, has_shared_folder};
use crate::relay_command::{RelayCommand, Whose};
use crate::tap::OffloadWish;
use crate::via::{Proxy, Secret, Via};
use ipnet::Ipv4Net;
use proxy::{Except, ExceptError, Host, ProxyUrlError, Target};
use serde::{Deserialize, Deserializer, de};
use stack::{Filtering, HostAccess};
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The settings, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The relay.
    pub relay: RelayCommand,
    /// The place from which its program runs.
    pub placement: Placement,
    /// How many relays run.
    pub lanes: usize,
    /// The links to them.
    pub link: LinkWish,
    /// The device's name.
    pub tap: String,
    /// Its MTU: bytes of the largest IP packet. `None`: the largest for TCP, and the MTU of the
    /// host's way out for everything else.
    pub mtu: Option<u32>,
    /// The /28 of the TAP, if the user chose one.
    pub subnet: Option<Ipv4Net>,
    /// Which of the host's own services can be reached.
    pub host_access: HostAccess,
    /// Domains whose names may name the host.
    pub rebind_domain_ok: Vec<Domain>,
    /// Which hosts may send datagrams to an app.
    pub udp_filtering: UdpFiltering,
    /// Whether the kernel cuts segments.
    pub offload: OffloadWish,
    /// Where lock and control socket are.
    pub runtime_dir: PathBuf,
    /// Where the command and the status are published for other distros.
    pub publish: Option<PathBuf>,
    /// Hosts that are reached if the tunnel is not needed.
    pub outside: Target,
    /// The proxy that the relay goes through.
    pub via: Option<Via>,
}

/// A relay's program, and the place from which it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayProgram {
    /// Its file, or a name that is looked up in `PATH`.
    pub path: PathBuf,
    /// The place.
    pub placement: Placement,
}

impl RelayProgram {
    /// One that the user chose: it runs from its own place.
    #[must_use]
    pub fn given(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), placement: Placement::AsItLies }
    }
}

/// The place from which the relay's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Its own place.
    AsItLies,
    /// Windows' own disk, to which it is copied.
    OnWindowsDisk,
    /// Windows' own disk, to which another distro's gateway copied it.
    Deployed,
}

/// Which hosts may send datagrams to an app, by the names of RFC 4787 section 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UdpFiltering(pub Filtering);

/// The names that [`UdpFiltering`] can have.
const FILTERINGS: [(&str, Filtering); 2] = [
    ("address-dependent", Filtering::AddressDependent),
    ("endpoint-independent", Filtering::EndpointIndependent),
];

impl FromStr for UdpFiltering {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = FILTERINGS.iter().find(|(name, _)| *name == text);
        named.map(|(_, filtering)| Self(*filtering)).ok_or_else(|| {
            let [(first, _), (second, _)] = FILTERINGS;
            format!("'{text}' is not a kind of UDP filtering; give {first} or {second}")
        })
    }
}

impl TryFrom<String> for UdpFiltering {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What a file or the command line sets; `None` for what it does not mention.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Choices {
    /// The relay's program.
    pub relay: Option<PathBuf>,
    /// Its arguments, all of them.
    pub relay_arg: Option<Vec<OsText>>,
    /// How many relays run.
    pub lanes: Option<usize>,
    /// The links to them.
    pub link: Option<LinkWish>,
    /// The device's name.
    pub tap: Option<String>,
    /// Its MTU.
    pub mtu: Option<u32>,
    /// Its subnet.
    pub subnet: Option<Ipv4Net>,
    /// True: the host's own services are refused.
    pub no_host_loopback: Option<bool>,
    /// The ports of the host's own services that can be reached, and no others.
    pub host_ports: Option<Vec<u16>>,
    /// Domains whose names may name the host.
    pub rebind_domain_ok: Option<Vec<String>>,
    /// Which hosts may send datagrams to an app.
    pub udp_filtering: Option<UdpFiltering>,
    /// True: plain frames.
    pub no_offload: Option<bool>,
    /// Where the command and the status are published.
    pub publish: Option<PathBuf>,
    /// True: nowhere.
    pub no_publish: Option<bool>,
    /// Hosts that are reached if the tunnel is not needed.
    #[serde(default, deserialize_with = "target")]
    pub outside: Option<Target>,
    /// The proxy that the relay goes through.
    pub via: Option<Secret>,
    /// What does not go through it.
    pub via_except: Option<Vec<String>>,
}

/// The host to which Windows itself connects to find out whether it is online (Network Connectivity
/// Status Indicator).
#[must_use]
pub fn ncsi_target() -> Target {
    Target { host: Host::Name("www.msftconnecttest.com".to_owned()), port: 80 }
}

fn target<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Target>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(de::Error::custom)
}

/// The bits of a file's mode that let its group and all others read it.
const READABLE_BY_OTHERS: u32 = 0o044;

/// An argument: text in a file, any bytes on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct OsText(pub OsString);

impl From<String> for OsText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {source}; check --config", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has an unknown key or a value of the wrong type.
    #[error(
        "the configuration file {} is wrong: {}",
        .path.display(),
        proxy::mask(&.source.to_string())
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A number out of its range.
    #[error("{option} is {value}: it must be {least} to {most}")]
    Range {
        /// The option.
        option: &'static str,
        /// What was given.
        value: u64,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// It is not a proxy.
    #[error("--via {shown}: {why}")]
    Via {
        /// The given value, without user and password.
        shown: String,
        /// What is wrong with it.
        why: ProxyUrlError,
    },
    /// It is not an exception.
    #[error("--via-except: {0}")]
    Except(#[from] ExceptError),
    /// It is not a domain.
    #[error("--rebind-domain-ok: {0}")]
    Domain(#[from] NoDomain),
    /// Exceptions without a proxy.
    #[error("--via-except names what bypasses a proxy, and no proxy is set: give one with --via")]
    ExceptAlone,
    /// The subnet does not have the form that is needed.
    #[error(
        "--subnet {subnet}: it must be a network of prefix length 28, such as {}/28",
        .subnet.network()
    )]
    Subnet {
        /// What was given.
        subnet: Ipv4Net,
    },
}

/// RFC 8200 5 demands 1280; a TAP of Linux takes 65,521 bytes with Ethernet's header taken off, and
/// whole 8-byte fragments below that.
const MTU: (u32, u32) = (1280, 65_520);

/// The variable that may hold `--via`, so that a password in it is in no command line.
pub const VIA_VARIABLE: &str = "UNDERPASS_VIA";

/// The default place of lock and control socket; `UNDERPASS_RUNTIME_DIR` sets another.
pub const RUNTIME_DIR: &str = "/run/underpass";

impl Choices {
    /// Reads a TOML file. One with a password that other users can read gets a warning in the log.
    ///
    /// # Errors
    /// It cannot be read, or has a key that is unknown or of the wrong type.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_path_buf(), source };
        let mut file = std::fs::File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.permissions().mode();
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(read)?;
        let choices: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_path_buf(),
            source: Box::new(source),
        })?;
        if choices.via.as_ref().is_some_and(Secret::has_password) && mode & READABLE_BY_OTHERS != 0
        {
            let path = path.display();
            tracing::warn!(
                "other users can read the proxy's password in {path}; run `chmod 600 {path}`"
            );
        }
        Ok(choices)
    }

    /// These choices, completed by those of `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            relay: self.relay.or(below.relay),
            relay_arg: self.relay_arg.or(below.relay_arg),
            lanes: self.lanes.or(below.lanes),
            link: self.link.or(below.link),
            tap: self.tap.or(below.tap),
            mtu: self.mtu.or(below.mtu),
            subnet: self.subnet.or(below.subnet),
            no_host_loopback: self.no_host_loopback.or(below.no_host_loopback),
            host_ports: self.host_ports.or(below.host_ports),
            rebind_domain_ok: self.rebind_domain_ok.or(below.rebind_domain_ok),
            udp_filtering: self.udp_filtering.or(below.udp_filtering),
            no_offload: self.no_offload.or(below.no_offload),
            publish: self.publish.or(below.publish),
            no_publish: self.no_publish.or(below.no_publish),
            outside: self.outside.or(below.outside),
            via: self.via.or(below.via),
            via_except: self.via_except.or(below.via_except),
        }
    }

    /// Fills in the defaults. A relay that the user chose runs from its own place.
    ///
    /// # Errors
    /// A value is out of its range.
    pub fn settle(
        self,
        default_relay: RelayProgram,
        runtime_dir: PathBuf,
    ) -> Result<Settings, ConfigError> {
        let range = |option, value, least, most| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::Range { option, value, least, most })
        };
        let lanes = self.lanes.unwrap_or(1);
        range("--lanes", lanes as u64, 1, MAX_LANES as u64)?;
        if let Some(mtu) = self.mtu {
            range("--mtu", mtu.into(), MTU.0.into(), MTU.1.into())?;
        }
        if let Some(subnet) = self.subnet
            && (subnet.prefix_len() != stack::addresses::PREFIX4
                || subnet.addr() != subnet.network())
        {
            return Err(ConfigError::Subnet { subnet });
        }
        let domains = self.rebind_domain_ok.unwrap_or_default();
        let rebind_domain_ok = domains.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let via = via(self.via, self.via_except.unwrap_or_default())?;
        let args = self.relay_arg.unwrap_or_default().into_iter().map(|OsText(arg)| arg).collect();
        let RelayProgram { path: program, placement } =
            self.relay.map_or(default_relay, RelayProgram::given);
        Ok(Settings {
            relay: RelayCommand { program, args, file: Whose::Given },
            placement,
            lanes,
            link: self.link.unwrap_or_default(),
            tap: self.tap.unwrap_or_else(|| "underpass0".to_owned()),
            mtu: self.mtu,
            subnet: self.subnet,
            host_access: match (self.host_ports, self.no_host_loopback) {
                (Some(ports), _) => HostAccess::Only(ports),
                (None, Some(true)) => HostAccess::Only(Vec::new()),
                (None, Some(false) | None) => HostAccess::All,
            },
            rebind_domain_ok,
            udp_filtering: self.udp_filtering.unwrap_or_default(),
            offload: if self.no_offload == Some(true) {
                OffloadWish::Off
            } else {
                OffloadWish::Auto
            },
            runtime_dir,
            publish: match self.no_publish {
                Some(true) => None,
                Some(false) | None => {
                    self.publish.or_else(|| has_shared_folder().then(default_folder))
                }
            },
            outside: self.outside.unwrap_or_else(ncsi_target),
            via,
        })
    }
}

fn via(proxy: Option<Secret>, except: Vec<String>) -> Result<Option<Via>, ConfigError> {
    let Some(Secret(text)) = proxy else {
        return if except.is_empty() { Ok(None) } else { Err(ConfigError::ExceptAlone) };
    };
    let proxy: Proxy =
        text.parse().map_err(|why| ConfigError::Via { shown: proxy::mask(&text), why })?;
    let except =
        except.iter().map(|text| text.parse()).collect::<Result<Vec<Except>, ExceptError>>()?;
    Ok(Some(Via { proxy, except }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(choices: Choices) -> Result<Settings, ConfigError> {
        let relay =
            RelayProgram { path: "underpass-relay".into(), placement: Placement::OnWindowsDisk };
        choices.settle(relay, "/run/x".into())
    }

    #[test]
    fn a_file_may_say_everything_and_options_go_over_it() {
        let text = "relay = '/r'\nrelay-arg = ['a', 'b']\nlanes = 2\nlink = 'tcp'\n\
                    tap = 't0'\nmtu = 1500\n\
                    subnet = '10.1.2.16/28'\nno-host-loopback = true\nhost-ports = [8080, 53]\n\
                    rebind-domain-ok = ['corp.test']\n\
                    udp-filtering = 'endpoint-independent'\nno-offload = true\n\
                    publish = '/p'\noutside = '192.0.2.1:443'\n\
                    via = 'socks5://me:s3cret@proxy:1080'\n\
                    via-except = ['10.0.0.0/8', '.corp.test']\n";
        let file: Choices = toml::from_str(text).unwrap();
        let settings =
            settle(Choices { mtu: Some(9000), ..Choices::default() }.over(file)).unwrap();
        let relay = RelayCommand {
            program: "/r".into(),
            args: vec!["a".into(), "b".into()],
            file: Whose::Given,
        };
        assert_eq!((settings.relay, settings.placement), (relay, Placement::AsItLies));
        assert_eq!((settings.lanes, settings.mtu, settings.tap.as_str()), (2, Some(9000), "t0"));
        assert_eq!(settings.link, LinkWish::Tcp);
        assert_eq!(
            (settings.host_access, settings.offload),
            (HostAccess::Only(vec![8080, 53]), OffloadWish::Off)
        );
        assert_eq!(settings.rebind_domain_ok, ["corp.test".parse().unwrap()]);
        assert_eq!(settings.udp_filtering.0, Filtering::EndpointIndependent);
        assert_eq!(settings.subnet.unwrap().to_string(), "10.1.2.16/28");
        assert_eq!(
            (settings.publish, settings.outside.to_string().as_str()),
            (Some("/p".into()), "192.0.2.1:443")
        );
        let via = settings.via.unwrap();
        assert_eq!(
            (via.proxy.to_string().as_str(), via.except.len()),
            ("socks5://***@proxy:1080", 2)
        );
        let closed = Choices { no_host_loopback: Some(true), ..Choices::default() };
        assert_eq!(settle(closed).unwrap().host_access, HostAccess::Only(Vec::new()));
        let nowhere =
            Choices { no_publish: Some(true), publish: Some("/p".into()), ..Choices::default() };
        assert_eq!(settle(nowhere).unwrap().publish, None);
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = settle(Choices::default()).unwrap();
        assert_eq!((settings.lanes, settings.mtu, settings.tap.as_str()), (1, None, "underpass0"));
        assert_eq!((settings.host_access, settings.offload), (HostAccess::All, OffloadWish::Auto));
        assert_eq!(settings.udp_filtering.0, Filtering::AddressDependent);
        assert_eq!(settings.link, LinkWish::Auto);
        assert_eq!(settings.relay.program, PathBuf::from("underpass-relay"));
        assert_eq!((settings.placement, settings.via), (Placement::OnWindowsDisk, None));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = toml::from_str::<Choices>("lanes = 2\nlane = 3\n").unwrap_err().to_string();
        assert!(error.contains("unknown field `lane`"), "{error}");
        let error =
            toml::from_str::<Choices>("udp-filtering = 'full-cone'\n").unwrap_err().to_string();
        assert!(error.contains("give address-dependent or endpoint-independent"), "{error}");
        let error = toml::from_str::<Choices>("link = 'udp'\n").unwrap_err().to_string();
        assert!(error.contains("give auto, stdio, tcp or vsock"), "{error}");
    }

    #[test]
    fn a_broken_file_is_shown_without_its_secrets() {
        let source = toml::from_str::<Choices>("via = 'http://me:s3cret@proxy:1' x\n").unwrap_err();
        assert!(source.to_string().contains("s3cret"), "the file's line is shown");
        let error = ConfigError::Parse { path: "/c".into(), source: Box::new(source) }.to_string();
        assert!(!error.contains("s3cret") && error.contains("***@proxy:1"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let said = |choices| settle(choices).unwrap_err().to_string();
        assert!(said(Choices { lanes: Some(0), ..Choices::default() }).contains("--lanes is 0"));
        assert!(said(Choices { mtu: Some(576), ..Choices::default() }).contains("--mtu is 576"));
        assert!(
            said(Choices { mtu: Some(70_000), ..Choices::default() }).contains("1280 to 65520")
        );
        let subnet =
            |text: &str| Choices { subnet: Some(text.parse().unwrap()), ..Choices::default() };
        let via = |text: &str| Choices { via: Some(Secret(text.into())), ..Choices::default() };
        let tls = said(via("https://me:s3cret@proxy:443"));
        assert!(tls.contains("--via https://***@proxy:443") && !tls.contains("s3cret"), "{tls}");
        assert!(!format!("{:?}", via("me:s3cret@proxy:1")).contains("s3cret"));
        let alone = Choices { via_except: Some(vec!["10.0.0.0/8".into()]), ..Choices::default() };
        assert!(said(alone).contains("--via"));
        let domain = Choices { rebind_domain_ok: Some(vec!["a..b".into()]), ..Choices::default() };
        assert!(said(domain).contains("--rebind-domain-ok: 'a..b'"));
        let nonsense = Choices { via_except: Some(vec!["10.0.0.0/99".into()]), ..via("proxy:1") };
        assert!(said(nonsense).contains("'10.0.0.0/99'"));
        assert!(said(subnet("10.0.0.0/24")).contains("28"));
        assert!(said(subnet("10.0.0.3/28")).contains("10.0.0.0/28"));
    }
}
