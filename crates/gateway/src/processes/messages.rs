//! The messages between the gateway's processes. See [`super`] for the processes.

use super::confine::Confined;
use crate::dns::rebind::Domain;
use crate::network::Fixed;
use crate::relays::{RelayEnd, StartedRelay};
use crate::status::Status;
use serde::{Deserialize, Serialize};
use stack::{Filtering, HostAccess, Offload};
use wire::link::LinkFailure;
use wire::{LinkKind, LinkOffers, ViaSettings};
use wsl::NetworkingMode;

/// From the supervisor to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToEngine {
    /// Its settings, with the TAP and its link to the keeper of the routes.
    Start(Box<EngineSettings>),
    /// The answer to [`FromEngine::StartRelay`], with the relay's input and output if it runs. One
    /// for each lane comes without a request, right after [`ToEngine::Start`].
    Relay { lane: usize, started: Result<StartedRelay, String> },
    /// The answer to [`FromEngine::EndRelay`]: why the relay is gone, if the engine does not know.
    RelayEnded { lane: usize, why: Option<String> },
    /// The first answer to [`FromEngine::Link`]: where the supervisor listens, if it does, and why
    /// there is no link of a kind.
    LinkOffers { lane: usize, offers: Option<LinkOffers>, failures: Vec<LinkFailure> },
    /// The second one: the link, whose descriptor comes with this.
    Linked { lane: usize, kind: LinkKind },
    /// The second one: no relay came.
    NotLinked { lane: usize },
    /// Asks for the status.
    Report,
    /// Resets what is open, and ends.
    Stop,
}

/// From the engine to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromEngine {
    /// The first message: the confinement of this process.
    Confined(Confined),
    StartRelay {
        lane: usize,
    },
    EndRelay {
        lane: usize,
        end: RelayEnd,
    },
    /// Asks for a link to the relay of a lane.
    Link {
        lane: usize,
    },
    /// Traffic flows for the first time.
    Up(Box<Status>),
    /// The answer to [`ToEngine::Report`].
    Status(Box<Status>),
    /// It cannot continue, and ends.
    Failed(String),
}

/// From the supervisor to the keeper of the routes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToNetwork {
    /// Its settings, with its link to the engine.
    Start(Fixed),
    /// The networking mode that `wslinfo` reports.
    Mode(Option<NetworkingMode>),
    /// Removes the rules, and ends.
    Stop,
}

/// From the keeper of the routes to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromNetwork {
    /// The first message: the confinement of this process.
    Confined(Confined),
    /// Netlink works, and the remains of a killed gateway are withdrawn.
    Ready,
    /// Netlink does not work.
    Failed(String),
}

/// The engine's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EngineSettings {
    /// The TAP's name, its number filled in.
    pub(crate) tap: String,
    pub(crate) offload: Offload,
    pub(crate) lanes: usize,
    pub(crate) mtu: Option<u32>,
    pub(crate) host_access: HostAccess,
    pub(crate) udp_filtering: Filtering,
    pub(crate) via: Option<ViaSettings>,
    pub(crate) rebind_domain_ok: Vec<Domain>,
}
