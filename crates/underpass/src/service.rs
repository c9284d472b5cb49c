//! `underpass service`: the tunnel as a systemd service of this distro, which starts the helper
//! distro by `wsl.exe`, and again when it ends.

use anyhow::{Context as _, bail, ensure};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// The unit as it is documented, for the usual places.
const UNIT: &str = include_str!("../../../scripts/underpass.service");

/// How the unit is called.
const NAME: &str = "underpass.service";

/// Where it is written.
const FILE: &str = "/etc/systemd/system/underpass.service";

/// What systemd makes when it is the init of this machine (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

/// Windows' program, by its usual name in a distro.
const WSL: &str = "/mnt/c/Windows/System32/wsl.exe";

/// Writes the unit for a helper distro, and has systemd start it, now and with the distro.
///
/// # Errors
/// There is no systemd, the file is somebody else's or cannot be written, or systemd refuses.
pub(crate) fn install(distro: &str) -> anyhow::Result<()> {
    ensure!(
        Path::new(BOOTED).is_dir(),
        "this distro is not run by systemd: write `systemd=true` under `[boot]` into /etc/wsl.conf, then run `wsl --shutdown`; or have \
         Windows start the tunnel at logon (scripts/install.ps1)"
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        !distro.is_empty() && distro.chars().all(plain),
        "--distro '{distro}' is no name of a distro: see `wsl --list`"
    );
    if let Some(text) = written()? {
        ensure!(
            is_ours(&text),
            "{FILE} is there already, and not by this command: look at it, and remove it if it is not needed"
        );
    }
    let unit = UNIT.replace("-d \"underpass\"", &format!("-d \"{distro}\"")).replace(WSL, &wsl_exe());
    let new = format!("{FILE}.new");
    let put = fs::write(&new, unit).and_then(|()| fs::rename(&new, FILE));
    put.with_context(|| format!("{FILE} cannot be written: run this as root"))?;
    systemctl(&["daemon-reload"])?;
    // It may take a minute until Windows has started the distro; nobody has to wait for that here.
    systemctl(&["enable", "--now", "--no-block", NAME])
}

/// Has systemd stop the service and forget it, and removes the unit.
///
/// # Errors
/// The file is somebody else's or cannot be removed, or systemd refuses.
pub(crate) fn remove() -> anyhow::Result<()> {
    let Some(text) = written()? else { bail!("the service is not installed: there is no {FILE}") };
    ensure!(is_ours(&text), "{FILE} was not written by this command: it stays");
    systemctl(&["disable", "--now", NAME])?;
    fs::remove_file(FILE).with_context(|| format!("{FILE} cannot be removed: run this as root"))?;
    systemctl(&["daemon-reload"])
}

/// What systemd says of the service, such as `active` or `failed`; `not installed` without a unit.
///
/// # Errors
/// systemd cannot be asked.
pub(crate) fn state() -> anyhow::Result<String> {
    if written()?.is_none() {
        return Ok("not installed".to_owned());
    }
    let asked = Command::new("systemctl").args(["is-active", NAME]).output().context("systemctl cannot be run")?;
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

/// Windows' `wsl.exe` by the name that this distro has for it.
fn wsl_exe() -> String {
    let told = Command::new("wslpath").args(["-u", r"C:\Windows\System32\wsl.exe"]).output();
    let path = told.ok().filter(|told| told.status.success());
    let path = path.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    path.filter(|path| Path::new(path).exists()).unwrap_or_else(|| WSL.to_owned())
}

fn systemctl(words: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("systemctl").args(words).output().context("systemctl cannot be run")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`systemctl {}` failed: {}", words.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_has_what_is_replaced_in_it_exactly_once() {
        for part in ["-d \"underpass\"", WSL] {
            assert_eq!(UNIT.matches(part).count(), 1, "{part}");
        }
        assert!(is_ours(UNIT) && !is_ours("[Unit]\n"));
    }
}
