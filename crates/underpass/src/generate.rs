//! Completion scripts and manual pages, out of the command line's own description, so that neither
//! can say something else.

use anyhow::Context as _;
use clap::{Command, ValueEnum};
use clap_complete::shells;
use clap_mangen::Man;
use std::io;
use std::path::Path;

/// A shell that completes words by a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The script by which a shell completes the words of `command`.
pub(crate) fn completions(shell: Shell, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut command, name, &mut script),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, name, &mut script),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut command, name, &mut script),
    }
    script
}

/// Writes a page for the command and for each of its subcommands into a folder, which is made where
/// it is missing.
///
/// # Errors
/// The folder cannot be written into.
pub(crate) fn man(command: Command, folder: &Path) -> anyhow::Result<()> {
    let source = format!("{} {}", command.get_name(), command.get_version().unwrap_or_default());
    let mut command = command.disable_help_subcommand(true);
    command.build();
    foreign::Folder::make(folder, 0o777)
        .and_then(|_| pages(&command, &source, folder))
        .with_context(|| format!("the manual pages cannot be written to {}", folder.display()))
}

fn pages(command: &Command, source: &str, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages(subcommand, source, folder)?;
    }
    // As its own section would be filled like prose, what stands below the help is set here.
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let page = Man::new(command.clone().after_help(None::<&'static str>)).source(source);
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(sections(&below).as_bytes());
    foreign::write_output(&folder.join(page.get_filename()), &text)
}

/// What stands below the help in roff: a paragraph whose first line is a heading (`Examples:`)
/// becomes a section with its lines as they are.
fn sections(below: &str) -> String {
    let mut text = String::new();
    for paragraph in below.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let (head, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        if let Some(heading) = head.strip_suffix([':', '：']).filter(|_| !rest.is_empty()) {
            text += &format!(".SH {}\n.nf\n", escaped(&heading.to_uppercase()));
            rest.lines().for_each(|line| text += &(escaped(line) + "\n"));
            text += ".fi\n";
        } else {
            text += if text.is_empty() { ".SH NOTES\n" } else { ".PP\n" };
            paragraph.lines().for_each(|line| text += &(escaped(line.trim_start()) + "\n"));
        }
    }
    text
}

/// A line of text that roff prints letter by letter, so that a command can be copied from the page.
fn escaped(line: &str) -> String {
    let mut text = String::new();
    for letter in line.chars() {
        match letter {
            '\\' => text += "\\e",
            '-' => text += "\\-",
            '\'' => text += "\\(aq",
            '`' => text += "\\(ga",
            '^' => text += "\\(ha",
            '~' => text += "\\(ti",
            other => text.push(other),
        }
    }
    // A point at the beginning would make it a request.
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stay_as_they_are_and_the_rest_is_prose() {
        let below = "Examples:\n  eval \"$(x on --port 1)\"\n  .y 'a' ~\\b\n\n\
                     Exit codes: 0 well,\n  1 not.";
        assert_eq!(
            sections(below),
            ".SH EXAMPLES\n.nf\n  eval \"$(x on \\-\\-port 1)\"\n  .y \\(aqa\\(aq \\(ti\\eb\n.fi\n.PP\nExit codes: 0 well,\n1 not.\n"
        );
        assert_eq!(sections("A note."), ".SH NOTES\nA note.\n");
        assert_eq!(sections(""), "");
        assert_eq!(escaped(".x"), "\\&.x");
    }
}
