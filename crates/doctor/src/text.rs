//! What `underpass doctor` and the check lists print on a terminal.

use crate::checks::Diagnosis;
use crate::finding::{Finding, FixStep, Severity, Shell};
use crate::lists::{Item, ItemState};
use crate::steps;
use crate::way::{Hop, HopState};
use messages::{Language, Text, doctor, padded, printable_line, verify};
use std::fmt::{self, Write as _};

/// Whether escape sequences for colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Escape sequences are allowed.
    Ansi,
    /// Escape sequences are not allowed.
    None,
}

/// Colours by what they mean (ECMA-48, SGR).
#[derive(Clone, Copy)]
enum Paint {
    Good = 32,
    Warn = 33,
    Bad = 31,
    Faint = 90,
    Strong = 1,
}

/// How hints are shown where there are problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// By their titles, below the problems.
    Folded,
    /// As problems are.
    InFull,
}

/// The way, the findings with their fixes, and the verdict.
#[must_use]
pub fn render(diagnosis: &Diagnosis, language: Language, colour: Colour, hints: Hints) -> String {
    let mut page = Page { out: String::new(), language, colour, hints };
    // Writing to a string does not fail.
    let _ = page.all(diagnosis);
    page.out
}

/// Sentences that say one thing together.
pub(crate) fn joined(texts: &[Text], language: Language) -> String {
    let between = match language {
        Language::English => "; ",
        Language::Chinese => "；",
    };
    texts.iter().map(|text| text.say(language)).collect::<Vec<_>>().join(between)
}

/// The column in which an item's subject begins.
const SUBJECT: usize = 9;

/// An item of a check list: a line, and below it what to try.
#[must_use]
pub fn item(item: &Item, language: Language) -> String {
    let state = padded(item.judged.state.word().half(language), SUBJECT);
    let took = item.took.map(|took| format!("{:>5} ms  ", took.as_millis())).unwrap_or_default();
    let (subject, colon) = (item.subject.say(language), language.colon());
    let mut text =
        format!("{state}{took}{subject}{colon}{}\n", joined(&item.judged.said, language));
    for advice in &item.judged.advice {
        text += &format!("{:SUBJECT$}-> {}\n", "", advice.say(language));
    }
    text
}

/// The verdict of a check list, which ends it.
#[must_use]
pub fn ending(items: &[Item], language: Language) -> String {
    let failed = items.iter().filter(|item| item.judged.state == ItemState::Failed).count();
    let text = match failed {
        0 => verify::ALL_PASSED.text(),
        _ => verify::SOME_FAILED.with("failed", failed).with("all", items.len()),
    };
    text.say(language) + "\n"
}

/// The verdict, as the page and the terminal begin.
pub(crate) fn verdict(diagnosis: &Diagnosis) -> Text {
    match (diagnosis.problems(), diagnosis.findings.len()) {
        (0, _) if !diagnosis.is_well() => doctor::STEPS_OPEN.with("count", diagnosis.open.len()),
        (0, 0) => doctor::ALL_WELL.text(),
        (0, hints) => doctor::ONLY_HINTS.with("count", hints),
        (problems, _) => doctor::PROBLEMS_FOUND.with("count", problems),
    }
}

/// What the doctor does not know or did not do.
pub(crate) fn reservations(diagnosis: &Diagnosis) -> Vec<Text> {
    let mut texts = Vec::new();
    if !diagnosis.skipped.is_empty() {
        texts.push(doctor::CHECKS_SKIPPED.with("count", diagnosis.skipped.len()));
    }
    if !diagnosis.windows_known {
        texts.push(doctor::WINDOWS_NOT_ASKED.text());
    }
    texts
}

/// Where commands are typed, in words.
pub(crate) fn shell(shell: Shell) -> Text {
    match shell {
        Shell::Linux => doctor::IN_LINUX.text(),
        Shell::Powershell => doctor::IN_POWERSHELL.text(),
        Shell::AdminPowershell => doctor::IN_ADMIN_POWERSHELL.text(),
    }
}

/// A severity in words.
pub(crate) fn severity(severity: Severity) -> Text {
    match severity {
        Severity::Fatal => doctor::FATAL.text(),
        Severity::Problem => doctor::PROBLEM.text(),
        Severity::Hint => doctor::HINT.text(),
    }
}

struct Page {
    out: String,
    language: Language,
    colour: Colour,
    hints: Hints,
}

impl Page {
    fn all(&mut self, diagnosis: &Diagnosis) -> fmt::Result {
        self.way(&diagnosis.way)?;
        self.steps(&diagnosis.steps)?;
        let paint =
            match (diagnosis.problems(), diagnosis.is_well() && diagnosis.findings.is_empty()) {
                (0, true) => Paint::Good,
                (0, false) => Paint::Warn,
                _ => Paint::Bad,
            };
        let verdict = self.say(&verdict(diagnosis));
        writeln!(self.out, "\n{}", self.paint(paint, &verdict))?;
        // The worst is first.
        let (problems, hints) = diagnosis.findings.split_at(diagnosis.problems());
        problems.iter().try_for_each(|finding| self.finding(finding))?;
        if problems.is_empty() || self.hints == Hints::InFull {
            hints.iter().try_for_each(|finding| self.finding(finding))?;
        } else if !hints.is_empty() {
            let heading = self.say(&doctor::HINTS.with("count", hints.len()));
            writeln!(self.out, "\n{}", self.paint(Paint::Faint, &heading))?;
            hints.iter().try_for_each(|finding| self.folded(finding))?;
        }
        for text in reservations(diagnosis) {
            let text = self.say(&text);
            writeln!(self.out, "\n{}", self.paint(Paint::Faint, &text))?;
        }
        Ok(())
    }

    fn way(&mut self, way: &[Hop]) -> fmt::Result {
        let title = self.say(&doctor::THE_WAY.text());
        writeln!(self.out, "{}", self.paint(Paint::Strong, &title))?;
        for (number, hop) in way.iter().enumerate() {
            let (sign, paint) = match hop.state {
                HopState::Works => ("✓", Paint::Good),
                HopState::Troubled => ("!", Paint::Warn),
                HopState::Broken => ("✗", Paint::Bad),
                HopState::Behind => ("·", Paint::Faint),
                HopState::Unknown => ("?", Paint::Faint),
            };
            if number > 0 {
                writeln!(self.out, "  {}", self.paint(Paint::Faint, "│"))?;
            }
            write!(
                self.out,
                "  {} {}",
                self.paint(paint, sign),
                self.say(&hop.place.name().text())
            )?;
            if let Some(detail) = &hop.detail {
                write!(self.out, "  {}", self.paint(Paint::Faint, detail))?;
            }
            // Its sign says that it works.
            if hop.state != HopState::Works {
                let state = self.say(&hop.state.name().text());
                write!(self.out, "  {}", self.paint(paint, &format!("← {state}")))?;
            }
            self.out.push('\n');
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[steps::StepResult]) -> fmt::Result {
        let title = self.say(&doctor::THE_STEPS.text());
        writeln!(self.out, "\n{}", self.paint(Paint::Strong, &title))?;
        for (number, step) in steps.iter().enumerate() {
            let paint = match step.result {
                steps::StepOutcome::Yes => Paint::Good,
                steps::StepOutcome::No => Paint::Bad,
                steps::StepOutcome::NotNeeded | steps::StepOutcome::Unknown => Paint::Faint,
            };
            let (question, result) =
                (self.say(&step.question.name().text()), self.say(&step.result.name().text()));
            writeln!(self.out, "  {}. {question}  {}", number + 1, self.paint(paint, &result))?;
        }
        Ok(())
    }

    fn finding(&mut self, finding: &Finding) -> fmt::Result {
        let (sign, paint) = match finding.severity {
            Severity::Fatal | Severity::Problem => ("✗", Paint::Bad),
            Severity::Hint => ("!", Paint::Warn),
        };
        let head = format!("{sign} {}", self.say(&finding.title.text()));
        let severity = self.say(&severity(finding.severity));
        let name = self.aside(&format!("{severity}{}{}", self.comma(), finding.id));
        writeln!(self.out, "\n{}  {}", self.paint(paint, &head), self.paint(Paint::Faint, &name))?;
        self.label(&doctor::EVIDENCE.text())?;
        for text in &finding.evidence {
            writeln!(self.out, "    {}", self.say(text))?;
        }
        self.label(&doctor::CAUSE.text())?;
        writeln!(self.out, "    {}", self.say(&finding.cause))?;
        self.label(&doctor::FIX.text())?;
        finding.fix.iter().try_for_each(|step| self.step(step))
    }

    fn folded(&mut self, hint: &Finding) -> fmt::Result {
        let title = format!("! {}", self.say(&hint.title.text()));
        let id = self.aside(hint.id);
        writeln!(
            self.out,
            "  {}  {}",
            self.paint(Paint::Warn, &title),
            self.paint(Paint::Faint, &id)
        )
    }

    /// The text that follows a title.
    fn aside(&self, text: &str) -> String {
        match self.language {
            Language::English => format!("({text})"),
            Language::Chinese => format!("（{text}）"),
        }
    }

    const fn comma(&self) -> &'static str {
        match self.language {
            Language::English => ", ",
            Language::Chinese => "，",
        }
    }

    fn label(&mut self, text: &Text) -> fmt::Result {
        let text = self.say(text);
        writeln!(self.out, "  {}", self.paint(Paint::Strong, &text))
    }

    fn step(&mut self, step: &FixStep) -> fmt::Result {
        let (place, lines) = match step {
            FixStep::Say(text) => return writeln!(self.out, "    {}", self.say(text)),
            FixStep::Run { shell: of, lines } => (self.say(&shell(*of)), lines),
            FixStep::Lines { file, lines } => {
                (self.say(&doctor::IN_FILE.with("file", file)), lines)
            }
        };
        let colon = self.language.colon().trim_end();
        writeln!(self.out, "      {}", self.paint(Paint::Faint, &format!("{place}{colon}")))?;
        lines.iter().try_for_each(|line| writeln!(self.out, "        {}", printable_line(line)))
    }

    fn say(&self, text: &Text) -> String {
        printable_line(&text.say(self.language)).into_owned()
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        let text = printable_line(text);
        match self.colour {
            Colour::Ansi => format!("\x1b[{}m{text}\x1b[0m", paint as u8),
            Colour::None => text.into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::judge;
    use crate::facts::{Outcome, Why};
    use crate::sample::*;

    #[test]
    fn a_healthy_machine_reads_well() {
        let mut facts = nat();
        facts.question.outside = "1.1.1.1:443".to_owned();
        let text = render(&judge(&facts, None), Language::English, Colour::None, Hints::Folded);
        let expected = "\
The path to the internet
  ✓ Program
  │
  ✓ Names (DNS)  10.255.255.254
  │
  ✓ WSL's interface  eth0 172.28.48.2/20
  │
  ✓ WSL's gateway  172.28.48.1
  │
  ✓ Windows  Windows 10.0.22631
  │
  ✓ Internet  1.1.1.1:443

The four steps
  1. Can an outside address be reached?  yes
  2. Are interface, address, default route and gateway in order?  not needed
  3. Can names be resolved?  yes
  4. Do the configured proxies work?  not needed

No problems found: every check that could run passed.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_broken_hop_a_finding_and_what_was_not_done_are_reported() {
        let mut facts = nat();
        cut(&mut facts);
        facts.windows = None;
        let diagnosis = judge(&facts, None);
        let text = render(&diagnosis, Language::English, Colour::None, Hints::Folded);
        for part in [
            "  ✗ Windows  ← broken here\n",
            "  · Internet  1.1.1.1:443  ← after the break\n",
            "Problems found: 1.\n",
            "✗ Traffic that Windows forwards for WSL does not get out  (network down, network-nat)\n  Seen\n    1.1.1.1 does not answer pings.\n",
            "      in PowerShell:\n        wsl -d underpass up\n",
            r"      in %UserProfile%\.wslconfig:",
            "Checks skipped because they depend on what is broken: ",
            "Windows could not be queried",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\x1b'));
        let chinese = render(&diagnosis, Language::Chinese, Colour::None, Hints::Folded);
        assert!(
            chinese.contains("此处中断")
                && chinese.contains("（网络中断，network-nat）\n  现象\n")
                && chinese.contains("      在 PowerShell 中执行：\n"),
            "{chinese}"
        );
    }

    #[test]
    fn colours_are_ours_alone() {
        let mut facts = nat();
        facts.interop.run =
            Outcome::Failed { why: Why::Other, detail: "\x1b]0;title\x07\x1b[31mred".to_owned() };
        let diagnosis = judge(&facts, None);
        let plain = render(&diagnosis, Language::English, Colour::None, Hints::Folded);
        assert!(plain.contains("[31mred") && !plain.contains(['\x1b', '\x07']), "{plain}");
        let coloured = render(&diagnosis, Language::English, Colour::Ansi, Hints::Folded);
        assert!(coloured.contains("\x1b[31m✗ Windows programs do not run\x1b[0m"), "{coloured}");
        assert!(!coloured.contains("\x1b]") && !coloured.contains('\x07'));
    }

    #[test]
    fn hints_stand_below_problems_by_their_titles() {
        let mut facts = nat();
        wslconfig(&mut facts, "[wsl2]\nfirewall=false\n");
        facts.clock.ahead_of_windows_ms = Some(-3_600_000);
        let diagnosis = judge(&facts, None);
        let text = |hints| render(&diagnosis, Language::English, Colour::None, hints);
        let folded = text(Hints::Folded);
        let end = "Hints: 1 (`--hints` shows them in full)\n  ! Windows' firewall does not protect \
                   WSL  (windows-firewall)\n";
        assert!(folded.ends_with(end), "{folded}");
        assert!(
            folded.contains("✗ WSL's clock differs from Windows'")
                && !folded.contains("firewall=true"),
            "{folded}"
        );
        let full = text(Hints::InFull);
        assert!(full.contains("firewall=true") && !full.contains("--hints"), "{full}");
    }

    #[test]
    fn hints_alone_are_reported_as_that() {
        let mut facts = nat();
        wslconfig(&mut facts, "[wsl2]\nfirewall=false\n");
        let text = render(&judge(&facts, None), Language::English, Colour::None, Hints::Folded);
        assert!(
            text.contains("Everything works. Hints: 1.")
                && text.contains("! Windows' firewall does not protect WSL"),
            "{text}"
        );
    }
}
