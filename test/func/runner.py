# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Runs the cases of one test script and reports them as TAP.

Each case is a function of one argument, a Case: a private directory and the processes that were
started for it. All of them are ended and the ledger of every switch is checked when it returns."""

import os
import shutil
import sys
import tempfile
import time
import traceback

from proc import Failed, Skip

_STATUS_SKIPPED = 77  # what meson takes as "skipped"


class Case:
    def __init__(self, name):
        self.name = name
        # Short, because a Unix socket's path has 107 bytes at most.
        self.dir = tempfile.mkdtemp(prefix="vsw-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self._ends = []  # undo, newest last
        self._checks = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def on_end(self, undo):
        self._ends.append(undo)

    def at_success(self, check):
        """Call @check when the case has passed, before anything is ended."""
        self._checks.append(check)

    def keep(self, child):
        """Have @child killed at the end, if it still runs; returns it."""
        child.report = getattr(child, "report", child.tail)
        self._ends.append(child.kill)
        self._children().append(child)
        return child

    def _children(self):
        self.__dict__.setdefault("children", [])
        return self.children

    def finish(self):
        for check in self._checks:
            check()

    def report(self):
        for child in self._children():
            try:
                print(child.report())
            except Exception as error:  # a report must not hide the failure it explains
                print(f"# no report of {child.name}: {error}")

    def close(self):
        for undo in reversed(self._ends):
            try:
                undo()
            except Exception as error:
                print(f"# {self.name}: clean-up: {error!r}")
        shutil.rmtree(self.dir, ignore_errors=True)


def _run(function, number):
    name = function.__name__.replace("_", " ")
    case = Case(name)
    start = time.monotonic()
    try:
        function(case)
        case.finish()
        verdict, note = "ok", ""
    except Skip as skip:
        verdict, note = "ok", f" # SKIP {skip}"
    except Exception as error:
        verdict, note = "not ok", ""
        if isinstance(error, Failed):
            frames = traceback.extract_tb(error.__traceback__)[1:]
            print("\n".join(f"# at {os.path.basename(f.filename)}:{f.lineno}: {f.line}"
                            for f in frames if f.name != "check"))
            print("\n".join("# " + line for line in str(error).splitlines()))
        else:
            print("# " + traceback.format_exc().replace("\n", "\n# "))
        case.report()
    finally:
        case.close()
    print(f"{verdict} {number} {name}{note} # {time.monotonic() - start:.2f} s"
          if not note else f"{verdict} {number} {name}{note}", flush=True)
    return "skip" if note else verdict


def main(*functions, setup=None):
    """Run all cases, or those that the environment's TEST_CASE names (a part of the name).
    @setup: called first; where it raises Skip, nothing is run"""
    try:
        if setup:
            setup()
    except Skip as skip:
        print(f"1..0 # SKIP {skip}")
        sys.exit(_STATUS_SKIPPED)
    only = os.environ.get("TEST_CASE", "").replace("_", " ")
    functions = [f for f in functions if only in f.__name__.replace("_", " ")]
    print(f"1..{len(functions)}", flush=True)
    results = [_run(f, i + 1) for i, f in enumerate(functions)]
    if "not ok" in results:
        sys.exit(1)
    sys.exit(_STATUS_SKIPPED if results and all(r == "skip" for r in results) else 0)
