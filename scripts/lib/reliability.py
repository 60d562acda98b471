# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The table of doc/reliability.md, from the files of figures that scripts/reliability left.

usage: reliability.py FOLDER DOCUMENT [PART...]
PARTs have been measured now (none: whatever there is): rows of others stay as they are."""

import json
import pathlib
import sys

BEGIN, END = "<!-- figures: scripts/reliability -->", "<!-- end of figures -->"
MISSING = "not measured yet"


def restarts(f):
    return (f"{f['kills']} of {f['kills']}; outage {f['outage_ms']} ms, of it {f['until_listening_ms']}"
            f" until the socket is there again; {f['lost']} of {f['frames']} frames lost, at most"
            f" {f['lost_most']} by one kill; {f['twice']} twice, {f['torn']} torn")


def coverage(f):
    return f"{f['percent']} % of {f['lines']}; least: " + ", ".join(
        f"{n} {p}" for n, p in sorted(f["rooms"].items(), key=lambda r: r[1])[:3])


def hostile(f, *tiers):
    cases = [c for c in f["results"] if c["id"].rstrip("0123456789") in tiers]
    held = sum(c["ok"] and not c["skipped"] for c in cases)
    return f"{held} of {len(cases)}; switch restarted {f['restarts']} times in all"


def sessions(f):
    return (f"{f['sessions']:,} sessions, {f['messages']:,} messages, {f['deaths']} deaths; the honest"
            f" pair lost {f['honest_lost']} of {f['honest_frames']:,}"
            + (f" ({f['honest_full']} more did not come while it had few buffers)" if f["honest_full"] else "")
            + f"; seed {f['seed']}")


# (line, target, file of figures, how it is said)
LINES = (
    ("front-end killed under load",
     "1,000 of 1,000, bystander loses 0; link down within 100 ms (checked: the median)",
     "front-ends-killed",
     lambda f: f"{f['kills']} of {f['kills']}; bystander: {f['bystander_lost']} of"
               f" {f['bystander_frames']} lost; link down after {f['down_ms']} ms; {f['memory']}"),
    ("switch killed and restarted, split rings",
     "100 of 100, outage at most 1 s, at most 32 lost, none twice or damaged",
     "switch-killed-split", restarts),
    ("the same, IN_ORDER", "the same", "switch-killed-in-order", restarts),
    ("the same, packed rings with an inflight region", "the same", "switch-killed-packed-inflight",
     restarts),
    ("ended, and the next program started (upgrade)", "the same", "upgraded",
     lambda f: f"builds: {f['builds']}; outage {f['outage_ms']} ms, {f['lost']} lost"),
    ("SIGSTOP of the switch, then SIGCONT", "no loss", "switch-stopped",
     lambda f: f"{f['seconds']} s; {f['lost']} of {f['frames']} lost"),
    ("SIGTERM at full rate", "100 of 100, status 0, at most 2 s", "ended-under-load",
     lambda f: f"{f['times']} of {f['times']}; {f['ms']} ms"),
    ("dead receiver", "others at least 98 % (checked: the median)", "receiver-dead",
     lambda f: f"{f['others_percent']} % in {f['runs']} runs"),
    ("1 flood against 7 small senders", "each at least 90 % of its share (checked: its median)", "flood-and-small",
     lambda f: f"{f['small_percent']} % in {f['runs']} runs"),
    ("a storm of frames to an unknown address", "limit held within 5 %, others at least 95 % (checked: the medians)", "storm",
     lambda f: f"limit {f['limit_pps']}/s, sent {f['sent_pps']}/s: {f['held_percent']} % of the limit;"
               f" others {f['others_percent']} % in {f['runs']} runs"),
    ("port add and remove under load", "10,000, all as before", "ports-come-and-go",
     lambda f: f"{f['cycles']}, with a front-end in {f['connected']}; {f['ms']} ms each;"
               f" descriptors, mbufs, huge pages as before, {f['memory']}; bystander lost"
               f" {f['bystander_lost']} of {f['bystander_frames']}"),
    ("configuration read again under load (SIGHUP)", "1,000, no loss on ports that stay the same",
     "file-read-again",
     lambda f: f"{f['times']}; {f['ms']} ms each; {f['memory']}; bystander lost"
               f" {f['bystander_lost']} of {f['bystander_frames']}"),
    ("wall: huge pages, mbufs", "clean error, full recovery", "wall-mbufs",
     lambda f: f"after {f['ports']} ports: “{f['error']}”; {f['recovery']}"),
    ("wall: file descriptors", "the same", "wall-fds",
     lambda f: f"{f['tried']} front-ends turned away, nobody spins ({f['spun_ms']} ms of 500)"
               f", then “{f['error']}”; {f['memory']} afterwards"),
    ("wall: disk", "no thread blocks", "wall-disk", lambda f: f"answers {f['answered']}"),
    ("wall: log pipe", "no thread blocks", "wall-log-pipe", lambda f: f"lines: {f['lost_lines']}"),
    ("wall: table", "clean error, none evicted", "wall-table",
     lambda f: f"{f['entries']} entries: “{f['error']}”; frames at {f['bystander_rate']}"),
    ("wall: ports", "clean error, full recovery", "wall-ports",
     lambda f: f"{f['ports']}: “{f['error']}”; {f['memory']} afterwards"),
    ("wall: locked memory", "starts, or says why not", "wall-memlock",
     lambda f: f"limit {f['limit']}: {f['result']}"),
    ("sockets in the way", "stale: replaced; else told, and left alone", "sockets-in-the-way",
     lambda f: f"{f['cases']} cases"),
    ("links that flap (tap)", "told within 1 s, no leak", "link-flaps-tap",
     lambda f: f"{f['flaps']} times; told after {f['told_ms']} ms"),
    ("the worker's CPU is shared with two busy programs", "slower, and nothing else", "cpu-stolen",
     lambda f: f"{f['alone_kpps']} kpps alone, {f['shared_kpps']} shared, {f['after_kpps']}"
               f" afterwards; {f['lost']} of {f['frames']} lost; {f['alarms']} false alarms"),
    ("memory of any kind", "starts, or says why not", "memory-kinds",
     lambda f: f"{f['kinds']}: {f['result']}"),
    ("soak", "ledger difference 0, 0 restarts", "soak",
     lambda f: f"{f['minutes']:g} minutes, {f['events']} events, {f['quiet_moments']} quiet moments;"
               f" {f['lost']} of {f['frames']} frames lost; seed {f['seed']}"),
    ("hostile socket cases (M), sanitizer build", "all, six invariants each", "hostile",
     lambda f: hostile(f, "M")),
    ("hostile ring cases (G), raw, sanitizer build", "the same", "hostile",
     lambda f: hostile(f, "G")),
    ("the same through QEMU's virtio-pci (QG)", "the same", "hostile",
     lambda f: hostile(f, "QG")),
    ("hostile frames (F), control socket and files (C), sanitizer build", "the same", "hostile",
     lambda f: hostile(f, "F", "C")),
    ("random sessions, sanitizer build", "10^6 without a death, with the next line", "sessions", sessions),
    ("the same, the switch with two workers", "the same", "sessions-two", sessions),
    ("coverage of own code", "at least 90 % of lines", "coverage", coverage),
)


PARTS = {
    "kills": ("front-ends-killed", "switch-killed-split", "switch-killed-in-order",
              "switch-killed-packed-inflight", "upgraded", "switch-stopped", "ended-under-load"),
    "fairness": ("receiver-dead", "flood-and-small", "storm"),
    "ports": ("ports-come-and-go", "file-read-again", "sockets-in-the-way"),
    "walls": ("wall-mbufs", "wall-fds", "wall-disk", "wall-log-pipe", "wall-table", "wall-ports",
              "wall-memlock"),
    "world": ("link-flaps-tap", "cpu-stolen", "memory-kinds"),
    "soak": ("soak",),
    "hostile": ("hostile",),
    "sessions": ("sessions", "sessions-two"),
    "coverage": ("coverage",),
}
PART_OF = {name: part for part, names in PARTS.items() for name in names}


def rows_of(text):
    """Result and commit by the first column of a table."""
    cells = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): (row[2].strip(), row[3].strip()) for row in cells if len(row) == 4}


def measured(folder, part, name, say):
    """(result, commit); in a part's folder is a file "failed" if one of its tests did."""
    failed = (folder / part / "failed").exists()
    path = folder / part / f"{name}.json"
    if not path.exists():
        return (f"**a test of part {part} failed**, no figures" if failed else MISSING), ""
    figures = json.loads(path.read_text(encoding="utf-8"))
    result = say(figures) + (f"; **a test of part {part} failed**" if failed else "")
    return result, figures.get("commit", "")


def table(folder, before, parts):
    """@before: results of the last table, for parts that were not measured."""
    rows = []
    for text, target, name, say in LINES:
        part = PART_OF[name]
        result, commit = MISSING, ""
        if part in parts:
            result, commit = measured(folder, part, name, say)
        if result == MISSING:
            result, commit = before.get(text, (MISSING, ""))
        rows.append(f"| {text} | {target} | {result} | {commit} |")
    return "\n".join(["| line | target | result | commit |", "|---|---|---|---|", *rows])


def main(folder, document, *parts):
    path = pathlib.Path(document)
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    last, tail = rest.split(END, 1)
    rows = table(pathlib.Path(folder), rows_of(last), parts or tuple(PARTS))
    path.write_text(f"{head}{BEGIN}\n{rows}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
