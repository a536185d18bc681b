#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares a header of ours with the kernel's: every structure, member, constant.

Both headers are preprocessed, and the names that each declares itself are
collected. A small program per header then prints what the compiler makes of
these names: the size of each structure, offset and size of each member, the
value of each constant. A name that only one header has is a failure, except for
those of ours that begin with siommu or SIOMMU, and with --part, which is for a
kernel that has dropped most of what ours declares. Prints TAP.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

OURS_ALONE = re.compile(r"siommu|SIOMMU")


class Header:
    """The names that one header declares."""

    def __init__(self, path, compiler):
        self.path = path
        self.compiler = compiler
        self.structs = {}       # name -> [(member, its structure or None)]
        self.enums = []         # the names of enums that have one
        self.constants = []     # enumerators and macros
        self._parse(self._own_text())

    def _own_text(self):
        """The preprocessed lines that stand in the header itself."""
        # A macro that is defined under #if is kept by -dD, a comment is not.
        done = subprocess.run(self.compiler + ["-E", "-dD", self.path], check=True,
                              stdout=subprocess.PIPE, text=True)
        own, lines = False, []
        for line in done.stdout.splitlines():
            marker = re.match(r'# \d+ "(.*?)"', line)
            if marker:
                own = os.path.realpath(marker.group(1)) == os.path.realpath(self.path)
            elif own:
                lines.append(line)
        return lines

    def _parse(self, lines):
        text = []
        for line in lines:
            define = re.match(r"#define (\w+)\s+(\S.*)$", line)
            if define and not OURS_ALONE.match(define.group(1)):
                self.constants.append(define.group(1))
            elif not line.startswith("#"):
                text.append(line)
        text = re.sub(r"__attribute__\s*\(\(.*?\)\)+", "", " ".join(text))
        for name, body in re.findall(r"\benum\b\s*(\w*)\s*\{(.*?)\}", text):
            self.enums += [name] if name else []
            self.constants += re.findall(r"(?:^|,)\s*(\w+)", body)
        for found in re.finditer(r"\bstruct\s+(\w+)\s*\{", text):
            if depth(text[:found.start()]) == 0:
                self.structs[found.group(1)] = members(text, found.end())[0]

    def members_of(self, name):
        """Every member, those of inner structures as outer.inner."""
        return self._flat(self.structs[name], "")

    def _flat(self, found, prefix):
        names = []
        for member, inner in found:
            names.append(prefix + member)
            if isinstance(inner, str):
                inner = self.structs.get(inner, [])
            names += self._flat(inner or [], prefix + member + ".")
        return names

    def values(self, structs, constants):
        """What the compiler makes of the names: {text: number}"""
        lines = ["#include <stdio.h>", "#include <stddef.h>", '#include "%s"' % self.path,
                 "int main(void)", "{"]
        show = '\tprintf("%s\\t%%lld\\n", (long long)(%s));'
        for name, inside in structs.items():
            lines.append(show % ("size of struct " + name, "sizeof(struct %s)" % name))
            for member in inside:
                place = "struct %s, %s" % (name, member)
                lines.append(show % ("offset of %s.%s" % (name, member), "offsetof(%s)" % place))
                lines.append(show % ("size of %s.%s" % (name, member),
                                     "sizeof(((struct %s *)0)->%s)" % (name, member)))
        lines += [show % (name, name) for name in constants] + ["\treturn 0;", "}", ""]
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "values.c"), os.path.join(folder, "values")
            with open(source, "w", encoding="utf-8") as file:
                file.write("\n".join(lines))
            subprocess.run(self.compiler + ["-o", program, source], check=True)
            output = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout
        return {key: int(value) for key, value in
                (line.split("\t") for line in output.splitlines())}


def depth(text):
    return text.count("{") - text.count("}")


def members(text, start):
    """The members from `start` to the closing brace, and where that is."""
    found, at = [], start
    while True:
        stop = re.compile(r"[;{}]").search(text, at)
        if stop.group() == "}":
            return found, stop.end()
        if stop.group() == ";":
            declaration = text[at:stop.start()]
            name = re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", declaration)
            inner = re.match(r"\s*struct\s+(\w+)", declaration)
            found.append((name.group(1), inner and inner.group(1)))
            at = stop.end()
        else:
            inside, end = members(text, stop.end())
            name = re.compile(r"\s*(\w*)\s*;").match(text, end)
            # The members of what has no name belong to what is around it.
            found += [(name.group(1), inside)] if name.group(1) else inside
            at = name.end()


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def result(self, name, complaints):
        self.count += 1
        self.failed += bool(complaints)
        print("%sok %d - %s" % ("not " if complaints else "", self.count, name))
        for complaint in complaints:
            print("# " + complaint)

    def finish(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0


def differences(names, ours, theirs):
    return ["%s is %d, the kernel's is %d" % (name, ours[name], theirs[name])
            for name in names if ours[name] != theirs[name]]


def compare(tap, ours, theirs, part):
    common = {name: [member for member in theirs.members_of(name)
                     if member in ours.members_of(name)]
              for name in theirs.structs if name in ours.structs}
    constants = [name for name in dict.fromkeys(theirs.constants) if name in ours.constants]
    our_values = ours.values(common, constants)
    their_values = theirs.values(common, constants)

    for name in theirs.structs:
        if name not in common:
            tap.result("struct " + name, ["ours lacks it"])
            continue
        complaints = ["ours lacks member " + member for member in theirs.members_of(name)
                      if member not in common[name]]
        complaints += ["the kernel's has no member " + member
                       for member in ours.members_of(name) if member not in common[name]]
        keys = ["size of struct " + name]
        keys += [what + " of %s.%s" % (name, member) for member in common[name]
                 for what in ("offset", "size")]
        tap.result("struct " + name, complaints + differences(keys, our_values, their_values))
    for name in dict.fromkeys(theirs.constants):
        if name in constants:
            tap.result(name, differences([name], our_values, their_values))
        else:
            tap.result(name, ["ours lacks it"])

    for name in theirs.enums:
        tap.result("enum " + name, [] if name in ours.enums else ["ours lacks it"])

    if part:
        return
    kernels = set(theirs.structs) | set(theirs.enums) | set(theirs.constants)
    extra = [name for name in list(ours.structs) + ours.enums + ours.constants
             if name not in kernels and not OURS_ALONE.match(name)]
    tap.result("no names that the kernel does not have", extra)


def print_layout(header):
    """The assertions that stand at the end of our headers."""
    structs = {name: header.members_of(name) for name in header.structs}
    values = header.values(structs, [])
    for name, inside in structs.items():
        print("SIOMMU_ABI_SIZE(%s, %d);" % (name, values["size of struct " + name]))
        for member in inside:
            print("SIOMMU_ABI_AT(%s, %s, %d);" % (
                name, member, values["offset of %s.%s" % (name, member)]))
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", metavar="HEADER")
    parser.add_argument("--theirs", metavar="HEADER", required=True)
    parser.add_argument("--part", action="store_true",
                        help="THEIRS need not have all that is in OURS")
    parser.add_argument("--layout", action="store_true",
                        help="only print assertions of the layout of THEIRS")
    parser.add_argument("--compiler", default=os.environ.get("CC", "cc"))
    parser.add_argument("--our-flag", action="append", default=[])
    parser.add_argument("--their-flag", action="append", default=[])
    args = parser.parse_args()

    theirs = Header(args.theirs, args.compiler.split() + args.their_flag)
    if args.layout:
        print_layout(theirs)
        return 0
    ours = Header(args.ours, args.compiler.split() + args.our_flag)
    tap = Tap()
    compare(tap, ours, theirs, args.part)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
