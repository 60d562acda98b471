# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The part of scripts/soak that runs.

usage: soak.py MINUTES SEED JSON-FILE-OR-NOTHING

Two pairs of honest guests are the measure: they must lose nothing. A third pair of ports, and some
that come and go, are for the events. An event is one method of Chaos, chosen by the seed."""

import array
import collections
import json
import os
import pathlib
import random
import signal
import socket
import struct
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "test" / "fault"))
# pylint: disable=wrong-import-position
from faults import Footprint, Guests, frames, heap_kib, mac, memory, nothing_lost, status_kib, vhost
from harness import Control, Refused, Switch, check_ledger
from proc import Failed, check
from runner import Case
from vhostuser import FrontEnd

EVENT_S = 0.1   # between two of them, on average
ROUND_S = 10.0  # from quiet moment to quiet moment
PORTS_MOST = 8  # that come and go, at once
FRONTS_MOST = 16
MACS_MOST = 200
RATE = 20000  # frames a second that each honest guest sends
# An event may be refused, cut off, or not answered: that is what it is for.
HARMLESS = (OSError, ValueError, Refused, TimeoutError, struct.error)


class Chaos:
    """What is there besides the honest guests, and everything that can happen to it."""

    def __init__(self, case, switch, rng):
        self.case, self.switch, self.rng = case, switch, rng
        self.victims = None
        self.stopped_until = 0.0
        self.ports, self.fronts, self.macs = [], [], []
        self.links = {"v": "up", "w": "up"}
        self.done = collections.Counter()
        self.recent = collections.deque(maxlen=40)
        self.number = 0
        self.events = (
            (self.victims_come, 6), (self.victims_are_killed, 4), (self.victims_leave, 2),
            (self.victims_stand_still, 3), (self.port_comes, 5), (self.port_goes, 5),
            (self.front_comes, 6), (self.front_goes, 4), (self.rubbish, 8), (self.half_a_message, 4),
            (self.link_changes, 3), (self.entry_comes, 4), (self.entry_goes, 3),
            (self.control_rubbish, 3), (self.questions, 2), (self.switch_stands_still, 1))

    def event(self):
        what = self.rng.choices([e for e, _ in self.events], [w for _, w in self.events])[0]
        name = what.__name__.replace("_", " ")
        self.recent.append(name)
        self.wake()
        try:
            what()
            self.done[name] += 1
        except HARMLESS as error:
            self.done[f"{name} (refused)"] += 1
            self.recent.append(f"  {type(error).__name__}: {str(error)[:120]}")

    def wake(self, always=False):
        if self.victims and self.stopped_until and (always or
                                                    time.monotonic() > self.stopped_until):
            self.victims.proc.send_signal(signal.SIGCONT)
            self.stopped_until = 0.0

    def path(self, name):
        return self.case.path(f"{name}.sock")

    def a_path(self):
        """The socket of some port that is not the honest guests'."""
        return self.path(self.rng.choice(["v", "w", *self.ports]))

    # --- front-ends with rings ---

    def victims_come(self):
        if self.victims is None:
            rings = self.rng.choice(["split", "packed", "in-order", "packed-in-order"])
            drain = self.rng.choice([[], [], ["--drain", "1:0"], ["--drain", "1:500"]])
            self.victims = Guests(self.case, [self.path("v"), self.path("w")], "--group", "6",
                                  "--rings", rings, *drain, "--flow",
                                  f"0:1:0:{self.rng.choice([0, 128])}", name="victims")

    def victims_are_killed(self):
        if self.victims:
            self.victims.kill()
            self.drop_victims()

    def victims_leave(self):
        if self.victims:
            self.wake(True)
            self.victims.tell("quit")
            try:
                self.victims.wait(3)
            except Failed:  # it waits for an answer on a link that went down
                self.victims.kill()
            self.drop_victims()

    def drop_victims(self):
        os.unlink(self.victims.fifo)
        self.case.children.remove(self.victims)
        self.victims, self.stopped_until = None, 0.0

    def victims_stand_still(self):
        if self.victims:
            self.victims.proc.send_signal(signal.SIGSTOP)
            self.stopped_until = time.monotonic() + self.rng.uniform(0.05, 1.5)

    # --- ports, links, table ---

    def port_comes(self):
        if len(self.ports) < PORTS_MOST:
            name = self.rng.choice([n for n in "efghijklmnop" if n not in self.ports])
            keys = self.rng.choice(["", ",queues=1", ",mtu=1500", ",offload=off", ",config=on"])
            self.switch.ctl("port.add", vhost=f"{self.path(name)},mac={mac(ord(name), 8)}{keys}")
            self.ports.append(name)

    def port_goes(self):
        if self.ports:
            name = self.rng.choice(self.ports)
            self.ports.remove(name)
            self.switch.ctl("port.del", name=name)

    def link_changes(self):
        name = self.rng.choice("vw")
        self.links[name] = "down" if self.links[name] == "up" else "up"
        self.switch.ctl("port.set", name=name, link=self.links[name])

    def entry_comes(self):
        if len(self.macs) < MACS_MOST:
            address = f"06:01:02:{self.rng.randrange(256):02x}:{self.rng.randrange(256):02x}:07"
            self.switch.ctl("mac.add", mac=address, port="v")
            if address not in self.macs:
                self.macs.append(address)

    def entry_goes(self):
        if self.macs:
            self.switch.ctl("mac.del", mac=self.macs.pop(self.rng.randrange(len(self.macs))))

    # --- front-ends without rings, and rubbish ---

    def front_comes(self):
        if len(self.fronts) < FRONTS_MOST:
            front = FrontEnd(self.a_path(), deadline=1)
            self.fronts.append(front)
            if self.rng.random() < 0.6:
                front.handshake()

    def front_goes(self):
        if self.fronts:
            self.fronts.pop(self.rng.randrange(len(self.fronts))).close()

    def rubbish(self):
        front = FrontEnd(self.a_path(), deadline=1)
        try:
            if self.rng.random() < 0.7:
                front.handshake()
            for _ in range(self.rng.randrange(1, 6)):
                self.a_message(front)
        finally:
            front.close()

    def a_message(self, front):
        size = self.rng.choice([0, 8, 8, 12, 40, 264, self.rng.randrange(300), 5000])
        header = struct.pack("<III", self.rng.randrange(48), self.rng.choice([1, 1, 1, 9, 5, 0]),
                             self.rng.choice([size, size, size, self.rng.randrange(1 << 32)]))
        fds = [os.memfd_create("x") for _ in range(self.rng.choice([0, 0, 1, 1, 2, 9]))]
        try:
            for fd in fds:
                os.ftruncate(fd, self.rng.choice([0, 4096, 1 << 20]))
            cmsg = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            front.sock.sendmsg([header, self.rng.randbytes(size)], cmsg)
        finally:
            for fd in fds:
                os.close(fd)

    def half_a_message(self):
        if len(self.fronts) < FRONTS_MOST:
            front = FrontEnd(self.a_path(), deadline=1)
            self.fronts.append(front)
            front.sock.sendall(struct.pack("<III", 2, 1, 8)[:self.rng.randrange(1, 12)])

    def control_rubbish(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.switch.ctl_path)
        sock.sendall(self.rng.choice([b"{\n", b"[" * 100 + b"\n", b'{"method":"port.add"}\n',
                                      b"\xff\0\n", b"x" * 70000 + b"\n", b'{"id":']))
        sock.close()

    def questions(self):
        control = Control(self.switch.ctl_path, 5)
        for method in ("status", "port.list", "stats", "mac.list", "worker.list"):
            control.call(method)
        control.close()

    def switch_stands_still(self):
        self.switch.proc.send_signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.005, 0.1))
        self.switch.proc.send_signal(signal.SIGCONT)

    # --- quiet ---

    def clear(self):
        """Take away everything that came."""
        self.wake(True)
        if self.victims:
            self.victims.kill()
            self.drop_victims()
        while self.fronts:
            self.fronts.pop().close()
        while self.ports:
            self.switch.ctl("port.del", name=self.ports.pop())
        while self.macs:
            self.switch.ctl("mac.del", mac=self.macs.pop())
        for name, state in self.links.items():
            if state == "down":
                self.switch.ctl("port.set", name=name, link="up")
                self.links[name] = "up"


class Soak:
    def __init__(self, case, seed):
        self.case = case
        options = [o for i, n in enumerate("ab") for o in vhost(case.path(f"{n}.sock"), i)]
        options += [o for i, n in enumerate("cd") for o in vhost(case.path(f"{n}.sock"), i, 7)]
        options += [o for i, n in enumerate("vw") for o in vhost(case.path(f"{n}.sock"), i, 6)]
        self.switch = case.keep(Switch(case.dir, [*options, "--backpressure", "10000",
                                                  "--log-level", "err"], eal=memory()))
        self.switch.ready()
        both_ways = ["--flow", f"0:1:{RATE}", "--flow", f"1:0:{RATE}"]
        self.honest = [
            Guests(case, [case.path("a.sock"), case.path("b.sock")], *both_ways, name="split"),
            Guests(case, [case.path("c.sock"), case.path("d.sock")], *both_ways, "--group", "7",
                   "--rings", "packed", name="packed")]
        for guests in self.honest:
            guests.begin()
        self.switch.wait_up("a", "b", "c", "d")
        self.chaos = Chaos(case, self.switch, random.Random(seed))
        self.before = None
        self.rounds = 0
        self.frames = 0

    def quiet(self):
        """Nothing but the honest guests, and they pause: what must hold."""
        self.chaos.clear()
        self.frames = 0
        for guests in self.honest:
            answer = guests.settle()
            nothing_lost(answer, f"the {guests.name} pair")
            self.frames += frames(answer)
        for port in self.switch.quiet().values():
            check_ledger(port)
        if self.before is None:
            self.before = Footprint(self.switch)
        else:
            self.before.check(self.switch, f"in quiet moment {self.rounds}", slack_kib=4096)
        self.rounds += 1
        for guests in self.honest:
            guests.tell("go")

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            until = min(end, time.monotonic() + ROUND_S)
            while time.monotonic() < until:
                self.chaos.event()
                check(self.switch.alive(), "the switch has ended")
                time.sleep(self.chaos.rng.uniform(0, 2 * EVENT_S))
            self.quiet()

    def table(self):
        done = self.chaos.done
        names = sorted({n.replace(" (refused)", "") for n in done})
        lines = [f"{'event':<24}{'done':>8}{'refused':>9}"]
        lines += [f"{n:<24}{done[n]:>8}{done[n + ' (refused)']:>9}" for n in names]
        pid = self.switch.pid
        lines += ["", f"frames of honest guests   {self.frames}, none lost, twice, or torn",
                  f"quiet moments             {self.rounds}: ledger closed, descriptors, mbufs,"
                  " huge pages as before",
                  f"memory                    {status_kib(pid, 'RssAnon') - self.before.rss:+d} KiB"
                  f" RSS, {heap_kib(pid) - self.before.heap:+d} KiB heap since the first of them"]
        return "\n".join(lines)


def main(minutes, seed, out):
    case = Case("soak")
    print(f"seed {seed}, {minutes} minutes", flush=True)
    soak = None
    try:
        soak = Soak(case, seed)
        soak.run(float(minutes) * 60)
        table = soak.table()
        soak.switch.stop()
        print(table)
        if out:
            pathlib.Path(out).write_text(json.dumps({
                "commit": os.environ.get("FAULT_COMMIT", ""), "seed": seed,
                "minutes": float(minutes), "events": sum(soak.chaos.done.values()),
                "frames": soak.frames, "lost": 0, "quiet_moments": soak.rounds}) + "\n",
                encoding="utf-8")
        return 0
    except Failed as error:
        print(f"FAILED with seed {seed}, after {soak.rounds if soak else 0} quiet moments: {error}")
        if soak:
            print("the last events:\n  " + "\n  ".join(soak.chaos.recent))
            print(soak.switch.tail(20))
            if not soak.switch.alive():
                print(f"the switch's status: {soak.switch.proc.poll()}")
        return 1
    finally:
        case.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""))
