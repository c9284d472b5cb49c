//! `scripts/install.ps1`, as far as it can be checked without a PowerShell: it parses, each command
//! exists with the parameters given to it, and its `wsl.exe` commands work in the distro.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "common/powershell.rs"]
mod powershell;

use lab::built::programs;
use lab::scene::Scratch;
use powershell::{parsed, walk, words};
use std::path::Path;
use std::process::Command;

/// The commands of the script, and the parameters that it uses. Each exists in Windows PowerShell
/// 5.1, according to Microsoft's reference of the module.
const COMMANDS: [(&str, &[&str]); 36] = [
    ("Get-ChildItem", &["-Directory", "-File", "-Filter", "-Force", "-ErrorAction"]),
    ("Get-Copies", &[]),
    ("Get-Date", &[]),
    ("Get-Distro", &[]),
    ("Get-ItemProperty", &[]),
    ("Get-ScheduledTask", &["-TaskName", "-ErrorAction"]),
    ("Invoke-Wsl", &[]),
    ("Join-Path", &[]),
    ("New-Item", &["-ItemType", "-Force"]),
    ("New-Object", &["-ComObject"]),
    ("New-ScheduledTaskAction", &["-Execute", "-Argument"]),
    (
        "New-ScheduledTaskSettingsSet",
        &[
            "-AllowStartIfOnBatteries",
            "-DontStopIfGoingOnBatteries",
            "-ExecutionTimeLimit",
            "-MultipleInstances",
            "-StartWhenAvailable",
        ],
    ),
    ("New-ScheduledTaskTrigger", &["-AtLogOn", "-User", "-Once", "-At", "-RepetitionInterval"]),
    ("New-TimeSpan", &["-Minutes"]),
    ("Out-Null", &[]),
    ("Register-ScheduledTask", &["-TaskName", "-Action", "-Trigger", "-Settings", "-Force"]),
    ("Remove-Copies", &[]),
    ("Remove-IfEmpty", &[]),
    ("Remove-Item", &["-Recurse", "-Force", "-ErrorAction"]),
    ("Remove-Starter", &[]),
    ("Select-Object", &["-First"]),
    ("Start-Process", &["-FilePath"]),
    ("Start-ScheduledTask", &["-TaskName"]),
    ("Start-Sleep", &["-Milliseconds"]),
    ("Stop-ScheduledTask", &["-TaskName"]),
    ("Test-Distro", &[]),
    ("Test-Installed", &[]),
    ("Test-Path", &[]),
    ("Unregister-ScheduledTask", &["-TaskName", "-Confirm"]),
    ("Where-Object", &[]),
    ("Write-Host", &[]),
    ("Write-Verbose", &[]),
    ("Write-Warning", &[]),
    ("exit", &[]),
    ("throw", &[]),
    ("wsl.exe", &[]),
];

fn script() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/install.ps1");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_script_parses_and_calls_what_there_is() {
    let (complaints, calls) = powershell::complaints(&script(), &COMMANDS);
    assert_eq!(complaints, Vec::<String>::new());
    assert!(calls > 20, "{calls} commands were seen");
}

/// The arguments of one command of the script, without a line-continuing backtick.
fn call(text: &str, command: &str) -> Vec<String> {
    let calls = text.replace("`\n", " ");
    calls
        .lines()
        .filter_map(|line| line.split_once(&format!("= {command} ")))
        .map(|(_, words)| words.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The value of a parameter in such a call.
fn value<'a>(call: &'a str, parameter: &str) -> Option<&'a str> {
    let (_, rest) = call.split_once(&format!("{parameter} "))?;
    rest.split_whitespace().next()
}

/// The values that Windows refuses in a task's settings, by the schema of tasks ([MS-TSCH] 2.3:
/// restartType's Count is 1 to 255; 2.3.11 MultipleInstancesPolicy).
fn refused(settings: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(count) = value(settings, "-RestartCount") {
        let fits = count.parse::<u32>().is_ok_and(|count| (1..=255).contains(&count));
        wrong.extend((!fits).then(|| format!("-RestartCount {count}")));
    }
    if let Some(policy) = value(settings, "-MultipleInstances") {
        let known = ["Parallel", "Queue", "IgnoreNew"].contains(&policy);
        wrong.extend((!known).then(|| format!("-MultipleInstances {policy}")));
    }
    wrong
}

#[test]
fn the_task_is_one_that_windows_takes_and_comes_back_by_itself() {
    assert_eq!(
        refused("-RestartCount 999 -RestartInterval x"),
        ["-RestartCount 999"],
        "the check can fail"
    );
    let text = script();
    let settings = call(&text, "New-ScheduledTaskSettingsSet");
    assert_eq!(settings.len(), 1, "{settings:?}");
    assert_eq!(refused(&settings[0]), Vec::<String>::new());
    assert_eq!(
        value(&settings[0], "-MultipleInstances"),
        Some("IgnoreNew"),
        "a trigger starts no second one"
    );
    assert_eq!(
        value(&settings[0], "-ExecutionTimeLimit"),
        Some("0"),
        "Windows' own limit is three days"
    );
    let triggers = call(&text, "New-ScheduledTaskTrigger");
    assert!(triggers.iter().any(|trigger| trigger.starts_with("-AtLogOn -User ")), "{triggers:?}");
    // `wsl --shutdown` ends the program of the task; only a trigger that repeats starts it again.
    let minutes = triggers.iter().find_map(|trigger| value(trigger, "(New-TimeSpan -Minutes"));
    let minutes: Option<u32> =
        minutes.and_then(|minutes| minutes.trim_end_matches(')').parse().ok());
    // The schema's Interval of a repetition: PT1M to P31D.
    assert!(minutes.is_some_and(|minutes| (1..=5).contains(&minutes)), "{triggers:?}");
    assert!(!text.contains("-RepetitionDuration"), "it repeats forever");
}

#[test]
fn the_script_removes_only_what_it_installed() {
    let text = script();
    let tree = parsed(&text);
    let (mut unregistered, mut recursive) = (0, 0);
    walk(tree.root_node(), &mut |node| {
        if node.kind() != "command" {
            return;
        }
        let words = node.utf8_text(text.as_bytes()).unwrap();
        if words.starts_with("Remove-Item") && words.contains("-Recurse") {
            // The folder of this installation; %LOCALAPPDATA%\underpass holds those of others, too.
            assert_eq!(words.trim(), "Remove-Item -Recurse -Force $folder");
            recursive += 1;
        }
        unregistered += usize::from(words.starts_with("Invoke-Wsl --unregister"));
    });
    assert_eq!((unregistered, recursive), (2, 1));
    assert!(text.contains("$folder = Join-Path $root \"distro-$Name\"\n"));
    // The script neither removes nor replaces another program's distro of that name.
    assert!(text.contains("    if (Test-Installed) { Invoke-Wsl --unregister $Name }\n"));
    let guard = text.find("if ((Test-Distro) -and -not (Test-Installed)) {").unwrap();
    let replaced = text.find("    Invoke-Wsl --unregister $Name\n}\n").unwrap();
    assert!(
        guard < replaced && text[guard..replaced].contains("throw"),
        "{}",
        &text[guard..replaced]
    );
    // The output of wsl.exe is UTF-16 or UTF-8, depending on its version and WSL_UTF8: no decision
    // depends on it.
    assert!(!text.contains("--list") && !text.contains("(& wsl.exe"), "{text}");
}

#[test]
fn the_shortcut_takes_the_place_of_a_task_that_windows_refuses() {
    let text = script();
    let tree = parsed(&text);
    // The program that both start is assigned once, before either is made.
    for (variable, count) in
        [("$program = ", 1), ("$arguments = ", 1), ("$shortcut = ", 1), ("$starter = ", 3)]
    {
        assert_eq!(text.matches(variable).count(), count, "{variable}");
    }
    let action = call(&text, "New-ScheduledTaskAction");
    assert_eq!(action, ["-Execute $program -Argument $arguments"]);
    assert!(
        text.contains("$program = 'conhost.exe'\n"),
        "a name, which the task finds in Windows' folder"
    );
    let assigned = |name: &str| {
        let lines =
            text.lines().filter_map(|line| line.trim().strip_prefix(&format!("$link.{name} = ")));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(assigned("TargetPath"), [r#"Join-Path $env:SystemRoot "System32\$program""#]);
    assert_eq!(assigned("Arguments"), ["$arguments"]);
    // It is made in the other branch of `if ($starter)`, which is set if a task is registered.
    let mut made = 0;
    walk(tree.root_node(), &mut |node| {
        let words = words(node, &text);
        if node.kind() == "if_statement" && words.contains(".CreateShortcut(") {
            let (then, otherwise) = words.split_once("} else {").unwrap();
            assert!(then.starts_with("if ($starter) {") && !then.contains("$shortcut"), "{then}");
            assert!(
                otherwise.contains("CreateShortcut($shortcut)")
                    && otherwise.contains("$link.Save()"),
                "{otherwise}"
            );
            made += 1;
        }
    });
    assert_eq!((made, text.matches(".CreateShortcut(").count()), (1, 1));
    let registers =
        text.split_once("$starter = $null\n").unwrap().1.split_once("if ($starter) {").unwrap().0;
    let (before, after) = registers.split_once("Register-ScheduledTask").unwrap();
    assert!(!before.contains("$starter = ") && after.contains("$starter = "), "{registers}");
    assert!(before.contains("try {") && after.contains("} catch {"), "{registers}");
    // The function that removes the task removes the shortcut.
    let remove =
        text.split_once("function Remove-Starter {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    assert!(remove.contains("    if (Test-Path $shortcut) { Remove-Item $shortcut }"), "{remove}");
    let uninstall = text.split_once("if ($Uninstall) {\n").unwrap().1;
    assert!(uninstall.starts_with("    Remove-Starter\n"), "{uninstall}");
}

#[test]
fn an_uninstall_waits_only_for_copies_that_it_removes() {
    let text = script();
    let body = |name: &str| {
        let (_, rest) = text.split_once(&format!("function {name} {{\n")).unwrap();
        rest.split_once("\n}\n").unwrap().0.to_owned()
    };
    // With another installation there is nothing to wait for.
    let guard = "    if (Get-ChildItem $root -Directory -Filter 'distro-*' -ErrorAction SilentlyContinue) { return }\n";
    for name in ["Get-Copies", "Remove-Copies"] {
        assert!(body(name).starts_with(guard), "{name}");
    }
    let waits = text.split_once("for ($try = 0;").unwrap().1.split_once("\n    }\n").unwrap().0;
    let steps: Vec<&str> = waits.lines().skip(1).map(str::trim).collect();
    let wait = "Start-Sleep -Milliseconds 300";
    assert_eq!(steps, ["Remove-Copies", "if (-not (Get-Copies)) { break }", wait]);
}

#[test]
fn what_the_task_runs_is_a_command_of_the_distro() {
    let text = script();
    let argument =
        text.lines().find_map(|line| line.split_once("$arguments = ")).unwrap().1.trim_matches('"');
    let words: Vec<&str> =
        argument.split_once("--exec /usr/bin/underpass ").unwrap().1.split_whitespace().collect();
    let help =
        Command::new(programs().join("underpass")).args(&words).arg("--help").output().unwrap();
    assert!(help.status.success() && words == ["up", "--attach"], "{words:?}: {help:?}");
}

#[test]
fn the_configuration_outlives_the_distro() {
    // The two lines in which Linux copies it, in the order of the script, run as WSL runs them in
    // the folder of `--cd`.
    let text = script();
    let copies: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("--cd $folder --exec "))
        .map(|l| l.1)
        .collect();
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
        let done =
            Command::new("sh").args(["-c", &words]).current_dir(scratch.path("")).status().unwrap();
        assert!(done.success(), "{words}");
    }
    assert_eq!(scratch.read("new.toml"), config);
}
