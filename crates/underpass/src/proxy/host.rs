//! Where the Windows host is, seen from here: by WSL's mode and by whether the tunnel is up.

use gateway::net::{Net, NetError, Observed};
use gateway::status::GatewayState;
use ipnet::IpNet;
use messages::{Text, proxies as words};
use std::net::{IpAddr, Ipv4Addr};
use wsl::NetworkingMode;

/// The tunnel's device where no tunnel tells another name.
const TAP: &str = "underpass0";

/// What is seen of the network.
pub(super) struct View {
    observed: Result<Observed, NetError>,
    /// The address that stands for Windows' own 127.0.0.1 while the tunnel is up.
    tunnel: Option<Ipv4Addr>,
}

/// Why no host was found.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostError {
    /// The kernel does not tell.
    #[error("the Windows host cannot be found: {0}; give its address with --host")]
    Unseen(String),
    /// Nothing leads anywhere.
    #[error(
        "the Windows host cannot be found because there is no default route; give its address \
         with --host, or start the tunnel (`underpass up`)"
    )]
    NoRoute,
    /// The gateway is another machine.
    #[error(
        "WSL's mode is bridged, so its gateway is the network's router and not the Windows host; give the host's address with --host"
    )]
    Bridged,
}

/// Looks at the network.
pub(super) async fn view() -> View {
    let folders = [crate::runtime_dir(), gateway::publish::default_folder()];
    let tap = gateway::control::status(&folders)
        .ok()
        .filter(|status| status.state == GatewayState::Up)
        .and_then(|up| up.tap);
    let name = tap.as_ref().map_or(TAP, |tap| tap.name.as_str());
    let observed = match Net::open() {
        Ok(net) => net.observe(name).await,
        Err(error) => Err(error),
    };
    View { observed, tunnel: tap.map(|tap| tap.ipv4.host) }
}

/// The subnets that this machine is in.
pub(super) fn subnets(view: &View) -> Vec<IpNet> {
    let connected =
        view.observed.as_ref().map(|observed| observed.connected.clone()).unwrap_or_default();
    connected
        .into_iter()
        .filter(|net| !matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local()))
        .collect()
}

/// The host's address, and how it was found.
///
/// # Errors
/// See [`HostError`].
pub(super) fn auto(view: &View) -> Result<(String, Text), HostError> {
    match (&view.observed, view.tunnel) {
        (Ok(observed), tunnel) => choose(observed.mode, tunnel, observed.gateways.first().copied()),
        (Err(_), Some(host)) => choose(None, Some(host), None),
        (Err(error), None) => Err(HostError::Unseen(error.to_string())),
    }
}

fn choose(
    mode: Option<NetworkingMode>,
    tunnel: Option<Ipv4Addr>,
    gateway: Option<IpAddr>,
) -> Result<(String, Text), HostError> {
    if mode == Some(NetworkingMode::Mirrored) {
        return Ok(("127.0.0.1".to_owned(), words::HOST_MIRRORED.text()));
    }
    if let Some(host) = tunnel {
        return Ok((host.to_string(), words::HOST_TUNNEL.with("host", host)));
    }
    match gateway {
        _ if mode == Some(NetworkingMode::Bridged) => Err(HostError::Bridged),
        Some(host) => {
            let name = mode.map_or("unknown", NetworkingMode::name);
            Ok((host.to_string(), words::HOST_GATEWAY.with("host", host).with("mode", name)))
        }
        None => Err(HostError::NoRoute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_by_mode_and_tunnel() {
        let (tunnel, gateway) =
            (Some(Ipv4Addr::new(10, 99, 0, 3)), Some(IpAddr::from([172, 28, 48, 1])));
        let host = |mode, tunnel, gateway| choose(mode, tunnel, gateway).map(|(host, _)| host).ok();
        for mode in [Some(NetworkingMode::Nat), Some(NetworkingMode::VirtioProxy), None] {
            assert_eq!(host(mode, None, gateway).as_deref(), Some("172.28.48.1"));
            assert_eq!(host(mode, tunnel, gateway).as_deref(), Some("10.99.0.3"));
            assert_eq!(host(mode, None, None), None);
        }
        assert_eq!(
            host(Some(NetworkingMode::Mirrored), tunnel, gateway).as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(
            host(Some(NetworkingMode::Bridged), tunnel, gateway).as_deref(),
            Some("10.99.0.3")
        );
        let error = choose(Some(NetworkingMode::Bridged), None, gateway).unwrap_err().to_string();
        assert!(error.contains("bridged") && error.contains("--host"), "{error}");
        assert_eq!(host(Some(NetworkingMode::None), tunnel, None).as_deref(), Some("10.99.0.3"));
    }
}
