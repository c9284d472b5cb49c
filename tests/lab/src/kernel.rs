//! The kernel's settings in a lab's namespaces. A new namespace inherits many of them from the
//! machine, so a lab sets those that affect tests. `UNDERPASS_LAB_MACHINE` selects other settings,
//! with which all tests must pass as well (`scripts/test --machine`).

/// The variable that selects the settings.
const VARIABLE: &str = "UNDERPASS_LAB_MACHINE";

/// A key under /proc/sys and its value.
pub(crate) type Setting = (&'static str, &'static str);

/// The kernel's defaults on a machine with some gigabytes of memory
/// (Documentation/networking/ip-sysctl.rst).
const USUAL: [Setting; 13] = [
    ("net/ipv4/tcp_rmem", "4096 131072 6291456"),
    ("net/ipv4/tcp_wmem", "4096 16384 4194304"),
    ("net/ipv4/ip_local_port_range", "32768 60999"),
    ("net/core/somaxconn", "4096"),
    ("net/ipv4/tcp_slow_start_after_idle", "1"),
    // A namespace inherits these two from the machine (devconf_inherit_init_net). They affect the
    // addresses of eth0.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    // No other host here can have an address already. The check takes seconds in which neighbours
    // do not answer.
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/all/dad_transmits", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
];

/// A machine by its name, its congestion control, and its differences from the usual settings.
type Machine = (&'static str, &'static str, &'static [Setting]);

const MACHINES: [Machine; 4] = [
    ("usual", "cubic", &[]),
    // A machine set up for much data over long paths.
    (
        "bbr",
        "bbr",
        &[
            ("net/ipv4/tcp_rmem", "4096 131072 4194304"),
            ("net/ipv4/tcp_wmem", "4096 16384 4194304"),
        ],
    ),
    // A small machine or router.
    (
        "small",
        "cubic",
        &[
            ("net/ipv4/tcp_rmem", "4096 87380 524288"),
            ("net/ipv4/tcp_wmem", "4096 16384 524288"),
            ("net/ipv4/tcp_slow_start_after_idle", "0"),
        ],
    ),
    // Short queues of connections, and local ports from another range.
    (
        "ports",
        "cubic",
        &[("net/core/somaxconn", "128"), ("net/ipv4/ip_local_port_range", "10240 32767")],
    ),
];

/// The kernel of a lab.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Its congestion control. Routes name it, because a namespace other than the machine's own may
    /// only use a default that the machine allows to everyone (`tcp_set_default_congestion_control`
    /// in net/ipv4/tcp_cong.c). If the machine allows this one, it is the default as well.
    pub(crate) congestion: &'static str,
    /// Its settings; later ones take precedence.
    pub(crate) settings: Vec<Setting>,
}

impl Kernel {
    /// The kernel of the machine that the environment names.
    ///
    /// # Errors
    /// The name is unknown: the message for the user.
    pub(crate) fn chosen() -> Result<Self, String> {
        let name = std::env::var(VARIABLE).unwrap_or_default();
        Self::of(if name.is_empty() { "usual" } else { &name })
    }

    fn of(name: &str) -> Result<Self, String> {
        let machine = MACHINES.iter().find(|(known, ..)| *known == name);
        let names = || MACHINES.map(|(known, ..)| known).join(", ");
        let (_, congestion, other) =
            machine.ok_or_else(|| format!("{VARIABLE} is '{name}': it may be {}", names()))?;
        Ok(Self { congestion, settings: USUAL.iter().chain(*other).copied().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_the_usual_settings_but_for_its_own() {
        let value = |machine, key| {
            let settings = Kernel::of(machine).unwrap().settings;
            settings.iter().rev().find(|(known, _)| *known == key).map(|(_, value)| *value)
        };
        assert_eq!(value("usual", "net/ipv4/tcp_rmem"), Some("4096 131072 6291456"));
        assert_eq!(value("bbr", "net/ipv4/tcp_rmem"), Some("4096 131072 4194304"));
        assert_eq!(value("bbr", "net/core/somaxconn"), Some("4096"));
        assert_eq!(Kernel::of("bbr").unwrap().congestion, "bbr");
        assert!(
            Kernel::of("huge").unwrap_err().contains("'huge': it may be usual, bbr, small, ports")
        );
    }
}
