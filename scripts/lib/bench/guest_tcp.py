# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""TCP between Linux guests, and between a guest and the host's own stack, with iperf3 over our
switch and over its peers: what `scripts/bench --guest` does beside guest.py.

Under software emulation the guests' own CPUs are the limit, and what a switch leaves of the
machine to them counts as much as what it does for a frame: figures compare with those of the same
run and with nothing else. The switches poll on CPU B, but for vswitchd-sleep; guests have both."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

_TEST = pathlib.Path(__file__).resolve().parents[3] / "test"
sys.path += [str(_TEST / "guest"), str(_TEST / "func")]
# pylint: disable=wrong-import-position
import measure
import qemu
import switches
from cases import GUEST_MAC, SEGMENT, TAP_MAC, Setting
from proc import SLOW, Child, check, run

OURS = ("vswitchd", "vswitchd-sleep")
PEERS = {"tcp-guests": ("testpmd-io", "ovs-tso", "ovs"), "tcp-tap": ("ovs-tso", "ovs")}
BOOT_S = 60
NET = "10.201.77"  # .1 and .2 the guests, .254 the host, in a network namespace of its own
ERRORS = (*measure.ERRORS, qemu.GuestError)


def iperf(client, server_address, seconds, more=""):
    """Gbit/s that arrived, by iperf3 on @client, a function that runs a line of shell."""
    found = json.loads(client(f"iperf3 -c {server_address} -t {seconds:g} -J {more}"))
    check("error" not in found, f"iperf3: {found.get('error')}")
    return found["end"]["sum_received"]["bits_per_second"] / 1e9


class Host:
    """The host's end of a tap, with the guest's iperf3, as there may be no other here."""

    def __init__(self, directory, interface, pid):
        self._dir, self._enter = directory, ["nsenter", "--target", pid, "--net"]
        image = qemu.image_dir("linux") / "linux.cpio"
        with open(image, "rb") as archive:
            subprocess.run(["cpio", "-id", "--quiet", "usr/bin/iperf3", "lib/*", "lib64/*"],
                           stdin=archive, cwd=directory, check=True, timeout=60)
        for args in (["link", "set", interface, "address", TAP_MAC],
                     ["addr", "add", f"{NET}.254/24", "dev", interface],
                     ["link", "set", interface, "up"]):
            status, _, err, _ = run([*self._enter, "ip", *args], 10)
            check(status == 0, f"ip {' '.join(args)}: {err.strip()}")

    def serve(self):
        """A child that serves iperf3."""
        lib = f"{self._dir}/lib/x86_64-linux-gnu"
        return Child([*self._enter, f"{lib}/ld-linux-x86-64.so.2", "--library-path", lib,
                      f"{self._dir}/usr/bin/iperf3", "-s", "--forceflush"], "iperf3")


def _boot(stack, switch, accel):
    guests = []
    for i, path in enumerate(switch.paths):
        listens = {"server": True} if switch.connects else {}
        guests.append(qemu.Guest(f"g{i}", [qemu.Nic(path, GUEST_MAC.format(i), **listens)],
                                 ip=f"{NET}.{i + 1}/24", accel=accel, wait=False,
                                 ready_s=BOOT_S * SLOW))
        stack.callback(guests[-1].kill)
    for guest in guests:
        guest.wait_ready()
    return guests


def _measure(case, kind, rig, accel, how):
    """[Gbit/s of each round, the mean of both ways]."""
    seconds, rounds = how
    setting = Setting(frame=SEGMENT, tcp="tso", mergeable=True)
    if case == "tcp-tap":
        setting = Setting(guests=1, tap=f"vsb{os.getpid()}")
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="vsw-bench-",
                                                                    dir="/tmp"))
        switch = stack.enter_context(switches.running(kind, rig, setting, directory))
        guests = _boot(stack, switch, accel)
        switch.wait_up()
        if case == "tcp-tap":
            server = f"{NET}.254"
            child = Host(directory, *switch.interface()).serve()
            stack.callback(child.kill)
            child.expect("Server listening", 20)
        else:
            server = f"{NET}.2"
            guests[1].run("iperf3 -s -D")

        def client(line):
            return guests[0].run(line, 30 + 3 * seconds * SLOW)

        client(f"ping -q -c 3 -W 5 {server}")
        iperf(client, server, 1)
        found = [statistics.mean(iperf(client, server, seconds, more) for more in ("", "-R"))
                 for _ in range(rounds)]
        switch.check_alive()
        return found


def run_all(rig, how, peers, say):
    """[{"case", "kind", "accel", "gbps", "median", "is_figure", "error"}], how: (seconds, rounds).
    Rounds of one switch follow one another, as booting takes longer than measuring."""
    results = []
    accel = qemu.accelerator()
    for case, others in PEERS.items():
        for kind in (*OURS, *(others if peers else ())):
            entry = {"case": case, "kind": kind, "accel": accel, "gbps": [], "median": 0.0,
                     "is_figure": accel == "kvm" and len(os.sched_getaffinity(0)) > 3,
                     "error": None}
            try:
                entry["gbps"] = _measure(case, kind, rig, accel, how)
                entry["median"] = statistics.median(entry["gbps"])
                say(f"{case}: {kind}: {entry['median']:.3f} Gbit/s")
            except ERRORS as error:
                entry["error"] = measure.explain(error)
                say(f"{case}: {kind}: {entry['error']}")
            results.append(entry)
    return results
