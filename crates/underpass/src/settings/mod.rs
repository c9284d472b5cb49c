//! `underpass settings`: WSL's settings files shown, judged and changed. `config::settings` knows
//! what they mean; here are options, files, questions to Windows and to the person at the terminal.

mod apply;
mod check;
mod dns;
mod edits;
mod found;
mod journal;
mod machine;
mod recommend;
mod show;
mod verify;

use clap::Subcommand;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    #[command(after_help = "\
Examples:
  underpass settings show
  underpass settings show --changed
  underpass settings show --json | jq '.settings[] | select(.origin != \"default\")'")]
    Show(show::ShowOptions),
    #[command(after_help = "\
Examples:
  underpass settings check
  underpass settings check --lang zh
  underpass settings check ./.wslconfig
  underpass settings check --wslconfig ./.wslconfig --windows-version 10.0.19045")]
    Check(check::CheckOptions),
    #[command(after_help = "\
Examples:
  underpass settings recommend
  underpass settings recommend --goal vpn
  underpass settings recommend --explain")]
    Recommend(recommend::RecommendOptions),
    #[command(after_help = "\
Examples:
  underpass settings apply
  underpass settings apply --goal vpn --dry-run
  underpass settings apply --set wsl2.networkingMode=mirrored --unset wsl2.memory --yes")]
    Apply(apply::ApplyOptions),
    #[command(after_help = "\
Examples:
  underpass settings undo
  underpass settings undo --yes")]
    Undo(apply::UndoOptions),
    #[command(
        subcommand,
        after_help = "\
Examples:
  underpass settings dns manual --server 10.1.2.3 --server 223.5.5.5 --search corp.example
  underpass settings dns auto"
    )]
    Dns(dns::DnsCommand),
    Verify(verify::VerifyOptions),
}

/// Does it; the exit code says how it went.
///
/// # Errors
/// It could not be done.
pub(crate) fn run(command: &SettingsCommand) -> anyhow::Result<ExitCode> {
    let outcome = match command {
        SettingsCommand::Show(options) => show::run(options),
        SettingsCommand::Check(options) => check::run(options),
        SettingsCommand::Recommend(options) => recommend::run(options),
        SettingsCommand::Apply(options) => apply::run(options),
        SettingsCommand::Undo(options) => apply::undo(options),
        SettingsCommand::Dns(command) => dns::run(command),
        SettingsCommand::Verify(options) => verify::run(options),
    };
    outcome.map_err(|error| anyhow::Error::msg(proxy::mask(&format!("{error:#}"))))
}

/// A line on standard output. A command or an option in a settings file may have a password in it,
/// which is hidden.
fn tell(line: &str) {
    crate::tell(&proxy::mask(line));
}

/// The same for a document.
fn print_json(document: &Value) -> anyhow::Result<()> {
    crate::print_json(&proxy::mask(&format!("{document:#}\n")))
}
