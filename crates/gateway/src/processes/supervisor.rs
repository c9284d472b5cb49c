//! The process that stays root: it starts the others, and does for them what needs root or starts a
//! program. It handles no packet and no frame. It checks the messages of the others, which an
//! attacker may control.

use super::Role;
use super::launcher::{Launcher, Linking};
use super::messages::{EngineSettings, FromEngine, FromNetwork, ToEngine, ToNetwork};
use super::privileges;
use super::worker::{Logs, Worker};
use crate::control::{self, Ask, Audience, MAX_WAITING};
use crate::instance::Instance;
use crate::limits::STOP_PATIENCE;
use crate::link::Parcel;
use crate::network::Fixed;
use crate::publish::Publication;
use crate::tap::Queue;
use crate::{MACS, Placement, RunError, Settings, Status, deploy};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wsl::NetworkingMode;

/// How long the kernel may take to give the VM its routes back at the end.
const WITHDRAW_PATIENCE: Duration = Duration::from_millis(700);

/// The time between two questions to a `wslinfo` that does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(10);

type EngineProcess = Worker<ToEngine, FromEngine>;
type NetworkProcess = Worker<ToNetwork, FromNetwork>;

/// Runs the gateway until `stop` is ready. `up` is called once, when traffic flows.
///
/// # Errors
/// See [`RunError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn run(
    mut settings: Settings,
    logs: Logs,
    stop: impl Future<Output = ()>,
    up: impl FnOnce(&Status),
) -> Result<(), RunError> {
    // It holds a proxy's password: no core dump, and no access to its memory by other processes of
    // its user (PR_SET_DUMPABLE in prctl(2)).
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "this process can be dumped");
    }
    let instance = Instance::claim(&settings.runtime_dir)?;
    let listener = instance.listen()?;
    let tap = Queue::open(&settings.tap, settings.offload)?;
    let engine = Worker::start(Role::Engine, &logs)?;
    let network = Worker::start(Role::Network, &logs)?;
    // With the device this is the VM's only gateway, even if another distro tries to run one with
    // its own runtime directory. Other distros do not depend on the shared folder: nothing that a
    // user does to it stops the tunnel.
    let published = settings.publish.as_deref().map(Publication::new).transpose();
    let published = published.unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    let mut stop = pin!(stop);
    let mut processes = Processes { engine, network };
    let (found_mode, mode) = watch::channel(None);
    let linking = Linking::new(settings.link, tap.name.clone(), mode);
    let begun = async {
        let (own, other) = UnixStream::pair().map_err(RunError::Link)?;
        processes.begin_network(&settings, &tap.name, other.into()).await?;
        if settings.placement == Placement::OnWindowsDisk {
            settings.relay = deploy::deploy(settings.relay.clone()).await;
        }
        processes.begin_engine(&settings, tap, linking, own.into()).await
    };
    let launcher = tokio::select! {
        launcher = begun => launcher?,
        // Windows may be slow, but a stop must not wait for it.
        () = &mut stop => return Ok(()),
    };
    let (publication, public) = published.unzip();
    let (ask, asks) = mpsc::channel(MAX_WAITING);
    let public = public.map(|public| {
        let serve =
            control::serve(public, Audience::Everybody, ask.clone(), settings.runtime_dir.clone());
        tokio::spawn(serve)
    });
    let control =
        tokio::spawn(control::serve(listener, Audience::Root, ask, settings.runtime_dir.clone()));
    let up = |status: &Status| {
        if let Some(Err(error)) =
            publication.as_ref().map(|publication| publication.write_env(status))
        {
            tracing::warn!(%error, "env.sh cannot be published");
        }
        up(status);
    };
    let mut serving = Serving { processes, launcher, waiting: VecDeque::new(), up: Some(up) };
    let mode = tokio::spawn(send_mode(serving.processes.network.link.out.clone(), found_mode));
    let outcome = tokio::select! {
        () = &mut stop => Ok(()),
        outcome = serving.serve(asks) => outcome,
    };
    mode.abort();
    control.abort();
    if let Some(public) = public {
        public.abort();
    }
    serving.stop().await;
    outcome
}

/// The other processes.
struct Processes {
    engine: EngineProcess,
    network: NetworkProcess,
}

impl Processes {
    /// Returns when netlink works, and what a killed gateway left is withdrawn.
    async fn begin_network(
        &mut self,
        settings: &Settings,
        tap: &str,
        engine: OwnedFd,
    ) -> Result<(), RunError> {
        let network = &mut self.network;
        match network.link.incoming.recv().await.map(|parcel| parcel.message) {
            Some(FromNetwork::Confined(confined)) => network.confined = confined,
            Some(FromNetwork::Ready | FromNetwork::Failed(_)) | None => {
                return Err(network.ended().await.into());
            }
        }
        let fixed = Fixed {
            tap: tap.to_owned(),
            mtu: settings.mtu,
            vm_mac: MACS.1,
            gateway_mac: MACS.0,
            subnet: settings.subnet,
            host_access: settings.host_access.clone(),
            resolv_conf: "/etc/resolv.conf".into(),
        };
        let start = Parcel { message: ToNetwork::Start(fixed), descriptors: vec![engine] };
        // Its end is noticed next.
        let _ = network.link.out.send(start).await;
        match network.link.incoming.recv().await.map(|parcel| parcel.message) {
            Some(FromNetwork::Ready) => Ok(()),
            Some(FromNetwork::Failed(error)) => Err(RunError::Net(error)),
            Some(FromNetwork::Confined(_)) | None => Err(network.ended().await.into()),
        }
    }

    /// Starts the relays, and gives the engine what it needs. Nothing of that is kept here, so that
    /// it disappears with the engine. If the first relay cannot be started, that is an error at
    /// once: the cause is in the command's options.
    async fn begin_engine(
        &mut self,
        settings: &Settings,
        tap: Queue,
        linking: Linking,
        network: OwnedFd,
    ) -> Result<Launcher, RunError> {
        let engine = &mut self.engine;
        match engine.link.incoming.recv().await.map(|parcel| parcel.message) {
            Some(FromEngine::Confined(confined)) => engine.confined = confined,
            Some(_) | None => return Err(engine.ended().await.into()),
        }
        let out = engine.link.out.clone();
        let mut launcher =
            Launcher::new(settings.relay.clone(), settings.lanes, linking, out.clone());
        let relays =
            (0..settings.lanes).map(|lane| launcher.start(lane)).collect::<Result<Vec<_>, _>>()?;
        let start = EngineSettings {
            tap: tap.name,
            offload: tap.offload,
            lanes: settings.lanes,
            mtu: settings.mtu,
            host_access: settings.host_access.clone(),
            udp_filtering: settings.udp_filtering.0,
            via: settings.via.as_ref().map(crate::via::Via::settings),
            rebind_domain_ok: settings.rebind_domain_ok.clone(),
        };
        let descriptors = vec![tap.file.into(), network];
        let start = Parcel { message: ToEngine::Start(Box::new(start)), descriptors };
        for parcel in [start].into_iter().chain(relays) {
            if out.send(parcel).await.is_err() {
                return Err(engine.ended().await.into());
            }
        }
        Ok(launcher)
    }
}

/// Everything that runs once traffic may flow.
struct Serving<F> {
    processes: Processes,
    launcher: Launcher,
    /// The clients that wait for a status.
    waiting: VecDeque<Ask>,
    up: Option<F>,
}

impl<F: FnOnce(&Status)> Serving<F> {
    /// Serves until one of the processes ends.
    async fn serve(&mut self, mut asks: mpsc::Receiver<Ask>) -> Result<(), RunError> {
        loop {
            tokio::select! {
                // A process's messages come before its end.
                biased;
                parcel = self.processes.engine.link.incoming.recv() => match parcel {
                    Some(parcel) => self.hear(parcel.message)?,
                    None => return Err(self.processes.engine.ended().await.into()),
                },
                parcel = self.processes.network.link.incoming.recv() => {
                    let ended = self.processes.network.ended().await;
                    return Err(match parcel.map(|parcel| parcel.message) {
                        Some(FromNetwork::Failed(error)) => RunError::Net(error),
                        Some(FromNetwork::Confined(_) | FromNetwork::Ready) | None => ended.into(),
                    });
                }
                Some(ask) = asks.recv() => {
                    self.waiting.push_back(ask);
                    self.send_to_engine(ToEngine::Report.into()).await;
                }
            }
        }
    }

    fn hear(&mut self, message: FromEngine) -> Result<(), RunError> {
        match message {
            FromEngine::StartRelay { lane } => {
                let answer = self.launcher.answer(lane);
                // There is room, since the engine waits for this answer; otherwise it is dead.
                let _ = self.processes.engine.link.out.try_send(answer);
            }
            FromEngine::EndRelay { lane, end } => self.launcher.end(lane, end),
            FromEngine::Link { lane } => self.launcher.link(lane),
            FromEngine::Up(status) => {
                if let Some(up) = self.up.take() {
                    up(&self.complete(*status));
                }
            }
            FromEngine::Status(status) => {
                if let Some(ask) = self.waiting.pop_front() {
                    // The client may be gone.
                    let _ = ask.send(self.complete(*status));
                }
            }
            FromEngine::Failed(error) => return Err(RunError::Failed(error)),
            FromEngine::Confined(_) => {}
        }
        Ok(())
    }

    async fn send_to_engine(&self, parcel: Parcel<ToEngine>) {
        // The end of an engine that is gone is noticed elsewhere.
        let _ = self.processes.engine.link.out.send(parcel).await;
    }

    /// Adds what only this process knows to a status.
    fn complete(&self, mut status: Status) -> Status {
        status.pid = std::process::id();
        let Processes { engine, network } = &self.processes;
        status.privileges = vec![
            privileges::of_supervisor(),
            privileges::of(Role::Engine, engine.pid, &engine.confined),
            privileges::of(Role::Network, network.pid, &network.confined),
        ];
        status
    }

    /// Stops the engine first: it resets open connections, and its TAP and routes disappear with
    /// it.
    async fn stop(self) {
        let Self { processes: Processes { engine, network }, launcher, .. } = self;
        let _ = engine.link.out.try_send(ToEngine::Stop.into());
        engine.end(STOP_PATIENCE).await;
        let _ = network.link.out.try_send(ToNetwork::Stop.into());
        let (status, ()) = tokio::join!(network.end(WITHDRAW_PATIENCE), launcher.stop());
        if !status.is_some_and(|status| status.success()) {
            tracing::warn!(
                "the rules could not be taken back in time; without the TAP they are harmless"
            );
        }
    }
}

/// Sends the keeper of the routes WSL's networking mode, which does not change while the VM runs.
/// Only this process may start `wslinfo`.
async fn send_mode(
    network: mpsc::Sender<Parcel<ToNetwork>>,
    found: watch::Sender<Option<NetworkingMode>>,
) {
    loop {
        let printed = wsl::wslinfo().await;
        if printed.is_err() {
            tracing::info!("wslinfo did not answer; taking the networking mode from the kernel");
        }
        let mode =
            printed.as_ref().ok().and_then(|printed| NetworkingMode::by_name(printed.as_ref()?));
        // It may be that no relay ever gets a link.
        let _ = found.send(mode);
        if network.send(ToNetwork::Mode(mode).into()).await.is_err() || printed.is_ok() {
            return;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
