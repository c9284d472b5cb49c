//! The DNS front: what the gateway answers itself, what goes to the host's resolver, and how an
//! answer is cut for UDP. Bytes of messages go in and out; it knows no stack and no relay.
//! [`connections`] has DNS over TCP, [`rebind`] the addresses that no answer from outside may name.

pub mod connections;
pub mod front;
pub mod rebind;
