//! The protocol between the gateway and its relay, without any I/O.
//!
//! Two programs stand at the ends of a pair of pipes: the gateway (in the VM) and the relay (on the
//! host). This crate gives both of them the same three modules. The module [`frame`] defines the
//! form of a message in the byte stream. The module [`seal`] detects lost bytes before later bytes
//! are used. The module [`session`] decides what may be sent when (hello, credit, fair turns,
//! heartbeat). Bytes come in, bytes go out, the time is an argument: nothing here knows a pipe, a
//! socket, an IP packet, an async runtime or a clock. `README.md` beside this crate is the
//! specification.
#![forbid(unsafe_code)]

pub mod access;
mod codec;
pub mod decoder;
pub mod facts;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod link;
mod marks;
pub mod seal;
pub mod session;
pub mod via;

pub use access::HostAccessSettings;
pub use decoder::{Decoder, Taken};
pub use facts::HostFacts;
pub use frame::{
    AnsweredBy, Capabilities, ConnectFailure, Frame, FrameError, Hello, QueryFailure, UnbindReason,
};
pub use ids::{BindId, FlowId, RequestId};
pub use link::{LinkFailures, LinkKind, LinkOffers};
pub use seal::Sealer;
pub use session::{Pull, Role, Session, Source, Then, Violation};
pub use terms::{Fault, FaultKind, Fragments, Marks};
pub use via::{HostProxy, ViaSettings};
