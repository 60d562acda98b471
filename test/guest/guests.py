# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Real guests on the switch: Linux's virtio-net driver, and DPDK's in a guest, each in QEMU."""

import re
import sys
import time

from pair import (BOOT_S, IP, MAC, check_rings, check_traffic, copy, ping, start_guest, start_pair,
                  start_ports)
from harness import start_testpmd
from proc import check, equal, wait_for
from runner import main
from testpmd import virtio_user

COPY_MB = 4
ROUND_TRIPS = 20000  # of frames between two testpmd


def ping_and_copy(case, **nic):
    switch = start_ports(case)
    guests = start_pair(case, {name: nic for name in MAC})
    switch.wait_up("a", "b")
    check_rings(switch, nic.get("queues", 1), nic.get("packed", False))
    ping(guests["a"], IP["b"])
    ping(guests["b"], IP["a"])
    copy(guests["a"], guests["b"], IP["a"])
    copy(guests["b"], guests["a"], IP["b"])
    # each way data of one copy (at most 64 KiB a frame); acknowledgements come on top
    check_traffic(switch, COPY_MB * 2**20 // 65536)
    return switch, guests


def split_ring(case):
    ping_and_copy(case)


def packed_ring(case):
    ping_and_copy(case, packed=True)


def multi_queue(case):
    switch, guests = ping_and_copy(case, queues=2)
    for name, guest in guests.items():
        equal(switch.port(name)["active_pairs"], 2, f"{name}: active queue pairs")
        for cpu in range(2):
            mask = guest.run(f"cat /sys/class/net/eth0/queues/tx-{cpu}/xps_cpus")
            equal(int(mask, 16), 1 << cpu, f"{name}: CPUs that send on queue {cpu}")
    # What a CPU sends goes out on its own queue: a queue that is not served would stop this.
    for cpu in ("1", "2"):
        guests["a"].run(f"taskset {cpu} ping -q -i 0.1 -W 2 -c 5 {IP['b']} | grep -q ' 0% packet'")
        copy(guests["b"], guests["a"], IP["b"], f"taskset {cpu}")


def reboot_under_traffic(case):
    switch = start_ports(case)
    guests = start_pair(case)
    switch.wait_up("a", "b")
    ping(guests["a"], IP["b"])
    # a never stops sending; b is cut off in the middle of it, first by the reset button
    guests["a"].run(f"ping -i 0.02 {IP['b']} >/tmp/ping & echo $! >/tmp/pid")
    for reboot in (guests["b"].reset, lambda: guests["b"].send("reboot -f")):
        guests["b"].run(f"ping -i 0.02 {IP['a']} >/tmp/ping &")
        rx_frames = switch.counters()["b"]["rx_frames"]
        switch.wait_rx("b", rx_frames + 50)
        reboot()
        switch.wait_down("b", deadline=20)
        equal(switch.port("a")["state"], "up", "port a, while b is away")
        guests["b"].wait_ready()
        switch.wait_up("b")
        # the same ping goes on, and b's new kernel can send and be reached
        before = int(guests["a"].run("grep -c ttl= /tmp/ping"))
        wait_for(lambda n=before: int(guests["a"].run("grep -c ttl= /tmp/ping")) > n + 10, 20,
                 "answers to the ping that runs in a")
        ping(guests["b"], IP["a"])
    guests["a"].run("kill $(cat /tmp/pid)")
    copy(guests["b"], guests["a"], IP["b"])
    check(switch.counters()["b"]["tx_drop"]["down"] > 0, "nothing was sent while b was away")


# The guest's NIC is taken from the kernel's driver and given to DPDK.
BIND = """for device in /sys/bus/pci/devices/*; do
if [ $(cat $device/vendor)$(cat $device/class) = 0x1af40x020000 ]; then
echo ${device##*/} >$device/driver/unbind; echo uio_pci_generic >$device/driver_override;
echo ${device##*/} >/sys/bus/pci/drivers_probe; fi; done; test -c /dev/uio0"""
# Its output goes to the first serial port: only on a terminal is it written line by line.
TESTPMD = """mkfifo /tmp/key; sleep 10000 >/tmp/key & dpdk-testpmd -l 0,1 --in-memory -- -a
--forward-mode=macswap --total-num-mbufs=8192 </tmp/key >/dev/ttyS0 2>&1 &"""


def one_line(script):
    return script.replace("\n", " ")


def guest_stats(text):
    """testpmd's own counts of the frames it forwarded, from what it says at its end."""
    end = text.split("Accumulated forward statistics")[-1]
    return {key: int(value) for key, value in re.findall(r"([RT]X-[a-z]+): +(\d+)", end)}


def testpmd_in_the_guest(case):
    """A few frames go round and round, from testpmd on the host to the one in the guest and back:
    both swap the addresses. They fit into every ring, so that none may be lost."""
    switch = start_ports(case)
    guest = start_guest(case, "a", flavour="testpmd", memory_mb=640, hugepages=128, cpus=2)
    source = start_testpmd(case, [virtio_user(case.path("b.sock"), 0, MAC["b"])],
                           ["--forward-mode=macswap", f"--eth-peer=0,{MAC['a']}"]).ready()
    guest.wait_ready()
    guest.run(one_line(BIND))
    guest.run(one_line(TESTPMD))
    wait_for(lambda: "Press enter" in guest.log(), BOOT_S, "testpmd in the guest")
    switch.wait_up("a", "b")

    source.cmd("start tx_first 4")  # bursts of 32
    switch.wait_rx("a", ROUND_TRIPS, 60)
    source.cmd("stop")
    source.cmd("set fwd rxonly")
    source.cmd("start")  # take what is still on its way back
    counters = switch.quiet(20)
    time.sleep(0.1)  # the last frames are in its ring; a poll of it takes microseconds
    source.cmd("stop")
    sent = source.stats()[0]
    guest.run("echo >/tmp/key")
    wait_for(lambda: "Bye" in guest.log(), 20, "the end of testpmd in the guest")
    in_guest = guest_stats(guest.log())

    a, b = counters["a"], counters["b"]
    equal(sent["TX-packets"], b["rx_frames"], "frames the source sent, and the switch got")
    equal(in_guest["RX-packets"], a["tx_frames"], "frames the guest got, and the switch gave")
    equal(in_guest["TX-packets"], a["rx_frames"], "frames the guest sent back, and the switch got")
    equal(sent["RX-packets"], b["tx_frames"], "frames that came back, and the switch gave")
    for name, port in (("a", a), ("b", b)):
        equal(port["unicast"], port["rx_frames"], f"{name}: frames by the table, of all received")
        equal(port["copies"], port["tx_frames"], f"{name}: copies for it, and those delivered")
    equal(b["unicast"], a["copies"], "frames from b, and copies for a")
    equal(a["unicast"], b["copies"], "frames from a, and copies for b")
    check(a["rx_frames"] >= ROUND_TRIPS, f"only {a['rx_frames']} frames came back")


if __name__ == "__main__":
    sys.exit(main(split_ring, packed_ring, multi_queue, reboot_under_traffic,
                  testpmd_in_the_guest))
