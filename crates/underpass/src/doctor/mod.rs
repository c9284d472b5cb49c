//! `underpass doctor`: gathers the facts, has them judged, and shows the result. The crate
//! `probe` tries the network, the crate `wsl` looks at the machine, [`doctor::checks`] judge; here
//! they are joined with what only the gateway knows.

pub(crate) mod args;
mod gather;
pub(crate) mod machine;
mod ports;
mod remembered;
mod start_files;
mod survey;
mod translate;
mod tries;
pub(crate) mod windows;

use crate::progress::Progress;
use anyhow::Context as _;
use args::DoctorOptions;
use doctor::json::Document;
use doctor::text::{Colour, Hints};
use gather::Gathered;
use messages::{Text, doctor_probes as words};
use proxy::Target;
use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The options of a run.
pub(crate) struct Wishes {
    outside: Vec<Target>,
    public_name: String,
    public_dns: Vec<IpAddr>,
    company: Vec<String>,
    /// The relay that the user names.
    relay: Option<PathBuf>,
    /// Where a running tunnel publishes its status.
    directories: Vec<PathBuf>,
}

/// Runs the command; its exit code is 0 where all is well, and 1 where something is not.
///
/// # Errors
/// The doctor itself cannot do its work.
pub(crate) fn run(options: &DoctorOptions, directories: Vec<PathBuf>) -> anyhow::Result<ExitCode> {
    let language = crate::voice::language();
    let wishes = Wishes {
        outside: options.outside(),
        public_name: options.public_name(),
        public_dns: options.public_dns(),
        company: options.company.clone(),
        relay: options.relay.clone(),
        directories,
    };
    let runtime = crate::event_loop()?;
    let progress = Progress::before_report(options.json, options.color);
    let gathered = runtime.block_on(gather::gather(&wishes, &progress));
    drop(progress);
    // A question to a silent tunnel does not hold up the end.
    runtime.shutdown_background();
    let unseen = unseen(&gathered);
    let diagnosis = doctor::judge(&gathered.facts, options.only);
    if let Some(file) = &options.report {
        let page = doctor::report::page(&gathered.facts, &diagnosis, language);
        foreign::write_output(file, page.as_bytes())
            .with_context(|| format!("the report cannot be written to {}", file.display()))?;
        say_where(file);
    }
    let mut out = std::io::stdout().lock();
    let text = if options.json {
        let document = Document::new(&gathered.facts, &diagnosis, language);
        let document = serde_json::to_string_pretty(&document)
            .context("the findings cannot be written as JSON")?
            + "\n";
        messages::printable_json(&document).into_owned()
    } else {
        let is_coloured = crate::colour::is_wanted(options.color, out.is_terminal());
        let colour = if is_coloured { Colour::Ansi } else { Colour::None };
        let hints = if options.hints { Hints::InFull } else { Hints::Folded };
        doctor::text::render(&diagnosis, language, colour, hints)
    };
    // A closed standard output is not an error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    for text in unseen {
        let said = text.say(language);
        let colon = language.colon();
        let _ = writeln!(std::io::stderr(), "underpass{colon}{}", messages::printable(&said));
    }
    Ok(if diagnosis.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// On a terminal, where the report is, as a link.
fn say_where(report: &Path) {
    if crate::busy::is_watched() {
        let distro = std::env::var("WSL_DISTRO_NAME").ok();
        let link = crate::link::to_file(report, distro.as_deref());
        let language = crate::voice::language();
        let text = messages::command::REPORT_WRITTEN.with("file", link).say(language);
        // If standard error is closed the report is where it was asked for.
        let _ = writeln!(std::io::stderr(), "underpass{}{text}", language.colon());
    }
}

/// The facts that could not be looked at, and why.
fn unseen(gathered: &Gathered) -> Vec<Text> {
    let mut unseen = Vec::new();
    if let Some(error) = &gathered.net_trouble {
        unseen.push(words::NO_NETLINK.with("error", error));
    }
    if let Some(error) = &gathered.windows_trouble {
        unseen.push(words::NO_WINDOWS.with("error", error));
    }
    if !nix::unistd::geteuid().is_root() {
        unseen.push(words::NO_ROOT.text());
    }
    unseen
}
