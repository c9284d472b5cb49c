//! The relay that the tests use, and the names of the features that some relays lack.

use crate::wine::wine_has;
use std::io::Write as _;

/// The variable that selects it: `linux`, `interop` or `windows`.
const VARIABLE: &str = "UNDERPASS_LAB_RELAY";

/// The variable that makes tests try features that a relay lacks, to see whether another Wine still
/// lacks them.
const TRY_ALL_VARIABLE: &str = "UNDERPASS_LAB_TRY_ALL";

/// The relay that tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// The one for Linux, on plain pipes.
    Linux,
    /// The one for Linux, through the model of WSL's interop.
    LinuxBehindInterop,
    /// The one for Windows, through the model and under Wine.
    Windows,
}

impl Relay {
    /// The relay that the environment names.
    ///
    /// # Panics
    /// The name is unknown.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("linux") => Self::Linux,
            Ok("interop") => Self::LinuxBehindInterop,
            Ok("windows") => Self::Windows,
            Ok(other) => {
                panic!("{VARIABLE} is '{other}': it may be 'linux', 'interop' or 'windows'")
            }
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

/// Features that some relays lack in this lab. `scripts/wine-prefix` tries the functions of a Wine
/// when it makes the prefix. The rest was seen in versions 8 and 10 (docs/wine.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// With interop the process that the gateway knows is interop's: it has none of the relay's
    /// sockets, time or memory.
    OwnProcess,
    /// Wine has no ping over IPv6 (`Icmp6CreateFile` fails).
    Ping6,
    /// Windows does not report which datagram was refused or ran out of hops.
    DatagramErrors,
    /// Wine does not support `TCP_ICMP_ERROR_INFO`: the relay then knows only the kind of a
    /// router's refusal.
    ConnectErrors,
    /// Wine does not support `IP_MTU`: the relay then knows only that a path beyond a router takes
    /// less.
    PathMtu,
    /// Windows does not let ordinary programs set the DSCP of a datagram, and Wine 8 does not
    /// support ECN.
    TrafficClass,
    /// Wine shows a nameserver's REFUSED and NOTIMP as SERVFAIL.
    DnsCodes,
    /// Wine's resolver damages answers of tens of kilobytes.
    HugeAnswers,
    /// Wine reads its nameservers once for each process.
    NewNameservers,
    /// Wine's hosts file is in a folder that all labs share. A test of the relay itself covers it.
    HostsFile,
    /// Wine 8 reports no IPv6 route: the host has IPv6 as long as it has a public address.
    /// `windows.rs` shows that.
    Routes6,
    /// Wine's server, which holds all sockets, is too slow for 9,000 connections at once: the relay
    /// misses its heartbeat.
    Crowds,
    /// Wine 8 shows the reset of an idle connection as its end; Wine 10 shows it as a reset.
    IdleResets,
    /// Windows does not report a reset that follows a FIN; the next write fails.
    LateResets,
    /// Wine 10 accepts a non-blocking send whole, and loses some of its bytes in one of ten
    /// transfers of 8 MB, with every sender (docs/wine.md).
    EveryByte,
    /// Wine takes up to 2 s to start a program.
    QuickStart,
}

/// Whether the relay that tests use lacks a feature, which is then printed.
#[must_use]
pub fn lacks(lack: Lack) -> bool {
    let lacks = match Relay::chosen() {
        Relay::Linux => false,
        Relay::LinuxBehindInterop => lack == Lack::OwnProcess,
        Relay::Windows => match lack {
            Lack::Ping6 => !wine_has("ping6"),
            Lack::Routes6 => !wine_has("routes6"),
            Lack::IdleResets => !wine_has("idle-resets"),
            Lack::EveryByte => wine_has("whole-sends"),
            Lack::OwnProcess
            | Lack::DatagramErrors
            | Lack::ConnectErrors
            | Lack::TrafficClass
            | Lack::PathMtu
            | Lack::DnsCodes
            | Lack::HugeAnswers
            | Lack::NewNameservers
            | Lack::HostsFile
            | Lack::Crowds
            | Lack::LateResets
            | Lack::QuickStart => std::env::var_os(TRY_ALL_VARIABLE).is_none(),
        },
    };
    if lacks {
        let _ = writeln!(std::io::stderr(), "left out with this relay: {lack:?}");
    }
    lacks
}
