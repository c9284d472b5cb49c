//! The README in English and the one in Chinese say the same: the same sections with the same
//! commands, tables, names, numbers and links.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How often each thing is named.
type Counts = BTreeMap<String, usize>;

/// What a part of a README has besides sentences.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    /// The number of `#` of its heading.
    level: usize,
    /// Indented lines, without the comments on them.
    commands: Vec<String>,
    /// Lines of drawings.
    drawn: usize,
    /// Cells of each row of its tables, and the code in the row.
    rows: Vec<(usize, Counts)>,
    bullets: usize,
    code: Counts,
    links: Counts,
    numbers: Counts,
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    let (mut is_drawing, mut prose) = (false, String::new());
    for line in text.lines().chain(["#"]) {
        if line.starts_with("```") {
            is_drawing = !is_drawing;
        } else if is_drawing {
            part.drawn += 1;
        } else if line.starts_with('#') {
            let level = line.bytes().take_while(|byte| *byte == b'#').count();
            (part.code, part.links, part.numbers) = (code(&prose), links(&prose), numbers(&prose));
            prose.clear();
            parts.push(std::mem::replace(&mut part, Part { level, ..Part::default() }));
        } else if let Some(command) = line.strip_prefix("    ") {
            let command = command.split(" # ").next().unwrap_or_default();
            part.commands.push(command.trim().to_owned());
        } else {
            if line.starts_with('|') {
                part.rows.push((line.replace("\\|", "").matches('|').count(), code(line)));
            }
            part.bullets += usize::from(line.starts_with("- "));
            // A name may go on in the next line.
            prose += line;
            prose.push(' ');
        }
    }
    parts
}

fn count(names: impl Iterator<Item = String>) -> Counts {
    let mut counts = Counts::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}

/// What stands between backticks.
fn code(text: &str) -> Counts {
    count(text.split('`').skip(1).step_by(2).map(ToOwned::to_owned))
}

/// Where links lead; the READMEs' links to each other and to their own headings differ. A page
/// or a picture in Chinese stands for the same one in English.
fn links(text: &str) -> Counts {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    count(
        targets
            .filter(|target| !target.starts_with('#') && !target.starts_with("README"))
            .map(|target| target.replace(".zh-CN.", ".")),
    )
}

/// Numbers as they are written: `16,384`, `8.4`.
fn numbers(text: &str) -> Counts {
    let is_part = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == ',';
    let found =
        text.split(|letter: char| !is_part(letter)).map(|number| number.trim_matches(['.', ',']));
    count(
        found
            .filter(|number| number.starts_with(|first: char| first.is_ascii_digit()))
            .map(ToOwned::to_owned),
    )
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn both_readmes_have_the_same_parts_with_the_same_commands_and_facts() {
    let (english, chinese) = (parts(&read("README.md")), parts(&read("README.zh-CN.md")));
    let levels = |parts: &[Part]| parts.iter().map(|part| part.level).collect::<Vec<_>>();
    assert_eq!(levels(&english), levels(&chinese), "headings");
    assert!(english.len() > 7, "{english:#?}");
    for (n, (english, chinese)) in english.iter().zip(&chinese).enumerate() {
        assert_eq!(english.commands, chinese.commands, "commands of part {n}");
        assert_eq!(english.drawn, chinese.drawn, "drawings of part {n}");
        assert_eq!(english.rows, chinese.rows, "tables of part {n}");
        assert_eq!(english.bullets, chinese.bullets, "bullets of part {n}");
        assert_eq!(english.code, chinese.code, "names in part {n}");
        assert_eq!(english.links, chinese.links, "links of part {n}");
        assert_eq!(english.numbers, chinese.numbers, "numbers of part {n}");
    }
}

/// A reader whose network is broken finds the first command at once.
#[test]
fn each_readme_is_short_and_begins_with_a_command() {
    for name in ["README.md", "README.zh-CN.md"] {
        let text = read(name);
        assert!(text.lines().count() <= 110, "{name}: {} lines", text.lines().count());
        let doctor = text.lines().position(|line| line.contains("`underpass doctor`"));
        let first = text.lines().position(|line| line.starts_with("    "));
        assert!(doctor.is_some_and(|line| line < 20), "{name}: the doctor is on line {doctor:?}");
        assert!(first.is_some_and(|line| line < 40), "{name}: a command is on line {first:?}");
    }
}

#[test]
fn each_readme_leads_to_the_other() {
    assert!(read("README.md").lines().take(4).any(|line| line.ends_with("(README.zh-CN.md)")));
    assert!(read("README.zh-CN.md").lines().take(4).any(|line| line.ends_with("(README.md)")));
}

#[test]
fn a_difference_is_found() {
    let of = |text: &str| parts(text).pop().unwrap_or_default();
    let good = of(
        "## A\n\n    x up # one\n\nIt takes 16,384 of `a`, see [b](c.md).\n- one\n\n| `a` | 1 |\n",
    );
    assert_eq!(
        good,
        of("## 甲\n\n    x up # 一\n\n最多 16,384 个 `a`，见 [乙](c.md)。\n- 一\n\n| `a` | 1 |\n")
    );
    for other in [
        "## A\n\n    x down # one\n\nIt takes 16,384 of `a`, see [b](c.md).\n- one\n\n| `a` | 1 |\n",
        "## A\n\n    x up # one\n\nIt takes 16,385 of `a`, see [b](c.md).\n- one\n\n| `a` | 1 |\n",
        "## A\n\n    x up # one\n\nIt takes 16,384 of `b`, see [b](c.md).\n- one\n\n| `a` | 1 |\n",
        "## A\n\n    x up # one\n\nIt takes 16,384 of `a`, see [b](d.md).\n- one\n\n| `a` | 1 |\n",
        "## A\n\n    x up # one\n\nIt takes 16,384 of `a`, see [b](c.md).\n\n| `a` | 1 |\n",
        "## A\n\n    x up # one\n\nIt takes 16,384 of `a`, see [b](c.md).\n- one\n\n| `a` |  | 1 |\n",
        "### A\n\n    x up # one\n\nIt takes 16,384 of `a`, see [b](c.md).\n- one\n\n| `a` | 1 |\n",
    ] {
        assert_ne!(good, of(other), "{other}");
    }
}
