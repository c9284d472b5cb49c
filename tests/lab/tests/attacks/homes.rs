//! Attacks on root's commands through a home folder that belongs to a user: links, false records,
//! programs that settings name.

use super::{Attacker, as_stranger};
use lab::built::programs;
use lab::scene::{PATIENCE, Scratch};
use lab::{Finished, lab_or_skip, until};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// A machine of its own for root's commands that change files: `$1` is laid over the places where
/// they store records, and there is no network.
const OWN: &str = r#"
set -e
mount --bind "$1" /var/lib
shift
umask 0
exec "$@"
"#;

/// A home of the attacker's, and root's files beside it.
struct Homes {
    scratch: Scratch,
}

impl Homes {
    fn new() -> Self {
        let homes = Self { scratch: Scratch::new() };
        for folder in ["home", "var", "victim"] {
            fs::create_dir(homes.path(folder)).unwrap();
        }
        fs::write(homes.path("victim/file"), "precious").unwrap();
        fs::set_permissions(homes.path("victim/file"), fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(homes.path("home"), Some(65534), Some(65534)).unwrap();
        homes
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name)
    }

    /// As the attacker, in the home.
    fn attack(&self, script: &str) {
        as_stranger(&format!("cd {}; {script}", self.path("home")));
    }

    /// A command of root's with the attacker's home, like `sudo` with a preserved `HOME`.
    fn command(&self, words: &[&str]) -> Command {
        let program = programs().join("underpass").display().to_string();
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--propagation",
            "private",
            "sh",
            "-c",
            OWN,
            "sh",
            &self.path("var"),
            &program,
        ]);
        command
            .args(words)
            .env("HOME", self.path("home"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME");
        command
            .env("UNDERPASS_RUNTIME_DIR", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    fn root(&self, words: &[&str]) -> Finished {
        let output = self.command(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The files of root's that have changed.
    fn changed(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for entry in fs::read_dir(self.path("victim")).unwrap().flatten() {
            let found = fs::symlink_metadata(entry.path()).unwrap();
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            seen.push(format!("{:?} {} {:o} {text}", entry.file_name(), found.uid(), found.mode()));
        }
        seen.retain(|line| line != "\"file\" 0 100644 precious");
        if !Path::new(&self.path("victim/file")).exists() {
            seen.push("the file is gone".to_owned());
        }
        seen
    }

    fn nothing_is_changed(&self, why: &str) {
        assert_eq!(self.changed(), [""; 0], "{why}");
    }
}

#[test]
fn root_does_not_obey_what_a_user_says_was_changed() {
    if lab_or_skip().is_none() {
        return;
    }
    let homes = Homes::new();
    let victim = homes.path("victim/file");
    // The record that `apply` would have written if it had changed root's file.
    let memory = serde_json::json!({ "folders": [], "files": [{ "tool": "git", "path": victim, "folders": [],
        "format": "whole", "is_new": false, "change": { "at": 0, "old": "pwned", "new": "precious" },
        "keys": [{ "key": "", "before": "pwned", "set": "precious" }] }] });
    homes.attack(&format!(
        "mkdir -p .local/state/underpass; echo '{memory}' >.local/state/underpass/proxy.json"
    ));
    let done = homes.root(&["proxy", "remove"]);
    homes.nothing_is_changed(&format!("{done:?}"));
    // Root's own records are not changed either, even if they are wrong.
    fs::create_dir(homes.path("var/underpass")).unwrap();
    fs::write(homes.path("var/underpass/proxy.json"), memory.to_string()).unwrap();
    let done = homes.root(&["proxy", "remove"]);
    homes.nothing_is_changed(&format!("{done:?}"));
    assert!(done.code == Some(1) && done.stderr.contains("is left unchanged"), "{done:?}");
}

#[test]
fn root_takes_back_no_change_of_settings_that_a_user_says_was_made() {
    if lab_or_skip().is_none() {
        return;
    }
    let homes = Homes::new();
    let file = |kept: &str| serde_json::json!({ "kind": "file", "kept": kept, "traits": { "mode": 0o644, "immutable": false } });
    let step = serde_json::json!({ "path": homes.path("victim/file"), "before": file("old"), "after": file("new") });
    let record = serde_json::json!({ "command": "apply", "steps": [step] });
    let script = "mkdir -p state/0001; cd state/0001; printf pwned >old; printf precious >new";
    homes.attack(&format!("{script}; echo '{record}' >record.json"));
    let done = homes.root(&["settings", "undo", "--yes", "--state", &homes.path("home/state")]);
    homes.nothing_is_changed(&format!("{done:?}"));
    assert!(
        done.code == Some(1) && done.stderr.contains("other users can write there"),
        "{done:?}"
    );
}

#[test]
fn roots_memory_is_roots_alone_whatever_its_umask() {
    if lab_or_skip().is_none() {
        return;
    }
    let homes = Homes::new();
    let done =
        homes.root(&["proxy", "apply", "--port", "7890", "--host", "127.0.0.1", "--tools", "npm"]);
    let mode = fs::metadata(homes.path("var/underpass")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755, "{mode:o} {done:?}");
}

#[test]
fn links_of_a_user_lead_no_command_of_root_to_other_files() {
    if lab_or_skip().is_none() {
        return;
    }
    let victim = |homes: &Homes| homes.path("victim/file");
    let proxy = ["proxy", "apply", "--port", "7890", "--host", "127.0.0.1", "--tools"];
    let apply = |tool: &'static str| [&proxy[..], &[tool]].concat();
    let settings = |homes: &Homes| {
        let [file, etc] = [homes.path("home/.wslconfig"), homes.path("home")];
        [&SETTINGS[..], &["--wslconfig", &file, "--etc", &etc]]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    type Words<'a> = Box<dyn Fn(&Homes) -> Vec<String> + 'a>;
    let kept =
        |homes: &Homes| [settings(homes), words(&["--state", &homes.path("home/state")])].concat();
    let attacks: [(&str, &str, Words<'_>); 8] = [
        ("the folder of former settings", "ln -s FOLDER state", Box::new(kept)),
        ("a tool's file", "ln -s VICTIM .npmrc", Box::new(|_| words(&apply("npm")))),
        (
            "a folder of a tool's file",
            "mkdir .config; ln -s FOLDER .config/pip",
            Box::new(|_| words(&apply("pip"))),
        ),
        (
            "the doctor's memory",
            "mkdir -p .local/state/underpass; ln -s VICTIM .local/state/underpass/seen.new",
            Box::new(|_| words(&["doctor", "--only", "tools"])),
        ),
        (
            "a report",
            "ln -s VICTIM report.html",
            Box::new(|homes| {
                words(&["doctor", "--only", "tools", "--report", &homes.path("home/report.html")])
            }),
        ),
        ("Windows' settings file", "ln -s VICTIM .wslconfig", Box::new(settings)),
        (
            "a log",
            "ln -s FOLDER/new log",
            Box::new(|homes| {
                words(&[
                    "-v",
                    "up",
                    "--relay",
                    "/nonexistent",
                    "--log-file",
                    &homes.path("home/log"),
                ])
            }),
        ),
        (
            "manual pages",
            "ln -s VICTIM underpass.1",
            Box::new(|homes| words(&["man", &homes.path("home")])),
        ),
    ];
    let mut changed = Vec::new();
    for (what, attack, words) in &attacks {
        let homes = Homes::new();
        homes.attack(
            &attack.replace("VICTIM", &victim(&homes)).replace("FOLDER", &homes.path("victim")),
        );
        let words = words(&homes);
        let done = homes.root(&words.iter().map(String::as_str).collect::<Vec<_>>());
        changed.extend(
            homes.changed().into_iter().map(|change| format!("by {what}: {change}; {done:?}")),
        );
    }
    assert_eq!(changed, [""; 0]);
}

#[test]
fn root_runs_no_program_that_a_users_settings_name() {
    if lab_or_skip().is_none() {
        return;
    }
    let homes = Homes::new();
    // Like Yarn with `yarnPath` of the nearest .yarnrc.yml (yarnpkg.com, "Settings").
    fs::create_dir(homes.path("bin")).unwrap();
    let yarn = "#!/bin/sh\nexec sh \"$(sed -n 's/^yarnPath: //p' .yarnrc.yml)\"\n";
    let _yarn = homes.scratch.file("bin/yarn", yarn);
    let _npm = homes.scratch.file("bin/npm", yarn);
    homes.attack("echo 'yarnPath: ./evil' >.yarnrc.yml; echo 'id -u >>pwned' >evil");
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", homes.path("bin"));
    fs::set_permissions(homes.path("bin"), fs::Permissions::from_mode(0o755)).unwrap();
    let words = ["proxy", "apply", "--port", "7890", "--host", "127.0.0.1", "--tools", "yarn,npm"];
    let done = homes.command(&words).env("PATH", path).output().unwrap();
    assert_eq!(homes.scratch.read("home/pwned"), "", "it ran as these users: {done:?}");
}

/// Swaps a folder and a link to root's, and a file and a link to root's, as fast as possible;
/// counts the swaps in a file.
const SWAP: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None)
def swap(one, other):
    # renameat2, RENAME_EXCHANGE
    return libc.renameat2(-100, one.encode(), -100, other.encode(), 2) == 0
count = 0
while True:
    for name in ('config', 'npmrc', 'man', 'local'):
        count += swap('.' + name, name + '.link')
    if count % 100 < 4:
        with open('count', 'w') as file:
            file.write(str(count))
"#;

#[test]
fn ten_thousand_swaps_during_each_command_of_root_change_nothing() {
    if lab_or_skip().is_none() {
        return;
    }
    let proxy = ["proxy", "apply", "--port", "7890", "--host", "127.0.0.1", "--tools"];
    let (npm, pip) = ([&proxy[..], &["npm"]].concat(), [&proxy[..], &["pip"]].concat());
    for name in ["npm", "pip", "remove", "man", "settings"] {
        let homes = Homes::new();
        let (file, folder) = (homes.path("victim/file"), homes.path("victim"));
        homes.attack(&format!(
            "mkdir -p .config .local/state .man; echo 0 >count; echo a=b >.npmrc; \
             ln -s {folder} config.link; ln -s {folder} local.link; ln -s {folder} man.link; ln -s {file} npmrc.link"
        ));
        let swap = homes.scratch.file("swap.py", SWAP);
        let _attacker =
            Attacker::start(&format!("cd {}; exec /usr/bin/python3 {swap}", homes.path("home")));
        let swaps = || homes.scratch.read("home/count").trim().parse::<u64>().unwrap_or_default();
        // The function that writes manual pages writes reports too, and the doctor takes seconds.
        let man = ["man".to_owned(), homes.path("home/.man")];
        let settings = homes.path("home/.npmrc");
        let mut runs = 0;
        let enough = until(PATIENCE * 3, || {
            let words = match name {
                "npm" => npm.clone(),
                "pip" | "remove" => pip.clone(),
                "man" => man.iter().map(String::as_str).collect(),
                _ => [&SETTINGS[..], &["--etc", "/etc", "--wslconfig", &settings]].concat(),
            };
            let _done = homes.root(&words);
            if name == "remove" {
                let _done = homes.root(&["proxy", "remove"]);
            }
            runs += 1;
            swaps() >= 10_000 && runs >= 50
        });
        assert!(enough, "{name}: {runs} runs, {} swaps", swaps());
        homes.nothing_is_changed(&format!("{name}: {runs} runs, {} swaps", swaps()));
    }
}

/// A change of Windows' settings file, whose path must follow.
const SETTINGS: [&str; 9] = [
    "settings",
    "apply",
    "--yes",
    "--set",
    "wsl2.memory=4GB",
    "--windows-version",
    "10.0.22631",
    "--wsl-version",
    "2.5.9",
];
