//! A heading of a doc comment has a line of its own. rustdoc takes the whole line as the heading.

use super::width::files;
use std::fs;

/// The headings that Rust's API guidelines name (C-FAILURE, C-EXAMPLE).
const HEADINGS: [&str; 5] = ["Errors", "Panics", "Safety", "Examples", "Example"];

/// The lines on which text follows a heading.
fn joined(text: &str) -> Vec<usize> {
    let is_joined = |line: &str| {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let words = doc.and_then(|doc| doc.trim_start().strip_prefix("# "));
        words
            .and_then(|words| words.split_once(' '))
            .is_some_and(|(heading, rest)| HEADINGS.contains(&heading) && !rest.trim().is_empty())
    };
    let lines = text.lines().enumerate().filter(|(_, line)| is_joined(line));
    lines.map(|(n, _)| n + 1).collect()
}

#[test]
fn headings_have_lines_of_their_own() {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for folder in ["crates", "bench", "tests"] {
        files(&super::root().join(folder), &mut found);
    }
    assert!(found.len() > 500, "{} files", found.len());
    for path in found.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let lines = joined(&fs::read_to_string(path).unwrap());
        wrong.extend(lines.into_iter().map(|n| format!("{}:{n}", path.display())));
    }
    assert!(wrong.is_empty(), "text on the line of a heading:\n{}", wrong.join("\n"));
}

#[test]
fn a_heading_with_text_is_found() {
    let text =
        "/// # Errors\n/// None.\n    /// # Errors It fails.\n//! # Safety Never.\n// # Errors x";
    assert_eq!(joined(text), [3, 4]);
}
