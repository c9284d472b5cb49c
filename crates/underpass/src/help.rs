//! The help of the command line in a person's language: joins clap's description of commands and
//! options with their texts (`messages::help`), and lays out the pages of `--help`.
//!
//! A page says what the command does, its usage and examples, then its options by subject. No line
//! of prose is wider than 80 columns.

use clap::{Arg, ArgAction, Command};
use messages::help::{example, note, of};
use messages::{Language, Sentence, columns, usage as words};

/// Columns of a page.
pub(crate) const WIDTH: usize = 80;

/// Specifications up to here have their text beside them, longer ones below.
const BESIDE: usize = 26;

/// The commands of the first page by subject, the most urgent subject first.
const SUBJECTS: [(&Sentence, &[&str]); 4] = [
    (&words::FIND_OUT, &["doctor", "status", "selftest"]),
    (&words::TUNNEL, &["up", "service", "host"]),
    (&words::CONFIGURE, &["proxy", "settings"]),
    (&words::MORE, &["completions", "man"]),
];

/// The subjects of options.
const HEADINGS: [(&Sentence, &[&str]); 9] = [
    (&words::RELAY, &["relay", "relay-arg", "lanes", "link"]),
    (&words::DEVICE, &["tap", "mtu", "subnet", "no-offload"]),
    (&words::REACH, &["no-host-loopback", "host-ports", "rebind-domain-ok", "udp-filtering"]),
    (&words::PROXY, &["via", "via-except", "port", "scheme", "host", "proxy", "from"]),
    (&words::PUBLISH, &["publish", "no-publish"]),
    (&words::RUNNING, &["config", "if-needed", "log-file", "attach"]),
    (
        &words::TARGETS,
        &[
            "outside",
            "company",
            "public-name",
            "public-dns",
            "only",
            "echo",
            "no-echo",
            "company-host",
            "company-name",
            "resolv-conf",
        ],
    ),
    (&words::MACHINE, &["wslconfig", "etc", "windows-version", "wsl-version", "host-facts"]),
    (&words::CHANGE, &["yes", "dry-run", "state", "force"]),
];

/// The command line with its texts, as manual pages and completions show it.
pub(crate) fn described(command: Command, language: Language) -> Command {
    describe(command.arg(version_flag()).disable_version_flag(true), &[], language)
}

/// The command line as it is parsed, with a page of help for each command.
pub(crate) fn command(command: Command, language: Language) -> Command {
    let described = described(command, language);
    let mut built = described.clone();
    built.build();
    with_pages(described, &mut built, &[], language)
}

fn describe(command: Command, path: &[String], language: Language) -> Command {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let command = command
        .disable_help_flag(true)
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::Help));
    let command = match of(&words, None) {
        Some(about) => command.about(about.say(language)),
        None => command,
    };
    let command = match below(&command, &words, language) {
        Some(below) => command.after_help(below),
        None => command,
    };
    command
        .mut_args(|arg| {
            let text = of(&words, Some(&name(&arg)));
            let heading = arg.get_long().and_then(|long| heading(&words, long));
            let arg = match heading {
                Some(heading) => arg.help_heading(heading.half(language)),
                None => arg,
            };
            match text {
                Some(text) => arg.help(text.say(language)),
                None => arg,
            }
        })
        .mut_subcommands(|command| {
            let path = [path, &[command.get_name().to_owned()]].concat();
            describe(command, &path, language)
        })
}

/// The examples, which a description of a command has below its help, and then a note.
fn below(command: &Command, words: &[&str], language: Language) -> Option<String> {
    let examples = command.get_after_help()?.to_string();
    let heading = words::EXAMPLES.half(language);
    let mut text = format!("{heading}{}", language.colon().trim_end());
    for line in examples.lines().skip(1) {
        text += "\n";
        text += &example(line, language);
    }
    if let Some(note) = note(words) {
        text += "\n\n";
        text += &note.say(language);
    }
    Some(text)
}

fn version_flag() -> Arg {
    Arg::new("version").short('V').long("version").action(ArgAction::Version)
}

/// How an argument is called in `messages::help`.
fn name(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| format!("[{}]", arg.get_id()), |long| format!("--{long}"))
}

fn heading(command: &[&str], long: &str) -> Option<&'static Sentence> {
    // Other commands test this target; `up` only decides by it.
    if (command, long) == (&["up"], "outside") {
        return Some(&words::RUNNING);
    }
    HEADINGS.iter().find(|(_, options)| options.contains(&long)).map(|(heading, _)| *heading)
}

/// `built` is the same command as clap completes it: with the words that call it, and with the
/// options that it inherits.
fn with_pages(
    command: Command,
    built: &mut Command,
    path: &[String],
    language: Language,
) -> Command {
    let page = page(built, path, language);
    command.override_help(page).mut_subcommands(|command| {
        let path = [path, &[command.get_name().to_owned()]].concat();
        match built.find_subcommand_mut(command.get_name()) {
            Some(built) => with_pages(command, built, &path, language),
            None => command,
        }
    })
}

/// One page.
fn page(command: &mut Command, path: &[String], language: Language) -> String {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let mut parts = Vec::new();
    parts.extend(command.get_about().map(|about| wrapped(&about.to_string(), 0)));
    parts.push(usage(command, language));
    if let Some(below) = command.get_after_help() {
        let lines = below.to_string();
        let lines = lines.lines().skip(1).take_while(|line| !line.is_empty());
        parts.push(section(&words::EXAMPLES, lines.map(str::to_owned), language));
    }
    if path.is_empty() {
        for (subject, names) in SUBJECTS {
            let commands = names.iter().filter_map(|name| command.find_subcommand(name));
            parts.push(section(subject, rows(commands.map(of_command).collect()), language));
        }
    } else if command.has_subcommands() {
        let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
        let commands = command.get_subcommands().filter(shown).map(of_command);
        parts.push(section(&words::COMMANDS, rows(commands.collect()), language));
    }
    parts.extend(arguments(command, language));
    parts.extend(note(&words).map(|text| wrapped(&text.say(language), 0)));
    if path.is_empty() {
        parts.push(wrapped(&words::TRY.text().say(language), 0));
    }
    parts.join("\n\n")
}

/// Bold and underlined on a terminal; clap removes it elsewhere.
fn styled(heading: &str, language: Language) -> String {
    format!("\x1b[1m\x1b[4m{heading}{}\x1b[0m", language.colon().trim_end())
}

fn section(
    heading: &Sentence,
    lines: impl IntoIterator<Item = String>,
    language: Language,
) -> String {
    let lines = lines.into_iter().collect::<Vec<_>>().join("\n");
    format!("{}\n{lines}", styled(heading.half(language), language))
}

fn usage(command: &mut Command, language: Language) -> String {
    let text = command.render_usage().to_string();
    let text = text.strip_prefix("Usage: ").unwrap_or(&text);
    let text = match language {
        Language::English => text.to_owned(),
        Language::Chinese => text.replace("[OPTIONS]", "[选项]").replace("COMMAND>", "命令>"),
    };
    let gap = match language {
        Language::English => " ",
        Language::Chinese => "",
    };
    format!("{}{gap}{text}", styled(words::USAGE.half(language), language))
}

fn of_command(command: &Command) -> (String, String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    (command.get_name().to_owned(), about)
}

/// Arguments, then options by subject, then those that every command has.
fn arguments(command: &Command, language: Language) -> Vec<String> {
    let mut parts: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut add = |heading: String, arg: &Arg| {
        let row = (specification(arg), text(arg, language));
        match parts.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, rows)) => rows.push(row),
            None => parts.push((heading, vec![row])),
        }
    };
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    let is_common =
        |arg: &Arg| ["help", "version", "lang", "verbose"].contains(&arg.get_id().as_str());
    for arg in shown().filter(|arg| arg.is_positional()) {
        add(words::ARGUMENTS.text().say(language), arg);
    }
    for arg in shown().filter(|arg| !arg.is_positional() && arg.get_help_heading().is_some()) {
        add(arg.get_help_heading().unwrap_or_default().to_owned(), arg);
    }
    let rest = || shown().filter(|arg| !arg.is_positional() && arg.get_help_heading().is_none());
    for arg in rest().filter(|arg| !is_common(arg)).chain(rest().filter(|arg| is_common(arg))) {
        add(words::OPTIONS.text().say(language), arg);
    }
    let section = |(heading, table): (String, Vec<_>)| {
        format!("{}\n{}", styled(&heading, language), rows(table).join("\n"))
    };
    parts.into_iter().map(section).collect()
}

/// `-v, --verbose`, `--tap <NAME>`, `<SHELL>`.
fn specification(arg: &Arg) -> String {
    let values: Vec<String> = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .unwrap_or_default()
        .iter()
        .map(|name| format!("<{name}>"))
        .collect();
    let values = values.join(" ");
    if arg.is_positional() {
        return values;
    }
    let short = arg.get_short().map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let many = if matches!(arg.get_action(), ArgAction::Count) { "..." } else { "" };
    let long = arg.get_long().unwrap_or_default();
    format!("{short}--{long}{many} {values}").trim_end().to_owned()
}

/// The text of an argument, with its values as clap knows them.
fn text(arg: &Arg, language: Language) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut add = |sentence: &'static Sentence, value: String| {
        if !value.is_empty() {
            text += " ";
            text += &sentence.with("value", value).say(language);
        }
    };
    let takes_values = arg.get_action().takes_values();
    if takes_values && !arg.is_hide_default_value_set() {
        let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
        add(&words::DEFAULT, defaults.collect::<Vec<_>>().join(" "));
    }
    if takes_values && !arg.is_hide_possible_values_set() {
        let values = arg.get_possible_values();
        let names =
            values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name());
        add(&words::VALUES, names.collect::<Vec<_>>().join(language.comma()));
    }
    if let Some(variable) = arg.get_env() {
        add(&words::VARIABLE, variable.to_string_lossy().into_owned());
    }
    text
}

/// A table of two columns, or with each text below its specification where those are long.
fn rows(table: Vec<(String, String)>) -> Vec<String> {
    let longest = table.iter().map(|(left, _)| columns(left)).max().unwrap_or_default();
    let is_beside = longest <= BESIDE;
    let indent = if is_beside { longest + 4 } else { 10 };
    let line = |(left, right): (String, String)| {
        let text = wrapped(&right, indent);
        if is_beside {
            let gap = " ".repeat(longest - columns(&left) + 2);
            format!("  {left}{gap}{}", text.trim_start())
        } else {
            format!("  {left}\n{text}")
        }
    };
    table.into_iter().map(line).collect()
}

/// A text in lines of at most [`WIDTH`] columns, each after as many spaces as `indent`.
fn wrapped(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let lines = messages::wrapped(text, WIDTH - indent);
    lines.iter().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use std::collections::BTreeSet;

    /// Every command with its words, as clap completes it.
    fn all(language: Language) -> Vec<(Vec<String>, Command)> {
        fn walk(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
            found.push((path.to_vec(), command.clone()));
            for command in command.get_subcommands().filter(|one| one.get_name() != "help") {
                walk(command, &[path, &[command.get_name().to_owned()]].concat(), found);
            }
        }
        let mut found = Vec::new();
        let mut command = command(crate::cli::Cli::command(), language);
        command.build();
        walk(&command, &[], &mut found);
        found
    }

    #[test]
    fn every_command_and_option_has_a_text_and_every_text_is_used() {
        let mut used = BTreeSet::new();
        for (path, command) in all(Language::English) {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            assert!(of(&words, None).is_some(), "no text for the command {path:?}");
            used.insert(words.join(" "));
            for arg in command.get_arguments() {
                let name = name(arg);
                assert!(of(&words, Some(&name)).is_some(), "no text for {path:?} {name}");
                // The most specific of those that fit.
                let fits = |depth: &usize| {
                    let key = [&words[..*depth], &[name.as_str()]].concat().join(" ");
                    messages::help::names().any(|known| known == key)
                };
                let depth = (0..=words.len()).rev().find(fits).unwrap();
                used.insert([&words[..depth], &[name.as_str()]].concat().join(" "));
            }
        }
        let known: BTreeSet<String> = messages::help::names().map(str::to_owned).collect();
        assert_eq!(known.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn every_page_fits_and_begins_with_what_the_command_does() {
        for language in [Language::English, Language::Chinese] {
            for (path, mut command) in all(language) {
                let page = command.render_long_help().to_string();
                let words: Vec<&str> = path.iter().map(String::as_str).collect();
                let about = of(&words, None).unwrap().say(language);
                assert_eq!(page.chars().next(), about.chars().next(), "{page}");
                let examples = words::EXAMPLES.text().say(language);
                let mut is_example = false;
                for line in page.lines() {
                    is_example = line.starts_with(&examples) || is_example && line.starts_with(' ');
                    // A call or a usage is one line, for it is copied.
                    let is_call =
                        is_example || line.starts_with(&words::USAGE.text().say(language));
                    let most = if is_call { 120 } else { WIDTH };
                    assert!(columns(line) <= most, "{path:?}: {line}");
                }
                let (shown, options) = (page.find(&examples), page.find("  -h, --help"));
                assert!(shown < options, "{path:?}: {page}");
                assert!(path.is_empty() || shown.is_some() || command.has_subcommands(), "{page}");
            }
        }
    }

    #[test]
    fn no_english_is_left_on_a_chinese_page() {
        for (path, mut command) in all(Language::Chinese) {
            let page = command.render_long_help().to_string();
            for english in
                ["Usage", "Options", "Print ", "[default", "possible", "Examples", "[env"]
            {
                assert!(!page.contains(english), "{path:?}: {english}: {page}");
            }
        }
    }

    #[test]
    fn the_first_page_names_every_command_once_and_the_doctor_first() {
        let (_, mut command) = all(Language::English).remove(0);
        let page = command.render_help().to_string();
        let named = SUBJECTS.iter().flat_map(|(_, names)| names.iter().copied());
        let mut named: Vec<&str> = named.collect();
        assert_eq!(named.first(), Some(&"doctor"));
        named.sort_unstable();
        let shown = |one: &&Command| !one.is_hide_set() && one.get_name() != "help";
        let mut known: Vec<_> =
            command.get_subcommands().filter(shown).map(Command::get_name).collect();
        known.sort_unstable();
        assert_eq!(named, known);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
        assert!(at("underpass doctor") < at("  doctor ") && at("  doctor ") < at("  up "));
    }

    #[test]
    fn lines_are_wrapped_by_what_a_terminal_shows() {
        let english = wrapped(&"word ".repeat(40), 10);
        assert!(english.lines().all(|line| columns(line) <= 80 && line.starts_with("          w")));
        let chinese = wrapped(&"隧道，".repeat(40), 4);
        assert!(chinese.lines().count() > 2, "{chinese}");
        assert!(chinese.lines().all(|line| columns(line) <= 80 && !line.starts_with("    ，")));
    }
}
