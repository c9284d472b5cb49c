//! Tools that go by a proxy of their own, and tools that would need one: apt, git, ssh, Docker and
//! others.

use super::check::Found;
use super::good::{Good, good};
use super::proxy::{not_opened, not_written, place};
use super::{fixes, removal, seen};
use crate::facts::{Method, Outcome, ProxyProbe, ProxySetting, Subject, Tool, Whence};
use crate::finding::FixStep;
use crate::view::{View, has_failed, is_ok};
use messages::{Text, doctor_proxy as say};

/// The settings of a tool whose proxy does not carry a request, with what was seen of it.
pub(super) fn dead<'a>(view: &View<'a>, tool: Tool) -> Vec<(&'a ProxySetting, Vec<Text>)> {
    let is_dead = |probe: &ProxyProbe| {
        let steps = [&probe.resolved, &probe.opened, &probe.request];
        !is_ok(&probe.request) && steps.into_iter().any(has_failed)
    };
    let see = |setting, probe: &ProxyProbe| {
        let mut evidence = vec![seen::setting(setting)];
        let failed = match (&probe.resolved, &probe.request) {
            (Outcome::Failed { .. }, _) => {
                not_written(probe).or_else(|| Some(say::NAME_SEEN.with("host", &probe.host)))
            }
            (_, Outcome::Failed { why, detail }) if !has_failed(&probe.opened) => {
                let text = say::REQUEST_SEEN.with("host", &probe.host).with("port", probe.port);
                Some(
                    text.with("target", &view.facts.question.outside)
                        .with("detail", seen::in_words(*why, detail)),
                )
            }
            _ => not_opened(probe),
        };
        evidence.extend(failed);
        evidence
    };
    view.proxies_of(tool)
        .filter(|(_, probe)| is_dead(probe))
        .map(|(setting, probe)| (setting, see(setting, probe)))
        .collect()
}

/// The evidence of dead settings, each sentence once.
pub(super) fn evidence(dead: &[(&ProxySetting, Vec<Text>)]) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for text in dead.iter().flat_map(|(_, texts)| texts) {
        if !texts.contains(text) {
            texts.push(text.clone());
        }
    }
    texts
}

/// Nothing gets out but by the environment's proxy, and a tool that is installed has none of its
/// own.
fn goes_without(view: &View<'_>, tool: Tool) -> bool {
    let has_own = view.facts.proxies.iter().any(|setting| setting.tool == tool);
    view.has_tool(tool)
        && !has_own
        && view.reaches_outside_directly(Whence::Vm) == Some(false)
        && view.reaches_outside_by_proxy()
}

/// A proxy that carries requests.
pub(super) fn set_good(good: &Good<'_>) -> FixStep {
    FixStep::Say(say::TOOLS_GOOD_FIX.with("proxy", good.url()))
}

/// Takes dead settings out: by commands where these change nothing else, or else with an editor.
pub(super) fn take_out(view: &View<'_>, dead: &[&ProxySetting]) -> Vec<FixStep> {
    let commands = removal::commands(view, dead);
    let mut fix = Vec::new();
    if !commands.is_empty() {
        fix.extend([FixStep::Say(say::TOOLS_REMOVE_FIX.text()), run(&commands)]);
    }
    let by_hand = removal::by_hand(dead);
    fix.extend(by_hand.into_iter().map(|setting| {
        let text = say::TOOLS_BY_HAND_FIX.with("file", setting.file.as_deref().unwrap_or_default());
        FixStep::Say(text.with("key", &setting.key))
    }));
    fix
}

pub(super) fn run(commands: &[String]) -> FixStep {
    fixes::linux(&commands.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn settings<'a>(dead: &[(&'a ProxySetting, Vec<Text>)]) -> Vec<&'a ProxySetting> {
    dead.iter().map(|(setting, _)| *setting).collect()
}

/// Sets the proxy that works in place of dead settings. Those that no command takes out have to go
/// first.
pub(super) fn replace(
    view: &View<'_>,
    good: &Good<'_>,
    dead: &[&ProxySetting],
    apply: String,
) -> Vec<FixStep> {
    // `apply` overwrites the same key of Docker's client.
    let is_kept = |setting: &&ProxySetting| !setting.key.starts_with("proxies.default.");
    if removal::by_hand(dead).iter().any(is_kept) {
        return Vec::new();
    }
    let commands = removal::commands(view, dead).into_iter().chain([apply]).collect::<Vec<_>>();
    vec![set_good(good), run(&commands)]
}

fn apt_fix(view: &View<'_>, dead: &[&ProxySetting]) -> Vec<FixStep> {
    let good = good(view);
    let set = good.map(|good| replace(view, &good, dead, good.apply_as_root(view, "apt")));
    set.into_iter().flatten().chain(take_out(view, dead)).collect()
}

pub(super) fn apt(view: &View<'_>) -> Option<Found> {
    let dead = dead(view, Tool::Apt);
    if !dead.is_empty() {
        let fix = apt_fix(view, &settings(&dead));
        return Some(Found { evidence: evidence(&dead), cause: say::APT_DEAD_CAUSE.text(), fix });
    }
    if !goes_without(view, Tool::Apt) {
        return None;
    }
    let mut evidence = super::network::attempts(view, Subject::Outside, Whence::Vm);
    evidence.push(say::APT_NONE_SEEN.text());
    Some(Found { evidence, cause: say::APT_NONE_CAUSE.text(), fix: apt_fix(view, &[]) })
}

/// The options of nc (netcat-openbsd) for a proxy.
fn nc(value: &str, probe: &ProxyProbe) -> String {
    let protocol = if value.to_ascii_lowercase().starts_with("socks") { "5" } else { "connect" };
    format!("nc -X {protocol} -x {} %h %p", place(probe))
}

pub(super) fn ssh(view: &View<'_>) -> Option<Found> {
    let dead = dead(view, Tool::Ssh);
    let has_own = view.facts.proxies.iter().any(|setting| setting.tool == Tool::Ssh);
    let shut = view.reaches(Subject::GitSsh, Whence::Vm, Method::Tcp) == Some(false);
    // Without any way out it is not ssh that is shut.
    if dead.is_empty() && (has_own || !shut || view.is_cut_off()) {
        return None;
    }
    let mut evidence = evidence(&dead);
    if dead.is_empty() {
        evidence.extend(super::network::attempts(view, Subject::GitSsh, Whence::Vm));
    }
    let mut fix = ssh_by_proxy(view, &settings(&dead));
    fix.extend(take_out(view, &settings(&dead)));
    let host = ssh_host(view);
    if host == "github.com" && dead.is_empty() {
        let over_443 = [
            &format!("Host {host}"),
            "    HostName ssh.github.com",
            "    Port 443",
            "    User git",
        ];
        fix.extend([FixStep::Say(say::SSH_443_FIX.text()), fixes::lines(SSH_CONFIG, &over_443)]);
    }
    fix.push(FixStep::Say(say::SSH_TUN_FIX.text()));
    if !view.tunnel_is_up() {
        fix.extend(fixes::tunnel());
    }
    let cause = if dead.is_empty() { say::SSH_CAUSE.text() } else { say::SSH_DEAD_CAUSE.text() };
    Some(Found { evidence, cause, fix })
}

/// The user's settings of ssh.
const SSH_CONFIG: &str = "~/.ssh/config";

fn ssh_host<'a>(view: &View<'a>) -> &'a str {
    let target = view
        .reached(Subject::GitSsh, Whence::Vm)
        .next()
        .map_or("github.com:22", |reach| &reach.target);
    target.rsplit_once(':').map_or(target, |(host, _)| host)
}

/// ssh by the proxy that works: in place of dead settings, or as a setting of its own.
fn ssh_by_proxy(view: &View<'_>, dead: &[&ProxySetting]) -> Vec<FixStep> {
    // nc asks for a password itself, which git cannot answer.
    let Some(good) = good(view).filter(|good| !good.has_secrets()) else { return Vec::new() };
    let command = nc(&good.probe.value, good.probe);
    let say = FixStep::Say(say::SSH_PROXY_FIX.text());
    if dead.is_empty() {
        let lines = [&format!("Host {}", ssh_host(view)), &format!("    ProxyCommand {command}")];
        return vec![say, fixes::lines(SSH_CONFIG, &lines.map(String::as_str))];
    }
    let commands = dead.iter().map(|setting| match (&setting.file, setting.line) {
        (Some(file), Some(line)) => {
            let act = format!(r"s/\([Cc]ommand[ \t=]*\).*/\1{}/", command.replace('/', r"\/"));
            Some(removal::sed(file, &[(line, removal::shown(setting), act)]))
        }
        (Some(_), None) => removal::git(setting, Some(&format!("ssh -o 'ProxyCommand={command}'"))),
        (None, _) => None,
    });
    match commands.collect::<Option<Vec<String>>>() {
        Some(commands) => vec![say, run(&commands)],
        None => Vec::new(),
    }
}

pub(super) fn docker(view: &View<'_>) -> Option<Found> {
    if !goes_without(view, Tool::Docker) {
        return None;
    }
    let good = good(view)?;
    let mut evidence = super::network::attempts(view, Subject::Outside, Whence::Vm);
    evidence.push(say::DOCKER_SEEN.text());
    let restart = "sudo systemctl daemon-reload && sudo systemctl restart docker".to_owned();
    Some(Found {
        evidence,
        cause: say::DOCKER_CAUSE.text(),
        fix: vec![set_good(&good), run(&[good.apply_as_root(view, "docker"), restart])],
    })
}

/// Tools without a check of their own.
const OTHERS: [Tool; 7] =
    [Tool::Npm, Tool::Yarn, Tool::Pip, Tool::Docker, Tool::Curl, Tool::Wget, Tool::Cargo];

pub(super) fn others(view: &View<'_>) -> Option<Found> {
    let mut all = Vec::new();
    let mut names = Vec::new();
    for tool in OTHERS {
        let dead = dead(view, tool);
        if !dead.is_empty() {
            names.push(tool.name());
            all.extend(dead);
        }
    }
    let dead = settings(&all);
    dead.first()?;
    let good = good(view);
    let set = good.map(|good| replace(view, &good, &dead, good.apply(view, &names.join(","))));
    let fix = set.into_iter().flatten().chain(take_out(view, &dead)).collect();
    Some(Found { evidence: evidence(&all), cause: say::TOOLS_CAUSE.text(), fix })
}
