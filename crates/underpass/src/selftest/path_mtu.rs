//! Whether what may not be fragmented is refused with the MTU that the host's way out has (RFC
//! 1191), and what fits comes back.

use super::report::Finding;
use anyhow::Context as _;
use doctor::facts::Outcome;
use gateway::status::TapStatus;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt::IpMtu};
use probe::icmp;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What a datagram has before its payload: the headers of IPv4 and UDP.
const HEADERS: u32 = 28;

/// Each datagram, and what comes back, may be lost.
const TRIES: usize = 4;

/// How long an answer to each may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pings an address, and sends datagrams to it, to which no program has to answer.
pub(super) async fn look(tap: &TapStatus, to: SocketAddr) -> anyhow::Result<Finding> {
    let Some(mtu) = tap.way_mtu else {
        return Ok(Finding::skipped("--mtu decides what packets may have, not the host's way out"));
    };
    let whole = icmp::ping(to.ip(), None, Some(mtu)).await.outcome;
    let announced = refused(to, mtu + 1).await.context("no datagram can be sent")?;
    let (comes, names) =
        (matches!(whole, Outcome::Ok { .. }), announced.is_some_and(|announced| announced <= mtu));
    let words = format!(
        "a ping of {mtu} bytes, as the host's way out takes, comes back: {}; a datagram of one \
         byte more, with DF, is \
         refused: {}",
        if comes { "yes" } else { "no" },
        announced.map_or_else(|| "no".to_owned(), |announced| format!("with {announced}")),
    );
    // A path may take less than the host's own way out.
    let finding = if names { Finding::yes(words) } else { Finding::no(words) };
    let finding = finding.figure("mtu", mtu.into());
    Ok(match announced {
        Some(announced) => finding.figure("told", announced.into()),
        None => finding,
    })
}

/// Sends packets of this size with DF; the MTU that an error then names. The socket disregards what
/// the VM's own kernel knows of the path (ip(7), `IP_PMTUDISC_PROBE`), so that the host has to say
/// it.
async fn refused(to: SocketAddr, size: u32) -> io::Result<Option<u32>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?;
    socket.connect(to).await?;
    let payload = vec![0; size.saturating_sub(HEADERS) as usize];
    let mut answer = [0; 1];
    for _ in 0..TRIES {
        // An error that came back about an earlier one may be what a send reports.
        let sent = socket.send(&payload).await.map(drop);
        let heard = match sent {
            Ok(()) => timeout(PATIENCE, socket.recv(&mut answer))
                .await
                .map_or(Ok(()), |heard| heard.map(drop)),
            Err(error) => Err(error),
        };
        if heard.is_err_and(|error| error.raw_os_error() == Some(Errno::EMSGSIZE as i32)) {
            return Ok(getsockopt(&socket, IpMtu).ok().and_then(|mtu| u32::try_from(mtu).ok()));
        }
    }
    Ok(None)
}
