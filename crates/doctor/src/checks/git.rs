//! git over https: a proxy of its own, none on purpose, and addresses that it replaces by others.

use super::check::Found;
use super::good::good;
use super::network::attempts;
use super::removal::{self, sudo};
use super::tools::{dead, evidence, replace, run, set_good, settings, take_out};
use super::{fixes, seen};
use crate::facts::{GitRewrite, ProxySetting, Subject, Tool, Whence};
use crate::finding::FixStep;
use crate::view::{View, has_failed};
use messages::doctor_proxy as say;
use messages::quote::for_shell;

pub(super) fn proxy(view: &View<'_>) -> Option<Found> {
    let dead = dead(view, Tool::Git);
    let dead_settings = settings(&dead);
    dead_settings.first()?;
    let mut fix = Vec::new();
    if let Some(good) = good(view) {
        let set =
            dead_settings.iter().filter_map(|setting| removal::git(setting, Some(&good.url())));
        let set: Vec<String> = set.collect();
        // Settings outside of files, such as a variable, are taken out.
        let set = if set.len() == dead_settings.len() { set } else { Vec::new() };
        if good.has_secrets() {
            fix.extend(replace(view, &good, &dead_settings, good.apply(view, "git")));
        } else if !set.is_empty() {
            fix.extend([set_good(&good), run(&set)]);
        }
    }
    fix.extend(take_out(view, &dead_settings));
    Some(Found { evidence: evidence(&dead), cause: say::GIT_CAUSE.text(), fix })
}

/// git goes directly because its own setting is empty (git-config(1), `http.proxy`), where only a
/// proxy leads out.
pub(super) fn direct(view: &View<'_>) -> Option<Found> {
    let of_git = |setting: &&ProxySetting| setting.tool == Tool::Git && setting.key == "http.proxy";
    // The last of several settings counts.
    let setting =
        view.facts.proxies.iter().rfind(of_git).filter(|setting| setting.value.is_empty())?;
    if view.reaches_outside_directly(Whence::Vm) != Some(false) || !view.reaches_outside_by_proxy()
    {
        return None;
    }
    let mut evidence = vec![seen::setting(setting)];
    evidence.extend(attempts(view, Subject::Outside, Whence::Vm));
    let command = removal::git(setting, None)?;
    let fix = vec![FixStep::Say(say::GIT_DIRECT_FIX.text()), fixes::linux(&[&command])];
    Some(Found { evidence, cause: say::GIT_DIRECT_CAUSE.text(), fix })
}

/// A host that git asks instead of another, and that does not answer.
pub(super) fn rewrite(view: &View<'_>) -> Option<Found> {
    // Behind a proxy it is the proxy that reaches the host.
    if view.reaches_outside_directly(Whence::Vm) != Some(true) {
        return None;
    }
    let mut tried =
        view.reached(Subject::GitMirror, Whence::Vm).filter(|reach| has_failed(&reach.outcome));
    let (rewrite, reach) = tried.find_map(|reach| {
        let host = reach.target.rsplit_once(':').map_or(reach.target.as_str(), |(host, _)| host);
        let of_host = |rewrite: &&GitRewrite| rewrite.base.contains(host.trim_matches(['[', ']']));
        Some((view.facts.git_rewrites.iter().find(of_host)?, reach))
    })?;
    let place = rewrite.file.as_deref().unwrap_or("GIT_CONFIG_PARAMETERS");
    let seen = say::GIT_REWRITE_SEEN.with("place", place).with("base", &rewrite.base);
    let mut evidence = vec![seen.with("of", &rewrite.instead_of)];
    evidence.extend(seen::reach(reach));
    let key = format!("url.{}.insteadOf", rewrite.base);
    let mut fix = Vec::new();
    if let Some(file) = &rewrite.file
        && rewrite.base.contains("***")
    {
        // The key has a secret in it, which no command may say.
        fix.push(FixStep::Say(say::TOOLS_BY_HAND_FIX.with("file", file).with("key", key)));
    } else if let Some(file) = &rewrite.file {
        fix.push(FixStep::Say(say::GIT_REWRITE_FIX.text()));
        let command = format!(
            "{}git config --file {} --unset-all {}",
            sudo(file),
            for_shell(file),
            for_shell(&key)
        );
        fix.push(fixes::linux(&[&command]));
    }
    Some(Found { evidence, cause: say::GIT_REWRITE_CAUSE.text(), fix })
}
