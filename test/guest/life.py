# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""What happens to a guest while it runs: the switch dies and comes back, the operator takes its
link away, its memory grows and shrinks. Its traffic goes on."""

import os
import re
import signal
import sys
import time

from pair import (IP, MAC, check_copies, check_drops, copy, iperf_server, lost, ping, start_guest,
                  start_pair, start_ports)
from harness import Switch, vswitchctl
from proc import check, equal, wait_for
from qemu import QmpError
from runner import main

RESTARTS = int(os.environ.get("GUEST_RESTARTS", "5"))
OUTAGE_S = 20  # of the guests, after a switch died; QEMU tries again once a second
PING_MS = 20
DIMM_MB = 128  # the smallest piece that Linux on x86 takes into use


def background(guest, name, command):
    """Start a command whose output goes to /tmp/@name."""
    guest.run(f"{command} >/tmp/{name} 2>&1 & echo $! >/tmp/{name}.pid")


def end(guest, name):
    """Interrupt it; all that it said."""
    return guest.run(f"pid=$(cat /tmp/{name}.pid); kill -INT $pid 2>/dev/null;"
                     f" while kill -0 $pid 2>/dev/null; do sleep 0.1; done; cat /tmp/{name}")


def wait_delivered(switch, what, more=20, deadline=OUTAGE_S):
    """Until so many more frames have been delivered to each of the two."""
    before = switch.counters()
    for name in MAC:
        want = before[name]["tx_frames"] + more
        wait_for(lambda n=name, w=want: switch.counters()[n]["tx_frames"] >= w, deadline,
                 f"frames for {name} {what}")


def answered(guest):
    return int(guest.run("grep -c ttl= /tmp/ping; true"))


def wait_answers(guest, more=10, deadline=OUTAGE_S):
    """Until so many more echoes came back to the ping that runs in the guest."""
    want = answered(guest) + more
    wait_for(lambda: answered(guest) >= want, deadline, f"{more} more answers to a ping")


def restart_options(case):
    """a is served (QEMU connects again each second), b's QEMU is the one that listens."""
    return ["--backpressure", "1000",
            "--vhost", f"{case.path('a')}.sock,mac={MAC['a']}",
            "--vhost", f"{case.path('b')}.sock,mac={MAC['b']},mode=client"]


def start_again(case, options):
    switch = case.keep(Switch(case.dir, options))
    switch.ready()
    return switch


def kill(switch):
    switch.proc.send_signal(signal.SIGKILL)
    switch.proc.wait()


def finish(switch):
    """The ledger of the one that is left, and its end in order."""
    counters = switch.ledger(stable=False)
    check_copies(counters)
    check_drops(switch)
    switch.stop()


def outage_ms(switch, since):
    """Until frames were delivered to both again."""
    wait_for(lambda: all(switch.counters()[name]["tx_frames"] > 3 for name in MAC), OUTAGE_S,
             "frames for both after a restart")
    return (time.monotonic() - since) * 1000


def killed_and_restarted_under_load(case):
    """SIGKILL, again and again, while TCP and a ping run. Both rings are split."""
    options = restart_options(case)
    switch = start_again(case, options)
    guests = {"a": start_guest(case, "a", {"reconnect": 1}, ip=f"{IP['a']}/24"),
              "b": start_guest(case, "b", {"server": True}, ip=f"{IP['b']}/24")}
    for guest in guests.values():
        guest.wait_ready()
    switch.wait_up("a", "b")
    iperf_server(guests["b"])
    background(guests["a"], "ping", f"ping -i {PING_MS / 1000} {IP['b']}")
    background(guests["a"], "iperf", f"iperf3 -i 0 -t 86400 -b 50M -c {IP['b']}")
    wait_answers(guests["a"])
    outages = []
    for number in range(RESTARTS):
        wait_delivered(switch, f"before restart {number}")
        kill(switch)
        since = time.monotonic()
        switch = start_again(case, options)
        outages.append(outage_ms(switch, since))
        wait_answers(guests["a"])
    sent, received, duplicates, gap = lost(end(guests["a"], "ping"))
    outages.sort()
    print(f"# {RESTARTS} restarts: outage {outages[0]:.0f}/{outages[len(outages) // 2]:.0f}/"
          f"{outages[-1]:.0f} ms (min/median/max); {sent - received} of {sent} pings lost, at most"
          f" {gap} in a row (every {PING_MS} ms)", flush=True)
    equal(duplicates, 0, "pings answered twice")
    check("Connection" not in guests["a"].run("cat /tmp/iperf"), "the TCP connection was lost")
    check(guests["a"].run("kill -0 $(cat /tmp/iperf.pid) && echo runs") == "runs",
          "iperf3 gave up")
    guests["a"].run("kill -9 $(cat /tmp/iperf.pid)")
    copy(guests["b"], guests["a"], IP["b"])
    finish(switch)


REBIND = ("cd /sys/bus/virtio/drivers/virtio_net; d=$(echo virtio*); echo $d >unbind;"
          " echo $d >bind; ip link set eth0 up; ip addr add {ip}/24 dev eth0")


def killed_with_packed_rings(case):
    """Where such a ring stands is known to the switch alone, and QEMU's vhost-user network device
    does not keep it (inflight tracking): the driver has to be reset, and then all is well."""
    options = restart_options(case)
    switch = start_again(case, options)
    guests = {"a": start_guest(case, "a", {"reconnect": 1, "packed": True}, ip=f"{IP['a']}/24"),
              "b": start_guest(case, "b", {"server": True, "packed": True}, ip=f"{IP['b']}/24")}
    for guest in guests.values():
        guest.wait_ready()
    switch.wait_up("a", "b")
    ping(guests["a"], IP["b"])
    kill(switch)
    switch = start_again(case, options)
    switch.wait_up("a", "b", deadline=OUTAGE_S)
    for name, guest in guests.items():
        guest.run(REBIND.format(ip=IP[name]))
    switch.wait_up("a", "b", deadline=OUTAGE_S)
    ping(guests["a"], IP["b"])
    copy(guests["b"], guests["a"], IP["b"])
    finish(switch)


def carrier(guest):
    return guest.run("cat /sys/class/net/eth0/carrier")


def set_link(switch, name, state):
    status, _, error = vswitchctl(switch, "port", "set", name, f"link={state}")
    equal((status, error), (0, ""), f"port set {name} link={state}")


def the_operator_takes_the_link_away(case):
    """As the guest sees it: on a port that QEMU connects to, and on one where QEMU listens."""
    options = restart_options(case)
    switch = start_again(case, options)
    guests = {"a": start_guest(case, "a", {"reconnect": 1}, ip=f"{IP['a']}/24"),
              "b": start_guest(case, "b", {"server": True}, ip=f"{IP['b']}/24")}
    for guest in guests.values():
        guest.wait_ready()
    switch.wait_up("a", "b")
    background(guests["a"], "ping", f"ping -i {PING_MS / 1000} {IP['b']}")
    wait_answers(guests["a"])
    for name, guest in guests.items():
        equal(carrier(guest), "1", f"carrier of {name} at first")
        set_link(switch, name, "down")
        wait_for(lambda g=guest: carrier(g) == "0", 10, f"{name} to see its carrier go")
        equal(switch.port(name)["state"], "disabled", f"port {name}")
        time.sleep(1.5)  # longer than QEMU waits before it tries again: it must not get through
        equal((carrier(guest), switch.port(name)["state"]), ("0", "disabled"),
              f"{name}, a while later")
        set_link(switch, name, "up")
        wait_for(lambda g=guest: carrier(g) == "1", 10, f"{name} to see its carrier come back")
        wait_answers(guests["a"])
    end(guests["a"], "ping")
    copy(guests["b"], guests["a"], IP["b"])
    finish(switch)


def memory_kib(guest, key="MemTotal"):
    return int(re.search(rf"{key}: +(\d+) kB", guest.run("cat /proc/meminfo")).group(1))


def memory_is_plugged_in_under_traffic(case):
    """Each DIMM is a new table of memory regions for a device that runs. More than the switch
    takes are refused by QEMU, in one line, and the guest goes on with what it has."""
    switch = start_ports(case)
    guests = {"a": start_guest(case, "a", ip=f"{IP['a']}/24", slots=60, memory_mb=192),
              "b": start_guest(case, "b", ip=f"{IP['b']}/24", memory_mb=512)}
    for guest in guests.values():
        guest.wait_ready()
    switch.wait_up("a", "b")
    iperf_server(guests["b"])
    background(guests["a"], "ping", f"ping -i {PING_MS / 1000} {IP['b']}")
    background(guests["a"], "iperf", f"iperf3 -i 0 -t 86400 -b 10M --bidir -c {IP['b']}")
    wait_answers(guests["a"])
    dimms, refused = 0, ""
    while not refused:
        before = memory_kib(guests["a"])
        try:
            guests["a"].add_memory(DIMM_MB)
        except QmpError as error:
            refused = str(error)
            break
        dimms += 1
        wait_for(lambda b=before: memory_kib(guests["a"]) >= b + 100 * 1024, 20,
                 f"the guest to take DIMM {dimms} into use")
        equal(switch.port("a")["state"], "up", f"port a after DIMM {dimms}")
        wait_delivered(switch, f"after DIMM {dimms}")
        check(dimms < 60, "no DIMM was refused")
    print(f"# {dimms} DIMMs of {DIMM_MB} MB; then {refused}", flush=True)
    check(dimms >= 4, f"only {dimms} DIMMs: {refused}")
    check(re.search(r"memory slots?", refused), f"not a clear refusal: {refused}")
    wait_answers(guests["a"])
    guests["a"].run("kill -9 $(cat /tmp/iperf.pid)")
    sent, received, duplicates, gap = lost(end(guests["a"], "ping"))
    print(f"# {sent - received} of {sent} pings lost meanwhile, at most {gap} in a row", flush=True)
    equal(duplicates, 0, "pings answered twice")
    check(gap * PING_MS < 1000, f"{gap} pings in a row were lost")
    # The new memory is what frames come from and go to: there is more of it than old memory.
    guests["a"].run(f"mount -o remount,size={dimms * DIMM_MB // 2}m /tmp")
    copy(guests["b"], guests["a"], IP["b"], size_mb=40)
    copy(guests["a"], guests["b"], IP["a"], size_mb=40)
    check_drops(switch)


def the_balloon_goes_up_and_down(case):
    """Pages that were given back come again as other ones, behind the same addresses."""
    switch = start_ports(case)
    guests = start_pair(case, balloon=True, memory_mb=384)
    switch.wait_up("a", "b")
    background(guests["a"], "ping", f"ping -i {PING_MS / 1000} {IP['b']}")
    full = memory_kib(guests["b"])
    copy(guests["a"], guests["b"], IP["a"], size_mb=20)  # it has been in use
    for megabytes, least, most in ((192, 0, full - 180 * 1024), (384, full - 1024, full)):
        guests["b"].qmp("balloon", value=megabytes << 20)
        wait_for(lambda lo=least, hi=most: lo <= memory_kib(guests["b"]) <= hi, 30,
                 f"the balloon to leave {megabytes} MB")
        wait_answers(guests["a"])
        copy(guests["a"], guests["b"], IP["a"], size_mb=20)
    sent, received, duplicates, _ = lost(end(guests["a"], "ping"))
    equal(duplicates, 0, "pings answered twice")
    print(f"# {sent - received} of {sent} pings lost meanwhile", flush=True)
    check_drops(switch)


if __name__ == "__main__":
    sys.exit(main(killed_and_restarted_under_load, killed_with_packed_rings,
                  the_operator_takes_the_link_away, memory_is_plugged_in_under_traffic,
                  the_balloon_goes_up_and_down))
