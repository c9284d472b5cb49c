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

/// A text in lines of at most `room` columns; a word that is longer has a line of its own. Chinese
/// has no spaces: a line may end after any of its characters, but none begins with punctuation.
#[must_use]
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces(text) {
        let Some(line) = lines.last_mut() else { continue };
        if !line.is_empty() && columns(line) + columns(piece.trim_end()) > room {
            lines.push(piece.trim_start().to_owned());
        } else {
            line.push_str(piece);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// The pieces after which a line may end.
fn pieces(text: &str) -> Vec<&str> {
    let closes = |letter: char| "，。；：、）”？！】》".contains(letter);
    let opens = |letter: char| "（“【《[(".contains(letter);
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut letters = text.char_indices().peekable();
    while let Some((_, letter)) = letters.next() {
        let Some((next_at, next)) = letters.peek().copied() else { break };
        let is_end = if letter == ' ' {
            next != ' '
        } else {
            (is_wide(letter) || is_wide(next)) && next != ' ' && !closes(next) && !opens(letter)
        };
        if is_end {
            pieces.push(&text[start..next_at]);
            start = next_at;
        }
    }
    pieces.push(&text[start..]);
    pieces
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

    #[test]
    fn lines_end_between_words_and_between_chinese_characters() {
        assert_eq!(wrapped("a few words here", 8), ["a few", "words", "here"]);
        assert_eq!(wrapped("http://proxy.example is long", 8), ["http://proxy.example", "is long"]);
        assert_eq!(wrapped("隧道（VPN），已断", 8), ["隧道", "（VPN），", "已断"]);
        assert_eq!(wrapped("", 8), [""]);
    }
}
