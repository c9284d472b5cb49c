//! `underpass-bench`: measures Underpass beside its peers, in turn, in labs on one machine, and
//! writes its results: every single figure as JSON, medians as a table, and a plot. `scripts/bench`
//! builds its requirements and runs it.
#![forbid(unsafe_code)]

mod cases;
mod goals;
mod machine;
mod peers;
mod plot;
mod results;
mod stage;
mod subject;
mod table;

use anyhow::Context as _;
use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser};
use results::{Results, Value};
use stage::Peers;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Measures Underpass beside its peers, in labs of network namespaces.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Rounds; in each, every compared subject has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only these groups of cases.
    #[arg(long, value_delimiter = ',', value_parser = groups())]
    only: Vec<String>,
    /// Leaves the peers out.
    #[arg(long)]
    without_peers: bool,
    /// Also ten minutes of mixed load, or this many seconds.
    #[arg(long, num_args = 0..=1, default_missing_value = "600")]
    soak: Option<u32>,
    /// The folder for results.json, table.md and plot.svg.
    #[arg(long, default_value = "bench")]
    out: PathBuf,
    /// Measures nothing: judges the goals, and draws table and plot, again from results.json.
    #[arg(long)]
    render: bool,
}

/// The names of groups, with what they measure.
fn groups() -> PossibleValuesParser {
    let named = |group: &cases::Group| PossibleValue::new(group.name).help(group.what);
    PossibleValuesParser::new(cases::GROUPS.iter().map(named))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let file = options.out.join("results.json");
    let results = if options.render {
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let mut results: Results =
            serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
        results.goals = goals::judge(&results);
        results
    } else {
        if let Some(why) = lab::missing() {
            anyhow::bail!("{why}");
        }
        measure(&options)?
    };
    write(&options.out, &results)?;
    say(&table::whole(&results));
    Ok(())
}

/// Measures everything requested. Writes the results after each group: a run takes long, and may be
/// interrupted.
fn measure(options: &Options) -> anyhow::Result<Results> {
    let mut results = Results::new(machine::describe(), options.rounds);
    results.absent = stage::absent(if options.without_peers { Peers::None } else { Peers::All });
    for (flows, count) in instructions()? {
        let value = Value { value: count, load: machine::load() };
        results.add(
            &format!("instructions beside {flows} idle"),
            "instructions",
            "underpass",
            value,
        );
    }
    for group in cases::GROUPS {
        let wanted = if group.name == "soak" {
            options.soak.is_some()
        } else {
            options.only.is_empty() || options.only.iter().any(|only| only == group.name)
        };
        if !wanted {
            continue;
        }
        say(&format!("{}: {}\n", group.name, group.what));
        let seconds =
            if group.name == "soak" { options.soak.unwrap_or_default() } else { options.seconds };
        let rounds = if group.name == "soak" { 1 } else { options.rounds };
        cases::run(group, rounds, seconds, &mut results, &|line| say(line))
            .with_context(|| format!("the cases '{}'", group.name))?;
        results.goals = goals::judge(&results);
        write(&options.out, &results)?;
    }
    Ok(results)
}

/// Instructions of a packet in the stack beside that many idle flows, from the last run of
/// `scripts/bench-instructions`: counts do not depend on how busy the machine is.
fn instructions() -> anyhow::Result<Vec<(u32, f64)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let counts: serde_json::Value = serde_json::from_str(&text)?;
    let of = |(flows, name): (u32, &str)| {
        let count = counts["instructions"][name].as_f64();
        Ok((flows, count.with_context(|| format!("no {name} in {}", path.display()))?))
    };
    [(1, "tcp_packet_1_flow"), (1000, "tcp_packet_1000_flows"), (10_000, "tcp_packet_10000_flows")]
        .map(of)
        .into_iter()
        .collect()
}

fn write(folder: &Path, results: &Results) -> anyhow::Result<()> {
    let files = [
        ("results.json", serde_json::to_string_pretty(results)? + "\n"),
        ("table.md", table::whole(results)),
        ("plot.svg", plot::draw(results)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// The clock of figures that no other program takes.
#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// A closed standard output needs no message.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
