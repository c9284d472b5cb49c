//! A change of a text that can be undone exactly, also where other lines have changed since.

use serde::{Deserialize, Serialize};

/// Whole lines of a text that took the place of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Offset in bytes; a line begins there.
    at: usize,
    old: String,
    new: String,
}

impl Change {
    /// The change from one text to another; `None` if they are the same.
    pub(crate) fn between(before: &str, after: &str) -> Option<Self> {
        if before == after {
            return None;
        }
        let (old, new): (Vec<&str>, Vec<&str>) =
            (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
        let same = |(a, b): &(&&str, &&str)| a == b;
        let head = old.iter().zip(&new).take_while(same).count();
        let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(same).count();
        Some(Self {
            at: old[..head].iter().map(|line| line.len()).sum(),
            old: old[head..old.len() - tail].concat(),
            new: new[head..new.len() - tail].concat(),
        })
    }

    /// The text with the old lines back. Nothing where the new lines are missing or stand there
    /// more than once: another program changed them.
    pub(crate) fn undo(&self, text: &str) -> Option<String> {
        let is_at = |at: usize| {
            let (end, is_line) = (at + self.new.len(), at == 0 || text[..at].ends_with('\n'));
            is_line && (end == text.len() || self.new.is_empty() || self.new.ends_with('\n'))
        };
        let at_old_place =
            text.get(self.at..).is_some_and(|rest| rest.starts_with(&self.new)) && is_at(self.at);
        let at = if at_old_place {
            self.at
        } else {
            // An empty text has no place.
            let mut places =
                text.match_indices(&self.new).map(|(at, _)| at).filter(|_| !self.new.is_empty());
            let place = places.by_ref().find(|at| is_at(*at))?;
            if places.any(is_at) {
                return None;
            }
            place
        };
        Some(format!("{}{}{}", &text[..at], self.old, &text[at + self.new.len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undone_exactly_whatever_was_there() {
        for before in ["", "a", "a\n", "a\nb", "a\nproxy=x\nb\n", "\n\n"] {
            for after in ["proxy=y\n", "a\nproxy=y\n", "a\nproxy=y\nb\n", "c\nd\ne", ""] {
                match Change::between(before, after) {
                    Some(change) => assert_eq!(
                        change.undo(after).as_deref(),
                        Some(before),
                        "{before:?} {after:?}"
                    ),
                    None => assert_eq!(before, after),
                }
            }
        }
    }

    #[test]
    fn other_lines_may_change_meanwhile_and_these_may_not() {
        let change = Change::between("a\nb\n", "a\nproxy=y\nb\n").unwrap();
        assert_eq!(change.undo("new\na\nproxy=y\nb\nc\n").as_deref(), Some("new\na\nb\nc\n"));
        assert_eq!(change.undo("a\nproxy=z\nb\n"), None);
        assert_eq!(change.undo("a\nproxy=y"), None, "it is another line's beginning");
        let change = Change::between("b\n", "proxy=y\nb\n").unwrap();
        assert_eq!(change.undo("x\nproxy=y\nproxy=y\n"), None, "it may be either");
    }
}
