//! Finds commit and date of the source for `--version`: the same source gives the same text.
//!
//! A release script may set UNDERPASS_COMMIT and SOURCE_DATE_EPOCH. Otherwise git says both; in a
//! source without git the text is left out.

use std::process::Command;

fn main() {
    for variable in ["UNDERPASS_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // A commit, a check-out and a reset each add a line there.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let commit = given("UNDERPASS_COMMIT").or_else(|| git(&["rev-parse", "--short=9", "HEAD"]));
    let date = given("SOURCE_DATE_EPOCH")
        .and_then(|seconds| seconds.parse().ok())
        .map(date)
        .or_else(|| git(&["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d"]));
    let words: Vec<String> = [commit, date].into_iter().flatten().collect();
    let source = if words.is_empty() { String::new() } else { format!(" ({})", words.join(" ")) };
    println!("cargo::rustc-env=UNDERPASS_SOURCE={source}");
}

fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// What git prints of the repository that this crate belongs to; the dates are UTC.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The day of a time in seconds since 1970, in UTC (H. Hinnant, `civil_from_days`).
pub(crate) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
