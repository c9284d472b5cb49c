//! The machine itself: QEMU and its needs on the host, all of it in the namespace of the lab's
//! Windows, and commands run in the guest. Everything ends on drop, and when this process is
//! killed.

use crate::monitor::Monitor;
use crate::stop::{self, until};
use lab::addresses::NAT_GATEWAY;
use lab::built::programs;
use lab::interop::Interop;
use lab::scene::Scratch;
use lab::{Finished, Lab, Place, Process, Vpn};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The files that QEMU boots.
#[derive(Clone, Debug)]
pub struct Images {
    /// The kernel (`bzImage`).
    pub kernel: PathBuf,
    /// Its initramfs, with this run's programs.
    pub initramfs: PathBuf,
    /// Debian's disk. Nothing is written to it.
    pub root: PathBuf,
    /// The disk with the kernel's modules.
    pub modules: PathBuf,
    /// Additional words of the kernel's command line.
    pub words: String,
    /// The folder for the console's log.
    pub logs: PathBuf,
}

/// The machine boots long before this, though every instruction of it is translated.
const BOOT_PATIENCE: Duration = Duration::from_secs(600);

/// Programs of the host listen long before this.
const HOST_PATIENCE: Duration = Duration::from_secs(20);

/// A command of the guest that stays silent for this long hangs.
const COMMAND_SECONDS: u32 = 240;

/// The time of one check whether the guest is up.
const BOOT_LOOK_SECONDS: u32 = 15;

/// The host's end of the link that stands for hvsockets, and the guest's; `tests/vm/guest/setup`
/// has them too.
const LINK: [&str; 2] = ["10.98.0.1", "10.98.0.2"];

/// QEMU's server of a folder (Debian 12: package qemu-system-common).
const VIRTIOFSD: &str = "/usr/lib/qemu/virtiofsd";

/// The guest's memory: dockerd and systemd need about a third of it.
const MEMORY: &str = "1536M";

/// The machine, all of it emulated. Its memory is shared with the devices that are other programs.
const QEMU: &str =
    "qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -cpu max -smp 2
    -accel tcg,thread=multi -machine q35,memory-backend=memory";

/// The devices attached to the TAP device and the sockets.
const QEMU_DEVICES: &str =
    "-netdev tap,id=net,ifname=vm,script=no,downscript=no -device virtio-net-pci,netdev=net
    -netdev tap,id=link,ifname=hvlink,script=no,downscript=no
    -device virtio-net-pci,netdev=link,mac=52:54:00:98:00:02
    -device vhost-user-fs-pci,chardev=drive,tag=c -device virtio-rng-pci";

/// Starts a 'Windows program' on the host: wsl.exe is a command in the guest, everything else is
/// Wine's. `@…@` are paths.
const WINDOWS: &str = r#"#!/bin/sh
case "$1" in
*/wsl.exe)
    shift
    export WSL_INTEROP=@guest@
    cd /
    exec @init@ /opt/vm/wsl wsl "$@"
    ;;
esac
export WINEPREFIX=@prefix@ WINEDEBUG=-all USER="Anna Müller"
export WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=
exec /usr/lib/wine/wine64 "$@"
"#;

/// The virtual machine, and Windows with its VPN around it.
#[derive(Debug)]
pub struct Machine {
    monitor: Monitor,
    qemu: Process,
    // In the order in which they end: first those that use the others.
    _helpers: Vec<Process>,
    _windows: Interop,
    scratch: Scratch,
    /// The namespaces.
    pub lab: Lab,
}

impl Machine {
    /// Starts it, the VPN on. Does not wait until it has booted.
    ///
    /// # Errors
    /// A program cannot be started, or ends.
    pub fn start(images: &Images) -> io::Result<Self> {
        let mut lab = Lab::new().map_err(io::Error::other)?;
        lab.set_vpn(Vpn::On).map_err(io::Error::other)?;
        let scratch = Scratch::new();
        let windows = Interop::start(&lab);
        let mut host = Host { lab: &lab, scratch: &scratch, helpers: Vec::new() };
        host.network()?;
        host.windows(&windows)?;
        let drive = windows.drive_c();
        host.folder(&drive)?;
        let mut qemu = host.qemu(images)?;
        let socket = PathBuf::from(scratch.path("monitor"));
        let mut monitor = None;
        let up = until(HOST_PATIENCE, || {
            monitor = Monitor::connect(&socket).ok();
            monitor.is_some() || !qemu.is_running()
        });
        match monitor {
            Some(monitor) if up => {
                host.link()?;
                let helpers = host.helpers;
                helpers.iter().chain([&qemu]).for_each(|process| stop::with(process.pid()));
                Ok(Self { monitor, qemu, _helpers: helpers, _windows: windows, scratch, lab })
            }
            _ => Err(io::Error::other(format!("QEMU does not start: {}", qemu.stderr()))),
        }
    }

    /// Whether the guest runs commands, within the time that it may take to boot.
    pub fn boots(&mut self) -> bool {
        let is_up = |machine: &Self| {
            // A command sent before the guest could answer is lost.
            let said =
                machine.sh_within(BOOT_LOOK_SECONDS, "systemctl is-active --quiet vm.service");
            said.is_ok_and(|said| said.succeeded())
        };
        until(BOOT_PATIENCE, || !self.qemu.is_running() || is_up(self)) && self.qemu.is_running()
    }

    /// Runs words in the guest's shell, as root of Debian, to their end.
    ///
    /// # Errors
    /// The command that carries them cannot be started.
    pub fn sh(&self, words: &str) -> io::Result<Finished> {
        self.sh_within(COMMAND_SECONDS, words)
    }

    fn sh_within(&self, seconds: u32, words: &str) -> io::Result<Finished> {
        if stop::is_asked() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let script = format!(
            "export WSL_INTEROP=/run/WSL/1_interop WSL_DISTRO_NAME=Debian HOME=/root\n{words}"
        );
        let socket = format!("WSL_INTEROP={}", self.scratch.path("guest.sock"));
        let limit = seconds.to_string();
        let init = program("interop-init");
        let command = [
            "env",
            "--chdir=/",
            &socket,
            "timeout",
            &limit,
            &init,
            "/bin/bash",
            "bash",
            "-c",
            &script,
        ];
        self.lab.run(Place::Internet, &command).map_err(io::Error::other)
    }

    /// Stops the whole machine, like a suspended Windows.
    ///
    /// # Errors
    /// QEMU refuses.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.monitor.execute("stop")
    }

    /// Resumes it.
    ///
    /// # Errors
    /// QEMU refuses.
    pub fn resume(&mut self) -> io::Result<()> {
        self.monitor.execute("cont")
    }
}

/// One of the built programs.
fn program(name: &str) -> String {
    programs().join(name).display().to_string()
}

/// The host's half, during its start.
struct Host<'a> {
    lab: &'a Lab,
    scratch: &'a Scratch,
    helpers: Vec<Process>,
}

impl Host<'_> {
    /// Runs a command on the host that must succeed.
    fn must(&self, place: Place, words: &str) -> io::Result<()> {
        let words: Vec<&str> = words.split(' ').collect();
        let done = self.lab.run(place, &words).map_err(io::Error::other)?;
        if done.succeeded() {
            Ok(())
        } else {
            Err(io::Error::other(format!("{words:?}: {done:?}")))
        }
    }

    /// Starts a program on the host that ends with this process, however that ends.
    fn start(&self, place: Place, name: &str, words: &[&str]) -> io::Result<Process> {
        let words = [&["setpriv", "--pdeathsig", "KILL"], words].concat();
        let folder = PathBuf::from(self.scratch.path(&format!("log-{name}")));
        self.lab.start_logged(place, &folder, &words).map_err(io::Error::other)
    }

    /// Starts a helper, and waits for its socket, whose name is the helper's.
    fn help(&mut self, place: Place, socket: &str, words: &[&str]) -> io::Result<()> {
        let mut process = self.start(place, socket, words)?;
        let path = PathBuf::from(self.scratch.path(socket));
        let up = until(HOST_PATIENCE, || path.exists() || !process.is_running());
        if !up || !process.is_running() {
            return Err(io::Error::other(format!(
                "no {socket}: {}{}",
                process.stdout(),
                process.stderr()
            )));
        }
        self.helpers.push(process);
        Ok(())
    }

    /// The adapter of the VM's network becomes a TAP device, to which QEMU attaches the guest's.
    fn network(&self) -> io::Result<()> {
        self.must(Place::Windows, "ip link delete vm")?;
        self.must(Place::Windows, "ip tuntap add dev vm mode tap")?;
        self.must(Place::Windows, &format!("ip address add {NAT_GATEWAY}/20 dev vm"))?;
        self.must(Place::Windows, "ip link set vm up")?;
        self.must(Place::Windows, "ip tuntap add dev hvlink mode tap")
    }

    /// Windows' half of interop: Wine, and a wsl.exe that runs its command in the guest.
    fn windows(&mut self, windows: &Interop) -> io::Result<()> {
        let drive = windows.drive_c();
        let prefix = drive.parent().unwrap_or(&drive);
        let text = WINDOWS
            .replace("@guest@", &self.scratch.path("guest.sock"))
            .replace("@init@", &program("interop-init"));
        let wine =
            self.scratch.file("windows", &text.replace("@prefix@", &prefix.display().to_string()));
        let wsl = drive.join("Windows/System32/wsl.exe");
        fs::write(&wsl, windows_program())?;
        // Every file on a Windows drive is executable, as in WSL.
        fs::set_permissions(&wsl, fs::Permissions::from_mode(0o755))?;
        let (host, socket) = (program("interop-host"), self.scratch.path("windows.sock"));
        let drives = prefix.join("dosdevices").display().to_string();
        self.help(Place::Windows, "windows.sock", &[&host, &socket, &wine, "4096", &drives])
    }

    /// Both directions of commands between guest and host. QEMU has opened the adapter, which moves
    /// to a namespace where Windows does not see it.
    fn link(&mut self) -> io::Result<()> {
        let wsl = self.lab.namespace(Place::Wsl);
        self.must(Place::Windows, &format!("ip link set dev hvlink netns {wsl}"))?;
        self.must(Place::Wsl, &format!("ip address add {}/30 dev hvlink", LINK[0]))?;
        self.must(Place::Wsl, "ip link set hvlink up")?;
        let bridge = program("underpass-vm-bridge");
        let unix = |name: &str| format!("unix:{}", self.scratch.path(name));
        let (windows, guest) = (unix("windows.sock"), unix("guest.sock"));
        let (from, to) = (format!("tcp:{}:5000", LINK[0]), format!("tcp:{}:5001", LINK[1]));
        let from_guest = self.start(Place::Wsl, "from-guest", &[&bridge, &from, &windows])?;
        self.helpers.push(from_guest);
        self.help(Place::Wsl, "guest.sock", &[&bridge, &guest, &to])
    }

    /// Windows' drive, which the guest mounts.
    fn folder(&mut self, drive: &Path) -> io::Result<()> {
        let socket = self.scratch.path("drive.sock");
        let (at, source) =
            (format!("--socket-path={socket}"), format!("source={}", drive.display()));
        self.help(
            Place::Windows,
            "drive.sock",
            &[VIRTIOFSD, &at, "-o", &source, "-o", "cache=none", "-o", "sandbox=chroot"],
        )
    }

    fn qemu(&self, images: &Images) -> io::Result<Process> {
        let path = |path: &Path| path.display().to_string();
        let scratch = |name: &str| self.scratch.path(name);
        // WSL's kernels have no AppArmor either.
        let append = format!(
            "console=ttyS0 net.ifnames=0 apparmor=0 panic=-1 systemd.show_status=false {}",
            images.words
        );
        let memory = format!("memory-backend-memfd,id=memory,size={MEMORY},share=on");
        let kernel = [path(&images.kernel), path(&images.initramfs), append];
        let devices = [
            format!("file={},if=virtio,format=raw,snapshot=on", path(&images.root)),
            format!("file={},if=virtio,format=raw,readonly=on", path(&images.modules)),
            format!("socket,id=drive,path={}", scratch("drive.sock")),
            format!("file:{}", images.logs.join("console.log").display()),
            format!("unix:{},server=on,wait=off", scratch("monitor")),
        ];
        let options =
            ["-kernel", "-initrd", "-append", "-drive", "-drive", "-chardev", "-serial", "-qmp"];
        let values = kernel.iter().chain(&devices).map(String::as_str);
        let words: Vec<&str> = QEMU
            .split_whitespace()
            .chain(["-object", &memory, "-m", MEMORY])
            .chain(options.into_iter().zip(values).flat_map(|(option, value)| [option, value]))
            .chain(QEMU_DEVICES.split_whitespace())
            .collect();
        self.start(Place::Windows, "qemu", &words)
    }
}

/// A file that interop takes for a Windows program for x86_64: `MZ`, the offset of the header at
/// 0x3c, and the processor in that.
fn windows_program() -> Vec<u8> {
    const HEADER: usize = 0x40;
    let mut file = vec![0; HEADER + 6];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x40;
    file[HEADER..HEADER + 4].copy_from_slice(b"PE\0\0");
    file[HEADER + 4..].copy_from_slice(&0x8664_u16.to_le_bytes());
    file
}
