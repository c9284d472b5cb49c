//! The Wine that runs Windows programs, and its features.

use crate::built::{programs, windows_relay, workspace};
use std::fs;
use std::path::PathBuf;

/// The variable that selects the Wine: unset for Debian's own, `newest` for that of
/// `scripts/wine-prefix --newest`.
const WINE_VARIABLE: &str = "UNDERPASS_WINE";

/// Whether the newest Wine runs Windows programs.
///
/// # Panics
/// The environment names an unknown Wine.
#[must_use]
pub fn newest_wine() -> bool {
    match std::env::var(WINE_VARIABLE).as_deref() {
        Err(_) | Ok("") => false,
        Ok("newest") => true,
        Ok(other) => panic!("{WINE_VARIABLE} is '{other}': it may be 'newest'"),
    }
}

/// Wine's loader and the server of a prefix, which ends all of its programs; and the prefix from
/// which each lab's is made. `UNDERPASS_WINE=newest` selects those of `scripts/wine-prefix
/// --newest`.
pub(crate) struct Wine {
    pub(crate) loader: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) template: PathBuf,
    /// The script that provides the prefix.
    script: &'static str,
}

impl Wine {
    pub(crate) fn chosen() -> Self {
        let target = workspace().join("target");
        let (programs, template, script) = if newest_wine() {
            let newest = target.join("wine-newest");
            (newest.join("bin"), newest.join("prefix"), "scripts/wine-prefix --newest")
        } else {
            // Debian keeps them outside of `PATH`.
            ("/usr/lib/wine".into(), target.join("wine-prefix"), "scripts/wine-prefix")
        };
        Self {
            loader: programs.join("wine64"),
            server: programs.join("wineserver64"),
            template,
            script,
        }
    }
}

/// Whether the Wine in use has a feature, according to `tests/interop/wine_has.c` in its prefix.
#[must_use]
pub fn wine_has(word: &str) -> bool {
    let words = fs::read_to_string(Wine::chosen().template.join("has")).unwrap_or_default();
    words.lines().any(|line| line == word)
}

/// Why no Windows program can be started on this machine, or `None` if it can.
#[must_use]
pub fn missing() -> Option<String> {
    let wine = Wine::chosen();
    let needed = [
        (wine.loader, "scripts/lab-deps tests"),
        (wine.template.join("has"), wine.script),
        (wine.template.join("powershell.exe"), wine.script),
        (windows_relay(), "scripts/build-relay-windows"),
        (programs().join("interop-init"), "scripts/static-cargo build --release --workspace"),
    ];
    let (path, script) = needed.into_iter().find(|(path, _)| !path.exists())?;
    Some(format!("{} does not exist; run {script}", path.display()))
}
