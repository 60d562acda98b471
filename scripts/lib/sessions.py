# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The figures of several runs of random sessions side by side, as those of one.

usage: sessions.py FILE.json..."""

import json
import pathlib
import sys


def main(files):
    runs = [json.loads(pathlib.Path(f).read_text(encoding="utf-8")) for f in files]
    figures = {name: sum(run[name] for run in runs) for name in runs[0]}
    print(json.dumps({**figures, "seed": runs[0]["seed"], "jobs": len(runs),
                      "seconds": max(run["seconds"] for run in runs)}))


if __name__ == "__main__":
    main(sys.argv[1:])
