//! The arguments of `underpass proxy`, as clap reads them.

use clap::{Args, Subcommand, ValueEnum};
use config::tools::shell::Syntax;
use config::tools::{Scheme, Tool};
use messages::Language;

const ON_EXAMPLES: &str = "Examples:
  eval \"$(underpass proxy on)\"                              # bash, zsh: Clash's port 7890 on the Windows host
  underpass proxy on --port 10808 --scheme socks5 | source  # fish
  eval \"$(underpass proxy on --proxy http://proxy.corp.example:8080)\"
  eval \"$(underpass proxy on --from windows --url https://github.com/)\"
  eval \"$(underpass proxy on --quiet)\"                      # in ~/.bashrc: only where a proxy listens";

const OFF_EXAMPLES: &str = "Examples:
  eval \"$(underpass proxy off)\"      # bash, zsh
  underpass proxy off | source       # fish";

const APPLY_EXAMPLES: &str = "Examples:
  underpass proxy apply --tools git,npm,pip --port 7890
  sudo underpass proxy apply --tools apt,docker --proxy http://proxy.corp.example:8080";

const REMOVE_EXAMPLES: &str = "Examples:
  underpass proxy remove                  # all that `apply` has set for this user
  sudo underpass proxy remove --tools apt";

const SHELL_INIT_EXAMPLES: &str = "Examples:
  eval \"$(underpass proxy shell-init bash)\"     # in ~/.bashrc; then: proxy_on --port 7891
  eval \"$(underpass proxy shell-init zsh)\"      # in ~/.zshrc
  underpass proxy shell-init fish | source        # in ~/.config/fish/config.fish";

const STATUS_EXAMPLES: &str = "Examples:
  underpass proxy status
  underpass proxy status --json | jq .tools.git.uses";

const TEST_EXAMPLES: &str = "Examples:
  underpass proxy test
  underpass proxy test --proxy socks5://172.28.48.1:7890 --url https://github.com/ --url http://intranet.corp.example/";

/// Pages of servers here and abroad, one without TLS: rules of proxy programs differ by where a
/// server is.
const PAGES: [&str; 4] = [
    "https://www.google.com/",
    "https://github.com/",
    "https://www.baidu.com/",
    "http://www.msftconnecttest.com/connecttest.txt",
];

#[derive(Debug, Args)]
pub(crate) struct ProxyOptions {
    /// Language of sentences: en or zh [default: by LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, global = true, value_name = "LANGUAGE")]
    pub(crate) lang: Option<Language>,
    #[command(subcommand)]
    pub(crate) command: ProxyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// Print lines by which a shell sets its proxy variables: eval "$(underpass proxy on)"
    #[command(after_help = ON_EXAMPLES)]
    On(OnOptions),
    /// Print lines by which a shell gives its proxy variables back: eval "$(underpass proxy off)"
    #[command(after_help = OFF_EXAMPLES)]
    Off(OffOptions),
    /// Set a proxy in tools' own settings
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(ApplyOptions),
    /// Give tools' settings back as they were before `apply`
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(RemoveOptions),
    /// Tell every place where a proxy is set, and which one each tool uses
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusOptions),
    /// Print functions for a shell's start file: proxy_on, proxy_off and proxy_test
    #[command(after_help = SHELL_INIT_EXAMPLES)]
    ShellInit(ShellInitOptions),
    /// Try the proxies that are set, step by step; exit code 1 if one does not work
    #[command(after_help = TEST_EXAMPLES)]
    Test(TestOptions),
}

/// Which proxy is meant.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// The proxy's port
    #[arg(long, value_name = "N", default_value_t = 7890, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// What it speaks: http, socks5 or socks5h (the proxy resolves names)
    #[arg(long, default_value = "http")]
    pub(crate) scheme: Scheme,
    /// Where it is: an address or name, or auto: the Windows host, by the way that leads to it now
    #[arg(long, value_name = "auto|ADDRESS", default_value = "auto")]
    pub(crate) host: String,
    /// The whole proxy in one: http://HOST:PORT or socks5://USER:PASSWORD@HOST:PORT; with a
    /// password better by the variable, since others can read a command line
    #[arg(long, value_name = "URL", env = "UNDERPASS_PROXY", hide_env_values = true, conflicts_with_all = ["port", "scheme", "host"])]
    pub(crate) proxy: Option<String>,
    /// Take the proxy from somewhere else: windows, which is Windows' own setting, its script (PAC)
    /// evaluated
    #[arg(long, value_name = "WHERE", conflicts_with_all = ["port", "scheme", "host", "proxy"])]
    pub(crate) from: Option<Origin>,
    /// With --from windows: for which page; a script may name other proxies for others
    #[arg(long, value_name = "URL", requires = "from", default_value = "https://www.example.com/")]
    pub(crate) url: String,
}

/// Where else a proxy may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    Windows,
}

#[derive(Debug, Args)]
pub(crate) struct OnOptions {
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) shell: Shell,
    /// For a start file: say nothing, and set nothing where no proxy listens
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShellInitOptions {
    /// The shell: bash, zsh, sh or fish
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Syntax,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// The shell that evaluates the lines: bash, zsh, sh or fish [default: the one that started
    /// this command, or else SHELL]
    #[arg(long, value_name = "SHELL")]
    pub(crate) shell: Option<Syntax>,
}

#[derive(Debug, Args)]
pub(crate) struct OffOptions {
    /// Unset every proxy variable, whoever set it
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyOptions {
    /// Whose settings: git, apt, npm, yarn, pip, docker, curl, wget, cargo
    #[arg(long, value_name = "TOOLS", required = true, value_delimiter = ',')]
    pub(crate) tools: Vec<Tool>,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveOptions {
    /// Whose settings [default: all that `apply` has set]
    #[arg(long, value_name = "TOOLS", value_delimiter = ',')]
    pub(crate) tools: Vec<Tool>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// As one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    /// A page that is asked for through the proxies; repeat it for several [default: one each of
    /// Google, GitHub, Baidu and Microsoft]
    #[arg(long = "url", value_name = "URL", default_values = PAGES, hide_default_value = true)]
    pub(crate) urls: Vec<String>,
    /// A proxy to try instead of those that are set
    #[arg(long, value_name = "URL", env = "UNDERPASS_PROXY", hide_env_values = true)]
    pub(crate) proxy: Option<String>,
    /// As one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}
