//! A distro as WSL makes it, in a mount namespace of its own: the machine's files below it, and on them what WSL adds.

use std::path::Path;

use crate::interop::{Interop, windows_relay};
use crate::topology::Lab;
use crate::tunnel::{Tunnel, programs};

/// Lays the distro out in the folder `$1`: `$2` folder of the built programs, `$3` interop's socket, `$4` Windows' drive C:, `$5` the relay
/// for Windows, `$6` what `/etc/wsl.conf` says of interop. The words behind are a command of `underpass`, with the program's path.
const LAY_OUT: &str = r#"
set -e
mkdir -p "$1"
mount -t tmpfs none "$1"
cd "$1"
mkdir upper work root
mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work root
for folder in proc dev sys tmp; do mount --rbind /$folder root/$folder; done
mount -t tmpfs none root/run
mkdir -p root/run/WSL root/mnt/c
ln -s "$3" root/run/WSL/1_interop
mount --rbind "$4" root/mnt/c
cp "$2/interop-init" root/init
cp "$2/wslpath" root/usr/bin/wslpath
printf '[interop]\nenabled=%s\n' "$6" >root/etc/wsl.conf
mkdir -p root/opt/underpass
cp "$2/underpass" "$2/underpass-relay" "$5" root/opt/underpass
shift 7
exec chroot root /opt/underpass/underpass "$@"
"#;

/// Whether a distro's `/etc/wsl.conf` lets it start Windows programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InteropSetting {
    /// `enabled=true`.
    On,
    /// `enabled=false`.
    Off,
}

/// A distro of the VM, laid out anew for each command of `underpass` that is started in it.
#[derive(Debug)]
pub struct Distro {
    wrapper: Vec<String>,
}

impl Distro {
    /// One that reaches Windows by `interop`, and is laid out in `folder`.
    #[must_use]
    pub fn new(interop: &Interop, folder: &Path, setting: InteropSetting) -> Self {
        let enabled = match setting {
            InteropSetting::On => "true",
            InteropSetting::Off => "false",
        };
        let paths = [folder.to_path_buf(), programs(), interop.socket(), interop.drive_c(), windows_relay()];
        let mut wrapper: Vec<String> = ["unshare", "--mount", "sh", "-c", LAY_OUT, "sh"].map(str::to_owned).to_vec();
        wrapper.extend(paths.map(|path| path.display().to_string()));
        wrapper.push(enabled.to_owned());
        Self { wrapper }
    }

    /// Starts `underpass up` in it, and does not wait.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn launch(&self, lab: &Lab, options: &[&str]) -> Tunnel {
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        Tunnel::launch_wrapped(lab, &[], &wrapper, options)
    }
}
