//! Debian's dockerd, with a container made from busybox: no registry is contacted.

use super::{Bench, Result, ensure};
use lab::addresses::{SERVER, SERVER_NAME};

/// Makes the image `busybox` from the program, its libraries and its links. Its own download and
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

/// One container does everything: emulated, its start takes longer than its work.
pub(super) fn reaches_the_internet(bench: &mut Bench) -> Result {
    let url = format!("http://{SERVER_NAME}:8080");
    let inside = format!(
        "set -e; nslookup {SERVER_NAME}; echo; wget -q -O - {url}/; echo; \
         wget -q -O - {url}/3000000 >/tmp/large; sha256sum /tmp/large; ping -c 1 -W 5 {SERVER}"
    );
    let said = bench.must(&format!("docker run --rm busybox sh -c '{inside}'"))?;
    let hash = bench
        .must(&format!("curl --silent --max-time 60 http://{SERVER}:8080/3000000 | sha256sum"))?;
    let hash = hash.split(' ').next().unwrap_or_default();
    for part in [SERVER, "\ninternet\n", hash, "1 packets received"] {
        ensure(said.contains(part), || format!("no '{}' in its output:\n{said}", part.trim()))?;
    }
    Ok("nslookup, wget by name (3 MB), ping".to_owned())
}
