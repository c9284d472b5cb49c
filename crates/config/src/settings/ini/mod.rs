//! A settings file, read as WSL reads it and changed without loss.
//!
//! WSL has two readers of one grammar. The one on Windows (`.wslconfig`) skips a line that it
//! cannot read; the one in the distro (`wsl.conf`) stops there, and nothing below counts. Both know
//! `#` comments only, take the first of several lines for one key, mind no case in names, and know
//! no space within `[name]`.

mod edit;
mod scan;

pub use edit::EditError;

use std::fmt;
use std::ops::Range;

/// Which of WSL's readers a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Windows' (`.wslconfig`): a line that is faulty is skipped, a byte order mark is allowed.
    Windows,
    /// The distro's (`/etc/wsl.conf`): reading ends at the first line that is faulty; a byte order
    /// mark is a fault.
    Linux,
}

/// A settings file. All parts that are not changed stay byte for byte: comments, order, line ends,
/// unknown keys, faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    reader: Reader,
    text: String,
    /// One after the other, they are the text.
    lines: Vec<Line>,
    /// `lines[n].section` is an index into it; the first is that of keys before any header, without
    /// a name.
    sections: Vec<String>,
}

/// A line with those that continue it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// Its place in the text, its end included.
    range: Range<usize>,
    /// Counted from 1.
    number: usize,
    section: usize,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing, or a comment.
    Empty,
    Header,
    Entry(Assignment),
    Fault(FaultKind),
    /// The reader ended above.
    Unread,
}

/// The parts of `key = value`, as places in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment {
    key: Range<usize>,
    /// Without the spaces around it; quotes, escapes and continuations included.
    raw: Range<usize>,
    /// Its value: without quotes, escapes resolved.
    value: String,
}

/// A key with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The section as its header spells it; empty before any header.
    pub section: &'a str,
    /// The key as it is spelt.
    pub key: &'a str,
    /// Its value: without quotes, escapes resolved.
    pub value: &'a str,
    /// Its line, counted from 1.
    pub line: usize,
}

/// A line that WSL cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// Its number, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: FaultKind,
    /// The line's text, without its end.
    pub text: &'a str,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It begins with no letter, `[` or `#`: a `;` comment, for example.
    Beginning,
    /// A byte order mark, where the reader knows none.
    ByteOrderMark,
    /// `[name]` with other characters than letters and digits in the name, without an end, or with
    /// text after it.
    Header,
    /// A key that no `=` follows; keys have letters and digits only.
    NoEquals,
    /// A `\` before a character that is not an escape: a Windows path needs `\\`.
    Escape,
    /// A quote that does not end on its line.
    Quote,
    /// The file is UTF-16, whose zeros end the distro's reader at the first line that has some.
    Utf16,
}

impl File {
    /// Reads `.wslconfig`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::parse_as(text, Reader::Windows)
    }

    /// Reads a file as one of WSL's readers does. Every text is a file; see [`File::faults`].
    #[must_use]
    pub fn parse_as(text: &str, reader: Reader) -> Self {
        let (lines, sections) = scan::lines(text, reader);
        Self { reader, text: text.to_owned(), lines, sections }
    }

    /// The value of a key: the first line for it counts. Case does not matter.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.find(section, key).map(|entry| entry.value)
    }

    /// The line for a key that counts.
    #[must_use]
    pub fn find(&self, section: &str, key: &str) -> Option<Entry<'_>> {
        self.entries().find(|entry| entry.is(section, key))
    }

    /// All keys in their order, those that do not count included.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().filter_map(move |line| self.entry(line))
    }

    /// The headers in their order: name, and line counted from 1.
    pub fn headers(&self) -> impl Iterator<Item = (&str, usize)> {
        let headers = self.lines.iter().filter(|line| matches!(line.content, Content::Header));
        headers.map(move |line| (self.sections[line.section].as_str(), line.number))
    }

    /// The lines that the reader cannot read; for [`Reader::Linux`] the first of them only, since
    /// it ends there.
    pub fn faults(&self) -> impl Iterator<Item = Fault<'_>> {
        self.lines.iter().filter_map(move |line| match line.content {
            Content::Fault(kind) => {
                let text = self.text[line.range.clone()].trim_end_matches(['\r', '\n']);
                Some(Fault { line: line.number, kind, text })
            }
            Content::Empty | Content::Header | Content::Entry(_) | Content::Unread => None,
        })
    }

    /// Whether something stands below the line where the reader ends.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        self.lines.iter().any(|line| line.content == Content::Unread)
    }

    fn entry<'a>(&'a self, line: &'a Line) -> Option<Entry<'a>> {
        match &line.content {
            Content::Entry(assignment) => Some(Entry {
                section: &self.sections[line.section],
                key: &self.text[assignment.key.clone()],
                value: &assignment.value,
                line: line.number,
            }),
            Content::Empty | Content::Header | Content::Fault(_) | Content::Unread => None,
        }
    }
}

impl Entry<'_> {
    /// Whether it is for this key.
    #[must_use]
    pub fn is(&self, section: &str, key: &str) -> bool {
        self.section.eq_ignore_ascii_case(section) && self.key.eq_ignore_ascii_case(key)
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
