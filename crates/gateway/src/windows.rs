//! What Windows is asked for when a relay for it is to start: its folders, its names of paths, and its own words for what it refuses.

use crate::interop::{self, InteropError};
use crate::limits::WINDOWS_PATIENCE;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::Command;

/// WSL's own translator of paths, which it puts into every distro.
const WSLPATH: &str = "/bin/wslpath";

/// Windows' own programs, where nearly every Windows has them.
const SYSTEM: &str = r"C:\Windows\System32";

/// Lines of Windows' own words that are passed on.
const WORDS_LINES: usize = 3;

/// Why Windows gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// WSL cannot start Windows programs.
    #[error(transparent)]
    Interop(#[from] InteropError),
    /// Who should answer cannot be run, or says no.
    #[error("{question}: {answer}")]
    Answer {
        /// What was run.
        question: String,
        /// What came of it.
        answer: String,
    },
}

/// Windows' folder for a user's local programs and data (`%LOCALAPPDATA%`), as this distro sees it.
pub(crate) async fn local_app_data() -> Result<PathBuf, QuestionError> {
    folder("%LOCALAPPDATA%").await
}

/// The folder that a variable of Windows names, as this distro sees it.
pub(crate) async fn folder(variable: &str) -> Result<PathBuf, QuestionError> {
    // As UTF-16 (/u), since a console's code page may lack the letters of the user's name; and without AutoRun (/d).
    let (question, output) = ask("cmd.exe", &["/d", "/u", "/c", "echo", variable]).await?;
    let text = utf16(&output.stdout);
    let path = text.trim();
    if !path.contains(r":\") {
        return Err(QuestionError::Answer { question, answer: format!("it said '{path}' ({})", told(&output)) });
    }
    translated("-u", path).await.map(PathBuf::from)
}

/// What `wsl.exe` says with these arguments.
pub(crate) async fn wsl(words: &[&str]) -> Result<String, QuestionError> {
    let (question, mut output) = ask("wsl.exe", words).await?;
    for stream in [&mut output.stdout, &mut output.stderr] {
        *stream = words_of_wsl(stream).into_bytes();
    }
    if !output.status.success() {
        return Err(QuestionError::Answer { question, answer: format!("{}: {}", output.status, told(&output)) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What another program of Windows' own says with these arguments.
pub(crate) async fn said(name: &str, words: &[&str]) -> Result<String, QuestionError> {
    let (question, output) = ask(name, words).await?;
    if !output.status.success() {
        return Err(QuestionError::Answer { question, answer: format!("{}: {}", output.status, told(&output)) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// wsl.exe writes UTF-16, or UTF-8 where the user has set WSL_UTF8=1. Every text of it has a line's end, which has a zero byte in UTF-16 only.
fn words_of_wsl(bytes: &[u8]) -> String {
    if bytes.contains(&0) { utf16(bytes) } else { String::from_utf8_lossy(bytes).into_owned() }
}

fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let text = String::from_utf16_lossy(&units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>());
    text.trim_start_matches('\u{feff}').to_owned()
}

/// Windows' own words for why it does not run a program, in its user's language; none where it does.
pub(crate) async fn refusal(program: &Path) -> Option<String> {
    let path = translated("-w", &program.display().to_string()).await.ok()?;
    let (_, output) = ask("cmd.exe", &["/d", "/c", &path, "--version"]).await.ok()?;
    (!output.status.success()).then(|| told(&output))
}

/// Runs one of Windows' own programs, and gives how that is called in an error.
async fn ask(name: &str, words: &[&str]) -> Result<(String, Output), QuestionError> {
    let program = of_system(name).await?;
    let question = format!("{} {}", program.display(), words.join(" "));
    let mut command = Command::new(&program);
    command.args(words);
    // In a folder of Windows' own: one of the distro's costs it seconds, and a complaint.
    if let Some(folder) = program.parent() {
        command.current_dir(folder);
    }
    interop::prepare(&mut command)?;
    let output = finish(command, &question).await?;
    Ok((question, output))
}

/// One of Windows' own programs, as this distro sees it: at its usual place, or else in `PATH`, to which WSL adds Windows' own.
async fn of_system(name: &str) -> Result<PathBuf, QuestionError> {
    let error = match translated("-u", &format!(r"{SYSTEM}\{name}")).await {
        Ok(path) if Path::new(&path).exists() => return Ok(path.into()),
        Ok(path) => QuestionError::Answer { question: path, answer: "there is no such file".to_owned() },
        Err(error) => error,
    };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.exists()).ok_or(error)
}

/// A path by the name that the distro (`-u`) or Windows (`-w`) has for it.
async fn translated(direction: &str, path: &str) -> Result<String, QuestionError> {
    let mut command = Command::new(WSLPATH);
    command.args([direction, path]);
    let question = format!("{WSLPATH} {direction} '{path}'");
    let output = finish(command, &question).await?;
    if !output.status.success() {
        return Err(QuestionError::Answer { question, answer: format!("{}: {}", output.status, told(&output)) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches(['\r', '\n']).to_owned())
}

async fn finish(mut command: Command, question: &str) -> Result<Output, QuestionError> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let answer = match tokio::time::timeout(WINDOWS_PATIENCE, command.output()).await {
        Ok(Ok(output)) => return Ok(output),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", WINDOWS_PATIENCE.as_secs()),
    };
    Err(QuestionError::Answer { question: question.to_owned(), answer })
}

/// The first lines of what a program says on standard error, or else on standard output.
pub(crate) fn told(output: &Output) -> String {
    let text = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let said = text.iter().find(|text| !text.trim().is_empty()).map_or("", |text| text);
    said.lines().map(str::trim).filter(|line| !line.is_empty()).take(WORDS_LINES).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wsl_is_understood_whichever_way_it_writes() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for text in ["Ubuntu\r\n", "WSL 版本： 2.5.9.0\r\n"] {
            assert_eq!(words_of_wsl(&wide(text)), text);
            assert_eq!(words_of_wsl(text.as_bytes()), text);
        }
        assert_eq!(words_of_wsl(&wide("\u{feff}Ubuntu\n")), "Ubuntu\n");
        assert_eq!(words_of_wsl(b""), "");
    }
}
