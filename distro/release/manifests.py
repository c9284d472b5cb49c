"""Writes what is derived from the files of a release: archives for winget and scoop, their
manifests, and the list of contents (SPDX).

Usage: manifests.py FOLDER VERSION OWNER/NAME, with SOURCE_DATE_EPOCH set. Run in the workspace's
folder, by scripts/release. The same files give the same bytes.
"""

import datetime
import hashlib
import json
import os
import pathlib
import sys
import zipfile

FOLDER, VERSION, REPOSITORY = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
HOME = f"https://github.com/{REPOSITORY}"
DOWNLOADS = f"{HOME}/releases/download/v{VERSION}"
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
WHEN = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc)

# The kinds of Windows: how winget and scoop call them, and the package of each.
WINDOWS = {"x64": ("64bit", "underpass.wsl"), "arm64": ("arm64", "underpass-arm64.wsl")}

PUBLISHER = "The Underpass maintainers"
LICENSE = "MIT OR Apache-2.0"
SHORT = "The network for WSL 2 that keeps working when a VPN cuts it off"
LONG = (
    "Corporate VPN clients often drop what WSL's NAT forwards, but they let ordinary Windows "
    "programs through. Underpass takes all traffic of WSL 2 in a small helper distro and hands it "
    "to a Windows program that opens ordinary sockets. No administrator, no driver, and no setting "
    "in the other distros. It needs WSL 2."
)
SHORT_ZH = "VPN 切断 WSL 2 的网络后，让它继续工作"
LONG_ZH = (
    "企业 VPN 客户端常会丢弃 WSL 的 NAT 转发的流量，却放行普通的 Windows 程序。Underpass "
    "用一个小型辅助发行版接管 WSL 2 的全部流量，交给一个使用普通套接字的 Windows 程序转发。"
    "不需要管理员权限，不装驱动，也不必改动其他发行版的设置。需要 WSL 2。"
)
# What scripts/install.ps1 registers with Windows.
REGISTERED = "Underpass (underpass)"
# Of the schemas in tests/schemas.
WINGET = "1.12.0"


def sha256(name):
    """The sum of a file of the release."""
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()


def archive(windows):
    """The name of the archive for a kind of Windows."""
    return f"underpass-{VERSION}-windows-{windows}.zip"


def zip_files(archive, files):
    """Writes a ZIP archive of files, given by name and bytes."""
    # The format knows no earlier time.
    time = max(WHEN, datetime.datetime(1980, 1, 1, tzinfo=datetime.timezone.utc)).timetuple()[:6]
    with zipfile.ZipFile(FOLDER / archive, "w") as zip:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, time)
            # Of Unix, so that the modes count: rw-r--r--.
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            # A package is compressed already.
            is_packed = name.endswith(".wsl")
            entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            zip.writestr(entry, data, compresslevel=9)


def write_archive(windows):
    """Puts the package, the relay and the script that installs them into an archive."""
    package = WINDOWS[windows][1]
    files = {
        "underpass.wsl": (FOLDER / package).read_bytes(),
        "underpass-relay.exe": (FOLDER / "underpass-relay.exe").read_bytes(),
        "install.ps1": (FOLDER / "install.ps1").read_bytes(),
        # install.ps1 checks the package by it.
        "SHA256SUMS": f"{sha256(package)}  underpass.wsl\n".encode(),
    }
    for text in sorted(pathlib.Path.cwd().glob("LICENSE*")):
        files[text.name] = text.read_bytes()
    zip_files(archive(windows), files)


def yaml(value, indent=""):
    """A value as YAML. Text is written as JSON writes it, which YAML reads."""
    if isinstance(value, dict):
        lines = []
        for key, inner in value.items():
            if isinstance(inner, (dict, list)):
                lines += [f"{indent}{key}:", yaml(inner, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {json.dumps(inner, ensure_ascii=False)}")
        return "\n".join(lines)
    lines = []
    for inner in value:
        is_text = not isinstance(inner, dict)
        text = json.dumps(inner, ensure_ascii=False) if is_text else yaml(inner, indent + "  ")
        lines.append(f"{indent}- {text.lstrip()}")
    return "\n".join(lines)


def write_winget(kind, name, fields):
    """Writes one of winget's manifests."""
    identity = {"PackageIdentifier": "Underpass.Underpass", "PackageVersion": VERSION}
    fields = identity | fields | {"ManifestType": kind, "ManifestVersion": WINGET}
    schema = f"https://aka.ms/winget-manifest.{kind.lower()}.{WINGET}.schema.json"
    text = f"# yaml-language-server: $schema={schema}\n{yaml(fields)}\n"
    (FOLDER / "winget" / name).write_text(text, "utf-8")


def write_winget_manifests():
    """Writes the four that winget's repository takes, and an archive of them."""
    (FOLDER / "winget").mkdir(exist_ok=True)
    installers = [
        {
            "Architecture": windows,
            "InstallerUrl": f"{DOWNLOADS}/{archive(windows)}",
            "InstallerSha256": sha256(archive(windows)).upper(),
        }
        for windows in WINDOWS
    ]
    write_winget("version", "Underpass.Underpass.yaml", {"DefaultLocale": "en-US"})
    write_winget(
        "installer",
        "Underpass.Underpass.installer.yaml",
        {
            "Platform": ["Windows.Desktop"],
            # The first Windows 10 whose WSL has version 2 for ordinary users.
            "MinimumOSVersion": "10.0.19041.0",
            "InstallerType": "zip",
            "NestedInstallerType": "exe",
            "NestedInstallerFiles": [{"RelativeFilePath": "underpass-relay.exe"}],
            "Scope": "user",
            "InstallModes": ["interactive", "silent", "silentWithProgress"],
            # It runs install.ps1, which lies beside it, and asks nothing.
            "InstallerSwitches": {
                "Silent": "install",
                "SilentWithProgress": "install",
                "Interactive": "install",
            },
            "UpgradeBehavior": "install",
            "ElevationRequirement": "elevationProhibited",
            "UnsupportedArguments": ["log", "location"],
            "Dependencies": {"ExternalDependencies": ["Windows Subsystem for Linux 2"]},
            "ReleaseDate": WHEN.strftime("%Y-%m-%d"),
            "AppsAndFeaturesEntries": [
                {
                    "DisplayName": REGISTERED,
                    "Publisher": PUBLISHER,
                    "DisplayVersion": VERSION,
                    "ProductCode": REGISTERED,
                }
            ],
            "Installers": installers,
        },
    )
    common = {
        "Publisher": PUBLISHER,
        "PublisherUrl": f"https://github.com/{REPOSITORY.split('/')[0]}",
        "PublisherSupportUrl": f"{HOME}/issues",
        "PackageName": "Underpass",
        "PackageUrl": HOME,
        "License": LICENSE,
        "LicenseUrl": f"{HOME}/blob/v{VERSION}/LICENSE-MIT",
        "ReleaseNotesUrl": f"{HOME}/releases/tag/v{VERSION}",
    }
    if not pathlib.Path("LICENSE-MIT").exists():
        common["LicenseUrl"] = f"{HOME}/blob/v{VERSION}/LICENSE"
    tags = ["network", "proxy", "vpn", "wsl"]
    english = {"ShortDescription": SHORT, "Description": LONG, "Moniker": "underpass", "Tags": tags}
    chinese = {"ShortDescription": SHORT_ZH, "Description": LONG_ZH, "Tags": tags}
    for kind, locale, texts in [("defaultLocale", "en-US", english), ("locale", "zh-CN", chinese)]:
        fields = {"PackageLocale": locale} | common | texts
        write_winget(kind, f"Underpass.Underpass.locale.{locale}.yaml", fields)
    manifests = {file.name: file.read_bytes() for file in (FOLDER / "winget").iterdir()}
    zip_files(f"underpass-{VERSION}-winget.zip", manifests)


def write_scoop():
    """Writes scoop's manifest."""
    script = 'powershell -NoProfile -ExecutionPolicy Bypass -File "$dir\\install.ps1"'
    failed = "if ($LASTEXITCODE -ne 0) { throw 'install.ps1 failed: see above' }"
    # An update removes the old version before it installs the new one, which then would find no
    # configuration to keep.
    remove = f"if ($cmd -eq 'uninstall') {{ {script} -Uninstall; {failed} }}"
    later = f"{HOME}/releases/download/v$version/underpass-$version-windows-"
    manifest = {
        "version": VERSION,
        "description": SHORT,
        "homepage": HOME,
        "license": "MIT|Apache-2.0",
        "notes": ["How it is doing:  wsl -d underpass status"],
        "architecture": {
            scoop: {"url": f"{DOWNLOADS}/{archive(windows)}", "hash": sha256(archive(windows))}
            for windows, (scoop, _) in WINDOWS.items()
        },
        "installer": {"script": [script, failed]},
        "uninstaller": {"script": [remove]},
        "checkver": {"github": HOME},
        "autoupdate": {
            "architecture": {
                scoop: {"url": f"{later}{windows}.zip"}
                for windows, (scoop, _) in WINDOWS.items()
            },
            "hash": {"url": "$baseurl/SHA256SUMS"},
        },
    }
    text = json.dumps(manifest, indent=4, ensure_ascii=False)
    (FOLDER / "underpass-scoop.json").write_text(text + "\n", "utf-8")


def write_contents():
    """Writes what is in the release: each file, and for each distro what is in it."""
    names = (file.name for file in FOLDER.iterdir() if file.is_file())
    files = sorted(name for name in names if not name.endswith(".spdx.json"))
    packages, relationships = {}, []

    def relate(one, how, other):
        relationships.append(
            {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
        )

    for name in files:
        id = "SPDXRef-File-" + "".join(c if c.isalnum() or c in ".-" else "-" for c in name)
        packages[id] = {
            "SPDXID": id,
            "name": name,
            "versionInfo": VERSION,
            "packageFileName": name,
            "licenseDeclared": LICENSE,
            "downloadLocation": f"{DOWNLOADS}/{name}",
            "checksums": [{"algorithm": "SHA256", "checksumValue": sha256(name)}],
            "filesAnalyzed": False,
        }
        relate("SPDXRef-DOCUMENT", "DESCRIBES", id)
        contents = FOLDER / f"{name}.spdx.json"
        if contents.exists():
            for part in json.loads(contents.read_text("utf-8"))["packages"]:
                packages[part["SPDXID"]] = part
                relate(id, "CONTAINS", part["SPDXID"])
    everything = json.dumps([packages, relationships], sort_keys=True)
    digest = hashlib.sha256(everything.encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"underpass-{VERSION}",
        "documentNamespace": f"{HOME}/spdx/{VERSION}/{digest}",
        "creationInfo": {
            "created": WHEN.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: scripts/release"],
        },
        "packages": [packages[id] for id in sorted(packages)],
        "relationships": relationships,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (FOLDER / f"underpass-{VERSION}.spdx.json").write_text(text + "\n", "utf-8")


def main():
    for windows in WINDOWS:
        write_archive(windows)
    write_winget_manifests()
    write_scoop()
    write_contents()
    for contents in FOLDER.glob("*.wsl.spdx.json"):
        contents.unlink()


main()
