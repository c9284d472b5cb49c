//! Sets up the TAP's interface: hardware address, MTU, queue, addresses, the gateway as a permanent
//! neighbour. Knows no rule and no table.

use std::net::IpAddr;

use rtnetlink::LinkUnspec;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags};

use super::observe::{address_of, link_name};
use super::plan::Plan;
use super::{Net, NetError, Ordering};

/// Packets that may wait for the gateway. A queue of 1,000 overflowed with 1 MiB windows and no
/// segment offload.
const QUEUE_LENGTH: u32 = 10_000;

/// Loose: accept packets from any interface if there is a way back at all (Linux's ip-sysctl).
const RP_FILTER_LOOSE: &str = "2";

impl Net {
    /// Brings the TAP up as planned and returns its index. Removes addresses of earlier plans.
    ///
    /// # Errors
    /// See [`NetError`]. IPv6 that this machine refuses is left out; [`Net::apply`] returns the
    /// reason.
    pub async fn prepare_link(&self, plan: &Plan) -> Result<u32, NetError> {
        let index = self.index_of(&plan.tap).await?;
        self.tap.store(index, Ordering::Relaxed);
        let v6 = match plan.v6 {
            Some(v6) if self.ipv6().await.is_ok() => Some(v6),
            Some(_) | None => None,
        };
        // Before it comes up, so that it sends nothing by itself.
        quieten(&plan.tap, v6.is_some());
        loosen_rp_filter(&plan.tap);

        let link = LinkUnspec::new_with_index(index).address(plan.vm_mac.to_vec()).mtu(plan.mtu);
        let link = link.txqueuelen(QUEUE_LENGTH).up().build();
        let set = self.handle.link().set(link).execute().await;
        set.map_err(|error| NetError::of("setting up the TAP's interface", error))?;

        let mut wanted = vec![(IpAddr::V4(plan.vm4), plan.prefix4, IpAddr::V4(plan.gateway4))];
        wanted.extend(v6.map(|v6| (IpAddr::V6(v6.vm), v6.prefix, IpAddr::V6(v6.gateway))));
        for message in self.addresses().await? {
            let fits = |&(vm, prefix, _): &(IpAddr, u8, IpAddr)| {
                address_of(&message) == Some(vm) && message.header.prefix_len == prefix
            };
            if message.header.index == index && !wanted.iter().any(fits) {
                let removed = self.handle.address().del(message).execute().await;
                match removed
                    .map_err(|error| NetError::of("removing an old address of the TAP", error))
                {
                    // A secondary address is removed with the first one of its subnet.
                    Err(error) if error.errno() == Some(libc::EADDRNOTAVAIL) => {}
                    other => other?,
                }
            }
        }
        for (vm, prefix, gateway) in wanted {
            match self.settle(index, vm, prefix, gateway, plan.gateway_mac).await {
                Err(error) if vm.is_ipv6() => {
                    tracing::warn!(%error, "IPv6 is not carried: this machine refuses the address");
                }
                settled => settled?,
            }
        }
        Ok(index)
    }

    /// The index of an interface.
    pub(super) async fn index_of(&self, name: &str) -> Result<u32, NetError> {
        let links = self.links().await?;
        let found = links.iter().find(|link| link_name(link) == Some(name));
        found
            .map(|link| link.header.index)
            .ok_or_else(|| NetError::NoInterface { name: name.to_owned() })
    }

    async fn settle(
        &self,
        index: u32,
        vm: IpAddr,
        prefix: u8,
        gateway: IpAddr,
        gateway_mac: [u8; 6],
    ) -> Result<(), NetError> {
        let mut request = self.handle.address().add(index, vm, prefix);
        if vm.is_ipv6() {
            // No other host is on this link, and an address receives no packets while the kernel
            // probes for it.
            request.message_mut().header.flags = AddressHeaderFlags::Nodad;
            request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        match request
            .execute()
            .await
            .map_err(|error| NetError::of("giving the TAP its address", error))
        {
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            added => added?,
        }
        let neighbour =
            self.handle.neighbours().add(index, gateway).link_layer_address(&gateway_mac).replace();
        neighbour
            .execute()
            .await
            .map_err(|error| NetError::of("setting the gateway's hardware address", error))
    }
}

/// Keeps the kernel from sending solicitations and from making addresses of its own on the TAP, or
/// from IPv6 on it at all. With a read-only /proc a few packets go unanswered.
fn quieten(tap: &str, with_ipv6: bool) {
    if !with_ipv6 {
        return write(tap, "ipv6", "disable_ipv6", "1");
    }
    let settings = [
        ("accept_ra", "0"),
        ("autoconf", "0"),
        ("router_solicitations", "0"),
        ("accept_dad", "0"),
        // No link-local address (IN6_ADDR_GEN_MODE_NONE).
        ("addr_gen_mode", "1"),
        ("disable_ipv6", "0"),
    ];
    for (key, value) in settings {
        write(tap, "ipv6", key, value);
    }
}

/// Strict reverse-path filtering would drop packets from the TAP if another route to their source
/// is better. The kernel uses the greater of the interface's setting and that of `all`.
fn loosen_rp_filter(tap: &str) {
    let strict = |place: &str| {
        let value = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{place}/rp_filter"));
        value.is_ok_and(|value| value.trim() == "1")
    };
    if strict("all") || strict(tap) {
        write(tap, "ipv4", "rp_filter", RP_FILTER_LOOSE);
    }
}

fn write(tap: &str, version: &str, key: &str, value: &str) {
    let path = format!("/proc/sys/net/{version}/conf/{tap}/{key}");
    if let Err(error) = std::fs::write(&path, value) {
        tracing::debug!(%error, path, "not set");
    }
}
