//! The command line, as clap reads it.

use clap::{ArgAction, Args, Parser, Subcommand};
use gateway::config::{Choices, OsText};
use gateway::reach::Target;
use ipnet::Ipv4Net;
use std::ffi::OsString;
use std::path::PathBuf;

/// The network for WSL 2 that keeps working when a VPN cuts it off.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Say more on standard error: -v what happens, -vv details, -vvv everything. RUST_LOG goes over it.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carry this VM's traffic through the relay until stopped by SIGTERM or Ctrl-C.
    Up(Box<UpOptions>),
    /// Tell how a running `underpass up` is doing.
    Status(StatusOptions),
    /// Have systemd start the tunnel with this distro, and keep it running.
    #[command(subcommand)]
    Service(ServiceCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write the unit, enable it and start it; as root
    Install {
        /// Name of the helper distro
        #[arg(long, default_value = "underpass", value_name = "NAME")]
        distro: String,
    },
    /// Stop the service and remove its unit; as root
    Remove,
    /// Tell how the service is doing; exit code 1 unless it is active
    Status,
}

/// Each option is a key of the configuration file too, with the same name.
#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// The relay: a program that opens sockets on the host [default: underpass-relay beside this program, or in PATH; in WSL the
    /// underpass-relay.exe beside it, copied to %LOCALAPPDATA%\underpass]
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
    /// MTU of the TAP device in bytes, 1280 to 65520 [default: 65520]
    #[arg(long, value_name = "N")]
    mtu: Option<u32>,
    /// Subnet of the TAP device, a /28 [default: the first of a short list that overlaps no route of VM and host]
    #[arg(long, value_name = "NETWORK")]
    subnet: Option<Ipv4Net>,
    /// Configuration file in TOML; options go over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Refuse connections to the host's own 127.0.0.1
    #[arg(long)]
    no_host_loopback: bool,
    /// Do without segment and checksum offload on the TAP device
    #[arg(long)]
    no_offload: bool,
    /// Folder where this command, the status and env.sh are laid out for other distros [default: /mnt/wsl/underpass, in WSL]
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
    /// Write the log to a file in place of standard error; it stays below 1 MiB, with one older file beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// If one runs already, stay with it until it ends
    #[arg(long)]
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
            no_offload: self.no_offload.then_some(true),
            publish: self.publish,
            no_publish: self.no_publish.then_some(true),
            outside: self.outside,
        }
    }
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

    #[test]
    fn options_become_choices_and_silence_stays_silent() {
        let cli = Cli::parse_from(["underpass", "up", "--relay-arg", "-x", "--relay-arg", "y", "--no-host-loopback"]);
        let Command::Up(options) = cli.command else { panic!("it was `up`") };
        let choices = options.choices();
        assert_eq!(choices.relay_arg, Some(vec![OsText("-x".into()), OsText("y".into())]));
        assert_eq!((choices.no_host_loopback, choices.no_offload, choices.lanes), (Some(true), None, None));
    }
}
