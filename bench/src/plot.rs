//! The results as a picture: bars, an SVG that needs no other file.

use crate::results::Results;
use crate::table::figure;
use svg::Document;
use svg::node::element::{Group, Rectangle, Style, Text, Title};

/// One field of the picture: cases of one unit, each a cluster of bars.
struct Field {
    title: &'static str,
    better: &'static str,
    cases: &'static [(&'static str, &'static str)],
}

const FIELDS: [Field; 4] = [
    Field {
        title: "TCP, Gbit/s",
        better: "more is better",
        cases: &[
            ("tcp up 1", "up"),
            ("tcp down 1", "down"),
            ("tcp up 8", "up, 8 streams"),
            ("tcp down 8", "down, 8 streams"),
        ],
    },
    Field {
        title: "Datagrams of 1,400 bytes with less than 1 % lost, Mbit/s",
        better: "more is better",
        cases: &[("udp up", "up"), ("udp down", "down")],
    },
    Field {
        title: "A byte there and back, median, us",
        better: "less is better",
        cases: &[("latency tcp p50", "TCP"), ("latency udp p50", "UDP")],
    },
    Field {
        title: "New connections a second",
        better: "more is better",
        cases: &[("connects 1", "one at once"), ("connects 32", "32 at once")],
    },
];

/// Subjects and their colours, which colour-blind people can distinguish (Okabe and Ito's).
const SUBJECTS: [(&str, &str); 5] = [
    ("underpass", "#0072b2"),
    ("pasta", "#e69f00"),
    ("slirp4netns", "#009e73"),
    ("gvproxy", "#cc79a7"),
    ("kernel forwarding", "#999999"),
];

// Units of the picture.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const ROOM: f64 = 540.0;
const BAR: f64 = 13.0;
const GAP: f64 = 10.0;
const HEAD: f64 = 34.0;

/// The colours of text follow the page's, light or dark, if the viewer reports it.
const STYLE: &str = "text{font:12px sans-serif;fill:#222}.t{font-weight:bold;font-size:14px}.n{font-size:11px}\
                     @media(prefers-color-scheme:dark){text{fill:#ddd}}";

pub(crate) fn draw(results: &Results) -> String {
    let mut picture = Group::new();
    let mut y = legend(results, &mut picture);
    for field in &FIELDS {
        y = draw_field(results, field, y, &mut picture);
    }
    let label = "Throughput, datagrams, latency and connects of Underpass and its peers; table.md has the figures";
    let document = Document::new()
        .set("viewBox", (0, 0, WIDTH as u32, (y + GAP) as u32))
        .set("role", "img")
        .add(Title::new(label))
        .add(Style::new(STYLE))
        .add(picture);
    format!("{document}\n")
}

fn text(x: f64, y: f64, words: &str, class: &str, anchor: &str) -> Text {
    Text::new(words).set("x", x).set("y", y).set("class", class).set("text-anchor", anchor)
}

fn legend(results: &Results, picture: &mut Group) -> f64 {
    let mut x = 10.0;
    for (name, colour) in SUBJECTS {
        if !results.cases.values().any(|case| case.values.contains_key(name)) {
            continue;
        }
        let group = std::mem::take(picture);
        let mark = Rectangle::new()
            .set("x", x)
            .set("y", 8)
            .set("width", 12)
            .set("height", 12)
            .set("fill", colour);
        *picture = group.add(mark).add(text(x + 17.0, 18.0, name, "", "start"));
        x += 45.0 + 7.0 * name.len() as f64;
    }
    30.0
}

/// Draws a field below `y`; returns its lower end.
fn draw_field(results: &Results, field: &Field, mut y: f64, picture: &mut Group) -> f64 {
    let median = |case: &str, subject: &str| results.median(case, subject);
    let all = field
        .cases
        .iter()
        .flat_map(|(case, _)| SUBJECTS.iter().filter_map(|(name, _)| median(case, name)));
    let most = all.fold(0.0, f64::max);
    if most == 0.0 {
        return y;
    }
    let mut group = std::mem::take(picture);
    y += HEAD;
    group = group.add(text(10.0, y - 12.0, field.title, "t", "start")).add(text(
        WIDTH - 10.0,
        y - 12.0,
        field.better,
        "n",
        "end",
    ));
    for (case, label) in field.cases {
        let bars: Vec<(f64, &str)> = SUBJECTS
            .iter()
            .filter_map(|(name, colour)| Some((median(case, name)?, *colour)))
            .collect();
        group =
            group.add(text(LEFT - 8.0, y + BAR * bars.len() as f64 / 2.0 + 4.0, label, "", "end"));
        for (value, colour) in bars {
            let length = (value / most * ROOM).max(1.0);
            let bar = Rectangle::new()
                .set("x", LEFT)
                .set("y", y)
                .set("width", length)
                .set("height", BAR - 2.0);
            group = group.add(bar.set("fill", colour)).add(text(
                LEFT + length + 5.0,
                y + BAR - 3.0,
                &figure(value),
                "n",
                "start",
            ));
            y += BAR;
        }
        y += GAP;
    }
    *picture = group;
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Value;

    #[test]
    fn a_bar_is_as_long_as_its_figure_says() {
        let mut results = Results::default();
        results.add("tcp up 1", "Gbit/s", "underpass", Value { value: 8.0, load: 0.0 });
        results.add("tcp up 1", "Gbit/s", "pasta", Value { value: 4.0, load: 0.0 });
        let picture = draw(&results);
        assert!(picture.contains(&format!("width=\"{ROOM}\"")), "{picture}");
        assert!(picture.contains(&format!("width=\"{}\"", ROOM / 2.0)), "{picture}");
        assert!(picture.contains("pasta") && !picture.contains("gvproxy"), "{picture}");
        assert!(
            !picture.contains("http://") || picture.matches("http").count() == 1,
            "only the namespace's name"
        );
    }
}
