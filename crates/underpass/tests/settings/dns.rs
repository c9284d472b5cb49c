//! `dns manual` and `dns auto`: resolv.conf taken over, and given back exactly.

use super::Machine;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const CONF: &str = "# ours\n[boot]\nsystemd=true\n\n[network]\nhostname = box # short\n";

/// Where WSL's own file is, in the machine's folder; a link leads there.
fn linked() -> Machine {
    let machine = Machine::new("", CONF);
    symlink("/mnt/wsl/resolv.conf", machine.path("etc/resolv.conf")).unwrap();
    machine
}

fn link_of(machine: &Machine) -> Option<PathBuf> {
    fs::read_link(machine.path("etc/resolv.conf")).ok()
}

const MANUAL: [&str; 9] = [
    "dns",
    "manual",
    "--server",
    "10.1.2.3",
    "--server",
    "223.5.5.5",
    "--search",
    "corp.example",
    "--yes",
];

#[test]
fn manual_writes_both_files_in_the_given_order_and_auto_gives_them_back_exactly() {
    let machine = linked();
    let said = machine.run(&MANUAL);
    assert_eq!(said.code, Some(0), "{said:?}");
    let text = machine.read("etc/resolv.conf").unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["search corp.example", "nameserver 10.1.2.3", "nameserver 223.5.5.5"]);
    assert_eq!(link_of(&machine), None, "it is a file in place of the link");
    let conf = machine.read("etc/wsl.conf").unwrap();
    assert_eq!(conf, format!("{CONF}generateResolvConf = false\n"));
    // The output shows the changes.
    assert!(
        said.out.contains("-(link to /mnt/wsl/resolv.conf)\n")
            && said.out.contains("+nameserver 10.1.2.3\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("+generateResolvConf = false\n") && said.out.contains("wsl --shutdown"),
        "{}",
        said.out
    );
    let auto = machine.run(&["dns", "auto", "--yes"]);
    assert_eq!(auto.code, Some(0), "{auto:?}");
    assert_eq!(link_of(&machine), Some("/mnt/wsl/resolv.conf".into()));
    assert_eq!(machine.read("etc/wsl.conf").as_deref(), Some(CONF));
    let again = machine.run(&["dns", "auto", "--yes"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), "WSL manages resolv.conf already.\n"));
}

#[test]
fn auto_gives_back_what_was_before_the_first_of_several_and_keeps_what_others_wrote() {
    let machine = linked();
    machine.run(&MANUAL);
    machine.run(&["dns", "manual", "--server", "9.9.9.9", "--yes"]);
    assert_eq!(machine.run(&["dns", "auto", "--yes"]).code, Some(0));
    assert_eq!(
        (link_of(&machine), machine.read("etc/wsl.conf").as_deref()),
        (Some("/mnt/wsl/resolv.conf".into()), Some(CONF))
    );
    // With a line of another program, only the one key goes.
    machine.run(&MANUAL);
    let mine = machine.read("etc/wsl.conf").unwrap() + "[user]\ndefault=anna\n";
    fs::write(machine.path("etc/wsl.conf"), mine).unwrap();
    assert_eq!(machine.run(&["dns", "auto", "--yes"]).code, Some(0));
    assert_eq!(machine.read("etc/wsl.conf"), Some(format!("{CONF}[user]\ndefault=anna\n")));
    assert_eq!(link_of(&machine), Some("/mnt/wsl/resolv.conf".into()));
    // `undo` takes back the last of all these, which was `dns auto`.
    assert_eq!(machine.run(&["undo", "--yes"]).code, Some(0));
    assert!(machine.read("etc/resolv.conf").unwrap().contains("nameserver 10.1.2.3\n"));
}

#[test]
fn a_file_of_the_distros_own_is_given_back_as_it_was() {
    let machine = Machine::new("", "");
    fs::write(machine.path("etc/resolv.conf"), "# by hand\nnameserver 192.0.2.1\n").unwrap();
    machine.run(&MANUAL);
    assert_eq!(
        machine.read("etc/wsl.conf").as_deref(),
        Some("[network]\ngenerateResolvConf=false\n")
    );
    assert_eq!(machine.run(&["dns", "auto", "--yes"]).code, Some(0));
    assert_eq!(
        machine.read("etc/resolv.conf").as_deref(),
        Some("# by hand\nnameserver 192.0.2.1\n")
    );
    assert_eq!(machine.read("etc/wsl.conf"), None);
}

#[test]
fn auto_makes_it_as_wsl_does_where_somebody_else_took_it_over() {
    let machine = Machine::new("", "[network]\ngenerateResolvConf=false # why\nhostname=box\n");
    fs::write(machine.path("etc/resolv.conf"), "nameserver 8.8.8.8\n").unwrap();
    assert_eq!(machine.run(&["dns", "auto", "--yes"]).code, Some(0));
    assert_eq!(link_of(&machine), Some("/mnt/wsl/resolv.conf".into()));
    assert_eq!(machine.read("etc/wsl.conf").as_deref(), Some("[network]\n# why\nhostname=box\n"));
    // A link that spells the way otherwise is WSL's as well.
    fs::remove_file(machine.path("etc/resolv.conf")).unwrap();
    symlink("../mnt/wsl/resolv.conf", machine.path("etc/resolv.conf")).unwrap();
    assert_eq!(machine.run(&["dns", "auto", "--yes"]).out, "WSL manages resolv.conf already.\n");
}

#[test]
fn a_company_server_that_is_not_first_is_told() {
    let machine = linked();
    let words = ["dns", "manual", "--server", "223.5.5.5", "--server", "10.1.2.3", "--dry-run"];
    let said = machine.run(&words);
    assert!(said.out.starts_with("10.1.2.3 comes after 223.5.5.5"), "{said:?}");
    assert!(!machine.run(&[&MANUAL[..8], &["--dry-run"]].concat()).out.contains("comes after"));
}

#[test]
fn what_cannot_be_a_server_or_a_domain_is_refused() {
    let machine = linked();
    let servers = [
        "--server", "10.0.0.1", "--server", "10.0.0.2", "--server", "10.0.0.3", "--server",
        "10.0.0.4",
    ];
    let many = machine.run(&[&["dns", "manual", "--yes"][..], &servers].concat());
    assert!(many.code == Some(2) && many.err.contains("first 3 servers"), "{many:?}");
    for words in
        [&["--server", "dns.example"][..], &["--server", "10.0.0.1", "--search", "a b"], &[]]
    {
        assert_eq!(
            machine.run(&[&["dns", "manual", "--yes"][..], words].concat()).code,
            Some(2),
            "{words:?}"
        );
    }
    assert!(link_of(&machine).is_some());
}

/// Takes the bit off, so that the folder can be removed whatever happens.
struct Mutable(PathBuf);

impl Drop for Mutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).stderr(Stdio::null()).status();
    }
}

#[test]
fn the_immutable_bit_is_set_and_taken_off_again() {
    let machine = linked();
    let file = machine.path("etc/resolv.conf");
    let immutable = Mutable(file.clone());
    let said = machine.run(&[&MANUAL[..], &["--immutable"]].concat());
    if said.code == Some(1) && said.err.contains("cannot be made immutable") {
        // Neither the file systems here nor the rights allow it: then all is as it was.
        assert!(
            link_of(&machine).is_some() && machine.read("etc/wsl.conf").as_deref() == Some(CONF)
        );
        lab::skip(format!("the temporary folder's file system has no immutable bit: {said:?}"));
        return;
    }
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(fs::write(&file, "nameserver 8.8.8.8\n").is_err(), "the file cannot be written");
    let show = machine.run(&["show"]).out;
    assert!(show.contains("immutable (chattr +i)"), "{show}");
    // The command itself can.
    let other = machine.run(&["dns", "manual", "--server", "9.9.9.9", "--immutable", "--yes"]);
    assert_eq!(other.code, Some(0), "{other:?}");
    assert!(machine.read("etc/resolv.conf").unwrap().contains("nameserver 9.9.9.9\n"));
    assert_eq!(machine.run(&["dns", "auto", "--yes"]).code, Some(0));
    assert_eq!(link_of(&machine), Some("/mnt/wsl/resolv.conf".into()));
    drop(immutable);
}
