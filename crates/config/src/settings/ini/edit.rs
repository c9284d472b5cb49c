//! Changes of single lines. Each change edits the text, which is then parsed again.

use super::{Assignment, Content, Fault, File, Line, Reader};
use std::ops::Range;

/// Why a file cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// WSL would not read the new line.
    #[error(
        "WSL stops reading at line {line} ('{text}') and would ignore what is written below it: \
         fix or remove that line first (`underpass settings check` shows what is wrong with it)"
    )]
    Unread {
        /// The line that is faulty, counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A new line would become a part of the file's last one.
    #[error(
        "line {line}, the last one of the file, ends with '\\', which joins the next line to its \
         value: remove the '\\' first"
    )]
    Continued {
        /// The last line, counted from 1.
        line: usize,
    },
    /// WSL reads nothing of the file.
    #[error(
        "the file is UTF-16, which WSL cannot read in a distro: save it as UTF-8 first (`underpass settings check` says how)"
    )]
    Utf16,
    /// No section and no key is called so.
    #[error(
        "'{name}' is not a name that WSL can read: names have only letters and digits and begin \
         with a letter"
    )]
    Name {
        /// What it was to be called.
        name: String,
    },
    /// A value cannot have this.
    #[error("'{value}' cannot be written: a value is one line without control characters")]
    Value {
        /// What was to be written.
        value: String,
    },
}

impl File {
    /// Sets a key: in place where it stands, else below the last key of its section, else in a new
    /// section at the end. The value is written so that WSL reads exactly this one.
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> Result<(), EditError> {
        let before = self.clone();
        self.put(section, key, value)?;
        if self.others(section, key) == before.others(section, key) {
            return Ok(());
        }
        *self = before;
        Err(EditError::Continued { line: self.lines.last().map_or(1, |line| line.number) })
    }

    /// All lines except those for a key.
    fn others(&self, section: &str, key: &str) -> Vec<(&str, &str, &str)> {
        let others = self.entries().filter(|entry| !entry.is(section, key));
        others.map(|entry| (entry.section, entry.key, entry.value)).collect()
    }

    fn put(&mut self, section: &str, key: &str, value: &str) -> Result<(), EditError> {
        for name in [section, key] {
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
            if !is_name || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(EditError::Name { name: name.to_owned() });
            }
        }
        let written = written(value)?;
        let counts = self
            .assignments(section, key)
            .next()
            .map(|(line, found)| (line.range.end, found.raw.clone()));
        if let Some((end, raw)) = counts {
            // A comment that follows at once would be taken for a part of it by people.
            let gap = if self.text[raw.end..end].starts_with('#') { " " } else { "" };
            self.replace(raw, &format!("{written}{gap}"));
            return Ok(());
        }
        if self.reader == Reader::Linux
            && let Some(Fault { line, text, .. }) = self.faults().next()
        {
            return Err(EditError::Unread { line, text: text.to_owned() });
        }
        match self.end_of(section) {
            Some(line) => {
                let (place, new) = self.beside(line, key, &written);
                self.replace(place..place, &new);
            }
            None => {
                let end = self.line_end();
                let gap = match &self.text {
                    text if text.strip_prefix('\u{feff}').unwrap_or(text).is_empty() => {
                        String::new()
                    }
                    text if !text.ends_with('\n') => end.repeat(2),
                    text if text.ends_with(&end.repeat(2)) => String::new(),
                    _ => end.to_owned(),
                };
                let place = self.text.len();
                self.replace(place..place, &format!("{gap}[{section}]{end}{key}={written}{end}"));
            }
        }
        Ok(())
    }

    /// Takes a key out, with all lines for it, since the next of them would count else. A comment
    /// after it stays. Returns the number of removed lines.
    pub fn remove(&mut self, section: &str, key: &str) -> usize {
        let mut count = 0;
        // One at a time, from the last, so that the places of the others stay right.
        while let Some((line, assignment)) = self.assignments(section, key).last() {
            let rest = &self.text[assignment.raw.end..line.range.end];
            let end = rest.find('#').map_or(line.range.end, |comment| assignment.raw.end + comment);
            let mark = self.text[line.range.clone()]
                .strip_prefix('\u{feff}')
                .map_or(0, |_| '\u{feff}'.len_utf8());
            let gone = line.range.start + mark..end;
            self.replace(gone, "");
            count += 1;
        }
        count
    }

    /// The lines for a key, in their order.
    fn assignments(&self, section: &str, key: &str) -> impl Iterator<Item = (&Line, &Assignment)> {
        self.lines.iter().filter_map(move |line| match &line.content {
            Content::Entry(assignment) if self.entry(line)?.is(section, key) => {
                Some((line, assignment))
            }
            Content::Entry(_)
            | Content::Empty
            | Content::Header
            | Content::Fault(_)
            | Content::Unread => None,
        })
    }

    /// The last line of the first section of that name which says something.
    fn end_of(&self, section: &str) -> Option<&Line> {
        let header = self.lines.iter().find(|line| {
            matches!(line.content, Content::Header)
                && self.sections[line.section].eq_ignore_ascii_case(section)
        })?;
        let says = |line: &&Line| matches!(line.content, Content::Header | Content::Entry(_));
        self.lines.iter().filter(|line| line.section == header.section).rfind(says)
    }

    /// A new line for a key below another, in the other's style, and its place.
    fn beside(&self, line: &Line, key: &str, written: &str) -> (usize, String) {
        let (indent, equals) = match &line.content {
            Content::Entry(assignment) => {
                let indent = &self.text[line.range.start..assignment.key.start];
                (
                    indent.trim_start_matches('\u{feff}'),
                    &self.text[assignment.key.end..assignment.raw.start],
                )
            }
            Content::Empty | Content::Header | Content::Fault(_) | Content::Unread => ("", "="),
        };
        let (new, end) = (format!("{indent}{key}{equals}{written}"), self.line_end());
        if self.text[line.range.clone()].ends_with(['\n', '\r']) {
            (line.range.end, new + end)
        } else {
            // The file's last line goes without an end, and so does the new one.
            (line.range.end, end.to_owned() + &new)
        }
    }

    /// How this file ends its lines.
    fn line_end(&self) -> &'static str {
        match (self.text.find('\n'), self.reader) {
            (Some(place), _) if self.text[..place].ends_with('\r') => "\r\n",
            (Some(_), _) | (None, Reader::Linux) => "\n",
            (None, Reader::Windows) => "\r\n",
        }
    }

    fn replace(&mut self, place: Range<usize>, new: &str) {
        let mut text = self.text.clone();
        text.replace_range(place, new);
        *self = Self::parse_as(&text, self.reader);
    }
}

/// A value as it has to stand in a file.
fn written(value: &str) -> Result<String, EditError> {
    let mut written = String::new();
    for c in value.chars() {
        match c {
            '\\' => written.push_str(r"\\"),
            '"' => written.push_str("\\\""),
            '\n' => written.push_str(r"\n"),
            '\t' => written.push_str(r"\t"),
            '\u{8}' => written.push_str(r"\b"),
            c if c.is_control() => {
                return Err(EditError::Value { value: value.escape_debug().to_string() });
            }
            c => written.push(c),
        }
    }
    let needs_quotes = value.contains('#') || value.starts_with(' ') || value.ends_with(' ');
    Ok(if needs_quotes { format!("\"{written}\"") } else { written })
}
