#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write docs/uapi-status.md: what of iommufd and VFIO is there, and the test that shows it.

What there is to do comes from include/softiommu/abi/iommufd.h, each command and each constant of an
enum; from docs/uapi-status.vfio; and from docs/uapi-status.2020, which has to name all that
include/softiommu/abi/iommu-2020.h declares. That something works is shown by a test that uses it:
a TEST() below tests/unit or tests/door whose body names it, or calls a function,
macro or table of its file or of the headers beside it that does. What the
kernel's selftests use is shown by the conformance run as well.
docs/uapi-status.exceptions says what is not, or only partly, done, and why.

  uapi-status.py          write docs/uapi-status.md
  uapi-status.py --check  compare with the committed page; 1 if it is out of date

Something with neither a test nor an exception is an error: exit status 1.
"""

import fnmatch
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include/softiommu/abi/iommufd.h"
VFIO = ROOT / "docs/uapi-status.vfio"
HEADER_2020 = ROOT / "include/softiommu/abi/iommu-2020.h"
API_2020 = ROOT / "docs/uapi-status.2020"
EXCEPTIONS = ROOT / "docs/uapi-status.exceptions"
PAGE = ROOT / "docs/uapi-status.md"
TEST_DIRS = ["tests/unit", "tests/door"]
SHOWN = 2  # tests named for each entry

WORD = re.compile(r"[A-Za-z_]\w*")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')


def strip(text):
    """C without comments and strings; line structure stays."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return STRING.sub('""', COMMENT.sub(blank, text))


# What there is to do


def read_header():
    """[(enum title, [(name, value)])], [(request, number)] in the header's order."""
    text = HEADER.read_text()
    numbers, groups, commands = {}, [], []
    for match in re.finditer(r"enum\s*(\w*)\s*\{(.*?)\n\};", strip(text), re.S):
        members = re.findall(r"^\s*(\w+)\s*=\s*([^,\n]+)", match.group(2), re.M)
        if not match.group(1):
            numbers.update((name, int(value, 0)) for name, value in members)
            continue
        doc = re.search(r"\* enum " + match.group(1) + r" - ([^\n]*)", text)
        groups.append((match.group(1), doc.group(1) if doc else "", members))
    for match in re.finditer(r"^#define (IOMMU_\w+) _IO\(IOMMUFD_TYPE, (\w+)\)", text, re.M):
        doc = re.search(r" - " + match.group(1) + r"(?:: ([^\n]*))?", text)
        commands.append((match.group(1), numbers[match.group(2)],
                         (doc.group(1) or "") if doc else ""))
    missing = set(n for n in numbers.values() if n >= 0x80) - set(n for _, n, _ in commands)
    if missing or not groups:
        sys.exit(f"uapi-status: {HEADER}: no request for {sorted(missing)}")
    return groups, sorted(commands, key=lambda c: c[1])


def read_list(path):
    """[(title, [(name, what it is)])] in the file's order."""
    groups = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        title = re.fullmatch(r"\[(.+)\]", line)
        entry = re.fullmatch(r"(\w+)\s+(\S.*)", line)
        if title:
            groups.append((title.group(1), []))
        elif entry and groups:
            groups[-1][1].append(entry.groups())
        elif line and not line.startswith("#"):
            sys.exit(f"uapi-status: {path}:{number}: cannot be read: {line}")
    return groups


def read_2020():
    """The same, which has to be what the header has: constants and structures."""
    groups = read_list(API_2020)
    declared = re.findall(r"^\s*#define ((?!_|SIOMMU_)\w+)|^struct (\w+) \{|^\t(IOMMU_\w+) = ",
                          strip(HEADER_2020.read_text()), re.M)
    differ = {"".join(names) for names in declared} ^ {m[0] for g in groups for m in g[1]}
    if differ:
        sys.exit(f"uapi-status: {HEADER_2020.name} and {API_2020.name} do not both have "
                 f"{', '.join(sorted(differ))}")
    return groups


# What tests show it


def definitions(text):
    """(kind, name, identifiers) of what a stripped C file defines at file scope."""
    for match in re.finditer(r"^#define (\w+)((?:[^\n]*\\\n)*[^\n]*)", text, re.M):
        yield "helper", match.group(1), set(WORD.findall(match.group(2)))
    text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    for match in re.finditer(r"^(\w[^{};]*?)\n?\{(.*?)\n\}", text, re.M | re.S):
        head, body = match.group(1), match.group(2)
        test = re.match(r"TEST\w*\(\s*(\w+)", head)
        name = re.search(r"(\w+)\s*\(", head) or re.search(r"(\w+)[\[\]\w\s]*=\s*$", head)
        words = set(WORD.findall(body)) | set(WORD.findall(head))
        if test:
            yield "test", test.group(1), words
        elif name:
            yield "helper", name.group(1), words
    for match in re.finditer(r"^(?:static |const )+[\w\s*]*?(\w+)(?:\[\w*\])*\s*=\s*([^;{]*);",
                             text, re.M):
        yield "helper", match.group(1), set(WORD.findall(match.group(2)))


def reachable(words, helpers):
    """@words, and all that the helpers among them name."""
    seen, todo = set(), set(words)
    while todo:
        word = todo.pop()
        if word not in seen:
            seen.add(word)
            todo |= helpers.get(word, set()) - seen
    return seen


def header_helpers(path, cache):
    """Helpers of the test headers that a file includes."""
    if path in cache:
        return cache[path]
    cache[path] = helpers = {}
    text = path.read_text()
    for name in re.findall(r'^#include "([^"]+)"', text, re.M):
        for base in [path.parent, *path.parent.parents]:
            if (base / name).is_file() and "tests" in (base / name).parts:
                helpers.update(header_helpers((base / name).resolve(), cache))
                break
    if path.suffix == ".h":
        for kind, name, words in definitions(strip(text)):
            if kind == "helper":
                helpers.setdefault(name, set()).update(words)
    return helpers


def read_tests(wanted):
    """Identifier -> ["core/ioas_test.c: name"], and how many tests there are."""
    shown, cache, count = {}, {}, 0
    for folder in TEST_DIRS:
        for path in sorted((ROOT / folder).rglob("*.c")):
            helpers = dict(header_helpers(path.resolve(), cache))
            tests = []
            for kind, name, words in definitions(strip(path.read_text())):
                if kind == "test":
                    tests.append((name, words))
                else:
                    helpers[name] = helpers.get(name, set()) | words
            for name, words in tests:
                count += 1
                # Tests that name it themselves come first, then those in TEST_DIRS' order.
                for word in reachable(words, helpers) & wanted:
                    entry = (word not in words, TEST_DIRS.index(folder),
                             f"{path.relative_to(ROOT / 'tests')}: {name}")
                    shown.setdefault(word, []).append(entry)
    return {word: [e[-1] for e in sorted(entries)] for word, entries in shown.items()}, count


# Exceptions


class Exceptions:
    """Lines "NAME|PATTERN partly|not: why", and "conformance NAME..."."""

    def __init__(self, path):
        self.rules, self.conformance = [], set()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            if line.startswith("conformance "):
                self.conformance |= set(line.split()[1:])
                continue
            match = re.fullmatch(r"(\S+)\s+(partly|not|done):\s+(.+)", line)
            if not match:
                sys.exit(f"uapi-status: {path}:{number}: cannot be read: {line}")
            self.rules.append((match.group(1), match.group(2), match.group(3)))

    def find(self, name):
        for pattern, status, why in self.rules:
            if fnmatch.fnmatchcase(name, pattern):
                return status, why
        return None, ""

    def unused(self, names):
        patterns = [rule[0] for rule in self.rules] + sorted(self.conformance)
        return [p for p in patterns if not any(fnmatch.fnmatchcase(n, p) for n in names)]


# The page


def row(name, label, tests, exceptions, problems):
    status, why = exceptions.find(name)
    tests = tests.get(name, [])[:SHOWN]
    cells = [f"`{t}`" for t in tests]
    if name in exceptions.conformance:
        cells.append("`conformance`")
    if not status and not cells:
        problems.append(name)
    if status == "not":
        cells = []
    if why:
        cells.append(why)
    return f"| {label} | {status or 'done'} | {'; '.join(cells)} |\n"


def page(groups, commands, lists, tests, exceptions):
    problems = []
    out = ("<!-- Generated by docs/uapi-status.py: change that, or "
           "docs/uapi-status.exceptions. -->\n"
           "# What of iommufd, VFIO and the API of 2020 there is\n\n"
           "Every command and constant of iommufd as of Linux 7.3, as declared in\n"
           "`include/softiommu/abi/iommufd.h`, the requests of VFIO, and the IOMMU user API of 2020 as\n"
           "declared in `include/softiommu/abi/iommu-2020.h`: is it done, partly done or not there, and\n"
           "which test shows it. Tests are below `tests/`; only some are named for each entry.\n"
           "`conformance` means that the kernel's own selftests use it\n"
           "(`make conformance`).\n\n"
           "## Commands of iommufd\n\n| Number | Command | | Status | Shown by |\n|---|---|---|---|---|\n")
    for name, number, doc in commands:
        label = f"{number:#x} | `{name}` | {doc}"
        out += row(name, label, tests, exceptions, problems)
    for title, doc, members in groups:
        out += f"\n## {title}\n\n{doc[:1].upper()}{doc[1:]}.\n\n"
        out += "| Constant | Status | Shown by, or why not |\n|---|---|---|\n"
        for name, _ in members:
            out += row(name, f"`{name}`", tests, exceptions, problems)
    for title, members in lists:
        out += f"\n## {title}\n\n| Name | | Status | Shown by, or why not |\n|---|---|---|---|\n"
        for name, doc in members:
            out += row(name, f"`{name}` | {doc}", tests, exceptions, problems)
    return out, problems


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    groups, commands = read_header()
    lists = [(f"VFIO. {title}", members) for title, members in read_list(VFIO)]
    lists += [(f"2020. {title}", members) for title, members in read_2020()]
    names = [c[0] for c in commands] + [m[0] for g in groups for m in g[2]]
    names += [m[0] for g in lists for m in g[1]]
    exceptions = Exceptions(EXCEPTIONS)
    tests, count = read_tests(set(names))
    text, problems = page(groups, commands, lists, tests, exceptions)
    unused = exceptions.unused(names)
    for name in problems:
        print(f"uapi-status: {name}: no test names it, and it is no exception", file=sys.stderr)
    for pattern in unused:
        print(f"uapi-status: {EXCEPTIONS.name}: nothing is called {pattern}", file=sys.stderr)
    if problems or unused:
        print(f"uapi-status: {len(problems)} of {len(names)} names are not shown by any of "
              f"{count} tests: write a test, or say why not in {EXCEPTIONS.relative_to(ROOT)}",
              file=sys.stderr)
        sys.exit(1)
    if sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit(f"uapi-status: {PAGE.relative_to(ROOT)} is out of date: "
                     "run docs/uapi-status.py")
        return
    PAGE.write_text(text)
    print(f"{PAGE.relative_to(ROOT)}: {len(names)} names, {count} tests")


if __name__ == "__main__":
    main()
