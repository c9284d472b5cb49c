//! The command `underpass-load`: the load of our benchmarks, and its servers. It must never be the
//! slower side, so it is one thread without a task per operation. It knows addresses, and nothing
//! of the path between them.
#![forbid(unsafe_code)]

mod bulk;
mod connects;
mod datagrams;
mod dns;
mod figures;
mod hold;
mod message;
mod net;
mod pingpong;
mod serve;
mod soak;
#[cfg(test)]
mod tests;
mod work;

use anyhow::{Context as _, Result};
use clap::{ArgGroup, Args, Parser, Subcommand};
use serde::Serialize;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// Makes load, or serves it. Each client prints one line of JSON and ends by itself.
#[derive(Debug, Parser)]
#[command(name = "underpass-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves all the clients until it is killed.
    Serve(ServeOptions),
    /// One message back and forth: the time of a round.
    Pingpong(PingpongOptions),
    /// Connects, echoes one byte, closes: the rate per second.
    Connects(ConnectsOptions),
    /// Echoed datagrams: the rate per second, and the losses.
    Datagrams(DatagramsOptions),
    /// Queries for a name: the rate per second.
    Dns(DnsOptions),
    /// Holds many connections open until its standard input ends; a line of JSON before and one
    /// after.
    Hold(HoldOptions),
    /// All of it at once, and whether the echoes are correct.
    Soak(SoakOptions),
}

#[derive(Debug, Args)]
struct ServeOptions {
    /// The address to listen at.
    #[arg(long)]
    address: IpAddr,
    /// The first of nine ports: this echoes, the next eight are for `connects`.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(u16::MAX - net::CONNECT_PORTS)))]
    port: u16,
    /// The port that answers every question with one address, by UDP and TCP.
    #[arg(long)]
    dns_port: Option<u16>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("way").required(true).args(["tcp", "udp"])))]
struct PingpongOptions {
    /// The server, by TCP.
    #[arg(long, value_name = "ADDRESS:PORT")]
    tcp: Option<SocketAddr>,
    /// The server, by UDP.
    #[arg(long, value_name = "ADDRESS:PORT")]
    udp: Option<SocketAddr>,
    /// Bytes of a message.
    #[arg(long, default_value_t = 1, value_parser = size_from(1))]
    size: u16,
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// Rounds before those that count; they end after `--seconds` too.
    #[arg(long, default_value_t = 200)]
    warm_up_rounds: u64,
}

#[derive(Debug, Args)]
struct ConnectsOptions {
    /// The server's first port.
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    /// Concurrent connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
}

#[derive(Debug, Args)]
struct DatagramsOptions {
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    sockets: u16,
    /// Bytes of a datagram.
    #[arg(long, default_value_t = 1200, value_parser = size_from(datagrams::LEAST_BYTES))]
    size: u16,
    /// Datagrams of a socket in flight at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
}

#[derive(Debug, Args)]
struct DnsOptions {
    /// The nameserver.
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    /// Sockets, with one query each.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// The name to query.
    #[arg(long, default_value = dns::NAME)]
    name: String,
}

#[derive(Debug, Args)]
struct HoldOptions {
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    #[arg(long)]
    connections: usize,
}

#[derive(Debug, Args)]
struct SoakOptions {
    /// The server's first port.
    #[arg(value_name = "ADDRESS:PORT")]
    server: SocketAddr,
    #[arg(long, value_parser = seconds)]
    seconds: Duration,
    /// A nameserver, to include queries.
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns: Option<SocketAddr>,
}

/// Sizes of one datagram, from `least` bytes.
fn size_from(least: u16) -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(i64::from(least)..=i64::from(net::DATAGRAM_BYTES))
}

/// Seconds, possibly with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    // A clock must be able to reach it.
    if duration.is_zero() || duration > Duration::from_secs(1_000_000) {
        return Err("it must be between 0 and 1,000,000".to_owned());
    }
    Ok(duration)
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the message is lost.
            let _ = writeln!(io::stderr(), "underpass-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    match command {
        Command::Serve(ServeOptions { address, port, dns_port }) => runtime.block_on(async {
            net::raise_descriptors()?;
            serve::Server::bind(address, port, dns_port)?.run().await;
            Ok(())
        }),
        Command::Pingpong(options) => {
            let rounds = pingpong::Rounds {
                bytes: options.size.into(),
                warm_up: options.warm_up_rounds,
                lasting: options.seconds,
            };
            // Blocking sockets: a runtime would add its own time to a round.
            print(&match (options.tcp, options.udp) {
                (Some(server), _) => pingpong::tcp(server, rounds)?,
                (None, Some(server)) => pingpong::udp(server, rounds)?,
                (None, None) => anyhow::bail!("--tcp or --udp must be given"),
            })
        }
        Command::Connects(ConnectsOptions { server, parallel, seconds }) => {
            print(&runtime.block_on(connects::run(server, parallel, seconds))?)
        }
        Command::Datagrams(DatagramsOptions { server, sockets, size, window, seconds }) => {
            let load = datagrams::Load { server, bytes: size.into(), window };
            print(&runtime.block_on(datagrams::run(load, sockets, seconds))?)
        }
        Command::Dns(DnsOptions { server, parallel, seconds, name }) => {
            print(&runtime.block_on(dns::run(server, &name, parallel, seconds))?)
        }
        Command::Hold(HoldOptions { server, connections }) => {
            net::raise_descriptors()?;
            let held = runtime.block_on(hold::open(server, connections))?;
            print(&hold::Open { open: held.len() })?;
            // Nothing runs meanwhile: the kernel keeps the connections.
            for byte in io::stdin().lock().bytes() {
                byte.context("standard input cannot be read")?;
            }
            print(&hold::Alive { alive: runtime.block_on(hold::alive(held)) })
        }
        Command::Soak(SoakOptions { server, seconds, dns }) => {
            print(&runtime.block_on(soak::run(server, dns, seconds))?)
        }
    }
}

fn print(report: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, report)?;
    writeln!(out)?;
    out.flush().context("standard output cannot be written")
}
