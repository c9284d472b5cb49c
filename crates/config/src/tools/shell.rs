//! Lines that a shell evaluates to set its proxy variables, and to restore their former values.
//!
//! The former values lie in a variable of the shell itself ([`MEMORY`]), so each shell undoes its
//! own changes, and no file keeps anything.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Remembers, while a proxy is on, what the variables were before and what they were set to.
pub const MEMORY: &str = "UNDERPASS_PROXY_BEFORE";

/// The variables by which programs find a proxy; each is read by some programs in the one case
/// only, by some in the other.
pub const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that list the exceptions.
pub const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// How a shell writes things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// bash, zsh, dash and other shells with POSIX' `export`.
    Posix,
    /// fish.
    Fish,
}

/// An unknown shell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown shell '{name}': --shell takes bash, zsh, sh or fish")]
pub struct UnknownShell {
    /// Its name.
    pub name: String,
}

impl std::str::FromStr for Syntax {
    type Err = UnknownShell;

    /// By the name of the program, or its path; `-bash` is a login shell's name.
    fn from_str(name: &str) -> Result<Self, UnknownShell> {
        let program = name.rsplit('/').next().unwrap_or(name).trim_start_matches('-');
        match program {
            "bash" | "zsh" | "sh" | "dash" | "ash" | "ksh" | "mksh" | "busybox" | "posix" => {
                Ok(Self::Posix)
            }
            "fish" => Ok(Self::Fish),
            _ => Err(UnknownShell { name: program.to_owned() }),
        }
    }
}

impl Syntax {
    /// Each line ends with a semicolon, so that a shell that joins lines (`eval` of fish's lists)
    /// takes them too.
    fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Posix => format!("export {name}={};\n", self.quote(value)),
            Self::Fish => format!("set -gx {name} {};\n", self.quote(value)),
        }
    }

    fn unset(self, name: &str) -> String {
        match self {
            Self::Posix => format!("unset {name};\n"),
            Self::Fish => format!("set -ge {name};\n"),
        }
    }

    /// Between single quotes only the quote itself has a meaning, and in fish the backslash.
    fn quote(self, value: &str) -> String {
        let mut quoted = "'".to_owned();
        for letter in value.chars() {
            match (self, letter) {
                (Self::Posix, '\'') => quoted.push_str(r"'\''"),
                (Self::Fish, '\'' | '\\') => quoted.extend(['\\', letter]),
                (Self::Posix | Self::Fish, letter) => quoted.push(letter),
            }
        }
        quoted.push('\'');
        quoted
    }
}

/// Definitions of `proxy_on`, `proxy_off` and `proxy_test`, which hand their words on to `program`.
/// A shell's variables change only where the program succeeds.
#[must_use]
pub fn functions(syntax: Syntax, program: &str) -> String {
    let program = syntax.quote(program);
    match syntax {
        Syntax::Posix => format!(
            "proxy_on() {{ __underpass=$({program} proxy on --shell sh \"$@\") && eval \
             \"$__underpass\"; }};\n\
             proxy_off() {{ __underpass=$({program} proxy off --shell sh \"$@\") && eval \
             \"$__underpass\"; }};\n\
             proxy_test() {{ {program} proxy test \"$@\"; }};\n"
        ),
        Syntax::Fish => format!(
            "function proxy_on; {program} proxy on --shell fish $argv | source; return \
             $pipestatus[1]; end;\n\
             function proxy_off; {program} proxy off --shell fish $argv | source; return \
             $pipestatus[1]; end;\n\
             function proxy_test; {program} proxy test $argv; end;\n"
        ),
    }
}

/// The old values of a shell's variables, and the values that replaced them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    before: BTreeMap<String, String>,
    set: BTreeMap<String, String>,
}

impl Memory {
    /// The record in the shell's environment, if a proxy is on.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        serde_json::from_str(&variable(MEMORY)?).ok()
    }

    /// Whether the variable still has the value that a proxy that is on has given it.
    pub fn has_set(&self, name: &str, value: &str) -> bool {
        self.set.get(name).is_some_and(|set| set == value)
    }

    /// The variable's value before a proxy was switched on, given its present value: never ours.
    pub fn before(&self, name: &str, now: Option<String>) -> Option<String> {
        if now.is_some() && now.as_ref() == self.set.get(name) {
            self.before.get(name).cloned()
        } else {
            now
        }
    }
}

/// Lines that switch the proxy on.
pub fn on(
    syntax: Syntax,
    url: &str,
    exceptions: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> String {
    let earlier = Memory::of(&variable).unwrap_or_default();
    let (mut memory, mut lines) = (Memory::default(), String::new());
    let values = PROXIES
        .map(|name| (name, url))
        .into_iter()
        .chain(EXCEPTIONS.map(|name| (name, exceptions)));
    for (name, value) in values {
        if let Some(before) = earlier.before(name, variable(name)) {
            memory.before.insert(name.to_owned(), before);
        }
        memory.set.insert(name.to_owned(), value.to_owned());
        lines += &syntax.set(name, value);
    }
    // Maps of strings always have a JSON form.
    let memory = serde_json::to_string(&memory).unwrap_or_default();
    lines + &syntax.set(MEMORY, &memory)
}

/// Lines that give back what was there before, and what they leave alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Off {
    /// For the shell.
    pub lines: String,
    /// Variables that another program or the user has changed since: they stay as they are.
    pub left: Vec<&'static str>,
}

/// Lines that switch the proxy off; `None` if it was not switched on in this shell.
pub fn off(syntax: Syntax, variable: impl Fn(&str) -> Option<String>) -> Option<Off> {
    let memory = Memory::of(&variable)?;
    let mut off = Off::default();
    for name in PROXIES.into_iter().chain(EXCEPTIONS) {
        let now = variable(name);
        if now.as_ref() != memory.set.get(name) {
            off.left.push(name);
            continue;
        }
        off.lines += &memory
            .before
            .get(name)
            .map_or_else(|| syntax.unset(name), |value| syntax.set(name, value));
    }
    off.lines += &syntax.unset(MEMORY);
    Some(off)
}

/// Lines that unset every proxy variable, also those that others set.
#[must_use]
pub fn off_all(syntax: Syntax) -> String {
    let mut lines = String::new();
    for name in PROXIES.into_iter().chain(EXCEPTIONS).chain([MEMORY]) {
        lines += &syntax.unset(name);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:7890";

    /// The variables of a POSIX shell after these lines, which have no quotes in values.
    fn evaluate(variables: &BTreeMap<String, String>, lines: &str) -> BTreeMap<String, String> {
        let mut after = variables.clone();
        for line in lines.lines() {
            let line = line.strip_suffix(';').unwrap();
            if let Some(name) = line.strip_prefix("unset ") {
                after.remove(name);
            } else {
                let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
                after.insert(name.to_owned(), value.trim_matches('\'').to_owned());
            }
        }
        after
    }

    fn variables(set: &[(&str, &str)]) -> BTreeMap<String, String> {
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn off_gives_back_what_was_there_however_often_it_was_on() {
        let before =
            variables(&[("http_proxy", "http://old:1"), ("NO_PROXY", ""), ("PATH", "/bin")]);
        let mut now = before.clone();
        for url in [URL, "socks5://other:1080", URL] {
            now =
                evaluate(&now, &on(Syntax::Posix, url, "localhost", |name| now.get(name).cloned()));
            for name in PROXIES {
                assert_eq!(now[name], url);
            }
            for name in EXCEPTIONS {
                assert_eq!(now[name], "localhost");
            }
        }
        let off = off(Syntax::Posix, |name| now.get(name).cloned()).unwrap();
        assert_eq!((evaluate(&now, &off.lines), off.left), (before, vec![]));
    }

    #[test]
    fn what_was_changed_since_stays() {
        let start = variables(&[("http_proxy", "http://old:1")]);
        let mut now =
            evaluate(&start, &on(Syntax::Posix, URL, "localhost", |name| start.get(name).cloned()));
        now.insert("http_proxy".into(), "http://mine:1".into());
        now.remove("all_proxy");
        let off_now = off(Syntax::Posix, |name| now.get(name).cloned()).unwrap();
        assert_eq!(off_now.left, ["http_proxy", "all_proxy"]);
        assert_eq!(evaluate(&now, &off_now.lines), variables(&[("http_proxy", "http://mine:1")]));
        // Switched on again, the change is what was before.
        now =
            evaluate(&now, &on(Syntax::Posix, "http://third:1", "", |name| now.get(name).cloned()));
        let off_again = off(Syntax::Posix, |name| now.get(name).cloned()).unwrap();
        assert_eq!(evaluate(&now, &off_again.lines), variables(&[("http_proxy", "http://mine:1")]));
        assert_eq!(off(Syntax::Posix, |_| None), None);
        assert_eq!(off_all(Syntax::Fish).matches("set -ge ").count(), 9);
    }

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(Syntax::Posix.set("A", "it's; $(rm) \\"), "export A='it'\\''s; $(rm) \\';\n");
        assert_eq!(Syntax::Fish.set("A", "it's; (rm) \\"), "set -gx A 'it\\'s; (rm) \\\\';\n");
    }

    #[test]
    fn shells_by_their_names() {
        for (name, syntax) in
            [("/usr/bin/zsh", Syntax::Posix), ("-bash", Syntax::Posix), ("fish", Syntax::Fish)]
        {
            assert_eq!(name.parse(), Ok(syntax));
        }
        assert!("/bin/tcsh".parse::<Syntax>().unwrap_err().to_string().contains("tcsh"));
    }
}
