//! Proxy settings as each tool finds them: in which order, under which keys, and which of them it
//! passes over.

use crate::tools::format::Format;
use crate::tools::outputs::{Apt, Git, ssh, unit};
use crate::tools::places::{Surroundings, Tool, files, user_file};
use crate::tools::setting::{GitRewrite, ProxySetting, VARIABLES};
use std::path::{Path, PathBuf};

/// libcurl's, in its order; it does not read `HTTP_PROXY`.
const LIBCURL: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Those of the npm package `request` and of npm, in their order.
const NODE: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// What can be read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The user, the environment, and what exists.
    pub surroundings: Surroundings<'a>,
    /// A file's text, if it can be read.
    pub file: &'a dyn Fn(&Path) -> Option<String>,
    /// A folder's files.
    pub folder: &'a dyn Fn(&Path) -> Vec<PathBuf>,
    /// The output of `apt-config dump`, if it is installed.
    pub apt_config: Option<&'a str>,
    /// git's answer to [`GIT_QUERY`](super::GIT_QUERY), if it is installed and finds a setting.
    pub git_config: Option<&'a str>,
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("surroundings", &self.surroundings).finish_non_exhaustive()
    }
}

/// Whether a setting decides about https (for apt, http: its archives are reached by that).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Https,
    Others,
}

/// All settings of one key: the first counts, the others are passed over.
struct Level {
    purpose: For,
    settings: Vec<ProxySetting>,
}

/// All settings that a tool reads for https, the one that it uses first. An empty one means that
/// the tool uses no proxy.
#[must_use]
pub fn used(tool: Tool, reading: &Reading<'_>) -> Vec<ProxySetting> {
    let is_for_https = |level: &Level| level.purpose == For::Https;
    let own = levels(tool, reading).into_iter().filter(is_for_https);
    let mut all: Vec<ProxySetting> = own.flat_map(|level| level.settings).collect();
    if tool == Tool::Cargo {
        all.extend(used(Tool::Git, reading));
        return all;
    }
    let names: &[&str] = match tool {
        Tool::Git | Tool::Pip | Tool::Curl => &LIBCURL,
        Tool::Npm => &NODE,
        // Yarn 2 and later reads none of them (`httpUtils.ts` of yarnpkg-core).
        Tool::Yarn if !reading.surroundings.has_new_yarn => &NODE,
        // Only in small letters.
        Tool::Wget => &["https_proxy"],
        Tool::Apt => &["http_proxy"],
        Tool::Environment | Tool::Yarn | Tool::Docker | Tool::Cargo | Tool::Ssh => &[],
    };
    all.extend(variables(Tool::Environment, names, reading));
    all
}

/// The environment's settings, and each tool's own settings that count, each once: Yarn reads npm's
/// files too. A setting that a nearer one overrides is left out unless it has the same value: the
/// tool would use that proxy again once the nearer setting is gone.
#[must_use]
pub fn all(reading: &Reading<'_>) -> (Vec<ProxySetting>, Vec<GitRewrite>) {
    let mut settings = variables(Tool::Environment, &VARIABLES, reading);
    for tool in Tool::APPLIED.into_iter().chain([Tool::Ssh]) {
        for Level { settings: mut level, .. } in levels(tool, reading) {
            let Some(first) = level.first().map(|first| first.value.clone()) else { continue };
            let is_known = |new: &ProxySetting| {
                let is_it = |known: &ProxySetting| known.file == new.file && known.key == new.key;
                new.file.is_some() && settings.iter().any(is_it)
            };
            level.retain(|setting| setting.value == first && !is_known(setting));
            // That git goes directly on purpose has a check of its own.
            if tool == Tool::Git || !first.is_empty() {
                settings.extend(level);
            }
        }
    }
    (settings, Git(reading.git_config.unwrap_or_default()).rewrites())
}

/// The variables that are set and not empty.
fn variables(tool: Tool, names: &[&str], reading: &Reading<'_>) -> Vec<ProxySetting> {
    let set = names.iter().filter_map(|name| {
        let value = (reading.surroundings.variable)(name).filter(|value| !value.is_empty())?;
        Some(ProxySetting::new(tool, None, *name, value))
    });
    set.collect()
}

/// The values of a tool's own settings, the key that the tool reads first at the front.
fn levels(tool: Tool, reading: &Reading<'_>) -> Vec<Level> {
    let has_new_yarn = reading.surroundings.has_new_yarn;
    let of_yarn = |is_new: bool| if is_new == has_new_yarn { For::Https } else { For::Others };
    let mut finder = Finder::new(tool, reading);
    match tool {
        Tool::Environment => {}
        Tool::Git => finder.git(),
        Tool::Apt => finder.levels = apt(reading),
        // npm-registry-fetch/lib/index.js: `opts.httpsProxy || opts.proxy`. Variables are options,
        // which go over files.
        Tool::Npm => finder.add(
            For::Https,
            [
                finder.key(&["npm_config_https_proxy", "NPM_CONFIG_HTTPS_PROXY"], "https-proxy"),
                finder.key(&["npm_config_proxy", "NPM_CONFIG_PROXY"], "proxy"),
            ],
        ),
        // Yarn 1 takes `proxy` for https where there is no `https-proxy` (`setOptions` in
        // src/util/request-manager.js); later ones do not.
        Tool::Yarn => {
            finder.add(of_yarn(false), [finder.key(&[], "https-proxy")]);
            finder.add(of_yarn(false), [finder.key(&[], "proxy")]);
            finder.add(of_yarn(true), [finder.key(&["YARN_HTTPS_PROXY"], "httpsProxy")]);
            finder.add(For::Others, [finder.key(&["YARN_HTTP_PROXY"], "httpProxy")]);
        }
        // A variable goes over all files, and a command's own section over `[global]`
        // (pip/_internal/cli/parser.py, `_get_ordered_configuration_items`).
        Tool::Pip => finder.add(
            For::Https,
            [finder.key(&["PIP_PROXY"], "install.proxy"), finder.key(&[], "global.proxy")],
        ),
        Tool::Docker => finder.docker(),
        Tool::Curl => finder.curl(),
        Tool::Wget => {
            finder.add(For::Https, [finder.key(&[], "https_proxy")]);
            finder.add(For::Others, [finder.key(&[], "http_proxy")]);
            finder.add(For::Others, [finder.key(&[], "ftp_proxy")]);
        }
        Tool::Cargo => {
            finder.add(For::Https, [finder.key(&["CARGO_HTTP_PROXY"], "http.proxy")]);
        }
        Tool::Ssh => finder.ssh(),
    }
    finder.levels
}

/// A file's path, kind and text.
type File = (PathBuf, Format, String);

struct Finder<'a> {
    tool: Tool,
    reading: &'a Reading<'a>,
    files: Vec<File>,
    levels: Vec<Level>,
}

impl<'a> Finder<'a> {
    fn new(tool: Tool, reading: &'a Reading<'a>) -> Self {
        let files = files(tool, &reading.surroundings).into_iter();
        let files = files.filter_map(|(path, format)| {
            let text = (reading.file)(&path)?;
            Some((path, format, text))
        });
        Self { tool, reading, files: files.collect(), levels: Vec::new() }
    }

    /// A level of what these keys say, in this order.
    fn add<const N: usize>(&mut self, purpose: For, keys: [Vec<ProxySetting>; N]) {
        self.levels.push(Level { purpose, settings: keys.into_iter().flatten().collect() });
    }

    /// Each setting by itself.
    fn add_each(&mut self, purpose: For, settings: impl IntoIterator<Item = ProxySetting>) {
        settings.into_iter().for_each(|setting| self.add(purpose, [vec![setting]]));
    }

    /// A key of the tool's files, and the variables that go over it.
    fn key(&self, names: &[&str], key: &str) -> Vec<ProxySetting> {
        let mut settings = variables(self.tool, names, self.reading);
        for (path, format, text) in &self.files {
            let Some((value, line)) = format.find(text, key) else { continue };
            // `null`, `false` and empty texts of Node's and Python's tools mean that no proxy is
            // used, and override other files.
            let is_of_scripts = matches!(self.tool, Tool::Npm | Tool::Yarn | Tool::Pip);
            if is_of_scripts && ["", "null", "false"].contains(&value.as_str()) {
                break;
            }
            if self.tool == Tool::Docker && value.is_empty() {
                continue;
            }
            let file = Some(path.display().to_string());
            settings.push(ProxySetting { line, ..ProxySetting::new(self.tool, file, key, value) });
        }
        settings
    }

    /// curl's options that name a proxy take each other's place: the last one counts.
    fn curl(&mut self) {
        let Some((path, format, text)) = self.files.first() else { return };
        let options = [
            ("proxy", ""),
            ("socks5-hostname", "socks5h://"),
            ("socks5", "socks5://"),
            ("socks4", "socks4://"),
            ("socks4a", "socks4a://"),
        ];
        let mut found: Vec<(Option<usize>, ProxySetting)> = Vec::new();
        for (key, scheme) in options {
            let Some((value, at)) = format.find(text, key) else { continue };
            let is_whole = scheme.is_empty() || value.contains("://");
            // A line is found by its value, which has to be written there as it is said here.
            let line = at.filter(|_| is_whole);
            let value = if is_whole { value } else { format!("{scheme}{value}") };
            let file = Some(path.display().to_string());
            let setting = ProxySetting::new(Tool::Curl, file, key, value);
            found.push((at, ProxySetting { line, ..setting }));
        }
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        self.add(For::Https, [found.into_iter().map(|(_, setting)| setting).collect()]);
    }

    /// git's own word, or else its file: cargo reads that without git.
    fn git(&mut self) {
        let Some(list) = self.reading.git_config else {
            let own = user_file(Tool::Git, &self.reading.surroundings);
            let read = own.and_then(|(path, format)| {
                let text = (self.reading.file)(&path)?;
                Some((path, format, text))
            });
            self.files = read.into_iter().collect();
            return self.add(For::Https, [self.key(&[], "http.proxy")]);
        };
        // git lists settings with precedence last.
        let (all, others): (Vec<_>, Vec<_>) = Git(list)
            .settings()
            .filter(|setting| setting.tool == Tool::Git)
            .partition(|setting| setting.key == "http.proxy");
        self.add(For::Https, [all.into_iter().rev().collect()]);
        self.add_each(For::Others, others);
    }

    /// dockerd(8): the daemon's own file goes over its environment. Of a unit's drop-ins the last
    /// one by name counts (systemd.unit(5)).
    fn docker(&mut self) {
        let mut units = (self.reading.folder)(Path::new("/etc/systemd/system/docker.service.d"));
        units.retain(|unit| unit.extension().is_some_and(|end| end == "conf"));
        units.sort();
        let mut of_units = Vec::new();
        for path in &units {
            let Some(text) = (self.reading.file)(path) else { continue };
            of_units.extend(unit(&text, &path.display().to_string()));
        }
        of_units.reverse();
        let of_units = |name: &str| {
            of_units.iter().filter(|setting| setting.key == name).cloned().collect::<Vec<_>>()
        };
        for (purpose, daemon, names, client) in [
            (
                For::Https,
                "proxies.https-proxy",
                ["HTTPS_PROXY", "https_proxy"],
                "proxies.default.httpsProxy",
            ),
            (
                For::Others,
                "proxies.http-proxy",
                ["HTTP_PROXY", "http_proxy"],
                "proxies.default.httpProxy",
            ),
        ] {
            let [large, small] = names.map(of_units);
            self.add(purpose, [self.key(&[], daemon), large, small]);
            self.add(purpose, [self.key(&[], client)]);
        }
    }

    fn ssh(&mut self) {
        self.add_each(For::Others, variables(Tool::Ssh, &["GIT_SSH_COMMAND"], self.reading));
        let of_git = Git(self.reading.git_config.unwrap_or_default()).settings();
        let of_git: Vec<_> = of_git.filter(|setting| setting.tool == Tool::Ssh).collect();
        self.add_each(For::Others, of_git);
        let home = self.reading.surroundings.home;
        let mut paths = vec![home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")];
        paths.extend((self.reading.folder)(Path::new("/etc/ssh/ssh_config.d")));
        for path in paths {
            if let Some(text) = (self.reading.file)(&path) {
                self.add_each(For::Others, ssh(&text, &path.display().to_string()));
            }
        }
    }
}

/// apt's own reading of all of its files, or at least the values in our own file.
fn apt(reading: &Reading<'_>) -> Vec<Level> {
    let mut paths = (reading.folder)(Path::new("/etc/apt/apt.conf.d"));
    paths.sort();
    paths.push(PathBuf::from("/etc/apt/apt.conf"));
    let read = paths.into_iter().filter_map(|path| {
        let text = (reading.file)(&path)?;
        Some((path.display().to_string(), text))
    });
    let files: Vec<(String, String)> = read.collect();
    let ours = files.iter().find(|(path, _)| path == super::places::APT_FILE);
    let dump = reading.apt_config.or(ours.map(|(_, text)| text.as_str()));
    let settings = Apt { dump: dump.unwrap_or_default(), files: &files }.settings();
    let level = |setting: ProxySetting| {
        let purpose = if setting.key == "Acquire::http::Proxy" { For::Https } else { For::Others };
        Level { purpose, settings: vec![setting] }
    };
    settings.into_iter().map(level).collect()
}

#[cfg(test)]
mod tests;
