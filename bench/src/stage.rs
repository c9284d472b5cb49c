//! The set-up of a measurement: a lab, servers on its internet, and one path from the VM to them.

use crate::peers;
use crate::subject::{Mtu, Subject};
use anyhow::{Context as _, ensure};
use lab::addresses::{ROUTER, SERVER};
use lab::interop::{BUFFERS, Interop, host_relays};
use lab::scene::{etc, product};
use lab::{Container, Lab, Place, Process, Tunnel, Vpn, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The load generator's first port on the internet; the ports after it are its as well.
pub(crate) const LOAD_PORT: u16 = 7100;

/// Every started program answers long before this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether peers take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    All,
    None,
}

/// The absent subjects, by name, and why.
pub(crate) fn absent(peers: Peers) -> BTreeMap<String, String> {
    let why = |subject: Subject| match peers {
        Peers::None if !matches!(subject, Subject::Wine | Subject::WinePipe | Subject::Wine64) => {
            Some("left out by --without-peers".to_owned())
        }
        Peers::All | Peers::None => missing(subject),
    };
    let subjects = [
        Subject::Wine,
        Subject::WinePipe,
        Subject::Wine64,
        Subject::Pasta,
        Subject::Slirp4netns,
        Subject::Gvproxy,
    ];
    let absent =
        subjects.into_iter().filter_map(|subject| Some((subject.name().to_owned(), why(subject)?)));
    let others = [("gvproxy.exe", "Debian has no build of it for Windows")];
    absent.chain(others.map(|(name, why)| (name.to_owned(), why.to_owned()))).collect()
}

/// Why it cannot be measured here, if so.
fn missing(subject: Subject) -> Option<String> {
    match subject {
        Subject::Underpass | Subject::Interop | Subject::Kernel | Subject::Host => None,
        Subject::Wine | Subject::WinePipe | Subject::Wine64 => lab::wine::missing(),
        Subject::Pasta | Subject::Slirp4netns | Subject::Gvproxy => {
            (!peers::program(subject.name()).exists()).then(|| {
                "no Debian suite that was reached has it, or scripts/bench-peers was not run"
                    .to_owned()
            })
        }
    }
}

/// A subject between the VM and servers on the internet. The fields are dropped in order: the lab
/// goes last.
pub(crate) struct Stage {
    way: Way,
    _servers: Vec<Process>,
    pub(crate) lab: Lab,
}

enum Way {
    Kernel,
    Host,
    Tunnel(Tunnel),
    Behind(Tunnel, Interop),
    Programs(Vec<Process>),
}

/// The output of iperf3.
pub(crate) struct Stream {
    /// As the receiver counted them.
    pub(crate) bits_per_second: f64,
    pub(crate) bytes: f64,
    /// Lost datagrams; 0 with TCP.
    pub(crate) lost_percent: f64,
}

impl Stage {
    /// Sets everything up and waits until the subject reaches the internet.
    pub(crate) fn new(subject: Subject) -> anyhow::Result<Self> {
        Self::with_mtu(subject, Mtu::Largest)
    }

    /// As [`Stage::new`], with an MTU of the VM's device. The kernel's own path has none.
    pub(crate) fn with_mtu(subject: Subject, mtu: Mtu) -> anyhow::Result<Self> {
        let options = ["--mtu", mtu.bytes()];
        let mut stage = Self::cut_off()?;
        let lab = &mut stage.lab;
        stage.way = match subject {
            Subject::Kernel => {
                lab.set_vpn(Vpn::Off)?;
                Way::Kernel
            }
            Subject::Host => Way::Host,
            Subject::Underpass => Way::Tunnel(Tunnel::launch(lab, &options)),
            Subject::Interop => {
                let interop = Interop::start(lab);
                Way::Behind(interop.launch_linux(lab, &options), interop)
            }
            Subject::Wine => {
                let interop = Interop::start(lab);
                let options = [&options[..], &["--link", "tcp"]].concat();
                Way::Behind(interop.launch(lab, &options), interop)
            }
            Subject::WinePipe => {
                let interop = Interop::start(lab);
                let options = [&options[..], &["--link", "stdio"]].concat();
                Way::Behind(interop.launch(lab, &options), interop)
            }
            Subject::Wine64 => {
                let interop = Interop::start_with(lab, BUFFERS[1]);
                let options = [&options[..], &["--link", "stdio"]].concat();
                Way::Behind(interop.launch(lab, &options), interop)
            }
            Subject::Pasta | Subject::Slirp4netns | Subject::Gvproxy => {
                Way::Programs(peers::start(lab, subject, mtu)?)
            }
        };
        if let Way::Tunnel(tunnel) | Way::Behind(tunnel, _) = &mut stage.way {
            tunnel.wait_up();
            let is_linked = || tunnel.status()["relays"][0]["link"]["carries"] == "tcp";
            ensure!(
                subject != Subject::Wine || until(PATIENCE, is_linked),
                "the relay does not move to TCP: {}",
                tunnel.status()
            );
        }
        ensure!(stage.answers_soon(), "{}: the internet is not reached", subject.name());
        Ok(stage)
    }

    /// A lab with its servers, without a path to them.
    pub(crate) fn cut_off() -> anyhow::Result<Self> {
        let mut lab = Lab::new()?;
        tune(&lab)?;
        let servers = servers(&lab)?;
        lab.set_vpn(Vpn::On)?;
        Ok(Self { way: Way::Kernel, _servers: servers, lab })
    }

    /// Waits until a byte has gone to the internet and back.
    pub(crate) fn answers_soon(&self) -> bool {
        until(PATIENCE, || {
            // A connect of a cut-off VM would be tried again only after a second.
            let words = [
                "timeout",
                "0.05",
                &load_program(),
                "pingpong",
                "--tcp",
                &at(0),
                "--seconds",
                "0.001",
            ];
            self.lab.run(self.place(), &words).is_ok_and(|done| done.succeeded())
        })
    }

    /// Runs the load generator at the subject's place; returns its output.
    pub(crate) fn load(&self, words: &[&str]) -> anyhow::Result<Value> {
        let program = load_program();
        let done = self.lab.run(self.place(), &[&[program.as_str()], words].concat())?;
        ensure!(done.succeeded(), "{words:?}: {}", done.stderr.trim());
        serde_json::from_str(&done.stdout).with_context(|| format!("{words:?}: {}", done.stdout))
    }

    /// Starts the load generator in the VM; the caller holds its streams.
    pub(crate) fn start_load(&self, words: &[&str]) -> anyhow::Result<std::process::Child> {
        let mut command = std::process::Command::new("ip");
        command
            .args(["netns", "exec", &self.lab.namespace(Place::Wsl), &load_program()])
            .args(words);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        Ok(command.spawn()?)
    }

    /// Runs iperf3 at the subject's place, or in a container of the VM.
    pub(crate) fn iperf(
        &self,
        inside: Option<&Container>,
        options: &[&str],
    ) -> anyhow::Result<Stream> {
        let words = [&["iperf3", "--client", SERVER, "--json"], options].concat();
        let done = match inside {
            Some(container) => container.run(&words),
            None => self.lab.run(self.place(), &words)?,
        };
        let output: Value =
            serde_json::from_str(&done.stdout).with_context(|| format!("{words:?}: {done:?}"))?;
        let end = &output["end"];
        // One sum for TCP, another for UDP.
        let sum = if end["sum_received"].is_null() { &end["sum"] } else { &end["sum_received"] };
        let number = |name: &str| sum[name].as_f64();
        let why = || format!("{words:?}: {}", output["error"]);
        Ok(Stream {
            bits_per_second: number("bits_per_second").with_context(why)?,
            bytes: number("bytes").with_context(why)?,
            lost_percent: number("lost_percent").unwrap_or(0.0),
        })
    }

    /// Where the programs run that use the subject.
    fn place(&self) -> Place {
        match self.way {
            Way::Host => Place::Windows,
            Way::Kernel | Way::Tunnel(_) | Way::Behind(..) | Way::Programs(_) => Place::Wsl,
        }
    }

    /// The tunnel, if the subject is one.
    pub(crate) fn tunnel(&self) -> Option<&Tunnel> {
        match &self.way {
            Way::Tunnel(tunnel) | Way::Behind(tunnel, _) => Some(tunnel),
            Way::Kernel | Way::Host | Way::Programs(_) => None,
        }
    }

    /// The interop of the tunnel's relay, if it has one.
    pub(crate) fn interop(&self) -> Option<&Interop> {
        match &self.way {
            Way::Behind(_, interop) => Some(interop),
            Way::Kernel | Way::Host | Way::Tunnel(_) | Way::Programs(_) => None,
        }
    }

    /// The subject's processes, the one in the VM first; none for the kernel and the host.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match &self.way {
            Way::Kernel | Way::Host => Vec::new(),
            Way::Tunnel(tunnel) => product(tunnel),
            Way::Behind(tunnel, _) => [product(tunnel), host_relays(&self.lab)].concat(),
            Way::Programs(programs) => {
                programs.iter().flat_map(|program| with_children(program.pid())).collect()
            }
        }
    }
}

/// A process and those that it started.
fn with_children(pid: u32) -> Vec<u32> {
    let children =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    std::iter::once(pid)
        .chain(children.split_whitespace().filter_map(|child| child.parse().ok()))
        .collect()
}

/// The load generator's server, at an offset from its first port.
pub(crate) fn at(offset: u16) -> String {
    format!("{SERVER}:{}", LOAD_PORT + offset)
}

fn load_program() -> String {
    lab::built::programs().join("underpass-load").display().to_string()
}

/// The same for all: the host's connections use cubic, like Windows', and their send buffers may
/// grow beyond the window that pasta grants its side. With bbr and a machine's usual buffers
/// pasta's uploads stall.
fn tune(lab: &Lab) -> anyhow::Result<()> {
    let commands = [
        format!("ip route change default via {ROUTER} congctl cubic"),
        "sysctl -qw net.ipv4.tcp_wmem=4096\t16777216\t67108864".to_owned(),
    ];
    for command in commands {
        let done = lab.run(Place::Windows, &command.split(' ').collect::<Vec<_>>())?;
        ensure!(done.succeeded(), "{command}: {}", done.stderr);
    }
    Ok(())
}

fn servers(lab: &Lab) -> anyhow::Result<Vec<Process>> {
    let (program, port) = (load_program(), LOAD_PORT.to_string());
    let load =
        lab.start(Place::Internet, &[&program, "serve", "--address", SERVER, "--port", &port])?;
    // The host's own nameserver, in the place of a company's.
    let dns = ["serve", "--address", "127.0.0.1", "--port", "7200", "--dns-port", "53"];
    let dns = lab.start(Place::Windows, &[&[program.as_str()], &dns[..]].concat())?;
    etc(lab, Place::Windows, "resolv.conf", "nameserver 127.0.0.1\n");
    let iperf = lab.start(Place::Internet, &["iperf3", "--server", "--bind", SERVER])?;
    for (place, port) in
        [(Place::Internet, LOAD_PORT), (Place::Internet, 5201), (Place::Windows, 53)]
    {
        let filter = format!("sport = :{port}");
        let listens = || {
            lab.run(place, &["ss", "-Htln", &filter])
                .is_ok_and(|done| !done.stdout.trim().is_empty())
        };
        ensure!(until(PATIENCE, listens), "no program listens on port {port} of the lab's servers");
    }
    Ok(vec![load, dns, iperf])
}
