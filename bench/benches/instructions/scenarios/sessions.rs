//! A MiB from one session to another: encoded, decoded, checked, credit returned.

use crate::pipe::Pipe;
use crate::scenario::{Scenario, Work};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "session_1_flow", unit: "MiB", units: 1, calls: 100, set_up: || moved(1) },
    Scenario { name: "session_64_flows", unit: "MiB", units: 1, calls: 100, set_up: || moved(64) },
];

const MIB: usize = 1024 * 1024;

fn moved(flows: u32) -> Work {
    let mut pipe = Pipe::new(flows, 256 * 1024);
    Box::new(move || pipe.upload(MIB / flows as usize))
}
