//! The service: starts and ends distros, counts their clients. See the parent module for the rules
//! and their sources.

use super::{Answer, Instance, Request};
use crate::{receive, send};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The first process of a distro: it runs until it is killed, and reaps orphaned processes.
const INIT: &str = "while :; do sleep 1000 & wait $!; done";

/// A distro is set up long before this (`wsl2.distributionStartTimeout` is 60 s).
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Time between two checks of a distro that starts.
const PAUSE: Duration = Duration::from_millis(10);

/// WSL's settings of lifetimes.
#[derive(Clone, Debug)]
pub struct Options {
    /// `general.instanceIdleTimeout`; `None` stands for a negative one: never.
    pub instance_idle: Option<Duration>,
    /// `wsl2.vmIdleTimeout`; `None` stands for a negative one: never.
    pub vm_idle: Option<Duration>,
    /// The folder that all distros share, which belongs to the VM: its content ends with the VM.
    pub shared: PathBuf,
}

/// A running distro.
#[derive(Debug)]
struct Running {
    /// `unshare`, whose only child is the first process.
    process: Child,
    first: u32,
    clients: BTreeSet<u64>,
    /// Since when there is no client.
    idle_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    registered: BTreeMap<String, Vec<String>>,
    running: BTreeMap<String, Running>,
    last_client: u64,
    /// Since when the VM runs no distro.
    vm_idle_since: Option<Instant>,
}

/// The service. Its lock is WSL's `m_instanceLock`: held while a distro starts or ends.
#[derive(Debug)]
struct Service {
    state: Mutex<State>,
    changed: Condvar,
    options: Options,
}

/// Serves requests at a socket until standard input ends; then ends all distros.
///
/// # Errors
/// The socket cannot be listened at.
pub fn serve(socket: &Path, options: Options) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let service = Arc::new(Service { state: Mutex::default(), changed: Condvar::new(), options });
    let timers = Arc::clone(&service);
    thread::spawn(move || timers.end_idle_ones());
    let requests = Arc::clone(&service);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let service = Arc::clone(&requests);
            thread::spawn(move || service.answer(stream));
        }
    });
    // The parent holds the other end: its death ends the distros too.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    service.shut_down(&mut service.lock());
    Ok(())
}

/// Prints an error. The test that started this program reads it.
fn report(text: &str) {
    let _ = writeln!(io::stderr(), "wsl-service: {text}");
}

#[expect(clippy::disallowed_methods, reason = "the service's timers are real ones")]
fn now() -> Instant {
    Instant::now()
}

impl Service {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut stream: UnixStream) {
        let Ok(request) = receive::<Request>(&stream) else { return };
        let mut client = None;
        let answer = match request {
            Request::Import { name, layout } => {
                self.lock().registered.insert(name, layout);
                Answer::Done
            }
            Request::Open { name } => match self.open(&name) {
                Ok((number, pid)) => {
                    client = Some((name, number));
                    Answer::Opened(pid)
                }
                Err(error) => Answer::Failed(error),
            },
            Request::Running => Answer::Running(self.running()),
            Request::Terminate { name } => {
                let mut state = self.lock();
                if state.registered.contains_key(&name) {
                    terminate(&mut state, &name);
                    Answer::Done
                } else {
                    Answer::Failed(unknown())
                }
            }
            Request::Shutdown => {
                self.shut_down(&mut self.lock());
                Answer::Done
            }
        };
        self.changed.notify_all();
        // The caller may be gone; then a client has already ended.
        let _ = send(&mut stream, &answer);
        if let Some((name, number)) = client {
            // It sends nothing more: anything that comes is its end.
            let _ = stream.read(&mut [0]);
            self.leave(&name, number);
        }
    }

    /// Registers a client (`LxssUserSessionImpl::_CreateInstance`).
    fn open(&self, name: &str) -> Result<(u64, u32), String> {
        let mut state = self.lock();
        let layout = state.registered.get(name).cloned().ok_or_else(unknown)?;
        if !state.running.contains_key(name) {
            let running = start(name, &layout)
                .map_err(|error| format!("'{name}' does not start: {error}"))?;
            state.running.insert(name.to_owned(), running);
            state.vm_idle_since = None;
        }
        state.last_client += 1;
        let number = state.last_client;
        let running = state.running.get_mut(name).ok_or_else(unknown)?;
        running.clients.insert(number);
        running.idle_since = None;
        Ok((number, running.first))
    }

    /// A client process has ended (`LifetimeManager::s_OnClientProcessTerminated`).
    fn leave(&self, name: &str, number: u64) {
        let mut state = self.lock();
        // Another instance of the same name numbers its own clients.
        if let Some(running) = state.running.get_mut(name)
            && running.clients.remove(&number)
            && running.clients.is_empty()
        {
            running.idle_since = Some(now());
        }
        self.changed.notify_all();
    }

    fn running(&self) -> Vec<Instance> {
        let instance = |(name, running): (&String, &Running)| Instance {
            name: name.clone(),
            pid: running.first,
            clients: running.clients.len(),
        };
        self.lock().running.iter().map(instance).collect()
    }

    /// Ends idle distros and the idle VM, forever.
    fn end_idle_ones(&self) {
        let mut state = self.lock();
        loop {
            let now = now();
            let due = |since: Option<Instant>, timeout: Option<Duration>| Some(since? + timeout?);
            let of_distros = state.running.iter().filter_map(|(name, r)| {
                Some((due(r.idle_since, self.options.instance_idle)?, name))
            });
            let ended: Vec<String> =
                of_distros.filter(|(due, _)| *due <= now).map(|(_, name)| name.clone()).collect();
            for name in ended {
                terminate(&mut state, &name);
            }
            if due(state.vm_idle_since, self.options.vm_idle).is_some_and(|due| due <= now) {
                self.end_vm(&mut state);
            }
            let left = state
                .running
                .values()
                .filter_map(|r| due(r.idle_since, self.options.instance_idle));
            let next = left.chain(due(state.vm_idle_since, self.options.vm_idle)).min();
            let wait = next.map_or(START_PATIENCE, |next| next.saturating_duration_since(now));
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// `LxssUserSessionImpl::Shutdown`: each distro, then the VM, all under the lock.
    fn shut_down(&self, state: &mut State) {
        let names: Vec<String> = state.running.keys().cloned().collect();
        for name in names {
            terminate(state, &name);
        }
        self.end_vm(state);
    }

    /// The content of the VM's memory is gone.
    fn end_vm(&self, state: &mut State) {
        state.vm_idle_since = None;
        for entry in fs::read_dir(&self.options.shared).into_iter().flatten().flatten() {
            let path = entry.path();
            // A new VM has it again before one of its distros starts.
            if entry.file_name() != "resolv.conf" {
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
    }
}

/// `WSL_E_DISTRO_NOT_FOUND`.
fn unknown() -> String {
    "There is no distribution with the supplied name.\nError code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND".to_owned()
}

/// Sets a distro up, waits for its first process, and runs its boot command without waiting for it
/// (`linux/init/config.cpp`, `ConfigInitializeInstance`: `UtilCreateChildProcess`).
fn start(name: &str, layout: &[String]) -> io::Result<Running> {
    let (program, words) = layout.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    let mut process = command.args(words).args(["sh", "-c", INIT]).stdin(Stdio::null()).spawn()?;
    let first = first_process(&mut process)?;
    if let Some(command) = boot_command(first) {
        boot(name, first, &command)?;
    }
    Ok(Running { process, first, clients: BTreeSet::new(), idle_since: None })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process that becomes another gives no event to wait on"
)]
fn first_process(process: &mut Child) -> io::Result<u32> {
    let children = format!("/proc/{0}/task/{0}/children", process.id());
    let deadline = now() + START_PATIENCE;
    while now() < deadline {
        if let Some(status) = process.try_wait()? {
            return Err(io::Error::other(format!("its set-up failed: {status}")));
        }
        let first =
            fs::read_to_string(&children).ok().and_then(|text| text.trim().parse::<u32>().ok());
        let is_laid_out = |pid: u32| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with(b"sh\0-c\0while"))
        };
        if let Some(first) = first.filter(|first| is_laid_out(*first)) {
            return Ok(first);
        }
        thread::sleep(PAUSE);
    }
    process.kill()?;
    Err(io::ErrorKind::TimedOut.into())
}

/// The command of `[boot]` in `/etc/wsl.conf`, if there is one.
fn boot_command(first: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{first}/root/etc/wsl.conf")).ok()?;
    let boot = text.split_once("[boot]")?.1.split('[').next()?;
    let line = boot.lines().find_map(|line| line.trim().strip_prefix("command"))?;
    Some(line.trim_start().strip_prefix('=')?.trim().to_owned())
}

/// Its environment is init's: no `PATH`, no `WSL_INTEROP`, and `WSL_DISTRO_NAME`
/// (`linux/init/main.cpp`, `LaunchInit`: `execle`; `config.cpp`: `setenv(WSL_DISTRO_NAME_ENV, …)`).
fn boot(name: &str, first: u32, command: &str) -> io::Result<()> {
    let mut enter = super::client::enter(first);
    enter.args(["--", "/bin/sh", "-c", command]).env_clear().env("WSL_DISTRO_NAME", name);
    let mut child = enter.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let (name, command) = (name.to_owned(), command.to_owned());
    thread::spawn(move || match child.wait() {
        Ok(status) if status.success() => {}
        ended => report(&format!("the boot command '{command}' of '{name}': {ended:?}")),
    });
    Ok(())
}

/// Kills every process of a distro at once, like the end of a pid namespace's first process.
fn terminate(state: &mut State, name: &str) {
    let Some(mut running) = state.running.remove(name) else { return };
    if let Ok(first) = i32::try_from(running.first) {
        // It may have been killed before.
        let _ = kill(Pid::from_raw(first), Signal::SIGKILL);
    }
    // `unshare` ends with its child, which ends last of its namespace.
    if let Err(error) = running.process.wait() {
        report(&format!("the end of '{name}': {error}"));
    }
    if state.running.is_empty() {
        state.vm_idle_since = Some(now());
    }
}
