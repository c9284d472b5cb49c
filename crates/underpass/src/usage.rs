//! Mistakes in the command line in a person's language: what is wrong, what may be meant, and where
//! help is. In English clap says so itself.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use messages::{Language, Text, usage as words};
use std::io::Write as _;
use std::process::ExitCode;

/// Shows what clap reports instead of a parsed command line: help, the version or a mistake.
pub(crate) fn show(error: &Error, language: Language) -> ExitCode {
    match (language, mistake(error)) {
        (Language::Chinese, Some(mistake)) => {
            let text = in_words(error, &mistake, language);
            // If standard error is closed the exit code is left.
            let _ = writeln!(std::io::stderr(), "{}", messages::printable(&text));
        }
        (Language::English | Language::Chinese, _) => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(crate::USAGE))
}

fn in_words(error: &Error, mistake: &Text, language: Language) -> String {
    let colon = language.colon();
    let said = |text: Text| text.say(language);
    let mut text = format!("{}{colon}{}\n", said(words::ERROR.text()), mistake.say(language));
    let tip = said(words::TIP.text());
    for similar in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand] {
        for word in strings(error, similar) {
            text += &format!("  {tip}{colon}{}\n", said(words::SIMILAR.with("word", word)));
        }
    }
    let values = strings(error, ContextKind::ValidValue);
    if !values.is_empty() {
        let values = words::POSSIBLE.with("values", values.join(language.comma()));
        text += &format!("  {tip}{colon}{}\n", said(values));
    }
    let call = call(error);
    text + "\n" + &said(words::SEE_HELP.with("call", format!("{call} --help")))
}

/// The words of the command whose usage clap shows.
fn call(error: &Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let usage = usage.trim_start().strip_prefix("Usage:").unwrap_or_default();
    let is_word = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let words: Vec<&str> = usage.split_whitespace().take_while(is_word).collect();
    if words.is_empty() { "underpass".to_owned() } else { words.join(" ") }
}

/// The mistake; `None` if clap shows help or the version.
fn mistake(error: &Error) -> Option<Text> {
    let option = || strings(error, ContextKind::InvalidArg).join(" ");
    let value = || strings(error, ContextKind::InvalidValue).join(" ");
    Some(match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => return None,
        ErrorKind::UnknownArgument => words::UNKNOWN_OPTION.with("word", option()),
        ErrorKind::InvalidSubcommand => words::UNKNOWN_COMMAND
            .with("word", strings(error, ContextKind::InvalidSubcommand).join(" ")),
        ErrorKind::MissingSubcommand => words::NO_COMMAND.text(),
        ErrorKind::InvalidValue if value().is_empty() => words::NO_VALUE.with("option", option()),
        ErrorKind::InvalidValue => words::BAD_VALUE.with("value", value()).with("option", option()),
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            words::BAD_VALUE_BECAUSE
                .with("value", value())
                .with("option", option())
                .with("why", why)
        }
        ErrorKind::ArgumentConflict => {
            let other = strings(error, ContextKind::PriorArg).join(" ");
            if other.is_empty() || other == option() {
                words::TWICE.with("option", option())
            } else {
                words::CONFLICT.with("option", option()).with("other", other)
            }
        }
        ErrorKind::MissingRequiredArgument => {
            words::MISSING.with("options", strings(error, ContextKind::InvalidArg).join("、"))
        }
        ErrorKind::NoEquals
        | ErrorKind::TooManyValues
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::InvalidUtf8
        | ErrorKind::Io
        | ErrorKind::Format
        | _ => words::WRONG.text(),
    })
}

fn strings(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn said(line: &str) -> String {
        let command = crate::help::command(crate::cli::Cli::command(), Language::Chinese);
        let error = command.try_get_matches_from(line.split(' ')).unwrap_err();
        in_words(&error, &mistake(&error).unwrap(), Language::Chinese)
    }

    #[test]
    fn each_mistake_says_what_is_wrong_and_where_help_is() {
        let of = |line: &str, what: &str| {
            let said = said(line);
            assert!(said.starts_with(&format!("错误：{what}")), "{line}: {said}");
            assert!(said.contains("详细信息请运行 `underpass"), "{line}: {said}");
        };
        of("underpass status --jsn", "未知的选项或参数“--jsn”");
        of("underpass statu", "未知的子命令“statu”");
        of("underpass up --lanes", "“--lanes <N>”需要一个值");
        of("underpass up --lanes x", "“--lanes <N>”的值“x”无效：含有非数字字符");
        of("underpass up --lanes 1 --lanes 2", "“--lanes <N>”只能使用一次");
        of("underpass doctor --color pink", "“--color <WHEN>”的值“pink”无效");
        of("underpass doctor --lang fr", "“--lang <LANGUAGE>”的值“fr”无效：未知的语言");
        of("underpass up --attach --relay x", "“--attach”不能与“--relay <PROGRAM>”同时使用");
        of("underpass proxy apply", "缺少必需的参数：--tools <TOOLS>");
        assert!(said("underpass status --jsn").contains("提示：是否想写“--json”？"));
        assert!(said("underpass doctor --color pink").contains("可选值：auto、always、never"));
        assert!(said("underpass proxy apply").contains("`underpass proxy apply --help`"));
    }

    #[test]
    fn help_and_version_are_no_mistakes() {
        let command = crate::help::command(crate::cli::Cli::command(), Language::Chinese);
        for line in ["underpass --help", "underpass -V", "underpass help up", "underpass"] {
            let error = command.clone().try_get_matches_from(line.split(' ')).unwrap_err();
            assert!(mistake(&error).is_none(), "{line}: {error}");
        }
    }
}
