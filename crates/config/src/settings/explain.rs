//! Explains the two networking modes that people choose between, and the reasons for each on this
//! machine. Pure.

use crate::settings::effective::{Because, Situation};
use crate::settings::schema::NEW_NETWORKING;
use crate::settings::version::Windows;
use messages::{Sentence, Text, settings as say};

/// A property in which the modes differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub what: &'static Sentence,
    /// How it is with NAT.
    pub nat: &'static Sentence,
    /// How it is with mirrored mode.
    pub mirrored: &'static Sentence,
}

const fn differs(
    what: &'static Sentence,
    nat: &'static Sentence,
    mirrored: &'static Sentence,
) -> Difference {
    Difference { what, nat, mirrored }
}

/// In what they differ.
pub static DIFFERENCES: [Difference; 7] = [
    differs(&say::EXPLAIN_ADDRESS, &say::EXPLAIN_ADDRESS_NAT, &say::EXPLAIN_ADDRESS_MIRRORED),
    differs(&say::EXPLAIN_LOOPBACK, &say::EXPLAIN_LOOPBACK_NAT, &say::EXPLAIN_LOOPBACK_MIRRORED),
    differs(&say::EXPLAIN_VPN, &say::EXPLAIN_VPN_NAT, &say::EXPLAIN_VPN_MIRRORED),
    differs(&say::EXPLAIN_PROXY, &say::EXPLAIN_PROXY_NAT, &say::EXPLAIN_PROXY_MIRRORED),
    differs(&say::EXPLAIN_LAN, &say::EXPLAIN_LAN_NAT, &say::EXPLAIN_LAN_MIRRORED),
    differs(&say::EXPLAIN_IPV6, &say::EXPLAIN_IPV6_NAT, &say::EXPLAIN_IPV6_MIRRORED),
    differs(&say::EXPLAIN_NEEDS, &say::EXPLAIN_NEEDS_NAT, &say::EXPLAIN_NEEDS_MIRRORED),
];

/// Which of them this machine can have, and which it has now.
#[must_use]
pub fn here(situation: &Situation) -> Vec<Text> {
    let mut texts =
        vec![say::EXPLAIN_NOW.with("mode", situation.effective().wsl2("networkingMode"))];
    texts.push(match situation.versions.windows {
        None => say::WINDOWS_UNKNOWN.text(),
        Some(windows) if windows < Windows::ELEVEN_22H2 => say::OLD_WINDOWS.with("is", windows),
        Some(_) if situation.versions.wsl_is_before(NEW_NETWORKING) => {
            say::OLD_WSL.with("needed", NEW_NETWORKING)
        }
        Some(_) => match situation.no_mirrored() {
            None => say::EXPLAIN_BOTH.text(),
            Some(Because::NoIpv6) => say::NO_MIRRORED_IPV6.text(),
            Some(Because::Policy { name, value }) => {
                say::NO_MIRRORED_POLICY.with("policy", format!("{name}={value}"))
            }
            Some(
                Because::Setting(_)
                | Because::Windows(_)
                | Because::Service(_)
                | Because::NoDnsQueryRaw
                | Because::Ignored,
            ) => say::MODE_NOT_POSSIBLE.text(),
        },
    });
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::version::Versions;
    use messages::Language;
    use wire::facts::WslHost;

    #[test]
    fn what_this_machine_can_have_is_said() {
        let said = |build: u32, host: WslHost| {
            let versions = Versions {
                windows: Some(Windows(build)),
                wsl: Some(crate::settings::version::Wsl([2, 9, 4])),
            };
            let texts =
                here(&Situation::new("[wsl2]\nnetworkingMode=mirrored\n", "", versions).on(host));
            texts.iter().map(|text| text.say(Language::English)).collect::<Vec<_>>().join("\n")
        };
        let new = said(22_631, WslHost::default());
        assert!(new.contains("uses mirrored mode") && new.contains("supports both"), "{new}");
        let old = said(19_045, WslHost::default());
        assert!(old.contains("uses NAT mode") && old.contains("has no mirrored mode"), "{old}");
        let no_ipv6 =
            said(22_631, WslHost { ipv6_disabled_components: Some(0xff), ..WslHost::default() });
        assert!(no_ipv6.contains("needs IPv6"), "{no_ipv6}");
    }
}
