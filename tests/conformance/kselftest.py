#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one kernel selftest program and judges what it prints.

The program speaks the kernel's dialect of TAP ("ok 7 fixture.variant.test",
"not ok ...", "ok ... # SKIP reason"). run.sh calls this once for each program;
--replay judges a kept log instead of running anything.

One line per case goes to the results file: verdict, suite, case, reason, with
tabs between. The verdicts are "pass", "fail" and "skip".
"""

import argparse
import fnmatch
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

RESULT = re.compile(r"^(ok|not ok) (\d+) (\S+)(?: # (SKIP|XFAIL|XPASS)\s*(.*))?\s*$")
PLAN = re.compile(r"^1\.\.(\d+)")

# The cases that skip themselves on a perfect kernel; the latter with a device that has
# MSI-X only.
SKIPS_BY_DESIGN = ["iommufd_viommu.no_viommu.*", "vfio_pci_irq_test.msi.enable_trigger_disable"]

# What a machine may not give: the reason, and the cases that fail without it.
LACKING = {
    "huge-pages": ("needs huge pages, which this machine does not give", [
        "iommufd_ioas.*.access_domain_destory",
        "iommufd_mock_domain.*_hugepage.*",
        "iommufd_dirty_tracking.*_huge.*",
        "vfio_compat_mock_domain.*.huge_map",
        "vfio_dma_mapping_test.*_hugetlb_2mb.*",
    ]),
    "giant-pages": ("needs a page of 1 GiB, which this machine does not give", [
        "vfio_dma_mapping_test.*_hugetlb_1gb.*",
    ]),
    # An ordinary user may lock little memory.
    "root": ("needs root, to lock much memory", [
        "iommufd_dirty_tracking.*M.get_dirty_bitmap*",
        "iommufd_dirty_tracking.*M_huge.*",
    ]),
}

PROGRESS_SECONDS = 10
DIAGNOSTIC_LINES = 12


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def parse_list(text):
    """The full names of all cases, from the table that the -l option prints.

    The table has a block per fixture. Variants and tests stand side by side in
    it without belonging to each other; every test runs with every variant.
    """
    names = []
    text = text[max(text.find("# FIXTURE"), 0):]
    for block in re.split(r"^-{20,}$", text, flags=re.MULTILINE):
        fixture, variants, tests = None, [], []
        for line in block.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split()
            if not line.startswith(" "):
                fixture = words.pop(0)
                variants += words[:-1]
                tests += words[-1:]
            elif len(words) == 2:
                variants.append(words[0])
                tests.append(words[1])
            elif line[21:22] != " ":
                variants.append(words[0])
            else:
                tests.append(words[0])
        for variant in variants or [None]:
            names += [".".join(filter(None, (fixture, variant, test))) for test in tests]
    return names


def list_cases(command):
    """No names if it fails: some look at their device before they list anything."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    return parse_list(done.stderr)


def parse_log(lines):
    """(number planned, {case: (passed, directive, reason)}, {case: its output})"""
    planned, results, diagnostics, pending = None, {}, {}, []
    for line in lines:
        line = line.rstrip("\n")
        plan = PLAN.match(line)
        result = RESULT.match(line)
        if plan and planned is None:
            planned = int(plan.group(1))
        elif result:
            ok, _, case, directive, reason = result.groups()
            results[case] = (ok == "ok", directive, reason or "")
            diagnostics[case] = pending
            pending = []
        elif re.match(r"^#\s+RUN ", line):
            pending = []
        elif not re.match(r"^#\s+(OK|FAIL|SKIP) ", line):
            pending.append(line)
    return planned, results, diagnostics


def judge_case(case, result, gap, lacks):
    """(verdict, reason) of one case that printed a result"""
    passed, directive, reason = result
    if directive == "SKIP":
        if matches(case, SKIPS_BY_DESIGN):
            return "skip", "by design: " + reason
        passed, reason = False, "skipped itself: " + reason
    elif directive:
        passed = directive == "XFAIL"
    if passed:
        if gap:
            return "fail", "it passes now: remove it from gaps"
        return "pass", ""
    for what in lacks:
        if matches(case, LACKING[what][1]):
            return "skip", LACKING[what][0]
    if gap:
        return "skip", "listed in gaps: " + gap
    return "fail", reason


def judge(expected, log, gaps, lacks, ending):
    """A list of (verdict, case, reason, output) over all cases that were to run."""
    planned, results, diagnostics = parse_log(log)
    verdicts, last_words = [], log[-DIAGNOSTIC_LINES:]
    for case in expected or results:
        if case in results:
            verdict, reason = judge_case(case, results[case], gaps.get(case), lacks)
            verdicts.append((verdict, case, reason, diagnostics[case]))
        else:
            verdicts.append(("fail", case, "no result: " + ending, last_words))
            last_words = []
    for case in results:
        if expected and case not in expected:
            verdicts.append(("fail", case, "was not asked for", []))
    if not expected and planned != len(results):
        reason = "%d results of %s: %s" % (len(results), planned or "an unknown number", ending)
        verdicts.append(("fail", "(the whole run)", reason, last_words))
    return verdicts


def read_gaps(path, suite):
    gaps = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split(None, 2)
            if len(words) < 3:
                sys.exit("%s:%d: want: suite test-name  reason" % (path, number))
            if words[0] == suite:
                gaps[words[1]] = words[2].strip()
    return gaps


def kill_group(child):
    """First ask, then make sure: the command may want to clean up."""
    for number in signal.SIGTERM, signal.SIGKILL:
        try:
            os.killpg(child.pid, number)
            child.wait(timeout=5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def report_progress(suite, log, total, finished):
    """Every few seconds say how many results the log holds by now."""
    started = time.monotonic()
    while not finished.wait(PROGRESS_SECONDS):
        with open(log, encoding="utf-8", errors="replace") as file:
            results = parse_log(file)[1]
        failed = sum(not result[0] for result in results.values())
        print("# %s: %d s, %d of %d cases done, %d failed" % (
            suite, time.monotonic() - started, len(results), total, failed),
            file=sys.stderr, flush=True)


def run(suite, command, log, total, limit):
    """Run the command with its output in the log; tell how it ended."""
    finished = threading.Event()
    # Parent and children write at once, so each write has to append.
    with open(log, "wb"):
        pass
    with open(log, "ab") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=output, start_new_session=True)
    progress = threading.Thread(target=report_progress, args=(suite, log, total, finished))
    progress.start()
    try:
        status = child.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        kill_group(child)
        return "stopped at the time limit of %d s" % limit
    except BaseException:
        kill_group(child)
        raise
    finally:
        finished.set()
        progress.join()
    if status < 0:
        return "killed by signal %d" % -status
    return "the program ended with exit status %d" % status


def write_results(path, suite, verdicts):
    with open(path, "a", encoding="utf-8") as file:
        for verdict, case, reason, output in verdicts:
            file.write("\t".join((verdict, suite, case, reason)) + "\n")
            if verdict == "fail":
                for line in output[-DIAGNOSTIC_LINES:]:
                    file.write("\t\t\t" + line.lstrip("# ") + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", required=True, help="name for the results")
    parser.add_argument("--program", help="the selftest program")
    parser.add_argument("--command", default="", metavar="WORDS",
                        help="the command that runs the program, quoted for a shell")
    parser.add_argument("--arguments", default="", metavar="WORDS",
                        help="what the program gets after its options")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--select", action="append", default=[], metavar="PATTERN",
                        help="run only the cases with this in their name")
    parser.add_argument("--replay", metavar="LOG", help="judge this log, run nothing")
    parser.add_argument("--log", help="where the program's output goes")
    parser.add_argument("--results", help="where the results are added")
    parser.add_argument("--gaps", help="the file of known gaps")
    parser.add_argument("--lacks", action="append", default=[], choices=LACKING)
    parser.add_argument("--time-limit", type=int, default=600, metavar="SECONDS")
    return parser.parse_args()


def select(cases, patterns):
    """The cases in whose name one of the patterns is found."""
    return [case for case in cases if matches(case, ["*%s*" % one for one in patterns])]


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    words = shlex.split(args.arguments)
    command = shlex.split(args.command) + [args.program]
    listing = (command if words else [args.program]) + ["-l"] + words
    cases = list_cases(listing) if args.program else []
    chosen = select(cases, args.select) if args.select else cases
    if args.list:
        print("\n".join(args.suite + " " + case for case in chosen))
        return 0

    gaps = read_gaps(args.gaps, args.suite) if args.gaps else {}
    log, ending = args.replay, "the log ends before it"
    if not log:
        if not cases:
            write_results(args.results, args.suite, [("fail", "(the whole run)",
                          "it lists no cases: " + shlex.join(listing), [])])
        if not chosen:
            return 0
        log = args.log
        print("# %s: running %d cases of %s, output in %s" % (
            args.suite, len(chosen), args.program, log), file=sys.stderr, flush=True)
        only = [word for case in chosen for word in ("-r", case)] if args.select else []
        ending = run(args.suite, command + only + words, log, len(chosen), args.time_limit)
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()

    verdicts = judge(chosen, lines, gaps, args.lacks, ending)
    verdicts += [("fail", case, "gaps names a case that does not exist", [])
                 for case in gaps if cases and case not in cases]
    write_results(args.results, args.suite, verdicts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
