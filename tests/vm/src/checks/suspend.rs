//! The whole machine is suspended and resumed, and its clock jumps by hours, like a sleeping
//! laptop's.

use super::{Bench, Result, ensure, service};
use crate::stop::until;
use lab::interop::host_relays;
use std::time::Duration;

/// A relay that receives nothing from its gateway for this long has ended (see `wire`'s limits).
const RELAY_PATIENCE: Duration = Duration::from_secs(90);

pub(super) fn resumes(bench: &mut Bench) -> Result {
    let before = host_relays(&bench.machine.lab);
    ensure(!before.is_empty(), || "no relay runs on the host".to_owned())?;
    bench.machine.suspend().map_err(|error| error.to_string())?;
    let gone = until(RELAY_PATIENCE, || {
        !host_relays(&bench.machine.lab).iter().any(|pid| before.contains(pid))
    });
    bench.machine.resume().map_err(|error| error.to_string())?;
    ensure(gone, || format!("the relays {before:?} still wait for a gateway that is suspended"))?;
    // The kernel steps its clock by itself only if a hypervisor's time service requests it.
    bench.must("date --set '7 hours' +%s")?;
    let took = bench.traffic(60)?;
    // Traffic does not wait for it, and it may have been started again.
    bench.within(60, service::IS_ACTIVE)?;
    bench.must("date --set '7 hours ago' +%s")?;
    let back = bench.traffic(60)?;
    Ok(format!(
        "traffic {:.1} s after the resume, {:.1} s after the clock went back",
        took.as_secs_f64(),
        back.as_secs_f64()
    ))
}
