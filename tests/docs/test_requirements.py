#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of docs/requirements.py on a made-up tree: does it find what is wrong?"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docs/requirements.py"

FILES = {
    "docs/requirements.list": """\
[000 First thread: 3]
000-01  Something is so
\tby src/a.c docs/page.md
000-02  Something else
\tby src/a.c
000-03  What cannot be tested
\tby docs/page.md
\twhy it is about the future

[001 Second thread: 2]
001-01  One thing
\tby src/a.c
001-02  Another
\tby src/a.c
\totherwise docs/page.md#why-not: it is done in another way
""",
    "docs/page.md": "# Page\n\n## Why not?\n",
    "src/a.c": "",
    "tests/unit/meson.build": "unit_tests = { 'core': [['good']] }\n",
    "tests/unit/core/good_test.c": """\
/* Answers 000-01. In a comment that goes on. */
TEST_BOTH(one_thing)
{
}

TEST(req_000_02_the_name_says_it)
{
}
""",
    "tests/run.sh": "#!/bin/sh\n# Answers 001-01. In a script.\nrun() {\n}\n",
}


class Tree(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.root = Path(self.dir.name)
        for name, text in FILES.items():
            self.write(name, text)

    def tearDown(self):
        self.dir.cleanup()

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def change(self, name, old, new):
        text = (self.root / name).read_text()
        self.assertIn(old, text)
        self.write(name, text.replace(old, new))

    def run_it(self, *args):
        return subprocess.run([sys.executable, SCRIPT, "--root", self.root, *args],
                              capture_output=True, text=True)

    def page(self):
        return (self.root / "docs/requirements.md").read_text()

    def good(self):
        done = self.run_it()
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        done = self.run_it("--check")
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def bad(self, *messages):
        for args in [(), ("--check",)]:
            done = self.run_it(*args)
            self.assertEqual(1, done.returncode, done.stdout)
            for message in messages:
                self.assertIn(message, done.stderr)


class Good(Tree):
    def test_page_names_tests_files_and_reasons(self):
        self.good()
        page = self.page()
        self.assertIn("5 requirements: 3 tested, 1 answered otherwise, 1 stated; "
                      "3 tests are marked.", page)
        self.assertIn("| 000-01 | Something is so | [a.c](../src/a.c), [page.md](page.md) | "
                      "[one_thing](../tests/unit/core/good_test.c) | tested |", page)
        self.assertIn("[req_000_02_the_name_says_it]", page)
        self.assertIn("stated: it is about the future", page)
        self.assertIn("[run](../tests/run.sh)", page)
        self.assertIn("[otherwise](page.md#why-not): it is done in another way", page)

    def test_lists_in_comments_may_break(self):
        self.change("tests/unit/core/good_test.c", "/* Answers 000-01. In",
                    "/*\n * Answers 000-01,\n * 001-02. In")
        self.good()
        self.assertEqual(2, self.page().count("[one_thing]"))

    def test_functions_may_be_marked(self):
        self.change("tests/unit/core/good_test.c", "TEST_BOTH(one_thing)",
                    "static void one_thing(void)")
        self.good()
        self.assertIn("[one_thing]", self.page())

    def test_missing_lists_what_is_open(self):
        self.change("tests/run.sh", "# Answers 001-01.", "#")
        done = self.run_it("--missing")
        self.assertEqual((0, "001-01  One thing\n"), (done.returncode, done.stdout))
        self.assertFalse((self.root / "docs/requirements.md").exists())


class Bad(Tree):
    def test_missing_mark(self):
        self.good()
        self.change("tests/unit/core/good_test.c", "/* Answers 000-01. In", "/* In")
        self.bad("000-01: neither a test nor a stated reason")

    def test_renamed_test(self):
        self.good()
        self.change("tests/unit/core/good_test.c", "req_000_02_", "")
        self.bad("000-02: neither a test nor a stated reason")

    def test_unknown_id(self):
        self.change("tests/run.sh", "Answers 001-01", "Answers 001-01, 001-03")
        self.bad("tests/run.sh: run: there is no requirement 001-03")

    def test_unknown_id_in_a_name(self):
        self.change("tests/unit/core/good_test.c", "req_000_02_", "req_000_04_")
        self.bad("there is no requirement 000-04")

    def test_removed_file(self):
        self.good()
        (self.root / "src/a.c").unlink()
        self.bad("000-02: there is no src/a.c")

    def test_removed_heading(self):
        self.change("docs/page.md", "Why not?", "Because")
        self.bad("001-02: there is no docs/page.md#why-not")

    def test_page_that_is_out_of_date(self):
        self.good()
        self.change("docs/requirements.list", "Something is so", "Something is not so")
        done = self.run_it("--check")
        self.assertEqual(1, done.returncode)
        self.assertIn("out of date", done.stderr)
        self.good()

    def test_no_page(self):
        done = self.run_it("--check")
        self.assertEqual(1, done.returncode)
        self.assertIn("out of date", done.stderr)

    def test_mark_above_nothing(self):
        self.change("tests/unit/core/good_test.c", "TEST_BOTH(one_thing)\n{\n}", "#define A 1")
        self.bad("good_test.c: a mark that cannot be read, or above no test")

    def test_mark_that_cannot_be_read(self):
        self.change("tests/unit/core/good_test.c", "Answers 000-01.", "It Answers 000-01.")
        self.bad("good_test.c: a mark that cannot be read, or above no test")

    def test_test_that_is_not_built(self):
        self.change("tests/unit/meson.build", "'good'", "'other'")
        self.bad("good_test.c: has marks, and is in no meson.build")

    def test_requirement_that_is_gone_from_the_list(self):
        self.change("docs/requirements.list", "000-03  What", "000-04  What")
        self.bad("000-03: listed 0 times", "000-04: listed 1 times")

    def test_requirement_that_is_there_twice(self):
        self.change("docs/requirements.list", "000-03  What", "000-02  What")
        self.bad("000-02: listed 2 times", "000-03: listed 0 times")

    def test_reason_beside_a_test(self):
        self.change("tests/run.sh", "Answers 001-01.", "Answers 000-03, 001-01.")
        self.bad("000-03: has tests, so it needs no reason")

    def test_nothing_answers(self):
        self.change("docs/requirements.list", "001-01  One thing\n\tby src/a.c", "001-01  One thing")
        self.bad("001-01: no file answers it")


if __name__ == "__main__":
    unittest.main()
