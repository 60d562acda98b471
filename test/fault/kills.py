# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Whoever dies or stands still: front-ends, the switch, at full rate. (R01, R02, R03, R04, R26)"""

import os
import signal
import socket
import time

from faults import (BURST, Footprint, Guests, bystanders, count, frames, memory, nothing_lost,
                    record, spread, vhost)
import harness
from harness import Switch, start_switch
from proc import check, equal, wait_for
from runner import main

PATIENCE = ["--backpressure", "10000"]  # bystanders are to be held, not dropped
LINK_DOWN_S = 0.1
OUTAGE_S = 1.0
STOP_S = 2.0


def ports(case, *names, group=5):
    return [o for i, n in enumerate(names) for o in vhost(case.path(f"{n}.sock"), i, group)]


def paths(case, *names):
    return [case.path(f"{n}.sock") for n in names]


def down_after(switch, names, deadline=5):
    """Seconds until all these ports say that they are down."""
    start = time.monotonic()
    while any(switch.port(n)["state"] != "down" for n in names):
        check(time.monotonic() - start < deadline, f"{names} are not down")
        time.sleep(0.0005)
    return time.monotonic() - start


def front_ends_are_killed_under_load(case):
    """R01. A pair that sends at full rate is killed; another pair loses nothing."""
    kills = count(20, 1000)
    switch = start_switch(case, [*ports(case, "a", "b"), *ports(case, "v", "w", group=6),
                                 *PATIENCE], eal=memory(), stable=False)
    watch = bystanders(case, switch, paths(case, "a", "b"))
    downs, before = [], None
    for number in range(kills):
        victim = Guests(case, paths(case, "v", "w"), "--group", "6", name="victim").begin()
        victim.moves(50)
        victim.proc.send_signal(signal.SIGKILL)
        downs.append(down_after(switch, ("v", "w")) * 1000)
        victim.kill()
        if number == 2:  # allocators have their size then
            before = Footprint(switch)
    memory_text = before.check(switch, f"after {kills} kills")
    answer = watch.settle()
    nothing_lost(answer)
    check(sorted(downs)[len(downs) // 2] < LINK_DOWN_S * 1000, f"down after {spread(downs)} ms")
    watch.quit()
    record("front-ends-killed", kills=kills, bystander_frames=frames(answer), bystander_lost=0,
           down_ms=spread(downs, 1), memory=memory_text)


class Outages:
    """A supervisor that starts the switch again at once, and what the guests see of it."""

    def __init__(self, case, options, eal):
        self.case, self.options, self.eal = case, options, eal
        self.switch = None
        self.parts = {"outage": [], "start": [], "rest": []}

    def start(self):
        self.switch = self.case.keep(Switch(self.case.dir, self.options, eal=self.eal))
        return self.switch

    def kill(self, guests, flow=0):
        """Return how long no frame came, in ms."""
        seen = len(guests.events())
        killed = time.monotonic_ns()
        self.switch.proc.kill()
        self.switch.proc.wait()
        self.switch = None
        self.start()

        def first():
            return [e for e in guests.events()[seen:]
                    if e["event"] == "first" and e["which"] == flow]
        events = wait_for(first, 15, "the first frame after a restart")
        self.switch.ready()
        back = [e["t"] for e in guests.events()[seen:] if e["event"] == "back"]
        self.parts["outage"].append((events[0]["t"] - killed) / 1e6)
        self.parts["start"].append((min(back) - killed) / 1e6)
        self.parts["rest"].append((events[0]["t"] - min(back)) / 1e6)


def restarts(case, name, rings, options=(), kills=None):
    """R02. Killed while frames run, and started again at once; guests come back by themselves."""
    kills = kills or count(3, 100)
    eal = memory()
    outages = Outages(case, [*ports(case, "a", "b"), *PATIENCE], eal)
    outages.start().ready()
    guests = Guests(case, paths(case, "a", "b"), "--reconnect", "--rings", rings, *options).begin()
    outages.switch.wait_up("a", "b")
    lost = []
    for number in range(kills):
        guests.moves(500)
        before = guests.ask("show")["flows"][0]["lost"]
        time.sleep(0.003 + number % 7 * 0.0017)
        outages.kill(guests)
        guests.moves(500)
        lost.append(guests.ask("show")["flows"][0]["lost"] - before)
    answer = guests.settle()
    flow = answer["flows"][0]
    equal((flow["twice"], flow["torn"]), (0, 0), "frames that came twice, and torn ones")
    equal(sum(answer["bad_used"]), 0, "used entries that name no chain")
    equal(flow["next"], flow["sent"], "the last frames are missing")
    check(max(lost) <= BURST, f"{max(lost)} frames were lost by one kill: more than a burst")
    guests.quit()
    outages.switch.ledger(stable=False)
    outages.switch.stop()
    record(f"switch-killed-{name}", kills=kills, memory="huge pages" if "--in-memory" in eal
           else "normal pages", frames=flow["received"], lost=flow["lost"], lost_most=max(lost),
           twice=0, torn=0, outage_ms=spread(outages.parts["outage"]),
           until_listening_ms=spread(outages.parts["start"]),
           until_first_frame_ms=spread(outages.parts["rest"], 1))
    check(max(outages.parts["outage"]) < OUTAGE_S * 1000,
          f"outages of {spread(outages.parts['outage'])} ms")


def killed_and_restarted_with_split_rings(case):
    restarts(case, "split", "split")


def killed_and_restarted_with_in_order_rings(case):
    restarts(case, "in-order", "in-order")


def killed_and_restarted_with_packed_rings_and_a_region(case):
    restarts(case, "packed-inflight", "packed", ["--inflight"])


def stopped_for_a_while(case):
    """R03. A switch that stands still loses nothing between guests that look at their buffers."""
    seconds = count(1, 5)
    switch = start_switch(case, [*ports(case, "a", "b"), *PATIENCE], eal=memory())
    guests = bystanders(case, switch, paths(case, "a", "b"))
    switch.proc.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    switch.proc.send_signal(signal.SIGCONT)
    guests.moves(1000)
    answer = guests.settle()
    nothing_lost(answer, "through a stop")
    guests.quit()
    record("switch-stopped", seconds=seconds, frames=frames(answer), lost=0)


def ended_in_order_under_load(case):
    """R04. SIGTERM at full rate: status 0 within 2 s, no socket left, half a message pending."""
    times, took = count(5, 100), []
    for number in range(times):
        switch = Switch(case.dir, [*ports(case, "a", "b"), *ports(case, "v", group=6), *PATIENCE],
                        eal=memory(), idle="poll" if number % 2 else "sleep")
        case.keep(switch)
        switch.ready()
        guests = bystanders(case, switch, paths(case, "a", "b"))
        half = half_a_message(case.path("v.sock"))
        took.append(switch.stop() * 1000)
        half.close()
        guests.kill()
        answer = [e for e in guests.events() if e["event"] == "begin"]
        check(answer, "the guests did not run")
    record("ended-under-load", times=times, ms=spread(took))


def half_a_message(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    sock.sendall(b"\x01\0\0\0\x01")
    return sock


def upgraded_while_guests_run(case):
    """R26. Another program takes over: to the guests the same as a restart. FAULT_OLD names the
    build to begin with; without it both are the same."""
    new, options = harness.VSWITCHD, [*ports(case, "a", "b"), *PATIENCE]
    harness.VSWITCHD = os.environ.get("FAULT_OLD", new)
    first = case.keep(Switch(case.dir, options, eal=memory()))
    harness.VSWITCHD = new
    first.ready()
    guests = Guests(case, paths(case, "a", "b"), "--reconnect").begin()
    first.wait_up("a", "b")
    guests.moves(500)
    seen, began = len(guests.events()), time.monotonic_ns()
    first.stop()
    second = start_switch(case, options, eal=memory(), stable=False)
    events = wait_for(lambda: [e for e in guests.events()[seen:] if e["event"] == "first"], 15,
                      "the first frame through the new program")
    guests.moves(500)
    answer = guests.settle()
    flow = answer["flows"][0]
    equal((flow["twice"], flow["torn"]), (0, 0), "frames that came twice, and torn ones")
    check(flow["lost"] <= BURST, f"{flow['lost']} frames were lost: more than a burst")
    guests.quit()
    second.wait_down("a", "b")
    record("upgraded", builds="two" if os.environ.get("FAULT_OLD") else "one, twice", outage_ms=f"{(events[0]['t'] - began) / 1e6:.0f}", lost=flow["lost"],
           twice=0, torn=0)


if __name__ == "__main__":
    main(front_ends_are_killed_under_load, killed_and_restarted_with_split_rings,
         killed_and_restarted_with_in_order_rings,
         killed_and_restarted_with_packed_rings_and_a_region, stopped_for_a_while,
         ended_in_order_under_load, upgraded_while_guests_run)
