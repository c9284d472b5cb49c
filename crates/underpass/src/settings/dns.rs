//! `underpass settings dns`: which servers resolve names in this distro.

use super::edits::{ConsentOptions, Outcome, carry_out, step};
use super::found::{Content, Found, Traits, encoded, settings_of};
use super::journal::{Command, PathChange, Record};
use super::machine::{Machine, MachineOptions, Need};
use super::tell;
use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{Args, Subcommand};
use config::settings::change::{Change, ChangeError};
use config::settings::ini::File;
use config::settings::resolv::{self, GENERATED};
use config::settings::schema::{Key, Place};
use messages::settings as say;
use std::net::IpAddr;
use std::process::ExitCode;
use wsl::MOST_SERVERS;

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    #[command(after_help = "\
Examples:
  underpass settings dns manual --server 10.1.2.3 --server 223.5.5.5
  underpass settings dns manual --server 10.1.2.3 --search corp.example --immutable")]
    Manual(ManualOptions),
    #[command(after_help = "\
Examples:
  underpass settings dns auto
  underpass settings dns auto --yes")]
    Auto(AutoOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ManualOptions {
    #[arg(long, value_name = "ADDRESS", required = true)]
    server: Vec<IpAddr>,
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    search: Vec<String>,
    #[arg(long)]
    immutable: bool,
    #[command(flatten)]
    consent: ConsentOptions,
    #[command(flatten)]
    machine: MachineOptions,
}

#[derive(Debug, Args)]
pub(crate) struct AutoOptions {
    #[command(flatten)]
    consent: ConsentOptions,
    #[command(flatten)]
    machine: MachineOptions,
}

fn domain(name: &str) -> Result<String, String> {
    if resolv::is_domain(name) {
        Ok(name.to_owned())
    } else {
        Err("it is not a domain name".to_owned())
    }
}

/// Does it.
///
/// # Errors
/// A file cannot be read or written, or the user cannot be asked.
pub(crate) fn run(command: &DnsCommand) -> anyhow::Result<ExitCode> {
    match command {
        DnsCommand::Manual(options) => manual(options),
        DnsCommand::Auto(options) => auto(options),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn manual(options: &ManualOptions) -> anyhow::Result<()> {
    if options.server.len() > MOST_SERVERS {
        let message = format!(
            "--server: programs ask the first {MOST_SERVERS} servers only; leave the others out\n"
        );
        clap::Error::raw(ErrorKind::TooManyValues, message).exit();
    }
    let machine = options.machine.look(Need::OwnFiles)?;
    if let Some((private, public)) = resolv::behind_public(&options.server) {
        let text = say::COMPANY_SERVER_BEHIND.with("private", private).with("public", public);
        tell(&text.say(machine.language));
    }
    let own = resolv::text(&options.server, &options.search).into_bytes();
    let resolv_conf = step(&machine.resolv_conf, |_| {
        let traits = Traits { immutable: options.immutable, ..Traits::default() };
        Ok(Found::File(Content { bytes: own, traits }))
    })?;
    // wsl.conf first: what fails there must not leave a resolv.conf that WSL writes over.
    let steps = vec![generate(&machine, Some("false"))?, resolv_conf];
    if carry_out(Command::DnsManual, steps, &options.consent, machine.language)? == Outcome::Made {
        tell(&say::RESOLV_CONF_NOW.text().say(machine.language));
    }
    Ok(())
}

fn auto(options: &AutoOptions) -> anyhow::Result<()> {
    let machine = options.machine.look(Need::OwnFiles)?;
    let records = options.consent.journal()?.records()?;
    let run = manual_run(&records, &machine);
    let mut steps = match &run[..] {
        [first, .., last] => given_back(&machine, first, last, is_unbroken(&run, &machine))?,
        [only] => given_back(&machine, only, only, true)?,
        [] => by_default(&machine)?,
    };
    steps.retain(|step| !step.before.is_as(&step.after));
    if steps.is_empty() {
        tell(&say::DNS_IS_AUTO.text().say(machine.language));
        return Ok(());
    }
    carry_out(Command::DnsAuto, steps, &options.consent, machine.language).map(|_| ())
}

/// The `dns manual`s of this distro that no `dns auto` has given back, the oldest first.
fn manual_run<'a>(records: &'a [Record], machine: &Machine) -> Vec<&'a Record> {
    let of_this = records.iter().rev().filter(|record| {
        record.command != Command::Apply
            && record
                .steps
                .iter()
                .any(|step| step.path == machine.resolv_conf || step.path == machine.wsl_conf)
    });
    let mut run: Vec<_> =
        of_this.take_while(|record| record.command == Command::DnsManual).collect();
    run.reverse();
    run
}

/// What a record did to a path.
fn on<'a>(record: &'a Record, path: &std::path::Path) -> Option<&'a PathChange> {
    record.steps.iter().find(|step| step.path == path)
}

/// Whether each found wsl.conf as the one before had left it.
fn is_unbroken(run: &[&Record], machine: &Machine) -> bool {
    run.windows(2).all(|pair| {
        match (on(pair[0], &machine.wsl_conf), on(pair[1], &machine.wsl_conf)) {
            (Some(older), Some(newer)) => older.after.is_as(&newer.before),
            (_, None) => true,
            (None, Some(_)) => false,
        }
    })
}

/// Both files as they were before the first: wsl.conf as a whole where no other program changed it
/// later, else only its one key.
fn given_back(
    machine: &Machine,
    first: &Record,
    last: &Record,
    is_unbroken: bool,
) -> anyhow::Result<Vec<PathChange>> {
    let mut steps = Vec::new();
    if let Some(resolv_conf) = on(first, &machine.resolv_conf) {
        steps.push(step(&machine.resolv_conf, |_| Ok(resolv_conf.before.clone()))?);
    }
    if let Some(wsl_conf) = on(first, &machine.wsl_conf) {
        let now = Found::of(&machine.wsl_conf)?;
        let latest = on(last, &machine.wsl_conf).unwrap_or(wsl_conf);
        if is_unbroken && now.is_as(&latest.after) {
            steps.push(PathChange {
                path: machine.wsl_conf.clone(),
                before: now,
                after: wsl_conf.before.clone(),
            });
        } else {
            let before = match &wsl_conf.before {
                Found::File(content) => {
                    settings_of(Place::WslConf, &content.bytes).context("the former wsl.conf")?
                }
                Found::Absent | Found::Link { .. } => String::new(),
            };
            let former = File::parse_as(&before, Place::WslConf.reader());
            steps.push(generate(machine, former.get("network", "generateResolvConf"))?);
        }
    }
    Ok(steps)
}

/// As WSL makes a distro, where nothing is known of what was before.
fn by_default(machine: &Machine) -> anyhow::Result<Vec<PathChange>> {
    let effective = machine.situation.effective();
    let link = |before: &Found| match before {
        // However it spells the way there.
        Found::Link { to } if to.ends_with(&GENERATED[1..]) => before.clone(),
        Found::Absent | Found::Link { .. } | Found::File(_) => Found::Link { to: GENERATED.into() },
    };
    let mut steps = vec![step(&machine.resolv_conf, |before| Ok(link(before)))?];
    if effective.value(Place::WslConf, "network", "generateResolvConf") == "false" {
        steps.push(generate(machine, None)?);
    }
    Ok(steps)
}

/// `wsl.conf` with `generateResolvConf` set so.
fn generate(machine: &Machine, value: Option<&str>) -> anyhow::Result<PathChange> {
    let key = Key::find(Place::WslConf, "network", "generateResolvConf")
        .context("the schema lacks generateResolvConf")?;
    let mut file = machine.situation.wsl_conf.clone();
    let change = Change { key, value: value.map(str::to_owned) };
    change.make(&mut file).map_err(|error| ChangeError::Edit { place: Place::WslConf, error })?;
    let text = file.to_string();
    step(&machine.wsl_conf, |before| {
        // The file is not made if it does not exist and there is nothing to write.
        let is_none = *before == Found::Absent && text.is_empty();
        Ok(if is_none { Found::Absent } else { before.with_bytes(encoded(&text, before)) })
    })
}
