//! Which links the user wants.

use crate::program::Kind;
use serde::Deserialize;
use std::str::FromStr;
use wire::LinkKind;

/// The links between gateway and relays that may be used besides their standard streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LinkWish {
    /// A Hyper-V socket, for a Windows program. A Linux program has sockets already.
    #[default]
    Auto,
    /// None.
    Stdio,
    /// TCP, for every program.
    Tcp,
    /// A Hyper-V socket, for every program.
    Vsock,
}

/// The names that [`LinkWish`] can have.
const NAMES: [(&str, LinkWish); 4] = [
    ("auto", LinkWish::Auto),
    ("stdio", LinkWish::Stdio),
    ("tcp", LinkWish::Tcp),
    ("vsock", LinkWish::Vsock),
];

impl LinkWish {
    /// The kinds that a relay's program is offered, the best first.
    pub(crate) fn kinds(self, program: Kind) -> &'static [LinkKind] {
        match (self, program) {
            // TCP ends where eth0 goes or changes, and the tunnel's connections with it.
            (Self::Auto, Kind::Windows(_)) => &[LinkKind::Vsock],
            (Self::Auto, Kind::Linux(_) | Kind::Other) | (Self::Stdio, _) => &[],
            (Self::Tcp, _) => &[LinkKind::Tcp],
            (Self::Vsock, _) => &[LinkKind::Vsock],
        }
    }
}

impl FromStr for LinkWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        named
            .map(|(_, wish)| *wish)
            .ok_or_else(|| format!("'{text}' is not a link; give auto, stdio, tcp or vsock"))
    }
}

impl TryFrom<String> for LinkWish {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
