//! The gateway's shell on Linux: TAP, routes, relay processes, and the loop that joins them.
//!
//! It does the I/O and knows no protocol rule: what packets mean is `stack`'s, what frames mean is `wire`'s.
#![deny(unsafe_code)]

pub mod allocator;
mod attempt;
pub mod config;
pub mod control;
mod deploy;
mod dns;
mod engine;
pub mod host;
pub mod host_proxy;
pub mod instance;
pub mod interop;
mod interop_sockets;
pub mod keep_alive;
mod lane;
pub mod limits;
mod names;
pub mod net;
mod network;
mod program;
pub mod publish;
pub mod reach;
mod relay_process;
mod relay_streams;
pub mod status;
pub mod tap;
mod verdict;
pub mod via;
mod windows;
pub mod wsl_exe;

pub use config::{Placement, Settings};
pub use deploy::DeployError;
pub use dns::{connections, front};
pub use engine::EngineError;
pub use host::HostError;
pub use instance::InstanceError;
pub use interop::{InteropError, is_wsl};
pub use lane::LaneError;
pub use relay_process::{RelayCommand, SpawnError, Whose};
pub use status::Status;
pub use windows::QuestionError;

use engine::{Engine, Parts, now};
use instance::Instance;
use lane::Lane;
use net::{Net, NetError};
use network::Fixed;
use publish::Publication;
use stack::{AddressPlan, Capacity, Config, Ipv6, Stack};
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tap::{Tap, TapError};
use tokio::net::UnixListener;

/// The gateway's Ethernet address, and the VM's; locally administered (IEEE 802). They meet nobody but each other.
const MACS: ([u8; 6], [u8; 6]) = ([0x02, 0x75, 0x6e, 0x64, 0, 1], [0x02, 0x75, 0x6e, 0x64, 0, 2]);

/// How long the kernel may take to give the VM its routes back at the end.
const WITHDRAW_PATIENCE: Duration = Duration::from_millis(700);

/// Why the gateway did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another one runs, or the runtime directory is of no use.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// No TAP.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// No netlink.
    #[error(transparent)]
    Net(#[from] NetError),
    /// No relay at all.
    #[error(transparent)]
    Relay(#[from] SpawnError),
    /// It ran, and cannot go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Runs the gateway until `stop` is ready. `up` is called once, when traffic flows.
///
/// # Errors
/// See [`RunError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn run(
    mut settings: Settings,
    stop: impl Future<Output = ()>,
    up: impl FnOnce(&Status),
) -> Result<(), RunError> {
    // It holds a proxy's password and everybody's traffic: no core dump, and no other process of its
    // user looks into its memory (PR_SET_DUMPABLE in prctl(2)).
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "this process can be dumped");
    }
    let instance = Instance::claim(&settings.runtime_dir)?;
    let listener = instance.listen()?;
    let tap = Tap::open(&settings.tap, settings.offload)?;
    let net = Net::open()?;
    // With the device this is the VM's only gateway, also where another distro has one in a runtime directory of its own.
    // Other distros can do without: what somebody does to the folder that they share stops no tunnel.
    let published = settings.publish.as_deref().map(Publication::new).transpose();
    let published = published.unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    // A killed gateway's rules would send look-ups to a table that has no routes yet: harmless, but not tidy.
    net.withdraw().await?;
    let mut stop = pin!(stop);
    if settings.placement == Placement::OnWindowsDisk {
        tokio::select! {
            relay = deploy::deploy(settings.relay.clone()) => settings.relay = relay,
            // Windows may take its time, whoever wants an end does not have to.
            () = &mut stop => return Ok(()),
        }
    }
    let lanes = lanes(&settings)?;
    let (publication, public) = published.unzip();
    let up = |status: &Status| {
        if let Some(Err(error)) = publication.as_ref().map(|publication| publication.tell(status)) {
            tracing::warn!(%error, "env.sh cannot be published");
        }
        up(status);
    };
    let outcome = serve(&settings, (tap, &net, lanes), (listener, public), stop, up).await;
    if tokio::time::timeout(WITHDRAW_PATIENCE, net.withdraw()).await.is_err() {
        tracing::warn!("the kernel did not take the rules back in time; without the TAP they are harmless");
    }
    outcome
}

/// The lanes, their relays started. The first one that cannot be started is told at once: it is how the command was given.
fn lanes(settings: &Settings) -> Result<Vec<Lane>, SpawnError> {
    let limits = (stack::limits::MAX_FLOWS, stack::limits::MAX_BINDS);
    let limits = (u32::try_from(limits.0).unwrap_or(u32::MAX), u32::try_from(limits.1).unwrap_or(u32::MAX));
    let now = now();
    (0..settings.lanes)
        .map(|index| {
            let mut lane = Lane::new(index, settings.relay.clone(), limits, now);
            lane.start(now).map(|()| lane)
        })
        .collect()
}

async fn serve(
    settings: &Settings,
    (tap, net, lanes): (Tap, &Net, Vec<Lane>),
    (listener, public): (UnixListener, Option<UnixListener>),
    mut stop: Pin<&mut impl Future<Output = ()>>,
    up: impl FnOnce(&Status),
) -> Result<(), RunError> {
    // No packet comes before the device has an address, and then the plan is the right one.
    let plan =
        AddressPlan { subnet: Ipv4Addr::UNSPECIFIED, captured: Vec::new(), host_access: settings.host_access.clone() };
    let mtu = settings.mtu.unwrap_or(network::LARGEST_MTU);
    let config = Config {
        mtu: usize::try_from(mtu).unwrap_or(usize::MAX),
        offload: tap.offload(),
        addresses: plan.clone(),
        ipv6: Ipv6::Disabled,
        udp_filtering: settings.udp_filtering.0,
        gateway_mac: MACS.0,
        vm_mac: MACS.1,
        capacity: Capacity::default(),
        seed: seed(),
    };
    let fixed = Fixed {
        tap: tap.name().to_owned(),
        mtu: settings.mtu,
        vm_mac: MACS.1,
        gateway_mac: MACS.0,
        subnet: settings.subnet,
        host_access: settings.host_access.clone(),
        resolv_conf: "/etc/resolv.conf".into(),
    };
    let (wish, network, keeper) = network::start(net.clone(), fixed)?;
    let (ask, asks) = tokio::sync::mpsc::channel(control::MAX_WAITING);
    let public = public.map(|public| {
        let serve = control::serve(public, control::Audience::Everybody, ask.clone(), settings.runtime_dir.clone());
        tokio::spawn(serve)
    });
    let control = tokio::spawn(control::serve(listener, control::Audience::Root, ask, settings.runtime_dir.clone()));
    let stack = Stack::new(config, now());
    let mut engine =
        Engine::new(Parts { tap, stack, plan, lanes, asks, network, wish, mtu, via: settings.via.clone() });
    let mut up = Some(up);
    let outcome = poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        engine.poll(cx, &mut up).map(|error| Err(error.into()))
    })
    .await;
    keeper.abort();
    control.abort();
    if let Some(public) = public {
        public.abort();
    }
    engine.stop().await;
    outcome
}

/// Random enough for initial sequence numbers: the hasher's key is the system's randomness.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}
