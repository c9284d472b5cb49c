//! `underpass selftest`: tries on this machine, item by item, what the tests show in the lab, and
//! measures it. `scripts/verify-windows.ps1` runs it on real Windows and adds what only Windows can
//! tell. It changes nothing. The items are in `items.rs`, measurements in `meter.rs`.

mod items;
mod meter;
mod path_mtu;
mod redact;
mod report;

use crate::busy::Busy;
use crate::doctor::args;
use anyhow::Context as _;
use clap::Args;
use gateway::RelayProgram;
use items::{Item, Setup};
use proxy::Target;
use report::{Report, Row, VERSION};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  underpass selftest
  underpass selftest pipe throughput --mebibytes 256
  underpass selftest --json >selftest.json")]
pub(crate) struct SelftestOptions {
    #[arg(value_name = "ITEM")]
    items: Vec<Item>,
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "HOST:PORT")]
    outside: Vec<Target>,
    #[arg(long, value_name = "NAME", default_value = args::PUBLIC_NAME)]
    public_name: String,
    #[arg(long, value_name = "ADDRESS")]
    public_dns: Vec<IpAddr>,
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=65_536))]
    mebibytes: u64,
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<PathBuf>,
}

/// Runs the command; its exit code is 1 where an item failed.
///
/// # Errors
/// Nothing can be tried or printed.
pub(crate) fn run(
    options: SelftestOptions,
    relay: RelayProgram,
    runtime_dir: PathBuf,
) -> anyhow::Result<ExitCode> {
    let setup = Setup {
        relay: options.relay.map_or(relay, RelayProgram::given),
        runtime_dir,
        outside: if options.outside.is_empty() { args::default_outside() } else { options.outside },
        public_name: options.public_name,
        public_dns: if options.public_dns.is_empty() {
            args::default_public_dns()
        } else {
            options.public_dns
        },
        wait: Duration::from_secs(options.wait),
        bytes: options.mebibytes << 20,
    };
    let items = if options.items.is_empty() { Item::by_default() } else { options.items };
    let runtime = crate::event_loop()?;
    let rows = runtime.block_on(async {
        let mut rows = Vec::new();
        for item in items {
            let start = Instant::now();
            let trying = messages::selftest::TRYING.with("item", item.name());
            let busy = Busy::with(trying.say(crate::voice::language()));
            let finding = items::run(item, &setup).await;
            drop(busy);
            rows.push(Row::new(item.name(), finding, start.elapsed()));
        }
        rows
    });
    runtime.shutdown_background();
    let machine = nix::sys::utsname::uname().context("the kernel's version cannot be read")?;
    let report = Report {
        version: VERSION,
        underpass: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: machine.release().to_string_lossy().into_owned(),
        machine: machine.machine().to_string_lossy().into_owned(),
        processors: std::thread::available_parallelism().map_or(1, Into::into),
        items: rows,
    };
    if options.json {
        crate::print_json(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        crate::print(&report.text(crate::voice::language()))?;
    }
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
