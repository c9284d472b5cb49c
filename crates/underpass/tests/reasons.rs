//! Compares the errors in the sources with the reasons that are known in Chinese
//! (`messages::reasons`): an error without its Chinese text fails here, and so does a Chinese text
//! whose error is gone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use messages::{Language, reasons};
use std::path::{Path, PathBuf};

/// The crates whose errors reach a person by the command.
const CRATES: [&str; 9] =
    ["config", "doctor", "foreign", "gateway", "messages", "probe", "proxy", "underpass", "wsl"];

/// What stands before the text of an error.
const BEFORE: [&str; 7] = [
    "#[error(",
    "bail!(",
    "anyhow!(",
    ".context(",
    ".context(format!(",
    "with_context(|| ",
    "with_context(|| format!(",
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "model", "scripted", "reasons"].contains(&name.as_str()) {
            files(&path, found);
        } else if name.ends_with(".rs") && !["tests.rs", "hostile.rs"].contains(&name.as_str()) {
            found.push(path);
        }
    }
}

/// The sources of the crates without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for name in CRATES {
        files(&crates.join(name).join("src"), &mut found);
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
        (path, code)
    };
    found.into_iter().map(read).collect()
}

/// The text of a string literal that the code begins with, after white space.
fn literal(code: &str) -> Option<String> {
    let mut letters = code.trim_start().strip_prefix('"')?.chars().peekable();
    let mut text = String::new();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                '\n' => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                letter => text.push(letter),
            },
            letter => text.push(letter),
        }
    }
}

/// Every string literal of some code, found by its quotes.
fn literals(code: &str) -> Vec<String> {
    code.match_indices('"').filter_map(|(at, _)| literal(&code[at..])).collect()
}

/// A text as it may come out: each value is a short word.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled += before;
        filled += "x";
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    filled + rest
}

/// Whether a text has words that need a translation.
fn is_prose(text: &str) -> bool {
    let words = |part: &str| {
        part.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count()
    };
    text.split(['{', '}']).step_by(2).map(words).sum::<usize>() >= 3
}

#[test]
fn every_error_is_known_in_chinese() {
    let mut count = 0;
    let mut unknown = Vec::new();
    for (path, code) in sources() {
        for before in BEFORE {
            for (at, _) in code.match_indices(before) {
                let Some(text) = literal(&code[at + before.len()..]) else { continue };
                if !is_prose(&text) {
                    continue;
                }
                count += 1;
                let sample = filled(&text);
                if reasons::in_words(&sample, Language::Chinese) == sample {
                    unknown.push(format!("{}: {text}", path.display()));
                }
            }
        }
    }
    assert!(count > 150, "only {count} errors were found: the test looks at the wrong place");
    assert!(unknown.is_empty(), "add them to messages/src/reasons:\n{}", unknown.join("\n"));
}

#[test]
fn every_known_reason_is_an_error_of_the_sources() {
    let all: Vec<String> = sources().iter().flat_map(|(_, code)| literals(code)).collect();
    let all = all.join("\n");
    for reason in reasons::of_this_project() {
        for part in reason.en.split(['{', '}']).step_by(2) {
            let part = part.trim_matches([' ', ':', ';', ',', '(', ')']);
            let part = part.strip_suffix(" (code").unwrap_or(part);
            // Words of a Display that builds its text by itself are in quotes of their own.
            assert!(
                part.len() < 4 || all.contains(part),
                "no error has '{part}' any more: remove or change {:?}",
                reason.en
            );
        }
    }
}
