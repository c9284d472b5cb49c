//! The map in `crates/README.md` is true: which crate depends on which, which of them may do I/O,
//! and that no modules go round in circles. Lines keep to their width (`width.rs`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod headings;
mod modules;
mod width;

use modules::{circles, edges};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Crates that touch neither files nor sockets nor a runtime, and what that takes. `messages` and
/// `doctor` are among them: what judges and what is said depends on facts alone.
const PURE: [&str; 6] = ["config", "doctor", "messages", "stack", "terms", "wire"];
const IMPURE: [&str; 8] =
    ["libc", "nix", "rtnetlink", "rustix", "socket2", "tokio", "tun-tap", "windows-sys"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A crate's name without the package's prefix.
fn short(name: &str) -> &str {
    name.strip_prefix("underpass-").unwrap_or(name)
}

/// The names of a kind of dependencies in a `Cargo.toml`: those of all targets together.
fn dependencies(manifest: &str, kind: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut counts = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            counts = section == kind
                || section.starts_with("target.") && section.ends_with(&format!(".{kind}"));
        } else if counts && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            let is_name =
                |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
            found.extend(
                (!name.is_empty() && name.chars().all(is_name)).then(|| short(name).to_owned()),
            );
        }
    }
    found
}

/// The workspace's crates and their manifests.
fn manifests() -> BTreeMap<String, String> {
    let folders = ["crates", "tests", "."].map(|folder| root().join(folder));
    let members = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
    let manifest = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("Cargo.toml"))
            .ok()
            .filter(|text| !text.contains("[workspace]"))?;
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = "))?
            .trim_matches('"')
            .to_owned();
        Some((short(&name).to_owned(), text))
    };
    members.filter_map(|member| manifest(member.path())).collect()
}

/// The arrows of a heading's block in the map: `one, other -> below, another`.
fn drawn(map: &str, heading: &str) -> Arrows {
    let section = map.split_once(&format!("{heading}\n")).expect("the heading").1;
    let block = section.split("```").nth(1).expect("a block");
    let mut arrows = Arrows::new();
    for (who, on) in block.lines().filter_map(|line| line.split_once("->")) {
        let names = |text: &str| {
            text.split(',').map(|name| name.trim().to_owned()).collect::<BTreeSet<_>>()
        };
        for name in names(who) {
            arrows.entry(name).or_default().extend(names(on));
        }
    }
    arrows
}

#[test]
fn the_map_draws_every_arrow_and_no_other() {
    let manifests = manifests();
    assert!(manifests.len() >= 17, "{:?}", manifests.keys());
    let map = fs::read_to_string(root().join("crates/README.md")).unwrap();
    for (kind, heading) in
        [("dependencies", "## Arrows"), ("dev-dependencies", "### Arrows of tests")]
    {
        let own = |text: &str| {
            let all = dependencies(text, kind);
            all.into_iter().filter(|name| manifests.contains_key(name)).collect::<BTreeSet<_>>()
        };
        let are: Arrows = manifests.iter().map(|(name, text)| (name.clone(), own(text))).collect();
        let are: Arrows = are.into_iter().filter(|(_, on)| !on.is_empty()).collect();
        assert_eq!(
            are,
            drawn(&map, heading),
            "Cargo.toml of the crates (left), {heading} in crates/README.md (right)"
        );
    }
}

#[test]
fn crates_without_io_depend_on_nothing_that_does_it() {
    let manifests = manifests();
    for name in PURE {
        let impure: Vec<_> = dependencies(&manifests[name], "dependencies").into_iter().collect();
        let impure: Vec<_> = impure.iter().filter(|name| IMPURE.contains(&name.as_str())).collect();
        assert!(impure.is_empty(), "{name} -> {impure:?}");
    }
}

/// A file may use its folder's module, and a folder's module its files. Beside each other they have
/// an order.
#[test]
fn no_modules_beside_each_other_go_round_in_circles() {
    let mut read = 0;
    let crates = fs::read_dir(root().join("crates")).unwrap().flatten().map(|entry| entry.path());
    for source in crates
        .chain(
            ["bench", "tests/interop", "tests/lab", "tests/vm", "tests/fuzz-bodies"]
                .map(|name| root().join(name)),
        )
        .map(|folder| folder.join("src"))
        .filter(|src| src.is_dir())
    {
        let edges = edges(&source);
        read += edges.len();
        assert_eq!(circles(&edges), [] as [String; 0], "{}", source.display());
    }
    assert!(read > 200, "{read} modules");
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arrows");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("a")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n");
    write("a/mod.rs", "mod deep;\nuse deep::B;\npub struct A;\n");
    write("a/deep.rs", "use std::{fmt, crate_like};\nuse super::super::{b::{self, B}, a::A};\n");
    write(
        "b.rs",
        "// use crate::a::A;\nfn f() -> &'static str { \"crate::a::A\" }\n#[cfg(test)]\nmod tests {\n use crate::a::A;\n}\n",
    );
    write("c.rs", "use crate::b::B;\n");
    let found = || circles(&edges(&folder));
    assert!(found().is_empty(), "{:?}", found());
    for way_back in [
        "use crate::a::A;\n",
        "use crate::{c::C, a};\n",
        "fn f() { super::a::deep::g() }\n",
        "pub(crate) use crate::c::C;\nfn f(a: crate::a::A) {}\n",
    ] {
        write("b.rs", way_back);
        let circle = found();
        assert_eq!(circle.len(), 1, "{way_back}: {circle:?}");
        assert!(
            circle[0].contains("a -> b") && circle[0].contains("b -> a"),
            "{way_back}: {circle:?}"
        );
    }
    fs::remove_dir_all(&folder).unwrap();
}
