//! `underpass-vm` boots the machine and runs the checks; `scripts/vm` prepares and starts it.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, thread};
use tokio::signal::unix::{SignalKind, signal};
use vm::checks::{Bench, Kernel};
use vm::machine::{Images, Machine};
use vm::report::{self, Outcome};
use vm::stop;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    let [_, name, folder, words] = &words[..] else {
        let _ = writeln!(
            io::stderr(),
            "usage: underpass-vm NAME FOLDER WORDS (run scripts/vm, which prepares the folder)"
        );
        return ExitCode::from(2);
    };
    match run(name, Path::new(folder), words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "underpass-vm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all checks passed.
fn run(name: &str, folder: &Path, words: &str) -> Result<bool, Box<dyn Error>> {
    end_on_signals()?;
    let logs = folder.join("logs");
    fs::create_dir_all(&logs)?;
    let kernel =
        Kernel { ipv6_rules: name != "wsl-5.15", modules_later: words.contains("modules=later") };
    let file = |name: &str| folder.join(name);
    let images = Images {
        kernel: file("kernel"),
        initramfs: file("initramfs"),
        root: file("root.img"),
        modules: file("modules.img"),
        words: words.to_owned(),
        logs: logs.clone(),
    };
    let machine = Machine::start(&images)?;
    let mut bench = Bench::new(machine, kernel);
    let mut out = io::stdout();
    let lines = bench.run(|line| {
        // If standard output is closed, the exit code remains.
        let _ = line.print(&mut out);
        if let Outcome::Failed(seen) = &line.outcome {
            let _ =
                seen.lines().skip(1).try_for_each(|line| writeln!(out, "             | {line}"));
        }
        let _ = out.flush();
    });
    if stop::is_asked() {
        return Err("interrupted".into());
    }
    for (file, words) in [
        ("journal.log", "journalctl --boot --no-pager"),
        ("gateway.log", "cat /var/lib/wsl/underpass/var/log/underpass.log"),
    ] {
        // If the guest does not run there is no log.
        fs::write(logs.join(file), bench.must(words).unwrap_or_else(|why| why))?;
    }
    report::print(&mut io::stdout(), name, &lines)?;
    Ok(lines.iter().all(|line| matches!(line.outcome, Outcome::Passed(_))))
}

/// Ctrl-C and other termination signals stop QEMU, so that programs waiting for the guest fail at
/// once, and everything is removed as at a normal end. By handlers, not by a mask: child programs
/// would inherit that.
fn end_on_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let [mut interrupt, mut terminate, mut hang_up] = {
        let _context = runtime.enter();
        [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        stop::ask();
    });
    Ok(())
}
