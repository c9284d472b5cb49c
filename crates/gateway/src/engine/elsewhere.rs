//! Conversations that did not begin by the tunnel although their packets came to it: rules keep these off
//! it while they are known. Knows no rule; [`crate::network`] sets them.
//!
//! A packet that a rule keeps off the tunnel is not seen here. So when its time is over the kernel is asked
//! whether it still has a socket at that port: a rule that went while a server listens would cost each
//! new peer a lost answer. The kernel lists its sockets in `/proc/net/tcp` (proc_net_tcp in Linux'
//! documentation), which takes milliseconds where there are ten thousand, and is read by a thread of its own.

use crate::limits::{ELSEWHERE_LIFETIME, MAX_ELSEWHERE};
use crate::network::Wish;
use futures_util::FutureExt as _;
use stack::Elsewhere;
use std::collections::VecDeque;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks at whether the kernel's sockets are read.
const READ_PATIENCE: Duration = Duration::from_millis(100);

/// Those that are known, the one heard of last at the end.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    known: VecDeque<(Instant, Elsewhere)>,
    /// The kernel's sockets, while they are read for those whose time is over, and when to look again.
    sockets: Option<(Instant, JoinHandle<Vec<SocketAddr>>)>,
}

impl Conversations {
    /// A packet of one came.
    pub(super) fn note(&mut self, now: Instant, one: Elsewhere, wish: &watch::Sender<Wish>) {
        let known = self.known.iter().position(|(_, known)| *known == one);
        match known {
            Some(at) => drop(self.known.remove(at)),
            None => tracing::debug!(?one, "it began by the VM's own network, and goes on there"),
        }
        while self.known.len() >= MAX_ELSEWHERE {
            self.known.pop_front();
        }
        self.known.push_back((now, one));
        if known.is_none() {
            self.tell(wish);
        }
    }

    /// Forgets those whose time is over and whose port has no socket any more; the others begin anew.
    pub(super) fn expire(&mut self, now: Instant, wish: &watch::Sender<Wish>) {
        let Some((again, sockets)) = &mut self.sockets else {
            if self.deadline().is_some_and(|at| at <= now) {
                self.sockets = Some((now + READ_PATIENCE, tokio::task::spawn_blocking(sockets)));
            }
            return;
        };
        let Some(read) = sockets.now_or_never() else {
            *again = now + READ_PATIENCE;
            return;
        };
        self.sockets = None;
        let sockets = read.unwrap_or_default();
        let before = self.known.len();
        for _ in 0..before {
            let Some((at, one)) = self.known.pop_front() else { break };
            if at + ELSEWHERE_LIFETIME > now {
                self.known.push_front((at, one));
                break;
            }
            if is_alive(one, &sockets) {
                self.known.push_back((now, one));
            }
        }
        if self.known.len() != before {
            self.tell(wish);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.sockets {
            Some((again, _)) => Some(*again),
            None => self.known.front().map(|(at, _)| *at + ELSEWHERE_LIFETIME),
        }
    }

    fn tell(&self, wish: &watch::Sender<Wish>) {
        let all = self.known.iter().map(|(_, one)| *one).collect();
        wish.send_modify(|wish| wish.elsewhere = all);
    }
}

/// Whether a conversation may go on without a packet that is seen here. A ping that goes on is heard of
/// again.
fn is_alive(one: Elsewhere, sockets: &[SocketAddr]) -> bool {
    let Elsewhere::Tcp(end) = one else { return false };
    let is_at = |socket: &&SocketAddr| {
        let ip = socket.ip().to_canonical();
        socket.port() == end.port() && (ip == end.ip() || ip.is_unspecified())
    };
    sockets.iter().any(|socket| is_at(&socket))
}

/// The ends of this network namespace's TCP sockets. None where they cannot be read.
fn sockets() -> Vec<SocketAddr> {
    let of = |table: &str| ends(&fs::read_to_string(table).unwrap_or_default());
    [of("/proc/net/tcp"), of("/proc/net/tcp6")].concat()
}

/// States without a socket of a program's: TIME_WAIT and CLOSE (include/net/tcp_states.h).
const GONE: [&str; 2] = ["06", "07"];

/// The ends that a table of the kernel's names (`get_tcp4_sock` in net/ipv4/tcp_ipv4.c, `get_tcp6_sock`):
/// number, own end, peer's end, state. An address is in hexadecimal words of the machine's byte order.
fn ends(table: &str) -> Vec<SocketAddr> {
    let end = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        if words.nth(1).is_none_or(|state| GONE.contains(&state)) {
            return None;
        }
        let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
        let ip: IpAddr = match address.len() {
            8 => Ipv4Addr::from(word(0)?).into(),
            _ => {
                let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
                Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into()
            }
        };
        Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
    };
    table.lines().skip(1).filter_map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Has what is due looked at, until it is done.
    async fn expire(known: &mut Conversations, now: Instant, wish: &watch::Sender<Wish>) {
        known.expire(now, wish);
        while known.sockets.is_some() {
            tokio::task::yield_now().await;
            known.expire(now, wish);
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    async fn they_are_bounded_and_expire_and_changes_are_passed_on() {
        let start = Instant::now();
        let (wish, mut heard) = watch::channel(Wish::default());
        let port = |port: usize| Elsewhere::Tcp(SocketAddr::from(([172, 28, 48, 2], u16::try_from(port).unwrap())));
        let mut known = Conversations::default();
        assert_eq!(known.deadline(), None);
        for second in 0..=MAX_ELSEWHERE {
            known.note(start + Duration::from_secs(second as u64), port(second), &wish);
            assert!(heard.has_changed().unwrap());
            heard.mark_unchanged();
        }
        let all = |known: &Conversations| known.known.iter().map(|(_, one)| *one).collect::<Vec<_>>();
        assert_eq!(all(&known), (1..=MAX_ELSEWHERE).map(port).collect::<Vec<_>>(), "the oldest made room");
        assert_eq!(wish.borrow().elsewhere, all(&known));
        // One that is known becomes the newest; its rule is there already.
        let now = start + Duration::from_secs(1000);
        known.note(now, port(1), &wish);
        assert_eq!((known.known.len(), known.known.back().unwrap()), (MAX_ELSEWHERE, &(now, port(1))));
        expire(&mut known, start + ELSEWHERE_LIFETIME, &wish).await;
        assert!(!heard.has_changed().unwrap());
        expire(&mut known, start + ELSEWHERE_LIFETIME + Duration::from_secs(999), &wish).await;
        assert_eq!((all(&known), wish.borrow().elsewhere.clone()), (vec![port(1)], vec![port(1)]));
        assert_eq!(known.deadline(), Some(now + ELSEWHERE_LIFETIME));
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    async fn a_servers_rule_stays_as_long_as_it_listens() {
        let (wish, _heard) = watch::channel(Wish::default());
        let mut known = Conversations::default();
        let servers = ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"].map(|at| TcpListener::bind(at).unwrap());
        let ports = servers.each_ref().map(|server| server.local_addr().unwrap().port());
        let at = |ip: &str, port| Elsewhere::Tcp(SocketAddr::new(ip.parse().unwrap(), port));
        let live = [at("127.0.0.1", ports[0]), at("172.28.48.2", ports[1]), at("172.28.48.2", ports[2])];
        let own = "172.28.48.2".parse().unwrap();
        let dead = [at("172.28.48.2", ports[0]), Elsewhere::Ping { own, peer: own }];
        let mut now = Instant::now();
        for one in live.into_iter().chain(dead) {
            known.note(now, one, &wish);
        }
        for _ in 0..3 {
            now += ELSEWHERE_LIFETIME;
            expire(&mut known, now, &wish).await;
            assert_eq!(wish.borrow().elsewhere, live);
            assert_eq!(known.deadline(), Some(now + ELSEWHERE_LIFETIME));
        }
        drop(servers);
        expire(&mut known, now + ELSEWHERE_LIFETIME, &wish).await;
        assert_eq!((wish.borrow().elsewhere.len(), known.deadline()), (0, None));
    }

    #[test]
    fn the_kernels_tables_are_read() {
        // Of a machine whose first byte in memory is the lowest, as all that WSL runs on are.
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n   \
                  1: 02301CAC:0016 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0\n   \
                  2: nonsense\n";
        let v6 = "  sl  local_address                         remote_address                        st\n   \
                  0: 0000000000000000FFFF000002301CAC:0050 00000000000000000000000000000000:0000 01\n";
        let told = |table| ends(table).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            (told(v4), told(v6)),
            (vec!["127.0.0.1:8080".to_owned()], vec!["[::ffff:172.28.48.2]:80".to_owned()])
        );
    }
}
