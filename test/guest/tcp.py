# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""TCP between two Linux guests: whatever each of them takes, what arrives is right, and the
switch's counters say that it went the way it was meant to go.

Where both take segments of 64 KiB they are passed on; where the receiver does not, the switch
cuts them, and finishes checksums for one that does not take unfinished ones."""

import sys

from pair import (IP, IP6, MEMORY_MB, NO_OFFLOADS, TSO, Capture, Meter, check_drops, check_rings,
                  features, fetch_file, iperf, iperf_server, make_file, ping, start_pair,
                  start_ports)
from proc import check, equal
from runner import main

FILE_MB, SHORT_MB = 100, 20  # the long one where it takes a path that no other case takes
ALL = {"csum", "guest_csum", *TSO, "mrg_rxbuf"}


def boot(case, a=None, b=None, keys=None):
    """The switch and two guests; @a, @b: options of their NICs. Return switch, guests, meter."""
    switch = start_ports(case, keys)
    guests = start_pair(case, {"a": a or {}, "b": b or {}}, memory_mb=MEMORY_MB)
    switch.wait_up("a", "b")
    for guest in guests.values():
        iperf_server(guest)
    return switch, guests, Meter(switch)


def check_features(guest, offloads, *others):
    """It agreed on these offloads and on nothing else that FEATURE names but @others."""
    equal(features(guest) - {"mtu"}, set(offloads) | set(others), f"features of {guest.name}")


def check_passed(meter, port, what="tx_tso_passed"):
    """What went to that port went as it was: nothing was cut, no checksum was finished."""
    grown = meter.grown(port)
    check(grown[what] > 0, f"{port}: nothing was passed on: {grown}")
    for key in ("tx_tso_cut", "tx_segments", "tx_csum_filled"):
        equal(grown[key], 0, f"{port}: {key}")


def check_cut(meter, port, finished):
    """What went to that port was cut, and its checksums @finished or left to the receiver."""
    grown = meter.grown(port)
    check(grown["tx_tso_cut"] > 0 and grown["tx_segments"] > grown["tx_tso_cut"],
          f"{port}: no segment was cut: {grown}")
    equal(grown["tx_tso_passed"], 0, f"{port}: tx_tso_passed")
    for key, want in (("tx_csum_filled", finished), ("tx_csum_passed", not finished)):
        equal(grown[key] > 0, want, f"{port}: {key} of {grown} is more than 0")


def every_way(guests, seconds):
    """iperf3 both ways, over IPv4 and IPv6."""
    for reverse in (False, True):
        iperf(guests["a"], IP["b"], seconds, reverse)
        iperf(guests["a"], IP6["b"], seconds, reverse)


def pings(guest, sizes):
    """To b: sizes are those of an IPv4 packet; in IPv6 20 bytes more are header."""
    for size in sizes:
        for address, header in ((IP["b"], 28), (IP6["b"], 48)):
            ping(guest, address, 3, size - header, 0.05)


# Around the MTU, several fragments, and the longest packet there is.
SIZES = (1499, 1500, 1501, 4000, 9000, 65535)


def modern(case):
    switch, guests, meter = boot(case)
    check_rings(switch, 1, False)
    for guest in guests.values():
        check_features(guest, ALL, "version_1")
    every_way(guests, 2)
    want = make_file(guests["a"], FILE_MB)
    fetch_file(guests["b"], IP["a"], want)
    fetch_file(guests["a"], IP6["b"], make_file(guests["b"], SHORT_MB))
    pings(guests["a"], SIZES)
    for name in guests:
        check_passed(meter, name)

    # What Linux does with each of its own switches: MTU-sized frames of which the checksums are
    # not finished, and frames with nothing left to do.
    guests["a"].run("ethtool -K eth0 tso off")
    meter.restart()
    iperf(guests["a"], IP["b"])
    grown = meter.grown("b")
    check(grown["tx_csum_passed"] > 100, f"without TSO: {grown}")
    equal(grown["tx_tso_passed"] + grown["tx_tso_cut"], 0, "segments of a sender without TSO")
    guests["a"].run("ethtool -K eth0 tx off")
    meter.restart()
    iperf(guests["a"], IP["b"])
    equal(set(meter.grown("b").values()), {0}, "offloads of a sender that uses none")
    check_drops(switch)


def legacy_and_packed(case):
    switch, guests, meter = boot(case, {"legacy": True}, {"packed": True})
    check_features(guests["a"], ALL)
    check_features(guests["b"], ALL, "version_1", "packed")
    every_way(guests, 1)
    fetch_file(guests["b"], IP["a"], make_file(guests["a"], SHORT_MB))
    fetch_file(guests["a"], IP6["b"], make_file(guests["b"], SHORT_MB))
    for name in guests:
        check_passed(meter, name)
    check_drops(switch)


def towards(case, b, want, finished, keys=None, size_mb=SHORT_MB):
    """a has all offloads, and b what its device (@b) or its port (@keys) leaves it."""
    switch, guests, meter = boot(case, {"packed": bool(b.get("packed"))}, b, keys)
    check_features(guests["b"], *want)
    capture = Capture(guests["b"])
    for address in (IP["b"], IP6["b"]):
        iperf(guests["a"], address, 1)
        check_cut(meter, "b", finished)
        meter.restart()
    if finished:  # elsewhere they are unfinished, which is what was agreed on
        capture.verify(800)
        capture = Capture(guests["b"])
        iperf(guests["a"], IP6["b"], 1)
        capture.verify(800)
    fetch_file(guests["b"], IP["a"], make_file(guests["a"], size_mb))
    pings(guests["a"], (1500, 4000, 65535))
    # and back: b sends what its device lets it, a takes everything
    meter.restart()
    iperf(guests["b"], IP["a"], 1)
    iperf(guests["b"], IP6["a"], 1)
    grown = meter.grown("a")
    equal(grown["tx_tso_passed"] + grown["tx_tso_cut"], 0, "segments of a sender without TSO")
    equal(grown["tx_csum_passed"] > 0, "csum" in want[0], f"unfinished checksums: {grown}")
    equal(grown["tx_csum_filled"], 0, "checksums that were finished for a")
    check_drops(switch)


def to_one_without_offloads(case):
    towards(case, {"off": NO_OFFLOADS}, ({"mrg_rxbuf"}, "version_1"), True, size_mb=FILE_MB)


def to_a_legacy_one_without_offloads(case):
    """Its buffers are of one size and its headers of 10 bytes."""
    towards(case, {"legacy": True, "off": ("mrg_rxbuf", *NO_OFFLOADS)}, (set(),), True)


def to_a_packed_port_without_offloads(case):
    towards(case, {"packed": True}, ({"mrg_rxbuf"}, "version_1", "packed"), True,
            {"b": "offload=off"})


def to_a_port_with_checksums_only(case):
    towards(case, {}, ({"csum", "guest_csum", "mrg_rxbuf"}, "version_1"), False,
            {"b": "offload=csum"})


def jumbo(case, mtu, sizes, passed):
    """Both have that MTU. @passed: the counter of what TCP hands over"""
    nic = {"mtu": mtu}
    keys = {name: f"mtu={mtu}" for name in "ab"}
    switch, guests, meter = boot(case, nic, nic, keys)
    for guest in guests.values():
        check_features(guest, ALL, "version_1")
        check("mtu" in features(guest), f"{guest.name}: VIRTIO_NET_F_MTU was not negotiated")
        equal(int(guest.run("cat /sys/class/net/eth0/mtu")), mtu, f"MTU of {guest.name}")
    every_way(guests, 1)
    for name in guests:
        check_passed(meter, name, passed)
    # One frame each way and packet: it is a frame as long as the MTU that was delivered.
    before = switch.quiet()["b"]
    ping(guests["a"], IP["b"], 10, mtu - 28, 0.05)
    after = switch.quiet()["b"]
    for key in ("tx_frames", "rx_frames"):
        check(10 <= after[key] - before[key] < 20, f"{key} of 10 pings of {mtu} bytes:"
              f" {after[key] - before[key]}")
    pings(guests["a"], sizes)
    # frames as long as the MTU, with nothing left to do
    guests["a"].run("ethtool -K eth0 tso off tx off")
    meter.restart()
    fetch_file(guests["b"], IP["a"], make_file(guests["a"], SHORT_MB))
    equal(set(meter.grown("b").values()), {0}, "offloads of a sender that uses none")
    check_drops(switch)


def mtu_9000(case):
    jumbo(case, 9000, (1501, 8999, 9001, 65535), "tx_tso_passed")


def mtu_65535(case):
    """A segment of TCP is as long as what would be cut: there is nothing to cut."""
    jumbo(case, 65535, (1501, 9001, 65534, 65535), "tx_csum_passed")


if __name__ == "__main__":
    sys.exit(main(modern, legacy_and_packed, to_one_without_offloads,
                  to_a_legacy_one_without_offloads, to_a_packed_port_without_offloads,
                  to_a_port_with_checksums_only, mtu_9000, mtu_65535))
