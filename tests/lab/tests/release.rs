//! `scripts/release`: the same programs are packed to the same bytes anywhere and at any time, and
//! what is wrong with a release is found.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::built::{programs, windows_relay, workspace};
use lab::scene::Scratch;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the release says that it is published.
const REPOSITORY: &str = "example/underpass";

fn must(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The built programs as `scripts/release` takes them, without symbols: for x86_64 and Windows what
/// the other tests run, for Arm what `scripts/arm64` runs.
fn built(scratch: &Scratch) -> PathBuf {
    let folder = PathBuf::from(scratch.path("programs"));
    fs::create_dir(&folder).unwrap();
    let mut arm64 = Command::new(workspace().join("scripts/arm64"));
    arm64.arg("--build-only");
    let arm64 = PathBuf::from(must(arm64).trim()).join("underpass");
    for (strip, from, name) in [
        ("strip", programs().join("underpass"), "underpass-x86_64"),
        ("aarch64-linux-gnu-strip", arm64, "underpass-aarch64"),
    ] {
        let mut command = Command::new(strip);
        command.arg("--strip-all").arg("-o").arg(folder.join(name)).arg(from);
        must(command);
    }
    fs::copy(windows_relay(), folder.join("underpass-relay.exe")).unwrap();
    folder
}

/// `scripts/release` in a folder, with words before and after it.
fn release(folder: &Path, before: &[&str], words: &[&str]) -> Output {
    let mut command = Command::new("env");
    // The compared files need not be small.
    command
        .arg("DPKG_DEB_COMPRESSOR_LEVEL=0")
        .args(before)
        .arg("scripts/release")
        .args(words)
        .current_dir(folder);
    command.env_remove("GITHUB_REPOSITORY").env_remove("SOURCE_DATE_EPOCH").output().unwrap()
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The faults that `distro/release/check.py` reports, a line each; of all files, or of some.
fn complaints(release: &Path, only: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.arg("distro/release/check.py").arg(release).args([VERSION, REPOSITORY]).args(only);
    let output = command.current_dir(workspace()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn the_same_programs_give_the_same_release_and_each_fault_of_it_is_found() {
    let scratch = Scratch::new();
    let programs = built(&scratch);
    name_no_folder(&programs);
    let folder = |name: &str| PathBuf::from(scratch.path(name));
    let pack = |place: &Path, before: &[&str], out: &Path| {
        let (programs, out) = (programs.display().to_string(), out.display().to_string());
        let words = ["--repository", REPOSITORY, "--no-lintian", "--programs", &programs];
        let done = release(place, before, &[&words[..], &["--out", &out, VERSION]].concat());
        assert!(done.status.success(), "{done:?}");
    };
    pack(&workspace(), &[], &folder("one"));
    // The second is packed under another path of the same checkout, for another user's settings,
    // and some seconds later.
    let elsewhere = folder("another place");
    fs::create_dir(&elsewhere).unwrap();
    let words = format!(
        "umask 077 && mount --bind '{}' '{1}' && cd '{1}' && exec \"$@\"",
        workspace().canonicalize().unwrap().display(),
        elsewhere.display()
    );
    let before =
        ["TZ=Asia/Kathmandu", "LC_ALL=zh_CN.UTF-8", "unshare", "--mount", "sh", "-c", &words, "sh"];
    pack(&workspace(), &before, &folder("two"));
    let (one, two) = (files(&folder("one")), files(&folder("two")));
    assert!(one.len() > 12, "{:?}", one.keys());
    assert!(one.keys().eq(two.keys()), "{:?} {:?}", one.keys(), two.keys());
    let differing: Vec<_> = one.iter().filter(|(name, bytes)| two[*name] != **bytes).collect();
    assert!(
        differing.is_empty(),
        "{:?}",
        differing.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert_eq!(complaints(&folder("one"), &[]), "");
    installs_and_goes(&scratch, &folder("one").join(format!("underpass_{VERSION}-1_amd64.deb")));
    for (file, change, complaint) in FAULTS {
        let path = folder("one").join(file);
        let bytes = fs::read(&path).unwrap();
        let changed = change(&bytes, &folder("one"));
        assert_ne!(changed, bytes, "{file}: nothing to change");
        fs::write(&path, changed).unwrap();
        let said = complaints(&folder("one"), &[file.split('/').next().unwrap()]);
        assert!(said.contains(complaint), "{file}: {complaint:?} is not in\n{said}");
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(complaints(&folder("one"), &[]), "", "all is as it was");
}

/// Installs a Debian package in a Debian of its own, and removes it again.
const INSTALL: &str = r#"
set -e
mkdir "$1"
mount -t tmpfs none "$1"
cd "$1"
mkdir upper work root
mount -t overlay none -o lowerdir="$2",upperdir=upper,workdir=work root
cp "$3" root/package.deb
chroot root dpkg --install /package.deb
chroot root underpass --version
for file in man/man1/underpass-doctor.1.gz doc/underpass/copyright; do
    chroot root dpkg --search "/usr/share/$file"
done
chroot root dpkg --verify underpass
chroot root dpkg --remove underpass
if [ -e root/usr/bin/underpass ]; then exit 1; fi
"#;

fn installs_and_goes(scratch: &Scratch, package: &Path) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", INSTALL, "sh"]).arg(scratch.path("debian"));
    command.arg(workspace().join("target/debian-root").canonicalize().unwrap()).arg(package);
    let said = must(command);
    assert!(said.contains(&format!("underpass {VERSION}")), "{said}");
    assert!(said.contains("underpass: /usr/share/man/man1/underpass-doctor.1.gz"), "{said}");
}

/// No program names a folder of this machine.
fn name_no_folder(programs: &Path) {
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| "/.cargo/registry".to_owned());
    let here = workspace().canonicalize().unwrap().display().to_string();
    for (program, bytes) in files(programs) {
        for path in [here.as_str(), env!("CARGO_MANIFEST_DIR"), &home] {
            let found = bytes.windows(path.len()).any(|part| part == path.as_bytes());
            assert!(!found, "{} names {path}", program.display());
        }
    }
}

type Change = fn(&[u8], &Path) -> Vec<u8>;

/// A text with something else in the place of the first part of it.
fn with(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replacen(from, to, 1).into_bytes()
}

/// The change to a file, and a part of the fault that check.py must then report.
const FAULTS: &[(&str, Change, &str)] = &[
    ("SHA256SUMS", |b, _| with(b, "  install.ps1", "  install.ps"), "the sum of install.ps1"),
    (
        "underpass-arm64.wsl",
        |_, release| fs::read(release.join("underpass.wsl")).unwrap(),
        "bin/busybox is missing or for another processor",
    ),
    (
        concat!("underpass_", env!("CARGO_PKG_VERSION"), "-1_arm64.deb"),
        |_, release| fs::read(release.join(format!("underpass_{VERSION}-1_amd64.deb"))).unwrap(),
        "its Architecture is amd64, not arm64",
    ),
    (
        concat!("underpass-", env!("CARGO_PKG_VERSION"), "-windows-x64.zip"),
        |_, release| {
            fs::read(release.join(format!("underpass-{VERSION}-windows-arm64.zip"))).unwrap()
        },
        "its underpass.wsl is not the release's underpass.wsl",
    ),
    ("underpass-relay.exe", |b, _| b[..100].to_vec(), "it is not a program for Windows"),
    (
        "install.ps1",
        |b, _| with(b, "$version = '", "$version = 'v"),
        "it does not have exactly one line $version",
    ),
    (
        "winget/Underpass.Underpass.yaml",
        |b, _| with(b, "DefaultLocale:", "DefaultLocal:"),
        "'DefaultLocale' is a required property",
    ),
    (
        "winget/Underpass.Underpass.yaml",
        |b, _| with(b, "ManifestType:", "Comment: \"x\"\nManifestType:"),
        "the schema has no 'Comment'",
    ),
    (
        "winget/Underpass.Underpass.installer.yaml",
        |b, _| with(b, "Architecture: \"x64\"", "Architecture: \"x86_64\""),
        "'x86_64' is not one of",
    ),
    (
        "winget/Underpass.Underpass.installer.yaml",
        |b, _| with(b, "InstallerSha256: \"", "InstallerSha256: \"0"),
        "does not match '^[A-Fa-f0-9]{64}$'",
    ),
    (
        "winget/Underpass.Underpass.installer.yaml",
        |b, _| with(b, "underpass-relay.exe", "setup.exe"),
        "has no ['setup.exe']",
    ),
    (
        "winget/Underpass.Underpass.locale.zh-CN.yaml",
        |b, _| with(b, "zh-CN", "zh-TW"),
        "its PackageLocale is not zh-CN",
    ),
    (
        "underpass-scoop.json",
        |b, _| with(b, "\"license\"", "\"licence\""),
        "'licence' was unexpected",
    ),
    (
        "underpass-scoop.json",
        |b, _| with(b, "\"hash\": \"", "\"hash\": \"0"),
        "is not valid under any of the given schemas",
    ),
    (
        "underpass-scoop.json",
        |b, _| with(b, "windows-arm64.zip", "windows-x64.zip"),
        "is not the address of underpass-",
    ),
    (
        concat!("underpass-", env!("CARGO_PKG_VERSION"), ".spdx.json"),
        |b, _| with(b, "\"spdxVersion\"", "\"version\""),
        "'spdxVersion' is a required property",
    ),
    (
        concat!("underpass-", env!("CARGO_PKG_VERSION"), ".spdx.json"),
        |b, _| {
            with(
                b,
                "\"licenseDeclared\": \"MIT",
                "\"licenseDeclared\": \"NOASSERTION\", \"x\": \"MIT",
            )
        },
        "has no licence",
    ),
];

#[test]
fn another_version_than_the_workspaces_and_an_unknown_address_are_refused() {
    for (words, complaint) in [
        (&["--repository", REPOSITORY, "9.9.9"][..], "change 'version' in Cargo.toml"),
        (&["--repository", "somewhere", VERSION], "Give --repository OWNER/NAME"),
    ] {
        let done = release(&workspace(), &[], words);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.starts_with("release: ") && said.contains(complaint), "{said}");
    }
    assert!(!workspace().join("dist/9.9.9").exists());
}

#[test]
fn the_notes_are_what_the_changelog_says_of_the_version() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("scripts")).unwrap();
    fs::copy(workspace().join("scripts/release"), scratch.path("scripts/release")).unwrap();
    let _manifest =
        scratch.file("Cargo.toml", "[workspace.package]\nversion = \"1.2.3\"\n[dependencies]\n");
    for heading in ["## [1.2.3] - 2026-12-01", "## 1.2.3"] {
        let text = format!(
            "# Changes\n\n## [Unreleased]\n\n- Later.\n\n{heading}\n\n### Added\n\n- This.\n\n\
             ## [1.2.30] - 2026-11-01\n\n- Another.\n\n[1.2.3]: https://example.com\n"
        );
        let _changes = scratch.file("CHANGELOG.md", &text);
        let done = release(scratch.path("").as_ref(), &[], &["--notes", "v1.2.3"]);
        let said = String::from_utf8(done.stdout).unwrap();
        assert_eq!(said.trim_end(), "### Added\n\n- This.", "{heading}");
    }
    let _changes = scratch.file("CHANGELOG.md", "# Changes\n\n## Unreleased\n\n- Later.\n");
    let done = release(scratch.path("").as_ref(), &[], &["--notes", "1.2.3"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && said.contains("CHANGELOG.md says nothing"), "{said}");
}
