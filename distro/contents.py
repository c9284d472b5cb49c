"""Lists the distro's contents as SPDX 2.3 (JSON) on standard output, and copies their licences.

Usage: contents.py ROOT x86_64|aarch64, with SOURCE_DATE_EPOCH set. Run in the workspace's folder.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT, PROCESSOR = pathlib.Path(sys.argv[1]), sys.argv[2]
LICENSES = ROOT / "usr/share/licenses"

# The programs in the distro, and their targets.
PROGRAMS = {
    "underpass": f"{PROCESSOR}-unknown-linux-gnu",
    "underpass-relay": "x86_64-pc-windows-gnu",
}
FILES = {"underpass": "usr/bin/underpass", "underpass-relay": "usr/bin/underpass-relay.exe"}

GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
# Files of Debian's packages in the distro, or linked into its programs, and their licences.
# A word with `/` before it is a file of this machine; `PACKAGE for ARCHITECTURE` was unpacked by
# scripts/foreign-package.
DEBIAN = {
    "x86_64": {
        "/bin/busybox": "GPL-2.0-only",
        "/usr/lib/x86_64-linux-gnu/libc.a": "LGPL-2.1-or-later",
        "libgcc.a of gcc": GCC,
    },
    "aarch64": {
        "busybox-static for arm64": "GPL-2.0-only",
        "/usr/aarch64-linux-gnu/lib/libc.a": "LGPL-2.1-or-later",
        "libgcc.a of aarch64-linux-gnu-gcc": GCC,
    },
}[PROCESSOR] | {
    "libgcc.a of x86_64-w64-mingw32-gcc": GCC,
    "/usr/x86_64-w64-mingw32/lib/libmingw32.a": "MIT",
}


def crates():
    """The crates that are linked into each program, without those that only build it."""
    found = {}
    for program, target in PROGRAMS.items():
        words = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={target}"]
        metadata = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
        packages = {package["id"]: package for package in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        todo = [id for id, package in packages.items() if package["name"] == program]
        seen = set(todo)
        while todo:
            id = todo.pop()
            found[id] = packages[id]
            for dependency in nodes[id]["deps"]:
                linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
                macro = any("proc-macro" in target["kind"] for target in packages[dependency["pkg"]]["targets"])
                if linked and not macro and dependency["pkg"] not in seen:
                    seen.add(dependency["pkg"])
                    todo.append(dependency["pkg"])
    return sorted(found.values(), key=lambda package: (package["name"], package["version"]))


def said(*words):
    """What a program prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def debian_package(file):
    """The name and version of the package that a file is of, and the file of its copyright."""
    if " for " in file:
        name, architecture = file.split(" for ")
        folder = pathlib.Path("target/packages", architecture, name)
        version = re.search("^Version: (.*)$", (folder / "control").read_text(), re.MULTILINE)[1]
        return name, version, folder / "root/usr/share/doc" / name / "copyright"
    if file.startswith("libgcc.a of "):
        file = said(file.removeprefix("libgcc.a of "), "-print-libgcc-file-name")
    try:
        owner = said("dpkg-query", "--search", file)
    except subprocess.CalledProcessError:
        # If /bin is a link to /usr/bin, packages use either name.
        owner = said("dpkg-query", "--search", f"/usr{file}")
    name = owner.split(":")[0].split(",")[0]
    version = said("dpkg-query", "--show", "--showformat=${Version}", name)
    return name, version, pathlib.Path("/usr/share/doc", name, "copyright")


def standard_libraries():
    """The versions of Rust's standard library in the programs, by the paths in its messages."""
    found = set()
    for file in FILES.values():
        # Of Debian's compiler. rustup's has the hash of a commit there.
        versions = re.findall(rb"/usr/src/rustc-([0-9.]+)/", (ROOT / file).read_bytes())
        found |= set(map(bytes.decode, versions)) or {said("rustc", "--version").split()[1]}
    return sorted(found)


def keep_licenses(name, folder):
    """Copies the licence files of a crate."""
    to = LICENSES / name
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")):
            to.mkdir(parents=True, exist_ok=True)
            (to / file.name).write_bytes(file.read_bytes())


def part(name, version, license, source):
    """A package of the document."""
    return {
        "SPDXID": "SPDXRef-" + "".join(c if c.isalnum() else "-" for c in f"{name}-{version}"),
        "name": name,
        "versionInfo": version,
        "licenseDeclared": license.replace("/", " OR ") if license else "NOASSERTION",
        "downloadLocation": source or "NOASSERTION",
        "filesAnalyzed": False,
    }


def main():
    parts = []
    for crate in crates():
        source = f"https://crates.io/crates/{crate['name']}/{crate['version']}" if crate["source"] else None
        parts.append(part(crate["name"], crate["version"], crate["license"], source))
        if crate["source"]:
            keep_licenses(f"{crate['name']}-{crate['version']}", pathlib.Path(crate["manifest_path"]).parent)
    for file, license in DEBIAN.items():
        name, version, text = debian_package(file)
        parts.append(part(name, version, license, f"https://packages.debian.org/{name}"))
        (LICENSES / name).mkdir(parents=True, exist_ok=True)
        (LICENSES / name / "copyright").write_bytes(text.read_bytes())
    for rust in standard_libraries():
        source = "https://github.com/rust-lang/rust"
        parts.append(part("rust-std", rust, "MIT OR Apache-2.0", source))
    keep_licenses("underpass", pathlib.Path.cwd())
    when = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "underpass.wsl",
        "documentNamespace": f"https://underpass.invalid/spdx/{digest}",
        "creationInfo": {"created": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: distro/contents.py"]},
        "packages": parts,
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": part["SPDXID"]}
            for part in parts
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


main()
