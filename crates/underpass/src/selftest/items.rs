//! The items of a self-test. Each tries one thing and says whether it works; none changes anything.
//! Findings hold no address or name of the user's network, since their reports are passed on;
//! `redact.rs` removes those that an error or a log contains.

use super::meter::{self, Meter, START_PATIENCE};
use super::path_mtu;
use super::report::Finding;
use crate::reach::reaches_without_tunnel;
use anyhow::Context as _;
use clap::ValueEnum;
use doctor::facts::{Lookup, Outcome, Transport, Why};
use gateway::config::ncsi_target;
use gateway::status::GatewayState;
use gateway::{RelayProgram, Status, control, host};
use probe::{dns, icmp, tcp, trace};
use proxy::{Host, Target};
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use wire::facts::{HostChange, HostFacts};

/// Where the helper distro's boot command writes its log.
const LOG: &str = "/var/log/underpass.log";

/// Lines of that log that are passed on.
const LOG_LINES: usize = 4;

/// Between two looks at the status.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Routers that a trace goes past at most.
const MOST_HOPS: u8 = 12;

/// How long a measurement may take before it counts as stuck, besides the time for its bytes.
const MEASURE_PATIENCE: Duration = Duration::from_secs(120);

/// The slowest tunnel that is not stuck, in bytes a second: a throughput goes there and back twice.
const SLOWEST: u64 = 16 << 20;
const PASSES: u64 = 4;

/// Bytes that go there and back for a latency.
const ROUNDS: u16 = 300;

/// Streams of a throughput that is not of one stream.
const STREAMS: u64 = 8;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Item {
    /// The tunnel of this distro comes up
    Start,
    /// WSL's networking mode is known and served
    Mode,
    /// The relay starts and describes its host
    Host,
    /// Bytes by the relay's standard streams alone: on WSL the pipe of interop
    Pipe,
    /// Bytes through the tunnel to the host's 127.0.0.1
    Throughput,
    /// One byte, and one datagram, there and back through the tunnel
    Latency,
    /// Connections to the internet
    Tcp,
    /// Datagrams to the internet and back
    Udp,
    /// A name, by UDP and TCP, and who on the host knew it
    Dns,
    /// Ping over IPv4
    Ping,
    /// Ping over IPv6
    Ping6,
    /// What is too big to be sent whole is refused, with the MTU of the host's way out
    PathMtu,
    /// A traceroute by ICMP
    Traceroute,
    /// A traceroute by TCP
    TcpTraceroute,
    /// Connections over IPv6
    Ipv6,
    /// The host's VPN does not cut the tunnel
    Vpn,
    /// Which proxy the host's settings name
    Proxy,
    /// The host reports a change of its network
    Changes,
}

impl Item {
    /// All that need nothing from the user.
    pub(super) fn by_default() -> Vec<Self> {
        Self::value_variants().iter().copied().filter(|item| *item != Self::Changes).collect()
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What the items need to know.
pub(super) struct Setup {
    pub(super) relay: RelayProgram,
    /// The directory of the gateway that is tried: this distro's, never another's.
    pub(super) runtime_dir: PathBuf,
    pub(super) outside: Vec<Target>,
    pub(super) public_name: String,
    pub(super) public_dns: Vec<IpAddr>,
    pub(super) wait: Duration,
    pub(super) bytes: u64,
}

/// Tries an item.
pub(super) async fn run(item: Item, setup: &Setup) -> Finding {
    let found = match item {
        Item::Start => return start(setup).await,
        Item::Mode => setup.mode(),
        Item::Host => setup.host().await,
        Item::Pipe => within(setup, pipe(setup)).await,
        Item::Throughput => within(setup, throughput(setup)).await,
        Item::Latency => within(setup, latency(setup)).await,
        Item::Tcp => setup.tcp().await,
        Item::Udp => setup.udp().await,
        Item::Dns => setup.dns().await,
        Item::Ping => Ok(setup.ping(IpAddr::is_ipv4).await),
        Item::Ping6 => setup.ipv6(setup.ping(IpAddr::is_ipv6)).await,
        Item::PathMtu => setup.path_mtu().await,
        Item::Traceroute => setup.traceroute(|to| trace::trace(*to.ip(), MOST_HOPS)).await,
        Item::TcpTraceroute => setup.traceroute(|to| trace::trace_tcp(to, MOST_HOPS)).await,
        Item::Ipv6 => setup.ipv6(setup.connect(|address| address.is_ipv6())).await,
        Item::Vpn => setup.vpn().await,
        Item::Proxy => setup.proxy().await,
        Item::Changes => setup.changes().await,
    };
    found.unwrap_or_else(|error| Finding::no(format!("{error:#}")))
}

async fn within(
    setup: &Setup,
    measurement: impl Future<Output = anyhow::Result<Finding>>,
) -> anyhow::Result<Finding> {
    let patience = patience(setup.bytes);
    timeout(patience, measurement).await.with_context(|| {
        format!(
            "the measurement does not finish within {} s: it is stuck, or slower than {} MiB/s; \
             try a smaller --mebibytes",
            patience.as_secs(),
            SLOWEST >> 20
        )
    })?
}

/// How long a measurement with `bytes` bytes may take.
fn patience(bytes: u64) -> Duration {
    MEASURE_PATIENCE + Duration::from_secs(bytes.saturating_mul(PASSES) / SLOWEST)
}

async fn start(setup: &Setup) -> Finding {
    let deadline = Instant::now() + setup.wait;
    let mut last = String::new();
    loop {
        match setup.status() {
            Ok(status) if status.state == GatewayState::Up => {
                let restarts: u64 = status.relays.iter().map(|relay| relay.restarts).sum();
                let finding = Finding::yes("the tunnel is up");
                let finding = finding
                    .figure("uptime_s", status.uptime_s as f64)
                    .figure("restarts", restarts as f64);
                let can =
                    status.relays.first().map(|relay| relay.can.join(" ")).unwrap_or_default();
                return finding.note("pid", status.pid.to_string()).note("relay_can", can);
            }
            Ok(status) => {
                let error = status.relays.iter().find_map(|relay| relay.last_error.clone());
                last = format!(
                    "the tunnel is {}{}",
                    status.state,
                    error.map(|e| format!(": {e}")).unwrap_or_default()
                );
            }
            Err(error) if last.is_empty() => last = format!("{error:#}"),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Finding::no(format!(
                "not up within {} s: {last}{}",
                setup.wait.as_secs(),
                log_lines()
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The last lines of the helper distro's log, if there are some.
fn log_lines() -> String {
    let text = fs::read_to_string(LOG).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(LOG_LINES).collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("; {LOG} ends with: {}", lines.into_iter().rev().collect::<Vec<_>>().join(" / "))
    }
}

async fn pipe(setup: &Setup) -> anyhow::Result<Finding> {
    let begin = Instant::now();
    let mut meter = Meter::on_pipe(setup.relay.clone()).await?;
    let start_ms = begin.elapsed().as_secs_f64() * 1e3;
    let round_trip = meter.stream().round_trip(ROUNDS).await?;
    let up = rate(setup.bytes, meter.stream().up(setup.bytes).await?);
    let down = rate(setup.bytes, meter.stream().down(setup.bytes).await?);
    meter.end().await?;
    Ok(Finding::yes("the relay's streams carry bytes both ways, undamaged")
        .figure("start_ms", start_ms)
        .figure("round_trip_us", round_trip)
        .figure("up_mbit", up)
        .figure("down_mbit", down))
}

/// Millions of bits a second.
fn rate(bytes: u64, time: Duration) -> f64 {
    let bits = bytes as f64 * 8.0;
    bits / time.as_secs_f64().max(1e-9) / 1e6
}

async fn throughput(setup: &Setup) -> anyhow::Result<Finding> {
    let host = setup.host_address()?;
    let (meter, port) = Meter::on_port(setup.relay.clone()).await?;
    let to = SocketAddr::new(host, port);
    let mut one = meter::connect(to).await?;
    let up = rate(setup.bytes, one.up(setup.bytes).await?);
    let down = rate(setup.bytes, one.down(setup.bytes).await?);
    drop(one);
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(meter::connect(to).await?);
    }
    let share = setup.bytes / STREAMS;
    let begin = Instant::now();
    futures_util::future::try_join_all(streams.iter_mut().map(|stream| stream.up(share))).await?;
    let many_up = rate(share * STREAMS, begin.elapsed());
    let begin = Instant::now();
    futures_util::future::try_join_all(streams.iter_mut().map(|stream| stream.down(share))).await?;
    let many_down = rate(share * STREAMS, begin.elapsed());
    drop(streams);
    meter.end().await?;
    Ok(Finding::yes("the host's 127.0.0.1 is reached, and bytes come undamaged")
        .figure("up_mbit", up)
        .figure("down_mbit", down)
        .figure("eight_up_mbit", many_up)
        .figure("eight_down_mbit", many_down))
}

async fn latency(setup: &Setup) -> anyhow::Result<Finding> {
    let host = setup.host_address()?;
    let (meter, port) = Meter::on_port(setup.relay.clone()).await?;
    let to = SocketAddr::new(host, port);
    let mut stream = meter::connect(to).await?;
    let by_tcp = stream.round_trip(ROUNDS).await?;
    let (by_udp, lost) = meter::datagrams(to, ROUNDS).await?;
    drop(stream);
    meter.end().await?;
    let finding = match by_udp {
        Some(us) => Finding::yes("bytes and datagrams come back").figure("udp_us", us),
        None => Finding::no("bytes come back, datagrams do not"),
    };
    Ok(finding.figure("tcp_us", by_tcp).figure("datagrams_lost", lost.into()))
}

impl Setup {
    fn status(&self) -> anyhow::Result<Status> {
        Ok(control::status(std::slice::from_ref(&self.runtime_dir))?)
    }

    /// The address that stands for the host's 127.0.0.1.
    fn host_address(&self) -> anyhow::Result<IpAddr> {
        let tap = self.status()?.tap.context("the tunnel has no device yet")?;
        Ok(tap.ipv4.host.into())
    }

    fn mode(&self) -> anyhow::Result<Finding> {
        let status = self.status()?;
        if status.mode.is_empty() {
            return Ok(Finding::no(
                "WSL's networking mode is not known: `wslinfo --networking-mode` gave no answer",
            ));
        }
        let trouble = status.network_error.map(|error| format!(": {error}"));
        let words = format!("WSL's mode is {}{}", status.mode, trouble.clone().unwrap_or_default());
        let finding = if trouble.is_none() { Finding::yes(words) } else { Finding::no(words) };
        Ok(finding.note("mode", status.mode).figure("captured", status.captured.len() as f64))
    }

    async fn facts(&self) -> anyhow::Result<HostFacts> {
        Ok(host::facts(self.relay.clone()).await?)
    }

    async fn host(&self) -> anyhow::Result<Finding> {
        let facts = self.facts().await?;
        let up = facts.adapters.iter().filter(|adapter| adapter.up).count();
        let words = format!("{}, {up} adapters up", facts.system);
        let finding = if up == 0 { Finding::no(words) } else { Finding::yes(words) };
        let vpns: Vec<&str> =
            facts.adapters.iter().filter_map(|adapter| adapter.vpn.as_deref()).collect();
        let counts = [facts.adapters.len(), facts.routes.len(), facts.dns_servers.len()]
            .map(|count| count as f64);
        let [adapters, routes, servers] = counts;
        Ok(finding
            .figure("adapters", adapters)
            .figure("routes", routes)
            .figure("dns_servers", servers)
            .note("system", facts.system)
            .note("ipv6", yes_no(facts.ipv6))
            .note("vpn_adapters", vpns.join(", ")))
    }

    /// The outside addresses that `wanted` picks; names are resolved by the tunnel's own
    /// nameserver.
    async fn outside(&self, wanted: impl Fn(&IpAddr) -> bool) -> anyhow::Result<Vec<SocketAddr>> {
        let mut found = Vec::new();
        for target in &self.outside {
            let addresses = match &target.host {
                Host::Address(address) => vec![*address],
                Host::Name(name) => self.resolve(name).await?,
            };
            found.extend(
                addresses
                    .into_iter()
                    .filter(&wanted)
                    .map(|address| SocketAddr::new(address, target.port)),
            );
        }
        Ok(found)
    }

    async fn resolve(&self, name: &str) -> anyhow::Result<Vec<IpAddr>> {
        let gateway = self.status()?.tap.context("the tunnel has no device yet")?.ipv4.gateway;
        match dns::ask(IpAddr::V4(gateway), name, Transport::Udp).await {
            Lookup::Addresses { addresses, .. } => Ok(addresses),
            Lookup::NotTried
            | Lookup::NoSuchName { .. }
            | Lookup::ServerError { .. }
            | Lookup::Failed { .. } => Ok(Vec::new()),
        }
    }

    /// Connects to each; one that answers is enough, since a network may forbid some.
    async fn connect(&self, wanted: impl Fn(&IpAddr) -> bool) -> Finding {
        let targets = match self.outside(wanted).await {
            Ok(targets) => targets,
            Err(error) => return Finding::no(format!("{error:#}")),
        };
        let tries = targets.iter().map(|to| tcp::connect(*to, None));
        any(futures_util::future::join_all(tries).await, "connections", "--outside")
    }

    async fn tcp(&self) -> anyhow::Result<Finding> {
        self.status()?;
        Ok(self.connect(IpAddr::is_ipv4).await)
    }

    async fn udp(&self) -> anyhow::Result<Finding> {
        self.status()?;
        let ask = |server: &IpAddr| dns::ask(*server, &self.public_name, Transport::Udp);
        let servers = self.public_dns.iter().filter(|server| server.is_ipv4());
        let answers = futures_util::future::join_all(servers.map(ask)).await;
        let outcomes = answers.into_iter().map(|answer| match answer {
            // Any answer is a datagram that came back.
            Lookup::Addresses { ms, .. } | Lookup::NoSuchName { ms } => Outcome::Ok { ms },
            Lookup::ServerError { .. } => Outcome::Ok { ms: 0 },
            Lookup::Failed { why, detail } => Outcome::Failed { why, detail },
            Lookup::NotTried => Outcome::NotTried,
        });
        Ok(any(outcomes.collect(), "answers of nameservers", "--public-dns"))
    }

    async fn dns(&self) -> anyhow::Result<Finding> {
        let before = self.status()?;
        let gateway: IpAddr =
            before.tap.context("the tunnel has no device yet")?.ipv4.gateway.into();
        let mut findings = Vec::new();
        for transport in [Transport::Udp, Transport::Tcp] {
            findings.push(dns::ask(gateway, &self.public_name, transport).await);
        }
        let after = self.status()?.dns_answers;
        let grown =
            |(by, count): &(&String, &u64)| before.dns_answers.get(*by).unwrap_or(&0) < *count;
        let path: Vec<&str> = after.iter().filter(grown).map(|(by, _)| by.as_str()).collect();
        let path = if path.is_empty() { "none".to_owned() } else { path.join(" ") };
        let times: Vec<u64> = findings.iter().filter_map(answer_ms).collect();
        let finding = match times[..] {
            [udp, tcp] => Finding::yes(format!("{} resolves by UDP and TCP", self.public_name))
                .figure("udp_ms", udp as f64)
                .figure("tcp_ms", tcp as f64),
            _ => {
                let why = each_once(findings.iter().filter_map(unanswered));
                Finding::no(format!("{} does not resolve: {why}", self.public_name))
            }
        };
        Ok(finding.note("path", path))
    }

    async fn ping(&self, wanted: impl Fn(&IpAddr) -> bool) -> Finding {
        let targets = match self.outside(wanted).await {
            Ok(targets) => targets,
            Err(error) => return Finding::no(format!("{error:#}")),
        };
        let echoes = targets.iter().map(|to| icmp::ping(to.ip(), None, None));
        let outcomes =
            futures_util::future::join_all(echoes).await.into_iter().map(|echo| echo.outcome);
        any(outcomes.collect(), "pings", "--outside")
    }

    /// Skips an item that needs IPv6 where the host has no IPv6.
    async fn ipv6(&self, finding: impl Future<Output = Finding>) -> anyhow::Result<Finding> {
        let tap = self.status()?.tap.context("the tunnel has no device yet")?;
        if tap.ipv6.is_none() {
            return Ok(Finding::skipped(
                "the host has no route to the IPv6 internet, or this kernel no IPv6 rules",
            ));
        }
        Ok(finding.await)
    }

    async fn path_mtu(&self) -> anyhow::Result<Finding> {
        let tap = self.status()?.tap.context("the tunnel has no device yet")?;
        match self.outside(IpAddr::is_ipv4).await?.first() {
            Some(to) => path_mtu::look(&tap, *to).await,
            None => {
                Ok(Finding::skipped("there is no IPv4 address to try: give one with --outside"))
            }
        }
    }

    async fn traceroute<F>(&self, trace: impl FnOnce(SocketAddrV4) -> F) -> anyhow::Result<Finding>
    where
        F: Future<Output = std::io::Result<Vec<Option<Ipv4Addr>>>>,
    {
        let gateway = self.status()?.tap.context("the tunnel has no device yet")?.ipv4.gateway;
        let Some(to) = self.outside(IpAddr::is_ipv4).await?.first().copied() else {
            return Ok(Finding::skipped(
                "there is no IPv4 address to trace: give one with --outside",
            ));
        };
        let SocketAddr::V4(to) = to else { return Ok(Finding::skipped("only IPv4 is traced")) };
        let hops = match trace(to).await {
            Ok(hops) => hops,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Ok(Finding::skipped("only root can trace: run this as root"));
            }
            Err(error) => return Err(error).context("nothing can be sent"),
        };
        let answered = hops.iter().flatten().count();
        let (first, last) = (hops.first().copied().flatten(), hops.last().copied().flatten());
        let words = format!(
            "{answered} of {} hops answer; target reached: {}",
            hops.len(),
            yes_no(last == Some(*to.ip()))
        );
        // Routers may stay silent; ours is the first, and at least one beyond it or the target must
        // answer.
        let works = first == Some(gateway) && answered > 1;
        let finding = if works { Finding::yes(words) } else { Finding::no(words) };
        Ok(finding.figure("hops", hops.len() as f64).figure("answered", answered as f64))
    }

    async fn vpn(&self) -> anyhow::Result<Finding> {
        let facts = self.facts().await?;
        let vpns: Vec<&str> = facts
            .adapters
            .iter()
            .filter(|adapter| adapter.up)
            .filter_map(|adapter| adapter.vpn.as_deref())
            .collect();
        if vpns.is_empty() {
            return Ok(Finding::skipped("the host has no VPN connected: connect it and try again"));
        }
        let tap = self.status()?.tap.context("the tunnel has no device yet")?.name;
        let target = match self.outside(IpAddr::is_ipv4).await?.first() {
            Some(outside) => Target::from(*outside),
            None => ncsi_target(),
        };
        let (through, without) =
            tokio::join!(self.connect(IpAddr::is_ipv4), reaches_without_tunnel(&target, &tap));
        let words = format!(
            "with the VPN connected the tunnel reaches the internet: {}; WSL's own network does: {}",
            yes_no(through.outcome == super::report::Outcome::Yes),
            yes_no(without)
        );
        Ok(Finding::new(through.outcome, words)
            .note("vpn", vpns.join(", "))
            .note("without_tunnel", yes_no(without)))
    }

    async fn proxy(&self) -> anyhow::Result<Finding> {
        let system = self.facts().await?.system;
        if !system.starts_with("Windows") {
            return Ok(Finding::skipped(format!(
                "{system} has no proxy settings that all its programs share"
            )));
        }
        let url = format!("https://{}/", self.public_name);
        let proxy: wire::HostProxy =
            host::ask(self.relay.clone(), vec!["proxy".into(), url.into()]).await?;
        let finding = match proxy.trouble {
            None => Finding::yes("Windows' proxy settings were read"),
            Some(trouble) => Finding::no(format!("Windows' script could not be asked: {trouble}")),
        };
        let proxies =
            if proxy.proxies.is_empty() { "direct".to_owned() } else { proxy.proxies.join(" ") };
        Ok(finding.note("by", proxy.by).note("proxies", proxies))
    }

    async fn changes(&self) -> anyhow::Result<Finding> {
        let words =
            vec!["watch".into(), "--seconds".into(), self.wait.as_secs().to_string().into()];
        let patience = self.wait + START_PATIENCE;
        let change: HostChange = host::ask_within(patience, self.relay.clone(), words).await?;
        let Some(after) = change.after_ms else {
            let words = format!("no change was reported within {} s", self.wait.as_secs());
            return Ok(Finding::no(words));
        };
        Ok(Finding::yes("a change was reported")
            .figure("after_ms", after as f64)
            .note("facts_differ", yes_no(change.facts_differ)))
    }
}

fn yes_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn answer_ms(answer: &Lookup) -> Option<u64> {
    match answer {
        Lookup::Addresses { ms, .. } => Some(*ms),
        Lookup::NotTried
        | Lookup::NoSuchName { .. }
        | Lookup::ServerError { .. }
        | Lookup::Failed { .. } => None,
    }
}

/// Why a question has no answer with addresses.
fn unanswered(answer: &Lookup) -> Option<String> {
    match answer {
        Lookup::NotTried | Lookup::Addresses { .. } => None,
        Lookup::NoSuchName { .. } => Some("no such name".to_owned()),
        Lookup::ServerError { code } => Some(code.clone()),
        Lookup::Failed { why, detail } => Some(failure(*why, detail)),
    }
}

/// The words that came with a failure, or those for its kind where none came.
fn failure(why: Why, detail: &str) -> String {
    match (detail.trim(), why) {
        ("", Why::TimedOut) => "timed out".to_owned(),
        ("", _) => "failed".to_owned(),
        (detail, _) => detail.to_owned(),
    }
}

/// A list in which nothing stands twice.
fn each_once(reasons: impl Iterator<Item = String>) -> String {
    reasons.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// Whether one of several tries worked; skipped where there was none.
fn any(outcomes: Vec<Outcome>, what: &str, option: &str) -> Finding {
    let times: Vec<u64> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Ok { ms } => Some(*ms),
            Outcome::NotTried | Outcome::Failed { .. } => None,
        })
        .collect();
    if outcomes.is_empty() {
        return Finding::skipped(format!(
            "no address of this kind is known: give one with {option}"
        ));
    }
    let words = format!("{} of {} {what} succeed", times.len(), outcomes.len());
    match times.iter().min() {
        Some(best) => Finding::yes(words).figure("best_ms", *best as f64),
        None => {
            let failures = outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Failed { why, detail } => Some(failure(*why, detail)),
                Outcome::NotTried | Outcome::Ok { .. } => None,
            });
            Finding::no(format!("{words}: {}", each_once(failures)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn one_success_is_enough_and_without_a_try_the_item_is_skipped() {
        let failed = || Outcome::Failed { why: Why::TimedOut, detail: String::new() };
        let found =
            any(vec![failed(), Outcome::Ok { ms: 9 }, Outcome::Ok { ms: 4 }], "pings", "--outside");
        assert_eq!((found.outcome, found.figures["best_ms"]), (report::Outcome::Yes, 4.0));
        let refused = || {
            let detail = "Connection refused (os error 111)".to_owned();
            Outcome::Failed { why: Why::Refused, detail }
        };
        let none = any(vec![refused(), failed(), refused()], "pings", "--outside");
        assert_eq!(
            (none.outcome, none.detail.as_str()),
            (
                report::Outcome::No,
                "0 of 3 pings succeed: Connection refused (os error 111), timed out"
            )
        );
        let skipped = any(Vec::new(), "pings", "--outside");
        assert!(
            skipped.outcome == report::Outcome::Skipped && skipped.detail.contains("--outside"),
            "{skipped:?}"
        );
    }

    #[test]
    fn a_measurement_has_time_for_its_bytes() {
        assert_eq!(patience(64 << 20).as_secs(), 136);
        // The most that the command line takes, at the slowest rate.
        assert_eq!(patience(65_536 << 20).as_secs(), 120 + 4 * 65_536 / 16);
    }

    #[test]
    fn a_rate_is_in_millions_of_bits_a_second() {
        assert_eq!(rate(1_000_000, Duration::from_secs(2)).round(), 4.0);
    }
}
