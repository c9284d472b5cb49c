//! Keeps the VM's addresses and routes as they should be: set while a relay serves, removed while
//! no relay does, and adjusted when the VM's network or the host's facts change. It runs in a
//! process of its own (`processes/network.rs`), the only one that may change the VM's network. It
//! and the engine exchange whole states, so nothing is lost if one of them is slow.

use crate::limits::MAX_MIRRORED;
use crate::link::{Link, Parcel};
use crate::net::{
    Changes, Families, Net, NetError, NoIpv6, Observed, Plan, Tap6, Ways, captured, choose_subnet,
    uplink, ways,
};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use stack::addresses::{GATEWAY6, PREFIX4, PREFIX6, VM6};
use stack::{AddressPlan, Elsewhere, HostAccess};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wire::HostFacts;
use wsl::NetworkingMode;

/// The state that the engine wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// Whether traffic should come to the TAP.
    pub(crate) carry: bool,
    /// The relay host's facts, once a relay has reported them.
    pub(crate) host: Option<HostFacts>,
    /// Conversations of uplink addresses that did not begin by the tunnel.
    pub(crate) elsewhere: Vec<Elsewhere>,
}

/// The state of the VM's network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkState {
    /// Whether traffic comes to the TAP.
    pub(crate) up: bool,
    /// The addresses, once they are chosen.
    pub(crate) plan: Option<AddressPlan>,
    /// The VM's own addresses from which apps' new conversations come to the TAP, and those from
    /// which they are about to.
    pub(crate) uplink: Vec<IpAddr>,
    /// Whether IPv6 is carried.
    pub(crate) ipv6: bool,
    /// Why IPv6 is not carried, although the relay's host has it.
    pub(crate) no_ipv6: Option<String>,
    /// WSL's networking mode.
    pub(crate) mode: String,
    /// Bytes of the largest IP packet that leaves the host whole, if datagrams are to have that
    /// MTU.
    pub(crate) way_mtu: Option<u32>,
    /// Which prefixes go to the TAP besides the default routes, and which stay with the VM.
    pub(crate) ways: Ways,
    /// Why the state is not as wished.
    pub(crate) error: Option<String>,
}

/// The engine's end.
pub(crate) struct Network {
    /// Each change of state.
    pub(crate) states: mpsc::Receiver<Parcel<NetworkReport>>,
}

/// A state, or a permanent error.
pub(crate) type NetworkReport = Result<NetworkState, String>;

/// What does not change while the gateway runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fixed {
    pub(crate) tap: String,
    /// The TAP's MTU; `None`: the largest, and the routes carry the MTU of the host's way out.
    pub(crate) mtu: Option<u32>,
    pub(crate) vm_mac: [u8; 6],
    pub(crate) gateway_mac: [u8; 6],
    pub(crate) subnet: Option<Ipv4Net>,
    pub(crate) host_access: HostAccess,
    pub(crate) resolv_conf: PathBuf,
}

/// The time between two looks at resolv.conf, and between tries after an error.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The largest MTU that the TAP takes: one header less than the longest IP packet.
pub(crate) const LARGEST_MTU: u32 = 65_520;

/// The MTU of most ways out.
const ETHERNET_MTU: u32 = 1500;

/// States that wait for the engine.
const QUEUE: usize = 8;

/// The engine's end of the link to the process that keeps the routes.
pub(crate) fn of(link: Link<Wish, NetworkReport>) -> (watch::Sender<Wish>, Network) {
    let (wish, mut wishes) = watch::channel(Wish::default());
    let (out, states) = (link.out, link.incoming);
    tokio::spawn(async move {
        while wishes.changed().await.is_ok() {
            let latest = wishes.borrow_and_update().clone();
            if out.send(latest.into()).await.is_err() {
                return;
            }
        }
    });
    (wish, Network { states })
}

/// Fulfils the engine's wishes until it is dropped. `mode` is the networking mode that WSL reports,
/// once it has reported one.
///
/// # Errors
/// There is no netlink.
pub(crate) fn keep(
    net: Net,
    fixed: Fixed,
    wishes: watch::Receiver<Wish>,
    mode: watch::Receiver<Option<Option<NetworkingMode>>>,
) -> Result<(impl Future<Output = ()>, mpsc::Receiver<NetworkReport>), NetError> {
    let (reports, states) = mpsc::channel(QUEUE);
    let changes = net.changes()?;
    let state = NetworkState::default();
    let keeper = Keeper {
        mode,
        net,
        fixed,
        changes,
        reports,
        subnet: None,
        state,
        resolv_conf: String::new(),
        retries_ipv6: false,
        applied: None,
    };
    Ok((keeper.keep(wishes), states))
}

struct Keeper {
    net: Net,
    mode: watch::Receiver<Option<Option<NetworkingMode>>>,
    fixed: Fixed,
    changes: Changes,
    reports: mpsc::Sender<NetworkReport>,
    subnet: Option<Ipv4Addr>,
    state: NetworkState,
    /// The text of resolv.conf at its last use.
    resolv_conf: String,
    /// The kernel refused part of IPv6 at the last try, perhaps for a temporary reason.
    retries_ipv6: bool,
    /// The last wish that was fulfilled completely, and its plan.
    applied: Option<(Wish, Plan)>,
}

/// Why there may be something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The engine wishes something else.
    Wish,
    /// The VM's network has changed, or the last try failed.
    Network,
}

impl Keeper {
    async fn keep(mut self, mut wishes: watch::Receiver<Wish>) {
        let mut sent = None;
        let mut cause = Cause::Network;
        loop {
            let wish = wishes.borrow_and_update().clone();
            let fulfilled = match self.small_change(&wish).filter(|_| cause == Cause::Wish) {
                Some(plan) => self.apply_again(wish, plan).await,
                None => self.fulfil(&wish).await,
            };
            match fulfilled {
                Ok(()) => self.state.error = None,
                // The first choice depends on the user's settings, so its error must be shown at
                // once.
                Err(error) if self.subnet.is_none() => {
                    let _ = self.reports.send(Err(error)).await;
                    return;
                }
                Err(error) => {
                    if self.state.error.as_ref() != Some(&error) {
                        tracing::warn!("{error}");
                    }
                    self.state.error = Some(error);
                }
            }
            if sent.as_ref() != Some(&self.state) {
                sent = Some(self.state.clone());
                if self.reports.send(Ok(self.state.clone())).await.is_err() {
                    return;
                }
            }
            match self.wait(&mut wishes).await {
                Ok(found) => cause = found,
                Err(_) => return,
            }
        }
    }

    /// Waits until there may be something to do: a new wish, a change of the kernel's network or of
    /// resolv.conf, or a failed try. WSL rewrites resolv.conf on network changes; looking at it
    /// regularly also notices that a link has replaced it.
    async fn wait(
        &mut self,
        wishes: &mut watch::Receiver<Wish>,
    ) -> Result<Cause, watch::error::RecvError> {
        loop {
            let changes = &mut self.changes;
            tokio::select! {
                changed = wishes.changed() => return changed.map(|()| Cause::Wish),
                () = poll_fn(|cx| changes.poll_changed(cx)) => return Ok(Cause::Network),
                changed = self.mode.changed() => return changed.map(|()| Cause::Network),
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    let is_up = self.state.up;
                    let is_to_be_retried = self.state.error.is_some() || is_up && self.retries_ipv6;
                    if is_to_be_retried || is_up && self.read_resolv_conf() != self.resolv_conf {
                        return Ok(Cause::Network);
                    }
                }
            }
        }
    }

    /// The plan for a wish that differs from the last one in its conversations alone.
    fn small_change(&self, wish: &Wish) -> Option<Plan> {
        let (last, plan) = self.applied.as_ref()?;
        let is_small = Wish { elsewhere: wish.elsewhere.clone(), ..last.clone() } == *wish;
        is_small.then(|| Plan { elsewhere: wish.elsewhere.clone(), ..plan.clone() })
    }

    /// Applies a plan without another look at the network: a peer waits for an answer.
    async fn apply_again(&mut self, wish: Wish, plan: Plan) -> Result<(), String> {
        self.net.apply(&plan).await.map_err(|error| error.to_string())?;
        self.applied = Some((wish, plan));
        Ok(())
    }

    /// A file that cannot be read names no servers; the gateways of the VM's routes remain.
    fn read_resolv_conf(&self) -> String {
        std::fs::read_to_string(&self.fixed.resolv_conf).unwrap_or_default()
    }

    async fn fulfil(&mut self, wish: &Wish) -> Result<(), String> {
        self.applied = None;
        let Some(host) = wish.host.as_ref().filter(|_| wish.carry) else {
            if self.state.up {
                self.net.withdraw().await.map_err(|error| error.to_string())?;
                tracing::info!("no relay: the VM's own network is back until there is one");
                (self.state.up, self.state.ways) = (false, Ways::default());
            }
            return Ok(());
        };
        // Waits for the first answer, so that the mode does not change later.
        let mode = self.mode.wait_for(Option::is_some).await.ok().and_then(|mode| mode.flatten());
        let observed =
            self.net.observe_in(&self.fixed.tap, mode).await.map_err(|error| error.to_string())?;
        self.state.mode = observed.mode.map_or("unknown", NetworkingMode::name).to_owned();
        let subnet = self.subnet(&observed, host)?;
        // A machine on which IPv6 cannot be carried keeps its own IPv6, with the routes that WSL
        // has mirrored.
        let no_ipv6 = if host.ipv6 { self.net.ipv6().await.err() } else { None };
        let ipv6 = host.ipv6 && no_ipv6.is_none();
        let carried = if ipv6 { Families::V4AndV6 } else { Families::V4 };
        let vpn = vpn_addresses(host);
        let mut ways = ways(&observed, &vpn, carried);
        if ways.left_out > 0 && ways.left_out != self.state.ways.left_out {
            let count = ways.left_out;
            tracing::warn!(
                "Windows has more routes than the tunnel takes ({MAX_MIRRORED}): {count} stay with \
                 WSL; `underpass status` names them"
            );
        }
        self.resolv_conf = self.read_resolv_conf();
        let addresses = AddressPlan {
            subnet,
            captured: captured(&observed, &ways, &self.resolv_conf),
            host_access: self.fixed.host_access.clone(),
        };
        let way_mtu = match self.fixed.mtu {
            Some(_) => None,
            None => Some(way_mtu(host)),
        };
        let elsewhere = wish.elsewhere.clone();
        let plan = Plan { way_mtu, elsewhere, ..self.plan(&addresses, &observed, &ways, ipv6) };
        self.announce(&plan.uplink).await;
        self.net.prepare_link(&plan).await.map_err(|error| error.to_string())?;
        let refused = self.net.apply(&plan).await.map_err(|error| error.to_string())?;
        tracing::debug!(?plan, "addresses and routes are set");
        if refused.is_some() {
            ways = self::ways(&observed, &vpn, Families::V4);
        }
        let no_ipv6 = no_ipv6.or(refused);
        self.log_no_ipv6(no_ipv6.as_ref());
        (self.state.up, self.state.ipv6) = (true, host.ipv6 && no_ipv6.is_none());
        self.retries_ipv6 = matches!(no_ipv6, Some(NoIpv6::Refused { .. }));
        self.state.no_ipv6 = no_ipv6.map(|reason| reason.to_string());
        self.state.plan = Some(addresses);
        self.state.uplink.clone_from(&plan.uplink);
        self.state.way_mtu = way_mtu;
        self.state.ways = ways;
        self.applied = Some((wish.clone(), plan));
        Ok(())
    }

    /// Reports addresses to the engine before a packet from one of them reaches the TAP: it might
    /// be a segment of a connection that began elsewhere, which must not be reset.
    async fn announce(&mut self, uplink: &[IpAddr]) {
        let new: Vec<IpAddr> =
            uplink.iter().filter(|own| !self.state.uplink.contains(own)).copied().collect();
        if !new.is_empty() {
            self.state.uplink.extend(new);
            // If the engine has ended, this task ends next.
            let _ = self.reports.send(Ok(self.state.clone())).await;
        }
    }

    /// Logs a reason once. IPv6 that is off is the user's choice, not a warning.
    fn log_no_ipv6(&self, reason: Option<&NoIpv6>) {
        match reason {
            Some(reason) if self.state.no_ipv6.as_ref() == Some(&reason.to_string()) => {}
            Some(NoIpv6::Off) => tracing::info!("{}", NoIpv6::Off),
            Some(reason) => tracing::warn!("{reason}"),
            None => {}
        }
    }

    /// Chosen once: a change would end open connections.
    fn subnet(&mut self, observed: &Observed, host: &HostFacts) -> Result<Ipv4Addr, String> {
        if let Some(subnet) = self.subnet {
            return Ok(subnet);
        }
        let host_routes = host.routes.iter().filter_map(|route| route.parse::<IpNet>().ok());
        let taken: Vec<IpNet> = observed.routes.iter().copied().chain(host_routes).collect();
        let subnet = choose_subnet(&taken, self.fixed.subnet).map_err(|error| error.to_string())?;
        self.subnet = Some(subnet);
        Ok(subnet)
    }

    fn plan(&self, addresses: &AddressPlan, observed: &Observed, ways: &Ways, ipv6: bool) -> Plan {
        let uplink = uplink(observed);
        Plan {
            tap: self.fixed.tap.clone(),
            mtu: self.fixed.mtu.unwrap_or(LARGEST_MTU),
            way_mtu: None,
            vm_mac: self.fixed.vm_mac,
            gateway_mac: self.fixed.gateway_mac,
            vm4: addresses.vm(),
            gateway4: addresses.gateway(),
            prefix4: PREFIX4,
            v6: ipv6.then_some(Tap6 { vm: VM6, gateway: GATEWAY6, prefix: PREFIX6 }),
            own: observed.own.iter().filter(|own| !uplink.contains(own)).copied().collect(),
            uplink,
            elsewhere: Vec::new(),
            ephemeral: observed.ephemeral,
            captured: addresses.captured.clone(),
            mirrored: ways.mirrored.clone(),
        }
    }
}

/// The addresses of the VPN adapters that are up on the relay's host.
fn vpn_addresses(host: &HostFacts) -> Vec<IpAddr> {
    let adapters = host.adapters.iter().filter(|adapter| adapter.up && adapter.vpn.is_some());
    let addresses = adapters.flat_map(|adapter| &adapter.addresses);
    addresses.filter_map(|address| Some(address.parse::<IpNet>().ok()?.addr())).collect()
}

/// The MTU of the adapter by which the host reaches the internet: a VPN's, if that carries
/// everything. Ethernet's (RFC 894) if the host reports no MTU, or one that no IPv4 packet can
/// have.
fn way_mtu(host: &HostFacts) -> u32 {
    let way_out = host.adapters.iter().find(|adapter| Some(adapter.index) == host.internet_adapter);
    // RFC 791: every host takes 576 bytes. Windows has adapters of 4,294,967,295 bytes.
    way_out
        .map(|adapter| adapter.mtu)
        .filter(|mtu| (576..=LARGEST_MTU).contains(mtu))
        .unwrap_or(ETHERNET_MTU)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::facts::Adapter;

    #[test]
    fn the_mtu_is_that_of_the_adapter_to_the_internet_or_ethernets() {
        let adapter = |index, mtu| Adapter { index, mtu, ..Adapter::default() };
        let adapters = vec![adapter(1, u32::MAX), adapter(2, 1400), adapter(3, 9000)];
        let of = |internet_adapter| {
            way_mtu(&HostFacts {
                adapters: adapters.clone(),
                internet_adapter,
                ..HostFacts::default()
            })
        };
        assert_eq!(
            [Some(1), Some(2), Some(3), Some(7), None].map(of),
            [1500, 1400, 9000, 1500, 1500]
        );
    }
}
