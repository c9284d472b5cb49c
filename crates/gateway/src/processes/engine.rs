//! The process that has the TAP and the relays' streams: it runs [`crate::engine`], and the
//! supervisor does for it what needs root.

use super::confine::Confined;
use super::messages::{EngineSettings, FromEngine, ToEngine};
use crate::RunError;
use crate::control::{Ask, MAX_WAITING};
use crate::dns::rebind::Filter;
use crate::engine::{CoreParts, Engine, Parts, now};
use crate::lane::{Lane, LaneLimits};
use crate::limits::MAX_LANES;
use crate::link::{Link, Parcel};
use crate::net::owners::Sockets;
use crate::network::{self, LARGEST_MTU};
use crate::relay_streams;
use crate::relays::{LinkNews, Relay, Relays, Request, Starting};
use crate::tap::{Queue, Tap};
use crate::via::Via;
use crate::{MACS, seed};
use stack::{AddressPlan, Capacity, Config, Ipv6, Stack};
use std::collections::HashMap;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long the supervisor may take to read the last message.
const LAST_MESSAGE_PATIENCE: Duration = Duration::from_millis(200);

/// Runs it until the supervisor ends it, or it cannot continue.
pub(super) async fn serve(
    supervisor: UnixStream,
    confined: Confined,
    sockets: io::Result<[Sockets; 2]>,
) -> ExitCode {
    let Ok(link) = Link::open(supervisor) else { return ExitCode::FAILURE };
    let Link { out, mut incoming, sent } = link;
    let _ = out.send(FromEngine::Confined(confined).into()).await;
    // Without a supervisor there is nothing to do.
    let Some(Parcel { message: ToEngine::Start(settings), descriptors }) = incoming.recv().await
    else {
        return ExitCode::FAILURE;
    };
    let Ok([tap, network]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return ExitCode::FAILURE;
    };
    let sockets = sockets.inspect_err(|error| {
        tracing::warn!(
            %error,
            "this kernel does not report the owners of sockets: all users count as one"
        );
    });
    let given = Given { tap, network, sockets: sockets.ok() };
    let outcome = carry(*settings, given, out.clone(), incoming).await;
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = out.send(FromEngine::Failed(error.to_string()).into()).await;
            ExitCode::FAILURE
        }
    };
    drop(out);
    let _ = tokio::time::timeout(LAST_MESSAGE_PATIENCE, sent).await;
    code
}

/// What the engine cannot open itself.
struct Given {
    tap: OwnedFd,
    network: OwnedFd,
    sockets: Option<[Sockets; 2]>,
}

async fn carry(
    settings: EngineSettings,
    Given { tap, network, sockets }: Given,
    out: mpsc::Sender<Parcel<FromEngine>>,
    incoming: mpsc::Receiver<Parcel<ToEngine>>,
) -> Result<(), RunError> {
    let tap =
        Tap::new(Queue { file: File::from(tap), name: settings.tap, offload: settings.offload })?;
    let network = Link::open(UnixStream::from(network)).map_err(RunError::Link)?;
    let (wish, network) = network::of(network);
    // No packet comes before the device has an address, and by then the real plan is set.
    let plan = AddressPlan {
        subnet: Ipv4Addr::UNSPECIFIED,
        captured: Vec::new(),
        host_access: settings.host_access,
    };
    let mtu = settings.mtu.unwrap_or(LARGEST_MTU);
    let config = Config {
        mtu: usize::try_from(mtu).unwrap_or(usize::MAX),
        offload: tap.offload(),
        addresses: plan.clone(),
        ipv6: Ipv6::Disabled,
        udp_filtering: settings.udp_filtering,
        gateway_mac: MACS.0,
        vm_mac: MACS.1,
        capacity: Capacity::default(),
        seed: seed(),
    };
    let via = settings.via.map(Via::try_from).transpose()?;
    let (relays, requests) = Relays::new();
    let (ask, asks) = mpsc::channel(MAX_WAITING);
    let mut port = Port {
        out: out.clone(),
        asks: ask,
        requests,
        starting: HashMap::new(),
        ending: HashMap::new(),
        linking: HashMap::new(),
    };
    let lanes = lanes(settings.lanes.min(MAX_LANES), &relays, &mut port);
    let mut stop = tokio::spawn(port.serve(incoming));
    let mut stack = Stack::new(config, now());
    let sockets = sockets.map(|[owners, ends]| {
        stack.set_owners(Box::new(owners));
        ends
    });
    let rebind = Filter::new(settings.rebind_domain_ok);
    let core = CoreParts { tap, stack, plan, wish, via, rebind, sockets };
    let parts = Parts { core, lanes, asks, network, mtu };
    let mut engine = Engine::new(parts, now());
    let mut up = Some(|status: &crate::Status| {
        // The queue is nearly empty, and without a supervisor the message does not matter.
        let _ = out.try_send(FromEngine::Up(Box::new(status.clone())).into());
    });
    let outcome = poll_fn(|cx| {
        if Pin::new(&mut stop).poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        engine.poll(cx, &mut up).map(|error| Err(error.into()))
    })
    .await;
    engine.stop();
    outcome
}

/// The lanes, whose first relays the supervisor starts without a request.
fn lanes(count: usize, relays: &Relays, port: &mut Port) -> Vec<Lane> {
    let limits = LaneLimits {
        flows: u32::try_from(stack::limits::MAX_FLOWS).unwrap_or(u32::MAX),
        binds: u32::try_from(stack::limits::MAX_BINDS).unwrap_or(u32::MAX),
    };
    (0..count)
        .map(|lane| Lane::new(lane, relays.clone(), port.expect_start(lane), limits))
        .collect()
}

/// The engine's end of the link to the supervisor.
struct Port {
    out: mpsc::Sender<Parcel<FromEngine>>,
    /// Asks the loop for its status.
    asks: mpsc::Sender<Ask>,
    requests: mpsc::Receiver<Request>,
    /// The lanes that wait for a relay.
    starting: HashMap<usize, oneshot::Sender<Result<Relay, String>>>,
    /// The lanes that wait for a relay's end.
    ending: HashMap<usize, oneshot::Sender<Option<String>>>,
    /// The lanes that wait for a link.
    linking: HashMap<usize, mpsc::Sender<LinkNews>>,
}

impl Port {
    fn expect_start(&mut self, lane: usize) -> Starting {
        let (answer, starting) = oneshot::channel();
        self.starting.insert(lane, answer);
        starting
    }

    /// Serves until the supervisor asks for the end, or is gone.
    async fn serve(mut self, mut incoming: mpsc::Receiver<Parcel<ToEngine>>) {
        loop {
            let served = tokio::select! {
                parcel = incoming.recv() => match parcel {
                    Some(parcel) => self.hear(parcel).await,
                    None => None,
                },
                request = self.requests.recv() => match request {
                    Some(request) => self.pass_on(request).await,
                    None => None,
                },
            };
            if served.is_none() {
                return;
            }
        }
    }

    /// `None` after the last message.
    async fn hear(&mut self, parcel: Parcel<ToEngine>) -> Option<()> {
        match parcel.message {
            ToEngine::Relay { lane, started } => {
                let relay = started.and_then(|started| {
                    let streams = <[OwnedFd; 2]>::try_from(parcel.descriptors);
                    let streams = streams.map_err(|_| "its streams are missing".to_owned())?;
                    let relay = Relay::new(started.pid, started.patience, started.streams, streams);
                    relay.map_err(|error| format!("its streams cannot be used: {error}"))
                });
                // A lane that waits no longer has ended with the engine.
                let _ = self.starting.remove(&lane)?.send(relay);
            }
            ToEngine::RelayEnded { lane, why } => {
                let _ = self.ending.remove(&lane)?.send(why);
            }
            ToEngine::LinkOffers { lane, offers, failures } => {
                self.tell(lane, LinkNews::Offers(offers, failures));
            }
            ToEngine::NotLinked { lane } => self.tell(lane, LinkNews::Late),
            ToEngine::Linked { lane, kind } => {
                let link = <[OwnedFd; 1]>::try_from(parcel.descriptors).ok();
                let opened = link.map(|[link]| relay_streams::open_link(kind, link));
                self.tell(
                    lane,
                    match opened {
                        Some(Ok((input, output))) => LinkNews::Up(kind, input, output),
                        Some(Err(_)) | None => LinkNews::Late,
                    },
                );
            }
            ToEngine::Report => {
                let (answer, status) = oneshot::channel();
                self.asks.send(answer).await.ok()?;
                self.out
                    .send(FromEngine::Status(Box::new(status.await.ok()?)).into())
                    .await
                    .ok()?;
            }
            ToEngine::Start(_) | ToEngine::Stop => return None,
        }
        Some(())
    }

    /// A lane that waits no longer has another relay.
    fn tell(&self, lane: usize, news: LinkNews) {
        if let Some(linking) = self.linking.get(&lane) {
            let _ = linking.try_send(news);
        }
    }

    async fn pass_on(&mut self, request: Request) -> Option<()> {
        let message = match request {
            Request::Start { lane, answer } => {
                self.starting.insert(lane, answer);
                FromEngine::StartRelay { lane }
            }
            Request::End { lane, end, answer } => {
                self.ending.insert(lane, answer);
                self.linking.remove(&lane);
                FromEngine::EndRelay { lane, end }
            }
            Request::Link { lane, news } => {
                self.linking.insert(lane, news);
                FromEngine::Link { lane }
            }
        };
        self.out.send(message.into()).await.ok()
    }
}
