//! The scripts for PowerShell, as far as they can be checked without one. `install.rs` and
//! `verification.rs` run their Linux commands.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "common/powershell.rs"]
mod powershell;

use lab::built::programs;
use powershell::{around, complaints, parsed, walk, words};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The commands of `verify-windows.ps1`, and the parameters that it uses. Each exists in Windows
/// PowerShell 5.1.
const COMMANDS: [(&str, &[&str]); 34] = [
    ("ConvertFrom-Json", &[]),
    ("ConvertTo-Json", &["-Depth"]),
    ("ForEach-Object", &[]),
    ("Get-AuthenticodeSignature", &["-FilePath"]),
    ("Get-ChildItem", &["-Path", "-Directory", "-Recurse", "-Filter", "-ErrorAction"]),
    ("Get-CimInstance", &["-Namespace", "-ClassName"]),
    ("Get-Command", &["-Name", "-ErrorAction"]),
    ("Get-Date", &[]),
    ("Get-FileHash", &["-Path", "-Algorithm"]),
    ("Get-ItemProperty", &["-Path", "-Name", "-ErrorAction"]),
    ("Get-Process", &["-Name", "-Id", "-ErrorAction"]),
    ("Get-ScheduledTask", &["-TaskName", "-ErrorAction"]),
    ("Get-Service", &["-Name", "-ErrorAction"]),
    ("Get-WinEvent", &["-FilterHashtable", "-MaxEvents", "-ErrorAction"]),
    ("Join-Path", &[]),
    ("New-Item", &["-ItemType", "-Force"]),
    ("New-Object", &[]),
    ("Read-Host", &[]),
    ("Remove-Item", &["-Recurse", "-Force", "-ErrorAction"]),
    ("Resolve-Path", &["-Path"]),
    ("Select-Object", &["-First"]),
    ("Set-StrictMode", &["-Version"]),
    ("Sort-Object", &["-Property", "-Descending"]),
    ("Start-Sleep", &["-Seconds", "-Milliseconds"]),
    ("Test-Path", &["-Path", "-PathType"]),
    ("Unregister-ScheduledTask", &["-TaskName", "-Confirm", "-ErrorAction"]),
    ("Where-Object", &[]),
    ("Write-Host", &[]),
    ("break", &[]),
    ("continue", &[]),
    ("exit", &[]),
    ("return", &[]),
    ("throw", &[]),
    ("param", &[]),
];

/// The commands of the task that keeps AnyConnect's metric, and the command that it runs.
const METRIC_TASK: [(&str, &[&str]); 7] = [
    ("Get-CimClass", &["-Namespace", "-ClassName"]),
    ("Get-WinEvent", &["-ListLog", "-ErrorAction"]),
    ("New-CimInstance", &["-ClientOnly"]),
    ("New-ScheduledTaskAction", &["-Execute", "-Argument"]),
    ("Register-ScheduledTask", &["-TaskName", "-Action", "-Trigger", "-User", "-Force"]),
    ("Select-Object", &["-First"]),
    ("Set-NetIPInterface", &["-InterfaceAlias", "-InterfaceMetric"]),
];

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn script(name: &str) -> String {
    fs::read_to_string(workspace().join("scripts").join(name)).unwrap()
}

#[test]
fn verify_windows_parses_and_calls_only_what_windows_powershell_has() {
    let text = script("verify-windows.ps1");
    let (complaints, calls) = complaints(&text, &COMMANDS);
    assert_eq!(complaints, Vec::<String>::new());
    assert!(calls > 150, "{calls} calls were seen");
}

#[test]
fn both_scripts_read_the_same_in_every_code_page() {
    // Windows PowerShell 5.1 reads a script without a byte order mark by the machine's code page.
    for name in ["install.ps1", "verify-windows.ps1"] {
        let text = script(name);
        let foreign = text.lines().position(|line| !line.is_ascii());
        assert_eq!(foreign, None, "{name}: a line is not ASCII");
    }
}

#[test]
fn the_checker_finds_what_windows_powershell_lacks() {
    for wrong in [
        "if (Test-Path $null { exit 1 }",
        "Write-Host 'a' && Write-Host 'b'",
        "$a = $true ? 1 : 2",
        "$a = $null ?? 2",
        "wsl.exe --list 2>&1",
        "Write-Host $unassigned",
        "Get-Nothing",
        "Remove-Item -Frce x",
        "ConvertTo-Json $null",
        "function Get-One([int]$First) { $First }\nGet-One 1 2",
    ] {
        let (complaints, _) = complaints(wrong, &COMMANDS);
        assert!(!complaints.is_empty(), "{wrong}");
    }
    let right = "function Get-One([int]$First) { $First }\n$a = Get-One 1\nWrite-Host $a $env:PATH";
    assert_eq!(complaints(right, &COMMANDS).0, Vec::<String>::new());
}

#[test]
fn the_task_that_keeps_a_metric_parses_and_so_does_what_it_runs() {
    let scratch = lab::scene::Scratch::new();
    let adapter = serde_json::json!({
        "index": 9, "name": "Li's VPN", "description": "Cisco AnyConnect Virtual Miniport Adapter", "kind": "ethernet",
        "up": true, "metric": 1, "vpn": "anyconnect",
    });
    let facts = serde_json::json!({ "system": "Windows 10.0.19045", "adapters": [adapter] });
    let facts = scratch.file("facts.json", &facts.to_string());
    let etc = scratch.path("");
    let words =
        ["settings", "recommend", "--goal", "vpn", "--json", "--etc", &etc, "--host-facts", &facts];
    let done = Command::new(programs().join("underpass")).args(words).output().unwrap();
    let advice: serde_json::Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"));
    // The tunnel is the first to run, the metric the last.
    let runs: Vec<&serde_json::Value> =
        advice.as_array().unwrap().iter().filter(|one| one["kind"] == "run").collect();
    assert_eq!(runs[0]["lines"], serde_json::json!(["underpass up"]), "{advice:#}");
    let task = runs.last().unwrap()["lines"].as_array().unwrap();
    let task = task.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n");
    let (found, calls) = complaints(&task, &METRIC_TASK);
    assert_eq!((found, calls), (Vec::<String>::new(), 6), "{task}");
    assert!(task.contains("EventID=2039"), "{task}");
    // The argument is a PowerShell string, in which a quote is doubled.
    let (_, argument) = task.split_once("-Argument '").unwrap();
    let (argument, _) = argument.split_once("'\n").unwrap();
    let command = argument.replace("''", "'");
    let command = command.split_once("-Command \"").unwrap().1.trim_end_matches('"');
    assert_eq!(command, "Set-NetIPInterface -InterfaceAlias 'Li''s VPN' -InterfaceMetric 6000");
    assert_eq!(complaints(command, &METRIC_TASK), (Vec::<String>::new(), 1));
}

#[test]
fn clean_removes_what_a_run_made_and_nothing_else() {
    let text = script("verify-windows.ps1");
    let body = |name: &str| {
        let (_, rest) = text.split_once(&format!("function {name}(")).unwrap();
        rest.split_once("\n}\n").unwrap().0.to_owned()
    };
    let clean = text.split_once("\nif ($Clean) {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    assert!(clean.contains("{ Remove-Run $left.Name }") && clean.contains("exit 0"), "{clean}");
    // Only names that the script makes; it reads the notes before it removes their folder.
    let run = body("Remove-Run");
    let at = |part: &str| run.find(part).unwrap_or_else(|| panic!("{part}: {run}"));
    let steps = [
        "'^underpass-verify-[0-9a-f]{8}$'",
        "Read-Note $Made 'relays'",
        "Remove-Service",
        "Remove-Made",
    ];
    assert!(steps.map(at).is_sorted() && at("Remove-Made") < at("Remove-Relays $before"), "{run}");
    assert!(
        run.contains("if ($hasNote -and $installed.Count -eq 0) { Remove-Relays $before }"),
        "{run}"
    );
    // It writes the notes before it makes the things that they describe.
    let order = |first: &str, second: &str| text.find(first).unwrap() < text.find(second).unwrap();
    assert!(order("Write-Note 'relays' $relaysBefore", "@('--import', $name,"));
    assert!(order("Write-Note 'service' @($Distro)", "@('install', '--distro', $name)"));
    // A unit of another name stays: the shell's behaviour is tried on both.
    let service = body("Remove-Service");
    let quoted = |variable: &str| {
        let (_, rest) = service.split_once(&format!("${variable} = \"")).unwrap();
        rest.split_once("\"\n").unwrap().0.replace("`\"", "\"")
    };
    let scratch = lab::scene::Scratch::new();
    let (unit, copy) =
        (scratch.path("unit"), scratch.file("copy", "#!/bin/sh\necho removed \"$@\"\n"));
    let words = quoted("remove")
        .replace("$unit", &quoted("unit"))
        .replace("$Made", "underpass-verify-0123abcd");
    let words = words.replace("/etc/systemd/system/underpass.service", &unit);
    let words = words.replace("/usr/local/lib/underpass/underpass", &copy);
    let template = script("underpass.service");
    for (distro, removed) in
        [("underpass-verify-0123abcd", "removed service remove\n"), ("underpass", "")]
    {
        fs::write(
            &unit,
            template.replace("--distro \"underpass\"", &format!("--distro \"{distro}\"")),
        )
        .unwrap();
        let done = Command::new("sh").args(["-c", &words]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), removed, "{distro}: {words}: {done:?}");
        assert!(done.status.success(), "{distro}: {done:?}");
    }
}

#[test]
fn everything_in_the_page_is_escaped() {
    let text = script("verify-windows.ps1");
    let tree = parsed(&text);
    let mut formats = 0;
    walk(tree.root_node(), &mut |node| {
        let Some(function) = around(node, "function_statement") else { return };
        if !words(function, &text).starts_with("function New-Page") {
            return;
        }
        let line = node.start_position().row + 1;
        // Only the values that `-f` puts into a quoted text go into the page, and only through
        // Protect-Html.
        assert!(node.kind() != "expandable_string_literal", "line {line}: {}", words(node, &text));
        if let ("format_expression", Some((_, arguments))) =
            (node.kind(), words(node, &text).split_once(" -f "))
        {
            formats += 1;
            let parts = arguments.split("), (").count();
            assert_eq!(
                arguments.matches("(Protect-Html ").count(),
                parts,
                "line {line}: {arguments}"
            );
        }
    });
    assert!(formats >= 2, "{formats}");
}

/// An item of the script: its name, and the words of docs/verification.md that it stands for.
fn items(text: &str) -> Vec<(String, Vec<String>)> {
    let quoted = |part: &str| -> Vec<String> {
        // A quote in a PowerShell string is doubled.
        let part = part.replace("''", "\u{0}");
        part.split('\'').skip(1).step_by(2).map(|one| one.replace('\u{0}', "'")).collect()
    };
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("@{ Id = "));
    let item = |line: &str| {
        let (head, unverified) = line.split_once("; Unverified = ").unwrap();
        (quoted(head).remove(0), quoted(unverified))
    };
    lines.map(item).collect()
}

/// The third column of docs/verification.md, and every line of another page that says that something
/// is not verified.
fn not_verified() -> Vec<String> {
    let read = |page: &Path| fs::read_to_string(page).unwrap();
    let table = read(&workspace().join("docs/verification.md"));
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut found: Vec<String> = rows
        .map(|row| row.trim_matches('|').rsplit('|').next().unwrap().trim().to_owned())
        .collect();
    found.retain(|cell| !cell.is_empty());
    let docs = fs::read_dir(workspace().join("docs")).unwrap().map(|file| file.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    for page in pages.chain([workspace().join("README.md")]) {
        let text = read(&page);
        let lines = text.lines().filter(|line| line.contains("(not verified)"));
        found.extend(lines.map(|line| line.rsplit('|').nth(1).unwrap_or(line).trim().to_owned()));
    }
    found
}

#[test]
fn the_script_has_an_item_for_all_that_is_listed_as_not_verified() {
    let items = items(&script("verify-windows.ps1"));
    assert!(items.len() > 25, "{items:?}");
    let mut phrases: Vec<&str> =
        items.iter().flat_map(|(_, phrases)| phrases.iter().map(String::as_str)).collect();
    // The longest first: one may be a part of another.
    phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    let cells = not_verified();
    assert!(cells.len() > 12, "{cells:?}");
    for cell in &cells {
        let left = phrases.iter().fold(cell.clone(), |left, phrase| left.replace(phrase, ""));
        let glue = ["and", "not", "perhaps", "real", "relay", "the", "verified", "windows", "wsl"];
        let mut words = left.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let unknown = words.find(|word| !glue.contains(&word.to_lowercase().as_str()));
        assert_eq!(
            unknown, None,
            "no item of scripts/verify-windows.ps1 names this, which docs/verification.md lists: '{cell}'"
        );
    }
    for (id, phrases) in &items {
        let is_named = phrases.is_empty()
            || phrases.iter().any(|phrase| cells.iter().any(|cell| cell.contains(phrase)));
        assert!(
            is_named,
            "item {id}: docs/verification.md lists none of {phrases:?} as not verified"
        );
    }
}

#[test]
fn the_script_uses_only_commands_that_underpass_has() {
    let text = script("verify-windows.ps1");
    let known = |words: &[&str]| {
        let help =
            Command::new(programs().join("underpass")).args(words).arg("--help").output().unwrap();
        help.status.success()
    };
    // The words between `/usr/bin/underpass` and the end of the list, as far as they are plain.
    let mut seen = 0;
    for part in text.split("'/usr/bin/underpass', ").skip(1) {
        let list = part.split(')').next().unwrap();
        // A variable stands for a word of its own.
        let list =
            list.replace("$goal", "'vpn'").replace("$CompanyProxy", "'http://192.0.2.1:8080'");
        let words: Vec<&str> = list
            .split(", ")
            .filter_map(|word| word.trim().strip_prefix('\'')?.strip_suffix('\''))
            .collect();
        assert!(!words.is_empty() && known(&words), "underpass {words:?}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
    // The items that it requests by name.
    for part in text.split("Get-SelftestFinding '").skip(1) {
        let item = part.split('\'').next().unwrap();
        assert!(known(&["selftest", item]), "underpass selftest {item}");
    }
    let list = text
        .split_once("Invoke-Selftest @('mode', ")
        .unwrap()
        .1
        .split("'--mebibytes'")
        .next()
        .unwrap();
    let list: Vec<&str> = list
        .split(',')
        .filter_map(|word| word.trim().strip_prefix('\'')?.strip_suffix('\''))
        .collect();
    assert!(list.len() > 10 && known(&[&["selftest", "mode"], &list[..]].concat()), "{list:?}");
}
