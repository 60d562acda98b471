# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The machine and the programs: two CPUs, huge pages, a build."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import re
import subprocess

from proc import Failed, check, run

TOP = pathlib.Path(__file__).resolve().parents[3]
_PAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
PAGES_WANTED = 1536  # of 2 MiB: OVS takes 512, 64 guests and a switch the rest
PAGES_LEAST = 512    # two guests and one of the switches
_BUILD_SECONDS = 600
_TARGETS = ("app/vswitchd/vswitchd", "app/vswitchctl/vswitchctl", "test/perf/load",
            "test/perf/floor")


class Unable(Exception):
    """Nothing can be measured here. One line: what: why; what to do."""

    status = 77


class NotBuilt(Unable):
    """That is no property of the machine."""

    status = 1


@dataclasses.dataclass(frozen=True)
class Rig:
    """What all runs of an invocation have in common."""
    cpus: tuple      # A: load, main lcores, control threads, ourselves; B: the polling lcore
    window_s: float
    rounds: int
    build: pathlib.Path

    def program(self, name):
        """Its path; name: vswitchd, load or floor."""
        return self.build / next(t for t in _TARGETS if t.endswith(f"/{name}"))


def choose_cpus(text):
    """(A, B) of "A,B", or the first two that are ours."""
    mine = sorted(os.sched_getaffinity(0))
    if text is None:
        if len(mine) < 2:
            raise Unable("one CPU: a switch and its load take one each; run it where there are two")
        return tuple(mine[:2])
    match = re.fullmatch(r"(\d+),(\d+)", text)
    cpus = tuple(map(int, match.groups())) if match else ()
    if len(set(cpus)) != 2 or not set(cpus) <= set(mine):
        raise ValueError(f"--cpus {text}: not two CPUs of ours; give two of"
                         f" {','.join(map(str, mine))}")
    return cpus


def build(directory, options, say):
    """Have the programs in @directory of the source tree up to date; return its path."""
    path = TOP / directory
    setup = TOP / "scripts" / "setup"
    if run([setup, "--check", "test"], 60)[0] != 0:
        say("installing packages that are missing")
        _step([setup, "test"], "scripts/setup", None)
    say(f"building into {directory}/ (its log: {directory}/bench.log)")
    path.mkdir(exist_ok=True)
    with open(path / "bench.log", "w", encoding="utf-8") as log:
        verb = ["configure"] if (path / "build.ninja").exists() else ["setup"]
        _step(["meson", *verb, str(path), "--buildtype=release", "-Dtests=true", *options]
              if verb == ["configure"] else
              ["meson", "setup", "--buildtype=release", "-Dtests=true", *options, str(path),
               str(TOP)], "meson", log)
        _step(["ninja", "-C", str(path), *_TARGETS], "the build", log)
    return path


def existing(directory):
    """A build directory that has all that is needed; its path."""
    path = pathlib.Path(directory).resolve()
    missing = [target for target in _TARGETS if not os.access(path / target, os.X_OK)]
    if missing:
        raise ValueError(f"--build {directory}: {missing[0]}: no such program; build it there")
    return path


def how_built(path):
    """{"path", "buildtype", "stage_cycles"} of a build directory, None where meson does not tell."""
    found = {"path": str(path.name), "buildtype": None, "stage_cycles": None}
    with contextlib.suppress(Failed, OSError, ValueError, KeyError):
        status, text, _, _ = run(["meson", "introspect", "--buildoptions", str(path)], 20)
        check(status == 0, "no build directory")
        options = {one["name"]: one["value"] for one in json.loads(text)}
        found.update({key: options[key] for key in ("buildtype", "stage_cycles")})
    return found


def _step(argv, what, log):
    try:
        done = subprocess.run(argv, stdout=log, stderr=subprocess.STDOUT if log else None,
                              stdin=subprocess.DEVNULL, timeout=_BUILD_SECONDS, check=False)
        if done.returncode == 0:
            return
        why = f"status {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    raise NotBuilt(f"{what}: failed ({why}); see {log.name if log else 'its last lines above'}")


@contextlib.contextmanager
def hugepages(say):
    """Have enough that are free; at the end the machine has as many as before."""
    with contextlib.ExitStack() as undo:
        try:
            missing = max(0, PAGES_WANTED - _pages("free"))
            if missing:
                before = _pages("nr")
                undo.callback(_give_back, before, say)
                _set_pages(before + missing)
            free = _pages("free")
        except OSError as error:
            free, why = 0, f"{error.filename}: {error.strerror}"
            with contextlib.suppress(OSError):
                free = _pages("free")
        else:
            why = "memory is short or in pieces"
        if free < PAGES_LEAST:
            raise Unable(f"huge pages: {free} of 2048 kB are free and {PAGES_LEAST} needed, more"
                         f" cannot be had ({why}); run as root, or end what holds memory")
        if free < PAGES_WANTED:
            say(f"huge pages: {free} of 2048 kB are free, {PAGES_WANTED} wanted ({why}); the"
                " largest cases may fail")
        yield


def _pages(kind):
    return int((_PAGES / f"{kind}_hugepages").read_text())


def _set_pages(number):
    (_PAGES / "nr_hugepages").write_text(str(number))


def _give_back(number, say):
    """What was measured is worth more than the pages."""
    try:
        _set_pages(number)
    except OSError as error:
        say(f"huge pages: not back at {number}: {error.strerror}; write it to"
            f" {_PAGES / 'nr_hugepages'}")


def describe(rig):
    """Of the result: what it was measured on."""
    model = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    with contextlib.suppress(Failed, OSError):
        status, version, _, _ = run([rig.program("vswitchd"), "--version"], 10)
        check(status == 0, "it has no version")
        found = re.search(r"DPDK ([\w.]+)", version)
        return _facts(model, found[1] if found else None)
    return _facts(model, None)


def _facts(model, dpdk):
    return {"cpu": model[1] if model else platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "dpdk": dpdk, "ovs": None, "tsc_mhz": None}
