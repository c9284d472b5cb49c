//! Which end may send which frame.

use super::Role;
use crate::frame::Frame;

/// The name of `frame` if only `role` itself may send it.
pub(super) fn misdirected(role: Role, frame: &Frame<'_>) -> Option<&'static str> {
    let (sender, name) = match frame {
        Frame::Open { .. } => (Role::Gateway, "Open"),
        Frame::Bind { .. } => (Role::Gateway, "Bind"),
        Frame::Query { .. } => (Role::Gateway, "Query"),
        Frame::Echo { .. } => (Role::Gateway, "Echo"),
        Frame::AskFacts { .. } => (Role::Gateway, "AskFacts"),
        Frame::Via { .. } => (Role::Gateway, "Via"),
        Frame::HostAccess { .. } => (Role::Gateway, "HostAccess"),
        Frame::Orphan { .. } => (Role::Gateway, "Orphan"),
        Frame::Link { .. } => (Role::Gateway, "Link"),
        Frame::LinkFailed { .. } => (Role::Relay, "LinkFailed"),
        Frame::Opened { .. } => (Role::Relay, "Opened"),
        Frame::Failed { .. } => (Role::Relay, "Failed"),
        Frame::PeerError { .. } => (Role::Relay, "PeerError"),
        Frame::Answer { .. } => (Role::Relay, "Answer"),
        Frame::NoAnswer { .. } => (Role::Relay, "NoAnswer"),
        Frame::EchoReply { .. } => (Role::Relay, "EchoReply"),
        Frame::EchoError { .. } => (Role::Relay, "EchoError"),
        Frame::Facts { .. } => (Role::Relay, "Facts"),
        Frame::Changed => (Role::Relay, "Changed"),
        Frame::ViaTrouble { .. } => (Role::Relay, "ViaTrouble"),
        Frame::Hello(_)
        | Frame::Data { .. }
        | Frame::Credit { .. }
        | Frame::Fin { .. }
        | Frame::Reset { .. }
        | Frame::Datagram { .. }
        | Frame::Unbind { .. }
        | Frame::Moved
        | Frame::Ping { .. }
        | Frame::Pong { .. } => return None,
    };
    (sender == role).then_some(name)
}
