//! A TCP connect that keeps the content of an ICMP error, if this Windows reports it; its error
//! code names neither the router nor a filter. The app's time to live applies to the connection
//! from its SYN to its end.
//!
//! A Windows before version 2004 reports nothing of a SYN that ran out of hops, and sends it again
//! until its time is over. An echo request with the same hop limit then finds the router.

use super::echo::outcome;
use super::pinger::{Pinger, Request};
use super::win32::connect_errors::{Calls, IcmpError, WINDOWS};
use super::win32::icmp;
use crate::echo::Outcome;
use crate::icmp::{fault4, fault6};
use crate::limits::{MAX_HOP_PINGS, PINGS};
use crate::tcp::Reported;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::pin::pin;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use wire::frame::Family;
use wire::{Fault, FaultKind, Marks, RequestId};

/// Each holds a thread while it runs.
static HOP_PINGS: Semaphore = Semaphore::const_new(MAX_HOP_PINGS);

/// Connects to `to`, with a hop limit for its packets if one is given.
///
/// # Errors
/// [`Reported`] if an ICMP error ended the attempt, otherwise Windows' error.
pub(crate) async fn connect(to: SocketAddr, hops: Option<NonZeroU8>) -> io::Result<TcpStream> {
    connect_by(WINDOWS, icmp::Functions::load, to, hops).await
}

async fn connect_by(
    calls: Calls,
    load: fn() -> icmp::Functions,
    to: SocketAddr,
    hops: Option<NonZeroU8>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    let can_report = calls.fail_on_errors(&socket).is_ok();
    let Some(hops) = hops else { return finish(calls, socket, to).await };
    limit(&socket, to, hops)?;
    if can_report {
        return finish(calls, socket, to).await;
    }
    let (mut connecting, mut asking) =
        (pin!(finish(calls, socket, to)), pin!(ended_by(load, to.ip(), hops)));
    tokio::select! {
        biased;
        outcome = &mut connecting => match outcome {
            // Wine's kernel, unlike Windows, gives up at the router's error, and Wine reports no
            // more than that.
            Err(error) if is_of_the_way(&error) => match asking.await {
                Some(fault) => Err(io::Error::other(Reported(fault))),
                None => Err(error),
            },
            outcome => outcome,
        },
        fault = &mut asking => match fault {
            Some(fault) => Err(io::Error::other(Reported(fault))),
            None => connecting.await,
        },
    }
}

/// Starts the connect of a prepared socket, and waits for its end.
async fn finish(calls: Calls, socket: Socket, to: SocketAddr) -> io::Result<TcpStream> {
    match socket.connect(&to.into()) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        None => Ok(stream),
        Some(error) => Err(calls
            .error(&stream)
            .and_then(fault)
            .map_or(error, |fault| io::Error::other(Reported(fault)))),
    }
}

fn limit(socket: &Socket, to: SocketAddr, hops: NonZeroU8) -> io::Result<()> {
    let (socket, hops) = (SockRef::from(socket), hops.get().into());
    if to.is_ipv4() { socket.set_ttl_v4(hops) } else { socket.set_unicast_hops_v6(hops) }
}

fn fault(IcmpError { from, family, kind, code }: IcmpError) -> Option<Fault> {
    // Windows sends a segment that is too big again, smaller: it ends no connect.
    let kind = match family {
        Family::V4 => fault4(kind, code, 0),
        Family::V6 => fault6(kind, code, 0),
    }?;
    Some(Fault { kind, router: from })
}

/// WSAEHOSTUNREACH, WSAENETUNREACH, WSAETIMEDOUT, and the system's own codes for them: no host
/// answered.
fn is_of_the_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(10065 | 10051 | 10060 | 1232 | 1231 | 121))
}

/// The router at which an echo request with that hop limit ends; `None` if it ends at no router.
async fn ended_by(load: fn() -> icmp::Functions, to: IpAddr, hops: NonZeroU8) -> Option<Fault> {
    let permit = HOP_PINGS.try_acquire().ok()?;
    let (tell, mut ended) = mpsc::channel(1);
    // The receiver is gone only if the connect ended meanwhile. The pinger's thread may outlive it,
    // and holds the permit to its end.
    let tell = move |_, reply: Option<icmp::Reply>| {
        let _held = &permit;
        drop(tell.try_send(reply.and_then(outcome)));
    };
    let pinger = Pinger::start(load(), PINGS, tell).ok()?;
    pinger.send(Request {
        id: RequestId(0),
        to,
        marks: Marks::of_ttl(hops.get()),
        payload: Vec::new(),
    });
    match ended.recv().await.flatten()? {
        Outcome::Error(fault) if fault.kind == FaultKind::TimeExceeded => Some(fault),
        Outcome::Error(_) | Outcome::Reply { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::win32::connect_errors::fake;
    use super::super::win32::icmp::fake as pings;
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    const HOPS: Option<NonZeroU8> = NonZeroU8::new(3);

    /// An address at which nothing listens.
    fn closed() -> SocketAddr {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
    }

    fn no_pings() -> icmp::Functions {
        panic!("a Windows that reports hops needs no pings")
    }

    fn functions() -> icmp::Functions {
        pings::FUNCTIONS
    }

    fn reported(outcome: io::Result<TcpStream>) -> Fault {
        let error = outcome.unwrap_err();
        error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Reported>())
            .unwrap_or_else(|| panic!("{error:?}"))
            .0
    }

    #[tokio::test]
    async fn what_a_router_says_is_reported_with_its_address() {
        let router = Some("192.0.2.1".parse().unwrap());
        for (kind, code, means) in [
            (11, 0, FaultKind::TimeExceeded),
            (3, 13, FaultKind::Prohibited),
            (3, 3, FaultKind::PortUnreachable),
            (3, 1, FaultKind::HostUnreachable),
        ] {
            fake::says(IcmpError { from: router, family: Family::V4, kind, code });
            for hops in [None, HOPS] {
                let outcome = connect_by(fake::CALLS, no_pings, closed(), hops).await;
                assert_eq!(reported(outcome), Fault { kind: means, router });
            }
        }
        let router = Some("2001:db8::1".parse().unwrap());
        fake::says(IcmpError { from: router, family: Family::V6, kind: 1, code: 1 });
        let outcome = connect_by(fake::CALLS, no_pings, closed(), None).await;
        assert_eq!(reported(outcome), Fault { kind: FaultKind::Prohibited, router });
    }

    #[tokio::test]
    async fn a_connect_that_no_router_ended_fails_by_its_own_code() {
        fake::says_nothing();
        let error = connect_by(fake::CALLS, no_pings, closed(), HOPS).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(10061), "{error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream =
            connect_by(fake::CALLS, no_pings, listener.local_addr().unwrap(), HOPS).await.unwrap();
        assert_eq!(SockRef::from(&stream).ttl_v4().unwrap(), 3, "for the connection's life");
    }

    #[tokio::test]
    async fn an_older_windows_is_asked_by_a_ping_that_goes_as_far() {
        pings::alone(async {
            let hops = HOPS.unwrap();
            let exceeded =
                Fault { kind: FaultKind::TimeExceeded, router: Some(pings::EXPIRES.into()) };
            assert_eq!(ended_by(functions, pings::EXPIRES.into(), hops).await, Some(exceeded));
            assert_eq!(ended_by(functions, pings::ALIVE.into(), hops).await, None, "it arrived");
            // A connect that ends by itself needs no ping.
            let error = connect_by(fake::OLDER, functions, closed(), HOPS).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(10061), "{error}");
        })
        .await;
    }
}
