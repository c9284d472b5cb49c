//! The arguments of `underpass proxy`, as clap reads them.

use clap::{Args, Subcommand, ValueEnum};
use config::tools::shell::Syntax;
use config::tools::{Scheme, Tool};

const ON_EXAMPLES: &str = "Examples:
  eval \"$(underpass proxy on)\"                              # bash, zsh: Clash's port 7890 on \
  the Windows host
  underpass proxy on --port 10808 --scheme socks5 | source  # fish
  eval \"$(underpass proxy on --proxy http://proxy.corp.example:8080)\"
  eval \"$(underpass proxy on --from windows --url https://github.com/)\"
  eval \"$(underpass proxy on --quiet)\"                      # in ~/.bashrc: only where a proxy \
  listens";

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
  underpass proxy test --proxy socks5://172.28.48.1:7890 --url https://github.com/ --url \
  http://intranet.corp.example/";

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
    #[command(subcommand)]
    pub(crate) command: ProxyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    #[command(after_help = ON_EXAMPLES)]
    On(OnOptions),
    #[command(after_help = OFF_EXAMPLES)]
    Off(OffOptions),
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(ApplyOptions),
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(RemoveOptions),
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusOptions),
    #[command(after_help = SHELL_INIT_EXAMPLES)]
    ShellInit(ShellInitOptions),
    #[command(after_help = TEST_EXAMPLES)]
    Test(TestOptions),
}

/// Which proxy is meant.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    #[arg(long, value_name = "N", default_value_t = 7890)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    #[arg(long, default_value = "http")]
    pub(crate) scheme: Scheme,
    #[arg(long, value_name = "auto|ADDRESS", default_value = "auto")]
    pub(crate) host: String,
    #[arg(long, value_name = "URL", env = "UNDERPASS_PROXY", hide_env_values = true)]
    #[arg(conflicts_with_all = ["port", "scheme", "host"])]
    pub(crate) proxy: Option<String>,
    #[arg(long, value_name = "WHERE", conflicts_with_all = ["port", "scheme", "host", "proxy"])]
    pub(crate) from: Option<Origin>,
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
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShellInitOptions {
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Syntax,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    #[arg(long, value_name = "SHELL")]
    pub(crate) shell: Option<Syntax>,
}

#[derive(Debug, Args)]
pub(crate) struct OffOptions {
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyOptions {
    #[arg(long, value_name = "TOOLS", required = true, value_delimiter = ',')]
    pub(crate) tools: Vec<Tool>,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveOptions {
    #[arg(long, value_name = "TOOLS", value_delimiter = ',')]
    pub(crate) tools: Vec<Tool>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    #[arg(long = "url", value_name = "URL", default_values = PAGES, hide_default_value = true)]
    pub(crate) urls: Vec<String>,
    #[arg(long, value_name = "URL", env = "UNDERPASS_PROXY", hide_env_values = true)]
    pub(crate) proxy: Option<String>,
    #[arg(long)]
    pub(crate) json: bool,
}
