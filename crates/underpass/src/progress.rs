//! Shows the progress of the doctor and of check lists on a terminal: a line for each attempt,
//! which its result then replaces. In the end the report replaces all lines. Nothing is written
//! where standard error is not a terminal.

use clap::ColorChoice;
use messages::{Language, Text};
use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal as _, Write as _};

/// How something that was tried came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Result {
    /// It works.
    Works,
    /// It does not work.
    Fails,
    /// There was nothing to try, or the attempt had no result.
    Nothing,
}

impl Result {
    /// Of many: the first that works is enough.
    pub(crate) fn of_any(outcomes: impl IntoIterator<Item = Option<bool>>) -> Self {
        let mut result = Self::Nothing;
        for outcome in outcomes {
            match outcome {
                Some(true) => return Self::Works,
                Some(false) => result = Self::Fails,
                None => {}
            }
        }
        result
    }
}

struct Line {
    what: Text,
    result: Option<Result>,
}

/// Lines on standard error, if it is a terminal; otherwise nothing.
pub(crate) struct Progress {
    is_shown: bool,
    is_coloured: bool,
    language: Language,
    lines: RefCell<Vec<Line>>,
    drawn: Cell<usize>,
}

impl Progress {
    /// Progress of what ends with a report on standard output. Both streams must be terminals:
    /// what is drawn on one makes room for what is written to the other. JSON has none.
    pub(crate) fn before_report(is_json: bool, colour: ColorChoice) -> Self {
        let is_seen = crate::busy::is_watched() && io::stdout().is_terminal() && !is_json;
        Self {
            is_shown: is_seen,
            is_coloured: crate::colour::is_wanted(colour, is_seen),
            language: crate::voice::language(),
            lines: RefCell::default(),
            drawn: Cell::new(0),
        }
    }

    /// Waits for an attempt, and shows a line for it and then its result.
    pub(crate) async fn watch<T>(
        &self,
        what: Text,
        judge: impl FnOnce(&T) -> Result,
        trying: impl Future<Output = T>,
    ) -> T {
        let number = {
            let mut lines = self.lines.borrow_mut();
            lines.push(Line { what, result: None });
            lines.len() - 1
        };
        self.draw();
        let done = trying.await;
        if let Some(line) = self.lines.borrow_mut().get_mut(number) {
            line.result = Some(judge(&done));
        }
        self.draw();
        done
    }

    /// Takes all lines away (ECMA-48, ED).
    pub(crate) fn clear(&self) {
        if self.drawn.get() > 0 {
            write(&(self.above() + "\x1b[0J"));
        }
        self.drawn.set(0);
        self.lines.borrow_mut().clear();
    }

    fn draw(&self) {
        if !self.is_shown {
            return;
        }
        let lines = self.lines.borrow();
        let mut text = self.above();
        for line in lines.iter() {
            let (sign, colour) = match line.result {
                None => ("…", 90),
                Some(Result::Works) => ("✓", 32),
                Some(Result::Fails) => ("✗", 31),
                Some(Result::Nothing) => ("·", 90),
            };
            let sign = if self.is_coloured {
                format!("\x1b[{colour}m{sign}\x1b[0m")
            } else {
                sign.to_owned()
            };
            text += &format!(
                "\r\x1b[2K  {sign} {}\n",
                messages::printable_line(&line.what.say(self.language))
            );
        }
        self.drawn.set(lines.len());
        write(&text);
    }

    /// The sequence that leads back to the first line (ECMA-48, CPL).
    fn above(&self) -> String {
        match self.drawn.get() {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}F"),
        }
    }
}

/// The lines make room for the report.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Nothing depends on it: if it cannot be written it is left out.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_works_is_enough() {
        assert_eq!(Result::of_any([Some(false), None, Some(true)]), Result::Works);
        assert_eq!(Result::of_any([Some(false), None]), Result::Fails);
        assert_eq!(Result::of_any([None]), Result::Nothing);
        assert_eq!(Result::of_any([]), Result::Nothing);
    }
}
