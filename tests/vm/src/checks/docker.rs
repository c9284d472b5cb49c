//! Debian's dockerd, with a container made from busybox: no registry is asked.

use super::{Bench, Result, ensure};
use lab::addresses::{SERVER, SERVER_NAME};

/// Makes the image `busybox` of the program, its libraries and its links. Its own download and
/// resolver use the C library's.
const IMPORT: &str = r#"
set -eu
root=$(mktemp -d)
mkdir -p $root/bin $root/etc $root/tmp
cp /bin/busybox $root/bin
for library in $(ldd /bin/busybox | grep -o '/[^ ]*'); do
    mkdir -p $root$(dirname $library)
    cp -L $library $root$library
done
for applet in sh wget nslookup ping sha256sum cat; do ln -s busybox $root/bin/$applet; done
tar -C $root -c . | docker import - busybox
"#;

pub(super) fn starts(bench: &mut Bench) -> Result {
    bench.must("systemctl start docker")?;
    bench.within(120, "docker info >/dev/null")?;
    bench.must(IMPORT)?;
    bench.must(
        "docker version --format 'Docker {{.Server.Version}}, kernel {{.Server.KernelVersion}}'",
    )
}

pub(super) fn reaches_the_internet(bench: &mut Bench) -> Result {
    let container = |words: &str| bench.must(&format!("docker run --rm busybox {words}"));
    let resolved = container(&format!("nslookup {SERVER_NAME}"))?;
    ensure(resolved.contains(SERVER), || resolved.clone())?;
    let page = container(&format!("wget -q -O - http://{SERVER_NAME}:8080/"))?;
    ensure(page == "internet", || page.clone())?;
    let length = container(&format!(
        "sh -c 'wget -q -O - http://{SERVER_NAME}:8080/3000000 | cat >/tmp/x && cat /tmp/x' | wc -c"
    ))?;
    ensure(length == "3000000", || length.clone())?;
    let pinged = container(&format!("ping -c 1 -W 5 {SERVER}"))?;
    ensure(pinged.contains("1 packets received"), || pinged.clone())?;
    Ok("nslookup, wget by name (3 MB), ping".to_owned())
}
