//! The gateway's user-mode TCP/IP stack, without any I/O.
//!
//! Ethernet frames from the TAP go in and [`Event`]s come out; the relay's data goes in and frames
//! come out. The time is an argument. The crate knows no file descriptor, no netlink, no relay and
//! no clock, and it alone names smoltcp (in `tcp`). It implements UDP, ICMP, ARP, neighbour
//! discovery and reassembly itself. TCP's state machine is smoltcp's, with one socket set per flow.
#![forbid(unsafe_code)]

pub mod addresses;
mod contacts;
mod event;
mod fragments;
mod icmp;
pub mod limits;
mod link;
mod marks;
mod neighbours;
pub mod offload;
mod outgoing;
mod owner;
mod packet;
mod requests;
mod sent;
mod shares;
mod stack;
mod stats;
mod tcp;
mod udp;
mod uplink;
mod waiting;

pub use addresses::{AddressPlan, HostAccess, Ipv6, Target};
pub use contacts::Filtering;
pub use event::{Event, Refusal};
pub use offload::{Gso, GsoKind, Offload, PartialChecksum, RxMeta, Transmit, TxMeta};
pub use owner::{AppSocket, Owner, Owners, Transport};
pub use requests::RequestId;
pub use stack::{Capacity, Config, Stack};
pub use stats::{DropReason, Stats};
pub use tcp::FlowId;
pub use tcp::flow::Changes;
pub use terms::{Fault, FaultKind, Fragments, Marks};
pub use udp::BindId;
pub use uplink::{Elsewhere, Strays};
pub use waiting::Waiting;
