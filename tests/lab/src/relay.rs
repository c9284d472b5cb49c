//! Which relay the tests run with, and what some of it cannot do, each by its name.

use std::io::Write as _;

/// The variable that chooses: `linux`, `interop` or `windows`.
const VARIABLE: &str = "UNDERPASS_LAB_RELAY";

/// Which relay tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// The one for Linux, on plain pipes.
    Linux,
    /// The one for Linux, behind the model of WSL's interop.
    LinuxBehindInterop,
    /// The one for Windows, behind the model and under Wine.
    Windows,
}

impl Relay {
    /// The one that the environment names.
    ///
    /// # Panics
    /// It names another.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("linux") => Self::Linux,
            Ok("interop") => Self::LinuxBehindInterop,
            Ok("windows") => Self::Windows,
            Ok(other) => panic!("{VARIABLE} is '{other}': it may be 'linux', 'interop' or 'windows'"),
        }
    }

    /// The program whose process the gateway knows as its relay.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Linux => "underpass-relay",
            Self::LinuxBehindInterop | Self::Windows => "interop-init",
        }
    }
}

/// What not every relay can do, in this lab. Wine is Debian's, version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Behind interop the process that the gateway knows is interop's: it has none of the relay's sockets, and no time or memory of its.
    OwnProcess,
    /// Wine has no ping over IPv6 (`Icmp6CreateFile` fails).
    Ping6,
    /// Windows tells no program which of its datagrams was refused or ran out of hops.
    DatagramErrors,
    /// Wine shows a nameserver's REFUSED and NOTIMP as SERVFAIL.
    DnsCodes,
    /// Wine's resolver damages answers of tens of kilobytes.
    HugeAnswers,
    /// Wine reads its nameservers once for each process.
    NewNameservers,
    /// Wine's hosts file is in a folder that all labs share. A test of the relay's own shows that it is followed.
    HostsFile,
    /// Wine tells no IPv6 route: the host has IPv6 as long as it has a public address. `windows.rs` shows that.
    Routes6,
    /// Wine's server, which has all sockets, is too slow for 9,000 connections at once: the relay misses its heartbeat.
    Crowds,
    /// Wine shows the reset of an idle connection as its end.
    IdleResets,
    /// Wine takes up to 2 s to start a program.
    QuickStart,
}

/// Whether the relay that tests use lacks something, which is then said.
#[must_use]
pub fn lacks(lack: Lack) -> bool {
    let lacks = match Relay::chosen() {
        Relay::Linux => false,
        Relay::LinuxBehindInterop => lack == Lack::OwnProcess,
        Relay::Windows => true,
    };
    if lacks {
        let _ = writeln!(std::io::stderr(), "left out with this relay: {lack:?}");
    }
    lacks
}
