# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Charts of a run of scripts/bench, drawn by gnuplot: draw() makes an SVG and a PNG of each.

What is not in the results is not drawn: a chart without figures is skipped with a line, a missing
figure is a gap and never a zero. Text of the results reaches gnuplot in one way only, quote().
"""

import collections
import math
import pathlib
import re
import shutil
import subprocess
import textwrap

WIDTH, HEIGHT, BOTTOM = 900, 500, 56  # pixels; with many bars it gets higher
# Sizes of text and points: each has its own measure, with these they look the same.
TERMINALS = {"svg": ("svg", 13, 0.65), "png": ("pngcairo", 10, 1)}

# Okabe and Ito's colours, which the colour-blind tell apart; the shape of the point says it again.
# Colour, point and name are the same in all charts of all runs.
OURS = "vswitchd"
STYLES = {
    OURS: ("#0060a8", 7, OURS),
    "own": ("#8cc4ee", 6, "vswitchd baseline"),
    "testpmd-io": ("#e69f00", 5, "testpmd io"),
    "testpmd-2k": ("#f0d080", 4, "testpmd io, 2 KiB mbufs"),
    "testpmd-mac": ("#009e73", 13, "testpmd mac"),
    "ovs": ("#8a9099", 9, "Open vSwitch"),
    "ovs-tso": ("#5c636b", 8, "Open vSwitch, userspace TSO"),
}
INK, FAINT, ALARM = "#222222", "#666666", "#b00020"
MPPS = "million frames per second"
BASE = f"""set encoding utf8
set border 3 lc rgb '{FAINT}'
set tics nomirror scale 0.5 tc rgb '{INK}'
set grid lt 1 lw 1 lc rgb '#dddddd'
set style fill solid 1 noborder
set yrange [0:*]
"""


class NotDrawn(Exception):
    """Why, in one line."""


# How long, the range that this is the median of, marks to compare it with, a remark.
Bar = collections.namedtuple("Bar", "value low high hold goal remark",
                             defaults=(None, None, None, None, ""))


class Chart:
    """A gnuplot script under way."""

    def __init__(self, title, subtitle, height=HEIGHT):
        self.height = height
        self._script, self._plots, self._blocks = BASE, [], 0
        self.text(f"screen {20 / WIDTH}", f"screen {1 - 24 / height}", title, size=1.25, bold=True)
        self.text(f"screen {20 / WIDTH}", f"screen {1 - 47 / height}", subtitle, FAINT)

    def add(self, *lines):
        self._script += "".join(f"{line}\n" for line in lines)

    def text(self, x, y, text, colour=INK, align="left", size=1, bold=False):
        """At gnuplot's coordinates @x and @y; @size is a multiple of the text's."""
        self.add(f"set label {quote(text)} at {x}, {y} {align} front tc rgb '{colour}' "
                 f"font sprintf('sans-serif{':Bold' if bold else ''},%g', {size} * size)")

    def area(self, left, right, key_rows=1):
        """Where the axes are, in pixels; the key is above, from the far left."""
        margins = {"l": left / WIDTH, "r": right / WIDTH, "b": BOTTOM / self.height,
                   "t": 1 - (72 + 17 * key_rows) / self.height}
        self.add(*(f"set {side}margin at screen {at}" for side, at in margins.items()),
                 f"set key at screen {12 / WIDTH}, screen {1 - 60 / self.height} left top vertical "
                 f"maxrows {key_rows or 1} Left reverse samplen 1.5 tc rgb '{INK}'")

    def plot(self, rows, how, title=None):
        """Rows of numbers; a None among them breaks the line. Without rows only the key has it."""
        self._blocks += 1
        self.add(f"$d{self._blocks} << E", *(" ".join(map(repr, row or ())) for row in rows), "E")
        if rows or title:
            self._plots.append(f"{f'$d{self._blocks}' if rows else 'keyentry'} {how} "
                               + (f"title {quote(title)}" if title else "notitle"))

    def finish(self):
        """Draw in the area set last what was plotted since. Return the chart."""
        self.add("plot " + ", ".join(self._plots), "unset label")
        self._plots.clear()
        return self

    def render(self, kind):
        """The picture."""
        terminal, size, dot = TERMINALS[kind]
        script = (f"set terminal {terminal} noenhanced size {WIDTH},{self.height} background "
                  f"'#ffffff' font 'sans-serif,{size}'\nsize = {size}; dot = {dot}\n{self._script}")
        # Through its pipes: it gets to know no path and leaves no half of a file. -d: without the
        # user's ~/.gnuplot, which may change all of the above.
        done = subprocess.run(["gnuplot", "-d", "-"], input=script.encode(), check=False,
                              capture_output=True, timeout=60)
        if done.returncode or not done.stdout:
            said = done.stderr.decode(errors="replace").strip() or "it gives no reason"
            raise NotDrawn(f"gnuplot: status {done.returncode}: {said.splitlines()[-1]}")
        # Its SVG takes the weight of a font for a part of the name.
        return done.stdout.replace(b'="sans-serif:Bold"', b'="sans-serif" font-weight="bold"')


def quote(text):
    """A string for gnuplot. Between single quotes it interprets nothing but a doubled one."""
    return "'" + clean(text).replace("'", "''") + "'"


def clean(text, limit=None):
    """@text as one line of what can be printed, at most @limit characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return text if not limit or len(text) <= limit else text[:limit - 1].rstrip() + "…"


def number(value):
    """A figure, or None where there is none."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if good and math.isfinite(value) else None


def mapping(value, *keys):
    """The mapping at the end of @keys, an empty one if there is none."""
    for key in keys:
        value = mapping(value).get(key)
    return value if isinstance(value, dict) else {}


def listing(value):
    return value if isinstance(value, list) else []


def pairs(rows):
    """(x, y) of the rows that have an x, in its order; a y may be None."""
    points = [(number(row[0]), number(row[1])) for row in map(listing, listing(rows)) if row[1:]]
    return sorted((p for p in points if p[0] is not None), key=lambda p: p[0])


def figure(value):
    """Three digits that count."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0}f}"


def in_order(switches):
    """[(switch, colour, point, name)]"""
    return [(s, *STYLES.get(s, ("#cc79a7", 4, clean(s, 20))))
            for s in sorted(switches, key=lambda s: ([*STYLES, s].index(s), s))]


def subtitle(run, settings=(), more=""):
    """CPU, versions and those @settings in one line."""
    machine, chosen = mapping(run, "machine"), mapping(run, "settings")
    cpu = re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@.*", " ", str(machine.get("cpu") or ""))
    facts = {**machine, **{key: chosen.get(key) for key in settings}, "cpu": clean(cpu, 40)}
    forms = {"cpu": "{}", "cpus": "{} CPUs", "dpdk": "DPDK {}", "ovs": "OVS {}",
             "rounds": "{} rounds", "window_s": "windows of {} s"}
    said = [form.format(facts[key]) for key, form in forms.items() if facts.get(key)]
    return clean(" · ".join(said + [more] * bool(more)), 124)


def bar_chart(title, below, unit, rows):
    """Horizontal bars, so that the names can be read. @rows: [(name, {switch: its Bar, or None
    where one is missing})]; a switch without any bar at all has no place kept for it."""
    bars = [(switch, bar) for _, row in rows for switch, bar in row.items() if bar]
    switches = in_order({switch for switch, _ in bars})
    rows = [(name, [(s, row[s]) for s, *_ in switches if s in row]) for name, row in rows]
    rows = [(name, row, max(len(row), 2) + 1) for name, row in rows if row]  # a name has two lines
    length = sum(height for _, _, height in rows)  # counted in bars
    end = max(max(v or 0 for v in bar[:5]) for _, bar in bars) * 1.04 or 1.0
    is_marked = any(bar.hold or bar.goal for _, bar in bars)
    key_rows = sum(len(switches) + 2 * is_marked > room for room in (1, 4))
    frame = 72 + 17 * key_rows + BOTTOM  # all that is not between the axes
    chart = Chart(title, below, max(HEIGHT, frame + length * 14))
    chart.area(270, WIDTH - 110, key_rows)
    chart.add(f"set yrange [{length}:0]", f"set xrange [0:{end!r}]", f"set xlabel '{unit}'",
              "unset ytics", "set grid noytics")
    placed, y = [], 0.0
    for name, row, height in rows:
        lines = min((textwrap.wrap(clean(name) or "?", width, break_on_hyphens=False, max_lines=2,
                                   placeholder="…") for width in range(20, 38)),
                    key=lambda t: (t[-1].endswith("…"), len(t), max(map(len, t))))
        thick = min((height - 1) / len(row), 1.6)
        for i, line in enumerate(lines):  # 15 pixels each
            at = y + height / 2 + (2 * i + 1 - len(lines)) * 7.5 * length / (chart.height - frame)
            chart.text(f"screen {260 / WIDTH}", f"first {at}", line, align="right", size=0.95)
        for i, (switch, bar) in enumerate(row):
            at = y + height / 2 + (i - len(row) / 2 + 0.5) * thick
            if not bar:
                chart.text("graph 0.006", f"first {at}", "no figure", FAINT, size=0.8)
                continue
            placed.append((switch, bar, at, thick))
            missed = bar.hold is not None and bar.value < bar.hold
            said = figure(bar.value) + (f" < {figure(bar.hold)}" if missed else "") + bar.remark
            # Among marks a figure would be taken for theirs: it is in a column of its own there.
            x = 1.0 if is_marked else max(bar.value, bar.high or 0) / end
            chart.text(f"graph {x + 0.01}", f"first {at}", said, ALARM if missed else INK, size=0.9)
        y += height
    for switch, colour, _, name in switches:
        chart.plot([(b.value, at, 0.0, b.value, at - thick * 0.44, at + thick * 0.44)
                    for s, b, at, thick in placed if s == switch],
                   f"with boxxyerror fc rgb '{colour}'", key_rows and name)
    chart.plot([(b.value, at, b.low, b.high) for _, b, at, _ in placed if None not in b[1:3]],
               f"with xerrorbars pt 0 lw 1.2 lc rgb '{INK}'")
    chart.plot([(b.hold, at - thick / 2, 0.0, thick) for _, b, at, thick in placed
                if b.hold is not None], f"with vectors nohead lw 3 lc rgb '{INK}'",
               is_marked and "has to hold")
    chart.plot([(b.goal, at) for _, b, at, _ in placed if b.goal is not None],
               f"with points pt 12 ps 1.1*dot lw 2 lc rgb '{INK}'", is_marked and "goal")
    return chart.finish()


def draw_cases(run, key, title, unit, more, which="Mpps"):
    """What the cases have under @key: "results" of those that are measured in @which, or "ratios"
    of all with what these are to be."""
    rows = []
    for case in map(mapping, listing(mapping(run).get("cases"))):
        if key == "results" and case.get("unit", "Mpps") != which:
            continue
        found, bars = mapping(case, key), {}
        if (key, case.get("name")) == ("results", "lone"):
            continue  # it has times, not rates
        expected = {*mapping(case, "hold"), *mapping(case, "goal"), *[OURS] * (key == "results")}
        for switch in expected.union(found):
            if key == "results":
                bar = [mapping(found, switch).get(name) for name in ("median", "low", "high")]
            else:
                marks = [mapping(case, name).get(switch) for name in ("hold", "goal")]
                bar = [found.get(switch), None, None, *marks]
            bars[switch] = None if number(bar[0]) is None else Bar(*map(number, bar))
        rows.append((case.get("title") or case.get("name") or "?", bars))
    if not any(bar for _, bars in rows for bar in bars.values()):
        raise NotDrawn(f"no case has {key}")
    return bar_chart(title, subtitle(run, ["rounds", "window_s"], more), unit, rows)


def draw_stages(run):
    stages = [mapping(stage) for stage in listing(mapping(run, "series").get("stages"))]
    stages = [(s.get("name") or "?", number(s.get("cycles_per_frame"))) for s in stages]
    total = sum(cycles or 0 for _, cycles in stages)
    if total <= 0:
        raise NotDrawn("no stage has a figure")
    return bar_chart(
        "Cycles per frame in vswitchd by stage", subtitle(run, more=f"{total:.0f} cycles in all"),
        "TSC cycles per frame", [(name, {OURS: None if cycles is None else Bar(
            cycles, remark=f"  ({cycles / total:.0%})")}) for name, cycles in stages])


def x_axis(chart, label, xs, tics, width):
    """A logarithmic x axis of @width pixels around @xs, with those of @tics that have room."""
    low, high = math.log10(min(xs)), math.log10(max(xs))
    low, high = low - ((high - low) * 0.04 or 0.5), high + ((high - low) * 0.04 or 0.5)
    kept, free = [], 0
    for tic in sorted(tics):
        said = f"{tic / 1000:g}k" if tic >= 1000 and tic % 1000 == 0 else f"{tic:.7g}"
        middle, half = (math.log10(tic) - low) / (high - low) * width, len(said) * 4 + 3
        if free <= middle - half and middle <= width:
            kept, free = [*kept, f"'{said}' {tic!r}"], middle + half
    chart.add("set logscale x", f"set xrange [{10 ** low!r}:{10 ** high!r}]",
              f"set xlabel '{label}'", f"set xtics ({', '.join(kept)})")


def draw_series(run, key, title, label, bits=False):
    """Lines over x; where x is the size of a frame, a second panel has the bits."""
    lines = {switch: [(x, y) for x, y in pairs(rows) if x > 0]
             for switch, rows in mapping(run, "series", key).items()}
    lines = {s: dict(line) for s, line in lines.items() if any(y is not None for _, y in line)}
    if not lines:
        raise NotDrawn(f"series {key} has no figure")
    chart, xs = Chart(title, subtitle(run, ["window_s"])), sorted(set().union(*lines.values()))
    chart.add("set multiplot" if bits else "")
    for panel, unit in enumerate([MPPS, "Gbit/s of frame bytes"] if bits else [MPPS]):
        left, width = 72 + panel * 446, 354 if bits else WIDTH - 100
        chart.add(f"set ylabel '{unit}'")
        chart.area(left, left + width)
        x_axis(chart, label, xs, xs, width)
        for switch, colour, point, name in in_order(lines):
            ys = [lines[switch].get(x) for x in xs]  # one that others have and this has not: a gap
            chart.plot([y is not None and (x, x * y * 8 / 1000 if panel else y)
                        for x, y in zip(xs, ys)], f"with linespoints lc rgb '{colour}' "
                       f"pt {point} {'lw 3 ps 1.1' if switch == OURS else 'lw 2 ps 0.9'}*dot",
                       not panel and name)
        chart.finish()
    return chart


def distribution(histogram):
    """[(us, percent of the frames that took no longer)] and {50: us, 99: us} if within the bins."""
    step = number(histogram.get("step_ns")) or 1.0
    bins = [(ns, count) for ns, count in pairs(histogram.get("bins")) if (count or 0) > 0]
    total = max(number(histogram.get("n")) or 0,
                sum(count for _, count in bins) + (number(histogram.get("beyond")) or 0))
    points, marks, below = [], {}, 0.0
    for ns, count in bins:
        points += [(ns / 1000, below * 100 / total)] if ns > 0 else []  # 0 has no logarithm
        for percent in (50, 99):
            if below < percent / 100 * total <= below + count:
                marks[percent] = (ns + step * (percent / 100 * total - below) / count) / 1000
        below += count
        points.append(((ns + step) / 1000, below * 100 / total))
    return points, marks


def draw_latency(run):
    found = mapping(run, "latency")
    lines = {s: line for s in found if (line := distribution(mapping(found, s, "one_way")))[0]}
    if not lines:
        raise NotDrawn("no switch has a latency one way")
    chart = Chart("Latency one way: how many frames took no longer", subtitle(run))
    chart.area(72, WIDTH - 28, len(lines))
    x_axis(chart, "µs from sending to receiving",
           [points[i][0] for points, _ in lines.values() for i in (0, -1)],
           [m * 10.0 ** e for e in range(-3, 9) for m in (1, 2, 5)], WIDTH - 100)
    chart.add("set ylabel '% of the frames'", "set ytics (0, 25, 'p50' 50, 75, 'p99' 99)",
              "set yrange [0:104]")
    for switch, colour, point, name in in_order(lines):
        points, marks = lines[switch]
        said = ", ".join(f"p{p} {figure(marks[p]) if p in marks else '> ' + figure(points[-1][0])}"
                         for p in (50, 99))
        chart.plot(points, f"with lines lc rgb '{colour}' lw {3 if switch == OURS else 2}")
        chart.plot([(us, percent) for percent, us in marks.items()],
                   f"with points pt {point} ps 1.4*dot lc rgb '{colour}'", f"{name}: {said} µs")
    return chart.finish()


CHARTS = {
    "cases": (draw_cases, "results", "Forwarding rate by case", MPPS, "median, lowest to highest"),
    "tcp": (draw_cases, "results", "TCP between two guests by case", "Gbit/s of payload",
            "median, lowest to highest", "Gbit/s"),
    "ratios": (draw_cases, "ratios", "vswitchd against each peer", "times the peer", "medians"),
    "rate-by-size": (draw_series, "by-size", "Forwarding rate by frame size", "frame bytes", True),
    "cycles-by-stage": (draw_stages,),
    "rate-by-ports": (draw_series, "by-ports", "Forwarding rate by number of ports", "guest ports"),
    "rate-by-table": (draw_series, "by-table", "Forwarding rate by table size", "table entries"),
    "latency": (draw_latency,),
}


def draw(results: dict, directory: pathlib.Path, report=print) -> list[pathlib.Path]:
    """Each chart that @results has figures for, as SVG and PNG in @directory; what was written."""
    if not shutil.which("gnuplot"):
        report("charts: none drawn: there is no gnuplot; install the package gnuplot-nox")
        return []
    written = []
    for stem, (make, *what) in CHARTS.items():
        try:
            chart = make(results, *what)
            directory.mkdir(parents=True, exist_ok=True)
            for kind in TERMINALS:
                picture, path = chart.render(kind), directory / f"{stem}.{kind}"
                path.write_bytes(picture)
                written.append(path)
        except (NotDrawn, OSError, subprocess.SubprocessError) as error:
            report(f"chart {stem}: not drawn: {clean(error)}")
    return written
