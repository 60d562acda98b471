# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Every path that DPDK's virtio driver has through a ring: frames from a file go in at one guest
and come out at the other, both ways at once, byte for byte.

    in.pcap -> [testpmd A: net_pcap -> virtio-user] -> switch -> [B: virtio-user -> net_pcap] -> out
"""

import functools
import sys

from frames import compare, frames, pcap_read, pcap_write
from harness import start_switch, start_testpmd
from proc import Skip, check, equal, wait_for
from runner import main
from testpmd import virtio_user

MAC = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}

SPLIT = "packed_vq=0"
PACKED = "packed_vq=1"
STD = "in_order=0"
VECTOR = "in_order=1,vectorized=1"

# name: devargs, the receive and transmit path that the driver must report, ring size
PATHS = {
    "split mergeable":
        (f"{SPLIT},{STD},mrg_rxbuf=1", "mergeable buffer Rx", "standard Tx", 256),
    "split plain":
        (f"{SPLIT},{STD},mrg_rxbuf=0", "standard Rx", "standard Tx", 256),
    "split in-order mergeable":
        (f"{SPLIT},in_order=1,mrg_rxbuf=1", "inorder Rx", "inorder Tx", 256),
    "split in-order plain":
        (f"{SPLIT},in_order=1,mrg_rxbuf=0", "inorder Rx", "inorder Tx", 256),
    "split vector receive":
        (f"{SPLIT},{STD},mrg_rxbuf=0,vectorized=1", "vectorized Rx", "standard Tx", 256),
    "packed mergeable":
        (f"{PACKED},{STD},mrg_rxbuf=1",
         "packed ring mergeable buffer Rx", "packed ring standard Tx", 256),
    "packed plain":
        (f"{PACKED},{STD},mrg_rxbuf=0", "packed ring standard Rx", "packed ring standard Tx", 256),
    "packed in-order mergeable":
        (f"{PACKED},in_order=1,mrg_rxbuf=1",
         "packed ring mergeable buffer Rx", "packed ring standard Tx", 256),
    "packed in-order plain":
        (f"{PACKED},in_order=1,mrg_rxbuf=0",
         "packed ring standard Rx", "packed ring standard Tx", 256),
    "packed vector":
        (f"{PACKED},{VECTOR},mrg_rxbuf=0",
         "packed ring vectorized Rx", "packed ring vectorized Tx", 256),
    "packed vector, 255 descriptors":
        (f"{PACKED},{VECTOR},mrg_rxbuf=0,queue_size=255",
         "packed ring vectorized Rx", "packed ring vectorized Tx", 255),
    "packed vector transmit, mergeable":
        (f"{PACKED},{VECTOR},mrg_rxbuf=1",
         "packed ring mergeable buffer Rx", "packed ring vectorized Tx", 256),
}
VECTOR_CPU_FLAGS = {"avx512f", "avx512bw", "avx512vl"}

# No round needs more buffers than a ring has, so that no loss is excusable: 96 frames and, on
# mergeable paths, 8 long ones of 5 buffers each. Three rounds take both rings past their end.
ROUNDS = 3
SIZES = [60, 61, 63, 64, 65, 66, 127, 128, 129, 1513, 1514] \
    + [60 + i * 97 % 1455 for i in range(85)]
LONG = [8000, 2049, 4097, 2048 + 12, 2048 - 12, 6000, 1515, 7999]


def cpu_flags():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return set(next((line for line in file if line.startswith("flags")), "").split())


def need_cpu(*paths):
    """Before anything is started for them."""
    for path in paths:
        devargs = PATHS[path][0]
        if "vectorized" in devargs and "packed_vq=1" in devargs \
                and not VECTOR_CPU_FLAGS <= cpu_flags():
            raise Skip("this CPU has no AVX-512")


class Guest:
    """A testpmd with ports 0: virtio-user, 1: capture, 2: source, chained 0 -> 1 and 2 -> 0."""

    def __init__(self, case, name, path, peer_mergeable):
        self.name, self.path = name, path
        devargs = PATHS[path][0]
        self.files = [case.path(f"{name}.in"), case.path(f"{name}.out")]
        sizes = SIZES + (LONG if peer_mergeable else [])
        other = "b" if name == "a" else "a"
        self.sent = frames(MAC[other], MAC[name], sizes, 1000 if name == "a" else 2000)
        pcap_write(self.files[0], self.sent)
        self.pmd = start_testpmd(
            case,
            [virtio_user(case.path(f"{name}.sock"), 0, MAC[name], devargs),
             f"net_pcap1,tx_pcap={self.files[1]}", f"net_pcap2,rx_pcap={self.files[0]}"],
            ["--port-topology=chained"], name=name,
            eal=["--force-max-simd-bitwidth=512", "--log-level=pmd.net.virtio.init:debug"])

    def ready(self):
        self.pmd.ready()
        _, rx, tx, _ = PATHS[self.path]
        for kind in (rx, tx):
            check(f"using {kind} path on port 0" in self.pmd.out,
                  f"{self.name}: the driver did not take its '{kind}' path\n{self.pmd.tail()}")
        self.pmd.cmd("set fwd io retry")

    def send_again(self):
        """Have the source file read once more."""
        self.pmd.cmd("stop")
        self.pmd.cmd("port stop 2")
        self.pmd.cmd("port start 2")
        self.pmd.cmd("start")

    def captured(self):
        return self.pmd.stats()[1]["TX-packets"]


def mergeable(path):
    return "mrg_rxbuf=1" in PATHS[path][0]


def check_rings(switch, name, path):
    """What was meant is what was negotiated."""
    devargs, _, _, size = PATHS[path]
    rings = [r for r in switch.port(name)["rings"] if r["enabled"]]
    equal(sorted(r["index"] for r in rings), [0, 1], f"{name}: enabled rings")
    for ring in rings:
        equal((ring["packed"], ring["size"], ring["fault"]),
              ("packed_vq=1" in devargs, size, None), f"{name}: ring {ring['index']}")


def exchange(case, switch, path_a, path_b):
    """Two guests send each other their files, ROUNDS times."""
    need_cpu(path_a, path_b)
    before = switch.counters()
    guests = [Guest(case, "a", path_a, mergeable(path_b)),
              Guest(case, "b", path_b, mergeable(path_a))]
    for guest in guests:
        guest.ready()
    switch.wait_up("a", "b")
    check_rings(switch, "a", path_a)
    check_rings(switch, "b", path_b)
    a, b = guests
    for guest in guests:
        guest.pmd.cmd("start")
    for number in range(1, ROUNDS + 1):
        for to, sent in ((a, b.sent), (b, a.sent)):
            want = number * len(sent)
            try:
                wait_for(lambda t=to, w=want: t.captured() >= w, 5, "all frames")
            except Exception as error:
                raise type(error)(f"round {number}: {to.captured()} of {want} frames reached"
                                  f" {to.name} ({to.path}): {switch.counters()}") from None
        if number < ROUNDS:
            for guest in guests:
                guest.send_again()
    for guest in guests:
        guest.pmd.quit()
    for to, sent in ((a, b.sent), (b, a.sent)):
        compare(pcap_read(to.files[1]), sent * ROUNDS, f"captured at {to.name} ({to.path})")
    switch.wait_down("a", "b")
    check_counters(before, switch.ledger(), a, b)


def check_counters(before, after, a, b):
    for me, peer in ((a, b), (b, a)):
        now, was = after[me.name], before[me.name]
        for key, want in (("rx_frames", ROUNDS * len(me.sent)),
                          ("unicast", ROUNDS * len(me.sent)),
                          ("rx_bytes", ROUNDS * sum(map(len, me.sent))),
                          ("tx_frames", ROUNDS * len(peer.sent)),
                          ("tx_bytes", ROUNDS * sum(map(len, peer.sent)))):
            equal(now[key] - was[key], want, f"port {me.name}: {key}")


def switch_for(case):
    ports = []
    for name, mac in MAC.items():
        ports += ["--vhost", f"{case.path(name)}.sock,mac={mac}"]
    return start_switch(case, ["--backpressure", "10000", *ports])


def same_path(path, case):
    exchange(case, switch_for(case), path, path)


def guests_of_different_paths_follow_each_other_on_the_same_ports(case):
    switch = switch_for(case)
    names = list(PATHS)
    done = 0
    for i, path in enumerate(names):
        try:
            exchange(case, switch, path, names[(i + 5) % len(names)])
            done += 1
        except Skip:
            continue
    check(done >= 6, f"only {done} pairs ran")  # so many without AVX-512
    equal(switch.port("a")["connections"], done, "connections of port a")


def cases():
    for path in PATHS:
        case = functools.partial(same_path, path)
        case.__name__ = path.replace(" ", "_")
        yield case
    yield guests_of_different_paths_follow_each_other_on_the_same_ports


if __name__ == "__main__":
    sys.exit(main(*cases()))
