//! No line of code is wider than 100 columns. rustfmt leaves alone what stands in macros, strings
//! and comments; scripts and manifests have no formatter.

use std::fs;
use std::path::{Path, PathBuf};

/// Columns of a line.
const WIDTH: usize = 100;

/// The folders that keep to it.
const DONE: [&str; 11] = [
    "crates/config",
    "crates/doctor",
    "crates/foreign",
    "crates/gateway",
    "crates/messages",
    "crates/probe",
    "crates/proxy",
    "crates/terms",
    "crates/underpass",
    "crates/wire",
    "crates/wsl",
];

/// All files below a folder that count: Rust, manifests, and scripts.
pub(super) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        let is_code = path.extension().is_some_and(|end| end == "rs" || end == "toml");
        if path.is_dir() {
            files(&path, found);
        } else if is_code || folder.ends_with("scripts") {
            found.push(path);
        }
    }
}

/// Why a line may be wider: it cannot be broken.
fn is_exempt(line: &str) -> bool {
    let line = line.trim();
    // A sentence for people, alone on its line, followed by the end of the expression.
    let literal = line.trim_end_matches([',', ')', ';', ']']);
    let literal = literal.strip_prefix('r').unwrap_or(literal);
    let is_text = literal.len() > 1
        && literal.starts_with('"')
        && literal.ends_with('"')
        && !literal[1..literal.len() - 1].replace("\\\"", "").contains('"');
    let has_url =
        line.split_whitespace().any(|word| word.contains("://") && word.len() > WIDTH / 2);
    is_text || has_url
}

/// The lines of a text that are too wide.
fn too_wide(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    let wide = lines.filter(|(_, line)| line.chars().count() > WIDTH && !is_exempt(line));
    wide.map(|(n, _)| n + 1).collect()
}

#[test]
fn no_line_is_wider_than_100_columns() {
    let (mut found, mut wide) = (Vec::new(), Vec::new());
    DONE.iter().for_each(|folder| files(&super::root().join(folder), &mut found));
    assert!(found.len() > 100, "{} files", found.len());
    for path in found {
        let lines = too_wide(&fs::read_to_string(&path).unwrap());
        wide.extend(lines.into_iter().map(|n| format!("{}:{n}", path.display())));
    }
    assert!(wide.is_empty(), "wider than {WIDTH} columns:\n{}", wide.join("\n"));
}

#[test]
fn a_wide_line_is_found_unless_it_cannot_be_broken() {
    let text = "x".repeat(90);
    for line in [
        format!("    let wide = {text};"),
        format!("// {text} {text}"),
        format!("    \"{text}\", more(\"{text}\"),"),
        format!("key = [\"{text}\", \"b\"]"),
    ] {
        assert_eq!(too_wide(&format!("fits\n{line}\n")), [2], "{line}");
    }
    for line in [
        format!("    \"{text} {{name}} \\\"{text}\\\"\","),
        format!("        \"{text}{text}\")]"),
        format!("    r\"{text}{text}\","),
        format!("// See https://example.test/{text}"),
        "é".repeat(WIDTH),
    ] {
        assert_eq!(too_wide(&line), [0; 0], "{line}");
    }
}
