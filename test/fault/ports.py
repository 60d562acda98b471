# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Ports that come and go under load, by the control socket and by a file that is read again, and
sockets that are in the way. (R15, R05, R06)"""

import os
import pathlib
import signal
import socket
import struct
import time

from faults import (Failed, Footprint, Guests, bystanders, count, frames, mac, memory,
                    nothing_lost, one_line, record, spread, vhost)
from harness import Refused, start_switch
from proc import Skip, check, equal, run, wait_for
from runner import main
from vhostuser import SET_FEATURES, FrontEnd

PATIENCE = ["--backpressure", "10000"]
WARM = 40  # allocators and tables have their size then


def pair(case):
    return [o for i, n in enumerate("ab") for o in vhost(case.path(f"{n}.sock"), i)]


def pair_paths(case):
    return [case.path("a.sock"), case.path("b.sock")]


def nobody(_path):
    return None


def greeted(path):
    front = FrontEnd(path)
    check(front.handshake(), "no handshake")
    return front.sock


def silent(path):
    """Connected just now: the switch may not even have seen it."""
    return FrontEnd(path).sock


def half_a_header(path):
    front = FrontEnd(path)
    front.sock.sendall(b"\x01\0\0\0\x01")
    return front.sock


def half_a_payload(path):
    front = FrontEnd(path)
    check(front.hello() is not None, "no answer")
    front.sock.sendall(struct.pack("<III", SET_FEATURES, 1, 8) + b"\0\0\0")
    return front.sock


def with_rings(case, switch, number):
    """Two ports with a pair of guests that exchange frames, removed under their hands."""
    names = [f"r{number % 3}", f"s{number % 3}"]
    paths = [case.path(f"{n}.sock") for n in names]
    for i, path in enumerate(paths):
        switch.ctl("port.add", vhost=f"{path},mac={mac(i, 9)}")
    guests = Guests(case, paths, "--group", "9", name="comers").begin()
    guests.moves(20)
    for name in names:
        switch.ctl("port.del", name=name)
    guests.kill()


def come_and_go_under_load(case):
    """R15. Names and paths are used again; who is connected, or in the middle of a message, when its
    port goes is disconnected. Nothing stays behind."""
    cycles = count(200, 10000)
    switch = start_switch(case, [*pair(case), *PATIENCE], eal=memory(), stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    kinds = (nobody, greeted, silent, half_a_header, half_a_payload)
    took, before = [], None
    for number in range(cycles):
        path = case.path(f"c{number % 7}.sock")
        began = time.monotonic()
        switch.ctl("port.add", vhost=f"{path},name=c,mac={mac(0, 8)}")
        sock = kinds[number % len(kinds)](path)
        switch.ctl("port.del", name="c")
        took.append((time.monotonic() - began) * 1000)
        check(not os.path.lexists(path), f"cycle {number}: the socket of a removed port is left")
        if sock:
            disconnected(sock, number)
        if number % 50 == 25:
            with_rings(case, switch, number)
        if number == WARM:
            before = Footprint(switch)
    text = before.check(switch, f"after {cycles} cycles")
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    record("ports-come-and-go", cycles=cycles, connected=cycles - (cycles + 4) // 5,
           ms=spread(took, 1), bystander_frames=frames(answer), bystander_lost=0, memory=text,
           fds="as before", mbufs="as before", huge_pages="as before")


def a_file_is_read_again_under_load(case):
    """R05. Ports and entries of the file come, change and go; who is not in question loses nothing."""
    times = count(30, 1000)
    path = pathlib.Path(case.path("vswitchd.yaml"))
    lines = [["ports: []"],
             ["ports:", f"  - vhost: {case.path('c.sock')}", f"    mac: ['{mac(0, 8)}']"],
             ["ports:", f"  - vhost: {case.path('c.sock')}", "    ingress-pps: 1000", "mac-table:",
              f"  - {{mac: '{mac(1, 8)}', port: a}}"],
             ["ports:", f"  - vhost: {case.path('c.sock')}", "    queues: 2"],
             ["nonsense"]]
    path.write_text("ports: []\n")
    switch = start_switch(case, [*pair(case), *PATIENCE, "--config", str(path)], eal=memory(),
                          stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    took, before = [], None
    for number in range(times):
        path.write_text("\n".join(lines[number % len(lines)]) + "\n")
        heard = len(switch.err)
        began = time.monotonic()
        switch.proc.send_signal(signal.SIGHUP)
        wait_for(lambda start=heard: "read again" in switch.err[start:]
                 or "nothing was changed" in switch.err[start:], 5, f"reading number {number}")
        took.append((time.monotonic() - began) * 1000)
        if number == 10:
            before = Footprint(switch)
    path.write_text("ports: []\n")  # as at the tenth
    switch.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: switch.ctl("port.list")["ports"][2:] == [], 5, "two ports")
    text = before.check(switch, f"after {times} readings")
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    record("file-read-again", times=times, ms=spread(took, 1), bystander_frames=frames(answer),
           bystander_lost=0, memory=text)


def disconnected(sock, number):
    sock.settimeout(2)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        raise Failed(f"cycle {number}: a removed port keeps its front-end") from None
    sock.close()


def refused(switch, what, word, **params):
    """Return the one line."""
    try:
        switch.ctl("port.add", **params)
    except Refused as error:
        return one_line(error.message, word)
    raise Failed(f"{what} was taken for a socket's path")


def sockets_in_the_way(case):
    """R06. A socket that nobody serves is replaced; anything else is told, and stays."""
    switch = start_switch(case, [*pair(case), *PATIENCE], eal=memory())
    watch = bystanders(case, switch, pair_paths(case))
    before = Footprint(switch)
    stale, live = case.path("stale.sock"), case.path("live.sock")
    old = socket.socket(socket.AF_UNIX)
    old.bind(stale)
    old.close()
    switch.ctl("port.add", vhost=stale)
    front = FrontEnd(stale)
    check(front.handshake(), "the port on a replaced socket does not answer")
    front.close()
    switch.ctl("port.del", name="stale")
    other = socket.socket(socket.AF_UNIX)
    case.on_end(other.close)
    other.bind(live)
    other.listen(1)
    inode = os.stat(live).st_ino
    lines = [refused(switch, "a live socket", live, vhost=live)]
    equal(os.stat(live).st_ino, inode, "a live socket's file")
    plain = pathlib.Path(case.path("plain"))
    plain.write_text("mine")
    lines.append(refused(switch, "a file", str(plain), vhost=f"{plain},name=plain"))
    equal(plain.read_text(), "mine", "a file that was there")
    os.symlink(live, case.path("link.sock"))
    lines.append(refused(switch, "a link", "link.sock", vhost=case.path("link.sock")))
    lines.append(refused(switch, "no directory", "none", vhost=case.path("none/x.sock")))
    for line in lines:
        print(f"# {line}")
    wait_for(lambda: len(switch.ctl("port.list")["ports"]) == 2, 2, "two ports")
    before.check(switch, "after refusals")
    nothing_lost(watch.settle())
    watch.quit()
    record("sockets-in-the-way", cases=5, bystander_lost=0)


def a_directory_that_is_read_only(case):
    """R06. Root writes anywhere but on a file system that is mounted so."""
    folder = case.path("ro")
    os.mkdir(folder)
    status, _, err, _ = run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", folder], 5)
    if status:
        raise Skip(f"no mounts here: {err.strip()}")
    case.on_end(lambda: run(["umount", folder], 5))
    switch = start_switch(case, [*pair(case), *PATIENCE])
    print("#", refused(switch, "a read-only directory", "x.sock", vhost=f"{folder}/x.sock"))
    switch.ctl("status")


if __name__ == "__main__":
    main(come_and_go_under_load, a_file_is_read_again_under_load, sockets_in_the_way, a_directory_that_is_read_only)
