# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Many ports: a thousand that come and go while two others exchange frames, and as many at once as
there can be connected. Nothing may stay behind, and nobody else may notice."""

import os
import pathlib
import re
import resource
import time

from harness import NO_HUGE, start_switch, start_testpmd
from proc import Skip, check, equal, wait_for, SLOW
from runner import main
from testpmd import virtio_user
from vhostuser import FrontEnd

MACS = ("02:00:00:00:05:01", "02:00:00:00:05:02")
VHOST = "vhost"
CYCLES = 1000
# Allocators and tables grow to their size within the first cycles.
WARM_CYCLES = 100
# What is left after the other 900 cycles: 1 KiB lost in each would be more than this.
RSS_SLACK_KIB = 768
IN_FLIGHT = 64  # frames that the two guests send back and forth

PORTS = 1000
# A port listens, its connection is two sockets and the library's, and workers have eventfds.
FDS_PER_PORT = 6
READY_SECONDS = 10


def status_kib(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M).group(1))


def sanitized(pid):
    """Freed memory is kept by AddressSanitizer, so RSS says nothing there."""
    return "asan" in pathlib.Path(f"/proc/{pid}/maps").read_text() \
        or b"__asan_init" in pathlib.Path(f"/proc/{pid}/exe").read_bytes()


def memory():
    """EAL arguments: hugepages where there are enough of them."""
    text = pathlib.Path("/proc/meminfo").read_text()
    field = dict(re.findall(r"^(\w+): +(\d+)", text, re.M))
    free = int(field.get("HugePages_Free", 0)) * int(field.get("Hugepagesize", 0))
    return ["--no-pci", "--in-memory"] if free >= 512 << 10 else ["--no-pci", *NO_HUGE]


def usage(switch):
    """What must not grow: exactly, and its own memory (the guests' is mapped too) in KiB."""
    status = switch.ctl("status")
    exact = {"file descriptors": switch.stable_fds(),
             "KiB of hugepages": status_kib(switch.pid, "HugetlbPages"),
             "mbufs in use": status["mbufs_in_use"],
             "ports": status["ports"], "MAC entries": status["macs"],
             "connections": status["connections"]}
    return exact, status_kib(switch.pid, "RssAnon")


def cycle(switch, case, number):
    """A port comes and goes; each second one with a front-end on it."""
    path = case.path(f"c{number % 7}.sock")
    name = switch.ctl("port.add", **{VHOST: f"{path},name=c,mac=02:00:00:00:05:99"})["name"]
    front = FrontEnd(path) if number % 2 else None
    if front:
        check(front.handshake(), f"cycle {number}: no handshake")
    switch.ctl("port.del", name=name)
    check(not os.path.lexists(path), f"cycle {number}: the socket of a removed port is left")
    if front:
        check(front.hello() is None, f"cycle {number}: a removed port still answers")
        front.close()


def guests(case, switch):
    """Two ports of one testpmd on one lcore, which send each other IN_FLIGHT frames for ever."""
    paths = [case.path(f"{name}.sock") for name in ("a", "b")]
    pmd = start_testpmd(
        case, [virtio_user(p, i, MACS[i], "queue_size=256") for i, p in enumerate(paths)],
        ["--forward-mode=macswap", "--port-topology=loop", f"--eth-peer=0,{MACS[1]}",
         f"--eth-peer=1,{MACS[0]}", "--txpkts=64", "--nb-cores=1"]).ready()
    switch.wait_up("a", "b")
    pmd.cmd(f"start tx_first {IN_FLIGHT // 32}")
    return pmd


def all_frames_are_there(pmd, switch):
    """What each guest sent is what the switch received of it, and what it delivered they got."""
    pmd.cmd("stop")
    pmd.cmd("set fwd rxonly")
    pmd.cmd("start")  # what was on the way
    counters = switch.quiet()

    def got():
        return [p["RX-packets"] for p in pmd.stats()] == \
            [counters[n]["tx_frames"] for n in ("a", "b")]
    wait_for(got, 3, "what was delivered to be received")
    stats = pmd.stats()
    for i, name in enumerate(("a", "b")):
        equal(counters[name]["rx_frames"], stats[i]["TX-packets"], f"frames of guest {name}")
        equal(counters[name]["tx_frames"], stats[i]["RX-packets"], f"frames for guest {name}")
        equal(sum(counters[name]["rx_drop"].values()), 0, f"dropped at the source {name}")
        equal(sum(counters[name]["tx_drop"].values()), 0, f"dropped at the destination {name}")


def a_thousand_ports_come_and_go_under_traffic(case):
    switch = start_switch(case, [
        *(o for n, mac in zip(("a", "b"), MACS)
          for o in ("--vhost", f"{case.path(n)}.sock,mac={mac}")),
        "--backpressure", "10000"], eal=memory(), stable=False)
    pmd = guests(case, switch)
    start, slowest = time.monotonic(), 0.0
    frames = switch.counters()["a"]["rx_frames"]
    for number in range(CYCLES):
        if number == WARM_CYCLES:
            before, rss = usage(switch)
        began = time.monotonic()
        cycle(switch, case, number)
        slowest = max(slowest, time.monotonic() - began)
        if number % 100 == 99:
            now = switch.counters()["a"]["rx_frames"]
            check(now > frames, f"no frames in cycles {number - 99} to {number}")
            frames = now
    took = time.monotonic() - start
    after, rss_after = usage(switch)
    equal(after, before, f"after {CYCLES - WARM_CYCLES} cycles")
    if not sanitized(switch.pid):
        check(rss_after <= rss + RSS_SLACK_KIB, f"memory grew from {rss} to {rss_after} KiB")
    all_frames_are_there(pmd, switch)
    pmd.quit()
    print(f"# {CYCLES} cycles in {took:.1f} s, the slowest {slowest * 1000:.0f} ms,"
          f" {frames} frames meanwhile; memory {rss} KiB, then {rss_after} KiB")


def raise_limit(fds):
    """As many file descriptors as we may have, for us and for what we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < fds and os.geteuid() != 0:
        raise Skip(f"{fds} file descriptors are needed, the hard limit is {hard}")
    try:
        hard = hard if hard == resource.RLIM_INFINITY else max(hard, fds)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, fds), hard))
    except (ValueError, OSError) as error:
        raise Skip(f"{fds} file descriptors are needed: {error}") from None


def config_of(case, paths):
    text = "switch:\n  idle: sleep\nports:\n" \
        + "".join(f"  - vhost: {path}\n    queues: 1\n" for path in paths)
    pathlib.Path(case.path("c.yaml")).write_text(text)
    return case.path("c.yaml")


def a_thousand_ports_listen_and_as_many_as_can_be_are_connected(case):
    paths = [case.path(f"p{i:04}.sock") for i in range(PORTS)]
    raise_limit((PORTS + 100) * FDS_PER_PORT)
    began = time.monotonic()
    switch = start_switch(case, ["--config", config_of(case, paths)], eal=memory())
    ready = time.monotonic() - began
    check(ready < READY_SECONDS * SLOW, f"ready after {ready:.1f} s")
    check(f"ready: {PORTS} ports, 1 workers" in switch.out, switch.out)

    most = switch.ctl("status")["connections_max"]
    while len(paths) < most + 1:
        paths.append(case.path(f"p{len(paths):04}.sock"))
        switch.ctl("port.add", **{VHOST: f"{paths[-1]},queues=1"})
    # The library opens a pipe of its own for the first front-end, and keeps it.
    first = FrontEnd(paths[0])
    check(first.handshake(), "the first front-end was not served")
    first.close()
    wait_for(lambda: switch.ctl("status")["connections"] == 0, 5, "the first front-end to be gone")
    fds = switch.stable_fds()

    began = time.monotonic()
    fronts = []
    for path in paths[:most]:
        fronts.append(FrontEnd(path))
        case.on_end(fronts[-1].close)
        check(fronts[-1].handshake(), f"front-end {len(fronts)} of {most} was not served")
    took = time.monotonic() - began
    equal(switch.ctl("status")["connections"], most, "connections")
    one_too_many_is_refused(switch, paths[most], most)
    for i, front in enumerate(fronts):
        check(front.hello() is not None, f"front-end {i} was dropped")

    # and when one goes, there is room again
    fronts[7].close()
    wait_for(lambda: switch.ctl("status")["connections"] == most - 1, 5, "the one that left")
    late = FrontEnd(paths[most])
    case.on_end(late.close)
    check(late.handshake(), "the place that was freed could not be taken")
    late.close()
    for front in fronts:
        front.close()
    wait_for(lambda: switch.ctl("status")["connections"] == 0, 10, "all to be gone")
    equal(switch.stable_fds(), fds, "file descriptors after the last has gone")
    began = time.monotonic()
    switch.ledger()
    switch.stop()
    left = [path for path in paths if os.path.lexists(path)]
    check(not left, f"{len(left)} socket files are left")
    print(f"# {PORTS} ports ready in {ready:.2f} s, {most} front-ends connected in {took:.1f} s,"
          f" all ended in {time.monotonic() - began:.2f} s")


def one_too_many_is_refused(switch, path, most):
    name = pathlib.Path(path).stem
    seen = len(switch.err)
    front = FrontEnd(path)
    check(not front.handshake(), f"front-end {most + 1} was served")
    front.close()

    def lines():
        return [line for line in switch.err[seen:].splitlines() if str(most) in line]
    wait_for(lines, 5, f"a log line about the refused front-end of {name}")
    check(name in lines()[0] and "front-ends are connected" in lines()[0],
          f"not clear: {lines()[0]!r}")


if __name__ == "__main__":
    main(a_thousand_ports_come_and_go_under_traffic,
         a_thousand_ports_listen_and_as_many_as_can_be_are_connected)
