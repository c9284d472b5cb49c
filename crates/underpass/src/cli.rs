//! The command line, as clap reads it.

use crate::doctor::args::DoctorOptions;
use crate::generate::Shell;
use crate::proxy::args::ProxyOptions;
use crate::selftest::SelftestOptions;
use crate::settings::SettingsCommand;
use clap::{ArgAction, Args, Parser, Subcommand};
use gateway::config::{Choices, OsText, UdpFiltering};
use gateway::via::Secret;
use ipnet::Ipv4Net;
use proxy::Target;
use std::ffi::OsString;
use std::path::PathBuf;

/// The network for WSL 2 that keeps working when a VPN cuts it off.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  underpass up
  underpass status
  underpass settings verify"
)]
pub(crate) struct Cli {
    /// Say more on standard error: -v what happens, -vv details, -vvv everything. RUST_LOG goes
    /// over it.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carry this VM's traffic through the relay until stopped by SIGTERM or Ctrl-C.
    #[command(after_help = "\
Examples:
  underpass up
  underpass up --via http://127.0.0.1:7890 --via-except 10.0.0.0/8
  underpass up --via windows --via-except .corp.example
  underpass up --if-needed --log-file /var/log/underpass.log
  underpass up --relay /mnt/c/Tools/underpass-relay.exe --lanes 2
  underpass up --config /etc/underpass.toml
  underpass up --attach")]
    Up(Box<UpOptions>),
    /// Tell how a running `underpass up` is doing.
    #[command(after_help = "\
Examples:
  underpass status
  underpass status --json | jq .relays")]
    Status(StatusOptions),
    /// Find out what is wrong with this machine's network, and what mends it.
    Doctor(Box<DoctorOptions>),
    /// Try on this machine what the tunnel should do, item by item, and measure it.
    Selftest(Box<SelftestOptions>),
    /// Have systemd start the tunnel with this distro, and keep it running.
    #[command(
        subcommand,
        after_help = "\
Examples:
  underpass service install
  underpass service status"
    )]
    Service(ServiceCommand),
    /// Keep the helper distro running; its boot command does this
    #[command(
        hide = true,
        after_help = "\
Examples:
  underpass keep-alive --distro underpass"
    )]
    KeepAlive(KeepAliveOptions),
    /// Show, check and change WSL's settings files
    #[command(
        subcommand,
        after_help = "\
Examples:
  underpass settings check
  underpass settings recommend --goal vpn
  underpass settings apply
  underpass settings verify"
    )]
    Settings(SettingsCommand),
    /// Set, take back, show and try the proxies of shells and tools
    #[command(after_help = "\
Examples:
  eval \"$(underpass proxy on)\"
  underpass proxy status
  underpass proxy test")]
    Proxy(ProxyOptions),
    /// Print the address by which the Windows host is reached from here
    #[command(after_help = "\
Examples:
  underpass host
  curl http://$(underpass host):8080/")]
    Host,
    /// Print the script by which a shell completes this command's words.
    #[command(after_help = "\
Examples:
  underpass completions bash >~/.local/share/bash-completion/completions/underpass
  underpass completions zsh >~/.zfunc/_underpass    # with fpath+=~/.zfunc before compinit in ~/.zshrc
  underpass completions fish >~/.config/fish/completions/underpass.fish
  source <(underpass completions bash)    # for this shell only")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder, such as ~/.local/share/man/man1.
    #[command(after_help = "\
Examples:
  underpass man ~/.local/share/man/man1")]
    Man {
        /// The folder, which is made where it is missing
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write the unit, enable it and start it; as root
    #[command(after_help = "\
Examples:
  underpass service install
  underpass service install --distro underpass-test")]
    Install {
        /// Name of the helper distro
        #[arg(long, default_value = "underpass", value_name = "NAME")]
        distro: String,
    },
    /// Stay with the tunnel of the helper distro, which is started; the unit does this
    #[command(
        hide = true,
        after_help = "\
Examples:
  underpass service run --distro underpass"
    )]
    Run {
        /// Name of the helper distro
        #[arg(long, value_name = "NAME")]
        distro: String,
    },
    /// Stop the service and remove its unit; as root
    #[command(after_help = "\
Examples:
  underpass service remove")]
    Remove,
    /// Tell how the service is doing; exit code 1 unless it is active
    #[command(after_help = "\
Examples:
  underpass service status")]
    Status,
}

/// Each option is a key of the configuration file too, with the same name.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// The relay: a program that opens sockets on the host [default: underpass-relay beside this
    /// program, or in PATH; in WSL the underpass-relay.exe beside it, copied to
    /// %LOCALAPPDATA%\underpass]
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<PathBuf>,
    /// An argument for the relay; repeat it for more
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    relay_arg: Vec<OsString>,
    /// How many relays run; connections are spread over them [default: 1]
    #[arg(long, value_name = "N")]
    lanes: Option<usize>,
    /// Name of the TAP device [default: underpass0]
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    /// MTU of the TAP device in bytes, 1280 to 65520 [default: 65520 for TCP, and for all else that
    /// of Windows' way out]
    #[arg(long, value_name = "N")]
    mtu: Option<u32>,
    /// Subnet of the TAP device, a /28 [default: the first of a short list that overlaps no route
    /// of VM and host]
    #[arg(long, value_name = "NETWORK")]
    subnet: Option<Ipv4Net>,
    /// Configuration file in TOML; options go over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Refuse connections to the host's own services, on 127.0.0.1 and on the addresses of its
    /// adapters
    #[arg(long)]
    no_host_loopback: bool,
    /// Refuse them but for these TCP and UDP ports
    #[arg(long, value_name = "PORT,…", value_delimiter = ',')]
    host_ports: Vec<u16>,
    /// Domains whose names may resolve to loopback or to an address of this host; from other names'
    /// DNS answers such addresses are dropped (DNS rebinding). `.` stands for every name
    #[arg(long, value_name = "DOMAIN,…", value_delimiter = ',')]
    rebind_domain_ok: Vec<String>,
    /// Which hosts may send datagrams to an app: `address-dependent`, those that the app has sent
    /// one to, or `endpoint-independent`, all that know the host's port (RFC 4787) [default:
    /// address-dependent]
    #[arg(long, value_name = "FILTERING")]
    udp_filtering: Option<UdpFiltering>,
    /// Do without segment and checksum offload on the TAP device
    #[arg(long)]
    no_offload: bool,
    /// Folder where this command, the status and env.sh are laid out for other distros [default:
    /// /mnt/wsl/underpass, in WSL]
    #[arg(long, value_name = "FOLDER")]
    publish: Option<PathBuf>,
    /// Lay out nothing for other distros
    #[arg(long)]
    no_publish: bool,
    /// Do nothing, with exit code 0, where WSL's own network reaches the outside
    #[arg(long)]
    pub(crate) if_needed: bool,
    /// Who is asked for to tell whether it does, by TCP [default: www.msftconnecttest.com:80]
    #[arg(long, value_name = "HOST:PORT")]
    outside: Option<Target>,
    /// Connect through a proxy: `http://HOST:PORT`, `socks5://USER:PASSWORD@HOST:PORT`, or
    /// `windows` for whatever Windows' own settings say of each destination (script, bypass list).
    /// A command line can be read by others of this VM: give a password by the configuration file
    /// or the variable UNDERPASS_VIA
    #[arg(long, value_name = "PROXY")]
    pub(crate) via: Option<Secret>,
    /// What goes without that proxy: a network, a .domain or a name; repeat it for more. This
    /// host's own addresses always do
    #[arg(long, value_name = "NETWORK|.DOMAIN")]
    via_except: Vec<String>,
    /// Write the log to a file in place of standard error; it stays below 1 MiB, with one older
    /// file beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Start no gateway: stay with the one that runs, and with those that follow it. Exit code 1
    /// when none has run for 60 s
    #[arg(long, conflicts_with_all = ["relay", "relay_arg", "lanes", "tap", "mtu", "subnet", "no_host_loopback", "host_ports", "rebind_domain_ok",
        "udp_filtering", "no_offload",
        "publish", "no_publish", "outside", "via", "via_except", "config", "if_needed"])]
    pub(crate) attach: bool,
}

impl UpOptions {
    /// What was given.
    pub(crate) fn choices(self) -> Choices {
        let args: Vec<OsText> = self.relay_arg.into_iter().map(OsText).collect();
        Choices {
            relay: self.relay,
            relay_arg: (!args.is_empty()).then_some(args),
            lanes: self.lanes,
            tap: self.tap,
            mtu: self.mtu,
            subnet: self.subnet,
            no_host_loopback: self.no_host_loopback.then_some(true),
            host_ports: (!self.host_ports.is_empty()).then_some(self.host_ports),
            rebind_domain_ok: (!self.rebind_domain_ok.is_empty()).then_some(self.rebind_domain_ok),
            udp_filtering: self.udp_filtering,
            no_offload: self.no_offload.then_some(true),
            publish: self.publish,
            no_publish: self.no_publish.then_some(true),
            outside: self.outside,
            via: self.via,
            via_except: (!self.via_except.is_empty()).then_some(self.via_except),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct KeepAliveOptions {
    /// Name of the distro that this runs in
    #[arg(long, env = "WSL_DISTRO_NAME", value_name = "NAME")]
    pub(crate) distro: String,
    /// Write the log to a file in place of standard error, as `up` does
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// As one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Every command that does something, by the words that call it.
    fn leaves(command: &clap::Command, words: &[String]) -> Vec<(String, clap::Command)> {
        let words = [words, &[command.get_name().to_owned()]].concat();
        if !command.has_subcommands() {
            return vec![(words.join(" "), command.clone())];
        }
        command.get_subcommands().flat_map(|command| leaves(command, &words)).collect()
    }

    /// What `underpass` is called with in a line of a shell: `eval "$(underpass x)"`, `underpass x
    /// >file # comment`.
    fn call(line: &str) -> Option<Vec<&str>> {
        let call = &line[line.find("underpass ")?..];
        let ends = |(at, letter): &(usize, char)| {
            ")|>;#".contains(*letter) && !call[..*at].ends_with('\\')
        };
        let end = call.char_indices().find(ends).map_or(call.len(), |(at, _)| at);
        Some(call[..end].split_whitespace().map(|word| word.trim_matches(['\'', '"'])).collect())
    }

    #[test]
    fn the_help_of_every_command_ends_with_examples_that_can_be_typed() {
        let all = leaves(&Cli::command(), &[]);
        assert!(all.len() >= 7, "{all:?}");
        for (words, mut command) in all {
            let help = command.render_help().to_string();
            let (_, examples) =
                help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{words}: {help}"));
            let examples: Vec<&str> =
                examples.lines().take_while(|line| line.starts_with("  ")).collect();
            assert!(
                examples.iter().any(|line| line.contains(&words)),
                "{words}: no example of it: {examples:?}"
            );
            for line in examples {
                let Some(call) = call(line) else { continue };
                assert!(
                    Cli::try_parse_from(&call).is_ok(),
                    "{words}: {line}: {:?}",
                    Cli::try_parse_from(&call).err()
                );
            }
        }
    }

    #[test]
    fn the_commands_of_the_readmes_and_of_the_docs_can_be_typed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let files = ["", "docs"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let paths = files.into_iter().flatten().map(|file| file.unwrap().path());
        let mut counts = std::collections::BTreeMap::new();
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "md")) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let commands =
                text.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| {
                    ["underpass ", "sudo underpass ", "eval \"$(underpass "]
                        .iter()
                        .any(|start| line.starts_with(start))
                });
            for line in commands {
                // Of what can be left out, and of alternatives the first.
                let line = line.replace(['[', ']'], "");
                let call = call(&line).unwrap();
                assert!(
                    Cli::try_parse_from(&call).is_ok(),
                    "{name}: {line}: {:?}",
                    Cli::try_parse_from(&call).err()
                );
                *counts.entry(name.clone()).or_insert(0) += 1;
            }
        }
        for readme in ["README.md", "README.zh-CN.md"] {
            assert!(counts.get(readme).is_some_and(|count| *count >= 3), "{counts:?}");
        }
        assert!(counts.values().sum::<i32>() > 40, "{counts:?}");
    }

    #[test]
    fn options_become_choices_and_silence_stays_silent() {
        let cli = Cli::parse_from([
            "underpass",
            "up",
            "--relay-arg",
            "-x",
            "--relay-arg",
            "y",
            "--no-host-loopback",
        ]);
        let Command::Up(options) = cli.command else { panic!("it was `up`") };
        let choices = options.choices();
        assert_eq!(choices.relay_arg, Some(vec![OsText("-x".into()), OsText("y".into())]));
        assert_eq!(
            (choices.no_host_loopback, choices.no_offload, choices.lanes),
            (Some(true), None, None)
        );
    }
}
