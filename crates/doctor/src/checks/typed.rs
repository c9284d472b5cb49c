//! The name of this command in commands that people paste.

use crate::view::View;
use messages::quote::for_shell;

/// This command, as the user's shell finds it.
pub(super) fn own(view: &View<'_>) -> String {
    let program = &view.facts.program;
    if program.in_path { "underpass".to_owned() } else { own_as_root(view) }
}

/// This command after `sudo`, whose `secure_path` (sudoers(5)) need not name its folder.
pub(super) fn own_as_root(view: &View<'_>) -> String {
    let path = view.facts.program.path.as_str();
    if path.is_empty() { "underpass".to_owned() } else { for_shell(path).into_owned() }
}
