//! What each tool finds on machines that are made of a few texts.

use super::*;
use crate::tools::places::{APT_FILE, DOCKER_DAEMON, DOCKER_DROP_IN};

/// A machine: variables, files, and the answers of apt and git.
#[derive(Clone, Copy, Default)]
struct Machine<'a> {
    variables: &'a [(&'a str, &'a str)],
    files: &'a [(&'a str, &'a str)],
    apt: Option<&'a str>,
    git: Option<&'a str>,
    has_new_yarn: bool,
}

fn pick(all: &[(&str, &str)], name: &str) -> Option<String> {
    all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

impl Machine<'_> {
    fn read<T>(self, read: impl FnOnce(&Reading<'_>) -> T) -> T {
        let Self { variables, files, apt, git, has_new_yarn } = self;
        let variable = |name: &str| pick(variables, name);
        let file = |path: &Path| pick(files, path.to_str().unwrap());
        let exists = |path: &Path| file(path).is_some();
        let folder = |folder: &Path| {
            let paths = files.iter().map(|(path, _)| PathBuf::from(path));
            paths.filter(|path| path.parent() == Some(folder)).collect::<Vec<_>>()
        };
        let home = Path::new("/h");
        let surroundings = Surroundings {
            home,
            variable: &variable,
            exists: &exists,
            is_root: false,
            has_new_yarn,
        };
        read(&Reading {
            surroundings,
            file: &file,
            folder: &folder,
            apt_config: apt,
            git_config: git,
        })
    }

    /// The places that a tool reads for https, and what they say.
    fn used(self, tool: Tool) -> Vec<String> {
        let used = self.read(|reading| used(tool, reading));
        used.iter().map(|setting| format!("{}={}", setting.place(), setting.value)).collect()
    }

    /// The doctor's input: places with their lines and values.
    fn all(self) -> Vec<String> {
        let said = |setting: &ProxySetting| {
            let line = setting.line.map_or_else(String::new, |line| format!(":{line}"));
            format!("{} {}{line}={}", setting.tool, setting.place(), setting.value)
        };
        self.read(|reading| all(reading).0).iter().map(said).collect()
    }
}

/// A machine of files alone.
const fn files<'a>(files: &'a [(&'a str, &'a str)]) -> Machine<'a> {
    Machine { variables: &[], files, apt: None, git: None, has_new_yarn: false }
}

#[test]
fn files_go_over_variables_and_each_tool_reads_its_own() {
    let variables =
        &[("HTTPS_PROXY", "U"), ("https_proxy", "l"), ("http_proxy", "p"), ("ALL_PROXY", "A")];
    let with = |list| Machine { variables, ..files(list) };
    let git = [
        ("/h/.gitconfig", "[http]\nproxy = G\n"),
        ("/h/.cargo/config.toml", "[http]\nproxy = 'C'\n"),
    ];
    let git_order =
        ["/h/.gitconfig (http.proxy)=G", "$https_proxy=l", "$HTTPS_PROXY=U", "$ALL_PROXY=A"];
    assert_eq!(with(&git).used(Tool::Git), git_order);
    let cargo = with(&git).used(Tool::Cargo);
    assert_eq!(cargo[0], "/h/.cargo/config.toml (http.proxy)=C");
    assert_eq!(cargo[1..], git_order);
    assert_eq!(with(&[]).used(Tool::Curl)[0], "$https_proxy=l");
    let wget = with(&[("/h/.wgetrc", "https_proxy=W")]);
    assert_eq!(wget.used(Tool::Wget), ["/h/.wgetrc (https_proxy)=W", "$https_proxy=l"]);
    let npm = with(&[("/h/.npmrc", "proxy=N")]);
    assert_eq!(npm.used(Tool::Npm)[..2], ["/h/.npmrc (proxy)=N", "$HTTPS_PROXY=U"]);
    let npm = files(&[("/h/.npmrc", "proxy=N")]);
    assert_eq!(npm.used(Tool::Yarn), ["/h/.npmrc (proxy)=N"]);
    let pip = [("/h/.config/pip/pip.conf", "[global]\nproxy=P")];
    let pip = Machine { variables: &[("PIP_PROXY", "V")], ..files(&pip) };
    assert_eq!(pip.used(Tool::Pip), ["$PIP_PROXY=V", "/h/.config/pip/pip.conf (global.proxy)=P"]);
    let empty = Machine { variables: &[("https_proxy", "")], ..files(&[]) };
    assert_eq!(empty.used(Tool::Curl), [""; 0], "an empty variable is not a proxy");
}

#[test]
fn apt_says_itself_what_it_uses() {
    let dump = "APT \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"x\";\n\
                Acquire::https::Proxy \"\";\n\
                Acquire::Retries \"3\";\nAcquire::http::Proxy::deb.corp.test \"DIRECT\";\n\
                Acquire::http::Proxy-Auto-Detect \"/usr/bin/auto-apt-proxy\";\n";
    let variables = &[("http_proxy", "p"), ("HTTP_PROXY", "U")];
    let machine = Machine { variables, apt: Some(dump), ..Machine::default() };
    assert_eq!(machine.used(Tool::Apt), ["apt-config (Acquire::http::Proxy)=x", "$http_proxy=p"]);
    let ours = [(APT_FILE, "Acquire::http::Proxy \"x\";\n")];
    let place = format!("{APT_FILE} (Acquire::http::Proxy)=x");
    for apt in [Some(dump), None] {
        assert_eq!(Machine { apt, ..files(&ours) }.used(Tool::Apt), [place.as_str()]);
    }
    // Of several files the last one; a line within scopes says more than this.
    let scopes = [
        ("/etc/apt/apt.conf.d/10proxy", "Acquire::http::Proxy \"x\";\n"),
        ("/etc/apt/apt.conf.d/95proxy", "Acquire { http { Proxy \"x\"; }; };\n"),
    ];
    assert_eq!(
        Machine { apt: Some(dump), ..files(&scopes) }.all(),
        [
            "apt /etc/apt/apt.conf.d/95proxy (Acquire::http::Proxy)=x",
            "apt apt-config (Acquire::http::Proxy::deb.corp.test)=DIRECT"
        ]
    );
    let nested = [("/etc/apt/apt.conf.d/95proxy", "Acquire {\n http::Proxy \"x\";\n};\n")];
    let nested = Machine { apt: Some(dump), ..files(&nested) }.all();
    assert_eq!(nested[0], "apt /etc/apt/apt.conf.d/95proxy (Acquire::http::Proxy):2=x");
}

#[test]
fn git_says_itself_what_it_uses() {
    let list = "file:/etc/gitconfig\0http.proxy\nhttp://192.0.2.9:1\0\
                file:/h/.gitconfig\0http.proxy\nhttp://192.0.2.1:7890\0\
                command line:\0core.sshcommand\nssh -x\0\
                file:a\0http.https://git.test.proxy\n\0\
                file:a\0url.https://mirror.test/.insteadof\nhttps://github.com/\0";
    let machine = Machine { git: Some(list), ..Machine::default() };
    assert_eq!(
        machine.all(),
        [
            "git /h/.gitconfig (http.proxy)=http://192.0.2.1:7890",
            "git a (http.https://git.test.proxy)=",
            "ssh git config (core.sshcommand)=ssh -x",
        ]
    );
    assert_eq!(
        machine.used(Tool::Git),
        [
            "/h/.gitconfig (http.proxy)=http://192.0.2.1:7890",
            "/etc/gitconfig (http.proxy)=http://192.0.2.9:1"
        ]
    );
    let rewrite = GitRewrite {
        file: Some("a".to_owned()),
        base: "https://mirror.test/".to_owned(),
        instead_of: "https://github.com/".to_owned(),
    };
    assert_eq!(machine.read(|reading| all(reading).1), [rewrite]);
    let none = Machine { git: Some(""), ..Machine::default() };
    assert!(none.all().is_empty() && none.read(|reading| all(reading).1).is_empty());
    // An empty one: git goes directly, whatever the variables say (git-config(1), `http.proxy`).
    let direct = "file:/h/.gitconfig\0http.proxy\n\0";
    let variables = &[("https_proxy", "l")];
    let direct = Machine { git: Some(direct), variables, ..Machine::default() };
    assert_eq!(direct.used(Tool::Git), ["/h/.gitconfig (http.proxy)=", "$https_proxy=l"]);
}

#[test]
fn dockers_daemon_file_goes_over_its_environment() {
    let drop_in = "[Service]\nEnvironment=\"HTTPS_PROXY=http://u:a%%40b@h:1\" \"X=y\"\n";
    let all = [
        (DOCKER_DAEMON, "{\"proxies\": {\"https-proxy\": \"D\"}}"),
        (DOCKER_DROP_IN, drop_in),
        ("/etc/systemd/system/docker.service.d/a.conf", "Environment='HTTPS_PROXY=http://a:1'\n"),
        ("/etc/systemd/system/docker.service.d/zzz.bak", "Environment=HTTPS_PROXY=http://no:1\n"),
        ("/h/.docker/config.json", "{\"proxies\": {\"default\": {\"httpsProxy\": \"C\"}}}"),
    ];
    let daemon = format!("{DOCKER_DAEMON} (proxies.https-proxy)=D");
    let unit = format!("{DOCKER_DROP_IN} (HTTPS_PROXY)=http://u:a%40b@h:1");
    let other = "/etc/systemd/system/docker.service.d/a.conf (HTTPS_PROXY)=http://a:1";
    let client = "/h/.docker/config.json (proxies.default.httpsProxy)=C";
    assert_eq!(files(&all).used(Tool::Docker), [&daemon, &unit, other, client]);
    // The doctor judges the one of the daemon's settings that counts.
    assert_eq!(files(&all).all(), [format!("docker {daemon}"), format!("docker {client}")]);
    let broken = [(DOCKER_DAEMON, "not json"), (DOCKER_DROP_IN, drop_in)];
    assert_eq!(files(&broken).all(), [format!("docker {unit}")]);
}

#[test]
fn each_file_is_read_in_its_own_form() {
    let list = [
        ("/h/.npmrc", "# x\nregistry=https://r.test/\nproxy=http://npm:1\nhttps-proxy = null\n"),
        ("/h/.yarnrc", "proxy \"http://yarn:1\"\n"),
        ("/h/.yarnrc.yml", "httpProxy: \"http://yarn:2\"\n"),
        ("/usr/etc/npmrc", "https-proxy=http://npm:2\n"),
        ("/h/.pip/pip.conf", "[global]\nproxy = http://no:1\n"),
        (
            "/h/.config/pip/pip.conf",
            "[install]\nproxy = http://pip:1\n[global]\nproxy = http://no:2\n",
        ),
        ("/h/.docker/config.json", r#"{"proxies": {"default": {"httpProxy": "http://docker:1"}}}"#),
        (DOCKER_DROP_IN, "[Service]\nEnvironment=\"HTTP_PROXY=http://docker:2\" \"X=y\"\n"),
        ("/h/.curlrc", "-s\nproxy = \"http://curl:1\"\n"),
        ("/etc/wgetrc", "#http_proxy = http://no:1\nhttps_proxy = http://wget:1\n"),
        ("/h/.cargo/config.toml", "[net]\nproxy = 'no'\n[http]\nproxy = \"http://cargo:1\"\n"),
        (
            "/h/.ssh/config",
            "Host a b\n  ProxyCommand nc -x 127.0.0.1:1080 %h %p\nHost c\n  proxyjump none\n\
             #ProxyJump no\n",
        ),
        ("/etc/ssh/ssh_config.d/a.conf", "ProxyJump = jump\n"),
    ];
    let variables = &[
        ("HTTPS_PROXY", "http://env:1"),
        ("https_proxy", ""),
        ("PIP_PROXY", "http://pip:2"),
        ("GIT_SSH_COMMAND", "ssh -x"),
    ];
    assert_eq!(
        Machine { variables, ..files(&list) }.all(),
        [
            "environment $HTTPS_PROXY=http://env:1",
            "npm /h/.npmrc (proxy):3=http://npm:1",
            "yarn /h/.yarnrc (proxy):1=http://yarn:1",
            "yarn /h/.yarnrc.yml (httpProxy):1=http://yarn:2",
            "pip $PIP_PROXY=http://pip:2",
            &format!("docker {DOCKER_DROP_IN} (HTTP_PROXY)=http://docker:2"),
            "docker /h/.docker/config.json (proxies.default.httpProxy)=http://docker:1",
            "curl /h/.curlrc (proxy):2=http://curl:1",
            "wget /etc/wgetrc (https_proxy):2=http://wget:1",
            "cargo /h/.cargo/config.toml (http.proxy):4=http://cargo:1",
            "ssh $GIT_SSH_COMMAND=ssh -x",
            "ssh /h/.ssh/config (ProxyCommand (a b)):2=nc -x 127.0.0.1:1080 %h %p",
            "ssh /etc/ssh/ssh_config.d/a.conf (ProxyJump (*)):1=jump",
        ]
    );
    // A command's own section overrides settings for all commands in any file.
    let pips = files(&list).used(Tool::Pip);
    assert_eq!(pips[0], "/h/.config/pip/pip.conf (install.proxy)=http://pip:1");
    assert_eq!(pips.len(), 3);
}

#[test]
fn files_are_read_where_variables_say_that_they_are() {
    let list = [
        ("/m/config.toml", "[http]\nproxy = \"http://cargo:1\"\n"),
        ("/m/config.json", r#"{"proxies": {"default": {"httpProxy": "http://docker:1"}}}"#),
        ("/m/.curlrc", "proxy = http://curl:1\n"),
        ("/m/wget", "http_proxy = http://wget:1\n"),
        ("/m/pip", "[global]\nproxy = http://pip:1\n"),
        // None of these counts.
        ("/h/.cargo/config.toml", "[http]\nproxy = \"http://no:1\"\n"),
        ("/h/.docker/config.json", r#"{"proxies": {"default": {"httpProxy": "http://no:1"}}}"#),
        ("/h/.curlrc", "proxy = http://no:1\n"),
        ("/h/.wgetrc", "http_proxy = http://no:1\n"),
        ("/h/.config/pip/pip.conf", "[install]\nproxy = http://no:1\n"),
    ];
    let variables = &[
        ("CARGO_HOME", "/m"),
        ("DOCKER_CONFIG", "/m"),
        ("CURL_HOME", "/m"),
        ("WGETRC", "/m/wget"),
        ("PIP_CONFIG_FILE", "/m/pip"),
    ];
    assert_eq!(
        Machine { variables, ..files(&list) }.all(),
        [
            "pip /m/pip (global.proxy):2=http://pip:1",
            "docker /m/config.json (proxies.default.httpProxy)=http://docker:1",
            "curl /m/.curlrc (proxy):1=http://curl:1",
            "wget /m/wget (http_proxy):1=http://wget:1",
            "cargo /m/config.toml (http.proxy):2=http://cargo:1",
        ]
    );
}

#[test]
fn odd_cases_are_read_as_their_owners_read_them() {
    // pip 23.2.1: the file that a variable names takes the place of the user's if it is there.
    let pip = [("/h/.config/pip/pip.conf", "[install]\nproxy = U\n"), ("/p", "[global]\nproxy=F")];
    let user = "/h/.config/pip/pip.conf (install.proxy)=U";
    for (name, expected) in
        [("/p", &["/p (global.proxy)=F"][..]), ("/missing", &[user]), ("/dev/null", &[])]
    {
        let machine = Machine { variables: &[("PIP_CONFIG_FILE", name)], ..files(&pip) };
        assert_eq!(machine.used(Tool::Pip), expected, "{name}");
    }
    // npm 11.19.1: `null` goes over another file's proxy, and `http-proxy` is not a key.
    let npm = [
        ("/h/.npmrc", "https-proxy=null\nhttp-proxy=no\n"),
        ("/etc/npmrc", "https-proxy=no\nproxy=N\n"),
    ];
    assert_eq!(files(&npm).used(Tool::Npm), ["/etc/npmrc (proxy)=N"]);
    // If two keys have one value and that proxy is dead, both must go.
    let npm = [("/h/.npmrc", "proxy=N\nhttps-proxy=N\n"), ("/etc/npmrc", "proxy=M\n")];
    assert_eq!(files(&npm).all(), ["npm /h/.npmrc (https-proxy):2=N", "npm /h/.npmrc (proxy):1=N"]);
    // Yarn 1: `https-proxy` of npm's file goes over its own `proxy`.
    let yarn = [("/h/.yarnrc", "proxy \"Y\"\n"), ("/h/.npmrc", "https-proxy=N\n")];
    assert_eq!(
        files(&yarn).used(Tool::Yarn),
        ["/h/.npmrc (https-proxy)=N", "/h/.yarnrc (proxy)=Y"]
    );
    assert_eq!(
        files(&yarn[1..]).all(),
        ["npm /h/.npmrc (https-proxy):1=N"],
        "a line that two tools read is one setting"
    );
    // Later ones take neither `httpProxy` nor a variable for https.
    let yarn = [("/h/.yarnrc.yml", "httpProxy: \"Y\"\n")];
    let variables = &[("https_proxy", "l")];
    let yarn = Machine { variables, has_new_yarn: true, ..files(&yarn) };
    assert_eq!(yarn.used(Tool::Yarn), [""; 0]);
    // curl 7.88.1: of all options that name a proxy the last one counts.
    let curl = "proxy = http://c:1\nsocks5-hostname = s:1080\n";
    let curl = [("/h/.curlrc", curl)];
    assert_eq!(
        files(&curl).used(Tool::Curl),
        ["/h/.curlrc (socks5-hostname)=socks5h://s:1080", "/h/.curlrc (proxy)=http://c:1"]
    );
    // An empty one keeps curl, wget and cargo from the variables' proxy.
    let direct = [
        ("/h/.curlrc", "proxy = \"\"\n"),
        ("/h/.wgetrc", "https_proxy =\n"),
        ("/h/.cargo/config.toml", "http.proxy = ''\n"),
    ];
    let direct = Machine { variables, ..files(&direct) };
    for tool in [Tool::Curl, Tool::Wget, Tool::Cargo] {
        assert!(direct.used(tool)[0].ends_with(")="), "{tool}");
    }
    assert_eq!(direct.all(), ["environment $https_proxy=l"]);
}
