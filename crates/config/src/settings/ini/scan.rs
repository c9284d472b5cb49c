//! A text cut into lines, as WSL's readers do it.

use super::{Assignment, Content, FaultKind, Line, Reader};

/// The first character of a text that declares itself as UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The lines of a text, and the sections' names.
pub(super) fn lines(text: &str, reader: Reader) -> (Vec<Line>, Vec<String>) {
    let mut scanner = Scanner { text, at: 0, reader };
    let (mut lines, mut sections) = (Vec::new(), vec![String::new()]);
    let (mut number, mut ended) = (1, false);
    while scanner.at < text.len() {
        let start = scanner.at;
        let content = if ended {
            Content::Unread
        } else {
            match scanner.content() {
                Ok(Found::Nothing) => Content::Empty,
                Ok(Found::Header(name)) => {
                    sections.push(name.to_owned());
                    Content::Header
                }
                Ok(Found::Entry(assignment)) => Content::Entry(assignment),
                Err(Trouble { kind, header }) => {
                    if let Some(name) = header {
                        sections.push(half_taken(name, sections.last().map_or(0, String::len)));
                    }
                    // UTF-16 shows by zeros: every other byte of what is ASCII, line ends included.
                    let is_utf_16 = reader == Reader::Linux && text.contains('\0');
                    Content::Fault(if is_utf_16 { FaultKind::Utf16 } else { kind })
                }
            }
        };
        scanner.end_line(&content);
        ended |= reader == Reader::Linux && matches!(content, Content::Fault(_));
        lines.push(Line { range: start..scanner.at, number, section: sections.len() - 1, content });
        number += text[start..scanner.at].matches('\n').count();
    }
    (lines, sections)
}

/// The section after a header that breaks off. WSL has taken the header's name already, and keeps
/// as many letters of it as the previous section's name has. It fills a shorter name up with NULs,
/// so that the result is not the name of a real section.
fn half_taken(name: &str, length: usize) -> String {
    name.chars().chain(std::iter::repeat('\0')).take(length).collect()
}

/// What stands in a line.
enum Found<'a> {
    Nothing,
    Header(&'a str),
    Entry(Assignment),
}

/// Why a line cannot be read.
struct Trouble<'a> {
    kind: FaultKind,
    /// The name of the header that breaks off.
    header: Option<&'a str>,
}

impl From<FaultKind> for Trouble<'_> {
    fn from(kind: FaultKind) -> Self {
        Self { kind, header: None }
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    reader: Reader,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// A letter, and letters and digits after it; empty where no letter stands.
    fn word(&mut self) -> &'a str {
        let start = self.at;
        if self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            while self.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
                self.at += 1;
            }
        }
        &self.text[start..self.at]
    }

    /// What stands in the line that begins here. Leaves the place before its end, before its
    /// comment, or anywhere in it if it is faulty.
    fn content(&mut self) -> Result<Found<'a>, Trouble<'a>> {
        if self.at == 0 && self.peek() == Some(BYTE_ORDER_MARK) {
            if self.reader == Reader::Linux {
                return Err(FaultKind::ByteOrderMark.into());
            }
            self.at += BYTE_ORDER_MARK.len_utf8();
        }
        self.skip_spaces();
        match self.peek() {
            None | Some('\r' | '\n' | '#') => Ok(Found::Nothing),
            Some('[') => self.header(),
            Some(c) if c.is_ascii_alphabetic() => self.entry(),
            Some(_) => Err(FaultKind::Beginning.into()),
        }
    }

    fn header(&mut self) -> Result<Found<'a>, Trouble<'a>> {
        self.at += 1;
        let name = self.word();
        if name.is_empty() {
            // WSL has not taken any name yet: the section before goes on.
            return Err(FaultKind::Header.into());
        }
        let trouble = Trouble { kind: FaultKind::Header, header: Some(name) };
        if self.peek() != Some(']') {
            return Err(trouble);
        }
        self.at += 1;
        self.skip_spaces();
        match self.peek() {
            None | Some('\r' | '\n' | '#') => Ok(Found::Header(name)),
            Some(_) => Err(trouble),
        }
    }

    fn entry(&mut self) -> Result<Found<'a>, Trouble<'a>> {
        let start = self.at;
        self.word();
        let key = start..self.at;
        self.skip_spaces();
        if self.peek() != Some('=') {
            return Err(FaultKind::NoEquals.into());
        }
        self.at += 1;
        self.skip_spaces();
        let start = self.at;
        let (value, end) = self.value()?;
        Ok(Found::Entry(Assignment { key, raw: start..end, value }))
    }

    /// A value, and where it ends, without trailing spaces.
    fn value(&mut self) -> Result<(String, usize), FaultKind> {
        let (mut value, mut is_quoted) = (String::new(), false);
        // Spaces outside of quotes count only when something follows them.
        let (mut kept, mut end) = (0, self.at);
        while let Some(c) = self.peek().filter(|c| !matches!(c, '\r' | '\n')) {
            if c == '#' && !is_quoted {
                break;
            }
            self.at += c.len_utf8();
            match c {
                '"' => is_quoted = !is_quoted,
                '\\' => value.extend(self.escaped()?),
                _ => value.push(c),
            }
            if !is_space(c) {
                (kept, end) = (value.len(), self.at);
            }
        }
        if is_quoted {
            return Err(FaultKind::Quote);
        }
        value.truncate(kept);
        Ok((value, end))
    }

    /// The character that an escape stands for. `None` if the line continues, or for a CR, which
    /// WSL drops (`ParseConfigFile` in `src/shared/configfile/configfile.cpp`). So `\` before
    /// the CR LF of a line's end is not a fault in the distro, but the line ends there.
    fn escaped(&mut self) -> Result<Option<char>, FaultKind> {
        // The reader on Windows never sees the CR of a line's end (`fopen` in text mode).
        if self.reader == Reader::Windows && self.text[self.at..].starts_with("\r\n") {
            self.at += 1;
        }
        let sign = match self.peek() {
            Some(sign @ ('\\' | '"')) => Some(sign),
            Some('b') => Some('\u{8}'),
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('\r' | '\n') => None,
            None | Some(_) => return Err(FaultKind::Escape),
        };
        self.at += 1;
        Ok(sign)
    }

    /// Goes past the end of a line that was looked at so far.
    fn end_line(&mut self, content: &Content) {
        let rest = match content {
            Content::Fault(_) | Content::Unread => true,
            Content::Empty | Content::Header | Content::Entry(_) => self.peek() == Some('#'),
        };
        if rest {
            // Neither a comment nor what is skipped ends at a lone CR.
            self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |end| self.at + end);
        } else if self.peek() == Some('\r') {
            self.at += 1;
        }
        if self.peek() == Some('\n') {
            self.at += 1;
        }
    }
}
