# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Whether a run was left alone: who else used our two CPUs, how long the polling thread had to wait
for its CPU, and how long a cache line takes from one CPU to the other."""

import collections
import json
import os
import pathlib
import re
import statistics
import time

from proc import check, run

OTHERS_MOST = 0.03    # of our two CPUs
DELAY_MOST = 0.02     # of a run that the polling thread was ready but did not run
PINGPONG_MOST = 1.6   # times what is usual in this invocation
AWAY_MOST = 0.10      # of a CPU's time that its hypervisor gave to somebody else
_PINGPONG_TRIES = 3
_USUAL_OF = 9
_FRESH_S = 1.0        # a ping-pong that is younger counts as "before" the next run, too
_POLLERS = re.compile(r"rte-worker-|lcore-worker-|pmd-c")

Process = collections.namedtuple("Process", "comm parent ticks reaped")


def _processes():
    """{pid: Process}, CPU time in clock ticks; reaped: that of its children that have ended."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                text = pathlib.Path(entry.path, "stat").read_text(errors="replace")
            except OSError:
                continue  # it has just ended
            comm, rest = text.split("(", 1)[1].rsplit(")", 1)
            fields = rest.split()
            found[int(entry.name)] = Process(comm, int(fields[1]),
                                             int(fields[11]) + int(fields[12]),
                                             int(fields[13]) + int(fields[14]))
    return found


def _ours(processes):
    """Pids of ourselves and all that we started."""
    mine, grown = set(), {os.getpid()}
    while grown != mine:
        mine = grown
        grown = mine | {pid for pid, p in processes.items() if p.parent in mine}
    return mine


def _cpu_ticks(cpus):
    """Of these CPUs together: (in use or taken by the hypervisor, that by itself, all)."""
    busy = stolen = total = 0
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()[:9]
        if name in {f"cpu{cpu}" for cpu in cpus}:
            ticks = [int(t) for t in ticks]
            busy += sum(ticks) - ticks[3] - ticks[4]
            stolen += ticks[7]
            total += sum(ticks)
    return busy, stolen, total


class Watch:
    """From its making to end()."""

    def __init__(self, cpus):
        self._cpus = cpus
        self._before, self._ticks = _processes(), _cpu_ticks(cpus)

    def end(self):
        """(share of the CPUs that others took, who took the most of it)."""
        now = _processes()
        busy, stolen, total = (b - a for a, b in zip(self._ticks, _cpu_ticks(self._cpus)))
        mine, us = _ours(now), os.getpid()
        was = self._before.get

        def spent(pid):
            # One that came meanwhile is charged with all that it has had.
            return now[pid].ticks - (was(pid).ticks if was(pid) else 0)

        ours = sum(spent(pid) for pid in mine) + now[us].reaped - was(us).reaped
        # What ended meanwhile, and was there before, had been counted with us once.
        ours -= sum(self._before[pid].ticks for pid in _ours(self._before) - set(now))
        others = max(busy - ours, 0)
        most = max((pid for pid in now if pid not in mine), key=spent, default=None)
        if 2 * stolen > others:
            name = "the hypervisor (steal)"
        elif most is not None and 3 * spent(most) > others:
            name = f"{now[most].comm} (pid {most})"
        else:
            name = "interrupts, or processes that came and went"
        return others / max(total, 1), name


class Poller:
    """The thread of a switch that polls; the share of the time that it waits for its CPU."""

    def __init__(self):
        self._task = next(iter(_polling_tasks()), None)
        self._from, self._delay = time.monotonic_ns(), self._read()

    def _read(self):
        """Nanoseconds. Kernels without schedstat tell nothing."""
        try:
            return int((self._task / "schedstat").read_text().split()[1])
        except (OSError, TypeError, IndexError):
            return None

    def delay(self):
        """A share, or None where the kernel does not tell."""
        now = self._read()
        if now is None or self._delay is None:
            return None
        return (now - self._delay) / max(time.monotonic_ns() - self._from, 1)


def _polling_tasks():
    for pid in _ours(_processes()):
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
            try:
                if _POLLERS.match((task / "comm").read_text()):
                    yield task
            except OSError:
                continue


class Pingpong:
    """test/perf/floor --pingpong, and what it usually says. A hypervisor may move our CPUs apart,
    or together, for good: so it is the last ones that tell what is usual, and differs() tells
    which runs are not to be compared."""

    def __init__(self, rig):
        self._argv = [rig.program("floor"), "--pingpong", "--cpus", ",".join(map(str, rig.cpus))]
        self.all, self.away, self._when = [], [], 0.0

    def measure(self, fresh_s=_FRESH_S):
        """Nanoseconds one way, of the last @fresh_s seconds."""
        if time.monotonic() - self._when > fresh_s:
            # One takes 50 ms, and what lasted no longer did not disturb a run.
            tries = [self._one()]
            while len(tries) < _PINGPONG_TRIES and self.is_high(min(tries)[0]):
                tries.append(self._one())
            self.all.append(min(tries)[0])
            self.away.append(min(tries)[1])
            self._when = time.monotonic()
        return self.all[-1]

    def _one(self):
        status, out, err, _ = run(self._argv, 20)
        check(status == 0, f"floor --pingpong: {status}: {err.strip()}")
        found = json.loads(out)
        return found["one_way_ns"], max(found["away"])

    def is_high(self, ns):
        return bool(self.all) and ns > PINGPONG_MOST * self.usual()

    def usual(self):
        return statistics.median(self.all[-_USUAL_OF:])


def differs(pings):
    """Whether these are not of one state of the machine."""
    return max(pings) > PINGPONG_MOST * min(pings)


def verdict(pingpong, pings, others, delay):
    """A line about what disturbed a run, "" if nothing did. others: of Watch.end()."""
    reasons = []
    if others[0] > OTHERS_MOST:
        reasons.append(f"others took {100 * others[0]:.0f}% of our CPUs, most of it {others[1]}")
    if delay is not None and delay > DELAY_MOST:
        reasons.append(f"the switch waited {100 * delay:.0f}% of the time for its CPU")
    if pingpong.is_high(max(pings)):
        reasons.append(f"a cache line took {pings[0]:.0f} ns from CPU to CPU before and"
                       f" {pings[-1]:.0f} after, usually {pingpong.usual():.0f}")
    if pingpong.away[-1] > AWAY_MOST:
        reasons.append(f"a CPU was away {100 * pingpong.away[-1]:.0f}% of the time")
    return ", ".join(reasons)


def await_quiet(cpus, seconds=10):
    """Until nobody else is busy, or for so long."""
    end = time.monotonic() + seconds
    while look_around(cpus) and time.monotonic() < end:
        pass


def look_around(cpus, seconds=0.5):
    """A line about who is busy while we do nothing, "" if nobody is."""
    watch = Watch(cpus)
    time.sleep(seconds)
    share, name = watch.end()
    return f"others take {100 * share:.0f}% of CPUs {cpus[0]} and {cpus[1]}, most of it {name}" \
        if share > OTHERS_MOST else ""
