//! The name of this command in commands that people paste.

use crate::view::View;
use messages::quote::for_shell;

/// This command, as the user's shell finds it.
pub(super) fn own(view: &View<'_>) -> String {
    let program = &view.facts.program;
    if program.in_path || program.path.is_empty() {
        return "underpass".to_owned();
    }
    for_shell(&program.path).into_owned()
}

/// The folder that the gateway publishes for other distros. Until a gateway has run, any user can
/// put a program there, so root runs none of it (docs/security.md).
const PUBLISHED: &str = "/mnt/wsl/";

/// Makes a copy that root may run, as docs/install.md does.
const COPY: &str = "wsl.exe -d underpass --exec /bin/cat /usr/bin/underpass > ~/underpass.new\n\
                    sudo install -m 755 ~/underpass.new /usr/local/bin/underpass\n";

/// Command lines that run this command as root, with these words. `sudo`'s `secure_path`
/// (sudoers(5)) need not name its folder, so its path is given.
pub(super) fn as_root(view: &View<'_>, words: &str) -> String {
    as_root_with(view, "", "", words)
}

/// The same with an assignment before `sudo`, and options of it.
pub(super) fn as_root_with(view: &View<'_>, before: &str, options: &str, words: &str) -> String {
    let path = view.facts.program.path.as_str();
    let (copy, program) = if path.starts_with(PUBLISHED) {
        (COPY, "/usr/local/bin/underpass".into())
    } else {
        ("", if path.is_empty() { "underpass".into() } else { for_shell(path) })
    };
    format!("{copy}{before}sudo{options} {program} {words}")
}
