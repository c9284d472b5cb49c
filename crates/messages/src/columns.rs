//! How wide a text is on a terminal.

/// Whether a terminal shows a character in two columns: the ranges of UAX 11 (East Asian Width W
/// and F) that hold characters which people write.
fn is_wide(letter: char) -> bool {
    matches!(letter,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}')
}

/// The columns of a text that has no control characters.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(|letter| if is_wide(letter) { 2 } else { 1 }).sum()
}

/// A text with spaces after it, so that it is `width` columns wide at least.
#[must_use]
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_twice_as_wide() {
        assert_eq!(columns("abc: …"), 6);
        assert_eq!(columns("隧道（VPN）："), 4 + 2 + 3 + 2 + 2);
        assert_eq!(padded("状态", 6), "状态  ");
        assert_eq!(padded("too long", 3), "too long");
    }
}
