//! `--report`: one HTML page that stands alone. It fetches nothing and runs no script; everything
//! that comes from the machine is escaped.

mod facts;
mod html;

use crate::checks::Diagnosis;
use crate::facts::Facts;
use crate::finding::{Finding, FixStep, Severity};
use crate::steps;
use crate::text::{reservations, severity, shell, verdict};
use crate::way::{Hop, HopState};
use html::Html;
use messages::{Language, Text, doctor};

/// The page's looks, for light and dark, phone and desktop.
const STYLE: &str = include_str!("style.css");

/// The page.
#[must_use]
pub fn page(facts: &Facts, diagnosis: &Diagnosis, language: Language) -> String {
    let mut page = Page { html: Html::default(), language };
    page.all(facts, diagnosis);
    page.html.into_string()
}

struct Page {
    html: Html,
    language: Language,
}

impl Page {
    fn all(&mut self, facts: &Facts, diagnosis: &Diagnosis) {
        let title = self.say(&doctor::TITLE.text());
        let language = match self.language {
            Language::English => "en",
            Language::Chinese => "zh-CN",
        };
        self.html.raw("<!doctype html>\n");
        self.html.open("html", &[("lang", language)]);
        self.html.raw("<head><meta charset=\"utf-8\">\n");
        self.html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        // Whatever a text of the machine may smuggle in: the page can fetch and run nothing.
        self.html.raw(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
        );
        self.html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
        self.html.element("title", &[], &title);
        self.html.raw("<style>\n");
        self.html.raw(STYLE);
        self.html.raw("</style></head>\n<body><main>\n");
        self.html.element("h1", &[], &title);
        self.verdict(diagnosis);
        self.way(&diagnosis.way);
        self.steps(&diagnosis.steps);
        if !diagnosis.findings.is_empty() {
            self.heading(&doctor::FINDINGS.text());
            let (problems, hints) = diagnosis.findings.split_at(diagnosis.problems());
            problems.iter().for_each(|finding| self.finding(finding));
            if problems.is_empty() {
                hints.iter().for_each(|finding| self.finding(finding));
            } else if !hints.is_empty() {
                let title = self.say(&doctor::HINTS_FOLDED.with("count", hints.len()));
                self.html.open("details", &[("class", "hints")]);
                self.html.element("summary", &[], &title);
                hints.iter().for_each(|finding| self.finding(finding));
                self.html.close("details");
            }
        }
        self.heading(&doctor::THE_FACTS.text());
        facts::sections(&mut self.html, &facts.masked());
        let foot =
            [doctor::MASKED.text(), doctor::MADE_BY.with("version", env!("CARGO_PKG_VERSION"))]
                .map(|text| self.say(&text));
        self.html.raw("<footer>");
        foot.iter().for_each(|text| self.html.element("p", &[], text));
        self.html.raw("</footer>\n</main></body></html>\n");
    }

    fn say(&self, text: &Text) -> String {
        text.say(self.language)
    }

    fn paragraph(&mut self, class: &str, text: &Text) {
        let text = self.say(text);
        self.html.element("p", &[("class", class)], &text);
    }

    fn heading(&mut self, text: &Text) {
        let text = self.say(text);
        self.html.element("h2", &[], &text);
    }

    fn verdict(&mut self, diagnosis: &Diagnosis) {
        let class =
            match (diagnosis.problems(), diagnosis.is_well() && diagnosis.findings.is_empty()) {
                (0, true) => "verdict good",
                (0, false) => "verdict warn",
                _ => "verdict bad",
            };
        self.paragraph(class, &verdict(diagnosis));
        for text in reservations(diagnosis) {
            self.paragraph("reservation", &text);
        }
    }

    fn way(&mut self, way: &[Hop]) {
        self.heading(&doctor::THE_WAY.text());
        self.html.open("ol", &[("class", "way")]);
        for hop in way {
            let (class, sign) = match hop.state {
                HopState::Works => ("works", "✓"),
                HopState::Troubled => ("troubled", "!"),
                HopState::Broken => ("broken", "✕"),
                HopState::Behind => ("behind", "·"),
                HopState::Unknown => ("unknown", "?"),
            };
            let (name, state) =
                (self.say(&hop.place.name().text()), self.say(&hop.state.name().text()));
            self.html.open("li", &[("class", class)]);
            self.html.element("span", &[("class", "sign"), ("aria-hidden", "true")], sign);
            self.html.element("span", &[("class", "name")], &name);
            if let Some(detail) = &hop.detail {
                self.html.element("span", &[("class", "detail")], detail);
            }
            self.html.element("span", &[("class", "state")], &state);
            self.html.close("li");
        }
        self.html.close("ol");
    }

    fn steps(&mut self, steps: &[steps::StepResult]) {
        self.heading(&doctor::THE_STEPS.text());
        self.html.open("ol", &[("class", "steps")]);
        for step in steps {
            let class = match step.result {
                steps::StepOutcome::Yes => "yes",
                steps::StepOutcome::No => "no",
                steps::StepOutcome::NotNeeded | steps::StepOutcome::Unknown => "",
            };
            let (question, result) =
                (self.say(&step.question.name().text()), self.say(&step.result.name().text()));
            self.html.open("li", &[]);
            self.html.element("span", &[], &question);
            self.html.element("strong", &[("class", class)], &result);
            self.html.close("li");
        }
        self.html.close("ol");
    }

    fn finding(&mut self, finding: &Finding) {
        let class = match finding.severity {
            Severity::Fatal => "finding fatal",
            Severity::Problem => "finding problem",
            Severity::Hint => "finding hint",
        };
        self.html.open("article", &[("class", class), ("id", finding.id)]);
        let (badge, head) =
            (self.say(&severity(finding.severity)), self.say(&finding.title.text()));
        self.html.open("h3", &[]);
        self.html.element("span", &[("class", "badge")], &badge);
        self.html.text(" ");
        self.html.text(&head);
        self.html.close("h3");
        self.html.element("p", &[("class", "id")], finding.id);
        self.html.open("dl", &[]);
        self.label(&doctor::EVIDENCE.text());
        self.html.open("dd", &[]);
        finding.evidence.iter().for_each(|text| self.paragraph("", text));
        self.html.close("dd");
        self.label(&doctor::CAUSE.text());
        self.html.open("dd", &[]);
        self.paragraph("", &finding.cause);
        self.html.close("dd");
        self.label(&doctor::FIX.text());
        self.html.open("dd", &[]);
        finding.fix.iter().for_each(|step| self.step(step));
        self.html.close("dd");
        self.html.close("dl");
        self.html.close("article");
    }

    fn label(&mut self, text: &Text) {
        let text = self.say(text);
        self.html.element("dt", &[], &text);
    }

    fn step(&mut self, step: &FixStep) {
        let (place, lines) = match step {
            FixStep::Say(text) => return self.paragraph("", text),
            FixStep::Run { shell: of, lines } => (shell(*of), lines),
            FixStep::Lines { file, lines } => (doctor::IN_FILE.with("file", file), lines),
        };
        let place = self.say(&place);
        self.html.open("figure", &[]);
        self.html.element("figcaption", &[], &place);
        self.html.element("pre", &[], &lines.join("\n"));
        self.html.close("figure");
    }
}

#[cfg(test)]
mod tests;
