#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write docs/requirements.md: what the record asks for, what answers it, and the test that shows it.

docs/requirements.list has the requirements, each with the files that answer it. Tests say
themselves which of them they show, in one of these ways:

  TEST(req_000_05_pasids_are_allocated_and_freed)
  /* Answers 000-23, 000-24. */     directly above a TEST(), or a function of a test in C
  # Answers 000-39.                 in a script; directly above a function it is that function's

  requirements.py            write docs/requirements.md
  requirements.py --check    compare with the committed page; 1 if it is out of date
  requirements.py --missing  print what has neither a test nor a reason, and write nothing
  --root DIR                 of another tree than this one

It is an error, and exit status 1, if a requirement has neither a test nor a stated reason; if
a mark names none, or stands above no test; if a test file is not built; or if a file or a heading
that the list names is not there.
"""

import argparse
import re
import sys
from pathlib import Path

TEST_DIRS = ["tests", "examples"]
SHOWN = 3  # tests named for each requirement

ID = r"\d{3}-\d{2}"
IDS = rf"{ID}(?:,\s*{ID})*"
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# What a mark stands above: a test, or a function.
HEAD = re.compile(r"\s*(?:TEST\w*\(\s*(\w+)|(?:static\s+|inline\s+)*[a-z_]\w*[\w\s*]*?\b(\w+)\()")
SCRIPT_HEAD = re.compile(r"[^\S\n]*(?:def\s+(\w+)|(?:function\s+)?(\w+)\s*\(\))")


# The list


class Requirement:
    def __init__(self, ident, text):
        self.id, self.text = ident, text
        self.files, self.why, self.otherwise, self.link = [], "", "", ""
        self.tests = []


class List:
    """[(title, [Requirement])] in the file's order, and what is wrong with it."""

    def __init__(self, root):
        self.path = root / "docs/requirements.list"
        self.root, self.groups, self.problems = root, [], []
        wanted = []
        for number, line in enumerate(self.path.read_text().splitlines(), 1):
            title = re.fullmatch(r"\[(\d{3}) (.+): (\d+)\]", line)
            entry = re.fullmatch(rf"({ID})\s+(\S.*)", line)
            more = re.fullmatch(r"\s+(by|why|otherwise)\s+(\S.*)", line)
            if title:
                self.groups.append((title.group(2), []))
                wanted += [f"{title.group(1)}-{i:02}" for i in range(1, int(title.group(3)) + 1)]
            elif entry and self.groups:
                self.groups[-1][1].append(Requirement(*entry.groups()))
            elif more and self.groups and self.groups[-1][1]:
                self.add(self.groups[-1][1][-1], *more.groups())
            elif line.strip() and not line.startswith("#"):
                sys.exit(f"requirements: {self.path}:{number}: cannot be read: {line}")
        have = [r.id for r in self]
        for ident in sorted(set(wanted) ^ set(have)) + [i for i in set(have) if have.count(i) > 1]:
            self.wrong(f"{ident}: listed {have.count(ident)} times")

    def __iter__(self):
        return (r for _, group in self.groups for r in group)

    def wrong(self, what):
        self.problems.append(what)

    def add(self, req, what, text):
        if what == "by":
            req.files += text.split()
            for name in text.split():
                if not (self.root / name).exists():
                    self.wrong(f"{req.id}: there is no {name}")
        elif what == "why":
            req.why = (req.why + " " + text).strip()
        else:
            match = re.fullmatch(r"(docs/[\w./-]+)#([\w-]+): (.+)", text)
            if req.otherwise:
                self.wrong(f"{req.id}: is answered otherwise twice")
            if not match:
                sys.exit(f"requirements: {req.id}: \"otherwise\" is FILE#HEADING: WHY")
            req.link, req.otherwise = f"{match.group(1)}#{match.group(2)}", match.group(3)
            if match.group(2) not in headings(self.root / match.group(1)):
                self.wrong(f"{req.id}: there is no {req.link}")


def headings(path):
    """The anchors of a page."""
    if not path.exists():
        return set()
    titles = re.findall(r"^#+ +(.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", t.lower()).strip().replace(" ", "-") for t in titles}


# Marks


def comment_marks(text):
    """(ids, test's name or None) of each mark in C."""
    for match in COMMENT.finditer(text):
        words = re.sub(r"\n\s*\*", " ", match.group()[2:-2]).strip()
        mark = re.match(rf"Answers ({IDS})\.", words)
        if mark:
            head = HEAD.match(text, match.end())
            yield re.findall(ID, mark.group(1)), head and (head.group(1) or head.group(2))
        elif re.search(rf"\bAnswers\s+{ID}", words):
            yield [words[:60]], None


def script_marks(text, name):
    for match in re.finditer(rf"^[^\S\n]*# Answers ({IDS})\.[^\n]*\n", text, re.M):
        head = SCRIPT_HEAD.match(text, match.end())
        yield re.findall(ID, match.group(1)), head and (head.group(1) or head.group(2)) or name


def is_built(path, root):
    """Is a unit test in the list of its folder, or of one above it?"""
    if path.suffix != ".c" or (root / "tests/unit") not in path.parents:
        return True
    name = path.stem.removesuffix("_test")
    lists = [p / "meson.build" for p in path.parents if (root / "tests") in [p, *p.parents]]
    return any(re.search(rf"'(?:\w+/)?{name}(?:_test)?(?:\.c)?'", p.read_text())
               for p in lists if p.exists())


def file_marks(path):
    text = path.read_text()
    if path.suffix in (".py", ".sh"):
        yield from script_marks(text, path.name)
        return
    yield from comment_marks(text)
    for match in re.finditer(r"^TEST\w*\(\s*(req_(\d{3})_(\d{2})_\w+)", text, re.M):
        yield [f"{match.group(2)}-{match.group(3)}"], match.group(1)


def read_marks(reqs, root):
    """Give each requirement its tests: (file, name). Return: how many tests there are."""
    by_id, tests = {r.id: r for r in reqs}, set()
    paths = [p for d in TEST_DIRS for p in sorted((root / d).rglob("*"))
             if p.suffix in (".c", ".h", ".py", ".sh") and p.is_file()]
    for path in paths:
        name = path.relative_to(root)
        for ids, test in file_marks(path):
            if not test:
                reqs.wrong(f"{name}: a mark that cannot be read, or above no test: "
                           f"{', '.join(ids)}")
                continue
            if not is_built(path, root):
                reqs.wrong(f"{name}: has marks, and is in no meson.build")
            tests.add((name, test))
            for ident in ids:
                if ident not in by_id:
                    reqs.wrong(f"{name}: {test}: there is no requirement {ident}")
                elif (name, test) not in by_id[ident].tests:
                    by_id[ident].tests.append((name, test))
    return len(tests)


# The page


def answer(req):
    # Seen from docs/, where the page is.
    links = [f"[{Path(f).name}]({link(f)})" for f in req.files]
    return ", ".join(links)


def link(name):
    return name[len("docs/"):] if name.startswith("docs/") else f"../{name}"


def shown(req):
    cells = [f"[{test}]({link(str(name))})" for name, test in req.tests[:SHOWN]]
    if len(req.tests) > SHOWN:
        cells.append(f"and {len(req.tests) - SHOWN} more")
    return ", ".join(cells)


def state(req):
    if req.otherwise:
        return f"[otherwise]({link(req.link)}): {req.otherwise}"
    return "tested" if req.tests else f"stated: {req.why}"


def page(reqs, tests):
    states = [state(r).strip("[").split("]")[0].split(":")[0] for r in reqs]
    out = ("<!-- Generated by docs/requirements.py: change docs/requirements.list, or the marks "
           "in the tests. -->\n"
           "# What the record asks for, and where it is\n\n"
           "The IOMMU user API was argued about in public from its first documentation in 2020 to\n"
           "that of iommufd in 2024. This page lists what those discussions ask for, in our words:\n"
           "which file answers it, and which test shows it. *Tested*: the tests named show it.\n"
           "*Otherwise*: today's API answers the need in another way; the link says how. *Stated*: no\n"
           "test can show it, for the reason given. The structures and calls of 2020 are in\n"
           "[uapi-2020.md](uapi-2020.md); how a test is marked is in\n"
           "[CONTRIBUTING.md](../CONTRIBUTING.md).\n\n"
           f"{len(states)} requirements: {states.count('tested')} tested, "
           f"{states.count('otherwise')} answered otherwise, {states.count('stated')} stated; "
           f"{tests} tests are marked.\n")
    for title, group in reqs.groups:
        out += f"\n## {title}\n\n| | Requirement | Answer | Tests | State |\n|---|---|---|---|---|\n"
        for req in group:
            out += f"| {req.id} | {req.text} | {answer(req)} | {shown(req)} | {state(req)} |\n"
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     epilog="See the head of this file for marks and errors.")
    parser.add_argument("--check", action="store_true", help="compare with the committed page")
    parser.add_argument("--missing", action="store_true",
                        help="print what has neither a test nor a reason")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent,
                        help="of another tree")
    args = parser.parse_args()
    reqs = List(args.root)
    tests = read_marks(reqs, args.root)
    missing = [r for r in reqs if not (r.tests or r.why or r.otherwise)]
    if args.missing:
        print("\n".join(f"{r.id}  {r.text}" for r in missing))
        return
    for req in reqs:
        if not req.files:
            reqs.wrong(f"{req.id}: no file answers it")
        if req.tests and req.why:
            reqs.wrong(f"{req.id}: has tests, so it needs no reason")
    for req in missing:
        reqs.wrong(f"{req.id}: neither a test nor a stated reason")
    if reqs.problems:
        sys.exit("\n".join(f"requirements: {p}" for p in reqs.problems))
    text, path = page(reqs, tests), args.root / "docs/requirements.md"
    if not args.check:
        path.write_text(text)
        print(f"docs/requirements.md: {len(list(reqs))} requirements, {tests} tests")
    elif not path.exists() or path.read_text() != text:
        sys.exit("requirements: docs/requirements.md is out of date: run docs/requirements.py")


if __name__ == "__main__":
    main()
