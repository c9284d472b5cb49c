//! What the kernel lacks.

use crate::facts::*;
use crate::finding::Severity;
use crate::sample::*;
use messages::Language;

fn no_tun(wslconfig_text: &str) -> Facts {
    let mut facts = nat();
    facts.kernel.tun = Some(false);
    wslconfig(&mut facts, wslconfig_text);
    facts
}

fn one_table() -> Facts {
    let mut facts = nat();
    facts.kernel.ipv6_rules = Some(false);
    facts
}

const SWITCHED_OFF: &str = "[wsl2]\nloadDefaultKernelModules=0\n";
const CUSTOM: &str = "[wsl2]\nkernel=C:\\\\bzImage\n";
const BOTH: &str = "[wsl2]\nkernel=C:\\\\bzImage\nloadDefaultKernelModules=false\n";

fn unconfined() -> Facts {
    let mut facts = with_tunnel(nat());
    facts.tunnel.unconfined = vec!["underpass-engine: files: Landlock is switched off".to_owned()];
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![no_tun(""), no_tun(SWITCHED_OFF), no_tun(CUSTOM), one_table(), unconfined()]
}

#[test]
fn a_missing_driver_is_found_and_its_fix_is_wsl_s_own() {
    let load = "loadDefaultKernelModules=true";
    let modules = "kernelModules=C:";
    for (text, named) in [
        ("", [true, true]),
        (SWITCHED_OFF, [true, false]),
        (CUSTOM, [false, true]),
        (BOTH, [true, true]),
    ] {
        let said = said(&only(&no_tun(text), "wsl-tun"));
        assert_eq!([load, modules].map(|part| said.contains(part)), named, "{text}: {said}");
        assert!(said.contains("/dev/net/tun") && said.contains("wsl --shutdown"), "{said}");
    }
    let finding = only(&no_tun(CUSTOM), "wsl-tun");
    assert_eq!(finding.severity, Severity::Problem);
    assert!(
        finding.evidence.iter().any(|text| text.say(Language::Chinese).contains("kernelModules"))
    );
    // Outside of WSL the driver is not WSL's to load, and an unknown fact is not a fault.
    for change in [
        |facts: &mut Facts| facts.interop.is_wsl = false,
        |facts: &mut Facts| facts.kernel.tun = None,
    ] {
        let mut facts = no_tun("");
        change(&mut facts);
        assert_eq!(ids(&facts), [""; 0]);
    }
}

#[test]
fn a_kernel_with_one_table_for_ipv6_is_a_hint() {
    let finding = only(&one_table(), "wsl-ipv6-rules");
    assert_eq!(finding.severity, Severity::Hint);
    let text = said(&finding);
    assert!(
        text.contains("CONFIG_IPV6_MULTIPLE_TABLES") && text.contains("wsl --update"),
        "{text}"
    );
    let mut off = one_table();
    off.kernel.ipv6_rules = None;
    assert_eq!(ids(&off), [""; 0]);
}

#[test]
fn what_does_not_confine_the_tunnel_is_a_hint_that_names_it() {
    let finding = only(&unconfined(), "wsl-confinement");
    assert_eq!(finding.severity, Severity::Hint);
    let text = said(&finding);
    assert!(text.contains("underpass-engine: files: Landlock is switched off"), "{text}");
    let mut confined = unconfined();
    confined.tunnel.unconfined.clear();
    assert!(!ids(&confined).contains(&"wsl-confinement"), "{:?}", ids(&confined));
}
