//! Step 2: the VM's own rules and routes.

use crate::checks::judge;
use crate::facts::*;
use crate::sample::*;

fn rule(priority: u32, table: Option<u32>, text: &str) -> Rule {
    Rule { priority, table, text: text.to_owned() }
}

/// Nothing gets out, and it is this kernel that says so.
fn refused_here(why: Why) -> Facts {
    let mut facts = nat();
    cut(&mut facts);
    tried(&mut facts, Subject::Outside, Method::Tcp, Whence::Vm, failed(why));
    facts.rules = vec![
        rule(0, Some(255), "from all lookup local"),
        rule(32766, Some(254), "from all lookup main"),
    ];
    facts
}

fn refusing_rule() -> Facts {
    let mut facts = refused_here(Why::Unreachable);
    facts.rules.insert(1, rule(100, None, "from all unreachable"));
    facts
}

fn refusing_table() -> Facts {
    let mut facts = refused_here(Why::Other);
    facts.rules.insert(1, rule(100, Some(77), "from all lookup 77"));
    facts.routes.push(Route {
        destination: "0.0.0.0/0".parse().unwrap(),
        gateway: None,
        device: None,
        table: 77,
        metric: 0,
        refuses: true,
    });
    facts
}

/// Another program's default route outdoes WSL's, and its router does not exist.
fn second_route() -> Facts {
    let mut facts = nat();
    cut(&mut facts);
    facts.routes[0].metric = 100;
    facts.routes.push(default_by("172.28.63.254", "eth0"));
    tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![refusing_rule(), refusing_table(), second_route()]
}

#[test]
fn what_this_kernel_refuses_is_not_blamed_on_windows() {
    let text = said(&only(&refusing_rule(), "network-rule"));
    assert!(
        text.contains("Rule 100: from all unreachable.")
            && text.ends_with("sudo ip rule del priority 100"),
        "{text}"
    );
    let text = said(&only(&refusing_table(), "network-rule"));
    assert!(
        text.contains("table 77") && text.ends_with("sudo ip route flush table 77 exact default"),
        "{text}"
    );
    // A connect without an answer was not refused here, whatever rules there are.
    let mut silent = refusing_rule();
    tried(&mut silent, Subject::Outside, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    only(&silent, "network-nat");
    // Without such a rule it was not refused here either, and traffic that gets out is not refused.
    only(&refused_here(Why::Unreachable), "network-nat");
    let mut well = nat();
    well.rules = refusing_rule().rules;
    assert!(judge(&well, None).is_well());
}

#[test]
fn a_default_route_to_a_dead_router_is_not_blamed_on_wsl() {
    let text = said(&only(&second_route(), "network-second-route"));
    assert!(
        text.contains(
            "through 172.28.63.254 (metric 0) is used, not the one through 172.28.48.1 (metric 100)"
        ),
        "{text}"
    );
    assert!(text.ends_with("sudo ip route del default via 172.28.63.254 dev eth0"), "{text}");
    // Without another way out the router's own death is the cause.
    let mut alone = second_route();
    alone.routes.remove(0);
    only(&alone, "network-gateway");
    let mut works = second_route();
    tried(&mut works, Subject::Outside, Method::Tcp, Whence::Vm, OK);
    assert!(!ids(&works).contains(&"network-second-route"));
}
