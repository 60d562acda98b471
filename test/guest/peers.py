# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""A Linux guest and a peer of another kind: the host's own TCP stack behind a tap, and DPDK's
virtio driver with its checksum engine between two guests."""

import hashlib
import os
import shutil
import sys
import urllib.request

from pair import (IP, IP6, MAC, MEMORY_MB, NO_OFFLOADS, Capture, Meter, check_copies, check_drops,
                  copy, fetch_file, iperf, iperf_server, make_file, ping, start_guest)
import netns  # pair has made the modules of test/func known
from harness import start_switch, start_testpmd
from proc import Child, Skip, check, equal
from runner import main
from testpmd import virtio_user

FILE_MB = 20
TAP = "tap-b"


def host_side(case):
    """Addresses, an iperf3 server and a web server on the host's end of the tap."""
    if not shutil.which("iperf3"):
        raise Skip("iperf3 is not installed")
    netns.ip("link", "set", TAP, "address", MAC["b"])
    for key, value in (("disable_ipv6", "0"), ("accept_dad", "0")):
        with open(f"/proc/sys/net/ipv6/conf/{TAP}/{key}", "w", encoding="ascii") as file:
            file.write(value)
    netns.ip("addr", "add", f"{IP['b']}/24", "dev", TAP)
    netns.ip("addr", "add", f"{IP6['b']}/64", "dev", TAP)
    netns.ip("link", "set", TAP, "up")
    os.mkdir(case.path("www"))
    data = os.urandom(FILE_MB << 20)
    with open(case.path("www/file"), "wb") as file:
        file.write(data)
    case.keep(Child(["iperf3", "-s", "--forceflush"], "iperf3")).expect("Server listening", 10)
    web = Child([sys.executable, "-u", "-m", "http.server", "--bind", "::", "-d",
                 case.path("www"), "80"], "web server")
    case.keep(web).expect("Serving HTTP", 10)
    return hashlib.sha256(data).hexdigest() + "  -"


def host_gets(address):
    """The hash of the file that the guest offers, as the host sees it."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(f"http://{address}/file", timeout=60) as reply:
        while data := reply.read(1 << 20):
            digest.update(data)
    return digest.hexdigest() + "  -"


def to_a_tap(case, keys):
    """Every kind of traffic between guest a and the host; the meter of what it made."""
    case.at_success(lambda: check_copies(switch.quiet()))
    switch = start_switch(case, [
        "--backpressure", "1000", "--vhost", f"{case.path('a')}.sock,mac={MAC['a']}",
        "--port", f"net_tap0,name=b,mac={MAC['b']},devargs=iface={TAP}{keys}"], stable=False)
    want = host_side(case)
    guest = start_guest(case, "a", ip=f"{IP['a']}/24,{IP6['a']}/64", memory_mb=MEMORY_MB)
    guest.wait_ready()
    switch.wait_up("a", "b")
    meter = Meter(switch)
    for address in (IP["b"], IP6["b"]):
        for reverse in (False, True):
            iperf(guest, address, 1, reverse)
        for size in (1472, 1473, 4000, 65000):
            ping(guest, address, 3, size, 0.05)
    fetch_file(guest, IP["b"], want)
    mine = make_file(guest, FILE_MB)
    equal(host_gets(IP["a"]), mine, "hash of the file that the host got over IPv4")
    equal(host_gets(f"[{IP6['a']}]"), mine, "hash of the file that the host got over IPv6")
    check_drops(switch)
    return switch, meter


def tap_with_offloads(case):
    _, meter = to_a_tap(case, "")
    grown = meter.grown("b")
    # The checksums are the driver's; its way of cutting segments is broken and not used.
    check(grown["tx_tso_cut"] > 0 and grown["tx_csum_passed"] > 0, f"to the tap: {grown}")
    equal(grown["tx_tso_passed"] + grown["tx_csum_filled"], 0, "the wrong offloads of the tap")


def tap_without_offloads(case):
    _, meter = to_a_tap(case, ",offload=off")
    grown = meter.grown("b")
    check(grown["tx_tso_cut"] > 0 and grown["tx_csum_filled"] > 0, f"to the tap: {grown}")
    equal(grown["tx_tso_passed"] + grown["tx_csum_passed"], 0, "offloads that the tap was left")


def tap_with_coalescing(case):
    switch, meter = to_a_tap(case, ",gro=on")
    counters = switch.quiet()["b"]
    check(counters["rx_coalesced"] > 100, f"from the tap: {counters}")
    grown = meter.grown("a")
    check(grown["tx_tso_passed"] > 0, f"coalesced frames that the guest got: {grown}")


MAC_T = ("02:00:00:00:00:c0", "02:00:00:00:00:c1")


def start_csum_engine(case, switch):
    """testpmd that sends what it gets from a at its port 0 to b from its port 1, and back, with
    checksums left to the switch and segments to be cut by it."""
    vdevs = [virtio_user(case.path(f"t{i}.sock"), i, mac, "mrg_rxbuf=1,queue_size=1024")
             for i, mac in enumerate(MAC_T)]
    engine = start_testpmd(case, vdevs, [
        "--forward-mode=csum", "--total-num-mbufs=16384", "--txd=1024", "--rxd=1024",
        # Segments, and their checksums: DPDK would negotiate the former without the latter.
        f"--rx-offloads={0x10 | 0x8 | 0x4:#x}",
        f"--eth-peer=0,{MAC['a']}", f"--eth-peer=1,{MAC['b']}"]).ready()
    engine.cmd("port stop all")
    for port in (0, 1):
        for line in (f"csum set tcp hw {port}", f"csum set udp hw {port}",
                     f"tso set 1400 {port}"):
            said = engine.cmd(line)
            check("rror" not in said and "not supported" not in said, f"{line}: {said}")
    said = engine.cmd("port start all")
    check("Fail" not in said, f"port start all: {said}")
    engine.cmd("start")
    switch.wait_up("t0", "t1")
    return engine


def dpdk_checksum_engine_in_between(case):
    """What DPDK's driver leaves to be done is done: guest b takes no offloads, so whatever is
    wrong in what the engine asked for, or in how it was understood, tcpdump there sees."""
    options = ["--backpressure", "1000"]
    for name, mac in (*MAC.items(), ("t0", MAC_T[0]), ("t1", MAC_T[1])):
        options += ["--vhost", f"{case.path(name)}.sock,mac={mac}"]
    switch = start_switch(case, options, stable=False)
    guests = {name: start_guest(case, name, nic, ip=f"{IP[name]}/24")
              for name, nic in (("a", {}), ("b", {"off": NO_OFFLOADS}))}
    for guest in guests.values():
        guest.wait_ready()
    engine = start_csum_engine(case, switch)
    switch.wait_up("a", "b")
    # each takes the engine for the other
    guests["a"].run(f"arp -s {IP['b']} {MAC_T[0]}")
    guests["b"].run(f"arp -s {IP['a']} {MAC_T[1]}")
    ping(guests["a"], IP["b"])
    capture = Capture(guests["b"])
    meter = Meter(switch)
    iperf_server(guests["b"])
    iperf(guests["a"], IP["b"], least_mbit=1)
    capture.verify(500)
    grown = {name: meter.grown(name) for name in ("a", "b", "t0", "t1")}
    check(grown["t0"]["tx_tso_passed"] > 0, f"segments for DPDK: {grown['t0']}")
    check(grown["b"]["tx_tso_cut"] > 0 and grown["b"]["tx_csum_filled"] > 0,
          f"what DPDK left to be done: {grown['b']}")
    iperf(guests["a"], IP["b"], reverse=True, least_mbit=1)
    check(meter.grown("a")["tx_csum_passed"] > 0, "checksums that DPDK left to a")
    for server, client in (("a", "b"), ("b", "a")):
        copy(guests[server], guests[client], IP[server], size_mb=10)
    check_drops(switch)
    engine.quit()


if __name__ == "__main__":
    sys.exit(main(tap_with_offloads, tap_without_offloads, tap_with_coalescing,
                  dpdk_checksum_engine_in_between, setup=netns.enter))
