# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Where a frame goes: the static table and its rules, seen from three taps.

    raw socket -> t0 -> [net_tap0 - switch - net_tap1, net_tap2] -> t1, t2 -> raw sockets
"""

import netns
from frames import compare, frame, frames
from harness import Refused, start_switch
from proc import Failed, check, equal
from runner import main

MACS = {"t0": "02:00:00:00:01:00", "t1": "02:00:00:00:01:01", "t2": "02:00:00:00:01:02"}
STRANGER = "02:00:00:00:99:99"
N = 20


def taps(case, *options, stable=True):
    """A switch with three taps. Return it and the raw socket of each."""
    ports = []
    for i, (name, mac) in enumerate(MACS.items()):
        ports += ["--port", f"net_tap{i},name={name},mac={mac},devargs=iface={name}"]
    switch = start_switch(case, [*options, *ports], stable=stable)
    switch.wait_up(*MACS)
    raws = {name: netns.Raw(name) for name in MACS}
    for raw in raws.values():
        case.on_end(raw.close)
    return switch, raws


def send_and_see(switch, raws, dst, to, drop=None, kind="unicast"):
    """Send N frames to @dst into t0; they come out of just the ports @to, or count as @drop."""
    before = switch.quiet()
    sent = frames(dst, STRANGER, [60 + i * 61 for i in range(N)])
    raws["t0"].send(sent)
    switch.wait_rx("t0", before["t0"]["rx_frames"] + N)
    after = switch.quiet()
    for name in ("t1", "t2"):
        compare(raws[name].receive(N if name in to else 0), sent if name in to else [],
                f"to {dst}, at {name}")
        equal(after[name]["copies"] - before[name]["copies"], N if name in to else 0,
              f"to {dst}: copies for {name}")
    for counter in ("unicast", "flooded"):
        want = N if drop is None and counter == kind else 0
        equal(after["t0"][counter] - before["t0"][counter], want, f"to {dst}: {counter}")
    for reason, count in after["t0"]["rx_drop"].items():
        equal(count - before["t0"]["rx_drop"][reason], N if reason == drop else 0,
              f"to {dst}: dropped as {reason}")


def each_frame_goes_where_the_table_says(case):
    switch, raws = taps(case)
    for dst, to, drop, kind in (
            (MACS["t1"], ["t1"], None, "unicast"),
            (MACS["t2"], ["t2"], None, "unicast"),
            (MACS["t0"], [], "hairpin", None),
            (STRANGER, ["t1", "t2"], None, "flooded"),
            ("ff:ff:ff:ff:ff:ff", ["t1", "t2"], None, "flooded"),
            ("01:00:5e:00:00:01", ["t1", "t2"], None, "flooded"),
            ("33:33:00:00:00:01", ["t1", "t2"], None, "flooded"),
            ("01:80:c2:00:00:00", [], "link-local", None),
            ("01:80:c2:00:00:0f", [], "link-local", None),
            ("01:80:c2:00:00:10", ["t1", "t2"], None, "flooded"),
    ):
        send_and_see(switch, raws, dst, to, drop, kind)


def unknown_unicast_is_dropped_where_asked(case):
    switch, raws = taps(case, "--unknown", "drop")
    send_and_see(switch, raws, STRANGER, [], "unknown-unicast")
    send_and_see(switch, raws, MACS["t1"], ["t1"])
    send_and_see(switch, raws, "ff:ff:ff:ff:ff:ff", ["t1", "t2"], kind="flooded")


def the_table_changes_while_frames_flow(case):
    switch, raws = taps(case, "--unknown", "drop", stable=False)  # a port goes
    equal(switch.ctl("mac.list")["total"], 3, "entries")
    switch.ctl("mac.add", mac=STRANGER, port="t2")
    equal(switch.ctl("mac.lookup", mac=STRANGER)["port"], "t2", "lookup")
    send_and_see(switch, raws, STRANGER, ["t2"])
    switch.ctl("mac.add", mac=STRANGER, port="t2")  # the same entry again is no error
    for params, code in (({"mac": STRANGER, "port": "t1"}, "EEXIST"),
                         ({"mac": "01:00:5e:00:00:01", "port": "t1"}, "EINVAL"),
                         ({"mac": "02:00:00:00:99:98", "port": "nosuch"}, "ENOENT"),
                         ({"mac": "02:00", "port": "t1"}, "EINVAL")):
        try:
            switch.ctl("mac.add", **params)
        except Refused as refused:
            equal(refused.code, code, f"mac.add {params}")
        else:
            raise Failed(f"mac.add {params} was not refused")
    equal(switch.ctl("mac.list")["total"], 4, "entries after refusals")
    switch.ctl("mac.del", mac=STRANGER)
    send_and_see(switch, raws, STRANGER, [], "unknown-unicast")
    # entries of a port go with it
    switch.ctl("mac.add", mac=STRANGER, port="t2")
    switch.ctl("port.del", name="t2")
    macs = switch.ctl("mac.list")["macs"]
    equal(sorted(m["port"] for m in macs), ["t0", "t1"], "ports in the table")
    raws["t0"].send([frame(STRANGER, MACS["t0"], 1, 60)])
    switch.ctl("port.add", device=f"net_tap2,name=t2,mac={MACS['t2']},devargs=iface=t2")
    switch.wait_up("t2")
    equal(switch.ctl("mac.lookup", mac=MACS["t2"])["port"], "t2", "entry of the new port")
    new = netns.Raw("t2")
    case.on_end(new.close)
    sent = frames(MACS["t2"], MACS["t0"], [60] * N)
    raws["t0"].send(sent)
    compare(new.receive(N), sent, "at the port that came back")
    raws["t0"].close()


def a_switch_mtu_drops_what_is_longer(case):
    switch, raws = taps(case, "--mtu", "1000")
    # The switch gives its devices that MTU too; the kernel shall let longer ones through to it.
    netns.ip("link", "set", "t0", "mtu", "1500")
    sizes = [999, 1014, 1015, 1019, 1400]
    sent = frames(MACS["t1"], MACS["t0"], sizes)
    raws["t0"].send(sent)
    switch.wait_rx("t0", len(sizes))
    # an MTU does not count the 14 bytes of the Ethernet header
    compare(raws["t1"].receive(2), sent[:2], "frames within the MTU")
    counters = switch.quiet()
    equal(counters["t1"]["tx_drop"]["mtu"], 3, "frames dropped for the MTU")
    check(counters["t1"]["tx_frames"] == 2, "frames delivered")


if __name__ == "__main__":
    main(each_frame_goes_where_the_table_says, unknown_unicast_is_dropped_where_asked,
         the_table_changes_while_frames_flow, a_switch_mtu_drops_what_is_longer, setup=netns.enter)
