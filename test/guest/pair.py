# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Two ports, a and b, with a guest behind each, and the traffic that every subject needs.

Used by the guest tests. At the end of a case the ledger of its switch is checked, as in test/func,
whose modules this uses."""

import json
import os
import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "func"))
# pylint: disable=wrong-import-position
from harness import start_switch
from proc import SLOW, check, equal, wait_for
from qemu import Guest, Nic

MAC = {"a": "52:54:00:00:00:0a", "b": "52:54:00:00:00:0b"}
IP = {"a": "10.0.0.1", "b": "10.0.0.2"}
IP6 = {"a": "fd00::1", "b": "fd00::2"}
MEMORY_MB = 512  # of guests with a file of 100 MB: half of it is the file system
# Of software emulation on a loaded machine; 3 s on an idle one.
BOOT_S = int(os.environ.get("GUEST_BOOT_S", "60"))
# Reasons for which nothing may be dropped between guests that behave.
UNEXPLAINED = ("runt", "too-long", "hairpin", "unknown-unicast", "queue-disabled", "faulted",
               "bad-offload", "spoofed", "mtu")
OFFLOADS = ("tx_csum_passed", "tx_csum_filled", "tx_tso_passed", "tx_tso_cut", "tx_segments")
# Bits of the features that a driver acknowledged, as /sys shows them.
FEATURE = {"csum": 0, "guest_csum": 1, "mtu": 3, "guest_tso4": 7, "guest_tso6": 8, "guest_ecn": 9,
           "guest_ufo": 10, "host_tso4": 11, "host_tso6": 12, "host_ecn": 13, "host_ufo": 14,
           "mrg_rxbuf": 15, "version_1": 32, "packed": 34}
# What a device is told to offer nothing of.
TSO = ("guest_tso4", "guest_tso6", "guest_ecn", "host_tso4", "host_tso6", "host_ecn")
NO_OFFLOADS = ("csum", "guest_csum", *TSO)


def start_ports(case, keys=None, device_options=()):
    """A switch with both ports. @keys: more of them by port, as {"a": "mtu=9000"}."""
    options = ["--backpressure", "1000", *device_options]
    for name, mac in MAC.items():
        more = (keys or {}).get(name)
        options += ["--vhost", f"{case.path(name)}.sock,mac={mac}" + (f",{more}" if more else "")]
    # Not stable: what is flooded while a guest boots makes no copy for it. Hence check_copies().
    case.at_success(lambda: check_copies(switch.quiet()))  # before start_switch() has it stopped
    switch = start_switch(case, options, stable=False)
    return switch


def check_copies(counters):
    """All unicast of one port made copies for the other; broadcasts too, if it was up."""
    for source, destination in (("a", "b"), ("b", "a")):
        sent, copies = counters[source], counters[destination]["copies"]
        check(sent["unicast"] <= copies <= sent["unicast"] + sent["flooded"],
              f"{destination}: {copies} copies of {sent['unicast']} unicast frames and"
              f" {sent['flooded']} flooded ones from {source}")


def start_guest(case, name, nic=None, **options):
    """Start one guest without waiting for it. @nic: options of its Nic."""
    nic = Nic(**{"socket": case.path(f"{name}.sock"), "mac": MAC[name], **(nic or {})})
    return case.keep(Guest(name, [nic], wait=False, ready_s=BOOT_S * SLOW, **options))


def start_pair(case, nics=None, **options):
    """Two Linux guests that have booted: {"a": Guest, "b": Guest}. @nics: options of the Nic of
    each, by its name."""
    guests = {}
    for name in MAC:
        nic = (nics or {}).get(name, {})
        guests[name] = start_guest(case, name, nic, ip=f"{IP[name]}/24,{IP6[name]}/64",
                                   cpus=nic.get("queues", 1), **options)
    for guest in guests.values():
        guest.wait_ready()
    return guests


def features(guest):
    """The names of what its driver and the device agreed on, of those in FEATURE."""
    bits = guest.run("cat /sys/class/net/eth0/device/features")
    return {name for name, bit in FEATURE.items() if bits[bit] == "1"}


def check_rings(switch, pairs, packed):
    """What was meant is what was negotiated."""
    for name in MAC:
        rings = [r for r in switch.port(name)["rings"] if r["enabled"]]
        equal(sorted(r["index"] for r in rings), list(range(2 * pairs)), f"{name}: enabled rings")
        for ring in rings:
            equal((ring["packed"], ring["fault"]), (packed, None), f"{name}: ring {ring['index']}")


def ping(guest, address, count=5, size=56, interval=0.2):
    """Ping, of which every packet is answered."""
    text = guest.run(f"ping -q -i {interval} -W 5 -c {count} -s {size} {address}", 30 * SLOW)
    check(f"{count} packets transmitted, {count} packets received" in text,
          f"{guest.name} to {address}, {size} bytes: {text}")


def make_file(guest, size_mb):
    """A file of random bytes that it offers over HTTP; its hash."""
    guest.run(f"dd if=/dev/urandom of=/tmp/file bs=1M count={size_mb} 2>/dev/null;"
              " httpd -p [::]:80 -h /tmp 2>/dev/null || true", 60 * SLOW)
    return guest.run("sha256sum </tmp/file", 60 * SLOW)


def fetch_file(client, address, want, prefix=""):
    """The file that another guest offers is the same here."""
    host = f"[{address}]" if ":" in address else address
    client.run(f"rm -f /tmp/copy; {prefix} wget -q -O /tmp/copy http://{host}/file", 90 * SLOW)
    equal(client.run("sha256sum </tmp/copy; rm /tmp/copy", 60 * SLOW), want,
          f"hash of the file that {client.name} got from {address}")


def copy(server, client, address, prefix="", size_mb=4):
    """A file of random bytes goes from one guest to the other, and is the same there."""
    fetch_file(client, address, make_file(server, size_mb), prefix)


def iperf_server(guest):
    guest.run("iperf3 -s -D >/dev/null 2>&1; for i in $(seq 100); do"
              " netstat -ltn | grep -q :5201 && exit 0; sleep 0.05; done; exit 1")


def iperf(client, address, seconds=2, reverse=False, least_mbit=5):
    """TCP to the iperf3 server at that address, or from it; the Mbit/s that arrived."""
    text = client.run(f"iperf3 -J -i 0 -t {seconds} -c {address}{' -R' if reverse else ''}",
                      (seconds + 30) * SLOW)
    end = json.loads(text)["end"]
    mbit = end["sum_received"]["bits_per_second"] / 1e6
    way = "from" if reverse else "to"
    print(f"# iperf3: {client.name} {way} {address}: {mbit:.0f} Mbit/s,"
          f" {end['sum_sent'].get('retransmits', '?')} retransmits", flush=True)
    check(mbit >= least_mbit, f"{client.name} {way} {address}: only {mbit:.1f} Mbit/s")
    return mbit


class Meter:
    """What a port's counters of offloads grew by since the last look."""

    def __init__(self, switch):
        self.switch = switch
        self.before = switch.quiet()

    def grown(self, port):
        now = self.switch.quiet()[port]
        return {key: now[key] - self.before[port][key] for key in OFFLOADS}

    def restart(self):
        self.before = self.switch.quiet()


class Capture:
    """tcpdump in a guest that looks at the frames it receives, and then verifies their checksums.

    Without GRO, which would change what is looked at."""

    def __init__(self, guest, frames=1000):
        self.guest = guest
        guest.run("ethtool -K eth0 gro off; rm -f /tmp/capture /tmp/tcpdump;"
                  f" tcpdump -Z root -i eth0 -n -Q in -s 0 -B 16384 -c {frames} -w /tmp/capture"
                  " 'tcp or udp or icmp or icmp6' 2>/tmp/tcpdump & echo $! >/tmp/tcpdump.pid")
        said = wait_for(lambda: guest.run("cat /tmp/tcpdump"), 20, "tcpdump to say something")
        check("listening on" in said, f"tcpdump in {guest.name}: {said}")

    def verify(self, least):
        """At least so many TCP segments came, and there is no wrong checksum among all frames."""
        self.guest.run("kill $(cat /tmp/tcpdump.pid) 2>/dev/null; while kill -0 $(cat"
                       " /tmp/tcpdump.pid) 2>/dev/null; do sleep 0.1; done; ethtool -K eth0 gro on;"
                       " tcpdump -Z root -r /tmp/capture -n -vv >/tmp/verdict 2>/dev/null; true",
                       60 * SLOW)
        right = int(self.guest.run("grep -c 'cksum 0x[0-9a-f]* (correct)' /tmp/verdict; true"))
        bad = self.guest.run("grep -B 1 -E 'incorrect|wrong|bad.*cksum' /tmp/verdict | head -6;"
                             " rm -f /tmp/capture; true")
        print(f"# tcpdump: {self.guest.name} received {right} segments with right checksums",
              flush=True)
        equal(bad, "", f"frames with wrong checksums in {self.guest.name}")
        check(right >= least, f"{self.guest.name}: only {right} segments were looked at")


def check_traffic(switch, frames):
    """Both ports sent and got that much, and lost nothing that cannot be explained."""
    for name in MAC:
        counters = switch.quiet()[name]
        for key in ("rx_frames", "unicast", "tx_frames"):
            check(counters[key] >= frames, f"{name}: {key} is {counters[key]}, not {frames}")
    check_drops(switch)


def check_drops(switch):
    """Nothing was lost that cannot be explained."""
    for name, counters in switch.quiet().items():
        drops = {**counters["rx_drop"]}
        for reason, count in counters["tx_drop"].items():
            drops[reason] = drops.get(reason, 0) + count
        for reason in UNEXPLAINED:
            equal(drops[reason], 0, f"{name}: dropped as {reason}")


def lost(text):
    """(sent, received, duplicates, most lost in a row) of the output of a ping without -q."""
    numbers = [int(n) for n in re.findall(r"seq=(\d+) ttl=\d+ time=[\d.]+ ms$", text, re.M)]
    duplicates = len(re.findall(r"DUP!", text))
    # A line that is cut off in the middle does not count.
    gaps = [b - a - 1 for a, b in zip(numbers, numbers[1:])]
    return numbers[-1] + 1 if numbers else 0, len(numbers), duplicates, max(gaps, default=0)
