//! `underpass settings verify`: looks at what a change of settings should have brought, item by
//! item. The module `doctor::verify` judges the observations; the sentences are in the crate
//! `messages`.

mod look;

use crate::busy::Busy;
use clap::Args;
use doctor::verify::{Item, ItemState};
use hickory_proto::rr::Name;
use messages::{Language, Text};
use probe::http::Url;
use proxy::{Target, mask};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// What stands at the end of `--help`.
const EXAMPLES: &str = "\
Examples:
  underpass settings verify
  underpass settings verify --company-host git.corp.example:443 --company-name wiki.corp.example
  underpass settings verify --echo http://myip.ipip.net --lang zh
  underpass settings verify --no-echo --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyOptions {
    #[arg(long, value_name = "NAME", default_value = "www.microsoft.com", value_parser = name)]
    public_name: Vec<String>,
    #[arg(long, value_name = "HOST:PORT", default_value = "www.microsoft.com:443")]
    outside: Target,
    #[arg(long, value_name = "URL", default_value = "https://api.ipify.org/")]
    echo: String,
    #[arg(long, conflicts_with = "echo")]
    no_echo: bool,
    #[arg(long, value_name = "HOST:PORT")]
    company_host: Vec<Target>,
    #[arg(long, value_name = "NAME", value_parser = name)]
    company_name: Vec<String>,
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<PathBuf>,
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && !text.contains(['/', ':', '@']) && Name::from_utf8(text).is_ok();
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("it must be a plain name, such as git.corp.example".to_owned())
    }
}

/// Looks, and tells. The exit code says whether everything works.
///
/// # Errors
/// There is no event loop, or the output cannot be written.
pub(crate) fn run(options: &VerifyOptions) -> anyhow::Result<ExitCode> {
    // Not by clap, which would show a secret in it.
    let echo = match options.echo.parse::<Url>() {
        Ok(echo) => (!options.no_echo).then_some(echo),
        Err(error) => {
            crate::complain(&anyhow::anyhow!(
                "--echo '{}' cannot be used: {error}",
                mask(&options.echo)
            ));
            return Ok(ExitCode::from(crate::USAGE));
        }
    };
    let language = crate::voice::language();
    let runtime = crate::event_loop()?;
    let busy = Busy::with(messages::command::VERIFYING.text().say(language));
    let seen = runtime.block_on(look::look(options, echo.as_ref()));
    drop(busy);
    let items = doctor::verify::judge(&seen);
    let passed = items.iter().all(|item| item.state != ItemState::Failed);
    if options.json {
        crate::print_json(&json(&items, language)?)?;
    } else {
        crate::print(&list(&items, language))?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn said(texts: &[Text], language: Language) -> String {
    let between = match language {
        Language::English => "; ",
        Language::Chinese => "；",
    };
    texts.iter().map(|text| text.say(language)).collect::<Vec<_>>().join(between)
}

/// For people: a line an item, and below it what to try.
fn list(items: &[Item], language: Language) -> String {
    // Two Chinese signs are as wide as four letters.
    let (width, colon) = match language {
        Language::English => (9, ": "),
        Language::Chinese => (4, "："),
    };
    let mut text = String::new();
    for item in items {
        let state = item.state.word().text().say(language);
        let subject = item.subject.say(language);
        text += &format!("{state:<width$}{subject}{colon}{}\n", said(&item.said, language));
        for advice in &item.advice {
            text += &format!("         -> {}\n", advice.say(language));
        }
    }
    let failed = items.iter().filter(|item| item.state == ItemState::Failed).count();
    let end = if failed == 0 {
        messages::verify::ALL_PASSED.text()
    } else {
        messages::verify::SOME_FAILED.with("failed", failed).with("all", items.len())
    };
    text + &end.say(language) + "\n"
}

/// The check list, for programs.
#[derive(Serialize)]
struct Report {
    passed: bool,
    items: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    item: &'static str,
    subject: String,
    state: &'static str,
    said: String,
    advice: Option<String>,
}

fn json(items: &[Item], language: Language) -> anyhow::Result<String> {
    let line = |item: &Item| Line {
        item: item.key,
        subject: item.subject.say(language),
        state: item.state.key(),
        said: said(&item.said, language),
        advice: (!item.advice.is_empty()).then(|| said(&item.advice, language)),
    };
    let passed = items.iter().all(|item| item.state != ItemState::Failed);
    let report = Report { passed, items: items.iter().map(line).collect() };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_alone() {
        assert!(name("wiki").is_ok() && name("wiki.corp.example.").is_ok());
        for wrong in ["", "https://wiki", "wiki:80", "a..b", "me@wiki"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn states_stand_in_a_column_in_either_language() {
        let item = |state, said: Vec<Text>, advice| Item {
            key: "outside",
            subject: messages::verify::OUTSIDE.with("target", "a:1"),
            state,
            said,
            advice,
        };
        let connected = || messages::verify::CONNECTED.with("time", "1 ms");
        let items = [
            item(ItemState::Passed, vec![connected(), connected()], Vec::new()),
            item(
                ItemState::Failed,
                vec![connected()],
                vec![messages::verify::ADVISE_DOCTOR.text()],
            ),
            item(ItemState::Skipped, vec![connected()], Vec::new()),
        ];
        assert_eq!(
            list(&items, Language::English),
            "ok       outside, a:1: connected in 1 ms; connected in 1 ms\n\
             failed   outside, a:1: connected in 1 ms\n         -> `underpass doctor` finds the \
             broken hop.\n\
             skipped  outside, a:1: connected in 1 ms\n1 of 3 failed.\n"
        );
        let chinese = list(&items, Language::Chinese);
        assert!(
            chinese.starts_with("通过  外网 a:1：1 ms 内连接成功；1 ms 内连接成功\n失败  "),
            "{chinese}"
        );
    }
}
