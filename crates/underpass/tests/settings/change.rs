//! `apply` and `undo`: what is shown, asked, written, kept and taken back.

use super::{Machine, Said};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::process::Command;

const BEFORE: &str = "# ours; keep\r\n[Custom]\r\nthing=1\r\n\r\n\
                      [wsl2]\r\n  memory = 8GB   # half\r\n\r\n# about the other\r\n\
                      [experimental]\r\nsparseVhd=true\r\n";

#[test]
fn apply_shows_a_diff_and_keeps_comments_order_line_ends_and_unknown_keys() {
    let machine = Machine::new(BEFORE, "");
    let said = machine.run_on_new(&["apply", "--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let added =
        ["networkingMode = mirrored", "dnsTunneling = true", "autoProxy = true", "firewall = true"];
    for line in added {
        assert!(said.out.contains(&format!("\n+  {line}\n")), "{line}: {}", said.out);
    }
    assert!(said.out.contains("\n   memory = 8GB   # half\n"), "{}", said.out);
    let lines: String = added.iter().map(|line| format!("  {line}\r\n")).collect();
    let expected = BEFORE.replace("# half\r\n", &format!("# half\r\n{lines}"));
    assert_eq!(machine.read(".wslconfig"), Some(expected));
    assert_eq!(machine.read("etc/wsl.conf"), None, "nothing was to be said there");
    assert!(
        said.out.contains("`wsl --shutdown`") && said.out.contains("`underpass settings undo`"),
        "{}",
        said.out
    );
    // Again there is nothing to do.
    let again = machine.run_on_new(&["apply", "--yes"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), "Nothing to change.\n"));
    assert_eq!(
        machine.run_on_new(&["check"]).code,
        Some(1),
        "the unknown section is still there, and reported"
    );
}

#[test]
fn apply_writes_at_once_with_owner_and_permissions_and_undo_gives_all_back() {
    let machine = Machine::new(BEFORE, "[boot]\nsystemd=true\n");
    let (wslconfig, wsl_conf) = (machine.path(".wslconfig"), machine.path("etc/wsl.conf"));
    fs::set_permissions(&wsl_conf, Permissions::from_mode(0o640)).unwrap();
    let is_root = chown(&wsl_conf, Some(1234), Some(2345)).is_ok();
    let before = fs::metadata(&wsl_conf).unwrap();
    let set = [
        "--set",
        "wsl2.memory=4GB",
        "--set",
        "boot.systemd=false",
        "--unset",
        "experimental.sparseVhd",
    ];
    let said = machine.run(&[&["apply", "--yes"][..], &set].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = BEFORE.replace("8GB", "4GB").replace("sparseVhd=true\r\n", "");
    assert_eq!(machine.read(".wslconfig"), Some(expected));
    assert_eq!(machine.read("etc/wsl.conf").as_deref(), Some("[boot]\nsystemd=false\n"));
    let after = fs::metadata(&wsl_conf).unwrap();
    assert_ne!(after.ino(), before.ino(), "it is another file, put in place of the first");
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid()),
        "root: {is_root}"
    );
    let left: Vec<_> = fs::read_dir(machine.path("etc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["wsl.conf"], "nothing else is left there");
    // The previous content is where the output says.
    let kept = said.out.split("kept in ").nth(1).and_then(|rest| rest.split(".\n").next()).unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), BEFORE);
    let undone = machine.run(&["undo", "--yes"]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(fs::read_to_string(&wslconfig).unwrap(), BEFORE);
    let back = fs::metadata(&wsl_conf).unwrap();
    assert_eq!((back.mode(), back.uid(), back.gid()), (before.mode(), before.uid(), before.gid()));
    let none = machine.run(&["undo", "--yes"]);
    assert!(none.code == Some(1) && none.err.contains("no change to undo"), "{none:?}");
}

#[test]
fn nothing_is_written_unless_it_is_wanted() {
    let machine = Machine::new(BEFORE, "");
    let dry = machine.run_on_new(&["apply", "--goal", "vpn", "--dry-run"]);
    assert_eq!(dry.code, Some(0));
    assert!(
        dry.out.contains("+bestEffortDnsParsing=true\n") && dry.out.contains("Nothing was written"),
        "{}",
        dry.out
    );
    assert!(dry.out.contains("underpass up"), "what no file can say: {}", dry.out);
    let unasked = machine.run_on_new(&["apply"]);
    assert!(unasked.code == Some(1) && unasked.err.contains("--yes"), "{unasked:?}");
    assert_eq!(machine.read(".wslconfig").as_deref(), Some(BEFORE));
    assert!(!machine.path("state").exists());
    let both = machine.run_on_new(&["apply", "--yes", "--dry-run"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}

/// Runs a program at a terminal of its own, types an answer once it is asked, and prints what it
/// said; the exit code is the program's.
const AT_TERMINAL: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
said = b''
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if b'[y/N]' in said and sys.argv[1]:
        os.write(terminal, sys.argv[1].encode() + b'\\n')
        sys.argv[1] = ''
sys.stdout.write(said.decode())
sys.stdout.flush()
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

fn at_terminal(machine: &Machine, answer: &str, words: &[&str]) -> Said {
    let command = machine.command(words);
    let mut python = Command::new("python3");
    python
        .args(["-c", AT_TERMINAL, answer])
        .arg(command.get_program())
        .args(command.get_args())
        .env("LC_ALL", "C.UTF-8");
    python.output().unwrap().into()
}

#[test]
fn the_person_at_the_terminal_is_asked() {
    let machine = Machine::new(BEFORE, "");
    let set = ["apply", "--set", "wsl2.memory=4GB"];
    let no = at_terminal(&machine, "n", &set);
    assert!(no.code == Some(0) && no.out.contains("Nothing was written."), "{no:?}");
    assert_eq!(machine.read(".wslconfig").as_deref(), Some(BEFORE));
    let yes = at_terminal(&machine, "y", &set);
    assert!(yes.code == Some(0) && yes.out.contains("Write this? [y/N]"), "{yes:?}");
    assert_eq!(machine.read(".wslconfig"), Some(BEFORE.replace("8GB", "4GB")));
}

#[test]
fn undo_does_not_lose_what_others_wrote_since() {
    let machine = Machine::new(BEFORE, "");
    machine.run(&["apply", "--yes", "--set", "wsl2.memory=4GB"]);
    let mine = BEFORE.replace("8GB", "4GB") + "autoMemoryReclaim=gradual\r\n";
    fs::write(machine.path(".wslconfig"), &mine).unwrap();
    let refused = machine.run(&["undo", "--yes"]);
    assert!(refused.code == Some(1) && refused.err.contains("--force"), "{refused:?}");
    assert_eq!(machine.read(".wslconfig"), Some(mine));
    let forced = machine.run(&["undo", "--yes", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(machine.read(".wslconfig").as_deref(), Some(BEFORE));
}

#[test]
fn a_file_that_was_not_there_is_made_and_removed_again_and_a_link_stays_one() {
    let machine = Machine::new("", "");
    fs::write(machine.path("dotfiles"), "[wsl2]\nswap=0\n").unwrap();
    symlink(machine.path("dotfiles"), machine.path(".wslconfig")).unwrap();
    let set = ["apply", "--yes", "--set", "wsl2.firewall=true", "--set", "boot.systemd=true"];
    assert_eq!(machine.run(&set).code, Some(0));
    assert!(fs::symlink_metadata(machine.path(".wslconfig")).unwrap().is_symlink());
    assert_eq!(machine.read("dotfiles").as_deref(), Some("[wsl2]\nswap=0\nfirewall=true\n"));
    assert_eq!(machine.read("etc/wsl.conf").as_deref(), Some("[boot]\nsystemd=true\n"));
    assert_eq!(machine.run(&["undo", "--yes"]).code, Some(0));
    assert_eq!(machine.read("etc/wsl.conf"), None);
    assert_eq!(machine.read("dotfiles").as_deref(), Some("[wsl2]\nswap=0\n"));
}

#[test]
fn where_one_file_cannot_be_written_none_is_changed() {
    let machine = Machine::new(BEFORE, "");
    fs::remove_dir(machine.path("etc")).unwrap();
    let said =
        machine.run(&["apply", "--yes", "--set", "wsl2.memory=4GB", "--set", "boot.systemd=true"]);
    assert!(said.code == Some(1) && said.err.contains("wsl.conf cannot be written"), "{said:?}");
    assert_eq!(machine.read(".wslconfig").as_deref(), Some(BEFORE));
    assert_eq!(machine.run(&["undo", "--yes"]).code, Some(1), "there is nothing to take back");
}

#[test]
fn what_wsl_does_not_know_or_would_not_read_is_refused_and_what_would_be_wrong_is_told() {
    let machine = Machine::new("", "[boot]\nsystemd=true\n; old\n");
    let unknown = machine.run(&["apply", "--yes", "--set", "wsl2.networkMode=nat"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("wsl2.networkingMode"), "{unknown:?}");
    let value = machine.run(&["apply", "--yes", "--set", "wsl2.memory=8 GB"]);
    assert!(value.code == Some(2) && value.err.contains("8GB"), "{value:?}");
    let unread = machine.run(&["apply", "--yes", "--set", "network.hostname=box"]);
    assert!(
        unread.code == Some(1) && unread.err.contains("line 3") && unread.err.contains("; old"),
        "{unread:?}"
    );
    let clash = machine.run(&[
        "apply",
        "--dry-run",
        "--set",
        "wsl2.networkingMode=mirrored",
        "--set",
        "wsl2.firewall=false",
    ]);
    assert!(clash.out.contains("overrides it"), "{clash:?}");
}

#[test]
fn a_file_in_utf_16_stays_one() {
    let utf16 = |text: &str| -> Vec<u8> {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    let machine = Machine::new("", "");
    fs::write(machine.path(".wslconfig"), utf16("[wsl2]\r\nmemory=8GB # 一半\r\n")).unwrap();
    assert_eq!(machine.run(&["apply", "--yes", "--set", "wsl2.memory=4GB"]).code, Some(0));
    assert_eq!(
        fs::read(machine.path(".wslconfig")).unwrap(),
        utf16("[wsl2]\r\nmemory=4GB # 一半\r\n")
    );
}
