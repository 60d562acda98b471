# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""vswitchd compared with its peers and with itself, and what that means for a case."""

import statistics

from proc import check
from quiet import differs

FRONT_END_LEAST = 0.05   # share that the front-end waited, below which it is what limits
SATURATED_LEAST = 0.20   # of the same, from which on the switch never was without work
BUSY_OFF_MOST = 0.02     # of a window, that a saturated switch's cycles may not explain
_ORDER = ("MISSED", "not measured", "held", "goal")  # worst first


def _same(a, b, but=()):
    """Runs of different settings say nothing about each other."""
    differ = {key for key in {*a, *b} if a.get(key) != b.get(key)}
    check(differ <= set(but), f"not comparable: the runs differ in {', '.join(sorted(differ))}")


def _by_round(ours, theirs, key):
    """Median of theirs / ours over the rounds in which the machine was the same for both; None
    where there is none, or one of them lacks a figure."""
    pairs = [pair for *pair, p, q in zip(ours[key], theirs[key], ours["pingpong_ns"],
                                         theirs["pingpong_ns"]) if not differs((p, q))]
    if not pairs or any(not a or not b for a, b in pairs):
        return None
    return statistics.median(b / a for a, b in pairs)


def front_end_limits(result):
    return result["waited"] is not None and result["waited"] < FRONT_END_LEAST


def compare(case, results, kind):
    """{"rate", "cycles", "ratio", "by"} of vswitchd to @kind: by rate and by cycles a frame, and
    which of them decides. Where the front-end limits, vswitchd's rate is not what it can do, and
    the cycles at full bursts tell it; "own" is no better known than the worse of the two."""
    ours, theirs = results["vswitchd"], results[kind]
    _same(ours["settings"], theirs["settings"], _changed(case, kind))
    if "us" in ours:
        rate = _by_round(ours, theirs, "us")
        return {"rate": rate, "cycles": None, "ratio": rate, "by": "rate"}
    rate = _by_round(theirs, ours, "gbps" if case.setting.tcp else "mpps")
    cycles = _by_round(ours, theirs, "cycles")
    by = "rate"
    if rate is not None and cycles is not None:
        if kind == "own" and (front_end_limits(ours) or front_end_limits(theirs)):
            by = "cycles"
        elif kind != "own" and front_end_limits(ours) and cycles > rate:
            by = "cycles"
    return {"rate": rate, "cycles": cycles, "ratio": cycles if by == "cycles" else rate, "by": by}


def _changed(case, kind):
    """What a case changes on purpose, to compare vswitchd with itself, or for what a peer lacks."""
    other = case.setting_of(kind)
    return {key for key in case.setting.__dataclass_fields__
            if getattr(case.setting, key) != getattr(other, key)}


def verdict(case, kind, ratio):
    """"" where nothing is asked for."""
    hold, goal = case.hold.get(kind), case.goal.get(kind)
    if hold is None:
        return ""
    if ratio is None:
        return "not measured"
    if ratio < hold:
        return "MISSED"
    return "goal" if goal is not None and ratio >= goal else "held"


def judge(case, entry):
    """Fill in the ratios and verdicts of a case's entry of the result file."""
    results = entry["results"]
    entry["comparisons"] = {kind: compare(case, results, kind) for kind in results
                            if kind != "vswitchd" and "vswitchd" in results}
    entry["ratios"] = {kind: c["ratio"] for kind, c in entry["comparisons"].items()}
    entry["verdicts"] = {kind: verdict(case, kind, entry["ratios"].get(kind))
                         for kind in {**case.hold, **entry["ratios"]}}
    said = [v for v in entry["verdicts"].values() if v]
    entry["verdict"] = min(said, key=_ORDER.index) if said else ""
    entry["front_end_limits"] = "vswitchd" in results and front_end_limits(results["vswitchd"])


def accounting(entries):
    """One line: do cycles a frame times frames give the time of the window, where a switch was
    busy all the time? None where no run can tell."""
    checked = [(entry["name"], kind, result["busy"]) for entry in entries
               for kind, result in entry["results"].items()
               if result.get("busy") and (result["waited"] or 0) >= SATURATED_LEAST
               and not result["disturbed"] and kind in ("vswitchd", "own")
               and not result["settings"]["null"]]
    if not checked:
        return None
    worst = max(checked, key=lambda c: abs(c[2] - 1))
    fine = abs(worst[2] - 1) <= BUSY_OFF_MOST
    return (f"accounting: frames x cycles/frame of the saturated switch are within"
            f" {100 * abs(worst[2] - 1):.1f}% of the window in {len(checked)} case"
            f"{'s' if len(checked) > 1 else ''}" if fine else
            f"accounting: frames x cycles/frame are {100 * worst[2]:.1f}% of the window in"
            f" {worst[0]} ({worst[1]}), not 98 to 102%: distrust its cycles")
