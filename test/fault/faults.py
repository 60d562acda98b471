# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""What the fault scripts share: honest guests that account for their frames, what the switch has in
use, and the figures for doc/reliability.md.

FAULT_FULL=1 asks for the counts of the report, FAULT_JSON=DIR for files of figures."""

import json
import os
import pathlib
import re
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "func"))
# pylint: disable=wrong-import-position
from harness import NO_HUGE
from proc import Child, Failed, check, equal, wait_for

_BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"
GUESTS = os.environ.get("FAULT_GUESTS", str(_BUILD / "test/fault/guests"))
BURST = 32  # FWD_BURST: what a worker holds at once
RSS_SLACK_KIB = 1024
FULL = bool(os.environ.get("FAULT_FULL"))


def count(quick, full):
    """How often: for continuous integration, for the report."""
    return full if FULL else quick


def mac(guest, group=5):
    return f"02:00:00:00:{group:02x}:{guest:02x}"


def vhost(path, guest=None, group=5, keys=""):
    """A port as an option; guest: its number in a Guests of @group."""
    own = f",mac={mac(guest, group)}" if guest is not None else ""
    return ["--vhost", f"{path}{own}{',' if keys else ''}{keys}"]


def record(name, **figures):
    """Figures of a line of the report, and a comment in the test's output."""
    print(f"# {name}: " + ", ".join(f"{k} {v}" for k, v in figures.items()), flush=True)
    if os.environ.get("FAULT_JSON"):
        path = pathlib.Path(os.environ["FAULT_JSON"], f"{name}.json")
        figures["commit"] = os.environ.get("FAULT_COMMIT", "")
        path.write_text(json.dumps(figures) + "\n", encoding="ascii")


def median(values):
    """The lower one, where two are in the middle."""
    return sorted(values)[(len(values) - 1) // 2]


def spread(values, digits=0):
    """least/median/most, as text."""
    values = sorted(values)
    return "/".join(f"{v:.{digits}f}" for v in (values[0], values[len(values) // 2], values[-1]))


class Guests(Child):
    """The program of guests_main.c."""

    _count = 0

    def __init__(self, case, paths, *options, name="guests"):
        Guests._count += 1
        self.fifo = case.path(f"cmd{Guests._count}")
        os.mkfifo(self.fifo)
        self._fifo_fd = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        case.on_end(lambda: os.close(self._fifo_fd))
        super().__init__([GUESTS, "--commands", self.fifo, *options, *paths], name)
        self._seen = 0
        case.keep(self)

    def begin(self, deadline=5):
        self.expect(r'"event": "begin"', deadline)
        return self

    def tell(self, command):
        os.write(self._fifo_fd, command.encode() + b"\n")

    def ask(self, command, deadline=10):
        """A command that is answered with what every flow has seen."""
        self.tell(command)
        match = self.expect(rf'^{{"answer": "{command}".*}}$', deadline, self._seen)
        self._seen = match.end()
        return json.loads(match.group(0))

    def events(self):
        return [json.loads(line) for line in self.out.splitlines() if '"event"' in line
                and line.endswith("}")]

    def moves(self, more=1000, deadline=10):
        """Wait until every flow has received so many more frames."""
        before = [f["received"] for f in self.ask("show")["flows"]]

        def there():
            now = self.ask("show")["flows"]
            return all(f["received"] >= b + more for f, b in zip(now, before))
        wait_for(there, deadline, f"{more} more frames of every flow of {self.name}")

    def moves_first(self, more, deadline=10):
        """The same of the first flow alone."""
        before = self.ask("show")["flows"][0]["received"]
        wait_for(lambda: self.ask("show")["flows"][0]["received"] >= before + more, deadline,
                 f"{more} more frames of {self.name}")

    def rates(self, seconds, what="received"):
        """Frames a second of every flow in a while of that length. The clock is read by who counts:
        how long an answer is under way does not matter."""
        before = self.ask("show")
        time.sleep(seconds)
        after = self.ask("show")
        took = (after["time_ns"] - before["time_ns"]) / 1e9
        return [(a[what] - b[what]) / took for a, b in zip(after["flows"], before["flows"])]

    def settle(self):
        """Stop sending, wait for what is under way. Return the answer."""
        return self.ask("pause")

    def quit(self):
        self.tell("quit")
        equal(self.wait(5), 0, f"exit status of {self.name}\n{self.tail()}")


def nothing_lost(answer, what="the bystanders"):
    """No frame of any flow was lost, came twice or was torn."""
    for number, flow in enumerate(answer["flows"]):
        wrong = {k: flow[k] for k in ("lost", "twice", "torn") if flow[k]}
        check(not wrong and flow["next"] == flow["sent"],
              f"{what}, flow {number}: {wrong or 'the last frames are missing'} of {flow}")
    equal(sum(answer["bad_used"]), 0, f"{what}: used entries that name no chain")


def frames(answer):
    return sum(f["received"] for f in answer["flows"])


def bystanders(case, switch, paths, *options):
    """A pair whose frames must all arrive, whatever happens to others."""
    guests = Guests(case, paths, *options, name="bystanders").begin()
    switch.wait_up(*(pathlib.Path(p).stem for p in paths))
    guests.moves(100)
    return guests


def status_kib(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M).group(1))


def heap_kib(pid):
    """The break's segment: what malloc has asked for."""
    match = re.search(r"\[heap\]\n(?:\w+:.*\n)*?Rss:\s+(\d+) kB",
                      pathlib.Path(f"/proc/{pid}/smaps").read_text())
    return int(match.group(1)) if match else 0


def sanitized(pid):
    """Freed memory is kept by AddressSanitizer, so RSS says nothing there."""
    return b"__asan_init" in pathlib.Path(f"/proc/{pid}/exe").read_bytes()


def usage(switch):
    """What must be exactly as before."""
    status = switch.ctl("status")
    return {"file descriptors": switch.stable_fds(),
            "KiB of huge pages": status_kib(switch.pid, "HugetlbPages"),
            "mbufs in use": status["mbufs_in_use"], "ports": status["ports"],
            "MAC entries": status["macs"], "connections": status["connections"],
            "threads": len(os.listdir(f"/proc/{switch.pid}/task"))}


class Footprint:
    """What a switch has in use, to be compared with later."""

    def __init__(self, switch):
        self.exact = usage(switch)
        self.rss = status_kib(switch.pid, "RssAnon")
        self.heap = heap_kib(switch.pid)

    def check(self, switch, what, slack_kib=RSS_SLACK_KIB):
        """Is all as before? Return a text of what memory did."""
        end = time.monotonic() + 2
        while usage(switch) != self.exact and time.monotonic() < end:
            time.sleep(0.05)
        equal(usage(switch), self.exact, what)
        rss = status_kib(switch.pid, "RssAnon")
        if not sanitized(switch.pid):
            check(rss <= self.rss + slack_kib, f"{what}: memory grew from {self.rss} to {rss} KiB")
        return f"{rss - self.rss:+d} KiB RSS, {heap_kib(switch.pid) - self.heap:+d} KiB heap"


def free_huge_mib():
    text = pathlib.Path("/proc/meminfo").read_text()
    field = dict(re.findall(r"^(\w+): +(\d+)", text, re.M))
    return int(field.get("HugePages_Free", 0)) * int(field.get("Hugepagesize", 0)) // 1024


def memory():
    """EAL arguments: huge pages where there are enough of them."""
    return ["--no-pci", "--in-memory"] if free_huge_mib() >= 512 else ["--no-pci", *NO_HUGE]


def one_line(text, *words):
    """An error is one line, and says what, why, and what to do about it."""
    lines = [line for line in text.strip().splitlines() if line]
    check(lines, "nothing was said")
    last = lines[-1]
    check("; " in last, f"an error line that does not say what to do: {last!r}")
    for word in words:
        check(word in last, f"{last!r} does not say {word!r}")
    return last


__all__ = ["BURST", "FULL", "Failed", "Footprint", "Guests", "bystanders", "count", "frames",
           "free_huge_mib", "heap_kib", "mac", "memory", "nothing_lost", "one_line", "record",
           "sanitized", "spread", "status_kib", "usage", "vhost"]
