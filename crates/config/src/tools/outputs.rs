//! Parses tools' own output about their settings, and files of a form that only one tool has.

use crate::tools::places::Tool;
use crate::tools::setting::{GitRewrite, ProxySetting, VARIABLES};

/// The words by which git lists the keys that matter here.
pub const GIT_QUERY: [&str; 5] = [
    "config",
    "--show-origin",
    "--null",
    "--get-regexp",
    r"^(http(\..*)?\.proxy|https\.proxy|remote\..*\.proxy|core\.gitproxy|core\.sshcommand|url\..*\.insteadof)$",
];

/// The output of `apt-config dump` (`Acquire::http::Proxy "http://…";`), and the files that may set
/// it, the one that counts most last.
pub(crate) struct Apt<'a> {
    pub(crate) dump: &'a str,
    pub(crate) files: &'a [(String, String)],
}

impl Apt<'_> {
    pub(crate) fn settings(&self) -> Vec<ProxySetting> {
        let lines = self.dump.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            let value = value.trim().strip_suffix(';')?.trim_matches('"');
            // A program that finds the proxy (apt-transport-http(1)) is not a proxy, and is not run
            // here.
            let is_proxy = key.contains("::Proxy")
                && !key.contains("::Proxy-Auto-Detect")
                && !key.contains("::ProxyAutoDetect");
            let is_wanted = key.starts_with("Acquire::") && is_proxy && !value.is_empty();
            is_wanted.then_some((key, value))
        });
        let setting = |(key, value): (&str, &str)| {
            // In scopes (`Acquire { http { … } }`) the key's parts stand apart.
            let found = self.files.iter().rev().find(|(_, text)| text.contains(value));
            let line = found.and_then(|(_, text)| apt_line(text, key, value));
            let file = found.map(|(path, _)| path.clone());
            ProxySetting { line, ..ProxySetting::new(Tool::Apt, file, key, value) }
        };
        lines.map(setting).collect()
    }
}

/// The line of a file that says this and nothing else: `Acquire::http::Proxy "http://…";`, or its
/// end within scopes.
fn apt_line(text: &str, key: &str, value: &str) -> Option<usize> {
    let is_it = |line: &str| {
        let (name, rest) = line.trim().split_once(char::is_whitespace)?;
        let said = rest.trim().strip_suffix(';')?.trim_end().trim_matches('"');
        let is_end = key
            .strip_suffix(name)
            .is_some_and(|before| before.is_empty() || before.ends_with("::"));
        (said == value && is_end).then_some(())
    };
    text.lines().position(|line| is_it(line).is_some()).map(|index| index + 1)
}

/// What git prints at [`GIT_QUERY`]: `file:/root/.gitconfig NUL http.proxy LF http://… NUL`.
#[derive(Clone, Copy)]
pub(crate) struct Git<'a>(pub(crate) &'a str);

impl<'a> Git<'a> {
    /// Each file, key and value.
    fn entries(self) -> impl Iterator<Item = (Option<String>, &'a str, &'a str)> {
        let mut parts = self.0.split('\0');
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?))).filter_map(
            |(origin, entry)| {
                let (key, value) = entry.split_once('\n')?;
                Some((origin.strip_prefix("file:").map(ToOwned::to_owned), key, value))
            },
        )
    }

    pub(crate) fn settings(self) -> impl Iterator<Item = ProxySetting> {
        self.entries().filter_map(|(file, key, value)| {
            // The command by which git starts ssh is that connection's setting, not that of https.
            let tool = if key.starts_with("core.") { Tool::Ssh } else { Tool::Git };
            // An empty one is a setting too: no proxy, whatever the variables say (git-config(1),
            // `http.proxy`).
            let is_set = !value.is_empty() || key.ends_with(".proxy");
            (is_set && !key.starts_with("url.")).then(|| ProxySetting::new(tool, file, key, value))
        })
    }

    /// The addresses that git replaces by others (`url.<base>.insteadOf`).
    pub(crate) fn rewrites(self) -> Vec<GitRewrite> {
        let rewrites = self.entries().filter_map(|(file, key, value)| {
            let base = key.strip_prefix("url.")?.strip_suffix(".insteadof")?.to_owned();
            Some(GitRewrite { file, base, instead_of: value.to_owned() })
        });
        rewrites.collect()
    }
}

/// `Environment="HTTP_PROXY=…"` of a unit of systemd's, where `%%` is a percent sign
/// (systemd.unit(5)).
pub(crate) fn unit(text: &str, file: &str) -> Vec<ProxySetting> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("Environment="));
    let words =
        lines.flat_map(|line| line.split_whitespace().map(|word| word.trim_matches(['"', '\''])));
    let set = words.filter_map(|word| word.split_once('='));
    let set = set.filter(|(key, value)| VARIABLES.contains(key) && !value.is_empty());
    let setting = |(key, value): (&str, &str)| {
        ProxySetting::new(Tool::Docker, Some(file.to_owned()), key, value.replace("%%", "%"))
    };
    set.map(setting).collect()
}

/// `ProxyCommand` and `ProxyJump` of ssh_config(5), with the hosts that they are for.
pub(crate) fn ssh(text: &str, file: &str) -> Vec<ProxySetting> {
    let mut hosts = "*";
    let mut found = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        let is_separator = |letter: char| letter.is_whitespace() || letter == '=';
        let Some((key, rest)) = line.split_once(is_separator) else { continue };
        let value = rest.trim_start_matches(is_separator).trim().trim_matches('"');
        match key.to_ascii_lowercase().as_str() {
            "host" | "match" => hosts = value,
            "proxycommand" | "proxyjump" if !["", "none"].contains(&value) => {
                let setting = ProxySetting::new(
                    Tool::Ssh,
                    Some(file.to_owned()),
                    format!("{key} ({hosts})"),
                    value,
                );
                found.push(ProxySetting { line: Some(index + 1), ..setting });
            }
            _ => {}
        }
    }
    found
}
