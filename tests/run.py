#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the tests that meson knows, count their results, and say so in one line.

Meson is the register: name, suite, command, time limit. Tests that print TAP
count by their lines, the others as one. Progress goes to standard error, and
what failed is shown with the end of its output; logs stay in BUILD/testlogs.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

RESULT = re.compile(r"^(not ok|ok)\b\s*\d*\s*(?:-\s*)?(.*)$")
SKIP = re.compile(r"#\s*SKIP\b\s*(.*)$", re.IGNORECASE)
SKIPPED = 77  # exit status of a test that cannot run here
TAIL_LINES = 25


class Outcome:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def registered(build):
    """All tests, as meson describes them."""
    out = subprocess.run(["meson", "introspect", "--tests", build], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)


def parse_tap(name, text):
    """Count the results in TAP output; None if there are none."""
    outcome = Outcome()
    seen = False
    for line in text.splitlines():
        match = RESULT.match(line)
        if not match:
            continue
        seen = True
        label = f"{name}: {match.group(2).strip()}"
        skip = SKIP.search(line)
        if match.group(1) == "not ok":
            outcome.failed.append(label)
        elif skip:
            outcome.skipped.append(label)
        else:
            outcome.passed += 1
    return outcome if seen else None


def run_one(test, build, log_dir, env):
    """Run one test; its outcome and what it printed."""
    limit = test["timeout"] or None
    log_path = os.path.join(log_dir, test["name"].replace("/", "_") + ".log")
    with open(log_path, "wb") as log:
        proc = subprocess.Popen(test["cmd"], stdout=log, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, cwd=test["workdir"] or build,
                                env={**env, **test.get("env", {})}, start_new_session=True)
        try:
            status = proc.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(proc.pid, signal.SIGKILL)
            proc.wait()
            status = f"no end within {limit} s"
    with open(log_path, encoding="utf-8", errors="replace") as log:
        text = log.read()
    return judge(test["name"], status, text), text, log_path


def judge(name, status, text):
    """What a finished test amounts to. A bad exit is never a pass."""
    outcome = parse_tap(name, text)
    if outcome is None:
        outcome = Outcome()
        if status == SKIPPED:
            reason = text.strip().splitlines()[-1] if text.strip() else "no reason given"
            outcome.skipped.append(f"{name}: {reason}")
            return outcome
        if status == 0:
            outcome.passed = 1
            return outcome
    if status not in (0, SKIPPED) and not outcome.failed:
        outcome.failed.append(f"{name}: exit status {status}")
    return outcome


def show(test, outcome, text, log_path, seconds):
    print(f"# {test['name']}: {outcome.passed} passed, {len(outcome.failed)} failed, "
          f"{len(outcome.skipped)} skipped ({seconds:.1f} s)", file=sys.stderr)
    if not outcome.failed:
        return
    for label in outcome.failed:
        print(f"not ok - {label}")
    print(f"# the end of {log_path}:")
    for line in text.splitlines()[-TAIL_LINES:]:
        print(f"#   {line}")


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="the build directory")
    parser.add_argument("--suite", action="append", help="only this suite; may be repeated")
    parser.add_argument("--not-suite", action="append", default=[], help="not this suite")
    parser.add_argument("--long", action="store_true", help="let stress tests take a minute")
    parser.add_argument("--list", action="store_true", help="list the tests and stop")
    parser.add_argument("names", nargs="*", help="only these tests")
    return parser.parse_args()


def selected(test, opts):
    suites = {s.split(":")[-1] for s in test["suite"]}
    if opts.names:
        return test["name"] in opts.names
    if suites & set(opts.not_suite):
        return False
    return not opts.suite or bool(suites & set(opts.suite))


def main():
    opts = options()
    tests = [t for t in registered(opts.build) if selected(t, opts)]
    if opts.list:
        for test in tests:
            print(f"{test['suite'][0].split(':')[-1]:12} {test['name']}")
        return 0
    if not tests:
        print("no such test", file=sys.stderr)
        return 2
    opts.build = os.path.abspath(opts.build)
    log_dir = os.path.join(opts.build, "testlogs")
    os.makedirs(log_dir, exist_ok=True)
    env = dict(os.environ)
    if opts.long:
        env["SOFTIOMMU_STRESS_SECONDS"] = "60"
    total = Outcome()
    for number, test in enumerate(tests, 1):
        print(f"# [{number}/{len(tests)}] {test['name']} ...", file=sys.stderr)
        begun = time.monotonic()
        outcome, text, log_path = run_one(test, opts.build, log_dir, env)
        show(test, outcome, text, log_path, time.monotonic() - begun)
        total.add(outcome)
    for label in total.skipped:
        print(f"skip - {label}")
    print(f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
