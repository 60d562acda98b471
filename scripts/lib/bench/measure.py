# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Runs, repeated where something disturbed them, and cases and series made of runs."""

import contextlib
import dataclasses
import json
import statistics
import subprocess
import tempfile

import machine
import cases
import load
import quiet
import switches
from harness import Refused
from ovs import PeerMissing
from proc import Failed, Skip, check, run

REPEATS_MOST = 3
ROUND_REPEATS_MOST = 2  # of a round in the middle of which the machine changed
SERIES_ROUNDS = 3
ERRORS = (Failed, Skip, Refused, PeerMissing, OSError, subprocess.SubprocessError, ValueError,
          KeyError, TypeError, IndexError)


def explain(error):
    """One line: what it was, and what a process said last if it was one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines or isinstance(error, KeyError):
        lines = [f"{type(error).__name__} {error}"]
    text = ": ".join(line[:160] for line in dict.fromkeys((lines[0], lines[-1])))
    return text if ";" in text else f"{text}; run the case alone to see whether it stays"


class Bench:
    """@say: takes lines about progress. notes: lines for below the table."""

    def __init__(self, rig, say):
        self.rig, self.say, self.notes = rig, say, []
        self.pingpong = quiet.Pingpong(rig)
        self.tsc_hz = self.vectors = self.ovs_version = None
        self._ovs_missing = None
        self._told_delay = False

    def usual_pingpong(self):
        """So that the first run has something to be compared with."""
        for _ in range(5):
            self.pingpong.measure(fresh_s=0)

    def run(self, kind, setting, what, **more):
        """One run, as load.window() or load.lone() return it, again while it is disturbed; with
        {"repeats", "disturbed", "settings"}."""
        if kind.startswith("ovs") and self._ovs_missing:
            raise self._ovs_missing
        try:
            for repeats in range(REPEATS_MOST + 1):
                result, why = self._once(kind, setting, **more)
                if not why:
                    break
                self.say(f"{what}: {kind}: disturbed: {why}")
                quiet.await_quiet(self.rig.cpus)
        except PeerMissing as missing:
            self._ovs_missing = missing if kind.startswith("ovs") else self._ovs_missing
            raise
        if why:
            self.notes.append(f"{what}: {kind}: stayed disturbed: {why}")
        return {**result, "repeats": repeats, "disturbed": bool(why), "settings": {
            **dataclasses.asdict(setting), "window_s": self.rig.window_s, "cpus": self.rig.cpus}}

    def _once(self, kind, setting, ask=None, **more):
        pings = [self.pingpong.measure()]
        with tempfile.TemporaryDirectory(prefix="vsw-bench-", dir="/tmp") as directory, \
                switches.running(kind, self.rig, setting, directory, **more) as switch:
            self._facts(kind, switch)
            watch, poller = quiet.Watch(self.rig.cpus), quiet.Poller()
            try:
                result = (load.lone if setting.lone else load.window)(self.rig, switch)
            except ERRORS:
                switch.check_alive()
                raise
            delay, others = poller.delay(), watch.end()
            if ask:
                result["asked"] = ask(switch)
            if delay is None and not self._told_delay:
                self._told_delay = True
                self.notes.append("how long polling threads waited for their CPU: not measured: no"
                                  " schedstat, or no such thread")
        pings.append(self.pingpong.measure(fresh_s=0))
        result["pingpong_ns"] = max(pings)
        return result, quiet.verdict(self.pingpong, pings, others, delay)

    def _facts(self, kind, switch):
        if kind == "vswitchd" and self.tsc_hz is None:
            self.tsc_hz = switch.ask("worker.list")["tsc_hz"]
            with contextlib.suppress(Refused):  # an older build
                self.vectors = switch.ask("worker.show", lcore=1).get("vectors")
        if kind.startswith("ovs") and self.ovs_version is None:
            self.ovs_version = switch.version()


def floor(bench, setting):
    """{"frame", "ring", "cycles", "mpps", ...}: the least that a switch can cost."""
    argv = [bench.rig.program("floor"), *setting.floor_args(), "--seconds", bench.rig.window_s, "--cpus", ",".join(map(str, bench.rig.cpus))]
    for repeats in range(REPEATS_MOST + 1):
        pings, watch = [bench.pingpong.measure()], quiet.Watch(bench.rig.cpus)
        status, out, err, _ = run(argv, 20 + bench.rig.window_s)
        check(status == 0, f"floor: {status}: {err.strip()}")
        others = watch.end()
        pings.append(bench.pingpong.measure(fresh_s=0))
        why = quiet.verdict(bench.pingpong, pings, others, None)
        if not why:
            break
        bench.say(f"floor: disturbed: {why}")
        quiet.await_quiet(bench.rig.cpus)
    found = json.loads(out)
    return {**found, "mpps": found["received"] / found["seconds"] / 1e6, "repeats": repeats,
            "disturbed": bool(why), "rings": setting.ring}


def measure_case(bench, case, kinds):
    """Rounds in which the switches take turns; {kind: [run a round]}, {kind: why it has none}."""
    rounds, reasons = [], {}
    for number in range(bench.rig.rounds):
        first = number % len(kinds)
        for _ in range(ROUND_REPEATS_MOST + 1):
            found = _round(bench, case, kinds[first:] + kinds[:first], reasons)
            if "vswitchd" in reasons:
                return {}, reasons
            pings = [one["pingpong_ns"] for one in found.values()]
            if not quiet.differs(pings):
                break
            bench.say(f"{case.name}: a cache line took {min(pings):.0f} to {max(pings):.0f} ns from"
                      " CPU to CPU in one round: not comparable")
        rounds.append(found)
    return {kind: [found[kind] for found in rounds] for kind in kinds
            if kind not in reasons}, reasons


def _round(bench, case, kinds, reasons):
    """{kind: its run}, of those that have not failed so far."""
    found = {}
    for kind in kinds:
        try:
            if kind not in reasons:
                found[kind] = bench.run(kind, case.setting_of(kind), case.name)
        except ERRORS as error:
            reasons[kind] = explain(error)
            if kind == "vswitchd":
                break
    return found


def summary(found, tsc_hz):
    """Of one switch's runs of a case, as the result file has it."""
    if "round_trip" in found[0]:
        us = [load.percentile(one["round_trip"], 0.5) / 1000 for one in found]
        result = {"mpps": [], "us": us, **_middle(us), "cycles": [], "cycles_median": None,
                  "waited": None, "dropped": sum(one["lost"] for one in found)}
    else:
        rate = "gbps" if "gbps" in found[0] else "mpps"
        rates, cycles = ([one[key] for one in found] for key in (rate, "cycles"))
        waited = [one["waited"] for one in found]
        result = {"mpps": [one["mpps"] for one in found], rate: rates, **_middle(rates),
                  "cycles": cycles,
                  "cycles_median": None if None in cycles else statistics.median(cycles),
                  "waited": None if None in waited else statistics.median(waited),
                  "dropped": sum(one["dropped"] for one in found),
                  "strangers": sum(one.get("strangers", 0) for one in found)}
        if tsc_hz and result["cycles_median"]:
            result["busy"] = statistics.median(
                r * (1e6 if rate == "mpps" else 1e9 / 8) * c / tsc_hz
                for r, c in zip(rates, cycles))
    return {**result, "pingpong_ns": [one["pingpong_ns"] for one in found],
            "disturbed": sum(one["disturbed"] for one in found),
            "repeats": sum(one["repeats"] for one in found), "settings": found[0]["settings"]}


def _middle(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure_series(bench, name, kinds):
    """({kind: [[x, Mpps, cycles or None], ...]}, lines about what is missing). A round goes through
    all of it, so that what changes meanwhile changes all points and does not look like a slope."""
    settings, missing, runs = cases.SERIES[name], {}, {}
    for _ in range(min(SERIES_ROUNDS, bench.rig.rounds)):
        for x, setting in settings.items():
            for kind in kinds:
                if (x, kind) in missing:
                    continue
                try:
                    found = bench.run(kind, setting, f"{name} {x}")
                    runs.setdefault((x, kind), []).append(found)
                except ERRORS as error:
                    missing[x, kind] = f"{name} {x}: {kind}: not measured: {explain(error)}"
    points = {kind: [] for kind in kinds}
    for (x, kind), found in runs.items():
        if (x, kind) not in missing:
            result = summary(found, None)
            points[kind].append([x, result["median"], result["cycles_median"]])
    return points, list(missing.values())


def measure_stages(bench, build):
    """[{"name", "cycles_per_frame"}] of the vswitchd of @build, which counts them."""
    shown = bench.run("vswitchd", cases.Setting(), "stages",
                      ask=lambda switch: switch.ask("worker.show", lcore=1),
                      program=build / "app" / "vswitchd" / "vswitchd")["asked"]
    check(shown.get("packets") and shown.get("stages"), "the switch does not report its stages")
    return [{"name": stage["name"], "cycles_per_frame": stage["cycles"] / shown["packets"]}
            for stage in shown["stages"]]


def offers_stages():
    """Whether the source tree has a build option for them."""
    options = machine.TOP / "meson_options.txt"
    return options.exists() and "stage_cycles" in options.read_text(encoding="utf-8")
