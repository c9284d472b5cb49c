//! Ids of the things that frames are about.
//!
//! The gateway hands out every id; the relay only repeats them. An id may be used again once both
//! ends are done with it, so the gateway spreads its ids (a generation in the upper bits) and both
//! ends ignore what arrives late for an id that they do not know.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}#{}", stringify!($name), self.0)
            }
        }
    };
}

id!(
    /// One TCP connection.
    FlowId
);
id!(
    /// One UDP socket of the relay: it stands for one source address and port of the VM (RFC 4787,
    /// endpoint-independent mapping).
    BindId
);
id!(
    /// One question that gets at most one answer: a DNS query, an echo request, a request for
    /// facts.
    RequestId
);
