//! The commands' sentences for people, in English and Simplified Chinese. The two halves of each
//! sentence stand side by side, and nowhere else.
//!
//! A sentence in only one language does not compile. A sentence whose halves have different values
//! fails this crate's test, and so does a Chinese half with English prose in it. This crate knows
//! no output: the code that judges makes a [`Text`], and the code that prints chooses the
//! [`Language`]. Reasons that arrive as English text are said in Chinese by [`reasons`].
#![forbid(unsafe_code)]

use std::borrow::Cow;
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
    /// The language that the environment chooses. The first of LC_ALL, LC_MESSAGES and LANG that is
    /// set and not empty is the locale (POSIX, XBD 8.2). LANGUAGE is a list that takes precedence,
    /// unless the locale is missing or `C` (GNU gettext manual, "The LANGUAGE variable"). Every
    /// Chinese locale selects Simplified Chinese; all others select English.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let Some(locale) = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set) else {
            return Self::English;
        };
        if matches!(locale.split('.').next(), Some("C" | "POSIX")) {
            return Self::English;
        }
        match set("LANGUAGE") {
            Some(list) => list.split(':').find_map(|one| one.parse().ok()).unwrap_or(Self::English),
            None if is_chinese(&locale) => Self::Chinese,
            None => Self::English,
        }
    }

    /// What separates the items of a list.
    #[must_use]
    pub const fn comma(self) -> &'static str {
        match self {
            Self::English => ", ",
            Self::Chinese => "、",
        }
    }

    /// A text in brackets after another one.
    #[must_use]
    pub fn aside(self, text: &str) -> String {
        match self {
            Self::English => format!(" ({text})"),
            Self::Chinese => format!("（{text}）"),
        }
    }

    /// What stands between a subject and what is said about it.
    #[must_use]
    pub const fn colon(self) -> &'static str {
        match self {
            Self::English => ": ",
            Self::Chinese => "：",
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
#[error("unknown language {name:?}: --lang takes en or zh")]
pub struct UnknownLanguage {
    /// What was asked for.
    pub name: String,
}

/// The names of values that are lists, whose commas are those of the sentence's language.
const LISTS: [&str; 13] = [
    "addresses",
    "distros",
    "keys",
    "links",
    "names",
    "own",
    "routes",
    "sections",
    "servers",
    "shared",
    "takes",
    "variables",
    "windows",
];

/// The names of values that are WSL's networking modes.
const MODES: [&str; 2] = ["asked", "mode"];

/// A networking mode as people write it; any other value stays.
fn mode_in_words(mode: &str, language: Language) -> &str {
    match (mode, language) {
        ("nat", _) => "NAT",
        ("mirrored", Language::Chinese) => "镜像",
        ("bridged", Language::Chinese) => "桥接",
        ("unknown", Language::Chinese) => "未知",
        _ => mode,
    }
}

/// Whether this is a Chinese character. There are no blanks between those.
fn is_han(letter: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&letter)
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

    /// The sentence as it is written, for one without values.
    #[must_use]
    pub const fn half(&self, language: Language) -> &'static str {
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
            rest = after;
            match self.values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) if MODES.contains(&name) => {
                    let mode = mode_in_words(value, language);
                    // The sentences have blanks for a mode in Latin letters.
                    if mode.contains(is_han) {
                        said.truncate(said.trim_end_matches(' ').len());
                        rest = after.trim_start_matches(' ');
                    }
                    said.push_str(mode);
                }
                Some((_, value)) => said.push_str(&in_language(name, value, language)),
                None => said.extend(["{", name, "}"]),
            }
        }
        said + rest
    }
}

/// A value as it stands in a sentence: reasons and commas in the sentence's language.
fn in_language<'a>(name: &str, value: &'a str, language: Language) -> Cow<'a, str> {
    if reasons::VALUES.contains(&name) {
        reasons::in_words(value, language)
    } else if language == Language::Chinese && LISTS.contains(&name) {
        value.replace(Language::English.comma(), language.comma()).into()
    } else {
        value.into()
    }
}

/// The text before the next `{name}`, the name, and the text after it.
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
/// test. The English half documents a constant; a comment says only what name and sentence do not,
/// such as its values. The name of a fault's title has no ending; `_SEEN`, `_CAUSE` and `_FIX` mark
/// the other sentences about the fault.
macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $zh:literal;)+) => {
        $(
            $(#[$doc])*
            #[doc = concat!("```text\n", $en, "\n```")]
            pub static $name: crate::Sentence = crate::Sentence { en: $en, zh: $zh };
        )+

        #[cfg(test)]
        pub(crate) static ALL: &[(&str, &crate::Sentence)] = &[$((stringify!($name), &$name)),+];
    };
}

mod columns;
mod printable;

pub use columns::{columns, padded, wrapped};
pub use printable::{printable, printable_json, printable_line};

pub mod command;
pub mod common;
pub mod doctor;
pub mod doctor_dns;
pub mod doctor_kernel;
pub mod doctor_network;
pub mod doctor_probes;
pub mod doctor_proxy;
pub mod doctor_wsl;
pub mod help;
pub mod proxies;
pub mod quote;
pub mod reasons;
pub mod selftest;
pub mod settings;
pub mod status;
pub mod usage;
pub mod verify;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every module of sentences.
    static MODULES: &[(&str, &[(&str, &Sentence)])] = &[
        ("command", command::ALL),
        ("common", common::ALL),
        ("doctor", doctor::ALL),
        ("doctor_dns", doctor_dns::ALL),
        ("doctor_kernel", doctor_kernel::ALL),
        ("doctor_network", doctor_network::ALL),
        ("doctor_probes", doctor_probes::ALL),
        ("doctor_proxy", doctor_proxy::ALL),
        ("doctor_wsl", doctor_wsl::ALL),
        ("proxies", proxies::ALL),
        ("selftest", selftest::ALL),
        ("settings", settings::ALL),
        ("status", status::ALL),
        ("usage", usage::ALL),
        ("verify", verify::ALL),
    ];

    /// Names of more than two words.
    const PRODUCTS: [&str; 3] =
        ["Smart App Control", "Global Secure Access", "Windows Subsystem for"];

    /// What people write with a colon of ASCII in Chinese too.
    const PLACES: [&str; 5] =
        ["用户名:密码@主机:端口", "用户名:密码@主机", "主机[:端口]", "主机:端口", "git@主机:…"];

    /// A Chinese text's prose: without commands in back quotes and names of products.
    fn prose(chinese: &str) -> String {
        let outside = chinese.split('`').step_by(2).collect::<Vec<_>>().join("；");
        PRODUCTS.iter().chain(&PLACES).fold(outside, |text, name| text.replace(name, "；"))
    }

    /// Three English words in a row that are not a command, path, option or name of a product.
    fn english_in(chinese: &str) -> Option<String> {
        let text = prose(chinese);
        let mut run: Vec<&str> = Vec::new();
        for word in text
            .split(|letter: char| !letter.is_ascii())
            .flat_map(|part| part.split_whitespace().chain(std::iter::once(".")))
        {
            if word.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '\'') {
                run.push(word);
                if run.len() == 3 {
                    return Some(run.join(" "));
                }
            } else {
                run.clear();
            }
        }
        None
    }

    /// Punctuation of ASCII beside a Chinese character.
    fn narrow_in(chinese: &str) -> Option<String> {
        let letters: Vec<char> = prose(chinese).chars().collect();
        let wide = |letter: &char| is_han(*letter) || "，。：；、）（”“？".contains(*letter);
        letters.windows(2).find_map(|pair| {
            let is_narrow = (is_han(pair[0]) && ",;:()?!".contains(pair[1]))
                || (",;:()?!".contains(pair[0]) && wide(&pair[1]));
            is_narrow.then(|| pair.iter().collect())
        })
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
            faults.push("a brace without a value");
        }
        if english_in(sentence.zh).is_some() {
            faults.push("English prose in the Chinese half");
        }
        if narrow_in(sentence.zh).is_some() {
            faults.push("narrow punctuation in the Chinese half");
        }
        faults
    }

    #[test]
    fn every_sentence_has_both_halves_with_the_same_values() {
        let of_modules =
            MODULES.iter().flat_map(|(_, sentences)| sentences.iter()).map(|(_, one)| *one);
        let all = of_modules.chain(reasons::known()).chain(help::all());
        let faulty: Vec<_> = all
            .map(|sentence| (faults(sentence), sentence))
            .filter(|(faults, _)| !faults.is_empty())
            .collect();
        assert!(faulty.is_empty(), "{faulty:#?}");
    }

    #[test]
    fn every_module_is_in_the_test_above() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
        let modules: BTreeSet<_> =
            files.map(|file| file.unwrap().path().file_stem().unwrap().to_owned()).collect();
        let known = MODULES
            .iter()
            .map(|(name, _)| std::ffi::OsString::from(name))
            .chain(["columns", "help", "lib", "printable", "quote", "reasons"].map(Into::into))
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
        assert_eq!(faults(&pair("It { works.", "正常。")), ["a brace without a value"]);
    }

    #[test]
    fn english_prose_and_narrow_punctuation_in_chinese_are_found() {
        let zh = |zh| faults(&Sentence { en: "x", zh });
        assert_eq!(zh("失败：connection was refused"), ["English prose in the Chinese half"]);
        assert_eq!(zh("失败,请重试"), ["narrow punctuation in the Chinese half"]);
        assert_eq!(zh("失败(重试)"), ["narrow punctuation in the Chinese half"]);
        for fine in [
            "请执行 `git pull now please`。",
            "打开智能应用控制（Smart App Control）。",
            "形式为 http://主机:端口 或 /etc/a b=c --opt word。",
            "Clash Verge 与 Docker Desktop。",
        ] {
            assert_eq!(zh(fine), Vec::<&str>::new(), "{fine}");
        }
    }

    #[test]
    fn reasons_and_lists_are_said_in_the_sentences_language() {
        static SENTENCE: Sentence = Sentence { en: "{names}: {why}", zh: "名称{names}：{why}" };
        let text = SENTENCE.with("names", "a, b").with("why", "Permission denied (os error 13)");
        assert_eq!(text.say(Language::English), "a, b: Permission denied (os error 13)");
        assert_eq!(text.say(Language::Chinese), "名称a、b：权限不够（错误码 13）");
    }

    #[test]
    fn each_list_has_the_sentences_commas() {
        let said = |text: Text| text.say(Language::Chinese);
        let moved = settings::WRONG_SECTION_FIX.with("key", "a").with("sections", "[b], [c]");
        assert_eq!(said(moved), "请将 a 移到 [b]、[c]。");
        let value = settings::BAD_VALUE_FIX.with("takes", "nat, mirrored");
        assert_eq!(said(value), "请设为 WSL 接受的值：nat、mirrored");
        let proxy = verify::PROXY.with("variables", "http_proxy, https_proxy");
        assert_eq!(said(proxy), "http_proxy、https_proxy 指定的代理");
    }

    #[test]
    fn networking_modes_have_the_names_that_people_use() {
        let said = |mode, language| settings::EXPLAIN_NOW.with("mode", mode).say(language);
        for (mode, en, zh) in [
            ("nat", "NAT", " NAT "),
            ("mirrored", "mirrored", "镜像"),
            ("bridged", "bridged", "桥接"),
            ("virtioproxy", "virtioproxy", " virtioproxy "),
        ] {
            let english = format!("With the current settings, WSL uses {en} mode.");
            assert_eq!(said(mode, Language::English), english);
            let chinese = format!("按当前设置，WSL 使用{zh}模式。");
            assert_eq!(said(mode, Language::Chinese), chinese);
        }
        let differs = verify::MODE_DIFFERS.with("asked", "mirrored").with("mode", "nat");
        assert_eq!(differs.say(Language::Chinese), ".wslconfig 设置的是镜像，实际生效的是 NAT");
        // A protocol is also a value named `asked`.
        let protocol = doctor_proxy::PROTOCOL_SEEN.with("asked", "SOCKS5");
        assert_eq!(protocol.say(Language::Chinese), "端口是开放的，但不支持 SOCKS5 协议。");
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
    fn the_environment_chooses_as_posix_and_gettext_say() {
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
        assert_eq!(of(&[("LANG", "zh_TW")]), Language::Chinese);
        let list = |list, lang| of(&[("LANGUAGE", list), ("LANG", lang)]);
        assert_eq!(list("zh_CN:en", "en_US.UTF-8"), Language::Chinese);
        assert_eq!(list("en:zh", "zh_CN.UTF-8"), Language::English);
        assert_eq!(list("de:zh_TW", "de_DE.UTF-8"), Language::Chinese);
        assert_eq!(list("de", "zh_CN.UTF-8"), Language::English);
        assert_eq!(list("", "zh_CN.UTF-8"), Language::Chinese);
        // Without a locale, or with the locale C, LANGUAGE does not count.
        assert_eq!(list("zh_CN", "C.UTF-8"), Language::English);
        assert_eq!(of(&[("LANGUAGE", "zh_CN")]), Language::English);
        assert_eq!("zh-CN".parse(), Ok(Language::Chinese));
        assert_eq!("en".parse(), Ok(Language::English));
        assert!("fr".parse::<Language>().is_err());
    }
}
