//! The documentation: its links lead somewhere, and its drawings are those of their texts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every page of the documentation.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "crates", "crates/wire"].map(|name| root().join(name));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The lines outside of code blocks, without inline code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code && !line.starts_with("    ")
    });
    let lines: Vec<&str> = lines.collect();
    lines.join("\n").split('`').step_by(2).collect()
}

/// Where links lead.
fn targets(text: &str) -> Vec<String> {
    let text = prose(text);
    let found = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    found.map(ToOwned::to_owned).collect()
}

/// The names by which GitHub links to the headings of a page.
fn headings(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        is_code ^= line.starts_with("```");
        !is_code
    });
    let titles = lines.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let keeps = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
    let slug = |title: &str| -> String {
        let kept = title.to_lowercase().chars().filter(keeps).collect::<String>();
        kept.replace(' ', "-")
    };
    titles.map(slug).collect()
}

/// The fault of a link of a page, if it has one.
fn fault(page: &Path, target: &str) -> Option<String> {
    // Releases and issues are GitHub's, not files.
    let is_elsewhere = target.starts_with("https://") || target.contains("../releases/");
    if is_elsewhere {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    if !path.exists() {
        return Some(format!("{}: {target}: there is no such file", page.display()));
    }
    let is_there = heading.is_empty() || {
        headings(&fs::read_to_string(&path).unwrap_or_default()).contains(heading)
    };
    (!is_there).then(|| format!("{}: {target}: there is no such heading", page.display()))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            count += 1;
            faults.extend(fault(&page, &target));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn a_broken_link_is_found() {
    let page = root().join("docs/install.md");
    assert_eq!(fault(&page, "security.md#secrets"), None);
    assert_eq!(fault(&page, "#upgrade"), None);
    for broken in ["nowhere.md", "security.md#nothing", "#nothing", "../docs/install"] {
        assert!(fault(&page, broken).is_some(), "{broken}");
    }
    let text = "[a](b.md) `[c](d.md)`\n```\n[e](f.md)\n```\n[g\nh](i.md#j)\n";
    assert_eq!(targets(text), ["b.md", "i.md#j"]);
}

#[test]
fn every_page_is_in_the_index() {
    let docs = root().join("docs");
    let listed = targets(&fs::read_to_string(docs.join("README.md")).unwrap());
    for page in pages().iter().filter(|page| page.parent() == Some(&docs)) {
        let name = page.file_name().unwrap().to_str().unwrap();
        let is_elsewhere = ["README.md", "networking-modes.md"].contains(&name);
        let is_chinese = name.ends_with(".zh-CN.md");
        assert!(is_elsewhere || is_chinese || listed.iter().any(|target| target == name), "{name}");
    }
}

/// Files of the workspace, without what is built.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut found = Vec::new();
    for entry in entries.filter(|entry| {
        !["target", ".git", "dist"].contains(&entry.file_name().to_str().unwrap_or_default())
    }) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

/// Pages name sources by the end of their path: `engine/core.rs`, `changes.rs`.
#[test]
fn the_sources_that_pages_name_exist() {
    let all = files(&root());
    let mut named = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_source = word.ends_with(".rs");
            let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
            if is_source && word.chars().all(plain) {
                let end = format!("/{word}");
                let is_there = all.iter().any(|path| path.ends_with(&end));
                assert!(is_there, "{}: `{word}`", page.display());
                named.insert(word.to_owned());
            }
        }
    }
    assert!(named.len() > 60, "{named:?}");
}

/// Whether a word has the form of a finding's id.
fn is_finding(word: &str) -> bool {
    let areas = ["network-", "dns-", "proxy-", "windows-", "wsl-", "tools-"];
    areas.iter().any(|area| word.starts_with(area))
        && word.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'-')
}

#[test]
fn the_findings_in_the_pages_are_those_of_the_doctor() {
    let known: BTreeSet<&str> =
        doctor::checks::CHECKS.iter().copied().flatten().map(|check| check.id).collect();
    let mut named = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for word in text.split('`').skip(1).step_by(2).filter(|word| is_finding(word)) {
            // Another program.
            if word == "wsl-vpnkit" {
                continue;
            }
            assert!(known.contains(word), "{}: `{word}`", page.display());
            named.insert(word.to_owned());
        }
    }
    assert!(named.len() > 25, "{named:?}");
}

#[test]
fn the_drawings_are_those_of_their_texts() {
    let checked = Command::new(root().join("scripts/drawings")).arg("--check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
