"""Judges the line coverage that scripts/coverage has measured: `coverage.py FILE [--uncovered]`."""

import os
import sys

# Part, folders and files, minimum percentage of its lines.
PARTS = [
    ("stack", ["crates/stack/src/"], 90),
    ("wire", ["crates/wire/src/"], 90),
    ("proxies' dialogs", ["crates/proxy/src/"], 90),
    (
        "DNS",
        [
            "crates/gateway/src/dns/",
            "crates/gateway/src/names/",
            "crates/gateway/src/engine/dns.rs",
        ],
        90,
    ),
    ("engine", ["crates/gateway/src/engine/"], 80),
]

# Code that is a test although its file is not named so.
TESTS = [
    "crates/gateway/src/engine/hostile",
    "crates/gateway/src/engine/model/",
    "crates/gateway/src/engine/pretend/",
    "crates/gateway/src/engine/scripted/",
]


def product_lines(path):
    """How many lines of a file come before the tests at its end."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, (line, following) in enumerate(zip(lines, lines[1:]), 1):
        if line == "#[cfg(test)]" and following.startswith("mod ") and following.endswith("{"):
            return number - 1
    return len(lines)


def read(lcov):
    """For each file of the project its lines that are code, and how often each ran."""
    files, lines, end = {}, {}, 0
    with open(lcov, encoding="utf-8") as report:
        for record in report:
            key, _, value = record.strip().partition(":")
            if key == "SF":
                path = os.path.relpath(value)
                is_test = (
                    path.endswith("tests.rs")
                    or "/tests/" in path
                    or any(path.startswith(test) for test in TESTS)
                )
                end = 0 if is_test or not os.path.exists(path) else product_lines(path)
                lines = files.setdefault(path, {})
            elif key == "DA":
                number, count = (int(part) for part in value.split(",")[:2])
                if number <= end:
                    lines[number] = max(count, lines.get(number, 0))
    return files


def main():
    files = read(sys.argv[1])
    failed = False
    print(f"{'part':<18} {'lines':>6} {'reached':>8} {'per cent':>9} {'at least':>9}")
    for name, places, least in PARTS:
        chosen = {
            path: lines
            for path, lines in files.items()
            if any(path.startswith(place) for place in places)
        }
        total = sum(len(lines) for lines in chosen.values())
        reached = sum(count > 0 for lines in chosen.values() for count in lines.values())
        share = 100 * reached / total if total else 0
        failed |= share < least
        fault = "  too few" if share < least else ""
        print(f"{name:<18} {total:>6} {reached:>8} {share:>9.1f} {least:>9}{fault}")
        if "--uncovered" in sys.argv:
            for path, lines in sorted(chosen.items()):
                missed = [number for number, count in sorted(lines.items()) if count == 0]
                if missed:
                    print(f"    {path}: {len(lines) - len(missed)} of {len(lines)}, not {missed}")
    sys.exit(1 if failed else 0)


main()
