//! Runs the script that installs Underpass, for winget: it starts programs, and no script. The
//! script does all of the work; it lies beside this program in the archive of a release.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The script's name.
const SCRIPT: &str = "install.ps1";

/// Why it was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The script is missing.
    #[error(
        "{path} is not there: run this program from the unpacked archive of a release, \
         where {SCRIPT} lies beside it"
    )]
    NoScript {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder of this program, or Windows', is not known.
    #[error("{what} is not known: {source}")]
    Unknown {
        /// Which.
        what: &'static str,
        /// What Windows says.
        source: io::Error,
    },
    /// Windows does not start PowerShell.
    #[error(
        "{program} cannot be started: {source}. Open PowerShell yourself and run {SCRIPT}, \
         or unpack the package by wsl --install --from-file underpass.wsl"
    )]
    PowerShell {
        /// Its path.
        program: PathBuf,
        /// What Windows says.
        source: io::Error,
    },
}

/// Runs the script to its end. It prints by itself.
///
/// # Errors
/// See [`InstallError`].
pub fn install() -> Result<ExitStatus, InstallError> {
    let unknown = |what| move |source| InstallError::Unknown { what, source };
    let own = std::env::current_exe().map_err(unknown("the folder of this program"))?;
    let script = own.with_file_name(SCRIPT);
    if !script.is_file() {
        return Err(InstallError::NoScript { path: script });
    }
    let windows = std::env::var_os("SystemRoot").ok_or_else(|| io::ErrorKind::NotFound.into());
    let windows = windows.map_err(unknown("Windows' folder (%SystemRoot%)"))?;
    let (program, words) = command(Path::new(&windows), &script);
    Command::new(&program)
        .args(words)
        .status()
        .map_err(|source| InstallError::PowerShell { program, source })
}

/// Windows PowerShell, which each Windows has, and the words that have it run the script.
fn command(windows: &Path, script: &Path) -> (PathBuf, Vec<OsString>) {
    let program = windows.join(r"System32\WindowsPowerShell\v1.0\powershell.exe");
    // Windows marks what comes from the internet, and by default runs no such script.
    let words = ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];
    (program, words.map(OsString::from).into_iter().chain([script.into()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_own_powershell_runs_the_script_whatever_the_policy_for_downloads_is() {
        let script = Path::new(r"C:\Users\Anna Müller\AppData\Local\Temp\x\install.ps1");
        let (program, words) = command(Path::new(r"C:\Windows"), script);
        let place = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe";
        assert_eq!(program, Path::new(place));
        let wanted = ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];
        assert_eq!(words[..5], wanted);
        // One word, whatever blanks the path has: the standard library quotes it.
        assert_eq!(words[5..], [script.as_os_str()]);
    }
}
