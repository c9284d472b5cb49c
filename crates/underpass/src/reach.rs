//! Whether WSL's own network reaches the outside without the tunnel: a name is asked of the VM's
//! nameservers, and a connection made, both from the address of another interface than the TAP.
//! Packets from there keep their old way, also while the tunnel is up; where only answers do, a
//! socket that is bound to the interface does.

use futures_util::future::select_ok;
use gateway::net::{Net, Observed, uplink};
use hickory_proto::rr::{Name, RecordType};
use probe::dns::{self, Asking};
use probe::{Origin, tcp};
use proxy::{Host, Target};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;
use wsl::{Nameserver, ResolvConf};

/// A network that takes longer does not reach the outside.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a nameserver may take before the next is asked.
const SERVER_PATIENCE: Duration = Duration::from_secs(1);

/// Whether the target is reached without the tunnel, whose device is `tap`.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub(crate) async fn reaches_without_tunnel(target: &Target, tap: &str) -> bool {
    let reached = async {
        let own = own(&Net::open().ok()?.observe(tap).await.ok()?);
        let own = &own[..];
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let mut name = Name::from_utf8(name).ok()?;
                name.set_fqdn(true);
                look_up(&name, own).await
            }
        };
        let connect = |address| Box::pin(connect(SocketAddr::new(address, target.port), own));
        let connects: Vec<_> = addresses.into_iter().map(connect).collect();
        // It takes at least one.
        if connects.is_empty() { None } else { select_ok(connects).await.ok().map(drop) }
    };
    matches!(timeout(PATIENCE, reached).await, Ok(Some(_)))
}

/// The addresses from which this machine is reached without the tunnel.
fn own(observed: &Observed) -> Vec<Origin> {
    let uplink = uplink(observed);
    let device = |own: &IpAddr| {
        let found =
            observed.addresses.iter().find(|address| address.own == *own && uplink.contains(own));
        found.map(|address| address.device.clone())
    };
    observed.own.iter().map(|own| Origin { address: *own, device: device(own) }).collect()
}

/// The addresses of a name of the families that the VM has, as the first nameserver that answers
/// tells them.
async fn look_up(name: &Name, own: &[Origin]) -> Vec<IpAddr> {
    let resolv_conf = tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default();
    let families = [(RecordType::A, true), (RecordType::AAAA, false)];
    for server in ResolvConf::read(&resolv_conf).servers() {
        let mut addresses = Vec::new();
        for (kind, is_v4) in families {
            if own.iter().any(|own| own.address.is_ipv4() == is_v4)
                && let Ok(Ok(found)) = timeout(SERVER_PATIENCE, ask(server, name, kind, own)).await
            {
                addresses.extend(found);
            }
        }
        if !addresses.is_empty() {
            return addresses;
        }
    }
    Vec::new()
}

async fn ask(
    server: &Nameserver,
    name: &Name,
    kind: RecordType,
    own: &[Origin],
) -> io::Result<Vec<IpAddr>> {
    let from = from(server.address, own)?;
    let asking = Asking { from: from.as_ref(), ..Asking::default() };
    Ok(dns::query(server, name, kind, asking).await?.addresses)
}

async fn connect(to: SocketAddr, own: &[Origin]) -> io::Result<()> {
    tcp::connect_from(to, from(to.ip(), own)?.as_ref()).await.map(drop)
}

/// The origin from which another machine is reached without the tunnel. This machine is reached by
/// any way.
fn from(to: IpAddr, own: &[Origin]) -> io::Result<Option<Origin>> {
    if to.is_loopback() {
        return Ok(None);
    }
    let same_family = own.iter().find(|own| own.address.is_ipv4() == to.is_ipv4());
    same_family.cloned().map(Some).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}
