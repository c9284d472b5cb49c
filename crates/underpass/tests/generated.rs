#![expect(clippy::unwrap_used, reason = "a test may panic")]
//! Manual pages and completion scripts, as groff and the shells themselves take them, and the page
//! of options in the documentation.

use lab::scene::Scratch;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const UNDERPASS: &str = env!("CARGO_BIN_EXE_underpass");

/// The output of a program, which must succeed without a complaint.
fn quiet(program: &str, words: &[&str]) -> String {
    // A shell complains of a language that the machine does not have.
    let mut command = Command::new(program);
    command.args(words).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{program} {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a program that the test needs is missing, which under CI is a failure.
fn is_missing(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join(program).exists()) {
        return false;
    }
    lab::skip(format!("tests need {program}; run scripts/lab-deps tests"));
    true
}

/// The commands that the help lists below these words.
fn subcommands(words: &[&str]) -> Vec<String> {
    let help = quiet(UNDERPASS, &[words, &["--help"]].concat());
    let lists = help.split("\n\n").filter_map(|part| {
        let (heading, list) = part.split_once('\n')?;
        LISTS.contains(&heading).then_some(list)
    });
    let rows = lists.flat_map(str::lines).filter(|line| !line.starts_with("   "));
    rows.filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect()
}

/// The headings of the helps above lists of commands. The first page lists them by subject.
const LISTS: [&str; 5] = [
    "Commands:",
    "Find out what is wrong:",
    "Carry WSL's traffic when a VPN blocks it:",
    "Configure WSL and its tools:",
    "More:",
];

/// Every command that the helps list, by the words that call it, the first of which are `words`.
fn commands(words: &[&str]) -> Vec<Vec<String>> {
    let mut all = vec![words.iter().map(ToString::to_string).collect::<Vec<_>>()];
    for name in subcommands(words) {
        all.extend(commands(&[words, &[name.as_str()]].concat()));
    }
    all
}

#[test]
fn each_command_has_a_page_that_groff_takes_without_a_warning() {
    let folder = Scratch::new();
    let path = folder.path("man1");
    quiet(UNDERPASS, &["man", &path]);
    let pages: BTreeSet<String> = fs::read_dir(&path)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let commands = commands(&[]);
    assert!(commands.len() >= 9, "{commands:?}");
    let page = |words: &[String]| {
        format!("{}.1", [&["underpass".to_owned()][..], words].concat().join("-"))
    };
    assert_eq!(
        pages,
        commands.iter().map(|words| page(words)).collect(),
        "a page each, and no other"
    );

    if is_missing("groff") {
        return;
    }
    for words in &commands {
        let file = Path::new(&path).join(page(words)).display().to_string();
        // All warnings; `quiet` does not let one pass.
        let shown = quiet("groff", &["-k", "-ww", "-man", "-Tutf8", "-P-cbou", &file]);
        for part in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
            assert!(shown.lines().any(|line| line == part), "{file}: no {part}: {shown}");
        }
        let help = quiet(
            UNDERPASS,
            &[&words.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--help"]].concat(),
        );
        let examples = help.split_once("\nExamples:\n").map_or("", |(_, examples)| examples);
        for example in examples.lines().take_while(|line| line.starts_with("  ")) {
            assert!(
                shown.contains(example.trim()),
                "{file}: not letter by letter: {example}: {shown}"
            );
        }
    }
}

#[test]
fn what_is_generated_is_the_same_each_time() {
    let folder = Scratch::new();
    let pages = |name: &str| -> BTreeSet<(std::ffi::OsString, Vec<u8>)> {
        let path = folder.path(name);
        quiet(UNDERPASS, &["man", &path]);
        let files = fs::read_dir(&path).unwrap().map(|file| file.unwrap());
        files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect()
    };
    assert_eq!(pages("one"), pages("two"));
    for shell in ["bash", "zsh", "fish"] {
        assert_eq!(
            quiet(UNDERPASS, &["completions", shell]),
            quiet(UNDERPASS, &["completions", shell]),
            "{shell}"
        );
    }
}

const OPTIONS: &str = "\
# Options

<!-- Generated from the help. Write it again with
     UNDERPASS_WRITE_DOCS=1 cargo test -p underpass --test generated options -->

Every command explains itself with `--help`; this page has the same texts. `-h` is short for
`--help`. `underpass man FOLDER` writes manual pages.

**Configuration file.** Options of `underpass up` are also keys of a TOML file: `--config FILE`, and
`/etc/underpass.toml` in the helper distro. Their names are the same, without the two leading
dashes. An option on the command line takes precedence. `--config`, `--if-needed`, `--log-file` and
`--attach` exist on the command line only.

**Exit codes.** 0 done, 1 failed or problems found, 2 wrong usage.
";

/// docs/options.md, from the help of every command.
fn options_page() -> String {
    let mut page = OPTIONS.to_owned();
    for words in commands(&[]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = [&["underpass"], words.as_slice()].concat().join(" ");
        let level = "#".repeat(2 + words.len().min(1));
        let help = quiet(UNDERPASS, &[words.as_slice(), &["--help"]].concat());
        let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        page += &format!("\n{level} {name}\n\n```text\n{}\n```\n", help.join("\n"));
    }
    page
}

#[test]
fn the_page_of_options_is_what_the_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/options.md");
    let page = options_page();
    if std::env::var_os("UNDERPASS_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let differs = fs::read_to_string(&path).unwrap_or_default() != page;
    assert!(
        !differs,
        "docs/options.md is not what the help says. Write it again with\n\
         UNDERPASS_WRITE_DOCS=1 cargo test -p underpass --test generated options"
    );
}

/// The completion script in a file of the name that its shell wants.
fn script(folder: &Scratch, shell: &str, name: &str) -> String {
    let path = folder.path(name);
    fs::write(&path, quiet(UNDERPASS, &["completions", shell])).unwrap();
    path
}

#[test]
fn bash_completes_commands_of_each_level() {
    let folder = Scratch::new();
    let script = script(&folder, "bash", "underpass");
    // The steps of bash's own completion: it sets the words, calls the function and reads its
    // reply.
    const ASK: &str = r#"source "$1"; shift; COMP_WORDS=(underpass "$@"); COMP_CWORD=$#
        complete -p underpass >/dev/null || exit 1
        _underpass underpass "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let complete = |words: &[&str]| -> Vec<String> {
        let said = quiet("bash", &[&["--norc", "-c", ASK, "bash", &script][..], words].concat());
        said.lines().map(ToOwned::to_owned).collect()
    };
    assert_eq!(complete(&["stat"]), ["status"]);
    assert_eq!(complete(&["service", "rem"]), ["remove"]);
    assert_eq!(complete(&["settings", "verify", "--company-h"]), ["--company-host"]);
    assert_eq!(complete(&["completions", "f"]), ["fish"]);
    let offered = complete(&[""]);
    for name in subcommands(&[]) {
        assert!(offered.contains(&name), "{name}: {offered:?}");
    }
}

#[test]
fn zsh_completes_a_command_on_its_line() {
    if is_missing("zsh") {
        return;
    }
    let folder = Scratch::new();
    script(&folder, "zsh", "_underpass");
    // A shell on a terminal of its own, in which `underpass` says what it was called with; the tabs
    // are typed.
    const TYPE: &str = r#"
        export TERM=vt100
        zmodload zsh/zpty
        zpty inner zsh -f -i
        say() { zpty -w inner "$1" }
        say "PS1= fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump"
        say 'underpass() { print -r -- "CALLED[$*]" }'
        say "print -r READ''Y"
        zpty -r -m inner text '*READY*'
        zpty -w -n inner $'underpass serv\tinst\t --dis\tx\n'
        zpty -r -m inner text '*CALLED\[*\]*'
        print -r -- "$text"
        zpty -d inner
    "#;
    let path = folder.path("");
    let said = quiet("timeout", &["30", "zsh", "-f", "-c", TYPE, "zsh", &path]);
    assert!(said.contains("CALLED[service install --distro=x]"), "{said}");
}

#[test]
fn fish_completes_commands_of_each_level() {
    if is_missing("fish") {
        return;
    }
    let folder = Scratch::new();
    let script = script(&folder, "fish", "underpass.fish");
    let complete = |line: &str| -> Vec<String> {
        let ask = format!("source {script}; complete --do-complete '{line}'");
        let output = Command::new("fish")
            .args(["--no-config", "-c", &ask])
            .env("HOME", folder.path(""))
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().filter_map(|line| line.split('\t').next()).map(ToOwned::to_owned).collect()
    };
    assert_eq!(complete("underpass stat"), ["status"]);
    assert_eq!(complete("underpass service rem"), ["remove"]);
    assert_eq!(complete("underpass settings verify --company-h"), ["--company-host"]);
    assert_eq!(complete("underpass settings ver"), ["verify"]);
    let offered = complete("underpass ");
    for name in subcommands(&[]) {
        assert!(offered.contains(&name), "{name}: {offered:?}");
    }
}

#[test]
fn an_unknown_shell_is_a_mistake_of_usage() {
    let output = Command::new(UNDERPASS).args(["completions", "tcsh"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2)
            && ["bash", "zsh", "fish"].iter().all(|shell| said.contains(shell)),
        "{said}"
    );
}
