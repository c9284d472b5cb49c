//! `scripts/install.ps1`, as far as it can be judged without a PowerShell: that it parses, that each command exists with the parameters given
//! to it, and that what it has `wsl.exe` do works in the distro.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::scene::Scratch;
use lab::tunnel::programs;
use std::path::Path;
use std::process::Command;
use tree_sitter::{Node, Parser};

/// What the script calls, and the parameters that it gives. Each is in Windows PowerShell 5.1, after Microsoft's reference of the module.
const COMMANDS: [(&str, &[&str]); 20] = [
    ("Get-ScheduledTask", &["-TaskName", "-ErrorAction"]),
    ("Invoke-Wsl", &[]),
    ("Join-Path", &[]),
    ("New-Item", &["-ItemType", "-Force"]),
    ("New-ScheduledTaskAction", &["-Execute", "-Argument"]),
    (
        "New-ScheduledTaskSettingsSet",
        &[
            "-AllowStartIfOnBatteries",
            "-DontStopIfGoingOnBatteries",
            "-ExecutionTimeLimit",
            "-RestartCount",
            "-RestartInterval",
        ],
    ),
    ("New-ScheduledTaskTrigger", &["-AtLogOn", "-User"]),
    ("New-TimeSpan", &["-Minutes"]),
    ("Out-Null", &[]),
    ("Register-ScheduledTask", &["-TaskName", "-Action", "-Trigger", "-Settings", "-Force"]),
    ("Remove-Item", &["-Recurse", "-Force", "-ErrorAction"]),
    ("Start-ScheduledTask", &["-TaskName"]),
    ("Stop-ScheduledTask", &["-TaskName"]),
    ("Test-Distro", &[]),
    ("Test-Path", &[]),
    ("Unregister-ScheduledTask", &["-TaskName", "-Confirm"]),
    ("Write-Host", &[]),
    ("exit", &[]),
    ("throw", &[]),
    ("wsl.exe", &[]),
];

fn script() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/install.ps1");
    std::fs::read_to_string(path).unwrap()
}

/// Calls `see` with each node of the tree.
fn walk(node: Node<'_>, see: &mut impl FnMut(Node<'_>)) {
    see(node);
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        walk(child, see);
    }
}

/// The command that a node is a part of.
fn command_of(node: Node<'_>) -> Option<Node<'_>> {
    std::iter::successors(node.parent(), Node::parent).find(|node| node.kind() == "command")
}

fn parsed(text: &str) -> tree_sitter::Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

#[test]
fn the_script_parses_and_calls_what_there_is() {
    let text = script();
    let tree = parsed(&text);
    let mut calls = 0;
    walk(tree.root_node(), &mut |node| {
        let words = node.utf8_text(text.as_bytes()).unwrap();
        assert!(!node.is_error() && !node.is_missing(), "line {}: {words}", node.start_position().row + 1);
        if node.kind() != "command" {
            return;
        }
        calls += 1;
        let mut parts = words.trim_start_matches("& ").split_whitespace();
        let name = parts.next().unwrap();
        let (_, known) = COMMANDS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}: {words}"));
        let mut given = Vec::new();
        walk(node, &mut |inner| {
            // A command in brackets has parameters of its own.
            if inner.kind() == "command_parameter" && command_of(inner) == Some(node) {
                given.push(inner.utf8_text(text.as_bytes()).unwrap().split(':').next().unwrap().to_owned());
            }
        });
        if !name.to_lowercase().contains("wsl") {
            assert!(given.iter().all(|parameter| known.contains(&parameter.as_str())), "{name}: {given:?}");
        }
    });
    assert!(calls > 20, "{calls} commands were seen");
    // The test can fail.
    assert!(parsed("if (Test-Path $x { exit 1 }").root_node().has_error());
}

#[test]
fn what_the_task_runs_is_a_command_of_the_distro() {
    let text = script();
    let argument = text.lines().find_map(|line| line.split_once("-Argument ")).unwrap().1.trim_matches('"');
    let words: Vec<&str> = argument.split_once("--exec /usr/bin/underpass ").unwrap().1.split_whitespace().collect();
    let help = Command::new(programs().join("underpass")).args(&words).arg("--help").output().unwrap();
    assert!(help.status.success() && words == ["up", "--attach"], "{words:?}: {help:?}");
}

#[test]
fn the_configuration_outlives_the_distro() {
    // The two lines that have Linux copy it, in the order of the script, run as WSL runs them in the folder of `--cd`.
    let text = script();
    let copies: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("--cd $folder --exec ")).map(|l| l.1).collect();
    assert_eq!(copies.len(), 2, "{copies:?}");
    let (unregister, import) =
        (text.find("Invoke-Wsl --unregister $Name\n}\n").unwrap(), text.find("--import").unwrap());
    let at = |copy: &str| text.find(copy).unwrap();
    assert!(at(copies[0]) < unregister && unregister < import && import < at(copies[1]));
    let scratch = Scratch::new();
    let config = "# nach Köln\r\ntap = 'other0'\n";
    let _old = scratch.file("old.toml", config);
    for (copy, etc) in copies.iter().zip(["old.toml", "new.toml"]) {
        let words = copy.split(['}', '\n']).next().unwrap().replace("$config", "underpass.toml");
        let words = words.replace("/etc/underpass.toml", &scratch.path(etc));
        let done = Command::new("sh").args(["-c", &words]).current_dir(scratch.path("")).status().unwrap();
        assert!(done.success(), "{words}");
    }
    assert_eq!(scratch.read("new.toml"), config);
}
