//! The owner of a connection, UDP socket or question, so that users share the tables fairly. The
//! stack's user looks owners up ([`Owners`]); the stack asks once a table is crowded. Knows no
//! table.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The first user id that `useradd` assigns as a subordinate one, and how many each user gets
/// (`SUB_UID_MIN`, `SUB_UID_COUNT` in login.defs(5)).
const SUBORDINATE: (u32, u32) = (100_000, 65_536);

/// The owner of a table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The entry came while the table had room for all. Its owner was not looked up.
    Unasked,
    /// A user of the VM, by the user id in the VM's first user namespace.
    User(u32),
    /// The subordinate user ids of one user: rootless containers. Counted separately, they would
    /// give one user the weight of tens of thousands.
    Subordinate(u32),
    /// A source address without a socket in the VM's network namespace: a container, or all
    /// containers that the kernel masquerades. IPv6 sources count by their /64.
    Source(IpAddr),
    /// Sources beyond the number that a table distinguishes.
    OtherSources,
}

impl Owner {
    fn of_user(uid: u32) -> Self {
        let (first, each) = SUBORDINATE;
        uid.checked_sub(first).map_or(Self::User(uid), |above| Self::Subordinate(above / each))
    }

    fn of_source(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Source(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::Source(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }

    /// Whether the owner is not a user of the VM. Such senders may make up their addresses, so all
    /// of them together have the weight of one user.
    #[must_use]
    pub fn is_source(self) -> bool {
        matches!(self, Self::Source(_) | Self::OtherSources)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unasked => f.write_str("unknown users"),
            Self::User(uid) => write!(f, "user {uid}"),
            Self::Subordinate(number) => {
                write!(
                    f,
                    "subordinate users from {}",
                    SUBORDINATE.0.saturating_add(number * SUBORDINATE.1)
                )
            }
            Self::Source(ip) => write!(f, "{ip}"),
            Self::OtherSources => f.write_str("other addresses"),
        }
    }
}

/// The protocols whose sockets can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The result of looking up the socket that a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppSocket {
    /// A user's socket.
    Of(u32),
    /// The app has closed it, and the kernel finishes the connection alone.
    Orphan,
    /// There is no socket: its app closed it, or it belongs to a container.
    Missing,
}

/// Looks up sockets: the kernel's `sock_diag`, through the stack's user. A look-up takes
/// microseconds.
pub trait Owners {
    /// The socket with these two ends. `None` if the look-up fails.
    fn look_up(
        &mut self,
        transport: Transport,
        app: SocketAddr,
        to: SocketAddr,
    ) -> Option<AppSocket>;
}

/// Knows no socket: owners are source addresses.
#[derive(Debug)]
pub(crate) struct BySource;

impl Owners for BySource {
    fn look_up(&mut self, _: Transport, _: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        None
    }
}

/// The current owner of a sender.
pub(crate) fn owner(
    owners: &mut dyn Owners,
    transport: Transport,
    app: SocketAddr,
    to: SocketAddr,
) -> Owner {
    match owners.look_up(transport, app, to) {
        Some(AppSocket::Of(uid)) => Owner::of_user(uid),
        Some(AppSocket::Orphan | AppSocket::Missing) | None => Owner::of_source(app.ip()),
    }
}

/// Whether the app of a known owner has closed its socket. For a container's socket this is
/// unknown.
pub(crate) fn is_gone(
    owners: &mut dyn Owners,
    transport: Transport,
    app: SocketAddr,
    to: SocketAddr,
    owner: Owner,
) -> bool {
    match owners.look_up(transport, app, to) {
        Some(AppSocket::Orphan) => true,
        Some(AppSocket::Missing) => matches!(owner, Owner::User(_) | Owner::Subordinate(_)),
        Some(AppSocket::Of(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_that_one_can_choose_make_no_further_owner() {
        let source = |ip: &str| Owner::of_source(ip.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:0:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_ne!(source("172.17.0.2"), source("172.17.0.3"));
        assert_eq!(Owner::of_user(100_000), Owner::of_user(165_535));
        assert_ne!(Owner::of_user(100_000), Owner::of_user(165_536));
        assert_eq!(
            (Owner::of_user(0), Owner::of_user(65_534)),
            (Owner::User(0), Owner::User(65_534))
        );
    }
    /// Gives the same answer for every socket.
    struct Says(Option<AppSocket>);

    impl Owners for Says {
        fn look_up(&mut self, _: Transport, _: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
            self.0
        }
    }

    const ALL: [Option<AppSocket>; 4] =
        [Some(AppSocket::Of(7)), Some(AppSocket::Orphan), Some(AppSocket::Missing), None];

    #[test]
    fn a_sender_is_its_sockets_user_or_else_its_address() {
        let (app, to) = ("172.17.0.2:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        let address = Owner::Source([172, 17, 0, 2].into());
        let found = ALL.map(|says| owner(&mut Says(says), Transport::Tcp, app, to));
        assert_eq!(found, [Owner::User(7), address, address, address]);
        assert_eq!(owner(&mut BySource, Transport::Udp, app, to), address);
    }

    #[test]
    fn an_app_is_gone_if_the_kernel_says_so_and_a_container_only_as_an_orphan() {
        let (app, to) = ("172.17.0.2:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        let gone = |owner| ALL.map(|says| is_gone(&mut Says(says), Transport::Tcp, app, to, owner));
        for user in [Owner::User(7), Owner::Subordinate(0)] {
            assert_eq!(gone(user), [false, true, true, false], "{user:?}");
        }
        for other in [Owner::Source([172, 17, 0, 2].into()), Owner::OtherSources, Owner::Unasked] {
            assert_eq!(gone(other), [false, true, false, false], "{other:?}");
        }
    }

    #[test]
    fn sources_and_users_are_distinguished() {
        let source = Owner::Source([10, 0, 0, 1].into());
        assert!(source.is_source() && Owner::OtherSources.is_source());
        for user in [Owner::User(0), Owner::Subordinate(1), Owner::Unasked] {
            assert!(!user.is_source(), "{user:?}");
        }
        assert_eq!(Owner::of_user(99_999), Owner::User(99_999));
        assert_eq!(Owner::of_user(231_071), Owner::Subordinate(1));
        for (owner, words) in [
            (Owner::Unasked, "unknown users"),
            (Owner::User(3), "user 3"),
            (Owner::Subordinate(1), "subordinate users from 165536"),
            (source, "10.0.0.1"),
            (Owner::OtherSources, "other addresses"),
        ] {
            assert_eq!(owner.to_string(), words);
        }
    }
}
