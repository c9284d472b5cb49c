//! The commands by which some tools change their own settings.

use super::{Surroundings, Tool};

/// A tool's command that sets a key of the user's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCommand {
    before: &'static [&'static str],
}

impl OwnCommand {
    /// The tool's, if it has one.
    #[must_use]
    pub const fn of(tool: Tool, surroundings: &Surroundings<'_>) -> Option<Self> {
        let before: &[&str] = match tool {
            // With several values of a key git would refuse to replace one.
            Tool::Git => &["config", "--global", "--replace-all"],
            Tool::Npm => &["config", "set"],
            Tool::Yarn if surroundings.has_new_yarn => &["config", "set", "--home"],
            Tool::Yarn => &["config", "set"],
            Tool::Pip => &["config", "--user", "set"],
            Tool::Environment
            | Tool::Apt
            | Tool::Docker
            | Tool::Curl
            | Tool::Wget
            | Tool::Cargo
            | Tool::Ssh => return None,
        };
        Some(Self { before })
    }

    /// Its words after the program's name. They appear in the machine's list of processes, so no
    /// password may be among them.
    #[must_use]
    pub fn words<'a>(&self, key: &'a str, value: &'a str) -> Vec<&'a str> {
        self.before.iter().copied().chain([key, value]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn tools_with_a_command_are_asked_by_it() {
        let words = |tool, has_new_yarn| {
            let (variable, exists) = (|_: &str| None, |_: &Path| false);
            let surroundings = Surroundings {
                home: Path::new("/h"),
                variable: &variable,
                exists: &exists,
                is_root: false,
                has_new_yarn,
            };
            OwnCommand::of(tool, &surroundings).map(|command| command.words("k", "v").join(" "))
        };
        assert_eq!(words(Tool::Git, false).as_deref(), Some("config --global --replace-all k v"));
        assert_eq!(words(Tool::Pip, false).as_deref(), Some("config --user set k v"));
        assert_eq!(words(Tool::Yarn, false).as_deref(), Some("config set k v"));
        assert_eq!(words(Tool::Yarn, true).as_deref(), Some("config set --home k v"));
        assert_eq!(words(Tool::Apt, false), None);
    }
}
