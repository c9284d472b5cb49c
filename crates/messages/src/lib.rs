//! What the commands tell people, in English and Simplified Chinese: each sentence's two halves
//! stand side by side, and nowhere else.
//!
//! A sentence that is in one language only does not compile, and one whose halves do not say the
//! same things fails this crate's test. Knows no output and nothing of what is told; who judges
//! makes a [`Text`], who prints chooses the [`Language`].
#![forbid(unsafe_code)]

use std::fmt;

/// A language that people read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// What the environment's variables ask for, as POSIX has it (XBD 8.2): the first of LC_ALL,
    /// LC_MESSAGES and LANG that is set and not empty decides; every Chinese locale gives
    /// Simplified Chinese, everything else English.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(variable)
            .find(|value| !value.is_empty());
        match locale {
            Some(locale) if is_chinese(&locale) => Self::Chinese,
            Some(_) | None => Self::English,
        }
    }
}

/// `zh`, `zh_CN.UTF-8`, `zh-Hans`; not the `zha` of Zhuang.
fn is_chinese(locale: &str) -> bool {
    locale.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("zh"))
        && !locale[2..].starts_with(|next: char| next.is_ascii_alphabetic())
}

impl std::str::FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, UnknownLanguage> {
        if is_chinese(name) {
            return Ok(Self::Chinese);
        }
        let plain = name.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("en"));
        if plain { Ok(Self::English) } else { Err(UnknownLanguage { name: name.to_owned() }) }
    }
}

/// There are no sentences in that language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no language {name:?} here: --lang takes en or zh")]
pub struct UnknownLanguage {
    /// What was asked for.
    pub name: String,
}

/// A sentence in both languages. `{name}` stands for a value; both halves have the same ones.
/// Braces have no other use.
#[derive(Debug, PartialEq, Eq)]
pub struct Sentence {
    /// In English.
    pub en: &'static str,
    /// In Simplified Chinese.
    pub zh: &'static str,
}

impl Sentence {
    /// The sentence without any value.
    #[must_use]
    pub const fn text(&'static self) -> Text {
        Text { sentence: self, values: Vec::new() }
    }

    /// The sentence with its first value; [`Text::with`] gives the others.
    #[must_use]
    pub fn with(&'static self, name: &'static str, value: impl fmt::Display) -> Text {
        self.text().with(name, value)
    }

    const fn half(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Chinese => self.zh,
        }
    }
}

/// A sentence with its values, not yet in a language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    sentence: &'static Sentence,
    values: Vec<(&'static str, String)>,
}

impl Text {
    /// One more value. A name that the sentence does not have is a mistake of the program, which
    /// debug builds do not let pass.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        debug_assert!(
            placeholders(self.sentence.en).any(|known| known == name),
            "no {{{name}}} in {:?}",
            self.sentence.en
        );
        self.values.push((name, value.to_string()));
        self
    }

    /// Which sentence this is.
    #[must_use]
    pub const fn sentence(&self) -> &'static Sentence {
        self.sentence
    }

    /// The sentence in `language`, its values filled in. A value that was not given stays as
    /// `{name}`.
    #[must_use]
    pub fn say(&self, language: Language) -> String {
        let mut said = String::new();
        let mut rest = self.sentence.half(language);
        while let Some((before, name, after)) = next_placeholder(rest) {
            said.push_str(before);
            match self.values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => said.push_str(value),
                None => said.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        said + rest
    }
}

/// What stands before the next `{name}`, the name, and what follows.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

fn placeholders(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (_, name, after) = next_placeholder(text)?;
        text = after;
        Some(name)
    })
}

/// Makes a module's sentences, each a constant with both halves, and a list of them all for the
/// test.
macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $zh:literal;)+) => {
        $($(#[$doc])* pub static $name: crate::Sentence = crate::Sentence { en: $en, zh: $zh };)+

        #[cfg(test)]
        pub(crate) static ALL: &[(&str, &crate::Sentence)] = &[$((stringify!($name), &$name)),+];
    };
}

mod printable;

pub use printable::{printable, printable_json, printable_line};

pub mod common;
pub mod doctor;
pub mod doctor_dns;
pub mod doctor_kernel;
pub mod doctor_network;
pub mod doctor_probes;
pub mod doctor_proxy;
pub mod doctor_wsl;
pub mod proxies;
pub mod quote;
pub mod settings;
pub mod verify;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every module of sentences.
    static MODULES: &[(&str, &[(&str, &Sentence)])] = &[
        ("common", common::ALL),
        ("doctor", doctor::ALL),
        ("doctor_dns", doctor_dns::ALL),
        ("doctor_kernel", doctor_kernel::ALL),
        ("doctor_network", doctor_network::ALL),
        ("doctor_probes", doctor_probes::ALL),
        ("doctor_proxy", doctor_proxy::ALL),
        ("doctor_wsl", doctor_wsl::ALL),
        ("proxies", proxies::ALL),
        ("settings", settings::ALL),
        ("verify", verify::ALL),
    ];

    fn is_han(letter: char) -> bool {
        ('\u{4e00}'..='\u{9fff}').contains(&letter)
    }

    /// What is wrong with a pair.
    fn faults(sentence: &Sentence) -> Vec<&'static str> {
        let names = |text| placeholders(text).collect::<BTreeSet<_>>();
        let mut faults = Vec::new();
        if sentence.en.trim().is_empty() || sentence.en.contains(is_han) {
            faults.push("no English half");
        }
        if !sentence.zh.contains(is_han) {
            faults.push("no Chinese half");
        }
        if names(sentence.en) != names(sentence.zh) {
            faults.push("the halves have other values");
        }
        if [sentence.en, sentence.zh]
            .iter()
            .any(|half| half.matches('{').count() != placeholders(half).count())
        {
            faults.push("a brace that is no value's");
        }
        faults
    }

    #[test]
    fn every_sentence_has_both_halves_with_the_same_values() {
        for (module, sentences) in MODULES {
            for (name, sentence) in *sentences {
                assert_eq!(faults(sentence), Vec::<&str>::new(), "{module}::{name}");
            }
        }
    }

    #[test]
    fn every_module_is_in_the_test_above() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
        let modules: BTreeSet<_> =
            files.map(|file| file.unwrap().path().file_stem().unwrap().to_owned()).collect();
        let known = MODULES
            .iter()
            .map(|(name, _)| std::ffi::OsString::from(name))
            .chain(["lib", "printable", "quote"].map(Into::into))
            .collect();
        assert_eq!(modules, known);
    }

    #[test]
    fn a_missing_half_is_found() {
        let pair = |en, zh| Sentence { en, zh };
        assert_eq!(faults(&pair("It works.", "")), ["no Chinese half"]);
        assert_eq!(faults(&pair("It works.", "It works.")), ["no Chinese half"]);
        assert_eq!(faults(&pair("", "正常。")), ["no English half"]);
        assert_eq!(faults(&pair("{a} works.", "正常。")), ["the halves have other values"]);
        assert_eq!(faults(&pair("It { works.", "正常。")), ["a brace that is no value's"]);
    }

    #[test]
    fn values_stand_where_each_language_wants_them() {
        static SENTENCE: Sentence = Sentence {
            en: "{server} answers in {time}.",
            zh: "在 {time} 内，{server} 作出了回答。",
        };
        let text = SENTENCE.with("server", "192.0.2.1").with("time", "3 ms");
        assert_eq!(text.say(Language::English), "192.0.2.1 answers in 3 ms.");
        assert_eq!(text.say(Language::Chinese), "在 3 ms 内，192.0.2.1 作出了回答。");
        assert_eq!(
            SENTENCE.with("time", "{server}").say(Language::English),
            "{server} answers in {server}."
        );
    }

    #[test]
    fn the_environment_chooses_as_posix_has_it() {
        let of = |set: &[(&str, &str)]| {
            Language::of_environment(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zha_CN")]), Language::English);
        assert_eq!("zh-CN".parse(), Ok(Language::Chinese));
        assert_eq!("en".parse(), Ok(Language::English));
        assert!("fr".parse::<Language>().is_err());
    }
}
