//! The results in words: Markdown tables.

use crate::results::Results;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Columns, in this order; others follow.
pub(crate) const ORDER: [&str; 10] = [
    "underpass",
    "pasta",
    "slirp4netns",
    "gvproxy",
    "kernel forwarding",
    "the host itself",
    "underpass behind interop",
    "underpass, Windows relay",
    "underpass, Windows relay by its pipe",
    "underpass, Windows relay by its pipe, 64 KiB",
];

/// Goals, medians, and the machine.
pub(crate) fn whole(results: &Results) -> String {
    let mut text = String::new();
    goals(results, &mut text);
    medians(results, &mut text);
    machine(results, &mut text);
    text
}

fn goals(results: &Results, text: &mut String) {
    line(text, "| goal | wanted | measured | |\n|---|---|---|---|");
    for goal in &results.goals {
        let (measured, met) = match (goal.measured, goal.met) {
            (Some(measured), Some(true)) => (figure(measured), "met"),
            (Some(measured), Some(false)) => (figure(measured), "**missed**"),
            (Some(_) | None, _) => ("—".to_owned(), "not measured"),
        };
        line(text, &format!("| {} | {} | {measured} | {met} |", goal.text, goal.goal));
    }
    line(text, "");
}

fn medians(results: &Results, text: &mut String) {
    let names: BTreeSet<&str> =
        results.cases.values().flat_map(|case| case.values.keys()).map(String::as_str).collect();
    let columns: Vec<&str> = ORDER.into_iter().filter(|name| names.contains(name)).collect();
    line(
        text,
        &format!("| median of {} rounds | unit | {} |", results.rounds, columns.join(" | ")),
    );
    line(text, &format!("|---|---|{}", "---|".repeat(columns.len())));
    for (name, case) in &results.cases {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| results.median(name, column).map_or_else(String::new, figure))
            .collect();
        line(text, &format!("| {name} | {} | {} |", case.unit, cells.join(" | ")));
    }
    line(text, "");
}

fn machine(results: &Results, text: &mut String) {
    let machine = &results.machine;
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    line(
        text,
        &format!(
            "Measured on {} cores ({}), {} MiB of memory, Linux {}; {}.",
            machine.cores,
            machine.processor,
            machine.memory_mib,
            machine.kernel,
            versions.join(", ")
        ),
    );
    for (name, why) in &results.absent {
        line(text, &format!("Not measured: {name} ({why})."));
    }
}

fn line(text: &mut String, words: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{words}");
}

/// Three significant figures.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Goal, Value};

    #[test]
    fn a_table_has_a_column_a_subject_and_a_row_a_case() {
        let mut results = Results { rounds: 3, ..Results::default() };
        for value in [1.0, 9.0, 2.0] {
            results.add("tcp up 1", "Gbit/s", "underpass", Value { value, load: 0.0 });
        }
        results.add("tcp up 1", "Gbit/s", "pasta", Value { value: 1234.5, load: 0.0 });
        results.goals.push(Goal {
            text: "x".to_owned(),
            goal: "≥ 1".to_owned(),
            measured: Some(0.5),
            met: Some(false),
        });
        let text = whole(&results);
        assert!(text.contains("| median of 3 rounds | unit | underpass | pasta |"), "{text}");
        assert!(
            text.contains("| tcp up 1 | Gbit/s | 2.00 | 1234 |")
                || text.contains("| 2.00 | 1235 |"),
            "{text}"
        );
        assert!(text.contains("| x | ≥ 1 | 0.50 | **missed** |"), "{text}");
    }
}
