//! Reasons of failures in Chinese.
//!
//! An error becomes English text where it happens: logs and JSON are English, and a reason often
//! crosses from one process to another as text (the gateway's status, the relay's answers). So the
//! English text is the key here, as a message is for gettext: [`in_words`] finds the known text
//! that it was made from and says that in Chinese, with the same values. A text that is not known
//! stays as it is. A test of the command `underpass` compares the texts in the sources with these.

mod command;
mod selftest;
mod system;
mod tools;
mod tunnel;

use crate::{Language, Sentence, next_placeholder};
use std::borrow::Cow;

/// Makes a file's list of known reasons. A value is `{1}`, `{2}` and so on, in the order of the
/// English text.
macro_rules! reasons {
    ($($en:literal => $zh:literal;)+) => {
        /// What is known here.
        pub(super) static ALL: &[$crate::Sentence] =
            &[$($crate::Sentence { en: $en, zh: $zh }),+];
    };
}
use reasons;

/// Every known reason.
pub fn known() -> impl Iterator<Item = &'static Sentence> {
    of_this_project().chain(system::ALL)
}

/// Those that this project's own programs report.
pub fn of_this_project() -> impl Iterator<Item = &'static Sentence> {
    [command::ALL, selftest::ALL, tunnel::ALL, tools::ALL].into_iter().flatten()
}

/// The names of values that are reasons, so that they are said in the sentence's language.
pub(crate) const VALUES: [&str; 5] = ["detail", "error", "missing", "problem", "why"];

/// A reason in `language`: an error's text, or a chain of them with `: ` in between.
pub fn in_words(reason: &str, language: Language) -> Cow<'_, str> {
    match language {
        Language::English => reason.into(),
        Language::Chinese => in_chinese(reason).map_or(reason.into(), Into::into),
    }
}

fn in_chinese(reason: &str) -> Option<String> {
    if reason.is_empty() {
        return None;
    }
    whole(reason).or_else(|| of_system(reason)).or_else(|| chain(reason))
}

/// A text that is one of the known ones, the most specific of them. One whose first value is a
/// chain by itself has rather found a later link.
fn whole(reason: &str) -> Option<String> {
    let fitting = known().filter_map(|sentence| Some((sentence, values(sentence.en, reason)?)));
    let (sentence, values) = fitting.max_by_key(|(sentence, values)| {
        let letters: usize = literals(sentence.en).map(str::len).sum();
        (!values.first().is_some_and(|value| value.contains(": ")), letters)
    })?;
    let mut said = String::new();
    let mut rest = sentence.zh;
    while let Some((before, name, after)) = next_placeholder(rest) {
        said.push_str(before);
        let number: usize = name.parse().ok()?;
        let value = values.get(number.checked_sub(1)?)?;
        said.push_str(&in_words(value, Language::Chinese));
        rest = after;
    }
    Some(said + rest)
}

/// The texts between the values.
fn literals(pattern: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(pattern);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = next_placeholder(text);
        rest = found.map(|(_, _, after)| after);
        Some(found.map_or(text, |(before, _, _)| before))
    })
}

/// The values of a text that was made from `pattern`.
fn values<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut literals = literals(pattern).peekable();
    let mut rest = text.strip_prefix(literals.next()?)?;
    let mut values = Vec::new();
    while let Some(literal) = literals.next() {
        // The last text stands at the end, every other one where it is found first.
        let at = if literals.peek().is_none() {
            rest.ends_with(literal).then(|| rest.len() - literal.len())
        } else {
            rest.find(literal)
        }?;
        values.push(&rest[..at]);
        rest = &rest[at + literal.len()..];
    }
    rest.is_empty().then_some(values)
}

/// An error of the system, as the standard library writes it: words, and `(os error 13)`.
fn of_system(reason: &str) -> Option<String> {
    let (_, number) = reason.strip_suffix(')')?.rsplit_once(" (os error ")?;
    let words = match number.parse::<u32>().ok()? {
        1 => "不允许的操作",
        2 => "没有该文件或目录",
        4 => "系统调用被中断",
        5 => "输入或输出错误",
        6 | 19 => "没有该设备",
        8 => "可执行文件格式错误",
        11 => "资源暂时不可用",
        12 => "内存不足",
        13 => "权限不够",
        16 => "设备或资源忙",
        17 => "文件已存在",
        20 => "不是目录",
        21 => "是一个目录",
        22 => "参数无效",
        24 => "打开的文件过多",
        26 => "文件正在使用",
        27 => "文件过大",
        28 => "磁盘空间不足",
        30 => "只读文件系统",
        32 => "管道已断开",
        36 => "文件名过长",
        38 => "系统不支持该功能",
        39 => "目录不为空",
        40 => "符号链接层数过多",
        90 => "消息过长",
        95 => "不支持的操作",
        97 => "不支持的地址族",
        98 => "地址已被占用",
        99 | 10_049 => "地址不可用",
        100 | 10_050 => "网络已关闭",
        101 | 10_051 => "网络不可达",
        103 | 10_053 => "连接中止",
        104 | 10_054 => "连接被对方重置",
        105 | 10_055 => "缓冲区空间不足",
        110 | 10_060 => "连接超时",
        111 | 10_061 => "连接被拒绝",
        112 | 10_064 => "主机已关闭",
        113 | 10_065 => "主机不可达",
        11_001 => "找不到该主机",
        11_002 => "暂时无法解析域名",
        10_013 => "没有权限",
        _ => return None,
    };
    // One text before it: a chain is taken apart first.
    (!reason.contains(": ")).then(|| format!("{words}（错误码 {number}）"))
}

/// Texts with `: ` in between, of which at least one is known. A text may have a colon of its own:
/// the longest known beginning counts.
fn chain(reason: &str) -> Option<String> {
    let splits = || {
        let colons = reason.match_indices(": ");
        colons.map(|(at, colon)| (&reason[..at], &reason[at + colon.len()..]))
    };
    let begins = splits().collect::<Vec<_>>().into_iter().rev().find_map(|(first, rest)| {
        let known = whole(first).or_else(|| of_system(first))?;
        Some(format!("{known}：{}", in_words(rest, Language::Chinese)))
    });
    begins.or_else(|| {
        splits().find_map(|(first, rest)| Some(format!("{first}：{}", in_chinese(rest)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn chinese(reason: &str) -> Cow<'_, str> {
        in_words(reason, Language::Chinese)
    }

    #[test]
    fn a_known_reason_is_said_with_its_values() {
        assert_eq!(
            chinese("the relay has not said hello within 10 s"),
            "中继程序在 10 秒内没有完成握手"
        );
        assert_eq!(
            chinese(
                "the configuration file /etc/u.toml cannot be read: Permission denied (os error 13); check --config"
            ),
            "无法读取配置文件 /etc/u.toml：权限不够（错误码 13）；请检查 --config"
        );
    }

    #[test]
    fn a_chain_is_said_link_by_link() {
        assert_eq!(
            chinese("/etc/x cannot be read: No such file or directory (os error 2)"),
            "无法读取 /etc/x：没有该文件或目录（错误码 2）"
        );
        assert_eq!(chinese("git: standard output cannot be written"), "git：无法写入标准输出");
        assert_eq!(
            chinese(
                "'ftp://x' is not a proxy: 'ftp' is not supported for proxies: write http://HOST:PORT or socks5://HOST:PORT"
            ),
            "“ftp://x”不是代理：不支持协议“ftp”：请写成 http://主机:端口 或 socks5://主机:端口"
        );
        // An error that names its cause, and then the cause itself.
        let cause = "Permission denied (os error 13)";
        assert_eq!(
            chinese(&format!(
                "the configuration file /a cannot be read: {cause}; check --config: {cause}"
            )),
            "无法读取配置文件 /a：权限不够（错误码 13）；请检查 --config：权限不够（错误码 13）"
        );
    }

    #[test]
    fn the_proxys_answer_is_said_with_its_hint() {
        assert_eq!(
            chinese("the proxy answers 403 Forbidden: it does not allow this destination or port"),
            "代理返回 403 Forbidden：它不允许访问该目标或端口"
        );
        assert_eq!(
            chinese("the proxy answers: connection refused (code 5)"),
            "代理返回：连接被拒绝（代码 5）"
        );
        assert_eq!(
            chinese(
                "the other side does not speak HTTP but probably SOCKS5: write socks5:// instead of http://"
            ),
            "对方使用的不是 HTTP，可能是 SOCKS5：请把 http:// 改为 socks5://"
        );
    }

    #[test]
    fn an_unknown_reason_and_english_stay() {
        for text in ["", "x", "a: b: c", "12: 30 (os error x)", "odd (os error 99999)"] {
            assert_eq!(chinese(text), text);
        }
        let known = "the relay has not said hello within 10 s";
        assert_eq!(in_words(known, Language::English), known);
    }

    #[test]
    fn no_reason_stands_twice() {
        let mut seen = HashSet::new();
        for reason in known() {
            assert!(seen.insert(reason.en), "{}", reason.en);
        }
    }
}
