//! Listens for TCP of the host on the network that WSL gives the VM: only in NAT mode, where the
//! host has an address of its own there. The socket belongs to `eth0`, so no packet of it goes to
//! the TAP, although the tunnel captures the host's address.

use super::{Around, failed};
use crate::limits::{LINK_BYTES, MAX_LINK_CALLERS};
use crate::net::{Net, Observed};
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use wire::LinkKind;
use wire::link::{LinkCause, LinkFailure, Offer};
use wsl::NetworkingMode;

/// The interface of the VM's own network.
const DEVICE: &str = "eth0";

pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// The only peer.
    pub(super) host: Ipv4Addr,
}

/// Listens on the VM's address.
///
/// # Errors
/// Another networking mode, or the system's.
pub(super) async fn listen(around: &Around) -> Result<(Listener, Offer), LinkFailure> {
    let fail = |cause, text: &str| LinkFailure {
        link: LinkKind::Tcp,
        cause,
        code: 0,
        text: text.to_owned(),
    };
    let observed = match Net::open() {
        Ok(net) => net.observe_in(&around.tap, around.mode).await,
        Err(error) => Err(error),
    };
    let observed = observed.map_err(|error| fail(LinkCause::Other, &error.to_string()))?;
    if observed.mode != Some(NetworkingMode::Nat) {
        return Err(fail(LinkCause::Mode, "TCP needs WSL's networking mode nat"));
    }
    let (own, host) = ends(&observed).ok_or_else(|| {
        fail(LinkCause::Unreachable, "eth0 has no IPv4 address, or there is no way to the host")
    })?;
    let socket = open(own)
        .map_err(|error| failed(LinkKind::Tcp, "the gateway cannot listen on eth0", &error))?;
    let address = socket
        .local_addr()
        .map_err(|error| failed(LinkKind::Tcp, "the gateway cannot listen on eth0", &error))?;
    Ok((Listener { socket, host }, Offer::Tcp { address }))
}

/// The VM's address on that network, and the host's: the next hop of the VM's default route.
fn ends(observed: &Observed) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let on_device = observed.addresses.iter().filter(|address| address.device == DEVICE);
    on_device
        .filter_map(|address| {
            let own = only_v4(address.own)?;
            let hosts = observed.gateways.iter().filter(|host| address.subnet.contains(*host));
            Some((own, hosts.filter_map(|host| only_v4(*host)).next()?))
        })
        .next()
}

fn only_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn open(own: Ipv4Addr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind_device(Some(DEVICE.as_bytes()))?;
    // Before a connection, since the window's scale is chosen then (RFC 7323 section 2.2). The
    // connections inherit it.
    enlarge(&socket);
    socket.bind(SocketAddr::from((own, 0)))?;
    socket.listen(u32::try_from(MAX_LINK_CALLERS).unwrap_or(u32::MAX))
}

/// Beyond the machine's limits (net.core.wmem_max, rmem_max), which takes CAP_NET_ADMIN; with less
/// it works too, but slower.
fn enlarge(socket: &impl AsFd) {
    let forced = [
        setsockopt(socket, sockopt::SndBufForce, &LINK_BYTES),
        setsockopt(socket, sockopt::RcvBufForce, &LINK_BYTES),
    ];
    for error in forced.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "the link's socket keeps its size");
    }
}

impl Listener {
    /// The host's next connection.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        loop {
            match ready!(self.socket.poll_accept(cx)) {
                Ok((stream, peer)) if peer.ip() == IpAddr::V4(self.host) => {
                    stream.set_nodelay(true)?;
                    return Poll::Ready(Ok(stream));
                }
                // Closed by its drop.
                Ok(_) => {}
                // The peer is gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_next_hop_on_the_devices_own_network() {
        let mut observed = Observed::behind_nat(&[
            ("docker0", "10.0.0.2", "10.0.0.0/24"),
            ("eth0", "fd00::2", "fd00::/64"),
            ("eth0", "172.28.48.2", "172.28.48.0/20"),
        ]);
        observed.gateways = vec!["10.0.0.1".parse().unwrap(), "172.28.48.1".parse().unwrap()];
        let expected = (Ipv4Addr::new(172, 28, 48, 2), Ipv4Addr::new(172, 28, 48, 1));
        assert_eq!(ends(&observed), Some(expected));
        observed.gateways.pop();
        assert_eq!(ends(&observed), None, "the host is not on that network");
    }
}
