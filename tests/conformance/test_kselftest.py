#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of kselftest.py on made-up logs: does it count and judge right?"""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import kselftest  # noqa: E402  (needs the path)

LOG = """\
TAP version 13
1..5
# Starting 5 tests from 2 test cases.
#  RUN           alpha.one ...
#            OK  alpha.one
ok 1 alpha.one
#  RUN           alpha.two ...
# file.c:9:two:Expected 1 (1) == 2 (2)
# two: Test terminated by assertion
#          FAIL  alpha.two
not ok 2 alpha.two
#  RUN           iommufd_viommu.no_viommu.three ...
#      SKIP      nothing to do
#            OK  iommufd_viommu.no_viommu.three
ok 3 iommufd_viommu.no_viommu.three # SKIP nothing to do
#  RUN           alpha.four ...
#      SKIP      no fault injection
#            OK  alpha.four
ok 4 alpha.four # SKIP no fault injection
#  RUN           vfio_compat_mock_domain.Ver1v2.huge_map ...
# file.c:20:huge_map:Expected -1 (-1) != buf (-1)
#          FAIL  vfio_compat_mock_domain.Ver1v2.huge_map
not ok 5 vfio_compat_mock_domain.Ver1v2.huge_map
# FAILED: 3 / 5 tests passed.
# Totals: pass:1 fail:2 xfail:0 xpass:0 skip:2 error:0
""".splitlines()

TABLE = """\
# FIXTURE            VARIANT                   TEST
global                                         \n\
--------------------------------------------------------------------------------
plain                                          first
                                               second
--------------------------------------------------------------------------------
a_fixture_with_a_long_name v1                        t1
                     v2                        t2
                     v3                        \n\
--------------------------------------------------------------------------------
few                  v1                        t1
                                               t2
"""


def verdicts(log, expected=(), gaps=None, lacks=(), ending="it ended"):
    judged = kselftest.judge(list(expected), log, gaps or {}, lacks, ending)
    return {case: (verdict, reason) for verdict, case, reason, _ in judged}


class Judging(unittest.TestCase):
    def count(self, found):
        kinds = [verdict for verdict, _ in found.values()]
        return kinds.count("pass"), kinds.count("fail"), kinds.count("skip")

    def test_counts(self):
        self.assertEqual(self.count(verdicts(LOG)), (1, 3, 1))

    def test_a_failure_shows_its_output(self):
        judged = kselftest.judge([], LOG, {}, (), "")
        output = [lines for _, case, _, lines in judged if case == "alpha.two"][0]
        self.assertEqual(len(output), 2)
        self.assertIn("Expected 1", output[0])

    def test_only_skips_by_design_are_skips(self):
        found = verdicts(LOG)
        self.assertEqual(found["iommufd_viommu.no_viommu.three"][0], "skip")
        self.assertEqual(found["alpha.four"], ("fail", "skipped itself: no fault injection"))

    def test_without_huge_pages_what_needs_them_is_skipped(self):
        found = verdicts(LOG, lacks=["huge-pages"])
        self.assertEqual(found["vfio_compat_mock_domain.Ver1v2.huge_map"][0], "skip")
        self.assertEqual(found["alpha.two"][0], "fail")

    def test_a_gap_may_fail_but_not_pass(self):
        found = verdicts(LOG, gaps={"alpha.one": "why", "alpha.two": "because"})
        self.assertEqual(found["alpha.two"], ("skip", "listed in gaps: because"))
        self.assertEqual(found["alpha.one"][0], "fail")
        self.assertIn("remove it", found["alpha.one"][1])

    def test_a_case_without_result_fails(self):
        found = verdicts(LOG[:6], ["alpha.one", "alpha.two"], ending="killed by signal 9")
        self.assertEqual(found["alpha.one"][0], "pass")
        self.assertEqual(found["alpha.two"], ("fail", "no result: killed by signal 9"))

    def test_a_log_that_stops_early_fails(self):
        self.assertEqual(self.count(verdicts(LOG[:6])), (1, 1, 0))
        self.assertEqual(self.count(verdicts([])), (0, 1, 0))

    def test_a_complete_log_that_passes(self):
        log = ["1..2", "ok 1 a.b", "ok 2 a.v.c"]
        self.assertEqual(self.count(verdicts(log, ["a.b", "a.v.c"])), (2, 0, 0))


class Listing(unittest.TestCase):
    def test_every_test_with_every_variant(self):
        long_name = "a_fixture_with_a_long_name"
        self.assertEqual(
            kselftest.parse_list(TABLE),
            ["plain.first", "plain.second"] +
            ["%s.%s.%s" % (long_name, v, t) for v in ("v1", "v2", "v3") for t in ("t1", "t2")] +
            ["few.v1.t1", "few.v1.t2"])

    def test_what_is_said_before_the_table_is_no_name(self):
        self.assertEqual(kselftest.parse_list("Using device x\n  of this machine\n" + TABLE),
                         kselftest.parse_list(TABLE))

    def test_selection(self):
        cases = ["a.one", "a.v.two", "b.v.two"]
        self.assertEqual(kselftest.select(cases, ["two"]), cases[1:])
        self.assertEqual(kselftest.select(cases, ["a.*two", "one"]), cases[:2])


class CommandLine(unittest.TestCase):
    def test_replay_writes_results(self):
        with tempfile.TemporaryDirectory() as folder:
            log, results, gaps = (os.path.join(folder, name) for name in ("log", "results", "gaps"))
            with open(log, "w", encoding="utf-8") as file:
                file.write("\n".join(LOG))
            with open(gaps, "w", encoding="utf-8") as file:
                file.write("# a comment\nmine alpha.two  needs a kernel\nother alpha.one  no\n")
            subprocess.run([sys.executable, os.path.join(HERE, "kselftest.py"), "--suite", "mine",
                            "--replay", log, "--results", results, "--gaps", gaps], check=True)
            with open(results, encoding="utf-8") as file:
                lines = [line.split("\t") for line in file.read().splitlines()]
        self.assertIn(["skip", "mine", "alpha.two", "listed in gaps: needs a kernel"], lines)
        self.assertEqual(sum(line[0] == "pass" for line in lines), 1)


if __name__ == "__main__":
    unittest.main()
