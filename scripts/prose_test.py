#!/usr/bin/env python3
"""Tests of scripts/prose.py: every rule, every kind of text, and the exceptions."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import prose


def rules(sentence, path="a.md"):
    """The names of the rules that a text breaks."""
    return [fault.rule for fault in prose.faults(path, sentence)]


def seen(path, source):
    """The texts that the linter reads of a file, with their lines."""
    return [(item.line, item.text) for item in prose.texts(path, source)]


class Rules(unittest.TestCase):
    def test_each_rule_fails_its_sentence_and_passes_the_rewriting(self):
        for rule in prose.RULES:
            with self.subTest(rule.name):
                self.assertIn(rule.name, rules(rule.bad))
                self.assertEqual(rules(rule.good), [])

    def test_the_sentences_of_the_house_style(self):
        """From the table of the old dialect: each on the left fails, each on the right passes."""
        for bad, good in [
            (
                "The modes are told, and served, and WSL's own ways stay.",
                "Other networking modes are detected and left unchanged.",
            ),
            (
                "What somebody changed since stays, and is told.",
                "Later edits are kept and reported.",
            ),
            ("What cannot be mended is told with its fix.", "Problems that you must fix yourself:"),
            (
                "Its options, which (but for three) are keys of a TOML file.",
                "All options except three can also be set in the configuration file.",
            ),
            ("A machine without IPv6 is none.", "Machines without IPv6 are skipped."),
            ("Nobody is asked; who of them answers.", "No server is queried."),
            ("It has not.", "The host has no IPv6."),
        ]:
            with self.subTest(bad):
                self.assertNotEqual(rules(bad), [])
                self.assertEqual(rules(good), [])

    def test_ordinary_english_passes(self):
        for sentence in [
            "There is no longer a route, and there are none in this table.",
            "The VM is behind a NAT, and the company's server is behind the VPN.",
            "It leaves nothing behind.",
            "Half of the number space away is neither ahead nor behind (RFC 9293).",
            "What is a stale rule?",
            "A reset is noticed but ignored.",
            "The host has none of the addresses.",
            "It is no longer needed; the timer is no more than a hint.",
            "Users who mind their passwords write them into a file.",
            "It waits for so long that the peer gives up.",
            "See the section 'What it changes'.",
        ]:
            with self.subTest(sentence):
                self.assertEqual(rules(sentence), [])

    def test_a_sentence_has_at_most_forty_words(self):
        most = "The relay " + "word " * 37 + "ends."
        self.assertEqual(rules(most), [])
        self.assertEqual(rules("And " + most), ["long"])
        self.assertEqual(rules(f"{most} {most}"), [])

    def test_code_and_quotations_are_not_english(self):
        self.assertEqual(rules("The function `nobody_told` and {told} of the format."), [])
        self.assertEqual(rules('WSL prints "nobody is told" there.'), [])
        self.assertEqual(rules("Nobody runs `up`."), ["nobody"])


class Texts(unittest.TestCase):
    def test_comments_and_sentences_of_rust(self):
        source = "\n".join(
            [
                "//! The head",
                "//! of a module.",
                "//!",
                "//! - an item",
                "const URL: &str = \"http://x//y\"; // aside",
                "/// A field's",
                "/// comment.",
                "// Another one.",
                "fn f<'a>(c: char) {",
                "    assert!(c != '\"', \"a sentence for \\",
                "            people to read\");",
                "    let raw = r#\"no // comment \" here\"#;",
                "    let short = \"two words\";",
                "}",
            ]
        )
        self.assertEqual(
            seen("a.rs", source),
            [
                (1, "The head of a module."),
                (4, "an item"),
                (5, "aside"),
                (6, "A field's comment."),
                (8, "Another one."),
                (10, "a sentence for people to read"),
            ],
        )

    def test_code_blocks_of_comments_and_documents_are_skipped(self):
        block = "//! ```\n//! nobody\n//! ```\n//! Text.\n"
        self.assertEqual(seen("a.rs", block), [(4, "Text.")])
        document = "# Head\n\nText.\n\n    indented code\n\n```\nnobody\n```\n<!-- nobody -->\n"
        self.assertEqual(seen("a.md", document), [(1, "Head"), (3, "Text.")])

    def test_cells_of_tables_stand_alone(self):
        table = "| one | two |\n|---|---|\n| It has not. | b |\n"
        cells = [text for _, text in seen("a.md", table)]
        self.assertEqual(cells, ["one", "two", "It has not.", "b"])

    def test_comments_of_scripts_and_of_programs_in_strings(self):
        self.assertEqual(
            seen("a.sh", "#!/bin/sh\n# One\n# text.\necho '# no comment'\n    # Another.\n"),
            [(2, "One text."), (5, "Another.")],
        )
        program = "const P: &str = \"\nimport os\n# Told.\n\";"
        self.assertEqual(seen("a.rs", program), [(3, "Told.")])
        self.assertEqual(seen("a.py", '"""Head."""\n# Note.\n'), [(2, "Note."), (1, "Head.")])
        self.assertEqual(seen("a.c", "/* One\n * text. */\nint x;"), [(1, "One text.")])

    def test_line_numbers_are_those_of_the_paragraph(self):
        source = "// Good.\n\n// Nobody is\n// here.\n"
        found = [(fault.line, fault.rule) for fault in prose.faults("a.rs", source)]
        self.assertEqual(found, [(3, "nobody")])


class Exceptions(unittest.TestCase):
    """The command against a small tree of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "scripts").mkdir()
        source = (prose.ROOT / "scripts/prose.py").read_text(encoding="utf-8")
        (self.root / "scripts/prose.py").write_text(source, encoding="utf-8")
        subprocess.run(["git", "init", "--quiet", self.root], check=True)

    def write(self, name, text):
        (self.root / name).write_text(text, encoding="utf-8")

    def run_it(self, *options):
        words = [sys.executable, self.root / "scripts/prose.py", *options]
        done = subprocess.run(words, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def listed(self):
        return (self.root / "scripts/prose.exceptions").read_text(encoding="utf-8").split("\n")[:-1]

    def test_a_fault_fails_with_place_rule_and_advice(self):
        self.write("a.md", "Good.\n\nNobody listens.\n")
        code, output = self.run_it()
        self.assertEqual(code, 1)
        self.assertIn("a.md:3: nobody ('Nobody'): name the person or program", output)

    def test_a_tree_without_faults_passes(self):
        self.write("a.md", "No program listens.\n")
        self.assertEqual(self.run_it(), (0, ""))

    def test_a_pending_file_has_at_most_its_faults(self):
        self.write("a.md", "Nobody listens.\n")
        self.write("scripts/prose.exceptions", "pending 1 a.md\n")
        self.assertEqual(self.run_it()[0], 0)
        self.write("a.md", "Nobody listens.\n\nNobody asks.\n")
        self.assertEqual(self.run_it()[0], 1)

    def test_an_exception_that_excuses_nothing_fails_and_shrinks_away(self):
        self.write("a.md", "No program listens.\n")
        self.write("b.md", "Nobody listens.\n")
        self.write("scripts/prose.exceptions", "# Head.\npending 1 a.md\npending 3 b.md\n")
        code, output = self.run_it()
        self.assertEqual(code, 1)
        self.assertIn("pending 1 a.md", output)
        self.assertEqual(self.run_it("--shrink")[0], 0)
        self.assertEqual(self.listed(), ["# Head.", "pending 1 b.md"])

    def test_words_are_excused_in_one_file_only(self):
        for name in ["a.md", "b.md"]:
            self.write(name, "The user nobody owns the folder.\n")
        self.write("scripts/prose.exceptions", "term a.md: The user nobody\n")
        code, output = self.run_it()
        self.assertEqual((code, "b.md:1" in output, "a.md" in output), (1, True, False))

    def test_an_unknown_form_is_an_error(self):
        self.write("scripts/prose.exceptions", "whatever a.md\n")
        self.assertIn("no known form: whatever a.md", self.run_it()[1])


class Tree(unittest.TestCase):
    def test_every_kind_of_text_is_checked_and_translations_are_not(self):
        files = prose.checked([])
        for path in [
            "README.md",
            "docs/security.md",
            "crates/README.md",
            "crates/messages/src/lib.rs",
            "crates/underpass/src/cli.rs",
            "scripts/test",
            "scripts/verify-windows.ps1",
            "tests/lab/src/programs/transfer.py",
            "distro/rootfs/usr/lib/underpass/boot",
        ]:
            self.assertIn(path, files)
        self.assertFalse([path for path in files if "zh-CN" in path or path == "Cargo.lock"])


if __name__ == "__main__":
    unittest.main()
