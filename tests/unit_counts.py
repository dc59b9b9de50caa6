#!/usr/bin/python3
"""Counts the test cases of a meson run, for tests/run.

  unit_counts.py LOG                  LOG is meson-logs/testlog.json: prints "N passed, N failed, N skipped"
  unit_counts.py --names SUITE TEXT   reads `meson introspect --tests`: prints the names in SUITE that hold TEXT
  unit_counts.py --shorten            copies stdin without the lines of test cases that passed

A test is an executable; its cases are the lines "ok N - …" and "not ok N - …" that Check prints (TAP).
"""

import json
import re
import sys

PASSED = re.compile(r"^ok \d+", re.M)
FAILED = re.compile(r"^not ok \d+", re.M)


def count(path):
    passed = failed = skipped = 0
    try:
        with open(path, encoding="utf-8") as log:
            runs = [json.loads(line) for line in log]
    except FileNotFoundError:
        return 0, 1, 0  # the build failed
    for run in runs:
        output = run.get("stdout", "")
        n_passed, n_failed = len(PASSED.findall(output)), len(FAILED.findall(output))
        if run["result"] == "SKIP":
            skipped += 1
            continue
        if run["result"] not in {"OK", "EXPECTEDFAIL"}:
            # a crash, a leak found at exit or a timeout is a failure of no case in particular
            n_failed = max(n_failed, 1)
        elif n_passed + n_failed == 0:
            n_passed = 1
        passed += n_passed
        failed += n_failed
    return passed, failed, skipped


def names(tests, suite, text):
    for test in tests:
        suites = {s.split(":")[-1] for s in test["suite"]}
        if suite in suites and text in test["name"]:
            yield test["name"]


def main():
    if sys.argv[1] == "--names":
        print("\n".join(names(json.load(sys.stdin), *sys.argv[2:4])))
    elif sys.argv[1] == "--shorten":
        for line in sys.stdin:
            if not PASSED.match(line):
                print(line, end="", flush=True)
    else:
        passed, failed, skipped = count(sys.argv[1])
        print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main()
