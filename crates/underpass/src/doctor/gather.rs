//! Gathers the facts: looks at everything at once, then tries everything at once, and at last what
//! depends on Windows' answers. On a broken machine this takes as long as the slowest attempt, not
//! as long as all of them.

use super::args::default_outside;
use super::tries::{Tries, addresses, has_addresses};
use super::{Wishes, machine, remembered, start_files, survey};
use crate::progress::{Progress, Result};
use crate::proxy::tools::{Answers, Here, program, variable};
use doctor::facts::{
    Clock, Facts, Method, NeighbourState, Outcome, Program, ProxySetting, Tool, Transport, Why,
};
use futures_util::future::join_all;
use messages::doctor_probes as words;
use probe::dns;
use proxy::{Host, Target};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use wsl::{filter, tunnels};

/// The facts that were found, and what could not be looked at.
pub(super) struct Gathered {
    pub(super) facts: Facts,
    /// Why Windows could not be asked.
    pub(super) windows_trouble: Option<String>,
    /// Why the kernel's network could not be looked at.
    pub(super) net_trouble: Option<String>,
}

/// Looks, tries, and waits for all of it.
pub(super) async fn gather(wishes: &Wishes, progress: &Progress) -> Gathered {
    let here = Here::new().unwrap_or_else(|_| Here::at(PathBuf::from("/root")));
    let (home, root) = (&here.home, Path::new("/"));
    let directories = wishes.directories.clone();
    let status = tokio::task::spawn_blocking(move || gateway::control::status(&directories).ok());
    let look = machine::look(Path::new("/etc/resolv.conf"));
    let looks =
        async { tokio::join!(look, Answers::ask(), filter::look(), status, outside(wishes)) };
    let (machine, answers, filter, status, outside) = progress
        .watch(
            words::DOING_LOOK.text(),
            |(seen, ..)| Result::of_any([Some(seen.trouble.is_none())]),
            looks,
        )
        .await;
    let (settings, git_rewrites) = answers.read(&here, config::tools::all);
    let tools = Tool::APPLIED.into_iter().chain([Tool::Ssh]);
    let mut facts = Facts {
        program: own_program(),
        tools: tools.filter(|tool| program(tool.programs()).is_some()).collect(),
        proxies: settings.into_iter().map(|setting| with_author(setting, home)).collect(),
        git_rewrites,
        start_lines: start_files::lines(home, root),
        filter,
        tunnel: survey::tunnel(status.ok().flatten()),
        ..machine.facts
    };
    let device = facts.tunnel.device.clone();
    facts.other_tunnels = tunnels::look(&facts.links, &facts.routes, device.as_deref());

    let tries = Tries::new(&facts, wishes, outside);
    let answers = tries.all(&mut facts, wishes, progress).await;
    let after = tries.after_windows(&mut facts, &answers);
    progress.watch(words::DOING_COMPARE.text(), |()| Result::Works, after).await;

    if let Some(net) = &machine.net {
        facts.neighbours = net.neighbours().await.unwrap_or_default();
    }
    if let Some(gateway) = tries.gateway
        && let Some(known) = facts.neighbours.iter().find(|neighbour| neighbour.address == gateway)
    {
        let outcome = match known.state {
            NeighbourState::Known => Outcome::Ok { ms: 0 },
            NeighbourState::Silent => Outcome::Failed { why: Why::TimedOut, detail: String::new() },
        };
        facts.probes.reach.push(tries.of_gateway(Method::Neighbour, outcome));
    }
    facts.question = tries.question(wishes, &facts);
    facts.clock = Clock { ahead_of_windows_ms: answers.ahead_ms };
    facts.interop.run = answers.run;
    machine::add_windows(&mut facts, answers.windows);
    let now: Vec<IpAddr> =
        facts.links.iter().flat_map(|link| link.addresses.iter().map(|net| net.addr())).collect();
    remember(&mut facts, &tries, &now, home, variable);
    Gathered { facts, windows_trouble: answers.trouble, net_trouble: machine.trouble }
}

/// This command, and whether the user's shell finds it.
fn own_program() -> Program {
    let Ok(own) = std::env::current_exe() else { return Program::default() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(env!("CARGO_PKG_NAME")))
        .find(|one| one.exists());
    let in_path =
        found.and_then(|found| found.canonicalize().ok()).is_some_and(|found| found == own);
    Program { path: own.display().to_string(), in_path }
}

/// A setting, with whether `underpass proxy` made it.
fn with_author(setting: ProxySetting, home: &Path) -> ProxySetting {
    ProxySetting { is_ours: crate::proxy::has_set(&setting, home), ..setting }
}

/// Reads the facts of earlier runs, and keeps those for the next one.
fn remember(
    facts: &mut Facts,
    tries: &Tries,
    now: &[IpAddr],
    home: &Path,
    variable: impl Fn(&str) -> Option<String>,
) {
    let file = remembered::place(variable, home);
    let now: Vec<IpAddr> = now.iter().copied().chain(tries.gateway).collect();
    facts.remembered = remembered::recall(&file, home, Path::new("/"), &now);
    let own: Vec<IpAddr> = tries.own.into_iter().collect();
    let gateways: Vec<IpAddr> = tries.gateway.into_iter().collect();
    // With sudo it may be the calling user's home, whose files root does not change.
    if nix::unistd::geteuid().is_root() && !foreign::is_own_home(home) {
        return;
    }
    if let Err(error) = remembered::keep(&file, &own, &gateways) {
        tracing::info!("{} cannot be written: {error}", file.display());
    }
}

/// The targets outside, all by address. The system, or else a public server, resolves the names
/// that the user gives. Where neither does, well-known addresses stand for the internet, since the
/// first question is whether any address can be reached.
async fn outside(wishes: &Wishes) -> Vec<SocketAddr> {
    let look_up = |one: Target| async move {
        let name = match one.host {
            Host::Address(address) => return vec![SocketAddr::new(address, one.port)],
            Host::Name(name) => name,
        };
        let mut answers = vec![dns::ask_system(&name).await];
        if !has_addresses(&answers[0]) {
            let public =
                wishes.public_dns.iter().map(|server| dns::ask(*server, &name, Transport::Udp));
            answers.extend(join_all(public).await);
        }
        addresses(&answers)
            .first()
            .map(|address| SocketAddr::new(*address, one.port))
            .into_iter()
            .collect()
    };
    let found = join_all(wishes.outside.iter().cloned().map(look_up)).await.concat();
    if !found.is_empty() {
        return found;
    }
    default_outside()
        .iter()
        .filter_map(|one| Some(SocketAddr::new(one.address()?, one.port)))
        .collect()
}
