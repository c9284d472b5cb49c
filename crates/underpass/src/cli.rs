//! The command line, as clap reads it.

use crate::doctor::args::DoctorOptions;
use crate::generate::Shell;
use crate::proxy::args::ProxyOptions;
use crate::selftest::SelftestOptions;
use crate::settings::SettingsCommand;
use clap::{ArgAction, Args, Parser, Subcommand};
use gateway::LinkWish;
use gateway::config::{Choices, OsText, UdpFiltering};
use gateway::via::Secret;
use ipnet::Ipv4Net;
use messages::Language;
use proxy::Target;
use std::ffi::OsString;
use std::path::PathBuf;

/// All of the command line. Its texts are in `messages::help`; `help.rs` joins them.
#[derive(Debug, Parser)]
#[command(
    name = "underpass",
    version = crate::version::LONG,
    after_help = "\
Examples:
  underpass doctor
  underpass up
  underpass status
  eval \"$(underpass proxy on)\""
)]
pub(crate) struct Cli {
    #[arg(long, global = true, value_name = "LANGUAGE")]
    pub(crate) lang: Option<Language>,
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    #[command(after_help = "\
Examples:
  underpass status
  underpass status --json | jq .relays")]
    Status(StatusOptions),
    Doctor(Box<DoctorOptions>),
    Selftest(Box<SelftestOptions>),
    #[command(
        subcommand,
        after_help = "\
Examples:
  underpass service install
  underpass service status"
    )]
    Service(ServiceCommand),
    #[command(
        hide = true,
        after_help = "\
Examples:
  underpass keep-alive --distro underpass"
    )]
    KeepAlive(KeepAliveOptions),
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
    #[command(after_help = "\
Examples:
  eval \"$(underpass proxy on)\"
  underpass proxy status
  underpass proxy test")]
    Proxy(ProxyOptions),
    #[command(after_help = "\
Examples:
  underpass host
  curl http://$(underpass host):8080/")]
    Host,
    #[command(after_help = "\
Examples:
  underpass completions bash >~/.local/share/bash-completion/completions/underpass
  underpass completions zsh >~/.zfunc/_underpass    # with fpath+=~/.zfunc before compinit in \
  ~/.zshrc
  underpass completions fish >~/.config/fish/completions/underpass.fish
  source <(underpass completions bash)    # for this shell only")]
    Completions {
        shell: Shell,
    },
    #[command(after_help = "\
Examples:
  underpass man ~/.local/share/man/man1")]
    Man {
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    #[command(after_help = "\
Examples:
  underpass service install
  underpass service install --distro underpass-test")]
    Install {
        #[arg(long, default_value = "underpass", value_name = "NAME")]
        distro: String,
    },
    #[command(
        hide = true,
        after_help = "\
Examples:
  underpass service run --distro underpass"
    )]
    Run {
        #[arg(long, value_name = "NAME")]
        distro: String,
    },
    #[command(after_help = "\
Examples:
  underpass service remove")]
    Remove,
    #[command(after_help = "\
Examples:
  underpass service status")]
    Status,
}

/// Each option is a key of the configuration file too, with the same name.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<PathBuf>,
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    relay_arg: Vec<OsString>,
    #[arg(long, value_name = "N")]
    lanes: Option<usize>,
    #[arg(long, value_name = "LINK")]
    link: Option<LinkWish>,
    #[arg(long, value_name = "NAME")]
    tap: Option<String>,
    #[arg(long, value_name = "N")]
    mtu: Option<u32>,
    #[arg(long, value_name = "NETWORK")]
    subnet: Option<Ipv4Net>,
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[arg(long)]
    no_host_loopback: bool,
    #[arg(long, value_name = "PORT,…", value_delimiter = ',')]
    host_ports: Vec<u16>,
    #[arg(long, value_name = "DOMAIN,…", value_delimiter = ',')]
    rebind_domain_ok: Vec<String>,
    #[arg(long, value_name = "FILTERING")]
    udp_filtering: Option<UdpFiltering>,
    #[arg(long)]
    no_offload: bool,
    #[arg(long, value_name = "FOLDER")]
    publish: Option<PathBuf>,
    #[arg(long)]
    no_publish: bool,
    #[arg(long)]
    pub(crate) if_needed: bool,
    #[arg(long, value_name = "HOST:PORT")]
    outside: Option<Target>,
    #[arg(long, value_name = "PROXY")]
    pub(crate) via: Option<Secret>,
    #[arg(long, value_name = "NETWORK|.DOMAIN")]
    via_except: Vec<String>,
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    #[arg(long, conflicts_with_all = [
        "relay", "relay_arg", "lanes", "link", "tap", "mtu", "subnet", "no_host_loopback",
        "host_ports", "rebind_domain_ok", "udp_filtering", "no_offload", "publish", "no_publish",
        "outside", "via", "via_except", "config", "if_needed",
    ])]
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
            link: self.link,
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
    #[arg(long, env = "WSL_DISTRO_NAME", value_name = "NAME")]
    pub(crate) distro: String,
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
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

    /// The arguments of a call of `underpass` in a line of a shell: `eval "$(underpass x)"`,
    /// `underpass x >file # comment`.
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
