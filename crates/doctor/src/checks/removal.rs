//! Commands that take settings out of where they are written, and nothing else. A line is named by
//! its number and by what stands in it, so a command that no longer fits the file changes nothing.

use super::typed::{as_root, own};
use crate::facts::{ProxySetting, Tool};
use crate::view::View;
use messages::quote::for_shell;

/// A file of the machine's is root's.
pub(super) fn sudo(file: &str) -> &'static str {
    if file.starts_with("/etc/") || file.starts_with("/usr/") { "sudo " } else { "" }
}

/// A basic regular expression that matches this text. `/` is the delimiter.
fn pattern(text: &str) -> String {
    text.chars().fold(String::new(), |mut pattern, letter| {
        if r".*[^$\/".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
        pattern
    })
}

/// `sed` on lines of a file: each is a number, a text that stands in it, and what is done with it.
pub(super) fn sed(file: &str, lines: &[(usize, &str, String)]) -> String {
    let scripts: Vec<String> = lines
        .iter()
        .map(|(line, text, act)| format!("{line}{{/{}/{act}}}", pattern(text)))
        .collect();
    let script = scripts.join(";");
    format!("{}sed -i --follow-symlinks {} {}", sudo(file), for_shell(&script), for_shell(file))
}

/// The part of a setting's value that is in the file as it is shown here: secrets are hidden.
pub(super) fn shown(setting: &ProxySetting) -> &str {
    setting.value.split("***").max_by_key(|part| part.len()).unwrap_or_default()
}

/// Changes a setting of git's.
pub(super) fn git(setting: &ProxySetting, value: Option<&str>) -> Option<String> {
    let file = setting.file.as_deref()?;
    let key = for_shell(&setting.key);
    let words = match value {
        Some(value) => format!("--replace-all {key} {}", for_shell(value)),
        None => format!("--unset-all {key}"),
    };
    Some(format!("{}git config --file {} {words}", sudo(file), for_shell(file)))
}

/// Whether git's own command changes the setting.
fn is_of_git(setting: &ProxySetting) -> bool {
    setting.tool == Tool::Git || setting.key.starts_with("core.")
}

/// The commands that take these settings out, each once. Settings that no command can take out
/// alone are left out; see [`by_hand`].
pub(super) fn commands(view: &View<'_>, settings: &[&ProxySetting]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut add = |command: String| {
        if !commands.contains(&command) {
            commands.push(command);
        }
    };
    for setting in settings {
        let file = match &setting.file {
            None => {
                add(format!("unset {}", setting.key));
                continue;
            }
            Some(file) => file,
        };
        if setting.is_ours {
            let tool = setting.tool.name();
            let words = format!("proxy remove --tools {tool}");
            let needs_root = !sudo(file).is_empty();
            add(if needs_root { as_root(view, &words) } else { format!("{} {words}", own(view)) });
        } else if is_of_git(setting) {
            git(setting, None).into_iter().for_each(&mut add);
        } else {
            let same = |other: &&&ProxySetting| other.file.as_ref() == Some(file) && !other.is_ours;
            let lines = settings.iter().filter(same);
            let lines: Vec<_> = lines
                .filter_map(|other| Some((other.line?, shown(other), "d".to_owned())))
                .collect();
            if !lines.is_empty() {
                add(sed(file, &lines));
            }
        }
    }
    commands
}

/// Settings that have to be taken out with an editor.
pub(super) fn by_hand<'a>(settings: &[&'a ProxySetting]) -> Vec<&'a ProxySetting> {
    let is_one = |setting: &&ProxySetting| {
        setting.file.is_some() && setting.line.is_none() && !setting.is_ours && !is_of_git(setting)
    };
    settings.iter().copied().filter(is_one).collect()
}
