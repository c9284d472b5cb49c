//! Whether IPv6 can go to the TAP on this machine. It needs policy rules.

use std::path::Path;

use super::rules::unused;
use super::{Net, NetError};

/// Why IPv6 does not go to the TAP although the relay's host has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoIpv6 {
    /// The machine has no IPv6.
    #[error(
        "IPv6 is off in this VM (sysctl net.ipv6.conf.all.disable_ipv6, or ipv6.disable=1 on the \
         kernel's command line)"
    )]
    Off,
    /// The kernel has one table for all IPv6 routes.
    #[error(
        "this kernel has no routing rules for IPv6 (it is built without \
         CONFIG_IPV6_MULTIPLE_TABLES, like WSL's kernels up to 5.15.90.1). The tunnel carries only \
         IPv4 and leaves IPv6 unchanged: run `wsl --update` and then `wsl --shutdown` in Windows, \
         or build your own kernel with that option"
    )]
    NoRules,
    /// It refuses something else.
    #[error(
        "this VM refuses what IPv6 in the tunnel needs, so the tunnel carries IPv4 alone: {reason}"
    )]
    Refused {
        /// The failure, and the kernel's reason.
        reason: String,
    },
}

impl From<NetError> for NoIpv6 {
    /// The error of a request about IPv6. A kernel with CONFIG_IPV6_MULTIPLE_TABLES never answers
    /// one about rules with EAFNOSUPPORT.
    fn from(error: NetError) -> Self {
        match error.errno() {
            Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP) => Self::NoRules,
            _ => Self::Refused { reason: error.to_string() },
        }
    }
}

impl Net {
    /// Whether IPv6 can go to the TAP. Changes nothing.
    ///
    /// Without CONFIG_IPV6_MULTIPLE_TABLES the kernel puts a route with any table number into
    /// `main` (fib6_new_table in net/ipv6/ip6_fib.c), where our route would replace the VM's own
    /// default route. So the rules are tried first. Listing them shows nothing: such a kernel ends
    /// the list with EAFNOSUPPORT (fib_nl_dumprule in net/core/fib_rules.c), and the netlink crate
    /// drops the end of a list. Removing a rule that does not exist shows it: EAFNOSUPPORT there,
    /// ENOENT elsewhere (fib_nl_delrule).
    ///
    /// # Errors
    /// The reason why it cannot.
    pub async fn ipv6(&self) -> Result<(), NoIpv6> {
        if !has_ipv6() {
            return Err(NoIpv6::Off);
        }
        let removed = self.handle.rule().del(unused()).execute().await;
        match removed.map_err(|error| NetError::of("asking for the IPv6 rules", error)) {
            Err(error) if error.errno() != Some(libc::ENOENT) => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Whether IPv6 exists and is not switched off for the whole machine.
pub(super) fn has_ipv6() -> bool {
    std::fs::read_to_string(Path::new("/proc/sys/net/ipv6/conf/all/disable_ipv6"))
        .is_ok_and(|value| value.trim() == "0")
}
