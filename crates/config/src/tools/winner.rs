//! Which of the proxies that are set a tool uses for https, and which it passes over.

use crate::tools::format::Format;
use crate::tools::places::{
    APT_FILE, DOCKER_DAEMON, DOCKER_DROP_IN, Surroundings, Tool, user_file,
};
use std::path::Path;

/// A setting that a tool reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is: a file with its key, or a variable as `$NAME`.
    pub place: String,
    /// What it says, **with user and password**.
    pub value: String,
}

/// What can be read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The user, the environment, and what exists.
    pub surroundings: Surroundings<'a>,
    /// A file's text, if it can be read.
    pub file: &'a dyn Fn(&Path) -> Option<String>,
    /// What `apt-config dump` says, where it is installed.
    pub apt_config: Option<&'a str>,
    /// Where `git config` finds `http.proxy`, and what it says; none where git is not installed or
    /// finds none.
    pub git_config: Option<(&'a str, &'a str)>,
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("surroundings", &self.surroundings).finish_non_exhaustive()
    }
}

/// libcurl's, in its order; it does not read `HTTP_PROXY`.
const LIBCURL: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// All settings that a tool reads for https (apt for http, which its archives are reached by), the
/// one that it uses first.
#[must_use]
pub fn found(tool: Tool, reading: &Reading<'_>) -> Vec<Found> {
    let mut finder = Finder { reading, found: Vec::new() };
    match tool {
        Tool::Git => finder.git(),
        Tool::Apt => finder.apt(),
        // Its own variables are options of npm's, which go over files.
        Tool::Npm => {
            finder.variables(&["npm_config_https_proxy", "NPM_CONFIG_HTTPS_PROXY"]);
            finder.user_file(tool, &["https-proxy"]);
            finder.variables(&["npm_config_proxy", "NPM_CONFIG_PROXY"]);
            finder.user_file(tool, &["proxy"]);
            finder.variables(&["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]);
        }
        Tool::Yarn => {
            finder.user_file(tool, &["https-proxy", "proxy", "httpsProxy", "httpProxy"]);
            if !reading.surroundings.has_new_yarn {
                // Yarn 1 reads npm's file too.
                finder.user_file(Tool::Npm, &["https-proxy", "proxy"]);
            }
            finder.variables(&["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]);
        }
        Tool::Pip => {
            finder.variables(&["PIP_PROXY"]);
            finder.user_file(tool, &["global.proxy"]);
            finder.file(
                &reading.surroundings.home.join(".pip/pip.conf"),
                Format::Pip,
                &["global.proxy"],
            );
            finder.file(Path::new("/etc/pip.conf"), Format::Pip, &["global.proxy"]);
            finder.variables(&LIBCURL);
        }
        // The daemon's; its environment is the drop-in's.
        Tool::Docker => {
            finder.file(Path::new(DOCKER_DAEMON), Format::Json, &["proxies.https-proxy"]);
            finder.drop_in();
            finder.user_file(tool, &["proxies.default.httpsProxy"]);
        }
        Tool::Curl => {
            finder.user_file(tool, &["proxy"]);
            finder.variables(&LIBCURL);
        }
        // Only in small letters.
        Tool::Wget => {
            finder.user_file(tool, &["https_proxy"]);
            finder.file(Path::new("/etc/wgetrc"), Format::Wgetrc, &["https_proxy"]);
            finder.variables(&["https_proxy"]);
        }
        // Git's settings count for cargo too.
        Tool::Cargo => {
            finder.variables(&["CARGO_HTTP_PROXY"]);
            finder.user_file(tool, &["http.proxy"]);
            finder.git();
        }
    }
    finder.found
}

struct Finder<'a> {
    reading: &'a Reading<'a>,
    found: Vec<Found>,
}

impl Finder<'_> {
    fn add(&mut self, place: String, value: String) {
        if !value.is_empty() {
            self.found.push(Found { place, value });
        }
    }

    fn variables(&mut self, names: &[&str]) {
        for name in names {
            if let Some(value) = (self.reading.surroundings.variable)(name) {
                self.add(format!("${name}"), value);
            }
        }
    }

    fn user_file(&mut self, tool: Tool, keys: &[&str]) {
        if let Some((path, format)) = user_file(tool, &self.reading.surroundings) {
            self.file(&path, format, keys);
        }
    }

    fn file(&mut self, path: &Path, format: Format, keys: &[&str]) {
        let Some(text) = (self.reading.file)(path) else { return };
        for key in keys {
            if let Some(value) = format.get(&text, key) {
                self.add(format!("{} ({key})", path.display()), value);
            }
        }
    }

    fn git(&mut self) {
        match self.reading.git_config {
            Some((origin, value)) => self.add(format!("{origin} (http.proxy)"), value.to_owned()),
            None => self.user_file(Tool::Git, &["http.proxy"]),
        }
        self.variables(&LIBCURL);
    }

    fn apt(&mut self) {
        let ours = (self.reading.file)(Path::new(APT_FILE)).unwrap_or_default();
        // What apt itself makes of all of its files, or at least our own.
        let all = self.reading.apt_config.unwrap_or(&ours);
        let value = all
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Acquire::http::Proxy \""))
            .next_back();
        if let Some(value) = value.and_then(|rest| rest.strip_suffix("\";")) {
            let is_ours = ours.contains(&format!("\"{value}\""));
            self.add(
                if is_ours { APT_FILE } else { "apt-config (Acquire::http::Proxy)" }.to_owned(),
                value.to_owned(),
            );
        }
        self.variables(&["http_proxy"]);
    }

    fn drop_in(&mut self) {
        let Some(text) = (self.reading.file)(Path::new(DOCKER_DROP_IN)) else { return };
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix("Environment=\"HTTPS_PROXY=")?.strip_suffix('"'));
        if let Some(value) = value {
            self.add(DOCKER_DROP_IN.to_owned(), value.replace("%%", "%"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(
        tool: Tool,
        variables: &[(&str, &str)],
        files: &[(&str, &str)],
        dump: Option<&str>,
    ) -> Vec<String> {
        let pick = |all: &[(&str, &str)], name: &str| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let variable = |name: &str| pick(variables, name);
        let file = |path: &Path| pick(files, path.to_str().unwrap());
        let exists = |path: &Path| file(path).is_some();
        let home = Path::new("/h");
        let surroundings = Surroundings {
            home,
            variable: &variable,
            exists: &exists,
            is_root: false,
            has_new_yarn: false,
        };
        let reading = Reading { surroundings, file: &file, apt_config: dump, git_config: None };
        found(tool, &reading)
            .into_iter()
            .map(|found| format!("{}={}", found.place, found.value))
            .collect()
    }

    #[test]
    fn files_go_over_variables_and_each_tool_reads_its_own() {
        let all =
            [("HTTPS_PROXY", "U"), ("https_proxy", "l"), ("http_proxy", "p"), ("ALL_PROXY", "A")];
        let git = [
            ("/h/.gitconfig", "[http]\nproxy = G\n"),
            ("/h/.cargo/config.toml", "[http]\nproxy = 'C'\n"),
        ];
        let git_order =
            ["/h/.gitconfig (http.proxy)=G", "$https_proxy=l", "$HTTPS_PROXY=U", "$ALL_PROXY=A"];
        assert_eq!(places(Tool::Git, &all, &git, None), git_order);
        assert_eq!(
            places(Tool::Cargo, &all, &git, None)[..2],
            ["/h/.cargo/config.toml (http.proxy)=C", git_order[0]]
        );
        assert_eq!(places(Tool::Curl, &all, &[], None)[0], "$https_proxy=l");
        assert_eq!(
            places(Tool::Wget, &all, &[("/h/.wgetrc", "https_proxy=W")], None),
            ["/h/.wgetrc (https_proxy)=W", "$https_proxy=l"]
        );
        assert_eq!(
            places(Tool::Npm, &all, &[("/h/.npmrc", "proxy=N")], None)[..2],
            ["/h/.npmrc (proxy)=N", "$HTTPS_PROXY=U"]
        );
        assert_eq!(
            places(Tool::Yarn, &[], &[("/h/.npmrc", "proxy=N")], None),
            ["/h/.npmrc (proxy)=N"]
        );
        let pip = [("/h/.config/pip/pip.conf", "[global]\nproxy=P")];
        assert_eq!(places(Tool::Pip, &[("PIP_PROXY", "V")], &pip, None)[0], "$PIP_PROXY=V");
        assert_eq!(
            places(Tool::Curl, &[("https_proxy", "")], &[], None),
            [""; 0],
            "an empty one is none"
        );
    }

    #[test]
    fn apt_says_itself_what_it_uses() {
        let dump = "Acquire::http \"\";\nAcquire::http::Proxy \"x\";\nAcquire::http::Proxy::localhost \"DIRECT\";\n";
        let variables = [("http_proxy", "p"), ("HTTP_PROXY", "U")];
        assert_eq!(
            places(Tool::Apt, &variables, &[], Some(dump)),
            ["apt-config (Acquire::http::Proxy)=x", "$http_proxy=p"]
        );
        let ours = [(APT_FILE, "Acquire::http::Proxy \"x\";\n")];
        assert_eq!(places(Tool::Apt, &[], &ours, Some(dump)), [format!("{APT_FILE}=x")]);
        assert_eq!(places(Tool::Apt, &[], &ours, None), [format!("{APT_FILE}=x")]);
    }

    #[test]
    fn dockers_daemon_file_goes_over_its_environment() {
        let files = [
            (DOCKER_DAEMON, "{\"proxies\": {\"https-proxy\": \"D\"}}"),
            (DOCKER_DROP_IN, "[Service]\nEnvironment=\"HTTPS_PROXY=http://u:a%%40b@h:1\"\n"),
        ];
        let expected = [
            format!("{DOCKER_DAEMON} (proxies.https-proxy)=D"),
            format!("{DOCKER_DROP_IN}=http://u:a%40b@h:1"),
        ];
        assert_eq!(places(Tool::Docker, &[], &files, None), expected);
    }
}
