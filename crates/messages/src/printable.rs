//! Texts of others, for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal may obey a character, or show a line other than it is: control characters of
/// either kind (ECMA-48, C0 and C1), and the marks that turn the direction of letters (UAX 9).
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of several lines without anything that a terminal obeys: each such character except line
/// ends and tabs is replaced by U+FFFD.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |letter| is_obeyed(letter) && letter != '\n' && letter != '\t')
}

/// The same for one line: a text cannot begin another line either.
#[must_use]
pub fn printable_line(text: &str) -> Cow<'_, str> {
    replaced(text, is_obeyed)
}

/// The same for a JSON document, whose strings stay what they are: the characters are written as
/// their numbers (RFC 8259 section 7). Outside of strings JSON has none of them but line ends.
#[must_use]
pub fn printable_json(document: &str) -> Cow<'_, str> {
    if !document.contains(|letter| is_obeyed(letter) && letter != '\n') {
        return Cow::Borrowed(document);
    }
    let mut shown = String::with_capacity(document.len());
    for letter in document.chars() {
        if is_obeyed(letter) && letter != '\n' {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

fn replaced(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|letter| if is_bad(letter) { char::REPLACEMENT_CHARACTER } else { letter })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_replaced_and_all_else_stays() {
        for plain in ["", "underpass: up\n\ttab", "接受 é \u{1f600}"] {
            assert!(matches!(printable(plain), Cow::Borrowed(text) if text == plain), "{plain}");
        }
        assert_eq!(printable("a\x1b[2Jb\x07\r\n"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\n");
        assert_eq!(printable("\u{9b}31m\u{7f}\u{202e}x"), "\u{fffd}31m\u{fffd}\u{fffd}x");
        assert_eq!(printable_line("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(
            printable_json("{\n  \"a\": \"\u{9b}\u{7f}é\"\n}\n"),
            "{\n  \"a\": \"\\u009b\\u007fé\"\n}\n"
        );
    }
}
