//! A home folder for one test, and the command run in it.

use lab::scene::Scratch;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A home, removed when dropped.
pub(crate) struct Home {
    folder: Scratch,
    variables: Vec<(String, String)>,
    is_isolated: bool,
}

impl Home {
    /// An empty home, in a pretend WSL in mirrored mode. No program is in `PATH` but that which
    /// tells the mode.
    pub(crate) fn new() -> Self {
        let home = Self { folder: Scratch::new(), variables: Vec::new(), is_isolated: false };
        home.script("bin/wslinfo", "echo ${WSL_MODE:-mirrored}");
        for folder in ["home", "state"] {
            fs::create_dir(home.path(folder)).unwrap();
        }
        // Root remembers nothing where others may write, as they may with some umasks.
        fs::set_permissions(home.path("state"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = home.path("bin").display().to_string();
        let run = home.path("run").display().to_string();
        let state = home.path("state").display().to_string();
        home.with("PATH", &path).with("UNDERPASS_RUNTIME_DIR", &run).with("XDG_STATE_HOME", &state)
    }

    /// One whose `PATH` has the machine's programs too.
    pub(crate) fn with_programs() -> Self {
        let home = Self::new();
        let machine = std::env::var("PATH").unwrap();
        let path = format!("{}:{machine}:/usr/sbin:/sbin", home.path("bin").display());
        home.with("PATH", &path)
    }

    /// An empty home on a machine whose `/etc` is empty and its own: root's commands would change
    /// the real one.
    pub(crate) fn isolated() -> Self {
        let mut home = Self::new();
        home.is_isolated = true;
        home
    }

    /// The same with a variable, which replaces one of that name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path(path).into()
    }

    /// A file below the home folder itself.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.path("home").join(path)
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.file(path)).ok()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.file(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program of the shell's.
    pub(crate) fn script(&self, path: &str, words: &str) {
        let text = self.path("script");
        fs::write(&text, format!("#!/bin/sh\n{words}\n")).unwrap();
        self.install(&text, path);
    }

    /// A program in `PATH`. By another process: one that is written by this one cannot be run while
    /// a thread of it starts a program.
    pub(crate) fn install(&self, program: &Path, path: &str) -> PathBuf {
        let to = self.path(path);
        Said::of(Command::new("install").args(["-D", "-m", "755"]).args([program, &to])).well();
        to
    }

    /// Every file below the home folder with its text.
    pub(crate) fn files(&self) -> Vec<(PathBuf, String)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.path("home")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files.push((path.clone(), String::new()));
                    folders.push(path);
                } else {
                    files.push((path.clone(), fs::read_to_string(path).unwrap()));
                }
            }
        }
        files.sort();
        files
    }

    /// A command in this home, with nothing of the test's own environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("UNDERPASS", binary())
            .env("LC_ALL", "C.UTF-8");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.path("home")).stdin(Stdio::null());
        command
    }

    /// `underpass proxy` with these words.
    pub(crate) fn proxy(&self, words: &[&str]) -> Said {
        if self.is_isolated && fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            let inside = "/bin/mount -t tmpfs none /etc && exec \"$UNDERPASS\" proxy \"$@\"";
            let wrapper = ["--mount", "/bin/sh", "-c", inside, "sh"];
            return Said::of(self.command("/usr/bin/unshare").args(wrapper).args(words));
        }
        Said::of(self.command(binary()).arg("proxy").args(words))
    }
}

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } =
            command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Asserts that it went well.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// The program under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_underpass"))
}

/// Whether a program that a test needs is there. Where it is not the test ends, which it says;
/// under CI that is a failure.
pub(crate) fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&folders)
        .chain(["/usr/sbin".into()])
        .any(|folder| folder.join(program).exists());
    if !there {
        lab::skip(format!("{program} is missing; run scripts/lab-deps tests"));
    }
    there
}

/// Whether this is root, who may make namespaces; as above.
pub(crate) fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        lab::skip("it needs root");
    }
    root
}
