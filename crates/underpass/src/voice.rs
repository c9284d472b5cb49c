//! The language in which this process speaks to people: `--lang`, or else the environment's. It is
//! chosen once, before the command line is parsed, since help and mistakes are in it too.

use messages::{Language, reasons};
use std::ffi::OsString;
use std::sync::OnceLock;

static CHOSEN: OnceLock<Language> = OnceLock::new();

/// Chooses the language by the words of the command line and the environment.
pub(crate) fn choose(words: impl Iterator<Item = OsString>) -> Language {
    let of_environment = || Language::of_environment(|name| std::env::var(name).ok());
    *CHOSEN.get_or_init(|| of_words(words).unwrap_or_else(of_environment))
}

/// The language that was chosen; English where none was chosen, as in the processes of the gateway.
pub(crate) fn language() -> Language {
    CHOSEN.get().copied().unwrap_or_default()
}

/// An error and its causes in that language.
pub(crate) fn complaint(error: &anyhow::Error) -> String {
    reasons::in_words(&format!("{error:#}"), language()).into_owned()
}

/// What `--lang` says. clap rejects an unknown language.
fn of_words(words: impl Iterator<Item = OsString>) -> Option<Language> {
    let mut words = words.map(|word| word.to_string_lossy().into_owned()).skip(1);
    while let Some(word) = words.next() {
        match word.split_once('=') {
            _ if word == "--" => return None,
            Some(("--lang", language)) => return language.parse().ok(),
            _ if word == "--lang" => return words.next()?.parse().ok(),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_found_wherever_it_stands() {
        let of = |line: &str| of_words(line.split(' ').map(OsString::from));
        assert_eq!(of("underpass --lang zh status"), Some(Language::Chinese));
        assert_eq!(of("underpass status --json --lang=zh_CN"), Some(Language::Chinese));
        assert_eq!(of("underpass status --lang en"), Some(Language::English));
        assert_eq!(of("underpass status"), None);
        assert_eq!(of("underpass status -- --lang zh"), None);
        assert_eq!(of("underpass status --lang fr"), None);
        assert_eq!(of("underpass status --lang"), None);
    }
}
