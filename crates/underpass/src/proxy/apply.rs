//! `proxy apply` and `proxy remove`: tools' own settings, by their own commands or else in their
//! files.

use super::args::{ApplyOptions, RemoveOptions};
use super::files::{self, Memory};
use super::tools::{Here, program};
use super::{Voice, choose};
use anyhow::Context as _;
use config::tools::{
    Kept, Note, OwnCommand, Place, Proxy, Tool, no_proxy, notes, places, with_setting,
};
use messages::{Sentence, Text, proxies as words};
use std::path::Path;
use std::process::ExitCode;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// A tool that takes longer to change a line of its settings waits for something.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn apply(
    options: &ApplyOptions,
    voice: Voice,
    complain: &impl Fn(&anyhow::Error),
) -> anyhow::Result<ExitCode> {
    let Some(chosen) = choose(&options.choice).await? else {
        voice.aside(&words::WINDOWS_DIRECT.with("url", &options.choice.url));
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(how) = &chosen.how {
        voice.aside(how);
    }
    let mut here = Here::new()?;
    if options.tools.contains(&Tool::Yarn) && here.runs_commands() {
        here.has_new_yarn = has_new_yarn(&here).await;
    }
    let mut memory = Memory::load(&here.home)?;
    let exceptions = no_proxy(&[], &chosen.subnets);
    let mut verdict = ExitCode::SUCCESS;
    for tool in distinct(&options.tools) {
        let mut changer = Changer { here: &here, memory: &mut memory, voice };
        if let Err(error) = changer.tool(tool, &chosen.proxy, &exceptions).await {
            complain(&error);
            verdict = ExitCode::FAILURE;
        }
    }
    Ok(verdict)
}

pub(super) fn remove(
    options: &RemoveOptions,
    voice: Voice,
    complain: &impl Fn(&anyhow::Error),
) -> anyhow::Result<ExitCode> {
    let here = Here::new()?;
    let mut memory = Memory::load(&here.home)?;
    let is_meant = |kept: &&Kept| {
        options.tools.is_empty() || options.tools.iter().any(|tool| tool.name() == kept.tool)
    };
    let meant: Vec<Kept> = memory.files.iter().filter(is_meant).cloned().collect();
    if meant.is_empty() {
        voice.tell(&words::NOTHING_TO_REMOVE.text());
    }
    let mut verdict = ExitCode::SUCCESS;
    for kept in meant {
        if !here.is_known(&kept) {
            complain(&anyhow::anyhow!(
                "{}: {} is left unchanged: with root's HOME and variables it is not a file of \
                 {}'s settings; run this with the HOME and variables that `apply` had",
                kept.tool,
                kept.path.display(),
                kept.tool
            ));
            verdict = ExitCode::FAILURE;
            continue;
        }
        match restore(&kept) {
            Ok(left) => {
                memory.forget(&kept);
                memory.save(&here.home)?;
                voice.tell(&left);
            }
            Err(error) => {
                complain(&error.context(kept.tool));
                verdict = ExitCode::FAILURE;
            }
        }
    }
    Ok(verdict)
}

/// Restores a file, and says what was done.
fn restore(kept: &Kept) -> anyhow::Result<Text> {
    let text = files::read(&kept.path)?;
    let restored = kept.restore(text.as_deref());
    if restored.text != text {
        match &restored.text {
            Some(text) => files::write(&kept.path, text, config::tools::Readers::Owner)?,
            None => files::remove(&kept.path, &kept.folders)?,
        }
    }
    let about = |sentence: &'static Sentence| {
        sentence.with("tool", &kept.tool).with("path", kept.path.display())
    };
    Ok(if restored.left.is_empty() {
        about(&words::REMOVED)
    } else {
        about(&words::REMOVED_LEFT).with("keys", restored.left.join(", "))
    })
}

fn distinct(tools: &[Tool]) -> Vec<Tool> {
    let mut distinct = tools.to_vec();
    distinct.sort();
    distinct.dedup();
    distinct
}

/// Changes the settings of one tool.
struct Changer<'a> {
    here: &'a Here,
    memory: &'a mut Memory,
    voice: Voice,
}

impl Changer<'_> {
    async fn tool(&mut self, tool: Tool, proxy: &Proxy, exceptions: &str) -> anyhow::Result<()> {
        let here = self.here;
        let surroundings = here.surroundings();
        let places = places(tool, proxy, exceptions, &surroundings)?;
        // No password may stand on the list of processes.
        let command = OwnCommand::of(tool, &surroundings)
            .filter(|_| !proxy.has_secrets() && here.runs_commands());
        let program = command.and_then(|_| program(tool.programs()));
        for place in &places {
            let shown = proxy.to_string();
            let outcome = self.place(place, &shown, command.zip(program.as_deref())).await;
            self.voice.tell(&outcome.with_context(|| format!("{tool}: {}", place.path.display()))?);
        }
        for note in notes(tool, proxy, &places, &surroundings) {
            self.voice.aside(&sentence(note).text());
        }
        Ok(())
    }

    /// Changes one file, and says what was done.
    async fn place(
        &mut self,
        place: &Place,
        proxy: &str,
        command: Option<(OwnCommand, &Path)>,
    ) -> anyhow::Result<Text> {
        let text = files::read(&place.path)?;
        let after = with_setting(place, text.as_deref())?;
        let earlier = self.memory.of(place.tool.name(), &place.path).cloned();
        let about = |sentence: &'static Sentence| {
            sentence
                .with("tool", place.tool)
                .with("path", place.path.display())
                .with("proxy", proxy)
        };
        if text.as_deref() == Some(&after) {
            if earlier.is_some() {
                self.keep(Kept::of(place, text.as_deref(), earlier.as_ref(), &after))?;
            }
            return Ok(about(&words::UNCHANGED));
        }
        let folders = files::make_folders(&place.path)?;
        let kept = |after: &str| {
            let mut kept = Kept::of(place, text.as_deref(), earlier.as_ref(), after);
            kept.folders.extend(folders.iter().cloned());
            kept
        };
        // First of all: if this process ends here, `remove` finds the former text.
        self.keep(kept(&after))?;
        if let Some((command, program)) = command {
            match by_command(self.here, place, command, program).await {
                Ok((shown, after)) => {
                    self.keep(kept(&after))?;
                    return Ok(about(&words::APPLIED_BY_COMMAND).with("command", shown));
                }
                Err((shown, problem)) => {
                    let failed =
                        words::COMMAND_FAILED.with("tool", place.tool).with("command", shown);
                    self.voice.aside(&failed.with("problem", problem));
                }
            }
        }
        files::write(&place.path, &after, place.readers)?;
        Ok(about(&words::APPLIED))
    }

    fn keep(&mut self, kept: Kept) -> anyhow::Result<()> {
        self.memory.keep(kept);
        self.memory.save(&self.here.home)
    }
}

/// Has the tool's own command set each key. Gives the command as it is shown and the file's new
/// text, or else what went wrong.
async fn by_command(
    here: &Here,
    place: &Place,
    command: OwnCommand,
    program: &Path,
) -> Result<(String, String), (String, String)> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let shown = format!("{name} {} …", command.words("", "").join(" ").trim_end());
    for (key, value) in &place.wanted {
        let finished = output(here, program, &command.words(key, value)).await;
        let problem = match finished {
            Ok(output) if output.status.success() => continue,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr)
                    .trim()
                    .lines()
                    .next_back()
                    .unwrap_or("")
                    .to_owned();
                format!("{}: {}", output.status, proxy::mask(&said))
            }
            Err(problem) => problem,
        };
        return Err((shown, problem));
    }
    let text = files::read(&place.path).ok().flatten().unwrap_or_default();
    let is_set =
        |(key, value): &(String, String)| place.format.get(&text, key).as_ref() == Some(value);
    if place.wanted.iter().all(is_set) {
        Ok((shown, text))
    } else {
        Err((shown, format!("it did not write to {}", place.path.display())))
    }
}

/// The output of a tool's program. It runs in the home folder, where no project's settings are.
async fn output(
    here: &Here,
    program: &Path,
    words: &[&str],
) -> Result<std::process::Output, String> {
    let mut command = Command::new(program);
    command.args(words).current_dir(&here.home).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(finished) => finished.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no end within {} s", PATIENCE.as_secs())),
    }
}

/// Whether the Yarn that is installed has the settings of version 2 and later; without one, whether
/// its file is there.
async fn has_new_yarn(here: &Here) -> bool {
    let Some(yarn) = program(Tool::Yarn.programs()) else { return here.has_new_yarn };
    let version =
        output(here, &yarn, &["--version"]).await.map(|output| output.stdout).unwrap_or_default();
    let major = String::from_utf8_lossy(&version)
        .split('.')
        .next()
        .and_then(|major| major.trim().parse::<u32>().ok());
    major.map_or(here.has_new_yarn, |major| major >= 2)
}

const fn sentence(note: Note) -> &'static Sentence {
    match note {
        Note::ContainersLoopback => &words::NOTE_CONTAINERS_LOOPBACK,
        Note::RestartDocker => &words::NOTE_RESTART_DOCKER,
        Note::DaemonNeedsRoot => &words::NOTE_DAEMON_NEEDS_ROOT,
        Note::PipSocks => &words::NOTE_PIP_SOCKS,
        Note::Readable => &words::NOTE_READABLE,
        Note::GitSsh => &words::NOTE_GIT_SSH,
    }
}
