//! Proxy settings as they are now: of the environment and of each tool, with the place where each
//! is written. Tools that tell their settings themselves are asked; of the others the files are
//! read.

use doctor::facts::{GitRewrite, ProxySetting, Tool};
use std::fs;
use std::path::{Path, PathBuf};
use wsl::files::text;
use wsl::program::said;

/// Variables that programs go by. Most know the small letters, some the large ones only.
const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Variables that one tool alone goes by.
const OF_TOOLS: [(&str, Tool); 6] = [
    ("npm_config_proxy", Tool::Npm),
    ("npm_config_https_proxy", Tool::Npm),
    ("PIP_PROXY", Tool::Pip),
    ("CARGO_HTTP_PROXY", Tool::Cargo),
    ("YARN_HTTP_PROXY", Tool::Yarn),
    ("GIT_SSH_COMMAND", Tool::Ssh),
];

/// Programs that show that a tool is installed.
const PROGRAMS: [(&str, Tool); 11] = [
    ("apt-get", Tool::Apt),
    ("git", Tool::Git),
    ("npm", Tool::Npm),
    ("yarn", Tool::Yarn),
    ("pip", Tool::Pip),
    ("pip3", Tool::Pip),
    ("docker", Tool::Docker),
    ("curl", Tool::Curl),
    ("wget", Tool::Wget),
    ("cargo", Tool::Cargo),
    ("ssh", Tool::Ssh),
];

/// git's keys of interest, as a regular expression of its own.
const GIT_KEYS: &str = r"^(http(\..*)?\.proxy|https\.proxy|remote\..*\.proxy|core\.gitproxy|core\.sshcommand|url\..*\.insteadof)$";

/// The environment, the user's home, and the machine's root folder, which is `/` but for tests.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// A variable's value.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The user's home.
    pub(super) home: &'a Path,
    /// The machine's root folder.
    pub(super) root: &'a Path,
}

/// Tools that are installed.
#[must_use]
pub(super) fn installed(around: Around<'_>) -> Vec<Tool> {
    let path = (around.variable)("PATH").unwrap_or_default();
    let has =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let mut tools: Vec<Tool> =
        PROGRAMS.iter().filter(|(program, _)| has(program)).map(|(_, tool)| *tool).collect();
    tools.dedup();
    tools
}

/// All settings that there are, and what git replaces in addresses.
pub(super) async fn settings(around: Around<'_>) -> (Vec<ProxySetting>, Vec<GitRewrite>) {
    let mut settings = environment(around);
    let (apt, git) = tokio::join!(
        said("apt-config", &["dump"]),
        said("git", &["config", "--show-origin", "--null", "--get-regexp", GIT_KEYS])
    );
    settings.extend(apt.map(|dump| of_apt(&dump, around.root)).unwrap_or_default());
    let git = git.unwrap_or_default();
    settings.extend(of_git(&git));
    let rewrites = rewrites_of_git(&git);
    settings.extend(of_files(around));
    (settings, rewrites)
}

fn environment(around: Around<'_>) -> Vec<ProxySetting> {
    let all = VARIABLES.into_iter().map(|name| (name, Tool::Environment)).chain(OF_TOOLS);
    let set = all.filter_map(|(name, tool)| {
        Some((tool, name, (around.variable)(name).filter(|value| !value.is_empty())?))
    });
    set.map(|(tool, key, value)| ProxySetting::new(tool, None, key, value)).collect()
}

/// Reads what `apt-config dump` prints (`Acquire::http::Proxy "http://…";`), and looks for the file
/// that says so.
fn of_apt(dump: &str, root: &Path) -> Vec<ProxySetting> {
    let files = apt_files(root);
    let lines = dump.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        let value = value.trim().strip_suffix(';')?.trim_matches('"');
        // A program that finds the proxy (apt-transport-http(1)) is no proxy, and is not run here.
        let is_proxy = key.contains("::Proxy")
            && !key.contains("::Proxy-Auto-Detect")
            && !key.contains("::ProxyAutoDetect");
        let wanted = key.starts_with("Acquire::") && is_proxy && !value.is_empty();
        wanted.then(|| (key.to_owned(), value.to_owned()))
    });
    lines
        .map(|(key, value)| {
            // The last one counts that says it; in scopes (`Acquire { http { … } }`) the key's
            // parts stand apart.
            let found = files.iter().rev().find(|(_, text)| text.contains(&value));
            let line = found.and_then(|(_, text)| apt_line(text, &key, &value));
            let file = found.map(|(path, _)| path.clone());
            ProxySetting { line, ..ProxySetting::new(Tool::Apt, file, key, value) }
        })
        .collect()
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

/// apt's files in its order, and their texts.
fn apt_files(root: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = in_folder(&root.join("etc/apt/apt.conf.d"));
    paths.push(root.join("etc/apt/apt.conf"));
    paths.into_iter().filter_map(|path| Some((path.display().to_string(), text(&path)?))).collect()
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Reads what `git config --show-origin --null` prints: `file:/root/.gitconfig NUL http.proxy LF
/// http://… NUL`.
fn of_git(list: &str) -> Vec<ProxySetting> {
    let parts: Vec<&str> = list.split('\0').collect();
    let (pairs, _) = parts.as_chunks::<2>();
    let settings = pairs.iter().filter_map(|[origin, entry]| {
        let (key, value) = entry.split_once('\n')?;
        if key.starts_with("url.") {
            return None;
        }
        // The command by which git starts ssh is that connection's setting, not that of https.
        let tool = if key.starts_with("core.") { Tool::Ssh } else { Tool::Git };
        let file = origin.strip_prefix("file:").map(ToOwned::to_owned);
        // An empty one is a setting too: no proxy, whatever the variables say (git-config(1),
        // `http.proxy`).
        (!value.is_empty() || key.ends_with(".proxy"))
            .then(|| ProxySetting::new(tool, file, key, value))
    });
    settings.collect()
}

/// What `git config` says of addresses that git replaces by others (`url.<base>.insteadOf`).
fn rewrites_of_git(list: &str) -> Vec<GitRewrite> {
    let parts: Vec<&str> = list.split('\0').collect();
    let (pairs, _) = parts.as_chunks::<2>();
    let rewrites = pairs.iter().filter_map(|[origin, entry]| {
        let (key, value) = entry.split_once('\n')?;
        let base = key.strip_prefix("url.")?.strip_suffix(".insteadof")?;
        let file = origin.strip_prefix("file:").map(ToOwned::to_owned);
        Some(GitRewrite { file, base: base.to_owned(), instead_of: value.to_owned() })
    });
    rewrites.collect()
}

/// How a file writes its settings.
#[derive(Clone, Copy)]
enum Form {
    /// `key = value`, `key: value` or `key value`, perhaps in quotes.
    Pairs(&'static [&'static str]),
    /// As before, in a section of that name only.
    Section(&'static str, &'static [&'static str]),
    /// `Environment="HTTP_PROXY=…"` of systemd.
    Systemd,
    /// JSON, its keys at these paths.
    Json(&'static [&'static str]),
    /// ssh_config(5).
    Ssh,
}

fn of_files(around: Around<'_>) -> Vec<ProxySetting> {
    const NPM: Form = Form::Pairs(&["proxy", "https-proxy", "http-proxy"]);
    const WGET: Form = Form::Pairs(&["http_proxy", "https_proxy", "ftp_proxy"]);
    const DOCKER: Form = Form::Json(&[
        "/proxies/default/httpProxy",
        "/proxies/default/httpsProxy",
        "/proxies/http-proxy",
        "/proxies/https-proxy",
    ]);
    let (home, etc) =
        (|path: &str| around.home.join(path), |path: &str| around.root.join("etc").join(path));
    // Where a variable says that a tool's files are elsewhere.
    let moved = |variable: &str, usual: &str| {
        let folder = (around.variable)(variable).filter(|folder| !folder.is_empty());
        folder.map_or_else(|| home(usual), PathBuf::from)
    };
    let cargo = moved("CARGO_HOME", ".cargo");
    let mut files = vec![
        (Tool::Npm, home(".npmrc"), NPM),
        // Debian's, and those of npm's own prefixes.
        (Tool::Npm, etc("npmrc"), NPM),
        (Tool::Npm, around.root.join("usr/etc/npmrc"), NPM),
        (Tool::Npm, around.root.join("usr/local/etc/npmrc"), NPM),
        (Tool::Yarn, home(".yarnrc"), NPM),
        (Tool::Yarn, home(".yarnrc.yml"), Form::Pairs(&["httpProxy", "httpsProxy"])),
        (Tool::Docker, moved("DOCKER_CONFIG", ".docker").join("config.json"), DOCKER),
        (Tool::Docker, etc("docker/daemon.json"), DOCKER),
        (
            Tool::Curl,
            moved("CURL_HOME", "").join(".curlrc"),
            Form::Pairs(&["proxy", "-x", "--proxy", "socks5", "socks5-hostname"]),
        ),
        (
            Tool::Curl,
            home(".config/curlrc"),
            Form::Pairs(&["proxy", "-x", "--proxy", "socks5", "socks5-hostname"]),
        ),
        (Tool::Wget, moved("WGETRC", ".wgetrc"), WGET),
        (Tool::Wget, etc("wgetrc"), WGET),
        (Tool::Cargo, cargo.join("config.toml"), Form::Section("http", &["proxy"])),
        (Tool::Cargo, cargo.join("config"), Form::Section("http", &["proxy"])),
        (Tool::Ssh, home(".ssh/config"), Form::Ssh),
        (Tool::Ssh, etc("ssh/ssh_config"), Form::Ssh),
    ];
    let drop_ins = |folder: &str, tool, form| {
        in_folder(&etc(folder)).into_iter().map(move |path| (tool, path, form))
    };
    files.extend(drop_ins("ssh/ssh_config.d", Tool::Ssh, Form::Ssh));
    files.extend(drop_ins("systemd/system/docker.service.d", Tool::Docker, Form::Systemd));
    let read = files.into_iter().filter_map(|(tool, path, form)| {
        Some((tool, path.display().to_string(), text(&path)?, form))
    });
    let read = read.flat_map(|(tool, file, text, form)| {
        let settings = found_in(&text, form).into_iter();
        settings.map(move |entry| entry.of(tool, file.clone()))
    });
    read.chain(of_pip(around)).collect()
}

/// The one setting that counts for `pip install`. pip reads all its files, the later ones over the
/// former, and a command's own section goes over `[global]` (its documentation, "Configuration").
fn of_pip(around: Around<'_>) -> Option<ProxySetting> {
    let mut files = vec![
        around.root.join("etc/pip.conf"),
        around.home.join(".pip/pip.conf"),
        around.home.join(".config/pip/pip.conf"),
    ];
    files.extend(
        (around.variable)("PIP_CONFIG_FILE").filter(|file| !file.is_empty()).map(PathBuf::from),
    );
    let in_section = |section: &'static str| {
        files.iter().rev().find_map(|file| {
            let found = found_in(&text(file)?, Form::Section(section, &["proxy"]));
            Some(found.into_iter().next_back()?.of(Tool::Pip, file.display().to_string()))
        })
    };
    in_section("install").or_else(|| in_section("global"))
}

/// A key and its value in a file.
struct Entry {
    key: String,
    value: String,
    /// The line, if it holds nothing else.
    line: Option<usize>,
}

impl Entry {
    fn of(self, tool: Tool, file: String) -> ProxySetting {
        ProxySetting {
            line: self.line,
            ..ProxySetting::new(tool, Some(file), self.key, self.value)
        }
    }
}

/// Keys and values in a file.
fn found_in(text: &str, form: Form) -> Vec<Entry> {
    match form {
        Form::Pairs(keys) => {
            pairs(text).filter(|pair| keys.contains(&pair.key)).map(Pair::entry).collect()
        }
        Form::Section(section, keys) => {
            let is_meant = |pair: &Pair<'_>| pair.section == section && keys.contains(&pair.key);
            pairs(text).filter(is_meant).map(Pair::entry).collect()
        }
        Form::Systemd => systemd(text),
        Form::Json(paths) => {
            let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
                return Vec::new();
            };
            let value = |path: &&&str| {
                Some((
                    path.trim_start_matches('/').replace('/', "."),
                    json.pointer(path)?.as_str()?.to_owned(),
                ))
            };
            let found =
                paths.iter().filter_map(|path| value(&path)).filter(|(_, value)| !value.is_empty());
            found.map(|(key, value)| Entry { key, value, line: None }).collect()
        }
        Form::Ssh => ssh(text),
    }
}

/// A line with a key and a value.
#[derive(Clone, Copy)]
struct Pair<'a> {
    section: &'a str,
    key: &'a str,
    value: &'a str,
    /// From 1.
    line: usize,
}

impl Pair<'_> {
    fn entry(self) -> Entry {
        let Self { section, key, value, line } = self;
        let key = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        Entry { key, value: value.to_owned(), line: Some(line) }
    }
}

/// Each line that has a key and a value; comments left out, and quotes around a value.
fn pairs(text: &str) -> impl Iterator<Item = Pair<'_>> {
    let mut section = "";
    text.lines().map(str::trim).enumerate().filter_map(move |(index, line)| {
        if line.starts_with(['#', ';']) {
            return None;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim();
            return None;
        }
        let end = line.find(|letter: char| letter.is_whitespace() || "=:".contains(letter))?;
        let (key, rest) = line.split_at(end);
        let value = rest
            .trim_start_matches(|letter: char| letter.is_whitespace() || "=:".contains(letter))
            .trim();
        let value = value.trim_matches(['"', '\'']);
        let unset = ["", "null", "none", "false"].contains(&value);
        (!key.is_empty() && !unset).then_some(Pair {
            section,
            key: key.trim_matches('"'),
            value,
            line: index + 1,
        })
    })
}

fn systemd(text: &str) -> Vec<Entry> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("Environment="));
    let words = lines.flat_map(|line| line.split_whitespace().map(|word| word.trim_matches('"')));
    let set = words.filter_map(|word| word.split_once('='));
    set.filter(|(key, value)| VARIABLES.contains(key) && !value.is_empty())
        .map(|(key, value)| Entry { key: key.to_owned(), value: value.to_owned(), line: None })
        .collect()
}

/// `ProxyCommand` and `ProxyJump`, with the hosts that they are for.
fn ssh(text: &str) -> Vec<Entry> {
    let mut hosts = String::from("*");
    let mut found = Vec::new();
    for Pair { key, value, line, .. } in pairs(text) {
        if key.eq_ignore_ascii_case("host") || key.eq_ignore_ascii_case("match") {
            value.clone_into(&mut hosts);
        } else if key.eq_ignore_ascii_case("proxycommand") || key.eq_ignore_ascii_case("proxyjump")
        {
            found.push(Entry {
                key: format!("{key} ({hosts})"),
                value: value.to_owned(),
                line: Some(line),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(settings: &[ProxySetting]) -> Vec<(Tool, &str, &str)> {
        settings
            .iter()
            .map(|setting| (setting.tool, setting.key.as_str(), setting.value.as_str()))
            .collect()
    }

    #[test]
    fn apt_and_git_are_understood_as_they_speak() {
        let root =
            std::env::temp_dir().join(format!("underpass-doctor-apt-{}", std::process::id()));
        let folder = root.join("etc/apt/apt.conf.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("95proxy"),
            "Acquire { http { Proxy \"http://192.0.2.1:7890\"; }; };\n",
        )
        .unwrap();
        let dump = "APT \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://192.0.2.1:7890\";\nAcquire::https::Proxy \"\";\n\
                    Acquire::Retries \"3\";\nAcquire::http::Proxy::deb.corp.test \"DIRECT\";\n\
                    Acquire::http::Proxy-Auto-Detect \"/usr/bin/auto-apt-proxy\";\n";
        let settings = of_apt(dump, &root);
        fs::remove_dir_all(&root).unwrap();
        let keys = ["Acquire::http::Proxy", "Acquire::http::Proxy::deb.corp.test"];
        assert_eq!(
            told(&settings),
            [(Tool::Apt, keys[0], "http://192.0.2.1:7890"), (Tool::Apt, keys[1], "DIRECT")]
        );
        assert!(
            settings[0].file.as_ref().is_some_and(|file| file.ends_with("apt.conf.d/95proxy")),
            "{settings:?}"
        );
        let list = "file:/root/.gitconfig\0http.proxy\nhttp://192.0.2.1:7890\0command line:\0core.sshcommand\nssh -x\0\
                    file:a\0http.https://git.test.proxy\n\0\
                    file:a\0url.https://mirror.test/.insteadof\nhttps://github.com/\0";
        let settings = of_git(list);
        assert_eq!(
            told(&settings),
            [
                (Tool::Git, "http.proxy", "http://192.0.2.1:7890"),
                (Tool::Ssh, "core.sshcommand", "ssh -x"),
                (Tool::Git, "http.https://git.test.proxy", ""),
            ]
        );
        assert_eq!(
            (settings[0].file.as_deref(), settings[1].file.as_deref()),
            (Some("/root/.gitconfig"), None)
        );
        let rewrite = GitRewrite {
            file: Some("a".to_owned()),
            base: "https://mirror.test/".to_owned(),
            instead_of: "https://github.com/".to_owned(),
        };
        assert_eq!(rewrites_of_git(list), [rewrite]);
        assert!(of_git("").is_empty() && rewrites_of_git("").is_empty());
    }

    #[test]
    fn each_file_is_read_in_its_own_form() {
        let folder =
            std::env::temp_dir().join(format!("underpass-doctor-tools-{}", std::process::id()));
        let (home, root) = (folder.join("home"), folder.join("root"));
        let file = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file(
            home.join(".npmrc"),
            "# x\nregistry=https://r.test/\nproxy=http://npm:1\nhttps-proxy = null\n",
        );
        file(home.join(".yarnrc"), "proxy \"http://yarn:1\"\n");
        file(home.join(".yarnrc.yml"), "httpProxy: \"http://yarn:2\"\n");
        file(root.join("usr/etc/npmrc"), "https-proxy=http://npm:2\n");
        file(home.join(".pip/pip.conf"), "[global]\nproxy = http://no:1\n");
        file(
            home.join(".config/pip/pip.conf"),
            "[install]\nproxy = http://pip:1\n[global]\nproxy = http://no:2\n",
        );
        file(
            home.join(".docker/config.json"),
            r#"{"proxies": {"default": {"httpProxy": "http://docker:1"}}}"#,
        );
        file(root.join("etc/docker/daemon.json"), "not json");
        file(
            root.join("etc/systemd/system/docker.service.d/p.conf"),
            "[Service]\nEnvironment=\"HTTP_PROXY=http://docker:2\" \"X=y\"\n",
        );
        file(home.join(".curlrc"), "-s\nproxy = \"http://curl:1\"\n");
        file(root.join("etc/wgetrc"), "#http_proxy = http://no:1\nhttps_proxy = http://wget:1\n");
        file(
            home.join(".cargo/config.toml"),
            "[net]\nproxy = 'no'\n[http]\nproxy = \"http://cargo:1\"\n",
        );
        file(
            home.join(".ssh/config"),
            "Host a b\n  ProxyCommand nc -x 127.0.0.1:1080 %h %p\nHost c\n  proxyjump none\n",
        );
        let variable = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://env:1".to_owned()),
            "https_proxy" => Some(String::new()),
            "PIP_PROXY" => Some("http://pip:2".to_owned()),
            "PATH" => Some("/nonexistent".to_owned()),
            _ => None,
        };
        let around = Around { variable: &variable, home: &home, root: &root };
        let settings: Vec<_> = environment(around).into_iter().chain(of_files(around)).collect();
        assert!(installed(around).is_empty());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            told(&settings),
            [
                (Tool::Environment, "HTTPS_PROXY", "http://env:1"),
                (Tool::Pip, "PIP_PROXY", "http://pip:2"),
                (Tool::Npm, "proxy", "http://npm:1"),
                (Tool::Npm, "https-proxy", "http://npm:2"),
                (Tool::Yarn, "proxy", "http://yarn:1"),
                (Tool::Yarn, "httpProxy", "http://yarn:2"),
                (Tool::Docker, "proxies.default.httpProxy", "http://docker:1"),
                (Tool::Curl, "proxy", "http://curl:1"),
                (Tool::Wget, "https_proxy", "http://wget:1"),
                (Tool::Cargo, "http.proxy", "http://cargo:1"),
                (Tool::Ssh, "ProxyCommand (a b)", "nc -x 127.0.0.1:1080 %h %p"),
                (Tool::Docker, "HTTP_PROXY", "http://docker:2"),
                (Tool::Pip, "install.proxy", "http://pip:1"),
            ]
        );
    }

    #[test]
    fn files_are_read_where_variables_say_that_they_are() {
        let folder =
            std::env::temp_dir().join(format!("underpass-doctor-moved-{}", std::process::id()));
        let (home, root, moved) = (folder.join("home"), folder.join("root"), folder.join("moved"));
        for folder in [&home, &root, &moved] {
            fs::create_dir_all(folder).unwrap();
        }
        for (name, text) in [
            ("config.toml", "[http]\nproxy = \"http://cargo:1\"\n"),
            ("config.json", r#"{"proxies": {"default": {"httpProxy": "http://docker:1"}}}"#),
            (".curlrc", "proxy = http://curl:1\n"),
            ("wget", "http_proxy = http://wget:1\n"),
            ("pip", "[global]\nproxy = http://pip:1\n"),
        ] {
            fs::write(moved.join(name), text).unwrap();
            // None of these counts.
            fs::write(home.join(name), text.replace(":1", ":9")).unwrap();
        }
        let at = |name: &str| Some(moved.join(name).display().to_string());
        let variable = |name: &str| match name {
            "CARGO_HOME" | "DOCKER_CONFIG" | "CURL_HOME" => Some(moved.display().to_string()),
            "WGETRC" => at("wget"),
            "PIP_CONFIG_FILE" => at("pip"),
            _ => None,
        };
        let settings = of_files(Around { variable: &variable, home: &home, root: &root });
        fs::remove_dir_all(&folder).unwrap();
        let values: Vec<&str> = settings.iter().map(|setting| setting.value.as_str()).collect();
        assert_eq!(
            values,
            ["http://docker:1", "http://curl:1", "http://wget:1", "http://cargo:1", "http://pip:1"]
        );
    }
}
