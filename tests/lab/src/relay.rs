//! Which relay the tests run with, and what some of it cannot do, each by its name.

use crate::wine::wine_has;
use std::io::Write as _;

/// The variable that chooses: `linux`, `interop` or `windows`.
const VARIABLE: &str = "UNDERPASS_LAB_RELAY";

/// The variable that has tests try what a relay is said to lack, to see whether another Wine still
/// lacks it.
const TRY_ALL_VARIABLE: &str = "UNDERPASS_LAB_TRY_ALL";

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

/// What not every relay can do, in this lab. What a Wine's functions can do is tried when its
/// prefix is made (`scripts/wine-prefix`). The rest was seen in versions 8 and 10 (docs/wine.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Behind interop the process that the gateway knows is interop's: it has none of the relay's
    /// sockets, and no time or memory of its.
    OwnProcess,
    /// Wine has no ping over IPv6 (`Icmp6CreateFile` fails).
    Ping6,
    /// Windows tells no program which of its datagrams was refused or ran out of hops.
    DatagramErrors,
    /// Wine knows no `TCP_ICMP_ERROR_INFO`: of a refusal by a router the relay then knows only its
    /// kind.
    ConnectErrors,
    /// Wine knows no `IP_MTU`: of a path behind a router the relay then knows only that it takes
    /// less.
    PathMtu,
    /// Windows lets no ordinary program set the DSCP of a datagram, and Wine 8 knows no ECN.
    TrafficClass,
    /// Wine shows a nameserver's REFUSED and NOTIMP as SERVFAIL.
    DnsCodes,
    /// Wine's resolver damages answers of tens of kilobytes.
    HugeAnswers,
    /// Wine reads its nameservers once for each process.
    NewNameservers,
    /// Wine's hosts file is in a folder that all labs share. A test of the relay's own shows that
    /// it is followed.
    HostsFile,
    /// Wine 8 tells no IPv6 route: the host has IPv6 as long as it has a public address.
    /// `windows.rs` shows that.
    Routes6,
    /// Wine's server, which has all sockets, is too slow for 9,000 connections at once: the relay
    /// misses its heartbeat.
    Crowds,
    /// Wine 8 shows the reset of an idle connection as its end; Wine 10 shows it as a reset.
    IdleResets,
    /// Windows tells no program of a reset that comes behind a FIN; the next write fails.
    LateResets,
    /// Wine 10 takes a non-blocking send whole, and loses some of its bytes in one of ten transfers
    /// of 8 MB, whatever program sends (docs/wine.md).
    EveryByte,
    /// Wine takes up to 2 s to start a program.
    QuickStart,
}

/// Whether the relay that tests use lacks something, which is then said.
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
