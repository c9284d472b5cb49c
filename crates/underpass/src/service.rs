//! `underpass service`: the tunnel as a systemd service of this distro, which starts the helper
//! distro by `wsl.exe`, and again when it ends.
//!
//! The unit runs a copy of this program. Nothing else in the distro is sure to be there when
//! systemd starts it: `/mnt/wsl/underpass`, from which other distros run the command, is in the
//! VM's memory and empty until the helper distro has started. A copy, and no script in the unit,
//! since the choice of interop's socket (`gateway::interop`) is then the gateway's own.

use anyhow::{Context as _, bail, ensure};
use gateway::wsl_exe::{self, Stream};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::time::Duration;

/// The unit as it is documented, for the usual places.
const UNIT: &str = include_str!("../../../scripts/underpass.service");

/// What names the distro in it.
const DISTRO: &str = "--distro \"underpass\"";

/// How the unit is called.
const NAME: &str = "underpass.service";

/// Where it is written.
const FILE: &str = "/etc/systemd/system/underpass.service";

/// What systemd makes when it is the init of this machine (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

/// The copy of this program that the unit runs, in a folder of its own.
const PROGRAM: &str = "/usr/local/lib/underpass/underpass";

/// What the unit has `wsl.exe` run in the helper distro.
const COMMAND: [&str; 6] = ["--cd", "/", "--exec", "/usr/bin/underpass", "up", "--attach"];

/// How the line begins by which that command reports that traffic flows.
const UP: &str = "underpass: up";

/// How long the signal that ended `wsl.exe` may take to reach this process.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(200);

/// The state that a service sends to systemd when it is up (`sd_notify(3)`).
const READY: &str = "READY=1";
/// See [`READY`].
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Writes the unit for a helper distro, and has systemd start it, now and with the distro.
///
/// # Errors
/// There is no systemd, the file is not Underpass's own or cannot be written, or systemd refuses.
pub(crate) fn install(distro: &str) -> anyhow::Result<()> {
    ensure!(
        Path::new(BOOTED).is_dir(),
        "systemd is not running in this distro: write `systemd=true` under `[boot]` in \
         /etc/wsl.conf, then run `wsl --shutdown`; or let Windows start the tunnel at logon \
         (install.ps1)"
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        !distro.is_empty() && distro.chars().all(plain),
        "--distro '{distro}' is not the name of a distro: see `wsl --list`"
    );
    if let Some(text) = written()? {
        ensure!(
            is_ours(&text),
            "{FILE} exists and was not written by this command: look at it, and remove it if it \
             is not needed"
        );
    }
    copy_program().with_context(|| format!("{PROGRAM} cannot be written: run this as root"))?;
    let unit = UNIT.replace(DISTRO, &format!("--distro \"{distro}\""));
    let new = format!("{FILE}.new");
    let put = fs::write(&new, unit).and_then(|()| fs::rename(&new, FILE));
    put.with_context(|| format!("{FILE} cannot be written: run this as root"))?;
    systemctl(&["daemon-reload"])?;
    // It may take a minute until Windows has started the distro; the caller does not wait for that.
    systemctl(&["enable", "--now", "--no-block", NAME])
}

/// Has systemd stop the service and forget it, and removes the unit.
///
/// # Errors
/// The file is not Underpass's own or cannot be removed, or systemd refuses.
pub(crate) fn remove() -> anyhow::Result<()> {
    let Some(text) = written()? else {
        bail!("the service is not installed: {FILE} does not exist")
    };
    ensure!(is_ours(&text), "{FILE} was not written by this command and is left unchanged");
    systemctl(&["disable", "--now", NAME])?;
    fs::remove_file(FILE).with_context(|| format!("{FILE} cannot be removed: run this as root"))?;
    remove_program().with_context(|| format!("{PROGRAM} cannot be removed"))?;
    systemctl(&["daemon-reload"])
}

/// The state of the service in systemd, such as `active` or `failed`.
///
/// # Errors
/// There is no unit, or systemd cannot be asked.
pub(crate) fn state() -> anyhow::Result<String> {
    ensure!(
        written()?.is_some(),
        "the service is not installed: `underpass service install` installs it"
    );
    let asked = systemctl_with(&["is-active", NAME]).context("systemctl cannot be run")?;
    Ok(String::from_utf8_lossy(&asked.stdout).trim().to_owned())
}

fn written() -> anyhow::Result<Option<String>> {
    match fs::read_to_string(FILE) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{FILE} cannot be read")),
    }
}

/// Whether a unit begins as ours does.
fn is_ours(text: &str) -> bool {
    text.lines().next() == UNIT.lines().next()
}

/// Copies this program to [`PROGRAM`], also while a former copy runs.
fn copy_program() -> io::Result<()> {
    let own = fs::metadata("/proc/self/exe")?;
    if fs::metadata(PROGRAM).is_ok_and(|copy| is_same_file(&copy, &own)) {
        return Ok(());
    }
    if let Some(folder) = Path::new(PROGRAM).parent() {
        fs::create_dir_all(folder)?;
    }
    let new = format!("{PROGRAM}.new");
    // By the kernel's name for it, which stays right when the file has been replaced.
    fs::copy("/proc/self/exe", &new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(new, PROGRAM)
}

fn is_same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Removes what [`copy_program`] made. Units of version 0.1.0 had no copy.
fn remove_program() -> io::Result<()> {
    match fs::remove_file(PROGRAM) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if let Some(folder) = Path::new(PROGRAM).parent() {
        // It stays if it holds other files.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// The command that the unit runs: `wsl.exe` stays with the tunnel of a helper distro, and systemd
/// is notified when traffic flows. Returns when `stop` is ready.
///
/// # Errors
/// `wsl.exe` cannot be started, or it ended.
pub(crate) async fn run(distro: &str, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let words = [&["-d", distro], &COMMAND[..]].concat();
    let heard = |stream, line: &str| {
        crate::pass_on(stream, line);
        if stream == Stream::Output
            && line.starts_with(UP)
            && let Err(error) = notify(std::env::var_os(NOTIFY_SOCKET).as_deref(), READY)
        {
            tracing::warn!("systemd cannot be notified: {error}");
        }
    };
    let mut stop = pin!(stop);
    let ended = tokio::select! {
        () = stop.as_mut() => return Ok(()),
        ended = wsl_exe::run(&words, heard) => ended?,
    };
    // A signal to all processes of the unit may end wsl.exe before this process hears of its own.
    if tokio::time::timeout(SIGNAL_PATIENCE, stop).await.is_ok() {
        return Ok(());
    }
    bail!("wsl.exe {} ended ({ended})", words.join(" "))
}

/// Sends a state to the socket that systemd names, if it names one: a path, or an abstract name
/// after `@`.
fn notify(socket: Option<&OsStr>, state: &str) -> io::Result<()> {
    let Some(socket) = socket else { return Ok(()) };
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

fn systemctl_with(words: &[&str]) -> io::Result<std::process::Output> {
    Command::new("systemctl").args(words).env("PATH", foreign::trusted_path()).output()
}

fn systemctl(words: &[&str]) -> anyhow::Result<()> {
    let done = systemctl_with(words).context("systemctl cannot be run")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`systemctl {}` failed: {}", words.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_has_what_is_replaced_in_it_exactly_once_and_no_path_of_windows() {
        assert_eq!(UNIT.matches(DISTRO).count(), 1);
        assert!(is_ours(UNIT) && !is_ours("[Unit]\n"));
        // Where wsl.exe is, and by which socket it is started, is found at each start.
        let commands =
            UNIT.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        for part in [".exe", "/mnt/", "WSL_INTEROP"] {
            assert!(!commands.contains(part), "{part}: {commands}");
        }
    }

    #[test]
    fn the_unit_runs_the_copy_by_a_command_that_there_is() {
        use clap::Parser as _;
        let line = UNIT.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('"')).collect();
        assert_eq!(words[0], PROGRAM);
        let cli = crate::cli::Cli::try_parse_from(&words).unwrap();
        let run = crate::cli::Command::Service(crate::cli::ServiceCommand::Run {
            distro: "underpass".to_owned(),
        });
        assert_eq!(format!("{:?}", cli.command), format!("{run:?}"));
    }

    #[test]
    fn systemd_is_notified_at_a_path_and_at_an_abstract_name() {
        let name = format!("underpass-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let listeners =
            [UnixDatagram::bind(&path).unwrap(), UnixDatagram::bind_addr(&abstract_name).unwrap()];
        for (listener, socket) in
            listeners.iter().zip([path.clone().into_os_string(), format!("@{name}").into()])
        {
            notify(Some(&socket), READY).unwrap();
            let mut said = [0; 32];
            let length = listener.recv(&mut said).unwrap();
            assert_eq!(&said[..length], b"READY=1", "{socket:?}");
        }
        fs::remove_file(path).unwrap();
        notify(None, READY).unwrap();
    }
}
