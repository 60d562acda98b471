# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The table of scripts/coverage, from llvm-cov's export."""

import json
import os
import sys

WORST = 12  # files to name


def own(path):
    """The name in the tree, or None: tests and generated files are not measured."""
    name = os.path.relpath(path)
    return name if name.startswith(("lib/", "app/")) and name.endswith((".c", ".h")) else None


def room(name):
    return "/".join(name.split("/")[:2])


def uncovered(data):
    """Functions that no object ever entered, by file."""
    entered, never = set(), {}
    for function in data["functions"]:
        name = own(function["filenames"][0])
        if name is None:
            continue
        key = (name, function["name"].rsplit(":", 1)[-1])
        if function["count"]:
            entered.add(key)
        else:
            never[key] = function["regions"][0][0]
    by_file = {}
    for (name, text), line in never.items():
        if (name, text) not in entered:
            by_file.setdefault(name, []).append((line, text))
    return by_file


def percent(covered, count):
    return 100 * covered / count if count else 100.0


def main(path, least, out):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)["data"][0]
    files = {}
    for entry in data["files"]:
        name = own(entry["filename"])
        if name:
            lines = entry["summary"]["lines"]
            files[name] = (lines["covered"], lines["count"])
    rooms = {}
    for name, (covered, count) in files.items():
        have = rooms.get(room(name), (0, 0))
        rooms[room(name)] = (have[0] + covered, have[1] + count)
    print(f"{'room':<18}{'lines':>8}{'run':>8}{'':>8}")
    for name in sorted(rooms):
        print(f"{name:<18}{rooms[name][1]:>8}{rooms[name][0]:>8}{percent(*rooms[name]):>7.1f}%")
    total = tuple(map(sum, zip(*rooms.values())))
    print(f"{'all':<18}{total[1]:>8}{total[0]:>8}{percent(*total):>7.1f}%")
    print("\nleast covered:")
    for name in sorted(files, key=lambda n: files[n][0] - files[n][1])[:WORST]:
        print(f"  {percent(*files[name]):5.1f}%  {files[name][1] - files[name][0]:4} lines not run"
              f"  {name}")
    never = uncovered(data)
    print("\nfunctions that nothing calls:")
    for name in sorted(never):
        print(f"  {name}: " + ", ".join(f"{text}():{line}" for line, text in sorted(never[name])))
    if out:
        with open(out, "w", encoding="utf-8") as file:
            json.dump({"commit": os.environ.get("FAULT_COMMIT", ""),
                       "percent": round(percent(*total), 1), "lines": total[1],
                       "rooms": {n: round(percent(*r), 1) for n, r in sorted(rooms.items())}}, file)
    return 0 if percent(*total) >= float(least) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
