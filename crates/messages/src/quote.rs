//! Quotes words from a machine or a user in commands that people run, so that a shell reads each as
//! one word, whatever is in it. Plain words stay as they are.

use std::borrow::Cow;

fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+=-".contains(&byte);
    !word.is_empty() && word.bytes().all(plain)
}

/// A word for a POSIX shell: between single quotes only the quote itself has a meaning (POSIX,
/// Shell Command Language, 2.2.2).
pub fn for_shell(word: &str) -> Cow<'_, str> {
    if is_plain(word) { Cow::Borrowed(word) } else { format!("'{}'", in_shell(word)).into() }
}

/// Escapes a text for a POSIX shell's single quotes.
pub fn in_shell(text: &str) -> String {
    text.replace('\'', r"'\''")
}

/// A word for PowerShell.
pub fn for_powershell(word: &str) -> Cow<'_, str> {
    // `@` begins a splatted variable or a here-string, `%` is an alias, and a comma or a number is
    // not text.
    let is_plain = is_plain(word) && !word.contains(['@', '%', '=']);
    if is_plain { Cow::Borrowed(word) } else { format!("'{}'", in_powershell(word)).into() }
}

/// Escapes a text for PowerShell's single quotes: each quote is doubled, and typographic ones are
/// quotes, too
/// (`CodeGeneration.EscapeSingleQuotedStringContent` and `IsSingleQuote` in PowerShell's source).
pub fn in_powershell(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        quoted.push(letter);
        if matches!(letter, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(letter);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_one_word() {
        for word in ["eth0", "git.corp.example", "[fe80::1]", "10.0.0.1/24", "Wi-Fi"] {
            let is_plain = !word.contains('[');
            assert_eq!(for_shell(word) == word, is_plain, "{word}");
            assert_eq!(for_powershell(word) == word, is_plain, "{word}");
        }
        assert_eq!(for_shell("x; rm -rf ~"), "'x; rm -rf ~'");
        assert_eq!(for_shell("it's $(id)"), r"'it'\''s $(id)'");
        assert_eq!(for_powershell("Li's VPN"), "'Li''s VPN'");
        // PowerShell ends a string at each of these.
        assert_eq!(
            for_powershell("Li\u{2019}s VPN\u{201b}; calc"),
            "'Li\u{2019}\u{2019}s VPN\u{201b}\u{201b}; calc'"
        );
        assert_eq!((for_shell(""), for_powershell("")), ("''".into(), "''".into()));
    }
}
