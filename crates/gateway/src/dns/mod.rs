//! The DNS front: what the gateway answers itself, what goes to the host's resolver, and how an
//! answer is made to fit UDP. The bytes of messages in, bytes out; it knows no stack and no relay.
//! DNS over TCP is in [`connections`]; what no answer from outside may name, in [`rebind`].

pub mod connections;
pub mod front;
pub mod rebind;
