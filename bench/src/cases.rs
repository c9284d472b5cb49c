//! The groups of cases: their subjects, measurements and order. In each round every subject has its
//! turn.

mod connections;
mod latency;
pub(crate) mod path;
mod resources;
mod throughput;

use crate::machine;
use crate::results::{Results, Value};
use crate::stage::Stage;
use crate::subject::{Mtu, Subject};

/// A figure: the case's name, its unit, and the value.
pub(crate) type Figure = (String, &'static str, f64);

/// Cases measured one after the other on the same subjects.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    subjects: &'static [Subject],
    kind: Kind,
}

enum Kind {
    /// Subjects stay set up, all at once, and only one is active.
    Kept(fn(&Stage, u32) -> anyhow::Result<Vec<Figure>>),
    /// The same, where the round's number decides which packets are lost.
    Path(fn(&Stage, u32, usize) -> anyhow::Result<Vec<Figure>>),
    /// The same with an MTU of 1,500 bytes.
    Ethernet(fn(&Stage, u32) -> anyhow::Result<Vec<Figure>>),
    /// Each turn sets its subject up again.
    Fresh(fn(Stage, u32) -> anyhow::Result<Vec<Figure>>),
    /// Each turn starts and stops its subject by itself.
    Own(fn() -> anyhow::Result<Vec<Figure>>),
}

use Subject::{
    Gvproxy, Host, Interop, Kernel, Pasta, Slirp4netns, Underpass, Wine, Wine64, WinePipe,
};

/// The host itself is the reference: nothing in the VM can be faster.
const LONG_PATHS: &[Subject] = &[Underpass, Host, Pasta, Slirp4netns, Gvproxy];

/// All groups, in the order in which they are measured.
pub(crate) const GROUPS: &[Group] = &[
    Group {
        name: "tcp",
        what: "TCP by iperf3, one stream and eight, up and down",
        subjects: &[Underpass, Pasta, Slirp4netns, Gvproxy, Kernel],
        kind: Kind::Kept(throughput::tcp),
    },
    Group {
        name: "container",
        what: "the same from a container with an MTU of 1500",
        subjects: &[Underpass],
        kind: Kind::Kept(throughput::container),
    },
    Group {
        name: "interop",
        what: "the same through the model of WSL's interop, beside what the model itself moves",
        subjects: &[Interop],
        kind: Kind::Kept(throughput::interop),
    },
    Group {
        name: "wine",
        what: "the same with the relay for Windows, under Wine, by TCP, and by its pipe in pieces \
               of 4 and 64 KiB",
        subjects: &[Wine, WinePipe, Wine64],
        kind: Kind::Kept(throughput::tcp),
    },
    Group {
        name: "loss-0.1",
        what: "TCP with 20 ms and 0.1 % loss beyond the host, for at least 10 seconds",
        subjects: LONG_PATHS,
        kind: Kind::Path(path::few_losses),
    },
    Group {
        name: "loss-1",
        what: "TCP with 20 ms and 1 % loss beyond the host, for at least 10 seconds",
        subjects: LONG_PATHS,
        kind: Kind::Path(path::many_losses),
    },
    Group {
        name: "vpn",
        what: "TCP with 50 ms and 300 Mbit/s beyond the host, for at least 10 seconds",
        subjects: LONG_PATHS,
        kind: Kind::Path(path::vpn),
    },
    Group {
        name: "udp",
        what: "the highest rate of datagrams of 1,400 bytes with less than 1 % lost",
        subjects: &[Underpass, Pasta, Slirp4netns],
        kind: Kind::Kept(throughput::udp),
    },
    Group {
        name: "udp-offered",
        what: "the datagrams of 1,400 bytes that arrive of 2 Gbit/s",
        subjects: &[Underpass, Pasta, Slirp4netns],
        kind: Kind::Kept(throughput::offered),
    },
    Group {
        name: "udp-offered-1500",
        what: "the same with an MTU of 1,500 bytes",
        subjects: &[Underpass, Pasta, Slirp4netns],
        kind: Kind::Ethernet(throughput::offered_1500),
    },
    Group {
        name: "quic",
        what: "64 sockets with echoes of 1,200 bytes",
        subjects: &[Underpass, Pasta, Slirp4netns],
        kind: Kind::Kept(throughput::quic),
    },
    Group {
        name: "latency",
        what: "one byte there and back by TCP and UDP",
        subjects: &[Underpass, Pasta, Slirp4netns, Kernel],
        kind: Kind::Kept(latency::idle),
    },
    Group {
        name: "busy",
        what: "the same while eight streams run",
        subjects: &[Underpass, Pasta, Slirp4netns],
        kind: Kind::Kept(latency::busy),
    },
    Group {
        name: "crowd",
        what: "latency, cost and memory with none, 2,000 and 10,000 idle connections",
        subjects: &[Underpass],
        kind: Kind::Fresh(resources::crowd),
    },
    Group {
        name: "connects",
        what: "connect, one byte each way, close; one and 32 at once",
        subjects: &[Underpass, Pasta, Slirp4netns],
        kind: Kind::Kept(connections::connects),
    },
    Group {
        name: "dns",
        what: "DNS queries, 32 at once",
        subjects: &[Underpass],
        kind: Kind::Kept(connections::dns),
    },
    Group {
        name: "start",
        what: "from the start of `underpass up` to the first byte, and from SIGTERM to its end",
        subjects: &[Underpass],
        kind: Kind::Own(resources::start),
    },
    Group {
        name: "soak",
        what: "mixed load for minutes",
        subjects: &[Underpass],
        kind: Kind::Fresh(resources::soak),
    },
];

fn stages(subjects: &[Subject], mtu: Mtu) -> anyhow::Result<Vec<Stage>> {
    subjects.iter().map(|subject| Stage::with_mtu(*subject, mtu)).collect()
}

/// Measures a group, and reports each turn's figures.
pub(crate) fn run(
    group: &Group,
    rounds: usize,
    seconds: u32,
    results: &mut Results,
    say: &impl Fn(&str),
) -> anyhow::Result<()> {
    let takes_part = |subject: &Subject| !results.absent.contains_key(subject.name());
    let subjects: Vec<Subject> = group.subjects.iter().copied().filter(takes_part).collect();
    let kept = match group.kind {
        Kind::Kept(_) | Kind::Path(_) => stages(&subjects, Mtu::Largest)?,
        Kind::Ethernet(_) => stages(&subjects, Mtu::Ethernet)?,
        Kind::Fresh(_) | Kind::Own(_) => Vec::new(),
    };
    for round in 1..=rounds {
        for (index, subject) in subjects.iter().enumerate() {
            let load = machine::load();
            let figures = match group.kind {
                Kind::Kept(measure) | Kind::Ethernet(measure) => measure(&kept[index], seconds)?,
                Kind::Path(measure) => measure(&kept[index], seconds, round)?,
                Kind::Fresh(measure) => measure(Stage::new(*subject)?, seconds)?,
                Kind::Own(measure) => measure()?,
            };
            for (case, unit, value) in figures {
                say(&format!("  {round} {:<24} {case:<32} {value:>10.2} {unit}\n", subject.name()));
                results.add(&case, unit, subject.name(), Value { value, load });
            }
        }
    }
    Ok(())
}
