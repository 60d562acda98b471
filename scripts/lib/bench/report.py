# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The one table, the lines below it, and the file."""

import json

import cases
import load
import ratios

_HEAD = ("CASE", "SWITCH", "Mpps", "SPREAD", "CYCLES", "xFLOOR", "WAITED", "DROPPED", "RUNS",
         "RATIO", "BY CYC", "HOLD", "GOAL", "VERDICT")
_LEFT = {"CASE", "SWITCH", "VERDICT"}
_LEGEND = """\
Mpps, us where it says so, or G: Gbit/s of TCP's payload. SPREAD (highest - lowest) / median. CYCLES
a frame, /B a byte of payload, of rounds that moved one. xFLOOR times what just copying the frames
costs here. WAITED share of the time that the load had nothing to do; < there: the load was the
limit, not vswitchd. RUNS rounds, +N repeated, ! stayed disturbed. RATIO
vswitchd's rate to this switch's, BY CYC its cycles to vswitchd's; * the one that decides."""


def table(result, asked_peers):
    """Lines of all cases. @asked_peers: whether a peer without a figure gets a row."""
    rows = [_HEAD]
    for entry in result["cases"]:
        rows += list(_case_rows(entry, asked_peers))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(text.ljust(width) if name in _LEFT else text.rjust(width)
                        for name, text, width in zip(_HEAD, row, widths)).rstrip()


def _case_rows(entry, asked_peers):
    name = entry["name"]
    for kind in entry["kinds"]:
        if kind in entry["results"]:
            yield _row(name, kind, entry)
        elif asked_peers or kind in ("vswitchd", "own"):
            yield (name, kind, *"-" * 8, "-", *_wanted(entry, kind), "not measured")
        else:
            continue
        name = ""


def _row(name, kind, entry):
    result, compared = entry["results"][kind], entry["comparisons"].get(kind)
    limited = kind == "vswitchd" and entry["front_end_limits"]
    waited = _percent(result["waited"], 0)
    runs = len(result["mpps"] or result["us"])
    ratio = by_cycles = "-" if compared else ""
    if compared:
        ratio, by_cycles = (
            _number(compared[key], 2) + ("*" if compared["by"] == key else "")
            for key in ("rate", "cycles"))
    suffix = "us" if "us" in result else "G" if "gbps" in result else ""
    return (name, kind, _number(result["median"], 1 if suffix == "G" else 2) + suffix,
            _percent((result["high"] - result["low"]) / result["median"], 1),
            _cycles(result), _times_floor(result, entry["floor"]),
            waited + ("<" if limited else ""), _dropped(result),
            f"{runs}" + (f"+{result['repeats']}" if result["repeats"] else "")
            + ("!" if result["disturbed"] else ""),
            ratio, by_cycles, *(_wanted(entry, kind) if compared else ("", "")),
            entry["verdicts"].get(kind, "") if compared else _fails(entry))


def _wanted(entry, kind):
    return tuple(_number(entry[key].get(kind), 2, "") for key in ("hold", "goal"))


def _fails(entry):
    return "" if entry["error"] is None else "failed"


def _number(value, digits, none="-"):
    return none if value is None else f"{value:.{digits}f}"


def _percent(value, digits):
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def _dropped(result):
    if result["settings"]["null"]:
        return "-"  # net_null makes frames without end
    n = result["dropped"]
    if n < 0:
        return "-"  # counters that were read at different times
    return next(f"{n / unit:.0f}{letter}" for unit, letter in ((1e6, "M"), (1e3, "k"), (1, ""))
                if n >= unit or unit == 1)


def _cycles(result):
    """A frame, or a byte of TCP's payload."""
    if "gbps" not in result or result["cycles_median"] is None:
        return _number(result["cycles_median"], 0)
    return _number(result["cycles_median"], 3) + "/B"


def _times_floor(result, floor):
    """Of the floor of the same frame and ring."""
    cycles, settings = result["cycles_median"], result["settings"]
    if not (floor and cycles and floor["cycles"]) or settings["guests"] != 2 or (
            floor["frame"], floor["rings"]) != (settings["frame"], settings["ring"]):
        return "-"
    if "gbps" in result:
        cycles *= settings["frame"] - cases.TCP_HEADS
    return _number(cycles / floor["cycles"], 1)


def latency(result):
    """A line for each switch that a lone frame went through."""
    for kind, ways in result["latency"].items():
        text = ", ".join(
            f"{title} p50 {_us(ways[way], 0.5)} p99 {_us(ways[way], 0.99)}"
            for way, title in (("one_way", "one way"), ("round_trip", "round trip")))
        yield f"lone frame, {kind}: {text} us"


def _us(histogram, share):
    found = load.percentile(histogram, share)
    return "-" if found is None else f"{found / 1000:.2f}"


def series(result):
    for name, kinds in result["series"].items():
        if isinstance(kinds, list):  # stages
            yield f"{name}: " + ", ".join(f"{s['name']} {s['cycles_per_frame']:.1f}"
                                          for s in kinds) + " cycles/frame"
            continue
        for kind, points in kinds.items():
            yield f"{name}, {kind}: " + ", ".join(f"{x}: {mpps:.2f}" for x, mpps, _ in points) \
                + " Mpps"


def lines(result, notes, asked_peers):
    """All that is printed."""
    if result["cases"]:
        yield from table(result, asked_peers)
        yield from _LEGEND.splitlines()
    for floor in result["floor"]:
        yield (f"floor: {floor['frame']} bytes, {floor['ring']} buffers: {floor['cycles']:.0f}"
               f" cycles/frame, {floor['mpps']:.1f} Mpps"
               + (", but disturbed" if floor["disturbed"] else ""))
    yield from latency(result)
    yield from series(result)
    for one in result["guest"]:
        meaning = "" if one["is_figure"] else ", no figure: it only proves that all of it works"
        name, unit = (f"{one['case']}, {one['kind']}", "Gbit/s") if "gbps" in one else (
            one["case"], "Mpps")
        yield f"guest {name}: " + (
            f"not measured: {one['error']}" if one["error"] else
            f"{one['median']:.3f} {unit} under {one['accel']}{meaning}")
    accounting = ratios.accounting(result["cases"])
    if accounting:
        yield accounting
    for entry in result["cases"]:
        for kind, why in entry["reasons"].items():
            yield f"{entry['name']}: {kind}: not measured: {why}"
    yield from notes


def write(result, path):
    """OSError is the caller's."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
