# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""What moves frames: test/perf/load, which plays all guests from one core, or dpdk-testpmd with
virtio-user ports. Both return what one window had."""

import contextlib
import json
import time

from cases import GUEST_MAC, TCP_HEADS
from proc import Child, check
from switches import COUNTS_EARLY_S
from testpmd import Testpmd, virtio_user

_OPEN_SECONDS = 20     # until all guests have connected
_LONE_SECONDS = 60
_FLIGHT_BURSTS = 8     # of 32 frames: what testpmd's tx_first sends from each port
_SETTLE_S = 0.5


def window(rig, switch):
    """Load @switch for a window: {"mpps", "cycles", "dropped", "waited"}. dropped: frames that
    the switch did not send on; waited: share of the window that the load had nothing to do.
    Of TCP "gbps" as well, of payload, and cycles a byte of it."""
    if switch.setting.virtio_user:
        return _virtio_user(rig, switch)
    return _by_guests(rig, switch)


def _start(rig, switch, args):
    argv = ["taskset", "-c", rig.cpus[0], rig.program("load"), *args, *switch.setting.load_args(),
            *["--listen"] * switch.connects, *switch.paths]
    return Child(argv, "load")


def _by_guests(rig, switch):
    load = _start(rig, switch, ["--settle", switch.settle_s, "--window", rig.window_s])
    with contextlib.ExitStack() as stack:
        stack.callback(load.kill)
        before = None
        switch.wait_up()
        if not switch.counts_at_begin:
            time.sleep(switch.settle_s - COUNTS_EARLY_S)
            before = switch.counts()
        load.expect(r'^\{"begin".*\}$', _OPEN_SECONDS + switch.settle_s)
        before = before or switch.counts()
        found = json.loads(load.expect(r'^\{"window".*\}$', 10 + rig.window_s)[0])
        after = switch.counts()
        load.expect(r'^\{"end".*\}$', 10)
        check(load.wait(10) == 0, f"load: status {load.proc.returncode}\n{load.tail()}")
    return _result(switch, found, *after.cycles_since(before))


def _result(switch, found, cycles, dropped):
    setting = switch.setting
    check(found["least"] > 0, "a guest received nothing at all")
    check(setting.tcp or found["bytes"] == found["received"] * setting.frame,
          f"{found['received']} frames of {setting.frame} bytes came as {found['bytes']} bytes")
    rewrites = getattr(switch, "mode", None) == "mac"
    check(rewrites or found["strangers"] == 0, f"{found['strangers']} frames came damaged, or to a"
          " guest that they were not for")
    if setting.null:
        # What was taken from the guest counts as a rate only if it was really sent.
        switch.check_null_sent()
    frames = found["received"] + (found["completed"] if setting.null else 0)
    more = {}
    if setting.tcp:
        payload = found["bytes"] - found["received"] * TCP_HEADS
        more = {"gbps": 8 * payload / found["seconds"] / 1e9, "unfinished": found["unfinished"]}
        cycles = cycles and cycles / setting.payload()
    return {**more, "mpps": frames / found["seconds"] / 1e6, "cycles": cycles, "dropped": dropped,
            "waited": found["waited"], "strangers": 0 if rewrites else found["strangers"]}


def lone(rig, switch):
    """{"one_way": histogram, "round_trip": histogram} of lone frames, see load's output."""
    load = _start(rig, switch, [])
    with contextlib.ExitStack() as stack:
        stack.callback(load.kill)
        switch.wait_up()  # the load does not count before frames arrive
        text = load.expect(r'^\{"lost".*\}$', _OPEN_SECONDS + _LONE_SECONDS)[0]
        check(load.wait(10) == 0, f"load: status {load.proc.returncode}\n{load.tail()}")
    found = json.loads(text)
    check(percentile(found["round_trip"], 0.5) is not None,
          "half of the round trips took longer than 100 us; is something else running?")
    return found


def percentile(histogram, share):
    """Nanoseconds: the middle of the bin that this share of all falls into; None: beyond them."""
    left = share * histogram["n"]
    for begin, count in histogram["bins"]:
        left -= count
        if left <= 0:
            return begin + histogram["step_ns"] / 2
    return None


def merged(histograms):
    """One of several of the same step."""
    bins = {}
    for histogram in histograms:
        check(histogram["step_ns"] == histograms[0]["step_ns"], "histograms of different steps")
        for begin, count in histogram["bins"]:
            bins[begin] = bins.get(begin, 0) + count
    return {"step_ns": histograms[0]["step_ns"], "n": sum(h["n"] for h in histograms),
            "beyond": sum(h["beyond"] for h in histograms),
            "bins": [[begin, bins[begin]] for begin in sorted(bins)]}


def _virtio_user(rig, switch):
    setting, macs = switch.setting, [GUEST_MAC.format(i) for i in range(2)]
    a = rig.cpus[0]
    guests = Testpmd(
        [virtio_user(path, i, macs[i], f"queue_size={setting.ring}")
         for i, path in enumerate(switch.paths)],
        ["--forward-mode=macswap", "--port-topology=loop", "--nb-cores=1", "--burst=64",
         *(f"--eth-peer={i},{macs[1 - i]}" for i in range(2)), f"--txpkts={setting.frame}",
         "--total-num-mbufs=16384", f"--txd={setting.ring}", f"--rxd={setting.ring}"],
        name="guests", memory=["--in-memory"], eal=["--single-file-segments"],
        placement=f"0@{a},1@{a}")
    with contextlib.ExitStack() as stack:
        stack.callback(guests.kill)
        guests.ready()
        switch.wait_up()
        time.sleep(_SETTLE_S)  # links come up in their time, what is sent before is lost for good
        guests.cmd(f"start tx_first {_FLIGHT_BURSTS}")
        time.sleep(_SETTLE_S)
        first, counted, began = _received(guests), switch.counts(), time.monotonic()
        time.sleep(rig.window_s)
        last, took, counts = _received(guests), time.monotonic() - began, switch.counts()
        check(min(b - a for a, b in zip(first, last)) > 0, "no frames one way")
        guests.quit()
    cycles, dropped = counts.cycles_since(counted)
    frames = sum(last) - sum(first)
    return {"mpps": frames / took / 1e6, "cycles": cycles, "dropped": dropped, "waited": None}


def _received(testpmd):
    return [port["RX-packets"] for port in testpmd.stats()]
