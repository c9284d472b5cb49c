//! Tests whether packets as large as the interface's MTU come through. The usual fault is a tunnel
//! on the way with a smaller MTU, whose message about it (RFC 1191, 'fragmentation needed') is
//! lost: then small transfers work and large ones hang.

use crate::{Method, Outcome, PROXY_PATIENCE, icmp, tcp};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The fate of large packets to the outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtuProbe {
    /// The interface by which they leave.
    pub device: String,
    /// Its MTU.
    pub mtu: u32,
    /// By pings that may not be cut, or by a transfer over TCP.
    pub method: Method,
    /// A small packet or transfer.
    pub small: Outcome,
    /// One as large as the MTU allows.
    pub large: Outcome,
    /// The largest IP packet that came through, where that was looked for.
    pub largest: Option<u32>,
    /// The MTU that a router reported, if the packet was too large.
    pub told: Option<u32>,
}

/// The largest MTU on the internet. The tunnel's own is far larger than the host's.
const LARGEST: u32 = 1500;

/// Sizes that are tried where the largest does not come through: IPv6's least, then what VPNs and
/// tunnels leave (WireGuard 1420, IPsec about 1400, PPPoE 1492).
const SIZES: [u32; 8] = [1280, 1320, 1360, 1400, 1420, 1440, 1472, 1492];

/// Bytes of a small request over TCP, and of one that needs more than a packet of the largest size.
const REQUESTS: [usize; 2] = [200, 4000];

/// Tries with pings, or with requests over TCP if pings get no answer. `mtu` is that of the device
/// by which packets leave.
pub async fn probe(to: SocketAddr, device: &str, mtu: u32) -> MtuProbe {
    let size = mtu.min(LARGEST);
    let small = icmp::ping(to.ip(), None, None).await;
    let mut probe = MtuProbe {
        device: device.to_owned(),
        mtu,
        method: Method::Icmp,
        small: small.outcome,
        large: Outcome::NotTried,
        largest: None,
        told: None,
    };
    if !matches!(probe.small, Outcome::Ok { .. }) {
        return by_tcp(to, probe).await;
    }
    let large = icmp::ping(to.ip(), None, Some(size)).await;
    probe.told = large.fits.filter(|fits| *fits < size);
    if matches!(large.outcome, Outcome::Ok { .. }) {
        probe.largest = Some(size);
    } else {
        probe.largest = largest(to.ip(), size).await;
    }
    probe.large = large.outcome;
    probe
}

/// The largest size below `size` that comes through.
async fn largest(to: IpAddr, size: u32) -> Option<u32> {
    let sizes = SIZES.into_iter().filter(|one| *one < size);
    let tried = join_all(
        sizes.map(|size| async move { (size, icmp::ping(to, None, Some(size)).await.outcome) }),
    )
    .await;
    tried
        .into_iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Ok { .. }))
        .map(|(size, _)| size)
        .max()
}

/// A small and a large request, at once.
async fn by_tcp(to: SocketAddr, probe: MtuProbe) -> MtuProbe {
    let ask = |size| async move {
        let mut stream = match tcp::open(to, None).await {
            Ok(stream) => stream,
            Err(outcome) => return outcome,
        };
        tcp::exchange(&mut stream, to.port(), &to.ip().to_string(), size, PROXY_PATIENCE).await
    };
    let [small, large] = REQUESTS;
    let (small, large) = tokio::join!(ask(small), ask(large));
    MtuProbe { method: Method::Tcp, small, large, ..probe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_takes_all_that_it_is_given() {
        let probe = probe("127.0.0.1:9".parse().unwrap(), "lo", 65_536).await;
        assert_eq!(
            (probe.method, probe.largest, probe.told),
            (Method::Icmp, Some(LARGEST), None),
            "{probe:?}"
        );
        assert!(matches!(probe.large, Outcome::Ok { .. }), "{probe:?}");
    }
}
