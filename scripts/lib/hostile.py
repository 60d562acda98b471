# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The hostile suite's results as a table, a line a class; what failed is named below it.

usage: hostile.py COMMIT FILE.json...
The first file then has the results of all, and the commit.
"""

import json
import pathlib
import sys

INVARIANTS = ["case", "I1", "I2", "I3", "I4", "I5", "I6"]


def classes(results):
    """Cases by class, in the order in which they ran."""
    by_id = {}
    for case in results:
        by_id.setdefault(case["id"], []).append(case)
    return by_id


def row(name, cases):
    failed = [c for c in cases if not c["ok"]]
    marks = [str(sum(i in c["failed"] for c in failed) or "-") for i in INVARIANTS]
    skipped = sum(c["skipped"] for c in cases)
    return [name, len(cases), len(cases) - len(failed) - skipped, len(failed) or "-",
            skipped or "-", *marks, f"{sum(c['seconds'] for c in cases):.1f}"]


def main():
    files = [pathlib.Path(name) for name in sys.argv[2:]]
    run, *more = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for other in more:
        for name in ("cases", "held", "failed", "skipped", "restarts", "results"):
            run[name] += other[name]
    run["seconds"] += max((other["seconds"] for other in more), default=0)
    run["commit"] = sys.argv[1]
    files[0].write_text(json.dumps(run, indent=1), encoding="utf-8")
    by_id = classes(run["results"])
    table = [["class", "cases", "held", "failed", "skipped", *INVARIANTS, "s"]]
    table += [row(name, cases) for name, cases in by_id.items()]
    table.append(row("all", run["results"]))
    widths = [max(len(str(line[i])) for line in table) for i in range(len(table[0]))]
    for line in table:
        cells = [str(line[0]).ljust(widths[0])]
        cells += [str(cell).rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells))
    for case in run["results"]:
        if not case["ok"]:
            print(f"FAILED {case['name']}: {case['why']}"[:300])
    print(f"hostile: {run['cases']} cases of {len(by_id)} classes: {run['held']} held, "
          f"{run['failed']} failed, {run['skipped']} skipped, switch restarted "
          f"{run['restarts']} times, {run['seconds']:.0f} s")
    return 1 if run["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
