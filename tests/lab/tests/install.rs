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
const COMMANDS: &[(&str, &[&str])] = &[
    ("Copy-Item", &["-Force"]),
    ("ForEach-Object", &[]),
    ("Get-ChildItem", &["-Directory", "-File", "-Filter", "-Force", "-ErrorAction"]),
    ("Get-Command", &["-ErrorAction"]),
    ("Get-Content", &["-Raw"]),
    ("Get-Copies", &[]),
    ("Get-Date", &[]),
    ("Get-Distro", &[]),
    ("Get-FileHash", &["-Algorithm"]),
    ("Get-ItemProperty", &[]),
    ("Get-PackageName", &[]),
    ("Get-ScheduledTask", &["-TaskName", "-ErrorAction"]),
    ("Get-Sum", &[]),
    ("Get-WslPackage", &[]),
    // Without -UseBasicParsing 5.1 asks for Internet Explorer.
    ("Invoke-WebRequest", &["-Uri", "-OutFile", "-UseBasicParsing"]),
    ("Invoke-Wsl", &[]),
    ("Join-Path", &[]),
    ("New-Item", &["-ItemType", "-Force"]),
    ("New-ItemProperty", &["-Name", "-Value", "-PropertyType", "-Force"]),
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
    ("Register-App", &[]),
    ("Register-ScheduledTask", &["-TaskName", "-Action", "-Trigger", "-Settings", "-Force"]),
    ("Remove-Copies", &[]),
    ("Remove-IfEmpty", &[]),
    ("Remove-Item", &["-Recurse", "-Force", "-ErrorAction"]),
    ("Remove-Starter", &[]),
    ("Resolve-Path", &[]),
    ("Save-WslPackage", &[]),
    ("Save-Url", &[]),
    ("Select-Object", &["-First"]),
    ("Split-Path", &["-Leaf"]),
    ("Start-Process", &["-FilePath"]),
    ("Start-ScheduledTask", &["-TaskName"]),
    ("Start-Sleep", &["-Milliseconds"]),
    ("Stop-ScheduledTask", &["-TaskName"]),
    ("Test-Distro", &[]),
    ("Test-Installed", &[]),
    ("Test-Path", &["-PathType"]),
    ("Test-Sum", &[]),
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
    let (complaints, calls) = powershell::complaints(&script(), COMMANDS);
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
    let replaced = text.find(REPLACED).unwrap();
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

/// Where the old distro is removed for a new one.
const REPLACED: &str = "        Invoke-Wsl --unregister $Name\n    }\n";

/// The text of the script between two pieces of it, the first of which occurs exactly once.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    assert_eq!(text.matches(begin).count(), 1, "{begin}");
    let rest = text.split_once(begin).unwrap().1;
    rest.split_once(end).unwrap_or_else(|| panic!("{end} does not follow {begin}")).0
}

#[test]
fn configuration_and_logs_outlive_the_distro() {
    let text = script();
    let kept: Vec<&str> = between(&text, "$kept = @(", ")").split(", ").collect();
    let kept: Vec<&str> = kept.iter().map(|path| path.trim_matches('\'')).collect();
    // The paths that the boot command gives as --config and --log-file, and the older log beside
    // it.
    let boot =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../distro/rootfs/usr/lib/underpass/boot");
    let boot = std::fs::read_to_string(boot).unwrap();
    let value = |name: &str| between(&boot, &format!("\n{name}="), "\n").to_owned();
    assert_eq!(kept, [value("config"), value("log"), format!("{}.old", value("log"))]);
    // The two lines that have Linux copy them, in the order of the script, run as WSL runs them in
    // the folder of `--cd`.
    let copies: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("--cd $folder --exec cp "))
        .map(|(_, words)| words.split(['}', '\n']).next().unwrap().trim())
        .filter(|words| words.contains("$path"))
        .collect();
    assert_eq!(copies, ["$path $file", "$file $path"]);
    let (unregister, import) = (text.find(REPLACED).unwrap(), text.find("--import").unwrap());
    let at = |copy: &str| text.find(&format!("--exec cp {copy}")).unwrap();
    assert!(at(copies[0]) < unregister && unregister < import && import < at(copies[1]));
    // They are removed from Windows' disk only after that, so that the next run finds them after a
    // fault.
    let removed =
        text.find("foreach ($path in $restored) { Remove-Item (Join-Path $folder").unwrap();
    assert!(at(copies[1]) < removed && text.matches("Remove-Item (Join-Path $folder").count() == 1);
    let scratch = Scratch::new();
    for path in kept {
        let leaf = path.rsplit('/').next().unwrap();
        assert!(text.contains("$file = Split-Path $path -Leaf\n"));
        let content = format!("# nach Köln\r\n{path}\n");
        let _old = scratch.file(&format!("old-{leaf}"), &content);
        for (copy, etc) in copies.iter().zip(["old", "new"]) {
            let linux = scratch.path(&format!("{etc}-{leaf}"));
            let words = format!("cp {}", copy.replace("$path", &linux).replace("$file", leaf));
            let done = Command::new("sh")
                .args(["-c", &words])
                .current_dir(scratch.path(""))
                .status()
                .unwrap();
            assert!(done.success(), "{words}");
        }
        assert_eq!(scratch.read(&format!("new-{leaf}")), content);
    }
}

#[test]
fn nothing_is_changed_before_the_package_was_checked() {
    let text = script();
    let install = text.split_once("Write-Host \"Underpass is removed.\"\n").unwrap().1;
    let checked = install.find("$source = Get-WslPackage $downloads").unwrap();
    for change in ["Remove-Starter", "--terminate", "--unregister", "--import", "Register-App"] {
        assert!(install.find(change).unwrap() > checked, "{change}");
    }
    let imports = install.matches("Invoke-Wsl --import $Name $folder $source --version 2").count();
    assert_eq!((imports, install.matches("--import").count()), (1, 1), "what was checked");
    // Each way to a package ends in a check, or in a file without a list of sums.
    let get = between(&text, "function Get-WslPackage([string]$To) {\n", "\n}\n");
    let ways: Vec<&str> = get.lines().filter(|line| line.contains("return ")).collect();
    assert!(
        ways.len() == 2 && ways.iter().all(|way| way.contains("return Save-WslPackage ")),
        "{ways:?}"
    );
    assert!(get.ends_with("if (Test-Path $list) { Test-Sum $file $list }\n    $file"), "{get}");
    let save = between(&text, "function Save-WslPackage([string]$Url, [string]$To) {\n", "\n}\n");
    assert!(save.ends_with("    Test-Sum $file $list\n    $file"), "{save}");
    let test = between(&text, "function Test-Sum([string]$File, [string]$List) {\n", "\n}\n");
    assert_eq!(test.matches("throw").count(), 2, "no sum, and another sum: {test}");
    assert!(test.contains("(Get-FileHash -Algorithm SHA256 $File).Hash"), "{test}");
    // Only https: what comes by http can be changed, and its sums with it.
    assert!(
        get.contains("if ($wanted -match '^https://') { return Save-WslPackage $wanted $To }\n")
    );
    let other = get.split_once("if ($wanted -match '^[a-z]+://') {\n").unwrap().1;
    assert!(other.trim_start().starts_with("throw "), "{other}");
    // The list lies beside the package; .NET replaces each match, so an empty one must not count.
    assert!(save.contains("($Url -replace '[^/]+$', 'SHA256SUMS')"), "{save}");
}

/// Whether .NET's reading of a version's regular expression matches: three numbers with dots, and
/// what may follow them.
fn is_version(word: &str) -> bool {
    let word = word.strip_prefix('v').unwrap_or(word);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = word.splitn(3, '.');
    let (major, minor, rest) = (parts.next(), parts.next(), parts.next());
    let rest = rest.unwrap_or_default();
    let rest = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    major.is_some_and(digits) && minor.is_some_and(digits) && digits(rest)
}

#[test]
fn a_version_is_downloaded_from_where_the_release_says_it_is() {
    let text = script();
    let get = between(&text, "function Get-WslPackage([string]$To) {\n", "\n}\n");
    assert!(get.contains(r"if ($wanted -match '^v?(\d+\.\d+\.\d+[0-9A-Za-z.-]*)$') {"), "{get}");
    assert!(is_version(env!("CARGO_PKG_VERSION")), "ours is one");
    let url =
        r#"return Save-WslPackage "$releases/download/v$($Matches[1])/$(Get-PackageName)" $To"#;
    assert!(get.contains(url), "{get}");
    // scripts/release fills in these two lines, and fails where they are not there.
    for line in ["$version = ''", "$releases = ''"] {
        assert_eq!(text.lines().filter(|of| *of == line).count(), 1, "{line}");
    }
    // The names are those of the release, by the processor of the machine.
    let name = between(&text, "function Get-PackageName {\n", "\n}\n");
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../distro/release/check.py");
    let release = std::fs::read_to_string(release).unwrap();
    for package in ["'underpass-arm64.wsl'", "'underpass.wsl'"] {
        assert!(name.contains(package), "{name}");
        assert!(release.contains(&package.replace('\'', "\"")), "{package}");
    }
    assert!(
        name.contains("if ($processor -eq 'ARM64') { 'underpass-arm64.wsl' } else {"),
        "{name}"
    );
}

#[test]
fn settings_lists_it_as_winget_expects_and_an_uninstall_takes_the_entry_away() {
    let text = script();
    let app = between(&text, "function Register-App {\n", "\n}\n");
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../distro/release/manifests.py");
    let manifests = std::fs::read_to_string(manifests).unwrap();
    // By its key and name winget knows what it installed.
    assert!(text.contains("$task = \"Underpass ($Name)\"\n"));
    assert!(text.contains(r"\CurrentVersion\Uninstall\$task"), "the key");
    assert!(app.contains("DisplayName = $task\n"), "{app}");
    assert!(manifests.contains("REGISTERED = \"Underpass (underpass)\"\n"));
    let publisher = between(app, "Publisher = '", "'");
    assert!(manifests.contains(&format!("PUBLISHER = \"{publisher}\"\n")), "{publisher}");
    // It runs the copy of the script that lies in the folder of the installation.
    let remove = between(app, "$remove = '", "\n");
    assert!(remove.ends_with("-File \"{0}\"' -f $copy") && app.contains("-Name $Name -Uninstall"));
    assert!(app.contains("$copy = Join-Path $folder 'install.ps1'\n"), "{app}");
    // The script does not stop at an entry that Windows refuses.
    assert!(app.trim_start().starts_with("try {") && app.contains("} catch {"), "{app}");
    let uninstall = text.split_once("if ($Uninstall) {\n").unwrap().1;
    assert!(uninstall.contains("    if (Test-Path $entry) { Remove-Item $entry }\n"));
}

#[test]
fn a_fault_is_one_sentence_and_exit_code_1() {
    let text = script();
    let trap = between(&text, "\ntrap {\n", "\n}\n");
    assert!(trap.contains("[Console]::Error.WriteLine(\"install.ps1: $($_.Exception.Message)\")"));
    assert!(trap.ends_with("    exit 1"), "{trap}");
    // It counts from where it stands: before anything that can fail.
    let head = text.split_once("\ntrap {\n").unwrap().0;
    assert!(!head.contains("wsl.exe ") && !head.contains("function "), "{head}");
    // Each says what to do.
    let tree = parsed(&text);
    let mut faults = Vec::new();
    walk(tree.root_node(), &mut |node| {
        let words = words(node, &text);
        if node.kind() == "flow_control_statement" && words.starts_with("throw ") {
            faults.push(words.to_owned());
        }
    });
    let advice = ["Give ", "give ", "Download ", "run this script again", "failed with exit code"];
    let without: Vec<&String> =
        faults.iter().filter(|fault| !advice.iter().any(|word| fault.contains(word))).collect();
    assert!(faults.len() >= 9, "{faults:?}");
    assert_eq!(without, Vec::<&String>::new());
}
