//! The namespaces and their links; the VPN's switch. Knows the shape of the network, not the tests
//! in it.

use std::io;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fmt, fs};

use crate::addresses::{
    HOST, HOST_V6, NAT_GATEWAY, NAT_NETWORK, ROUTER, ROUTER_V6, SERVER, SERVER_NAME, SERVER_V6, VM,
};
use crate::kernel::Kernel;
use crate::leftovers;
use crate::run::{Finished, Process, in_namespace, plain};

/// Numbers the labs of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The WSL VM: `eth0` towards the host, IPv4 only, as WSL's NAT mode gives it.
    Wsl,
    /// The Windows host: forwards and masquerades for the VM, unless the VPN is on.
    Windows,
    /// A router between the host and the internet, so that a traceroute has a hop to show.
    Router,
    /// The internet: servers run here.
    Internet,
}

impl Place {
    /// Every place, the VM first.
    pub const ALL: [Self; 4] = [Self::Wsl, Self::Windows, Self::Router, Self::Internet];

    fn word(self) -> &'static str {
        match self {
            Self::Wsl => "wsl",
            Self::Windows => "windows",
            Self::Router => "router",
            Self::Internet => "internet",
        }
    }
}

/// Whether the VPN drops what the host forwards for the VM, and the DNS that the host serves to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vpn {
    /// The VM's own network is cut off; the host's is not.
    On,
    /// The VM's own network works.
    Off,
}

/// A command that makes or changes the lab failed.
#[derive(Debug)]
pub enum LabError {
    /// The program could not be started, or a file not written.
    Start {
        /// The operation.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The program ran and failed.
    Command {
        /// The command line.
        what: String,
        /// Its standard error.
        said: String,
    },
}

impl fmt::Display for LabError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { what, source } => write!(formatter, "{what}: {source}"),
            Self::Command { what, said } => write!(formatter, "{what} failed: {}", said.trim()),
        }
    }
}

impl std::error::Error for LabError {}

/// One lab. A drop removes everything that it made, also by a panic; the next lab removes one whose
/// process was killed. Processes in it must be dropped first; declaring them after the lab does
/// that.
#[derive(Debug)]
pub struct Lab {
    number: u32,
    vpn: Vpn,
}

impl Lab {
    /// Makes a lab with the VPN off.
    ///
    /// # Errors
    /// One of the commands that make it failed; the parts made until then are removed
    /// again.
    pub fn new() -> Result<Self, LabError> {
        leftovers::sweep();
        // From here on the drop of `lab` removes all existing parts, however far this gets.
        let lab = Self { number: NEXT.fetch_add(1, Ordering::Relaxed), vpn: Vpn::Off };
        for place in Place::ALL {
            lab.make_namespace(place)?;
        }
        lab.join((Place::Wsl, "eth0"), (Place::Windows, "vm"))?;
        lab.join((Place::Windows, "uplink"), (Place::Router, "inner"))?;
        lab.join((Place::Router, "outer"), (Place::Internet, "uplink"))?;
        lab.address()?;
        lab.forward()?;
        Ok(lab)
    }

    /// The name of a place's namespace, as `ip netns exec` takes it.
    #[must_use]
    pub fn namespace(&self, place: Place) -> String {
        leftovers::name(self.number, place.word())
    }

    /// Whether the VPN is on.
    #[must_use]
    pub fn vpn(&self) -> Vpn {
        self.vpn
    }

    /// Switches the VPN.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn set_vpn(&mut self, vpn: Vpn) -> Result<(), LabError> {
        match (self.vpn, vpn) {
            (Vpn::On, Vpn::On) | (Vpn::Off, Vpn::Off) => return Ok(()),
            (Vpn::Off, Vpn::On) => self.nft(
                "table inet vpn {
                    chain forward {
                        type filter hook forward priority filter;
                        iifname vm drop;
                        oifname vm drop;
                    }
                    chain input {
                        type filter hook input priority filter;
                        iifname vm meta l4proto { tcp, udp } th dport 53 drop;
                    }
                }",
            )?,
            (Vpn::On, Vpn::Off) => self.nft("delete table inet vpn")?,
        }
        self.vpn = vpn;
        Ok(())
    }

    /// Runs a program in a place to its end.
    ///
    /// # Errors
    /// It could not be started; the [`Finished`] shows whether it failed.
    pub fn run(&self, place: Place, words: &[&str]) -> Result<Finished, LabError> {
        Finished::of(in_namespace(&self.namespace(place), words))
            .map_err(|source| start_error(words, source))
    }

    /// Starts a program in a place; it ends when the result is dropped.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(&self, place: Place, words: &[&str]) -> Result<Process, LabError> {
        Process::start(in_namespace(&self.namespace(place), words))
            .map_err(|source| start_error(words, source))
    }

    /// Starts a program in a place like [`Lab::start`], and keeps its output in `folder`, which is
    /// made if necessary.
    ///
    /// # Errors
    /// It could not be started, or the folder not be made.
    pub fn start_logged(
        &self,
        place: Place,
        folder: &Path,
        words: &[&str],
    ) -> Result<Process, LabError> {
        let outputs = (folder.join("out"), folder.join("err"));
        fs::create_dir_all(folder)
            .and_then(|()| {
                Process::start_logged(in_namespace(&self.namespace(place), words), outputs)
            })
            .map_err(|source| start_error(words, source))
    }

    /// Starts the nameserver of WSL's NAT gateway for the VM; it knows [`SERVER_NAME`].
    ///
    /// # Errors
    /// It could not be started.
    pub fn start_nat_dns(&self) -> Result<Process, LabError> {
        let listen = format!("--listen-address={NAT_GATEWAY}");
        let record = format!("--host-record={SERVER_NAME},{SERVER},{SERVER_V6}");
        let words = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--user=root",
        ];
        let rest = [
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--except-interface=lo",
            &listen,
            &record,
        ];
        self.start(Place::Windows, &[&words[..], &rest[..]].concat())
    }

    fn make_namespace(&self, place: Place) -> Result<(), LabError> {
        let namespace = self.namespace(place);
        host_command(&["netns", "add", &namespace])?;
        let overlay = leftovers::overlay(&namespace);
        let resolv_conf = format!("nameserver {NAT_GATEWAY}\noptions timeout:1 attempts:1\n");
        let files = [
            ("resolv.conf", resolv_conf.as_str()),
            ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        ];
        fs::create_dir_all(&overlay)
            .map_err(|source| LabError::Start { what: overlay.display().to_string(), source })?;
        for (file, text) in files {
            let path = overlay.join(file);
            leftovers::write_for_all(&path, text)
                .map_err(|source| LabError::Start { what: path.display().to_string(), source })?;
        }
        let kernel = kernel()?;
        self.sysctls(place, &kernel.settings)?;
        let default = "cd /proc/sys/net/ipv4; grep -qw \"$0\" tcp_allowed_congestion_control || exit 0; \
                       echo \"$0\" >tcp_congestion_control";
        let words = ["sh", "-c", default, kernel.congestion];
        judge(&words, self.run(place, &words)?)?;
        self.ip(place, "link set lo up")
    }

    fn join(&self, one: (Place, &str), other: (Place, &str)) -> Result<(), LabError> {
        let (one_namespace, other_namespace) = (self.namespace(one.0), self.namespace(other.0));
        let pair = [
            "link",
            "add",
            one.1,
            "netns",
            &one_namespace,
            "type",
            "veth",
            "peer",
            "name",
            other.1,
            "netns",
        ];
        host_command(&[&pair[..], &[other_namespace.as_str()]].concat())?;
        self.ip(one.0, &format!("link set {} up", one.1))?;
        self.ip(other.0, &format!("link set {} up", other.1))
    }

    fn address(&self) -> Result<(), LabError> {
        let congestion = kernel()?.congestion;
        let commands = [
            (Place::Wsl, format!("addr add {VM}/20 dev eth0")),
            (Place::Windows, format!("addr add {NAT_GATEWAY}/20 dev vm")),
            (Place::Windows, format!("addr add {HOST}/24 dev uplink")),
            (Place::Windows, format!("addr add {HOST_V6}/64 dev uplink nodad")),
            (Place::Router, format!("addr add {ROUTER}/24 dev inner")),
            (Place::Router, format!("addr add {ROUTER_V6}/64 dev inner nodad")),
            (Place::Router, "addr add 198.51.100.1/24 dev outer".to_owned()),
            (Place::Router, "addr add 2001:db8:2::1/64 dev outer nodad".to_owned()),
            (Place::Internet, "addr add 198.51.100.2/24 dev uplink".to_owned()),
            (Place::Internet, "addr add 2001:db8:2::2/64 dev uplink nodad".to_owned()),
            (Place::Internet, format!("addr add {SERVER}/32 dev lo")),
            (Place::Internet, format!("addr add {SERVER_V6}/128 dev lo nodad")),
            (Place::Wsl, format!("route add default via {NAT_GATEWAY}")),
            (Place::Windows, format!("route add default via {ROUTER} congctl {congestion}")),
            (Place::Windows, format!("-6 route add default via {ROUTER_V6} congctl {congestion}")),
            (Place::Router, "route add 203.0.113.0/24 via 198.51.100.2".to_owned()),
            (Place::Router, "-6 route add 2001:db8:f::/64 via 2001:db8:2::2".to_owned()),
            (Place::Internet, format!("route add default via 198.51.100.1 congctl {congestion}")),
            (
                Place::Internet,
                format!("-6 route add default via 2001:db8:2::1 congctl {congestion}"),
            ),
        ];
        commands.iter().try_for_each(|(place, words)| self.ip(*place, words))
    }

    fn forward(&self) -> Result<(), LabError> {
        for place in [Place::Windows, Place::Router] {
            self.sysctl(place, "net/ipv4/ip_forward", "1")?;
            self.sysctl(place, "net/ipv6/conf/all/forwarding", "1")?;
        }
        // The relay needs no root for its pings: the host lets everyone ping, like Windows.
        self.sysctl(Place::Windows, "net/ipv4/ping_group_range", "0 2147483647")?;
        // A router of the lab answers every probe of a traceroute, however fast they come.
        self.sysctl(Place::Router, "net/ipv4/icmp_ratelimit", "0")?;
        self.sysctl(Place::Router, "net/ipv6/icmp/ratelimit", "0")?;
        self.nft(&format!(
            "table ip nat {{
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    ip saddr {NAT_NETWORK} oifname uplink masquerade;
                }}
            }}"
        ))
    }

    fn ip(&self, place: Place, words: &str) -> Result<(), LabError> {
        let namespace = self.namespace(place);
        let words: Vec<&str> =
            ["-n", &namespace].into_iter().chain(words.split_whitespace()).collect();
        host_command(&words)
    }

    fn sysctl(&self, place: Place, key: &str, value: &str) -> Result<(), LabError> {
        self.sysctls(place, &[(key, value)])
    }

    /// Writes the kernel's settings, later ones over earlier ones.
    fn sysctls(&self, place: Place, settings: &[(&str, &str)]) -> Result<(), LabError> {
        let script = "while [ $# != 0 ]; do echo \"$2\" >\"/proc/sys/$1\" || exit; shift 2; done";
        let words = settings.iter().flat_map(|(key, value)| [*key, *value]);
        let words: Vec<&str> = ["sh", "-c", script, "sh"].into_iter().chain(words).collect();
        judge(&words, self.run(place, &words)?)
    }

    fn nft(&self, rules: &str) -> Result<(), LabError> {
        let words = ["nft", "-f", "-"];
        let mut command = in_namespace(&self.namespace(Place::Windows), &words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| start_error(&words, source))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(rules.as_bytes()).map_err(|source| start_error(&words, source))?;
        }
        let output = child.wait_with_output().map_err(|source| start_error(&words, source))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        judge(&words, Finished { code: output.status.code(), stdout: String::new(), stderr: said })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for place in Place::ALL {
            leftovers::remove(&self.namespace(place));
        }
    }
}

/// The kernel of the lab's namespaces.
fn kernel() -> Result<Kernel, LabError> {
    Kernel::chosen().map_err(|said| LabError::Command {
        what: "choosing the kernel's settings".to_owned(),
        said,
    })
}

fn host_command(words: &[&str]) -> Result<(), LabError> {
    let mut command = plain("ip");
    command.args(words);
    judge(words, Finished::of(command).map_err(|source| start_error(words, source))?)
}

fn judge(words: &[&str], finished: Finished) -> Result<(), LabError> {
    if finished.succeeded() {
        return Ok(());
    }
    Err(LabError::Command { what: words.join(" "), said: finished.stderr })
}

fn start_error(words: &[&str], source: io::Error) -> LabError {
    LabError::Start { what: words.join(" "), source }
}
