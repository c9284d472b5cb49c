//! Everything that a relay for Windows needs from Windows at its start: folders, names of paths,
//! and Windows' own messages about refusals.

use crate::attempt::{self, RunError};
use crate::interop::{self, InteropError, Start};
use crate::limits::{HELLO_PATIENCE, WINDOWS_PATIENCE};
use messages::quote::in_powershell;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::process::Command;

/// WSL's own translator of paths, which it puts into every distro.
const WSLPATH: &str = "/bin/wslpath";

/// Windows' own programs, at the place that nearly every Windows uses.
const SYSTEM: &str = r"C:\Windows\System32";

/// Windows' command interpreter.
const CMD: &str = "cmd.exe";

/// Windows PowerShell, which every Windows has there (PowerShell 7 is another program).
const POWERSHELL: &str = r"WindowsPowerShell\v1.0\powershell.exe";

/// Without the user's profile, and without prompts.
const POWERSHELL_OPTIONS: [&str; 3] = ["-NoProfile", "-NonInteractive", "-Command"];

/// How many lines of Windows' own messages are passed on.
const WORDS_LINES: usize = 3;

/// Why Windows gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// WSL cannot start Windows programs.
    #[error(transparent)]
    Interop(#[from] InteropError),
    /// The program that should answer cannot be run, or reports an error.
    #[error("{question}: {answer}")]
    Answer {
        /// What was run.
        question: String,
        /// Its outcome.
        answer: String,
    },
    /// No program of Windows reports a variable.
    #[error(
        "Windows does not report where %{variable}% is; tried: {tried}: a policy forbids these \
         programs, most likely (\"Prevent access to the command prompt\", AppLocker); have one of \
         them allowed"
    )]
    Folder {
        /// The variable.
        variable: String,
        /// The tries and their outcomes.
        tried: String,
    },
}

/// Windows' folder for a user's local programs and data (`%LOCALAPPDATA%`), as this distro sees it.
/// `relay` is a relay for Windows that can answer too, if there is one.
pub(crate) async fn local_app_data(relay: Option<&Path>) -> Result<PathBuf, QuestionError> {
    folder("LOCALAPPDATA", relay).await
}

/// The folder that a variable of Windows names, as this distro sees it.
///
/// A policy can forbid cmd.exe ("Prevent access to the command prompt") and any program
/// (AppLocker), so there are three ways, the cheapest first. The first, cmd.exe, answers in a few
/// hundredths of a second. The second, powershell.exe, takes a second; it is signed by Microsoft
/// and lies on Windows' disk, so that policies and antivirus programs rarely object. The third is
/// the relay, which runs from the distro's disk here: it can take a minute (see [`crate::deploy`]),
/// and it has no signature.
pub(crate) async fn folder(variable: &str, relay: Option<&Path>) -> Result<PathBuf, QuestionError> {
    let mut tried = Vec::new();
    for way in [Asking::Cmd, Asking::PowerShell].into_iter().chain(relay.map(Asking::Relay)) {
        match way.value(variable).await {
            Ok(path) => {
                if !tried.is_empty() {
                    tracing::debug!(
                        "{} reported %{variable}% after: {}",
                        way.name(),
                        tried.join("; ")
                    );
                }
                return translated("-u", &path).await.map(PathBuf::from);
            }
            // If none of these programs can start, there is no need to try further.
            Err(error @ QuestionError::Interop(_)) => return Err(error),
            Err(error) => tried.push(error.to_string()),
        }
    }
    Err(QuestionError::Folder { variable: variable.to_owned(), tried: tried.join("; ") })
}

/// A program that reports Windows' variables.
#[derive(Clone, Copy, Debug)]
enum Asking<'a> {
    Cmd,
    PowerShell,
    Relay(&'a Path),
}

impl Asking<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Cmd => CMD,
            Self::PowerShell => POWERSHELL,
            Self::Relay(_) => "the relay",
        }
    }

    /// A variable's value, which is a path.
    async fn value(self, variable: &str) -> Result<String, QuestionError> {
        let (question, output) = match self {
            // As UTF-16 (/u), since a console's code page may lack the letters of the user's name;
            // and without AutoRun (/d).
            Self::Cmd => ask(CMD, &["/d", "/u", "/c", "echo", &format!("%{variable}%")]).await?,
            // As numbers, for the same reason; and without method calls, which a policy can forbid
            // in scripts (about_Language_Modes, ConstrainedLanguage).
            Self::PowerShell => {
                let command = format!("[int[]][char[]]$env:{variable}");
                ask(POWERSHELL, &[&POWERSHELL_OPTIONS[..], &[&command]].concat()).await?
            }
            Self::Relay(program) => {
                let command = || {
                    let mut start = interop::command(program)?;
                    start.command.args(["variable", variable]);
                    Ok(start)
                };
                let question = format!("{} variable {variable}", program.display());
                let output = run(&question, HELLO_PATIENCE, command).await?;
                (question, output)
            }
        };
        let text = match self {
            Self::Cmd => text(&output.stdout),
            Self::PowerShell => from_numbers(&output.stdout),
            Self::Relay(_) => serde_json::from_slice(&output.stdout).unwrap_or_default(),
        };
        let path = text.trim();
        if output.status.success() && path.contains(r":\") {
            return Ok(path.to_owned());
        }
        let words = message_of(&output);
        let words =
            if words.is_empty() { format!("it said '{path}'") } else { format!("'{words}'") };
        Err(QuestionError::Answer { question, answer: format!("{words} ({})", output.status) })
    }
}

/// UTF-16 written as decimal numbers, as PowerShell prints an array of them.
fn from_numbers(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let units: Option<Vec<u16>> =
        text.split_whitespace().map(|number| number.parse().ok()).collect();
    String::from_utf16_lossy(&units.unwrap_or_default())
}

/// The output of `wsl.exe` with these arguments.
pub(crate) async fn wsl(words: &[&str]) -> Result<String, QuestionError> {
    let (question, mut output) = ask("wsl.exe", words).await?;
    for stream in [&mut output.stdout, &mut output.stderr] {
        *stream = text(stream).into_bytes();
    }
    if !output.status.success() {
        return Err(QuestionError::Answer {
            question,
            answer: format!("{}: {}", output.status, message_of(&output)),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The output of another of Windows' own programs with these arguments.
pub(crate) async fn said(name: &str, words: &[&str]) -> Result<String, QuestionError> {
    let (question, output) = ask(name, words).await?;
    if !output.status.success() {
        return Err(QuestionError::Answer {
            question,
            answer: format!("{}: {}", output.status, message_of(&output)),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program's output as text. wsl.exe writes UTF-16, or UTF-8 where the user has set WSL_UTF8=1;
/// cmd.exe with /u writes UTF-16, and its messages may be in a console's code page. Every such text
/// has a line's end, which has a zero byte in UTF-16 only.
fn text(bytes: &[u8]) -> String {
    if bytes.contains(&0) { utf16(bytes) } else { String::from_utf8_lossy(bytes).into_owned() }
}

/// The next line of such a text without its end; `None` at the end of the text. It is UTF-16 if it
/// has a zero byte, as every line with an ASCII letter. There the byte 0x0a is half of many
/// letters.
pub(crate) async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 && line.contains(&0) {
        if line.len() % 2 == 1
            && reader.take(1).read_to_end(&mut line).await? == 1
            && line.ends_with(b"\n\0")
        {
            break;
        }
    }
    Ok((!line.is_empty()).then(|| text(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let text = String::from_utf16_lossy(
        &units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>(),
    );
    text.trim_start_matches('\u{feff}').to_owned()
}

/// Windows' own message about why it does not run a program, in its user's language. `None` if
/// Windows runs it, or if policies allow no shell.
pub(crate) async fn refusal(program: &Path) -> Option<String> {
    let path = translated("-w", &program.display().to_string()).await.ok()?;
    if runs_commands(CMD, &["/d", "/c", "exit 7"]).await {
        let (_, output) = ask(CMD, &["/d", "/c", &path, "--version"]).await.ok()?;
        if output.status.success() {
            return None;
        }
        let words = message_of(&output);
        if !words.is_empty() {
            return Some(words);
        }
    }
    if !runs_commands(POWERSHELL, &[&POWERSHELL_OPTIONS[..], &["exit 7"]].concat()).await {
        return None;
    }
    // Without 'Stop' PowerShell goes on after a program that Windows does not start, and ends
    // with exit code 0: $LASTEXITCODE is not set then (about_Automatic_Variables).
    let path = in_powershell(&path);
    let command =
        format!("$ErrorActionPreference = 'Stop'; & '{path}' --version; exit $LASTEXITCODE");
    let (_, output) =
        ask(POWERSHELL, &[&POWERSHELL_OPTIONS[..], &[&command]].concat()).await.ok()?;
    let words = message_of(&output);
    (!output.status.success() && !words.is_empty()).then_some(words)
}

/// Whether a shell runs `exit 7`. A shell that a policy forbids fails with any command, with a
/// message about itself.
async fn runs_commands(shell: &str, words: &[&str]) -> bool {
    ask(shell, words).await.is_ok_and(|(_, output)| output.status.code() == Some(7))
}

/// Runs one of Windows' own programs, and returns its name for errors. `name` is its path below
/// Windows' own folder.
async fn ask(name: &str, words: &[&str]) -> Result<(String, Output), QuestionError> {
    let program = of_system(name).await?;
    let question = format!("{} {}", program.display(), words.join(" "));
    let output = run(&question, WINDOWS_PATIENCE, || command(&program, words)).await?;
    Ok((question, output))
}

/// One of Windows' own programs with these arguments, and the socket that starts it.
///
/// # Errors
/// This machine cannot start Windows programs.
pub(crate) fn command(program: &Path, words: &[&str]) -> Result<Start, InteropError> {
    let mut start = interop::command(program)?;
    start.command.args(words);
    // In a folder of Windows: a folder of the distro costs seconds and causes a warning.
    if let Some(folder) = program.parent() {
        start.command.current_dir(folder);
    }
    Ok(start)
}

/// Runs a Windows program to its end. If one interop socket fails, tries another.
async fn run(
    question: &str,
    patience: Duration,
    command: impl Fn() -> Result<Start, InteropError>,
) -> Result<Output, QuestionError> {
    attempt::output(patience, command).await.map_err(|error| unanswered(question, patience, error))
}

fn unanswered(question: &str, patience: Duration, error: RunError<InteropError>) -> QuestionError {
    let answer = match error {
        RunError::Prepare(error) => return error.into(),
        RunError::Spawn(error) => error.to_string(),
        RunError::Silent => format!("no answer within {} s", patience.as_secs()),
    };
    QuestionError::Answer { question: question.to_owned(), answer }
}

/// The same folder by its usual name in a distro, in case `wslpath` does not answer.
const USUAL: &str = "/mnt/c/Windows/System32";

/// One of Windows' own programs, as this distro sees it: at the path from `wslpath`, at its usual
/// place, or in `PATH`, to which WSL adds Windows' own folders.
pub(crate) async fn of_system(name: &str) -> Result<PathBuf, QuestionError> {
    let error = match translated("-u", &format!(r"{SYSTEM}\{name}")).await {
        Ok(path) if Path::new(&path).exists() => return Ok(path.into()),
        Ok(path) => {
            QuestionError::Answer { question: path, answer: "there is no such file".to_owned() }
        }
        Err(error) => error,
    };
    let file = name.rsplit('\\').next().unwrap_or(name);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let usual = Path::new(USUAL).join(name.replace('\\', "/"));
    let in_path = std::env::split_paths(&folders).map(|folder| folder.join(file));
    [usual].into_iter().chain(in_path).find(|path| path.exists()).ok_or(error)
}

/// A path in the form of the distro (`-u`) or of Windows (`-w`).
async fn translated(direction: &str, path: &str) -> Result<String, QuestionError> {
    let mut command = Command::new(WSLPATH);
    command.args([direction, path]);
    let question = format!("{WSLPATH} {direction} '{path}'");
    let output = attempt::finish(command, WINDOWS_PATIENCE)
        .await
        .map_err(|error| unanswered(&question, WINDOWS_PATIENCE, error))?;
    if !output.status.success() {
        return Err(QuestionError::Answer {
            question,
            answer: format!("{}: {}", output.status, message_of(&output)),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches(['\r', '\n']).to_owned())
}

/// The first lines of a program's standard error, or of its standard output if that is empty.
pub(crate) fn message_of(output: &Output) -> String {
    words(&[&output.stderr, &output.stdout])
}

/// The first lines of the first of these streams that is not empty.
pub(crate) fn words(streams: &[&[u8]]) -> String {
    let mut texts = streams.iter().map(|bytes| text(bytes));
    let said = texts.find(|text| !text.trim().is_empty()).unwrap_or_default();
    said.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(WORDS_LINES)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wsl_is_understood_whichever_way_it_writes() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for words in ["Ubuntu\r\n", "WSL 版本： 2.5.9.0\r\n"] {
            assert_eq!(text(&wide(words)), words);
            assert_eq!(text(words.as_bytes()), words);
        }
        assert_eq!(text(&wide("\u{feff}Ubuntu\n")), "Ubuntu\n");
        assert_eq!(text(b""), "");
        assert_eq!(
            text(b"The command prompt has been disabled.\r\n"),
            "The command prompt has been disabled.\r\n"
        );
    }

    #[tokio::test]
    async fn lines_are_understood_whichever_way_it_writes() {
        // 上 is U+4E0A, ਅ is U+0A05.
        let said = "WSL 上 ਅ： 2.5.9.0\r\n\r\nUbuntu\r\nno end";
        let wide = said.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let mixed = [&wide[..wide.len() - 12], b"no end"].concat();
        for bytes in [said.as_bytes(), &wide, &mixed] {
            let (mut reader, mut lines) = (bytes, Vec::new());
            while let Some(line) = next_line(&mut reader).await.unwrap() {
                lines.push(line);
            }
            assert_eq!(lines, ["WSL 上 ਅ： 2.5.9.0", "", "Ubuntu", "no end"], "{bytes:?}");
        }
    }

    #[test]
    fn powershells_numbers_are_a_text() {
        let letters = "C:\\Users\\Anna Müller 𝒳"
            .encode_utf16()
            .map(|unit| format!("{unit}\r\n"))
            .collect::<String>();
        assert_eq!(from_numbers(letters.as_bytes()), "C:\\Users\\Anna Müller 𝒳");
        assert_eq!(from_numbers(b"No such thing"), "");
        assert_eq!(from_numbers(b""), "");
    }
}
