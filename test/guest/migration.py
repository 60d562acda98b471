# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""A Linux guest moves from one switch to another and back, again and again, while it is talked to.

    guest a - [a, switch 1, up] - veth - [up, switch 2]
                    m                          m
                    `-------- guest m ---------'

The operator moves its address in the tables, as somebody has to: they are static. What shows an
error: a ping answered twice (a frame delivered by both), a TCP stream with another hash, a ring
that stands still, a frame that a switch received and has lost (its ledger). What does not: a page
that was not marked as written. It holds a frame that was under way at the stop, and TCP sends that
again; which pages are marked is tested with the raw front-end, bit by bit."""

import os
import re
import sys

from pair import BOOT_S, IP, MAC, check_drops, copy, lost, ping, start_guest
import netns  # pair has made the modules of test/func known
from harness import Switch, check_ledger
from proc import SLOW, Failed, check, equal, wait_for
from qemu import Guest, Nic
from runner import main

ROUND_TRIPS = int(os.environ.get("GUEST_ROUND_TRIPS", "3"))
PING_MS = 20
MAC_M, IP_M = "52:54:00:00:00:0c", "10.0.0.3"
MEMORY_MB = 160


class Place:
    """A switch that the guest can be on, and the entry of its table that says where it is."""

    def __init__(self, case, number, vhost):
        os.mkdir(case.path(str(number)))
        self.socket = case.path(f"m{number}.sock")
        options = ["--backpressure", "1000", *vhost, "--vhost", f"{self.socket},name=m",
                   "--port", f"net_af_packet0,name=up,devargs=iface=x{number}"]
        self.switch = case.keep(Switch(case.path(str(number)), options))
        self.switch.ready()
        self.behind = None

    def table(self, port, mac=MAC_M):
        """The guest is behind that port from now on."""
        if self.behind and mac == MAC_M:
            self.switch.ctl("mac.del", mac=mac)
        self.switch.ctl("mac.add", mac=mac, port=port)
        if mac == MAC_M:
            self.behind = port


def start_m(case, place, packed, **more):
    nic = Nic(place.socket, MAC_M, packed=packed)
    return case.keep(Guest("m", [nic], wait=False, ready_s=BOOT_S * SLOW, ip=f"{IP_M}/24",
                           memory_mb=MEMORY_MB, migrates=True, **more))


# Random bytes until dd is ended, hashed where they start and where they end. As many as possible:
# frames shall be on their way into m's ring whenever it is stopped.
SENDER = ("mkfifo /tmp/tee; sha256sum </tmp/tee >/tmp/sum &"
          " (dd if=/dev/urandom bs=64k 2>/dev/null & echo $! >/tmp/dd.pid; wait) | tee /tmp/tee | nc {ip} 5000 >/dev/null 2>/tmp/nc &"
          " echo started")
# It must not see the end of its input: nc would close its half, and the sender's give up then.
RECEIVER = ("mkfifo /tmp/tee; wc -c </tmp/tee >/tmp/size & sleep 86400 | nc -l -p 5000 |"
            " tee /tmp/tee | sha256sum >/tmp/sum & for i in $(seq 100); do"
            " netstat -ltn | grep -q :5000 && exit 0; sleep 0.05; done; exit 1")


def start_streams(a, m):
    m.run(RECEIVER)
    a.run(SENDER.format(ip=IP_M))
    a.run(f"ping -i {PING_MS / 1000} {IP_M} >/tmp/ping 2>&1 & echo $! >/tmp/ping.pid")
    wait_answers(a)
    check("ESTABLISHED" in m.run("netstat -tn"),
          f"the TCP stream did not start: {a.run('cat /tmp/nc')!r}, {m.run('netstat -tna')}")


def wait_answers(a, more=20):
    """The ping goes on: so many more answers."""
    def answers():
        return int(a.run("grep -c ttl= /tmp/ping; true"))
    want = answers() + more
    wait_for(lambda: answers() >= want, 20, f"{more} more answers to a ping")


def arrived(a, m, place):
    """The guest goes on in its new place; or what it and the switch there have to say."""
    try:
        wait_answers(a)
    except Failed:
        print(f"# port show: {place.switch.ctl('port.show', name='m')}", flush=True)
        for command in ("cat /proc/interrupts", "ip -s link", "cat /proc/net/softnet_stat"):
            print(f"# {command}: {m.run(command, timeout_s=10, check=False)!r}", flush=True)
        raise


def end_streams(a, m):
    """Check what arrived; the result of the ping."""
    a.run("kill $(cat /tmp/dd.pid)")
    sums = [wait_for(lambda g=g: re.search(r"[0-9a-f]{64}", g.run("cat /tmp/sum")), 20,
                     f"the hash of the stream in {g.name}").group() for g in (a, m)]
    size = int(m.run("cat /tmp/size"))
    print(f"# the TCP stream had {size} bytes", flush=True)
    check(size > 65536 * 20, f"the stream had only {size} bytes")
    equal(sums[1], sums[0], "hash of the stream")
    return a.run("kill -INT $(cat /tmp/ping.pid); sleep 0.2; cat /tmp/ping")


def listens(path):
    """The socket's file is there a moment before anybody may connect. (0x10000: __SO_ACCEPTCON)"""
    with open("/proc/net/unix", encoding="utf-8") as sockets:
        return any(" 00010000 " in line and line.endswith(f" {path}\n") for line in sockets)


def move(case, m, source, target, packed):
    """Migrate guest m; the new one, and QEMU's own figures."""
    path = case.path("migration.sock")
    if os.path.exists(path):
        os.unlink(path)
    new = start_m(case, target, packed, incoming=path)
    wait_for(lambda: listens(path), 20, "the QEMU that waits for the guest")
    # Nobody sends to it there yet, and its own announcement shall be found right.
    target.table("m")
    state = m.migrate(path, 60 * SLOW)
    source.table("up")
    m.kill()
    target.switch.wait_up("m")
    source.switch.wait_down("m")
    return new, state


def finish(place):
    counters = place.switch.quiet()
    for port in counters.values():
        check_ledger(port)
    check_drops(place.switch)
    place.switch.stop()


def round_trips(case, packed):
    netns.veth("x1", "x2")
    case.on_end(lambda: netns.ip("link", "del", "x1"))
    places = [Place(case, 1, ["--vhost", f"{case.path('a')}.sock,mac={MAC['a']}"]),
              Place(case, 2, [])]
    places[0].table("m")
    places[1].table("up", MAC["a"])
    places[1].table("up")
    a = start_guest(case, "a", {"packed": packed}, ip=f"{IP['a']}/24")
    m = start_m(case, places[0], packed)
    for guest in (a, m):
        guest.wait_ready()
    start_streams(a, m)
    downtimes = []
    for _ in range(ROUND_TRIPS):
        for source, target in (places, places[::-1]):
            m, state = move(case, m, source, target, packed)
            downtimes.append(state["downtime"])
            arrived(a, m, target)
    sent, received, duplicates, gap = lost(end_streams(a, m))
    print(f"# {2 * ROUND_TRIPS} migrations: downtime of QEMU {downtimes} ms; {sent - received} of"
          f" {sent} pings lost, at most {gap} in a row (every {PING_MS} ms)", flush=True)
    equal(duplicates, 0, "pings answered twice")
    check(gap * PING_MS < 5000, f"an outage of {gap * PING_MS} ms")
    ping(m, IP["a"])
    copy(m, a, IP_M)
    for place in places:
        finish(place)


def split_rings_three_times_there_and_back(case):
    round_trips(case, False)


def packed_rings_three_times_there_and_back(case):
    round_trips(case, True)


if __name__ == "__main__":
    sys.exit(main(split_rings_three_times_there_and_back, packed_rings_three_times_there_and_back,
                  setup=netns.enter))
