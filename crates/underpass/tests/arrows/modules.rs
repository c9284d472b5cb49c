//! Which module of a crate uses which, read from the source: paths that begin with `crate`, `super`
//! or `self`, and those through a module's own children. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's names from the crate's root on.
pub(crate) type Module = Vec<String>;

/// Each module, and which ones it uses.
pub(crate) fn edges(source: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut texts = BTreeMap::new();
    collect(source, &Vec::new(), &mut texts);
    let known: BTreeSet<Module> = texts.keys().cloned().collect();
    let of = |(module, text): (&Module, &String)| {
        let used = paths(text).iter().filter_map(|path| target(module, path, &known)).collect();
        (module.clone(), used)
    };
    texts.iter().map(of).collect()
}

/// The code of all modules in a folder. One that only tests have is left out.
fn collect(folder: &Path, module: &Module, texts: &mut BTreeMap<Module, String>) {
    for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut inner = module.clone();
        if path.is_dir() {
            inner.push(name);
            collect(&path, &inner, texts);
        } else if path.extension().is_some_and(|end| end == "rs") {
            if !["mod", "lib", "main"].contains(&name.as_str()) {
                inner.push(name);
            }
            // A program's root beside a library's.
            texts.entry(inner).or_default().push_str(&code(&fs::read_to_string(&path).unwrap()));
        }
    }
    let tests: BTreeSet<Module> =
        texts.iter().flat_map(|(module, text)| only_for_tests(module, text)).collect();
    texts.retain(|module, _| !tests.iter().any(|tests| module.starts_with(tests)));
    texts.retain(|module, _| module.last().is_none_or(|name| name != "tests"));
}

fn only_for_tests(module: &Module, text: &str) -> Vec<Module> {
    let declared = text.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let words = rest.split_once(';')?.0.split_whitespace().collect::<Vec<_>>();
        match words[..] {
            [.., "mod", name] if words.len() <= 3 => Some(name.to_owned()),
            _ => None,
        }
    });
    declared.map(|name| module.iter().cloned().chain([name]).collect()).collect()
}

/// A file without comments, texts and its tests, which stand at its end.
fn code(text: &str) -> String {
    let end = text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| {
        let rest = &text[*at..];
        rest.split_once('{').is_some_and(|(head, _)| !head.contains(';') && head.contains("mod "))
    });
    let mut code = String::new();
    for line in text[..end.unwrap_or(text.len())].lines() {
        let line = line.split("//").next().unwrap_or_default();
        // Text in quotes on one line is not a path; a text over several lines has no path either.
        let outside = line.split('"').step_by(2);
        code.extend(outside.chain(["\n"]));
    }
    code
}

/// Paths of the code, those of `use` one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let is_word =
            rest[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        rest = &rest[at + 4..];
        if !is_word && let Some((tree, _)) = rest.split_once(';') {
            expand(&mut Vec::new(), tree, &mut paths);
        }
    }
    let in_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = code
        .split(|letter| !in_path(letter))
        .filter(|word| word.contains("::") && !word.starts_with(':'));
    paths.extend(
        words.map(|word| {
            word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }),
    );
    paths
}

/// `a::{b, c::{self, d}}`, as `a::b`, `a::c`, `a::c::d`.
fn expand(before: &mut Vec<String>, tree: &str, paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, branches) = match tree.split_once('{') {
        Some((head, branches)) => {
            (head, Some(branches.rsplit_once('}').map_or(branches, |(inner, _)| inner)))
        }
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let length = before.len();
    before
        .extend(head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    match branches {
        None => paths.push(before.clone()),
        Some(branches) => {
            let (mut depth, mut start) = (0, 0);
            for (at, letter) in branches.char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        expand(before, &branches[start..at], paths);
                        start = at + 1;
                    }
                    _ => {}
                }
            }
            expand(before, &branches[start..], paths);
        }
    }
    before.truncate(length);
}

/// The module that a path leads to, as far as it goes by modules of the crate.
fn target(from: &Module, path: &[String], known: &BTreeSet<Module>) -> Option<Module> {
    let mut at = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => from.clone(),
        child => {
            let child: Module = from.iter().cloned().chain([child.to_owned()]).collect();
            return known.contains(&child).then_some(child);
        }
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            name => {
                at.push(name.to_owned());
                if !known.contains(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    Some(at).filter(|at| at != from)
}

/// Circles of modules that have the same parent, each as the uses that make it one.
pub(crate) fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut uses: BTreeMap<&[String], BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (from, all) in edges {
        for to in all {
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if common < from.len() && common < to.len() {
                uses.entry(&from[..common]).or_default().insert((&from[common], &to[common]));
            }
        }
    }
    let mut circles = Vec::new();
    for (parent, uses) in uses {
        let is_round = |(from, to): &&(&str, &str)| reach(&uses, to).contains(from);
        let round: Vec<String> =
            uses.iter().filter(is_round).map(|(from, to)| format!("{from} -> {to}")).collect();
        if !round.is_empty() {
            circles.push(format!("in '{}': {}", parent.join("::"), round.join(", ")));
        }
    }
    circles
}

/// All modules that a module uses, directly or through others.
fn reach<'a>(uses: &BTreeSet<(&'a str, &'a str)>, start: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
    while let Some(at) = open.pop() {
        open.extend(
            uses.iter().filter(|(from, to)| *from == at && seen.insert(*to)).map(|(_, to)| *to),
        );
    }
    seen
}
