//! Tools that go by a proxy of their own, and tools that would need one: apt, git, ssh, Docker and others.

use super::check::{Check, Found, Needs};
use super::proxy::{not_opened, not_written, place, url};
use super::{fixes, seen};
use crate::facts::{Method, Outcome, ProxyProbe, ProxySetting, Subject, Tool, Whence};
use crate::finding::{Area, Severity, Step};
use crate::view::{View, has_failed, is_ok};
use messages::{Text, doctor_proxy as say};

pub(super) const CHECKS: &[Check] = &[
    check("tools-apt", &say::APT, apt),
    check("tools-git", &say::GIT, git),
    check("tools-ssh", &say::SSH, ssh),
    check("tools-docker", &say::DOCKER, docker),
    check("tools-others", &say::TOOLS, others),
];

const fn check(
    id: &'static str,
    description: &'static messages::Sentence,
    find: fn(&View<'_>) -> Option<Found>,
) -> Check {
    Check { id, area: Area::Tools, severity: Severity::Problem, description, needs: Needs::Facts, hop: None, find }
}

/// The settings of a tool whose proxy does not carry a request, with what was seen of it.
fn dead<'a>(view: &View<'a>, tool: Tool) -> Vec<(&'a ProxySetting, Vec<Text>)> {
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
                Some(text.with("target", &view.facts.question.outside).with("detail", seen::in_words(*why, detail)))
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

/// What was seen of dead settings, each sentence once.
fn evidence(dead: &[(&ProxySetting, Vec<Text>)]) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for text in dead.iter().flat_map(|(_, texts)| texts) {
        if !texts.contains(text) {
            texts.push(text.clone());
        }
    }
    texts
}

/// A proxy of the environment that carries requests.
fn working<'a>(view: &View<'a>) -> Option<(String, &'a ProxyProbe)> {
    let mut proxies = view.proxies_of(Tool::Environment).filter(|(_, probe)| is_ok(&probe.request));
    proxies.next().map(|(_, probe)| (url(probe), probe))
}

/// Nothing gets out but by the environment's proxy, and a tool that is installed has none of its own.
fn goes_without(view: &View<'_>, tool: Tool) -> bool {
    let has_own = view.facts.proxies.iter().any(|setting| setting.tool == tool);
    view.has_tool(tool)
        && !has_own
        && view.reaches_outside_directly(Whence::Vm) == Some(false)
        && view.reaches_outside_by_proxy()
}

/// Takes a setting out of its file. Docker's file is JSON, which has no lines to take out, and apt's has sections.
fn without(setting: &ProxySetting) -> Option<String> {
    let file = setting.file.as_ref()?;
    let sudo = if file.starts_with("/etc/") { "sudo " } else { "" };
    let lines = match setting.tool {
        Tool::Docker => return None,
        Tool::Apt if !setting.value.contains(['*', '|']) => format!(r"\|{}|d", setting.value),
        Tool::Apt => format!("/{}/d", setting.key),
        Tool::Environment
        | Tool::Git
        | Tool::Npm
        | Tool::Yarn
        | Tool::Pip
        | Tool::Curl
        | Tool::Wget
        | Tool::Cargo
        | Tool::Ssh => format!("/^ *{} *[=: ]/d", setting.key.replace('/', r"\/")),
    };
    Some(format!("{sudo}sed -i '{lines}' '{file}'"))
}

/// apt's own file for a proxy, unless it has one somewhere else.
const APT_FILE: &str = "/etc/apt/apt.conf.d/proxy.conf";

fn apt_fix(view: &View<'_>, own: Option<&ProxySetting>) -> Vec<Step> {
    let mut fix = Vec::new();
    if let Some((value, _)) = working(view) {
        let file = own.and_then(|setting| setting.file.as_deref()).unwrap_or(APT_FILE);
        let line = |scheme| format!("Acquire::{scheme}::Proxy \"{}\";", value);
        fix.extend([
            Step::Say(say::APT_FIX.text()),
            fixes::linux(&["sudo -E underpass proxy apply --tools apt"]),
            fixes::lines(file, &[&line("http"), &line("https")]),
        ]);
    }
    if let Some(command) = own.and_then(without) {
        fix.extend([Step::Say(say::APT_REMOVE_FIX.text()), fixes::linux(&[&command])]);
    }
    fix
}

fn apt(view: &View<'_>) -> Option<Found> {
    let dead = dead(view, Tool::Apt);
    if let Some((setting, _)) = dead.first() {
        let fix = apt_fix(view, Some(setting));
        return Some(Found { evidence: evidence(&dead), cause: say::APT_DEAD_CAUSE.text(), fix });
    }
    if !goes_without(view, Tool::Apt) {
        return None;
    }
    let mut evidence = super::network::attempts(view, Subject::Outside, Whence::Vm);
    evidence.push(say::APT_NONE_SEEN.text());
    Some(Found { evidence, cause: say::APT_NONE_CAUSE.text(), fix: apt_fix(view, None) })
}

fn git(view: &View<'_>) -> Option<Found> {
    let dead = dead(view, Tool::Git);
    let (setting, _) = dead.first()?;
    let mut commands = Vec::new();
    if let Some((value, _)) = working(view) {
        commands.push(format!("git config --global {} {value}", setting.key));
    }
    commands.push(format!("git config --global --unset-all {}", setting.key));
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    Some(Found {
        evidence: evidence(&dead),
        cause: say::GIT_CAUSE.text(),
        fix: vec![Step::Say(say::GIT_FIX.text()), fixes::linux(&commands)],
    })
}

/// The options of nc (netcat-openbsd) for a proxy.
fn nc(value: &str, probe: &ProxyProbe) -> String {
    let protocol = if value.to_ascii_lowercase().starts_with("socks") { "5" } else { "connect" };
    format!("nc -X {protocol} -x {} %h %p", place(probe))
}

fn ssh(view: &View<'_>) -> Option<Found> {
    let dead = dead(view, Tool::Ssh);
    let has_own = view.facts.proxies.iter().any(|setting| setting.tool == Tool::Ssh);
    let shut = view.reaches(Subject::GitSsh, Whence::Vm, Method::Tcp) == Some(false);
    // Without any way out it is not ssh that is shut.
    if dead.is_empty() && (has_own || !shut || view.is_cut_off()) {
        return None;
    }
    let mut evidence = evidence(&dead);
    let mut fix = Vec::new();
    if dead.is_empty() {
        evidence.extend(super::network::attempts(view, Subject::GitSsh, Whence::Vm));
    }
    let target = view.reached(Subject::GitSsh, Whence::Vm).next().map_or("github.com:22", |reach| &reach.target);
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    let head = format!("Host {host}");
    if let Some((value, probe)) = working(view) {
        let command = format!("    ProxyCommand {}", nc(&value, probe));
        fix.extend([Step::Say(say::SSH_PROXY_FIX.text()), fixes::lines("~/.ssh/config", &[&head, &command])]);
    }
    if host == "github.com" {
        let over_443 = [&head, "    HostName ssh.github.com", "    Port 443", "    User git"];
        fix.extend([Step::Say(say::SSH_443_FIX.text()), fixes::lines("~/.ssh/config", &over_443)]);
    }
    fix.push(Step::Say(say::SSH_TUN_FIX.text()));
    if !view.tunnel_is_up() {
        fix.extend(fixes::tunnel());
    }
    let cause = if dead.is_empty() { say::SSH_CAUSE.text() } else { say::SSH_DEAD_CAUSE.text() };
    Some(Found { evidence, cause, fix })
}

fn docker(view: &View<'_>) -> Option<Found> {
    if !goes_without(view, Tool::Docker) {
        return None;
    }
    let (value, _) = working(view)?;
    let mut evidence = super::network::attempts(view, Subject::Outside, Whence::Vm);
    evidence.push(say::DOCKER_SEEN.text());
    let file = [
        "[Service]".to_owned(),
        format!("Environment=\"HTTP_PROXY={value}\""),
        format!("Environment=\"HTTPS_PROXY={value}\""),
    ];
    let file: Vec<&str> = file.iter().map(String::as_str).collect();
    Some(Found {
        evidence,
        cause: say::DOCKER_CAUSE.text(),
        fix: vec![
            fixes::linux(&["sudo -E underpass proxy apply --tools docker"]),
            fixes::lines("/etc/systemd/system/docker.service.d/proxy.conf", &file),
            fixes::linux(&["sudo systemctl daemon-reload && sudo systemctl restart docker"]),
        ],
    })
}

/// Tools without a check of their own, as `underpass proxy` names them.
const OTHERS: [(Tool, &str); 7] = [
    (Tool::Npm, "npm"),
    (Tool::Yarn, "yarn"),
    (Tool::Pip, "pip"),
    (Tool::Docker, "docker"),
    (Tool::Curl, "curl"),
    (Tool::Wget, "wget"),
    (Tool::Cargo, "cargo"),
];

fn others(view: &View<'_>) -> Option<Found> {
    let mut all = Vec::new();
    let mut names = Vec::new();
    for (tool, name) in OTHERS {
        let dead = dead(view, tool);
        if !dead.is_empty() {
            names.push(name);
            all.extend(dead);
        }
    }
    if all.is_empty() {
        return None;
    }
    let names = names.join(",");
    let mut commands = Vec::new();
    if working(view).is_some() {
        commands.push(format!("underpass proxy apply --tools {names}"));
    }
    commands.push(format!("underpass proxy remove --tools {names}"));
    commands.extend(all.iter().filter_map(|(setting, _)| without(setting)));
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    Some(Found {
        evidence: evidence(&all),
        cause: say::TOOLS_CAUSE.text(),
        fix: vec![Step::Say(say::TOOLS_FIX.text()), fixes::linux(&commands)],
    })
}
