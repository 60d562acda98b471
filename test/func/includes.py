# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""A file that includes from a room above it does not compile.

For each room a probe is compiled with the very arguments of one of the room's own files: headers of
the rooms it may use compile, headers of all other rooms do not, by whatever spelling.
usage: includes.py SOURCE_ROOT BUILD_ROOT"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from proc import Skip, check
from runner import main

# What each room may include from: the order of doc/design, from the ground up.
MAY_USE = {"base": set()}
for room in ("conf", "stats", "mac", "vring", "gate"):
    MAY_USE[room] = {"base"}
MAY_USE["port"] = {"base", "stats", "mac", "vring", "gate"}
MAY_USE["fwd"] = MAY_USE["port"] | {"port"}
MAY_USE["worker"] = MAY_USE["fwd"] | {"fwd"}
MAY_USE["vsw"] = MAY_USE["worker"] | {"worker", "conf"}
MAY_USE["ctl"] = MAY_USE["vsw"] | {"vsw"}
APPS = {"vswitchd": set(MAY_USE), "vswitchctl": {"base", "conf", "stats"}}

WITHOUT_DPDK = ("base", "conf", "gate", "vswitchctl")
DPDK_PROBE = "rte_ethdev.h"

SOURCE = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path(".")
BUILD = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else pathlib.Path("build")


def arguments():
    """{room or app: (directory, compiler arguments of one of its files without the file)}"""
    found = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        file = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        try:
            parts = file.relative_to(SOURCE).parts
        except ValueError:
            continue
        if len(parts) < 3 or parts[0] not in ("lib", "app") or parts[1] in found:
            continue
        argv, skip = [], False
        for arg in shlex.split(entry["command"]):
            if skip or arg in ("-c", "-MD", entry["file"]):
                skip = False
            elif arg in ("-o", "-MF", "-MQ"):
                skip = True
            elif not arg.startswith("-fsanitize"):
                argv.append(arg)
        # a part of a room that is compiled by itself (fwd's kernels) sees less than the room
        if parts[0] == "lib" and not any(a.endswith(f"lib/{parts[1]}/include") for a in argv):
            continue
        found[parts[1]] = (entry["directory"], argv)
    return found


def compiles(room_args, text):
    directory, argv = room_args
    argv = argv + ["-w", "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(argv, cwd=directory, input=text, text=True, timeout=60,
                          capture_output=True, check=False).returncode == 0


def headers(room):
    return sorted(p.name for p in (SOURCE / "lib" / room / "include" / room).glob("*.h"))


def sources():
    for top in ("lib", "app"):
        yield from sorted(p for p in (SOURCE / top).rglob("*") if p.suffix in (".c", ".h"))


def rooms_see_only_rooms_below(_case):
    rooms = arguments()
    if not rooms:
        raise Skip("no file of any room is in compile_commands.json")
    probes = []  # (room, header, may it compile, arguments, text)
    for room, args in rooms.items():
        allowed = APPS.get(room) or MAY_USE[room] | {room}
        for other in MAY_USE:
            # A room need not use all that it may. Its own headers and base's show that a probe
            # that fails does so for the right reason.
            if other in allowed and other not in (room, "base"):
                continue
            legal = other in allowed
            for header in headers(other):
                name = f"{other}/{header}"
                probes.append((room, name, legal, args, f"#include <{name}>\n"))
            if not legal:
                for path in (f"{other}/include/{name}", f"lib/{other}/include/{name}"):
                    probes.append((room, path, False, args, f'#include "{path}"\n'))
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda p: compiles(p[3], p[4]), probes))
    wrong = [f"  {room}: <{name}> {'does not compile' if legal else 'compiles'}"
             for (room, name, legal, _, _), ok in zip(probes, got) if ok != legal]
    check(not wrong, f"{len(wrong)} of {len(probes)} probes:\n" + "\n".join(wrong))
    check(any(legal for _, _, legal, _, _ in probes), "no probe that should compile")
    print(f"# {len(rooms)} rooms, {len(probes)} probes,"
          f" {sum(not p[2] for p in probes)} of them forbidden")


def rooms_without_dpdk_do_not_see_it(_case):
    rooms = arguments()
    seen = [r for r in WITHOUT_DPDK if r in rooms
            and compiles(rooms[r], f"#include <{DPDK_PROBE}>\n")]
    check(not seen, f"<{DPDK_PROBE}> compiles in {', '.join(seen)}")
    if "port" in rooms:
        check(compiles(rooms["port"], f"#include <{DPDK_PROBE}>\n"),
              f"<{DPDK_PROBE}> does not compile in port, so this test proves nothing")


def no_include_climbs_out_of_its_folder(_case):
    bad = []
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
            if not match:
                continue
            name = match.group(2)
            if ".." in name or name.startswith("/"):
                bad.append(f"{path.relative_to(SOURCE)}:{number}: {name}")
            if match.group(1) == '"' and not (path.parent / name).exists():
                bad.append(f"{path.relative_to(SOURCE)}:{number}: \"{name}\" is not beside it")
    check(not bad, "\n".join(bad))


def only_its_own_room_names_a_foreign_library(_case):
    """vring sees no mbuf, nothing below ctl sees JSON, nothing but conf reads YAML."""
    rules = {r"rte_(mbuf|mempool|ethdev|eal)\b": lambda room: room == "vring",
             r"jansson\.h": lambda room: room not in ("ctl", "vswitchctl", "vswitchd"),
             r"cyaml": lambda room: room != "conf"}
    bad = []
    for path in sources():
        room = path.relative_to(SOURCE).parts[1]
        for line in path.read_text().splitlines():
            if re.match(r"\s*#\s*include", line):
                bad += [f"{path.relative_to(SOURCE)}: {line.strip()}"
                        for rule, forbidden in rules.items()
                        if forbidden(room) and re.search(rule, line)]
    check(not bad, "\n".join(bad))


if __name__ == "__main__":
    main(rooms_see_only_rooms_below, rooms_without_dpdk_do_not_see_it,
         no_include_climbs_out_of_its_folder, only_its_own_room_names_a_foreign_library)
