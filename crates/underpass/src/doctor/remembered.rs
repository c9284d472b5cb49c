//! Keeps what a run has seen in a small file of the user's, and finds the lines of the user's start
//! files that still name an address of an earlier run.

use doctor::facts::{Mention, Remembered};
use foreign::{FileTraits, Folder, STATE_MODE};
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use wsl::files::text;

/// Addresses of how many networks are kept.
const MOST: usize = 16;

/// Files of a user's, and of the machine's, in which people write addresses down.
const IN_HOME: [&str; 9] = [
    ".bashrc",
    ".bash_profile",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".config/fish/config.fish",
    ".ssh/config",
];
/// See [`IN_HOME`].
const IN_ETC: [&str; 5] = ["environment", "profile", "bash.bashrc", "hosts", "zsh/zshrc"];

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    /// Newest last.
    vm: Vec<IpAddr>,
    gateways: Vec<IpAddr>,
}

/// Where it is kept; see [`foreign::state_folder`].
#[must_use]
pub(super) fn place(variable: impl Fn(&str) -> Option<String>, home: &Path) -> PathBuf {
    let named = variable("XDG_STATE_HOME").map(PathBuf::from);
    foreign::state_folder(named.as_deref(), home).join("seen.json")
}

/// Files in which people write addresses down.
pub(super) fn start_files(home: &Path, root: &Path) -> impl Iterator<Item = PathBuf> {
    let in_etc = IN_ETC.iter().map(move |name| root.join("etc").join(name));
    IN_HOME.iter().map(move |name| home.join(name)).chain(in_etc)
}

/// The remembered addresses, without those that this machine has now.
#[must_use]
pub(super) fn recall(file: &Path, home: &Path, root: &Path, now: &[IpAddr]) -> Remembered {
    let seen: Seen =
        text(file).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let gone = |addresses: &[IpAddr]| {
        addresses.iter().copied().filter(|one| !now.contains(one)).collect::<Vec<_>>()
    };
    let (vm, gateways) = (gone(&seen.vm), gone(&seen.gateways));
    let wanted: Vec<IpAddr> = vm.iter().chain(&gateways).copied().collect();
    let mentions =
        start_files(home, root).filter_map(|path| Some((path.display().to_string(), text(&path)?)));
    let mentions = mentions.flat_map(|(file, text)| mentions_in(&file, &text, &wanted)).collect();
    Remembered { vm, gateways, mentions }
}

/// Adds what is now to what is kept.
///
/// # Errors
/// The file cannot be written.
pub(super) fn keep(file: &Path, vm: &[IpAddr], gateways: &[IpAddr]) -> io::Result<()> {
    let mut seen: Seen =
        text(file).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    for (kept, now) in [(&mut seen.vm, vm), (&mut seen.gateways, gateways)] {
        kept.retain(|one| !now.contains(one));
        kept.extend(now);
        kept.drain(..kept.len().saturating_sub(MOST));
    }
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(()) };
    let (folder, _) = Folder::make(folder, STATE_MODE)?;
    let text = serde_json::to_vec(&seen)?;
    folder.replace(name, FileTraits { mode: None, owner: None }, |file| file.write_all(&text))
}

fn mentions_in(file: &str, text: &str, wanted: &[IpAddr]) -> Vec<Mention> {
    // Only whole addresses: 10.0.0.1 is not in 10.0.0.12.
    let words = |line: &str| {
        let parts =
            line.split(|letter: char| !(letter.is_ascii_hexdigit() || ".:".contains(letter)));
        parts
            .filter_map(|part| {
                part.parse().ok().or_else(|| part.split(':').find_map(|part| part.parse().ok()))
            })
            .collect::<Vec<IpAddr>>()
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    let found = lines.flat_map(|(number, line)| {
        words(line).into_iter().map(move |address| (number + 1, address))
    });
    let ours = found.filter(|(_, address)| wanted.contains(address));
    ours.map(|(line, address)| Mention { file: file.to_owned(), line, address }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_is_told_and_who_still_names_it() {
        let folder =
            std::env::temp_dir().join(format!("underpass-doctor-seen-{}", std::process::id()));
        let (home, file) = (folder.join("home"), folder.join("state/underpass/seen.json"));
        fs::create_dir_all(&home).unwrap();
        fs::write(
            home.join(".bashrc"),
            "# 172.20.0.1\nexport http_proxy=http://172.20.0.1:7890\nX=172.20.0.12\n",
        )
        .unwrap();
        assert_eq!(recall(&file, &home, &folder, &[]), Remembered::default());
        keep(&file, &addresses(&["172.20.0.5"]), &addresses(&["172.20.0.1"])).unwrap();
        let same = recall(&file, &home, &folder, &addresses(&["172.20.0.5", "172.20.0.1"]));
        assert_eq!(same, Remembered::default(), "nothing has changed");
        keep(&file, &addresses(&["172.30.0.5"]), &addresses(&["172.30.0.1"])).unwrap();
        let changed = recall(&file, &home, &folder, &addresses(&["172.30.0.5", "172.30.0.1"]));
        assert_eq!(
            (changed.vm, changed.gateways),
            (addresses(&["172.20.0.5"]), addresses(&["172.20.0.1"]))
        );
        let bashrc = home.join(".bashrc").display().to_string();
        assert_eq!(
            changed.mentions,
            [Mention { file: bashrc, line: 2, address: "172.20.0.1".parse().unwrap() }]
        );
        for last in 0..40 {
            keep(&file, &addresses(&[&format!("10.0.0.{last}")]), &[]).unwrap();
        }
        assert_eq!(recall(&file, &home, &folder, &[]).vm.len(), MOST);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// The user's own rules are those of the folder (`foreign/tests/state.rs`).
    #[test]
    fn root_keeps_it_in_its_own_place_whatever_a_home_folder_and_a_variable_say() {
        let (home, folder) = (Path::new("/home/me"), std::env::temp_dir());
        let named = |name: &str| (name == "XDG_STATE_HOME").then(|| folder.display().to_string());
        if rustix::process::geteuid().is_root() {
            let own = Path::new("/var/lib/underpass/seen.json");
            assert_eq!((place(named, home).as_path(), place(|_| None, home).as_path()), (own, own));
        } else {
            assert_eq!(place(|_| None, home), home.join(".local/state/underpass/seen.json"));
            assert_eq!(place(named, home), folder.join("underpass/seen.json"));
        }
    }
}
