//! The subjects of measurements.

/// A path from the VM to the internet, or the host's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Underpass with the relay for Linux, on plain pipes.
    Underpass,
    /// The same with its pipes carried by the model of WSL's interop.
    Interop,
    /// Underpass with the relay for Windows, under Wine, which the model starts. Its frames go by
    /// TCP.
    Wine,
    /// The same with its frames through the model's pipes.
    WinePipe,
    /// The same with copies and pipes of 64 KiB, as WSL has since September 2026, instead of 4 KiB.
    Wine64,
    /// The kernel forwards; there is no gateway at all.
    Kernel,
    /// A program on the host, without a VM.
    Host,
    /// passt's `pasta`.
    Pasta,
    /// `slirp4netns`.
    Slirp4netns,
    /// wsl-vpnkit's pair: `gvforwarder`, and `gvproxy` at the other end of its pipes.
    Gvproxy,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Underpass => "underpass",
            Self::Interop => "underpass behind interop",
            Self::Wine => "underpass, Windows relay",
            Self::WinePipe => "underpass, Windows relay by its pipe",
            Self::Wine64 => "underpass, Windows relay by its pipe, 64 KiB",
            Self::Kernel => "kernel forwarding",
            Self::Host => "the host itself",
            Self::Pasta => "pasta",
            Self::Slirp4netns => "slirp4netns",
            Self::Gvproxy => "gvproxy",
        }
    }
}

/// The MTU of the VM's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mtu {
    /// The largest that Underpass, pasta and slirp4netns support.
    Largest,
    /// Ethernet's.
    Ethernet,
}

impl Mtu {
    pub(crate) fn bytes(self) -> &'static str {
        match self {
            Self::Largest => "65520",
            Self::Ethernet => "1500",
        }
    }
}
