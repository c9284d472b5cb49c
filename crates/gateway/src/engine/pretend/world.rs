//! The engine with the other ends of its channels, and how everything around it comes to rest.

use super::packets::{GATEWAY_MAC, SUBNET, VM_MAC, frame};
use super::pipe::Pipe;
use super::relay::Pipes;
use super::{Flag, Nic};
use crate::dns::rebind::Filter;
use crate::engine::{CoreParts, Engine, EngineError, Parts};
use crate::lane::{Lane, LaneLimits};
use crate::limits::HELLO_PATIENCE;
use crate::link::Parcel;
use crate::network::{Network, NetworkReport, NetworkState, Wish};
use crate::relays::{Relay, Relays, Request};
use crate::status::Status;
use crate::via::{Proxy, Via};
use stack::{
    AddressPlan, AppSocket, Capacity, Config, Filtering, HostAccess, Ipv6, Offload, Owners, Stack,
    Transport,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

/// The limits that the lanes' hello offers each relay.
const OFFERED: LaneLimits = LaneLimits { flows: 4096, binds: 4096 };

thread_local! {
    /// The engine's timer must belong to one. It never fires: time is the world's.
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().expect("it needs nothing");
}

/// What differs between worlds.
pub(crate) struct Setup {
    pub(crate) mtu: usize,
    pub(crate) offload: Offload,
    pub(crate) lanes: usize,
    /// Whether connections go through Windows' own proxies.
    pub(crate) by_proxy: bool,
    pub(crate) seed: u64,
    pub(crate) owners: Box<dyn Owners + Send>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            mtu: 1500,
            offload: Offload::None,
            lanes: 1,
            by_proxy: false,
            seed: 1,
            owners: Box::new(OneUser),
        }
    }
}

/// All apps are of one user, as on most machines.
#[derive(Debug)]
pub(crate) struct OneUser;

impl Owners for OneUser {
    fn look_up(&mut self, _: Transport, _: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        Some(AppSocket::Of(1000))
    }
}

/// The state of a network that is up.
pub(crate) fn network_state(ipv6: bool) -> NetworkState {
    let plan = AddressPlan { subnet: SUBNET, captured: Vec::new(), host_access: HostAccess::All };
    NetworkState { up: true, plan: Some(plan), ipv6, ..NetworkState::default() }
}

/// The engine, and the other ends of its channels.
pub(crate) struct Gateway {
    pub(crate) now: Instant,
    pub(crate) engine: Engine<Nic>,
    /// What the engine asks of the supervisor.
    requests: mpsc::Receiver<Request>,
    flag: Arc<Flag>,
    /// What the engine calls once it is up.
    up: Option<fn(&Status)>,
    network: mpsc::Sender<Parcel<NetworkReport>>,
    #[cfg_attr(not(test), expect(dead_code, reason = "it keeps the channel open"))]
    pub(crate) wishes: watch::Receiver<Wish>,
}

impl Gateway {
    /// A gateway whose relays are about to start, in a network that is up.
    pub(crate) fn new(setup: Setup, now: Instant) -> Self {
        let state = network_state(true);
        let plan = state.plan.clone().expect("it is up");
        let mut stack = Stack::new(
            Config {
                mtu: setup.mtu,
                offload: setup.offload,
                addresses: plan.clone(),
                ipv6: Ipv6::Enabled,
                udp_filtering: Filtering::AddressDependent,
                gateway_mac: GATEWAY_MAC,
                vm_mac: VM_MAC,
                capacity: Capacity::default(),
                seed: setup.seed,
            },
            now,
        );
        stack.set_owners(setup.owners);
        let (supervisor, requests) = Relays::new();
        let lane = |index| Lane::new(index, supervisor.clone(), supervisor.start(index), OFFERED);
        let (_, asks) = mpsc::channel(1);
        let (network, states) = mpsc::channel(4);
        let (wish, wishes) = watch::channel(Wish::default());
        let via = Via { proxy: Proxy::Windows, except: Vec::new() };
        let parts = Parts {
            core: CoreParts {
                tap: Nic::new(setup.offload),
                stack,
                plan,
                wish,
                via: setup.by_proxy.then_some(via),
                rebind: Filter::default(),
                sockets: None,
            },
            lanes: (0..setup.lanes).map(lane).collect(),
            asks,
            network: Network { states },
            mtu: u32::try_from(setup.mtu).expect("it is small"),
        };
        let engine = RUNTIME.with(|runtime| {
            let _time = runtime.enter();
            Engine::new(parts, now)
        });
        let (flag, up): (_, fn(&Status)) = (Arc::default(), |_| ());
        let gateway = Self { now, engine, requests, flag, up: Some(up), network, wishes };
        gateway.set_network(state);
        gateway
    }

    /// The network's process reports this.
    pub(crate) fn set_network(&self, state: NetworkState) {
        let has_room = self.network.try_send(NetworkReport::Ok(state).into());
        assert!(has_room.is_ok(), "too many states wait");
    }

    /// The VM sends a packet.
    pub(crate) fn put(&mut self, packet: &[u8]) {
        self.engine.core.tap().put(frame(packet));
    }

    /// One pass. Returns whether the engine has more to do.
    ///
    /// # Errors
    /// The gateway has ended.
    pub(crate) fn pass(&mut self) -> Result<bool, EngineError> {
        self.flag.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut cx = Context::from_waker(&waker);
        let passed = RUNTIME.with(|runtime| {
            let _time = runtime.enter();
            self.engine.pass(self.now, &mut cx, &mut self.up)
        });
        match passed {
            Poll::Ready(error) => Err(error),
            Poll::Pending => Ok(self.flag.0.load(Ordering::Relaxed)),
        }
    }

    #[cfg(test)]
    pub(crate) fn report(&mut self) -> Status {
        self.engine.report(self.now)
    }
}

/// Starts the relay that a lane waits for, with pipes of `bytes` bytes.
pub(crate) fn start(answer: oneshot::Sender<Result<Relay, String>>, bytes: usize) -> Pipes {
    let pipes = Pipes { up: Pipe::new(bytes), down: Pipe::new(bytes) };
    let relay = Relay {
        pid: 0,
        patience: HELLO_PATIENCE,
        input: Some(Box::new(pipes.up.end())),
        output: Box::new(pipes.down.end()),
    };
    assert!(answer.send(Ok(relay)).is_ok(), "the lane waits for its relay");
    pipes
}

/// Everything around the engine.
pub(crate) trait World {
    /// Passes at one time within which everything comes to rest.
    const MOST_PASSES: usize;

    fn gateway(&mut self) -> &mut Gateway;

    /// The supervisor's work: it starts and ends relays.
    fn serve(&mut self, request: Request);

    /// All parts except the engine go on at this moment. Returns whether anything moved.
    fn step(&mut self) -> bool;

    /// The engine has ended.
    fn end(&mut self, error: EngineError) {
        panic!("the gateway ended: {error}");
    }

    /// Everything goes on at this moment until it comes to rest.
    fn settle(&mut self) {
        for _ in 0..Self::MOST_PASSES {
            let passed = self.gateway().pass();
            let has_ended = passed.is_err();
            let mut moved = passed.unwrap_or_else(|error| {
                self.end(error);
                false
            });
            while let Ok(request) = self.gateway().requests.try_recv() {
                moved = true;
                self.serve(request);
            }
            moved |= self.step();
            if has_ended || !moved {
                return;
            }
        }
        panic!("it spins");
    }
}
