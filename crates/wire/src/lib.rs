//! The protocol between the gateway and its relay, without any I/O.
//!
//! Two programs stand at the ends of a pair of pipes: the gateway (in the VM) and the relay (on the host). This crate gives both of
//! them the same two things: [`frame`], how a message lies in the byte stream, and [`session`], what may be sent when (hello,
//! credit, fair turns, heartbeat). Bytes come in, bytes go out, the time is an argument: nothing here knows a pipe, a socket, an
//! IP packet, an async runtime or a clock. `README.md` beside this crate is the specification.
#![forbid(unsafe_code)]

mod codec;
pub mod facts;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod session;
pub mod via;

pub use facts::HostFacts;
pub use frame::{
    AnsweredBy, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, Frame, FrameError, Hello, QueryFailure,
    UnbindReason,
};
pub use ids::{BindId, FlowId, RequestId};
pub use session::{Pull, Role, Session, Source, Then, Violation};
pub use via::{HostProxy, ViaSettings};
