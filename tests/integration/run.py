#!/usr/bin/python3
"""Runs the integration tests: real processes, spoken to over gRPC.

  run.py --build DIR [--long] [--list] [PATTERN …]

PATTERN picks tests whose name (module.Class.test) contains it. --long adds those that take minutes.
The last line is "N passed, N failed, N skipped"; the exit code is 1 if any failed.
"""

import argparse
import faulthandler
import os
import pathlib
import signal
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
TEST_LIMIT_S = 120
LONG_TEST_LIMIT_S = 1200


class TimeLimit(BaseException):
    """Not an Exception: a test that catches those must not live on."""


class Report(unittest.TestResult):
    """A line a test; tracebacks and the logs of the cluster where one failed."""

    def __init__(self, limit_s, cluster):
        super().__init__()
        self.cluster = cluster
        self.limit_s = limit_s
        self.passed = 0
        self.failed = set()  # ids: a test with three failed subtests has failed once
        self.begun = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()
        signal.alarm(self.limit_s)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def line(self, word, test, more=""):
        seconds = time.monotonic() - self.begun if self.begun else 0.0
        print(f"{word:<5}{seconds:7.2f} s  {test.id()}{more}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("skip", test, f"  ({reason})")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.show_failure(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.show_failure(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.failed.add(test.id())
            self.line("FAIL", subtest)
            print(self._exc_info_to_string(err, test), flush=True)

    def show_failure(self, test, text):
        self.failed.add(test.id())
        self.line("FAIL", test)
        print(text)
        for logs in [*self.cluster.last_words, *(c.logs() for c in self.cluster.live)]:
            print(logs)
        self.cluster.last_words.clear()
        sys.stdout.flush()


def on_alarm(*_):
    raise TimeLimit("the test has taken too long")


def all_tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from all_tests(test)
        else:
            yield test


def prepare_environment(args):
    os.environ["SHOAL_BUILD"] = str(pathlib.Path(args.build).resolve())
    os.environ["SHOAL_TEST_LONG"] = "1" if args.long else ""
    for name in ("SHOAL_GATE", "SHOAL_TOPO", "SHOAL_CLUSTER", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    suppressions = HERE.parent / "lsan.supp"
    if suppressions.exists():
        os.environ.setdefault("LSAN_OPTIONS", f"suppressions={suppressions}:print_suppressions=0")
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=HERE.parents[1] / "build", metavar="DIR", help="where ninja has built Shoal")
    parser.add_argument("--long", action="store_true", help="also the tests that take minutes")
    parser.add_argument("--list", action="store_true", help="only print the names")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    args = parser.parse_args()
    prepare_environment(args)
    faulthandler.enable()
    from lib import Cluster

    loader = unittest.TestLoader()
    found = loader.discover(str(HERE), "test_*.py", top_level_dir=str(HERE))
    chosen = [t for t in all_tests(found) if not args.patterns or any(p in t.id() for p in args.patterns)]
    if args.list:
        print("\n".join(t.id() for t in chosen))
        return 0
    signal.signal(signal.SIGALRM, on_alarm)
    # Ended from outside, a test still takes its cluster down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report(LONG_TEST_LIMIT_S if args.long else TEST_LIMIT_S, Cluster)
    unittest.TestSuite(group_by_class(chosen)).run(report)
    print(f"{report.passed} passed, {len(report.failed)} failed, {len(report.skipped)} skipped", flush=True)
    return 1 if report.failed or (not report.passed and not report.skipped) else 0


def group_by_class(tests):
    """Suites of one class each, so that a class's cluster lives exactly as long as its tests."""
    groups = {}
    for test in tests:
        groups.setdefault(type(test), []).append(test)
    return [unittest.TestSuite(group) for group in groups.values()]


if __name__ == "__main__":
    sys.exit(main())
