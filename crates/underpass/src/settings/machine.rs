//! The machine whose settings these are: where its files are, and Windows' facts.

use super::found::{Found, settings_of};
use crate::busy::Busy;
use crate::windows::Relay;
use anyhow::Context as _;
use clap::Args;
use config::settings::effective::Situation;
use config::settings::schema::Place;
use config::settings::version::{Versions, Windows, Wsl};
use gateway::host;
use messages::{Language, Sentence, Text, settings as say};
use std::fs;
use std::path::{Path, PathBuf};
use wire::HostFacts;

#[derive(Clone, Debug, Args)]
pub(crate) struct MachineOptions {
    #[arg(long, value_name = "FILE")]
    wslconfig: Option<PathBuf>,
    #[arg(long, value_name = "FOLDER", default_value = "/etc")]
    etc: PathBuf,
    #[arg(skip)]
    wsl_conf: Option<PathBuf>,
    #[arg(long, value_name = "VERSION")]
    windows_version: Option<Windows>,
    #[arg(long, value_name = "VERSION")]
    wsl_version: Option<Wsl>,
    #[arg(long, value_name = "FILE")]
    host_facts: Option<PathBuf>,
}

/// What Windows has to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the distro's own files will do.
    OwnFiles,
    /// Where `.wslconfig` is.
    Files,
    /// Versions and the host's network too.
    Everything,
}

/// What is known of the machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Where `.wslconfig` is, if that is known.
    pub(crate) wslconfig: Option<PathBuf>,
    /// Where `wsl.conf` is.
    pub(crate) wsl_conf: PathBuf,
    /// Where `resolv.conf` is.
    pub(crate) resolv_conf: PathBuf,
    /// What the files say.
    pub(crate) situation: Situation,
    /// What the host says.
    pub(crate) facts: Option<HostFacts>,
    /// The language of the output.
    pub(crate) language: Language,
    /// The questions that could not be asked, and why.
    unknown: Vec<Text>,
}

/// Windows' answers, each with the reason where it is missing.
struct Answers {
    profile: Option<Result<PathBuf, String>>,
    facts: Option<Result<HostFacts, String>>,
    wsl: Option<Result<String, String>>,
}

impl MachineOptions {
    /// The same machine with another settings file: a wsl.conf by its name, or else a `.wslconfig`.
    ///
    /// # Errors
    /// There is no such file.
    pub(crate) fn with_file(&self, file: &Path) -> anyhow::Result<Self> {
        fs::metadata(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let mut options = self.clone();
        if file.file_name().is_some_and(|name| name == Place::WslConf.name()) {
            options.wsl_conf = Some(file.to_owned());
        } else {
            options.wslconfig = Some(file.to_owned());
        }
        Ok(options)
    }

    /// Reads the files, and asks Windows for what is needed and not given.
    ///
    /// # Errors
    /// A file that is there cannot be read. A missing answer of Windows is not an error.
    pub(crate) fn look(&self, need: Need) -> anyhow::Result<Machine> {
        let given = self.host_facts.as_deref().map(facts_of).transpose()?;
        let answers = self.ask(need, given.is_some())?;
        let mut unknown = Vec::new();
        let profile = self.known(&mut unknown, &say::WHAT_WSLCONFIG, answers.profile);
        let wslconfig = self.wslconfig.clone().or_else(|| Some(profile?.join(".wslconfig")));
        let parsed = answers
            .wsl
            .map(|said| said.and_then(|text| text.parse::<Wsl>().map_err(|bad| bad.to_string())));
        let wsl_version = self.wsl_version.or(self.known(&mut unknown, &say::WHAT_WSL, parsed));
        let facts = given.or(self.known(&mut unknown, &say::WHAT_HOST, answers.facts));
        let parsed = facts
            .as_ref()
            .map(|facts| facts.system.parse::<Windows>().map_err(|bad| bad.to_string()));
        let windows = match self.windows_version {
            Some(windows) => Some(windows),
            None => self.known(&mut unknown, &say::WHAT_HOST, parsed),
        };
        let wslconfig = wslconfig.map(resolved).transpose()?;
        let wsl_conf =
            self.wsl_conf.clone().unwrap_or_else(|| self.etc.join(Place::WslConf.name()));
        let wsl_conf = resolved(wsl_conf)?;
        let texts = [
            wslconfig
                .as_deref()
                .map_or(Ok(String::new()), |path| text_of(path, Place::WslConfig))?,
            text_of(&wsl_conf, Place::WslConf)?,
        ];
        let versions = Versions { windows, wsl: wsl_version };
        let host = facts.as_ref().and_then(|facts| facts.wsl.clone()).unwrap_or_default();
        let situation = Situation::new(&texts[0], &texts[1], versions).on(host);
        Ok(Machine {
            wslconfig,
            wsl_conf,
            resolv_conf: self.etc.join("resolv.conf"),
            situation,
            facts,
            language: crate::voice::language(),
            unknown,
        })
    }

    /// An answer; one that failed goes to what is unknown.
    fn known<T>(
        &self,
        unknown: &mut Vec<Text>,
        what: &'static Sentence,
        answer: Option<Result<T, String>>,
    ) -> Option<T> {
        match answer? {
            Ok(answer) => Some(answer),
            Err(why) => {
                let language = crate::voice::language();
                unknown
                    .push(say::NOT_ASKED.with("what", what.text().say(language)).with("why", why));
                None
            }
        }
    }

    fn ask(&self, need: Need, has_facts: bool) -> anyhow::Result<Answers> {
        let needs_profile = need != Need::OwnFiles && self.wslconfig.is_none();
        let needs_wsl = need == Need::Everything && self.wsl_version.is_none();
        // A version on the command line may mean another machine, whose network is unknown.
        let needs_facts = need == Need::Everything && !has_facts && self.windows_version.is_none();
        if !gateway::is_wsl() {
            let no_wsl = say::NO_WSL.text().say(crate::voice::language());
            return Ok(Answers {
                profile: needs_profile.then(|| Err(no_wsl.clone())),
                facts: needs_facts.then(|| Err(no_wsl.clone())),
                wsl: needs_wsl.then_some(Err(no_wsl)),
            });
        }
        let runtime = crate::event_loop()?;
        let asking = messages::command::ASKING_WINDOWS.text().say(crate::voice::language());
        let _busy = Busy::with(asking);
        Ok(runtime.block_on(async {
            let profile =
                async { Some(host::user_profile().await.map_err(|error| error.to_string())) };
            let facts = async {
                let facts = Relay::find(None).await.facts().await.outcome;
                Some(facts.map_err(|error| error.to_string()))
            };
            let wsl = async { Some(host::wsl_version().await.map_err(|error| error.to_string())) };
            let (profile, facts, wsl) = tokio::join!(
                async { if needs_profile { profile.await } else { None } },
                async { if needs_facts { facts.await } else { None } },
                async { if needs_wsl { wsl.await } else { None } },
            );
            Answers { profile, facts, wsl }
        }))
    }
}

impl Machine {
    /// Says on standard error what could not be asked.
    pub(crate) fn tell_unknown(&self) {
        for text in &self.unknown {
            complain(&text.say(self.language));
        }
    }

    /// Where a file is.
    ///
    /// # Errors
    /// It is not known.
    pub(crate) fn path(&self, place: Place) -> anyhow::Result<&Path> {
        match place {
            Place::WslConf => Ok(&self.wsl_conf),
            Place::WslConfig => {
                let why =
                    self.unknown.first().map_or_else(String::new, |text| text.say(self.language));
                self.wslconfig.as_deref().with_context(|| why)
            }
        }
    }
}

/// A line on standard error; a closed one is not an error.
pub(crate) fn complain(line: &str) {
    use std::io::Write as _;
    let colon = crate::voice::language().colon();
    let _ = writeln!(std::io::stderr(), "underpass{colon}{}", messages::printable(line));
}

/// The distros that run, where Windows tells them.
pub(crate) fn running_distros() -> Option<Vec<String>> {
    if !gateway::is_wsl() {
        return None;
    }
    let running = crate::event_loop().ok()?.block_on(host::running_distros()).ok()?;
    (!running.is_empty()).then_some(running)
}

fn facts_of(path: &Path) -> anyhow::Result<HostFacts> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("--host-facts {} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!("--host-facts {} is not the output of `underpass-relay.exe facts`", path.display())
    })
}

/// The file that a path leads to, so that a person's own link to it stays.
///
/// # Errors
/// A link of another user is in the way.
fn resolved(path: PathBuf) -> anyhow::Result<PathBuf> {
    match foreign::located(&path) {
        Ok((folder, name)) => Ok(folder.path().join(name)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(error).with_context(|| format!("{} cannot be used", path.display()))
        }
        // The code that reads or writes it says what is wrong with it.
        Err(_) => Ok(path),
    }
}

/// What a file says; nothing for one that is not there.
fn text_of(path: &Path, place: Place) -> anyhow::Result<String> {
    match Found::of(path)? {
        Found::File(file) => settings_of(place, &file.bytes)
            .with_context(|| format!("{} cannot be read", path.display())),
        Found::Absent | Found::Link { .. } => Ok(String::new()),
    }
}
