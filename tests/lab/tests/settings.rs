//! `underpass settings` in a pretend WSL: without any option it finds Windows' file, Windows' and
//! WSL's versions and the running distros, by interop.

use lab::built::programs;
use lab::built::windows_relay;
use lab::interop::Interop;
use lab::scene::{Scratch, windows_lab};
use lab::wsl::{Distro, Wsl};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The folder of Windows' user.
fn profile(interop: &Interop) -> PathBuf {
    let local = interop.local_app_data();
    local.parent().and_then(|folder| folder.parent()).map(PathBuf::from).unwrap_or_default()
}

#[test]
fn the_real_places_and_versions_are_found_by_interop() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wslconfig = profile(&interop).join(".wslconfig");
    let laid = fs::write(&wslconfig, "[wsl2]\r\nmemory=8GB\r\n");
    assert!(laid.is_ok(), "{laid:?}");
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl-vm").as_ref());
    for (from, name) in
        [(programs().join("underpass"), "underpass"), (windows_relay(), "underpass-relay.exe")]
    {
        let copied = fs::copy(&from, wsl.shared().join(name));
        assert!(copied.is_ok(), "{}: {copied:?}", from.display());
    }
    let distro = wsl.start(&Distro::machine().with_conf("[boot]\nsystemd=false\n"));
    let shown = distro.sh("cd / && /mnt/wsl/underpass settings show --json");
    let json: Value = serde_json::from_str(&shown.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", shown.stderr));
    assert_eq!(json["wslconfig"], "/mnt/c/users/Anna Müller/.wslconfig", "{}", shown.stderr);
    assert_eq!(
        (&json["wsl"], &json["wsl.conf"]),
        (&"2.5.9".into(), &"/etc/wsl.conf".into()),
        "{}",
        shown.stderr
    );
    // Wine may report an older Windows than WSL can run on.
    let facts = distro
        .sh("cd /mnt/c && WSL_INTEROP=/run/WSL/1_interop /mnt/wsl/underpass-relay.exe facts")
        .stdout;
    let facts: Value =
        serde_json::from_str(&facts).unwrap_or_else(|error| panic!("{error}: {facts}"));
    let system = facts["system"].as_str().unwrap_or_default();
    match system.strip_prefix("Windows 10.0.") {
        Some(build) => assert_eq!(json["windows"].to_string(), build),
        None => assert!(
            shown.stderr.contains(&format!("'{system}' is not a version of Windows")),
            "{}",
            shown.stderr
        ),
    }
    let memory = json["settings"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["key"] == "wsl2.memory"))
        .cloned();
    assert!(
        memory.is_some_and(|memory| memory["value"] == "8GB" && memory["line"] == 2),
        "{}",
        shown.stderr
    );
    assert_eq!(json["resolv.conf"]["link"], "/mnt/wsl/resolv.conf");
    let set =
        distro.sh("cd / && /mnt/wsl/underpass settings apply --yes --set wsl2.memory=4GB --state /run/underpass-state");
    assert!(set.succeeded() && set.stdout.contains("programs running in: machine."), "{set:?}");
    assert_eq!(fs::read_to_string(&wslconfig).unwrap_or_default(), "[wsl2]\r\nmemory=4GB\r\n");
    let undone =
        distro.sh("cd / && /mnt/wsl/underpass settings undo --yes --state /run/underpass-state");
    assert!(undone.succeeded(), "{undone:?}");
    assert_eq!(fs::read_to_string(&wslconfig).unwrap_or_default(), "[wsl2]\r\nmemory=8GB\r\n");
}
