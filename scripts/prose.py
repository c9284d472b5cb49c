#!/usr/bin/env python3
"""Checks the project's English: scripts/prose.py [PATH...]

Reads the documents, the comments of sources and scripts, and the sentences in Rust's string
literals (messages, help, errors, assertions). Prints each sentence that breaks a rule below.

Exceptions are lines of scripts/prose.exceptions. Each has a kind:

    pending COUNT PATH      the file is not rewritten yet and has at most COUNT faults
    quotation PATH: WORDS   someone else's words, quoted unchanged
    term PATH: WORDS        a term of the field, or a name that other files use

A pending file with more faults than its count fails; so does an exception that excuses nothing.
`scripts/prose.py --shrink` lowers the counts and removes the exceptions that are not needed.
scripts/prose_test.py tests each rule.

Why not a linter from npm or PyPI: they look for other faults. In README.md, docs/security.md and
the comments of one source file (November 2026), write-good 1.0.8 reported 209 passives and adverbs,
and proselint 0.16.0 seven quotes, accents and archaisms. Both missed the sentences that this
project must avoid, such as 'A machine without IPv6 is none'. Neither reads Rust. textlint installs
140 packages and needs a plug-in of our own. The rules here are regular expressions. Python, which
the tests need anyway, applies them to the whole tree in about two seconds and without a network.
"""

import argparse
import ast
import pathlib
import re
import subprocess
import sys
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXCEPTIONS = ROOT / "scripts/prose.exceptions"
LONGEST = 40


@dataclass(frozen=True)
class Rule:
    """What a sentence must not contain, with a sentence that breaks the rule and its rewriting."""

    name: str
    pattern: str
    advice: str
    bad: str
    good: str


RULES = [
    Rule(
        "told",
        r"\b(re)?told\b|\btell(s|ing)? of\b",
        "say, report, name, notify; for 'tell apart': distinguish",
        "What the relay is told of the proxy is logged.",
        "The gateway logs the proxy settings that it sends to the relay.",
    ),
    Rule(
        "nobody",
        r"\b(nobody|no one|whoever|whomever|whosoever)\b",
        "name the person or program, or use the negation of the verb",
        "Nobody listens on the port.",
        "No program listens on the port.",
    ),
    Rule(
        "somebody",
        r"\b(some|any|every)body('s)?\b",
        "name the person or program: another user, a program, all users",
        "Somebody else has changed the file.",
        "Another program has changed the file.",
    ),
    Rule(
        "none",
        r"(?<!there )\b(is|are|was|were|be) none\b(?! of)",
        "use the noun: 'has no address', 'does not exist'",
        "A machine without IPv6 is none.",
        "Machines without IPv6 are skipped.",
    ),
    Rule(
        "mend",
        r"\b(un)?mend(s|ed|ing)?\b",
        "fix, repair, correct",
        "The doctor mends the file.",
        "The doctor repairs the file.",
    ),
    Rule(
        "but-for",
        r"\b(all|any|every\w*|nothing|none|no \w+|the same) but\b|\bbut for\b",
        "except",
        "All options but for three are keys of the file.",
        "All options except three are keys of the file.",
    ),
    Rule(
        "has-it",
        r"\bas [^.,;]{1,40} ha(s|ve) it\b|\bha(s|ve) it that\b",
        "as in, as defined by, as X describes it",
        "The check is the RFC's, as section 5 has it.",
        "The check is the one of RFC 5961, section 5.",
    ),
    Rule(
        "of-them",
        r"\b(who|what) of (the|them|these|those|it|its|what|an?)\b",
        "'which servers', 'the part of the file that'",
        "The report names who of them answers.",
        "The report names the servers that answer.",
    ),
    Rule(
        "subjunctive",
        r"\bbe (it|they|he)\b|\bit be\b|\b(lest|albeit)\b",
        "a plain clause: 'if it is', 'even if'",
        "Each packet, be it of TCP or UDP, is counted.",
        "Each packet is counted, both of TCP and of UDP.",
    ),
    Rule(
        "archaic",
        r"\b(whence|thence|whither|thither|hither|whereof|thereof|wherein|therein|whereby|herein|"
        r"thereupon|anew|afresh|nought|aught|ere|amid)\b|\blong since\b",
        "from where, of it, in which, again, so, then",
        "The flow begins anew.",
        "The flow starts again.",
    ),
    Rule(
        "is-no",
        r"(?<!there )(?<!here )\b(is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b|other\b|"
        r"later\b|earlier\b|shorter\b|greater\b|larger\b|smaller\b|better\b|worse\b|faster\b|"
        r"slower\b|matter\b|newer\b|older\b|different\b|longer\b|higher\b|lower\b)\w",
        "'is not a'",
        "A repeated fragment is no overlap.",
        "A repeated fragment is not an overlap.",
    ),
    Rule(
        "behind",
        r"\bbehind\b(?![.,;:)]| \(|$)"
        r"(?! ((a|an|the|another|its|their|that|this|one|some|such|any|no|each|every)\s)?"
        r"([\w'’-]+ )?(NAT|NATs|VPN|VPNs|proxy|proxies|router|routers|firewall|firewalls|gateway|"
        r"tunnel|load balancer|terminator|filter|filters)\b)",
        "after (time, order), below (layers), beyond (routers)",
        "The reset goes behind the data.",
        "The reset follows the data.",
    ),
    Rule(
        "came-of",
        r"\bwhat (has )?(be)?(comes?|came) of\b|\b(some|any|no)thing (comes?|came) of\b",
        "the result, the outcome, the fate of",
        "The log has what became of the request.",
        "The log has the outcome of the request.",
    ),
    Rule(
        "so-many",
        r"\b(for |of |in |at most |by |no more than )?so (many|long|often) (?!(\w+ )?(as|that)\b)"
        r"(a time|bytes|seconds|times|hops|streams|others|of|before|ago|after|in|for)\b",
        "give the number: 'that many', 'N seconds'; 'this long', 'this often'",
        "The relay waits for so many seconds.",
        "The relay waits for that many seconds.",
    ),
    Rule(
        "person",
        r"\b(he|him|his|himself|she|her|hers|herself)\b",
        "it, its; 'the user', 'they'",
        "The relay closes his socket.",
        "The relay closes its socket.",
    ),
    Rule(
        "who",
        r"\b(he|one|ones|that|those|owner|owners|server|servers|relay|relays|gateway|program|"
        r"programs|process|processes|app|apps|kernel|host|hosts|peer|peers|socket) who\b",
        "'that' or 'which' for programs and machines",
        "The relay who holds the port answers.",
        "The relay that holds the port answers.",
    ),
    Rule(
        "inverted",
        r"^(Not only|Nor |Neither (is|are|does|do|has|have) |Never (is|are|does|do|has|have) |"
        r"Seldom |Only (then|there|here|so|now|once) (is|are|does|do|has|have|can|may|will) |"
        r"So (is|are|was|were|does|do|did|has|have|it is) |"
        r"Of (those|these|them|several|some|two|three|all|many|the) [^.]{0,60}?"
        r"\b(counts?|stays?|goes|go|wins?|is|are|has|have)\b)",
        "begin with the subject: 'The last of several entries counts'",
        "Not only does the relay connect, it also resolves.",
        "The relay connects and resolves.",
    ),
    Rule(
        "what-clause",
        r"^(What|Who|Whose|Whom) [^?,]{3,80}, [^?]*[^?]$|"
        r"^(What|Who|Whose|Whom) (\S+ ){0,9}?(is|are|was|has|goes|stays|comes|says|does|gets|must|"
        r"may|can|cannot|will) (\S+ ){0,14}?(is|are|was|goes|stays|comes|says|does|gets|must|may|"
        r"can|cannot|will|has|have|counts|fails|waits|ends|begins|takes|gives|makes|falls)\b[^?]*$",
        "begin with a noun as the subject",
        "What cannot be fixed is reported.",
        "Problems that you must fix yourself are reported.",
    ),
    Rule(
        "ellipsis",
        r"^(It|He|They|This|That|These|Those|One|The \w+) "
        r"(has|have|does|do|did|is|are|was|were|can|may|must|will) not[.,;:]",
        "complete the sentence: 'does not have IPv6'",
        "It has not.",
        "The host has no IPv6.",
    ),
    Rule(
        "sake",
        r"\bfor [^.,;]{1,40}['’]s?s? sake\b|\bfor the sake of\b|\bwithout a word\b|"
        r"\b(has|have|had) (its|the|their|a) say\b|\bminds? it not\b|\bnever mind\b",
        "for, because of, silently",
        "The entry is dropped without a word.",
        "The entry is dropped silently.",
    ),
]
PATTERNS = {
    rule.name: re.compile(rule.pattern, 0 if rule.pattern.startswith("^") else re.IGNORECASE)
    for rule in RULES
}


@dataclass(frozen=True)
class Text:
    """A paragraph of a file, without its comment markers; `line` is its first, from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class Fault:
    """A sentence that breaks a rule."""

    line: int
    rule: str
    words: str
    sentence: str


RUST_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
      | (?P<block>/\*.*?\*/)
      | (?P<raw>\bb?r(?P<hashes>\#*)".*?"(?P=hashes))
      | (?P<string>\b[bc]?"(?:[^"\\]|\\.)*"|"(?:[^"\\]|\\.)*")
      | (?P<char>b?'(?:[^'\\\n]|\\(?:x..|u\{[^}]*\}|.))')""",
    re.VERBOSE | re.DOTALL,
)


def paragraphs(lines):
    """Joins (number, text) lines into paragraphs; skips code blocks; splits list items."""
    fence = False
    current, start = [], 0

    def flush():
        nonlocal current
        if current:
            yield Text(start, " ".join(current))
        current = []

    last = None
    for number, line in lines:
        stripped = line.strip()
        apart = last is not None and number != last + 1
        last = number
        if stripped.startswith(("```", "~~~")):
            fence = not fence
            yield from flush()
            continue
        if fence:
            continue
        if not stripped or apart:
            yield from flush()
        if not stripped or line.startswith("    ") and not current:
            continue
        columns = re.search(r"\S {2,}\S", stripped)
        if columns or re.match(r"([-*+]|\d+\.)\s|#|>|\|", stripped):
            yield from flush()
        if stripped.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", stripped.strip("|")):
                if re.search(r"\w", cell):
                    yield Text(number, cell.strip())
            continue
        if not current:
            start = number
        current.append(re.sub(r"^([-*+]|\d+\.|#+|>)\s+", "", stripped))
        if columns:
            yield from flush()
    yield from flush()


def is_prose(text):
    """Whether a string literal is a sentence for people: four words at least, in a row."""
    return re.search(r"[A-Za-z]{2,},? [A-Za-z]+,? [A-Za-z]+,? [A-Za-z]{2,}", text) is not None


def rust(source):
    """Comments and sentences in string literals."""
    comments, before = [], None
    for found in RUST_TOKEN.finditer(source):
        number = source.count("\n", 0, found.start()) + 1
        if found["comment"]:
            text = found["comment"]
            kind = text[:3] if text[:3] in ("///", "//!") else "//"
            alone = not source[source.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
            if comments and (kind != before or not alone):
                yield from paragraphs(comments)
                comments = []
            before = kind
            comments.append((number, re.sub(r"^//[/!]? ?", "", text)))
        elif found["string"]:
            yield from paragraphs(comments)
            comments = []
            text = re.sub(r"^[bc]?\"|\"$", "", found["string"])
            if re.search(r"\n(import|from|def|class|for|if|try|while) ", text):
                yield from (Text(number + item.line - 1, item.text) for item in script(text))
                continue
            text = re.sub(r"\\\n\s*", "", text)
            for piece in re.split(r"\\n|\n", text):
                piece = piece.replace('\\"', '"').replace("\\t", " ")
                if is_prose(piece):
                    yield Text(number, piece.strip())
    yield from paragraphs(comments)


def python(source):
    """Comments and docstrings."""
    yield from script(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield from paragraphs(enumerate(text.split("\n"), node.body[0].lineno))


def c(source):
    """Block comments."""
    for found in re.finditer(r"/\*(.*?)\*/", source, re.DOTALL):
        number = source.count("\n", 0, found.start()) + 1
        lines = (re.sub(r"^\s*\* ?", "", line).strip() for line in found[1].split("\n"))
        yield from paragraphs(enumerate(lines, number))


def script(source):
    """Whole-line comments that begin with #."""
    lines = []
    for number, line in enumerate(source.split("\n"), 1):
        found = re.match(r"\s*#(?![!\[<>])\s?(.*)", line)
        if found:
            lines.append((number, found[1]))
    return paragraphs(lines)


def markdown(source):
    """The text of a document."""
    return paragraphs(enumerate(re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL).split("\n"), 1))


def texts(path, source):
    """The texts of a file, by its name."""
    if path.endswith(".rs"):
        return rust(source)
    if path.endswith(".md"):
        return markdown(source)
    if path.endswith(".py"):
        return python(source)
    if path.endswith(".c"):
        return c(source)
    return script(source)


def plain(text):
    """Text without code, links' targets and quotations."""
    text = re.sub(r"\{[\w.:#?<>{}\s]*\}", "CODE", text)
    text = re.sub(r"``.*?``|`[^`]*`", "CODE", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\*\*|__|[\"“][^\"”]{1,80}[\"”]", "", text)


def sentences(text):
    """Splits a paragraph at full stops, question marks, and the like."""
    return re.split(r"(?<=[.!?])[)\"']*\s+(?=[A-Z`\"'(])", text)


def faults(path, source):
    """All faults of a file."""
    for item in texts(path, source):
        for sentence in sentences(plain(item.text)):
            for rule in RULES:
                found = PATTERNS[rule.name].search(sentence)
                if found:
                    yield Fault(item.line, rule.name, found[0], sentence)
            words = len(re.findall(r"[\w'’-]*[A-Za-z][\w'’-]*", sentence))
            if words > LONGEST:
                yield Fault(item.line, "long", f"{words} words", sentence)


CHECKED = re.compile(
    r"(?!tests/fuzz/(corpus|seeds))(.*\.(rs|py|c|ps1|sh|service|toml|yml)|scripts/[^./]+|distro/.*|"
    r"(docs/)?[^/]*\.md|(crates|tests|bench)/.*README\.md)"
)


def checked(paths):
    """The files to check: tracked ones and new ones, without translations."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\n")
    return sorted(
        {
            path
            for path in listed
            if CHECKED.fullmatch(path)
            and "zh-CN" not in path
            and not re.search(r"scripts/prose(_test)?\.py$", path)
            and (ROOT / path).is_file()
        }
    )


@dataclass
class Excuse:
    """A line of the exceptions; `used` counts the faults that it excuses."""

    kind: str
    path: str
    words: str = ""
    count: int = 0
    used: int = 0

    def __str__(self):
        if self.kind == "pending":
            return f"pending {self.count} {self.path}"
        return f"{self.kind} {self.path}: {self.words}"


def read_excuses(text):
    """The exceptions of a file, which may hold comments and empty lines."""
    excuses = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if found := re.fullmatch(r"pending (\d+) (\S+)", line):
            excuses.append(Excuse("pending", found[2], count=int(found[1])))
        elif found := re.fullmatch(r"(quotation|term) (\S+): (.+)", line):
            excuses.append(Excuse(found[1], found[2], words=found[3]))
        else:
            sys.exit(f"prose: this line of {EXCEPTIONS.name} has no known form: {line}")
    return excuses


def excused(fault, path, excuses):
    """Whether a quotation or a term excuses a fault."""
    for excuse in excuses:
        if excuse.kind != "pending" and excuse.path == path and excuse.words in fault.sentence:
            excuse.used += 1
            return True
    return False


def check(paths, excuses):
    """The faults that no exception excuses: {path: [fault]}."""
    remaining = {}
    for path in paths:
        source = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        found = [fault for fault in faults(path, source) if not excused(fault, path, excuses)]
        for excuse in excuses:
            if excuse.kind == "pending" and excuse.path == path:
                excuse.used = len(found)
                found = found if len(found) > excuse.count else []
        if found:
            remaining[path] = found
    return remaining


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", help="files or folders; without one, everything")
    parser.add_argument("--all", action="store_true", help="without the exceptions")
    parser.add_argument("--shrink", action="store_true", help="lower the counts of exceptions")
    parser.add_argument("--accept", action="store_true", help="list what fails as pending")
    options = parser.parse_args()
    text = EXCEPTIONS.read_text(encoding="utf-8") if EXCEPTIONS.exists() else ""
    excuses = [] if options.all else read_excuses(text)
    paths = checked(options.paths)
    remaining = check(paths, excuses)
    unused = [excuse for excuse in excuses if excuse.used == 0] if not options.paths else []
    if options.shrink or options.accept:
        head = [line for line in text.splitlines() if not line.strip() or line.startswith("#")]
        for excuse in excuses:
            if excuse.kind == "pending":
                excuse.count = min(excuse.count, excuse.used)
        if options.accept:
            excuses = [item for item in excuses if item.path not in remaining or item.words]
            excuses += [
                Excuse("pending", path, count=len(found), used=len(found))
                for path, found in remaining.items()
            ]
            remaining = {}
        excuses = sorted(excuses, key=lambda excuse: (excuse.path, excuse.kind, excuse.words))
        kept = [str(excuse) for excuse in excuses if excuse.used]
        EXCEPTIONS.write_text("\n".join([*head, *kept]) + "\n", encoding="utf-8")
        unused = []
    for path, found in remaining.items():
        for fault in found:
            advice = next((rule.advice for rule in RULES if rule.name == fault.rule), "split it")
            print(f"{path}:{fault.line}: {fault.rule} ('{fault.words.strip()}'): {advice}")
            print(f"    {fault.sentence}")
    for excuse in unused:
        print(f"{EXCEPTIONS.name}: this excuses nothing; remove it (--shrink does): {excuse}")
    count = sum(map(len, remaining.values()))
    if count or unused:
        print(f"prose: {count} faults in {len(remaining)} files", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
