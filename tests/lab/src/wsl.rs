//! A pretend WSL: distros as WSL makes them, each with its own mounts, all in the network namespace
//! of the lab's VM. WSL's additions to a distro's files are laid over them; the files themselves
//! never change.
//!
//! Distros live as long as WSL's own would: a model of its service (`tests/interop/src/wsl`) counts
//! their clients and ends them, and `C:\Windows\System32\wsl.exe` is a stand-in that asks it.

mod service;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::built::{programs, windows_relay};
use crate::interop::Interop;
use crate::leftovers;
use crate::run::{Finished, Process, plain};
use crate::topology::{Lab, Place};
use crate::tunnel::Tunnel;
use service::Service;
pub use service::{Client, Instance, Timeouts};

/// Sets a distro up in the folder `$1` and becomes the command after the other words. `$2` is the
/// folder of the distro's files, `$3` that of the model's programs, `$4` interop's socket, `$5`
/// Windows' drive C:, and `$6` the folder that all distros share. `$7` is its name, `$8` lists the
/// parts of this machine that it has, `$9` is the networking mode, and `${10}` another
/// `/etc/wsl.conf`, or empty.
const LAY_OUT: &str = r#"
set -e
mkdir -p "$1"
mount -t tmpfs none "$1"
cd "$1"
mkdir upper work root
mount -t overlay none -o lowerdir="$2",upperdir=upper,workdir=work root
mkdir -p root/dev root/etc root/mnt/c root/mnt/wsl root/proc root/run root/sys root/tmp
mount -t proc none root/proc
mount -t tmpfs none root/run
mkdir root/run/WSL
: >root/run/WSL/1_interop
mount --bind "$4" root/run/WSL/1_interop
# With a lasting socket of the test's own, Windows' is that of a session.
if [ -e "$6/1_interop" ]; then
    : >root/run/WSL/4711_interop
    mount --bind "$4" root/run/WSL/4711_interop
    mount --bind "$6/1_interop" root/run/WSL/1_interop
fi
for folder in $8; do mount --rbind /$folder root/$folder; done
mount --rbind "$5" root/mnt/c
mount --bind "$6" root/mnt/wsl
cp "$3/interop-init" root/init
cp "$3/wslinfo" "$3/wslpath" root/bin
ln -sf /mnt/wsl/resolv.conf root/etc/resolv.conf
printf '127.0.0.1 localhost\n' >root/etc/hosts
hostname "$7"
echo "$9" >root/run/WSL/mode
if [ -n "${10}" ]; then
    printf '%s' "${10}" >root/etc/wsl.conf
fi
shift 10
exec chroot root "$@"
"#;

/// The VM and its Windows as distros see them. A drop ends all distros.
#[derive(Debug)]
pub struct Wsl<'a> {
    lab: &'a Lab,
    interop: &'a Interop,
    folder: PathBuf,
    mode: String,
    service: Service,
}

/// The files of a distro that is not started.
#[derive(Clone, Debug)]
pub struct Distro {
    name: String,
    files: PathBuf,
    wsl_conf: Option<String>,
}

impl Distro {
    /// A distro by its name and the folder of its files.
    #[must_use]
    pub fn new(name: &str, files: &Path) -> Self {
        Self { name: name.to_owned(), files: files.to_path_buf(), wsl_conf: None }
    }

    /// A distro with this machine's own programs.
    #[must_use]
    pub fn machine() -> Self {
        Self::new("machine", Path::new("/"))
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The same with another `/etc/wsl.conf`.
    #[must_use]
    pub fn with_conf(self, wsl_conf: &str) -> Self {
        Self { wsl_conf: Some(wsl_conf.to_owned()), ..self }
    }
}

impl<'a> Wsl<'a> {
    /// A VM whose distros live in `folder`, with WSL's default time-outs.
    ///
    /// # Panics
    /// Like [`Wsl::with_timeouts`].
    #[must_use]
    pub fn new(lab: &'a Lab, interop: &'a Interop, folder: &Path) -> Self {
        Self::with_timeouts(lab, interop, folder, Timeouts::default())
    }

    /// A VM whose distros live in `folder`, with other time-outs of idle distros and of an idle VM.
    ///
    /// # Panics
    /// The folder cannot be written, or WSL's service does not start.
    #[must_use]
    pub fn with_timeouts(
        lab: &'a Lab,
        interop: &'a Interop,
        folder: &Path,
        timeouts: Timeouts,
    ) -> Self {
        let windows = lab.namespace(Place::Windows);
        let service = Service::start(folder, windows, timeouts);
        let system = interop.drive_c().join("Windows/System32");
        let placed = service.place_stand_in(&system.join("wsl.exe"));
        assert!(placed.is_ok(), "{}: {placed:?}", system.display());
        let wsl =
            Self { lab, interop, folder: folder.to_path_buf(), mode: "nat".to_owned(), service };
        let resolv_conf =
            fs::read_to_string(format!("/etc/netns/{}/resolv.conf", lab.namespace(Place::Wsl)));
        let laid = resolv_conf.and_then(|text| {
            fs::create_dir_all(wsl.shared())?;
            // Every user of every distro may write there.
            fs::set_permissions(wsl.shared(), fs::Permissions::from_mode(0o1777))?;
            leftovers::write_for_all(&wsl.shared().join("resolv.conf"), &text)
        });
        assert!(laid.is_ok(), "{}: {laid:?}", folder.display());
        wsl
    }

    /// The same, in another networking mode as `wslinfo` reports it.
    #[must_use]
    pub fn in_mode(self, mode: &str) -> Self {
        Self { mode: mode.to_owned(), ..self }
    }

    /// The folder that is `/mnt/wsl` in all distros.
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        self.folder.join("shared")
    }

    /// The words before a command that runs in a distro.
    fn wrapper(&self, distro: &Distro, namespaces: &[&str], of_this_machine: &str) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        let arguments = [
            text(self.folder.join(&distro.name)),
            text(distro.files.clone()),
            text(programs()),
            text(self.interop.socket()),
            text(self.interop.drive_c()),
            text(self.shared()),
            distro.name.clone(),
            of_this_machine.to_owned(),
            self.mode.clone(),
            distro.wsl_conf.clone().unwrap_or_default(),
        ];
        let words = ["unshare", "--mount", "--uts"]
            .iter()
            .chain(namespaces)
            .chain(&["sh", "-c", LAY_OUT, "sh"]);
        words.map(|word| (*word).to_owned()).chain(arguments).collect()
    }

    /// Starts the built `underpass up`, with the relay for Windows beside it, in a distro that has
    /// this machine's temporary files. Does not wait.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn launch(&self, distro: &Distro, options: &[&str]) -> Tunnel {
        let mut wrapper = self.wrapper(distro, &[], "dev sys proc/sys/fs/binfmt_misc tmp");
        let product = self.folder.join("product");
        let copied = fs::create_dir_all(&product).and_then(|()| {
            fs::copy(programs().join("underpass"), product.join("underpass"))?;
            fs::copy(windows_relay(), product.join("underpass-relay.exe"))
        });
        assert!(copied.is_ok(), "{}: {copied:?}", product.display());
        // The word that follows is the path of the built program, which has no relay for Windows
        // beside it.
        let program = product.join("underpass").display().to_string();
        wrapper.extend(["sh", "-c", "shift; exec \"$0\" \"$@\"", &program].map(str::to_owned));
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        Tunnel::launch_wrapped(self.lab, &[], &wrapper, options)
    }

    /// Starts a distro like `wsl -d NAME --exec true`: its first process, and then the `command` of
    /// `[boot]` in its `/etc/wsl.conf`. That client has ended when this returns.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(&self, distro: &Distro) -> Running {
        self.import(distro);
        let done = self.client().run(&["-d", &distro.name, "--exec", "/bin/sh", "-c", ":"]);
        assert!(done.succeeded(), "{distro:?} does not start: {done:?} {}", self.service.said());
        Running { name: distro.name.clone(), client: self.client() }
    }

    /// Registers a distro, which does not start it.
    ///
    /// # Panics
    /// The service does not answer.
    pub fn import(&self, distro: &Distro) {
        let namespaces = ["--pid", "--ipc", "--fork", "--kill-child"];
        let wrapper = self.wrapper(distro, &namespaces, "dev sys proc/sys/fs/binfmt_misc");
        let vm = ["ip", "netns", "exec", &self.lab.namespace(Place::Wsl)].map(str::to_owned);
        self.service.import(&distro.name, &vm.into_iter().chain(wrapper).collect::<Vec<_>>());
    }

    /// Runs `wsl.exe` on Windows' side.
    #[must_use]
    pub fn client(&self) -> Client {
        self.service.client()
    }

    /// The running distros, with their clients. The query registers no client.
    #[must_use]
    pub fn running(&self) -> Vec<Instance> {
        self.client().instances()
    }
}

/// A running distro. A drop ends it, like `wsl --terminate`.
#[derive(Debug)]
pub struct Running {
    name: String,
    client: Client,
}

impl Running {
    /// The words of a command of the distro's shell, as `wsl.exe` takes them.
    fn shell<'a>(&'a self, options: &[&'a str], words: &'a str) -> Vec<&'a str> {
        [&["-d", &self.name], options, &["--exec", "/bin/sh", "-c", words]].concat()
    }

    /// Runs words in the distro's shell to their end: `wsl -d NAME WORDS`.
    ///
    /// # Panics
    /// They cannot be run.
    #[must_use]
    pub fn sh(&self, words: &str) -> Finished {
        self.client.run(&self.shell(&[], words))
    }

    /// The same as an unprivileged user.
    ///
    /// # Panics
    /// They cannot be run.
    #[must_use]
    pub fn sh_unprivileged(&self, words: &str) -> Finished {
        self.client.run(&self.shell(&["--user", "nobody"], words))
    }

    /// Starts words in the distro's shell, and does not wait. Their output is kept.
    ///
    /// # Panics
    /// They cannot be run.
    #[must_use]
    pub fn start(&self, words: &str) -> Process {
        self.client.start(&self.shell(&[], words))
    }

    /// A path of the distro as this process sees it, while it runs. The query registers no client.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let pid = self.client.instances().into_iter().find(|instance| instance.name == self.name);
        let root = Path::new("/proc")
            .join(pid.map_or(0, |instance| instance.pid).to_string())
            .join("root");
        root.join(path.trim_start_matches('/'))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its VM may have ended before.
        let _ = self.client.try_run(&["--terminate", &self.name]);
    }
}

/// Unpacks a package into a folder, like WSL, and returns the distro `underpass`.
///
/// # Errors
/// It cannot be unpacked; with the output of `tar`.
pub fn unpack(package: &Path, folder: &Path) -> io::Result<Distro> {
    fs::create_dir_all(folder)?;
    let mut tar = plain("tar");
    tar.args(["--extract", "--gzip", "--preserve-permissions", "--numeric-owner", "--file"])
        .arg(package);
    tar.arg("--directory").arg(folder);
    let done = Finished::of(tar)?;
    if done.succeeded() {
        Ok(Distro::new("underpass", folder))
    } else {
        Err(io::Error::other(done.stderr))
    }
}
