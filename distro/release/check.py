"""Checks the files of a release: sums, manifests by their schemas (tests/schemas), and that each
file is what the others say of it. Prints what is wrong, a line each, and ends with 1 then.

Usage: check.py FOLDER VERSION OWNER/NAME [NAME]..., in the workspace's folder, by scripts/release
and tests. With names it checks these files alone; `winget` is the folder of that name.
"""

import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import jsonschema
import yaml

FOLDER, VERSION, REPOSITORY = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ONLY = sys.argv[4:]
DOWNLOADS = f"https://github.com/{REPOSITORY}/releases/download/v{VERSION}"
SCHEMAS = pathlib.Path("tests/schemas")

# Each file of a release.
WSL = {"underpass.wsl": "x86_64", "underpass-arm64.wsl": "aarch64"}
DEB = {f"underpass_{VERSION}-1_amd64.deb": "x86_64", f"underpass_{VERSION}-1_arm64.deb": "aarch64"}
ZIP = {
    f"underpass-{VERSION}-windows-x64.zip": "underpass.wsl",
    f"underpass-{VERSION}-windows-arm64.zip": "underpass-arm64.wsl",
}
WINGET_ZIP, SPDX = f"underpass-{VERSION}-winget.zip", f"underpass-{VERSION}.spdx.json"
SCOOP, RELAY, SCRIPT = "underpass-scoop.json", "underpass-relay.exe", "install.ps1"
FILES = {*WSL, *DEB, *ZIP, WINGET_ZIP, SPDX, SCOOP, RELAY, SCRIPT}
WINGET = {
    "Underpass.Underpass.yaml": "version",
    "Underpass.Underpass.installer.yaml": "installer",
    "Underpass.Underpass.locale.en-US.yaml": "defaultLocale",
    "Underpass.Underpass.locale.zh-CN.yaml": "locale",
}
# The header of a program by its processor: EI_CLASS and EI_DATA of ELF, and e_machine (elf.h).
MACHINES = {62: "x86_64", 183: "aarch64"}

faults = []


def fault(name, what):
    faults.append(f"{name}: {what}")


def read(name):
    return (FOLDER / name).read_bytes()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def processor(data):
    """The processor of a program for Linux."""
    is_elf = data[:6] == b"\x7fELF\x02\x01"
    return MACHINES.get(int.from_bytes(data[18:20], "little")) if is_elf else None


def is_static(data):
    """Whether a program for Linux asks for no interpreter, which loads libraries (PT_INTERP)."""
    # e_phoff, e_phentsize and e_phnum (elf.h).
    fields = [(32, 40), (54, 56), (56, 58)]
    at, size, count = (int.from_bytes(data[begin:end], "little") for begin, end in fields)
    return all(data[at + n * size : at + n * size + 4] != b"\3\0\0\0" for n in range(count))


def is_for_windows(data):
    """Whether this is a program for Windows on x86_64 (IMAGE_FILE_MACHINE_AMD64)."""
    at = int.from_bytes(data[60:64], "little")
    return data[:2] == b"MZ" and data[at : at + 6] == b"PE\0\0\x64\x86"


def validate(name, value, schema):
    """Compares a value with a schema, and looks for keys that the schema does not have."""
    schema = json.loads((SCHEMAS / schema).read_text("utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    for error in kind(schema, format_checker=jsonschema.FormatChecker()).iter_errors(value):
        fault(name, f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    known = schema.get("properties", {})
    for key in value:
        if key not in known:
            fault(name, f"the schema has no '{key}'")


def check_sums():
    """SHA256SUMS has just the files that are there, each with its sum."""
    names = {file.name for file in FOLDER.iterdir() if file.is_file()} - {"SHA256SUMS"}
    for name in sorted(FILES - names):
        fault(name, "is not there")
    for name in sorted(names - FILES):
        fault(name, "is not a file of a release")
    lines = read("SHA256SUMS").decode().splitlines()
    sums = dict(reversed(line.split("  ", 1)) for line in lines if "  " in line)
    if len(sums) != len(lines) or list(sums) != sorted(sums):
        fault("SHA256SUMS", "its lines are not 'SUM  NAME', sorted by name")
    for name in sorted(names | set(sums)):
        if name not in names or sums.get(name) != sha256(read(name)):
            fault("SHA256SUMS", f"it does not have the sum of {name}")


def check_distro(name, machine):
    """A helper distro: owners, modes, times, order, and its programs' processors."""
    data = read(name)
    if int.from_bytes(data[4:8], "little") != 0 or data[3] & 0b1000:
        fault(name, "its gzip header has a time or a name")
    members = tarfile.open(fileobj=io.BytesIO(gzip.decompress(data)))
    names, times = [], set()
    for member in members:
        names.append(member.name)
        times.add(member.mtime)
        if (member.uid, member.gid, member.uname, member.gname) != (0, 0, "", ""):
            fault(name, f"{member.name} is not root's, or has names of owners")
        if member.issym():
            continue
        if member.mode & 0o6000 or member.mode & 0o022 and not member.mode & 0o1000:
            fault(name, f"{member.name} has mode {member.mode:o}")
    if len(times) != 1:
        fault(name, f"its files have {len(times)} times")
    # tar sorts the names of each folder, whose files follow it at once.
    if [member.split("/") for member in names] != sorted(member.split("/") for member in names):
        fault(name, "its files are not sorted")
    for program, is_right in {
        "usr/bin/underpass": lambda data: processor(data) == machine,
        "bin/busybox": lambda data: processor(data) == machine,
        "usr/bin/underpass-relay.exe": is_for_windows,
    }.items():
        if program not in names or not is_right(members.extractfile(program).read()):
            fault(name, f"{program} is missing or for another processor")
    relay = members.extractfile("usr/bin/underpass-relay.exe").read()
    if relay != read(RELAY):
        fault(name, "its relay is another one than that of the release")
    release = members.extractfile("etc/os-release").read().decode()
    if f'VERSION_ID="{VERSION}"\n' not in release:
        fault(name, "etc/os-release has another version")
    contents = json.loads(members.extractfile("usr/share/underpass.spdx.json").read())
    validate(f"{name}: underpass.spdx.json", contents, "spdx-2.3.json")


def dpkg_deb(*words):
    done = subprocess.run(["dpkg-deb", *words], capture_output=True, check=True)
    return done.stdout


def check_deb(name, machine):
    """A Debian package: its fields, owners and program."""
    path = str(FOLDER / name)
    control = dpkg_deb("--field", path).decode()
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", control, re.MULTILINE))
    architecture = name.removesuffix(".deb").rsplit("_", 1)[1]
    wanted = {"Package": "underpass", "Version": f"{VERSION}-1", "Architecture": architecture}
    wanted["Homepage"] = f"https://github.com/{REPOSITORY}"
    for field, value in wanted.items():
        if fields.get(field) != value:
            fault(name, f"its {field} is {fields.get(field)}, not {value}")
    for field in ["Maintainer", "Installed-Size", "Section", "Priority", "Description"]:
        if not fields.get(field):
            fault(name, f"it has no {field}")
    for field in ["Depends", "Pre-Depends"]:
        if field in fields:
            fault(name, f"it has {field}: its program needs no other package")
    members = tarfile.open(fileobj=io.BytesIO(dpkg_deb("--fsys-tarfile", path)))
    files = {member.name: member for member in members}
    for member in files.values():
        if (member.uid, member.gid) != (0, 0) or member.mode & 0o6022:
            fault(name, f"{member.name} is not root's, or has mode {member.mode:o}")
    for file in [
        "bin/underpass",
        "share/man/man1/underpass.1.gz",
        "share/man/man1/underpass-doctor.1.gz",
        "share/bash-completion/completions/underpass",
        "share/zsh/vendor-completions/_underpass",
        "share/fish/vendor_completions.d/underpass.fish",
        "share/doc/underpass/copyright",
        "share/doc/underpass/changelog.gz",
        "share/doc/underpass/changelog.Debian.gz",
        "share/doc/underpass/third-party-licenses.gz",
    ]:
        if f"./usr/{file}" not in files:
            fault(name, f"it has no /usr/{file}")
    program = members.extractfile("./usr/bin/underpass").read()
    if processor(program) != machine or not is_static(program):
        fault(name, f"its program is not a static one for {machine}")
    control = tarfile.open(fileobj=io.BytesIO(dpkg_deb("--ctrl-tarfile", path)))
    sums = control.extractfile("./md5sums").read().decode().splitlines()
    sums = dict(reversed(line.split("  ", 1)) for line in sums)
    regular = {name.removeprefix("./"): file for name, file in files.items() if file.isfile()}
    if set(sums) != set(regular):
        fault(name, "its md5sums have other files than it")
    for member, sum in sums.items():
        data = members.extractfile(regular[member]).read() if member in regular else b""
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != sum:
            fault(name, f"its md5sums do not have the sum of {member}")


def check_zip(name, package):
    """An archive for winget and scoop."""
    with zipfile.ZipFile(FOLDER / name) as zip:
        files = {entry.filename: zip.read(entry) for entry in zip.infolist()}
        if [*files] != sorted(files) or len({entry.date_time for entry in zip.infolist()}) != 1:
            fault(name, "its files are not sorted, or have several times")
    same = {"underpass.wsl": package, "underpass-relay.exe": RELAY, "install.ps1": SCRIPT}
    for file, of_release in same.items():
        if files.get(file) != read(of_release):
            fault(name, f"its {file} is not the release's {of_release}")
    sums = f"{sha256(read(package))}  underpass.wsl\n"
    if files.get("SHA256SUMS", b"").decode() != sums:
        fault(name, "its SHA256SUMS does not have the sum of its package")
    if not any(file.startswith("LICENSE") for file in files):
        fault(name, "it has no licence")


def check_winget():
    """winget's manifests, each and together."""
    folder = FOLDER / "winget"
    found = {file.name for file in folder.iterdir()}
    if found != set(WINGET):
        fault("winget", f"it has {sorted(found)}, not {sorted(WINGET)}")
    with zipfile.ZipFile(FOLDER / WINGET_ZIP) as zip:
        if {entry.filename: zip.read(entry) for entry in zip.infolist()} != {
            file.name: file.read_bytes() for file in folder.iterdir()
        }:
            fault(WINGET_ZIP, "it has other manifests than the folder winget")
    for name in sorted(found & set(WINGET)):
        kind, text = WINGET[name], (folder / name).read_text("utf-8")
        # A date stays a text, as the schema requires.
        manifest = yaml.load(text, yaml.BaseLoader)
        if not isinstance(manifest, dict):
            fault(name, "it is not a manifest")
            continue
        schema = f"winget.{kind}.1.12.0.json"
        validate(name, manifest, schema)
        wanted = {"PackageIdentifier": "Underpass.Underpass", "PackageVersion": VERSION}
        wanted |= {"ManifestType": kind, "ManifestVersion": "1.12.0"}
        for key, value in wanted.items():
            if manifest.get(key) != value:
                fault(name, f"its {key} is {manifest.get(key)}, not {value}")
        identifier = json.loads((SCHEMAS / schema).read_text("utf-8"))["$id"]
        if text.splitlines()[0] != f"# yaml-language-server: $schema={identifier}":
            fault(name, "its first line does not name its schema")
        if kind == "installer":
            check_installers(name, manifest)
        locale = {"defaultLocale": "en-US", "locale": "zh-CN"}.get(kind)
        if manifest.get("PackageLocale") != locale:
            fault(name, f"its PackageLocale is not {locale}")


def check_installers(name, manifest):
    """The installers of winget's manifest are files of the release."""
    installers = {one["Architecture"]: one for one in manifest.get("Installers", [])}
    if set(installers) != {"x64", "arm64"}:
        fault(name, f"it has installers for {sorted(installers)}")
    nested = [one["RelativeFilePath"] for one in manifest.get("NestedInstallerFiles", [])]
    for architecture, installer in installers.items():
        archive = f"underpass-{VERSION}-windows-{architecture}.zip"
        check_download(name, installer["InstallerUrl"], installer["InstallerSha256"], archive)
        with zipfile.ZipFile(FOLDER / archive) as zip:
            if len(nested) != 1 or nested[0] not in zip.namelist():
                fault(name, f"{archive} has no {nested}")


def check_download(name, url, sum, file):
    if url != f"{DOWNLOADS}/{file}":
        fault(name, f"{url} is not the address of {file}")
    if sum.lower() != sha256(read(file)):
        fault(name, f"it does not have the sum of {file}")


def check_scoop():
    """scoop's manifest."""
    manifest = json.loads(read(SCOOP))
    validate(SCOOP, manifest, "scoop.json")
    if manifest["version"] != VERSION:
        fault(SCOOP, f"its version is {manifest['version']}")
    for scoop, windows in {"64bit": "x64", "arm64": "arm64"}.items():
        one = manifest["architecture"][scoop]
        archive = f"underpass-{VERSION}-windows-{windows}.zip"
        check_download(SCOOP, one["url"], one["hash"], archive)
        newer = manifest["autoupdate"]["architecture"][scoop]["url"]
        if newer.replace("$version", VERSION) != one["url"]:
            fault(SCOOP, f"autoupdate: {newer} is not the address of a later version")


def check_contents():
    """The list of contents (SPDX): valid, without loose ends, and with each file."""
    document = json.loads(read(SPDX))
    validate(SPDX, document, "spdx-2.3.json")
    packages = {package["SPDXID"]: package for package in document["packages"]}
    if len(packages) != len(document["packages"]):
        fault(SPDX, "two packages have one SPDXID")
    ends = {"SPDXRef-DOCUMENT", *packages}
    for relation in document["relationships"]:
        for end in ["spdxElementId", "relatedSpdxElement"]:
            if relation[end] not in ends:
                fault(SPDX, f"a relationship names {relation[end]}, which is not there")
    listed = {package.get("packageFileName"): package for package in packages.values()}
    for name in sorted(FILES - {SPDX}):
        sums = listed.get(name, {}).get("checksums", [])
        if sums != [{"algorithm": "SHA256", "checksumValue": sha256(read(name))}]:
            fault(SPDX, f"it does not have the sum of {name}")
    for package in packages.values():
        if package.get("licenseDeclared") in (None, "NOASSERTION"):
            fault(SPDX, f"{package['name']} has no licence")
    contained = {
        relation["spdxElementId"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "CONTAINS"
    }
    for name in WSL:
        if listed.get(name, {}).get("SPDXID") not in contained:
            fault(SPDX, f"it does not say what is in {name}")


def check_script():
    """install.ps1 knows its version and where the others are."""
    lines = read(SCRIPT).decode().splitlines()
    releases = f"https://github.com/{REPOSITORY}/releases"
    for line in [f"$version = '{VERSION}'", f"$releases = '{releases}'"]:
        if lines.count(line) != 1:
            fault(SCRIPT, f"it does not have exactly one line {line}")


def check_relay():
    if not is_for_windows(read(RELAY)):
        fault(RELAY, "it is not a program for Windows on x86_64")


def main():
    steps = [
        ("SHA256SUMS", check_sums),
        (RELAY, check_relay),
        *[(name, check_distro, name, machine) for name, machine in WSL.items()],
        *[(name, check_deb, name, machine) for name, machine in DEB.items()],
        *[(name, check_zip, name, package) for name, package in ZIP.items()],
        ("winget", check_winget),
        (SCOOP, check_scoop),
        (SPDX, check_contents),
        (SCRIPT, check_script),
    ]
    unknown = set(ONLY) - {name for name, *_ in steps}
    if unknown:
        sys.exit(f"release: no check is called {sorted(unknown)}")
    for name, step, *words in steps:
        if ONLY and name not in ONLY:
            continue
        try:
            step(*words)
        except Exception as error:  # A damaged file is a fault of the release, not of this program.
            fault(name, f"it cannot be read: {type(error).__name__}: {error}")
    for line in faults:
        print(f"release: {line}", file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
