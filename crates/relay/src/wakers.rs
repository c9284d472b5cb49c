//! One waker per flow, so that the engine serves only flows whose sockets have something to do: an
//! idle flow costs nothing.

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use wire::FlowId;

/// The flows whose sockets woke up, and the engine that serves them.
#[derive(Default)]
pub(crate) struct Awake {
    flows: Mutex<Vec<FlowId>>,
    pub(crate) engine: AtomicWaker,
}

impl Awake {
    /// Takes all flows that woke up since the last call.
    pub(crate) fn take(&self) -> Vec<FlowId> {
        std::mem::take(&mut *self.flows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Puts its flow on the list, once until [`FlowWaker::rearm`].
pub(crate) struct FlowWaker {
    flow: FlowId,
    listed: AtomicBool,
    awake: Arc<Awake>,
}

impl FlowWaker {
    pub(crate) fn new(flow: FlowId, awake: Arc<Awake>) -> Arc<Self> {
        Arc::new(Self { flow, listed: AtomicBool::new(false), awake })
    }

    /// The engine examines the flow now: later wake-ups are new.
    pub(crate) fn rearm(&self) {
        self.listed.store(false, Ordering::Release);
    }
}

impl Wake for FlowWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.awake.flows.lock().unwrap_or_else(PoisonError::into_inner).push(self.flow);
            self.awake.engine.wake();
        }
    }
}

/// The waker for polling a flow's socket.
pub(crate) fn waker(of: &Arc<FlowWaker>) -> Waker {
    Waker::from(Arc::clone(of))
}
