//! Why a relay for Windows ended, as far as its remains show. WSL itself reports little: except for
//! a missing file and missing rights, it calls every refusal of Windows 'Invalid argument'
//! (microsoft/WSL, src/windows/common/interop.cpp, `CreateProcess`).

use crate::limits::SHORT_LIFE;
use crate::program::Kind;
use crate::windows;
use std::path::Path;
use std::time::Duration;

/// The known facts of a relay that ended by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) program: &'a Path,
    /// The kind of its program at the start.
    pub(crate) kind: Kind,
    /// The last lines of its standard error, or interop's.
    pub(crate) words: &'a str,
    /// How long it lived.
    pub(crate) said_hello: bool,
    pub(crate) age: Duration,
}

/// The likely cause and what to try; `None` if its own words suffice.
pub(crate) async fn hint(ending: Ending<'_>) -> Option<String> {
    let failure = judge(ending, ending.program.exists(), std::env::consts::ARCH)?;
    let words = match failure {
        StartFailure::Refused | StartFailure::Processor(_) => {
            windows::refusal(ending.program).await
        }
        StartFailure::Taken | StartFailure::Elevation | StartFailure::EndedFromOutside => None,
    };
    let own = words.map_or_else(String::new, |words| format!(" (Windows' own words: '{words}')"));
    Some(failure.text(&ending.program.display().to_string(), &own))
}

/// The cause of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StartFailure {
    /// The file is gone.
    Taken,
    /// Windows wants an administrator for it.
    Elevation,
    /// It is built for this processor, and the machine has another.
    Processor(&'static str),
    /// Windows does not start it.
    Refused,
    /// It ran for a moment and ended without a message.
    EndedFromOutside,
}

fn judge(ending: Ending<'_>, is_there: bool, machine: &str) -> Option<StartFailure> {
    let Kind::Windows(processor) = ending.kind else { return None };
    let last = ending.words.lines().last().unwrap_or_default();
    if !ending.said_hello && last.ends_with(": Permission denied") {
        return Some(StartFailure::Elevation);
    }
    if !ending.said_hello
        && [": Invalid argument", ": No such file or directory"]
            .iter()
            .any(|end| last.ends_with(end))
    {
        return Some(match processor {
            _ if !is_there => StartFailure::Taken,
            Some(processor) if processor != machine => StartFailure::Processor(processor),
            _ => StartFailure::Refused,
        });
    }
    if !ending.words.is_empty() || ending.age >= SHORT_LIFE {
        return None;
    }
    Some(if is_there { StartFailure::EndedFromOutside } else { StartFailure::Taken })
}

impl StartFailure {
    fn text(self, program: &str, own: &str) -> String {
        const ALLOW: &str = "look at the antivirus program's history (Windows Security: Protection \
                             history) and have the file or its folder allowed";
        match self {
            Self::Taken => {
                format!("{program} is gone: an antivirus program took it, most likely; {ALLOW}")
            }
            Self::Elevation => format!(
                "Windows runs {program} for administrators only: in the file's properties, under \
                 Compatibility, 'Run this program as an administrator' must be off"
            ),
            Self::Processor(processor) => format!(
                "{program} is built for {processor}, and this machine is {}{own}: Windows on Arm \
                 runs x86_64 programs from Windows 11 on, and no Windows runs aarch64 programs \
                 elsewhere",
                std::env::consts::ARCH
            ),
            Self::Refused => format!(
                "Windows refuses to start {program}{own}: a policy that allows programs in certain \
                 folders only (AppLocker, App Control) does that, and so do antivirus programs; \
                 have it allowed, or copy it to a folder that is, and give that with --relay. On \
                 Windows 11 Smart App Control blocks programs without a signature, wherever they \
                 are, and makes no exception for one: see Settings > Privacy & security > Windows \
                 Security > App & browser control > Smart App Control"
            ),
            Self::EndedFromOutside => format!(
                "it was ended from outside, and said nothing; if that happens again it is an \
                 antivirus program, most likely: {ALLOW} ({program})"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died() -> Ending<'static> {
        Ending {
            program: Path::new("/mnt/c/r.exe"),
            kind: Kind::Windows(Some("x86_64")),
            words: "",
            said_hello: true,
            age: Duration::from_secs(5),
        }
    }

    #[test]
    fn each_end_has_its_cause() {
        let refused =
            Ending { words: "x\n/mnt/c/r.exe: Invalid argument", said_hello: false, ..died() };
        let elevation = Ending { words: "/mnt/c/r.exe: Permission denied", ..refused };
        let missing = Ending { words: "/mnt/c/r.exe: No such file or directory", ..refused };
        for (ending, is_there, machine, failure) in [
            (refused, true, "x86_64", Some(StartFailure::Refused)),
            (refused, true, "aarch64", Some(StartFailure::Processor("x86_64"))),
            (refused, false, "aarch64", Some(StartFailure::Taken)),
            (
                Ending { kind: Kind::Windows(None), ..refused },
                true,
                "x86_64",
                Some(StartFailure::Refused),
            ),
            (
                Ending { kind: Kind::Windows(Some("aarch64")), ..refused },
                true,
                "x86_64",
                Some(StartFailure::Processor("aarch64")),
            ),
            (elevation, true, "x86_64", Some(StartFailure::Elevation)),
            (missing, false, "x86_64", Some(StartFailure::Taken)),
            (died(), true, "x86_64", Some(StartFailure::EndedFromOutside)),
            (
                Ending { said_hello: false, ..died() },
                true,
                "x86_64",
                Some(StartFailure::EndedFromOutside),
            ),
            (died(), false, "x86_64", Some(StartFailure::Taken)),
            // Its own words suffice, and so does a long life.
            (Ending { words: "panicked at …: Invalid argument", ..died() }, true, "x86_64", None),
            (
                Ending { words: "underpass-relay: no such option", said_hello: false, ..died() },
                true,
                "x86_64",
                None,
            ),
            (Ending { age: SHORT_LIFE, ..died() }, true, "x86_64", None),
            (Ending { kind: Kind::Linux(Some("x86_64")), ..died() }, true, "x86_64", None),
            (Ending { kind: Kind::Other, ..refused }, true, "x86_64", None),
        ] {
            assert_eq!(
                judge(ending, is_there, machine),
                failure,
                "{ending:?} {is_there} {machine}"
            );
        }
    }

    #[tokio::test]
    async fn a_failure_names_the_file_the_cause_and_what_to_try() {
        let said = hint(died()).await.unwrap();
        assert!(
            ["/mnt/c/r.exe is gone", "antivirus", "Protection history"]
                .iter()
                .all(|part| said.contains(part)),
            "{said}"
        );
        let said = StartFailure::Refused.text("r.exe", " (Windows' own words: 'no')");
        assert!(
            [
                "r.exe (Windows' own words: 'no'): a policy",
                "AppLocker",
                "--relay",
                "App & browser control > Smart App Control"
            ]
            .iter()
            .all(|part| said.contains(part)),
            "{said}"
        );
    }
}
