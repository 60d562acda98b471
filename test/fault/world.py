# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""What the machine around the switch does: links that flap, a CPU that others use, memory of another
kind. (R16, R23, R27)"""

import os
import sys
import time

import faults  # first: it says where test/func is
import netns
from faults import (Footprint, Guests, bystanders, count, frames, memory, nothing_lost, record,
                    spread, vhost)
from harness import NO_HUGE, start_switch
from frames import compare, frames as make_frames
from proc import Child, Skip, check, equal, run, wait_for
from runner import main

PATIENCE = ["--backpressure", "10000"]
A, B = "02:00:00:00:0a:01", "02:00:00:00:0a:02"
SIZES = [60, 64, 512, 1514]


def pair(case):
    return [o for i, n in enumerate("ab") for o in vhost(case.path(f"{n}.sock"), i)]


def pair_paths(case):
    return [case.path("a.sock"), case.path("b.sock")]


def flap(case, name, device, interface, far):
    """The link of @interface goes and comes; frames flow again each time, and nothing leaks."""
    flaps = count(5, 100)
    tap = f"net_tap0,name=tap,mac={B},devargs=iface=tflap"
    switch = start_switch(case, [*pair(case), "--port", f"{device},name=dev,mac={A}", "--port", tap,
                                 *PATIENCE], stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    one, two = netns.Raw(far), netns.Raw("tflap")
    case.on_end(one.close)
    case.on_end(two.close)
    sent = make_frames(B, A, SIZES, 1)

    def exchange():
        one.send(sent)
        compare(two.receive(len(sent)), sent, f"{name}: through the switch")

    exchange()
    before, times = Footprint(switch), []
    for _ in range(flaps):
        for state in ("down", "up"):
            start = time.monotonic()
            netns.ip("link", "set", interface, state)
            if device.startswith("net_af_packet"):  # has no link state of its own to tell
                continue
            wait_for(lambda s=state: switch.port("dev")["state"] == s, 3, f"{name}: {state}")
            times.append((time.monotonic() - start) * 1000)
        exchange()
    before.check(switch, f"after {flaps} flaps")
    nothing_lost(watch.settle())
    watch.quit()
    record(f"link-flaps-{name}", flaps=flaps, told_ms=spread(times, 1) if times else "not told",
           bystander_lost=0)


def the_link_of_a_veth_flaps(case):
    """R16. af_packet: the driver reports no link; frames stop and go on."""
    netns.veth("vf", "vf-peer")
    case.on_end(lambda: netns.ip("link", "del", "vf"))
    flap(case, "veth", "net_af_packet0,devargs=iface=vf", "vf", "vf-peer")


def the_link_of_a_tap_flaps(case):
    """R16. Set down and up from outside."""
    switch = start_switch(case, [*pair(case), "--port", f"net_tap1,name=dev,mac={A},"
                                 "devargs=iface=tdown", *PATIENCE], stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    before, times = Footprint(switch), []
    for _ in range(count(5, 100)):
        for state in ("down", "up"):
            start = time.monotonic()
            netns.ip("link", "set", "tdown", state)
            wait_for(lambda s=state: switch.port("dev")["state"] == s, 3, f"tap {state}")
            times.append((time.monotonic() - start) * 1000)
    before.check(switch, "after flaps")
    check(max(times) < 1000, f"told after {spread(times)} ms")
    nothing_lost(watch.settle())
    watch.quit()
    record("link-flaps-tap", flaps=len(times) // 2, told_ms=spread(times, 1), bystander_lost=0)


BUSY = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass\n"


def others_use_the_workers_cpu(case):
    """R23. Two busy programs on the worker's CPU take two thirds of it: slower, and nothing else."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("one CPU only")
    switch = start_switch(case, [*pair(case), *PATIENCE], eal=memory(), idle="poll",
                          placement=f"0@{cpus[0]},1@{cpus[1]}")
    watch = bystanders(case, switch, pair_paths(case))
    quiet = watch.rates(1)[0]
    said = len(switch.err)
    thieves = [case.keep(Child([sys.executable, "-c", BUSY, cpus[1]], "thief")) for _ in range(2)]
    shared = watch.rates(count(2, 10))[0]
    start = time.monotonic()
    switch.ctl("status")
    answer_ms = (time.monotonic() - start) * 1000
    for thief in thieves:
        thief.kill()
    recovered = watch.rates(1)[0]
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    alarms = [line for line in switch.err[said:].splitlines() if "stand" in line]
    equal(alarms, [], "false alarms about a worker that stands still")
    record("cpu-stolen", alone_kpps=f"{quiet / 1000:.0f}", shared_kpps=f"{shared / 1000:.0f}",
           after_kpps=f"{recovered / 1000:.0f}", answer_ms=f"{answer_ms:.0f}", lost=0,
           frames=frames(answer), alarms=0)


def memory_of_any_kind(case):
    """R27. Without huge pages, with them in anonymous memory, and where nothing is mounted."""
    kinds = {"no-huge": (["--no-pci", *NO_HUGE], ())}
    if faults.free_huge_mib() >= 512:
        kinds["in-memory"] = (["--no-pci", "--in-memory"], ())
        if run(["unshare", "-m", "true"], 5)[0] == 0:
            kinds["in-memory, no hugetlbfs mounted"] = (
                ["--no-pci", "--in-memory"],
                ("unshare", "-m", "sh", "-c", "umount -a -t hugetlbfs; exec \"$@\"", "sh"))
    for name, (eal, wrap) in kinds.items():
        switch = start_switch(case, [*pair(case), *PATIENCE], eal=eal, wrap=wrap)
        guests = Guests(case, pair_paths(case)).begin()
        switch.wait_up("a", "b")
        guests.moves(500)
        nothing_lost(guests.settle(), name)
        guests.quit()
        switch.ledger()
        switch.stop()
    record("memory-kinds", kinds="; ".join(kinds), result="each starts and forwards")


if __name__ == "__main__":
    main(the_link_of_a_veth_flaps, the_link_of_a_tap_flaps, others_use_the_workers_cpu,
         memory_of_any_kind, setup=netns.enter)
