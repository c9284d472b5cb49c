//! The files in which settings lie, and what they are to say.

use super::{Place, Readers, Refusal, Surroundings, Tool};
use crate::tools::format::Format;
use std::path::{Path, PathBuf};

/// apt's setting. The last of several files by name counts, and most people's are called
/// `proxy.conf` or begin with digits.
pub const APT_FILE: &str = "/etc/apt/apt.conf.d/zz-underpass-proxy.conf";

/// The Docker daemon's setting where systemd starts it: the form that every version takes.
pub const DOCKER_DROP_IN: &str = "/etc/systemd/system/docker.service.d/zz-underpass-proxy.conf";

/// The Docker daemon's setting where something else starts it; from version 23.
pub const DOCKER_DAEMON: &str = "/etc/docker/daemon.json";

/// The files of a tool that are keys and values, the one that counts first: the user's own, then
/// the machine's.
pub(crate) fn files(tool: Tool, surroundings: &Surroundings<'_>) -> Vec<(PathBuf, Format)> {
    let own = user_file(tool, surroundings);
    let home = surroundings.home;
    let machines = |paths: &[&str], format| {
        paths.iter().map(|path| (PathBuf::from(path), format)).collect::<Vec<_>>()
    };
    let others = match tool {
        // Debian's, and those of npm's own prefixes.
        Tool::Npm => {
            let npmrcs = ["/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc"];
            machines(&npmrcs, Format::Npmrc)
        }
        Tool::Pip => return pip_files(surroundings, own),
        // Yarn 1 reads npm's files too (`getOption` in src/registries/yarn-registry.js). Which
        // generation reads a file shows in its name.
        Tool::Yarn => {
            let (old, new) = (home.join(".yarnrc"), home.join(".yarnrc.yml"));
            let npms = files(Tool::Npm, surroundings);
            let both = [(old, Format::Yarnrc), (new, Format::YarnYaml)];
            return both.into_iter().chain(npms).collect();
        }
        Tool::Wget => machines(&["/etc/wgetrc"], Format::Wgetrc),
        Tool::Docker => machines(&[DOCKER_DAEMON], Format::Json),
        Tool::Environment | Tool::Git | Tool::Apt | Tool::Curl | Tool::Cargo | Tool::Ssh => {
            Vec::new()
        }
    };
    own.into_iter().chain(others).collect()
}

/// pip's files (`iter_config_files` in pip/_internal/configuration.py): the one that a variable
/// names takes the place of the user's if it is there, and `/dev/null` that of all.
fn pip_files(
    surroundings: &Surroundings<'_>,
    own: Option<(PathBuf, Format)>,
) -> Vec<(PathBuf, Format)> {
    let named = (surroundings.variable)("PIP_CONFIG_FILE").filter(|path| !path.is_empty());
    let named = named.map(PathBuf::from);
    if named.as_deref() == Some(Path::new("/dev/null")) {
        return Vec::new();
    }
    let named = named.filter(|path| (surroundings.exists)(path));
    let legacy = surroundings.home.join(".pip/pip.conf");
    let mut paths = match named {
        Some(named) => vec![named],
        None => own.into_iter().map(|(path, _)| path).chain([legacy]).collect(),
    };
    paths.extend(["/etc/pip.conf", "/etc/xdg/pip/pip.conf"].map(PathBuf::from));
    paths.into_iter().map(|path| (path, Format::Pip)).collect()
}

/// The user's own file of a tool, to which a setting is written; none for apt, which has only the
/// machine's.
pub(crate) fn user_file(tool: Tool, surroundings: &Surroundings<'_>) -> Option<(PathBuf, Format)> {
    let home = surroundings.home;
    let named = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| (surroundings.variable)(name))
            .find(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let config = named(&["XDG_CONFIG_HOME"]).unwrap_or_else(|| home.join(".config"));
    // The first that is there, or else the last of them.
    let first = |paths: Vec<PathBuf>, otherwise: PathBuf| {
        paths.into_iter().find(|path| (surroundings.exists)(path)).unwrap_or(otherwise)
    };
    Some(match tool {
        Tool::Environment | Tool::Apt | Tool::Ssh => return None,
        // git-config(1): it writes to ~/.gitconfig unless only the other one is there.
        Tool::Git => {
            let (plain, xdg) = (home.join(".gitconfig"), config.join("git/config"));
            let path = named(&["GIT_CONFIG_GLOBAL"])
                .unwrap_or_else(|| first(vec![plain.clone(), xdg], plain));
            (path, Format::Git)
        }
        Tool::Npm => {
            let path = named(&["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"]);
            (path.unwrap_or_else(|| home.join(".npmrc")), Format::Npmrc)
        }
        Tool::Yarn if surroundings.has_new_yarn => (home.join(".yarnrc.yml"), Format::YarnYaml),
        Tool::Yarn => (home.join(".yarnrc"), Format::Yarnrc),
        Tool::Pip => (config.join("pip/pip.conf"), Format::Pip),
        Tool::Docker => {
            let folder = named(&["DOCKER_CONFIG"]).unwrap_or_else(|| home.join(".docker"));
            (folder.join("config.json"), Format::Json)
        }
        // It reads the first that is there, and `~/.config` only where XDG_CONFIG_HOME names no
        // other folder (`findfile` in curl's src/tool_findfile.c).
        Tool::Curl => {
            let own = named(&["CURL_HOME"]).map(|folder| folder.join(".curlrc"));
            let plain = home.join(".curlrc");
            let xdg = named(&["XDG_CONFIG_HOME"]).map(|folder| folder.join("curlrc"));
            let usual = xdg.is_none().then(|| config.join("curlrc"));
            let paths = own.clone().into_iter().chain(xdg).chain([plain.clone()]).chain(usual);
            (first(paths.collect(), own.unwrap_or(plain)), Format::Curlrc)
        }
        Tool::Wget => (named(&["WGETRC"]).unwrap_or_else(|| home.join(".wgetrc")), Format::Wgetrc),
        // Of two files cargo takes the one without an ending.
        Tool::Cargo => {
            let folder = named(&["CARGO_HOME"]).unwrap_or_else(|| home.join(".cargo"));
            (first(vec![folder.join("config")], folder.join("config.toml")), Format::Toml)
        }
    })
}

/// Whether this machine has a Docker daemon, as far as its files show.
pub(super) fn has_daemon(surroundings: &Surroundings<'_>) -> bool {
    ["/etc/docker", "/usr/bin/dockerd", "/usr/sbin/dockerd"]
        .iter()
        .any(|path| (surroundings.exists)(Path::new(path)))
}

/// The places of a tool's setting, whose URL is `url`.
pub(super) fn places(
    tool: Tool,
    url: &str,
    exceptions: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<Place>, Refusal> {
    let Some((path, format)) = user_file(tool, surroundings) else {
        if tool != Tool::Apt {
            return Err(Refusal::NoSetting { tool });
        }
        if !surroundings.is_root {
            return Err(Refusal::NeedsRoot { tool });
        }
        return Ok(vec![whole(tool, APT_FILE, apt(url), Readers::Everybody)]);
    };
    let pairs: Vec<(&str, &str)> = match tool {
        Tool::Environment | Tool::Apt | Tool::Ssh => Vec::new(),
        // git has one for both, and takes exceptions from the environment, as cargo does.
        Tool::Git | Tool::Cargo => vec![("http.proxy", url)],
        Tool::Npm => vec![("proxy", url), ("https-proxy", url), ("noproxy", exceptions)],
        Tool::Yarn if format == Format::YarnYaml => vec![("httpProxy", url), ("httpsProxy", url)],
        Tool::Yarn => vec![("proxy", url), ("https-proxy", url)],
        Tool::Pip => vec![("global.proxy", url)],
        Tool::Docker => vec![
            ("proxies.default.httpProxy", url),
            ("proxies.default.httpsProxy", url),
            ("proxies.default.noProxy", exceptions),
        ],
        Tool::Curl => vec![("proxy", url), ("noproxy", exceptions)],
        Tool::Wget => {
            vec![
                ("http_proxy", url),
                ("https_proxy", url),
                ("no_proxy", exceptions),
                ("use_proxy", "on"),
            ]
        }
    };
    let user = Place { tool, path, format, wanted: owned(&pairs), readers: Readers::Owner };
    let daemon = (tool == Tool::Docker && surroundings.is_root && has_daemon(surroundings))
        .then(|| daemon(url, exceptions, (surroundings.exists)(Path::new("/run/systemd/system"))));
    Ok([user].into_iter().chain(daemon).collect())
}

fn daemon(url: &str, exceptions: &str, has_systemd: bool) -> Place {
    if has_systemd {
        return whole(Tool::Docker, DOCKER_DROP_IN, drop_in(url, exceptions), Readers::Owner);
    }
    let pairs = [
        ("proxies.http-proxy", url),
        ("proxies.https-proxy", url),
        ("proxies.no-proxy", exceptions),
    ];
    let (path, wanted) = (DOCKER_DAEMON.into(), owned(&pairs));
    Place { tool: Tool::Docker, path, format: Format::Json, wanted, readers: Readers::Owner }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A file that is ours as a whole.
fn whole(tool: Tool, path: &str, text: String, readers: Readers) -> Place {
    Place {
        tool,
        path: path.into(),
        format: Format::Whole,
        wanted: vec![(String::new(), text)],
        readers,
    }
}

fn apt(url: &str) -> String {
    format!(
        "// Made by `underpass proxy apply`; `underpass proxy remove --tools apt` takes it away.\n\
         Acquire::http::Proxy \"{url}\";\n\
         Acquire::https::Proxy \"{url}\";\n\
         Acquire::http::Proxy::localhost \"DIRECT\";\n\
         Acquire::http::Proxy::127.0.0.1 \"DIRECT\";\n"
    )
}

/// In a unit a percent sign begins a specifier (systemd.unit(5)).
fn drop_in(url: &str, exceptions: &str) -> String {
    let lines: String = [("HTTP_PROXY", url), ("HTTPS_PROXY", url), ("NO_PROXY", exceptions)]
        .map(|(name, value)| format!("Environment=\"{name}={}\"\n", value.replace('%', "%%")))
        .concat();
    format!(
        "# Made by `underpass proxy apply`; `underpass proxy remove --tools docker` takes it away.\n[Service]\n{lines}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::proxy::Proxy;

    const URL: &str = "http://127.0.0.1:7890";

    fn paths(
        tool: Tool,
        variables: &[(&str, &str)],
        there: &[&str],
        is_root: bool,
    ) -> Result<Vec<String>, Refusal> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let exists = |path: &Path| there.iter().any(|known| Path::new(known) == path);
        let home = Path::new("/h");
        let surroundings = Surroundings {
            home,
            variable: &variable,
            exists: &exists,
            is_root,
            has_new_yarn: false,
        };
        let proxy: Proxy = URL.parse().unwrap();
        let places = super::super::places(tool, &proxy, "localhost", &surroundings)?;
        for place in &places {
            // The wanted values can be written and read again.
            let mut text = String::new();
            for (key, value) in &place.wanted {
                text = place.format.set(&text, key, Some(value)).unwrap();
            }
            for (key, value) in &place.wanted {
                assert_eq!(place.format.get(&text, key).as_ref(), Some(value), "{place:?}");
            }
            assert!(text.contains(URL));
        }
        Ok(places.iter().map(|place| place.path.display().to_string()).collect())
    }

    #[test]
    fn each_tool_has_its_file_where_it_looks_for_it() {
        for (tool, variables, there, path) in [
            (Tool::Git, &[][..], &[][..], "/h/.gitconfig"),
            (Tool::Git, &[], &["/h/.config/git/config"], "/h/.config/git/config"),
            (Tool::Git, &[], &["/h/.config/git/config", "/h/.gitconfig"], "/h/.gitconfig"),
            (Tool::Git, &[("GIT_CONFIG_GLOBAL", "/g")], &["/h/.gitconfig"], "/g"),
            (Tool::Npm, &[("NPM_CONFIG_USERCONFIG", "/n")], &[], "/n"),
            (Tool::Yarn, &[], &[], "/h/.yarnrc"),
            (Tool::Pip, &[("XDG_CONFIG_HOME", "/c")], &[], "/c/pip/pip.conf"),
            (Tool::Docker, &[("DOCKER_CONFIG", "/d")], &[], "/d/config.json"),
            (Tool::Curl, &[], &[], "/h/.curlrc"),
            (Tool::Curl, &[], &["/h/.config/curlrc", "/h/.curlrc"], "/h/.curlrc"),
            (Tool::Curl, &[], &["/h/.config/curlrc"], "/h/.config/curlrc"),
            (Tool::Curl, &[("XDG_CONFIG_HOME", "/c")], &["/h/.config/curlrc"], "/h/.curlrc"),
            (Tool::Curl, &[("XDG_CONFIG_HOME", "/c")], &["/c/curlrc", "/h/.curlrc"], "/c/curlrc"),
            (Tool::Curl, &[("CURL_HOME", "/u")], &[], "/u/.curlrc"),
            (Tool::Wget, &[("WGETRC", "/w")], &[], "/w"),
            (Tool::Cargo, &[], &[], "/h/.cargo/config.toml"),
            (Tool::Cargo, &[("CARGO_HOME", "/k")], &["/k/config"], "/k/config"),
        ] {
            assert_eq!(
                paths(tool, variables, there, false),
                Ok(vec![path.to_owned()]),
                "{tool} {there:?}"
            );
        }
    }

    #[test]
    fn a_tools_places_are_known_and_no_others() {
        use super::super::is_place;
        let variable = |name: &str| (name == "CARGO_HOME").then(|| "/k".to_owned());
        let home = Path::new("/h");
        let exists = |_: &Path| true;
        let around = Surroundings {
            home,
            variable: &variable,
            exists: &exists,
            is_root: true,
            has_new_yarn: false,
        };
        for (tool, path, is) in [
            (Tool::Git, "/h/.gitconfig", true),
            (Tool::Git, "/h/.config/git/config", true),
            (Tool::Git, "/h/.npmrc", false),
            (Tool::Npm, "/h/../etc/passwd", false),
            (Tool::Yarn, "/h/.yarnrc", true),
            (Tool::Yarn, "/h/.yarnrc.yml", true),
            (Tool::Cargo, "/k/config", true),
            (Tool::Cargo, "/k/config.toml", true),
            (Tool::Cargo, "/h/.cargo/config.toml", false),
            (Tool::Apt, APT_FILE, true),
            (Tool::Apt, "/etc/shadow", false),
            (Tool::Docker, DOCKER_DAEMON, true),
            (Tool::Docker, DOCKER_DROP_IN, true),
        ] {
            assert_eq!(is_place(tool, Path::new(path), &around), is, "{tool} {path}");
        }
    }

    #[test]
    fn the_machines_files_are_roots() {
        assert_eq!(paths(Tool::Apt, &[], &[], false), Err(Refusal::NeedsRoot { tool: Tool::Apt }));
        assert_eq!(paths(Tool::Apt, &[], &[], true), Ok(vec![APT_FILE.to_owned()]));
        let client = "/h/.docker/config.json".to_owned();
        assert_eq!(paths(Tool::Docker, &[], &["/etc/docker"], false), Ok(vec![client.clone()]));
        let with_systemd = paths(Tool::Docker, &[], &["/etc/docker", "/run/systemd/system"], true);
        assert_eq!(with_systemd, Ok(vec![client.clone(), DOCKER_DROP_IN.to_owned()]));
        let without = paths(Tool::Docker, &[], &["/usr/bin/dockerd"], true);
        assert_eq!(without, Ok(vec![client, DOCKER_DAEMON.to_owned()]));
    }

    #[test]
    fn escapes_in_a_unit_are_doubled() {
        assert!(
            drop_in("http://u:a%40b@h:1", "x")
                .contains("Environment=\"HTTP_PROXY=http://u:a%%40b@h:1\"\n")
        );
    }
}
