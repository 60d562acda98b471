# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Ports on rte_ethdev devices that need no NIC: tap, af_packet, null and ring, and a guest among
them. Ports come and go while the switch runs."""

import os
import threading
import time

import netns
from frames import compare, frames
from harness import Refused, start_switch, start_testpmd
from proc import Failed, check, equal
from runner import main
from testpmd import virtio_user

A, B, C = "02:00:00:00:02:0a", "02:00:00:00:02:0b", "02:00:00:00:02:0c"
SIZES = [60, 61, 64, 65, 127, 128, 129, 512, 1000, 1513, 1514] + [60 + i * 53 for i in range(27)]
VHOST = "vhost"


def exchange(switch, one, two, mac_one, mac_two):
    """Frames both ways between two raw sockets behind ports of the switch, byte for byte."""
    there = frames(mac_two, mac_one, SIZES, 100)
    back = frames(mac_one, mac_two, SIZES, 200)
    one.send(there)
    two.send(back)
    compare(two.receive(len(there)), there, f"at {two.interface}")
    compare(one.receive(len(back)), back, f"at {one.interface}")
    return switch.quiet()


def raw(case, interface):
    sock = netns.Raw(interface)
    case.on_end(sock.close)
    return sock


def two_taps_exchange_frames(case):
    switch = start_switch(case, [
        "--port", f"net_tap0,name=one,mac={A},devargs=iface=tone",
        "--port", f"net_tap1,name=two,mac={B},devargs=iface=ttwo"])
    equal(switch.port("one")["kind"], "device", "kind")
    counters = exchange(switch, raw(case, "tone"), raw(case, "ttwo"), A, B)
    for name in ("one", "two"):
        equal(counters[name]["unicast"], len(SIZES), f"{name}: unicast")
        equal(counters[name]["tx_bytes"], sum(SIZES), f"{name}: tx_bytes")


def two_af_packet_ports_exchange_frames(case):
    netns.veth("va", "va-peer")
    netns.veth("vb", "vb-peer")
    case.on_end(lambda: netns.ip("link", "del", "va"))
    case.on_end(lambda: netns.ip("link", "del", "vb"))
    switch = start_switch(case, [
        "--port", f"net_af_packet0,name=a,mac={A},devargs=iface=va",
        "--port", f"net_af_packet1,name=b,mac={B},devargs=iface=vb"])
    exchange(switch, raw(case, "va-peer"), raw(case, "vb-peer"), A, B)


def a_guest_answers_a_tap(case):
    """tap -> switch -> virtio-user; the guest swaps the addresses and sends it back."""
    path = case.path("g.sock")
    switch = start_switch(case, [
        "--port", f"net_tap0,name=tap,mac={A},devargs=iface=tg", "--vhost", f"{path},mac={B}"])
    guest = start_testpmd(case, [virtio_user(path, 0, B)], ["--forward-mode=macswap"],
                          name="guest").ready()
    guest.cmd("start")
    switch.wait_up("g")
    sock = raw(case, "tg")
    sent = frames(B, A, SIZES)
    sock.send(sent)
    want = [f[6:12] + f[:6] + f[12:] for f in sent]
    compare(sock.receive(len(want)), want, "frames that the guest answered")
    guest.quit()
    switch.wait_down("g")
    # to a port with no guest: counted, not lost silently
    before = switch.quiet()["g"]["tx_drop"]["down"]
    sock.send(sent)
    switch.wait_rx("tap", 2 * len(sent))
    equal(switch.quiet()["g"]["tx_drop"]["down"] - before, len(sent), "dropped as down")


def null_ports_source_and_sink(case):
    """net_null makes frames without end; what it floods is delivered or counted, exactly."""
    switch = start_switch(case, ["--port", "net_null1,name=sink,devargs=no-rx=1",
                                 "--vhost", case.path("idle.sock")], stable=False)
    switch.wait_up("sink")
    idle = switch.ctl("status")["mbufs_in_use"]
    # The source comes last: what it makes before the sink is up has nowhere to go.
    switch.ctl("port.add", device="net_null0,name=source")
    switch.wait_rx("source", 10000)
    switch.ctl("port.del", name="source")
    counters = switch.ledger(stable=False)
    made = counters["retired"]["flooded"] + counters["retired"]["unicast"]
    check(made >= 10000, f"frames from the source: {made}")
    equal(counters["sink"]["tx_frames"] + sum(counters["sink"]["tx_drop"].values()), made,
          "copies for the sink")
    equal(counters["idle"]["copies"], 0, "copies of a flood for a port with no guest")
    switch.ctl("port.del", name="sink")
    equal(switch.ledger(stable=False)["retired"]["copies"], made, "copies of removed ports")
    equal(switch.ctl("status")["mbufs_in_use"], idle, "mbufs in use after the null ports")


def ring_ports_give_back_what_they_got(case):
    """A net_ring reads what was written to it: its frames come back, and are for itself."""
    switch = start_switch(case, [
        "--port", f"net_tap0,name=tap,mac={A},devargs=iface=tr",
        "--port", f"net_ring0,mac={B}", "--port", f"net_ring1,mac={C}"])
    sock = raw(case, "tr")
    sock.send(frames(B, A, SIZES) + frames(C, A, SIZES[:7]))
    switch.wait_rx("net_ring0", len(SIZES))
    switch.wait_rx("net_ring1", 7)
    counters = switch.quiet()
    for name, count in (("net_ring0", len(SIZES)), ("net_ring1", 7)):
        equal(counters[name]["tx_frames"], count, f"{name}: tx_frames")
        equal(counters[name]["rx_frames"], count, f"{name}: rx_frames")
        equal(counters[name]["rx_bytes"], sum(SIZES[:count]), f"{name}: rx_bytes")
        equal(counters[name]["rx_drop"]["hairpin"], count, f"{name}: hairpin")
    equal(sock.receive(0, 0), [], "frames that came back to the tap")


def devices_come_and_go_under_traffic(case):
    # No af_packet here: DPDK's driver opens its socket unbound, so for a moment it receives what
    # is on every interface of the namespace, and the switch rightly floods or delivers that.
    switch = start_switch(case, [
        "--port", f"net_tap0,name=one,mac={A},devargs=iface=tone",
        "--port", f"net_tap1,name=two,mac={B},devargs=iface=ttwo"], stable=False)
    one, two = raw(case, "tone"), raw(case, "ttwo")
    third = {"device": "net_tap7,name=third,devargs=iface=tthird"}
    ring = {"device": "net_ring7,name=third"}
    guest = {VHOST: f"{case.path('third.sock')},name=third"}
    enough = threading.Event()
    sent = frames(B, A, [60] * 8)
    sent_cnt = [0]

    def talk():
        while not enough.is_set():
            one.send(sent)
            sent_cnt[0] += len(sent)
            time.sleep(0.001)

    talker = threading.Thread(target=talk)
    fds, mbufs = switch.stable_fds(), switch.ctl("status")["mbufs_in_use"]
    talker.start()
    try:
        for _ in range(3):
            for params in (third, ring, guest):
                equal(switch.ctl("port.add", **params)["name"], "third", "name of the new port")
                switch.port("third")
                equal(len(switch.ctl("port.list")["ports"]), 3, "ports")
                switch.ctl("port.del", name="third")
    finally:
        enough.set()
        talker.join()
    compare(two.receive(sent_cnt[0], 5), sent * (sent_cnt[0] // len(sent)),
            "frames of the two that stayed")
    equal(switch.stable_fds(), fds, "file descriptors")
    check(not os.path.exists("/sys/class/net/tthird"), "the tap of a removed port is still there")
    # not 0: a tap keeps its receive queues filled
    equal(switch.ctl("status")["mbufs_in_use"], mbufs, "mbufs in use")


def what_is_not_there_is_refused_with_one_line(case):
    switch = start_switch(case, ["--port", "net_null0,devargs=no-rx=1"])
    fds = switch.stable_fds()
    for params, code, word in (
            ({"device": "net_nosuch0"}, "ENODEV", "net_nosuch0"),
            ({"device": "0000:7f:1f.7"}, "ENODEV", "0000:7f:1f.7"),
            ({"device": "net_af_packet0,devargs=iface=nosuch0"}, None, "net_af_packet0"),
            ({"device": "net_null0"}, "EEXIST", "net_null0"),
            ({"device": "net_null1,name=net_null0"}, "EEXIST", "net_null0"),
            ({"device": "net_null1,colour=red"}, "EINVAL", "colour"),
            ({"device": "net_null1", VHOST: case.path("x.sock")}, "EINVAL", "port.add"),
            ({VHOST: case.path("no/such/folder.sock")}, "ENOENT", "folder.sock"),
            ({VHOST: "/tmp/" + "x" * 200}, "EINVAL", "xxx")):
        try:
            switch.ctl("port.add", **params)
        except Refused as refused:
            check(code in (None, refused.code), f"{params}: {refused}")
            check(word in refused.message and "\n" not in refused.message,
                  f"{params}: not one line that names {word}: {refused.message!r}")
        else:
            raise Failed(f"port.add {params} was not refused")
    ports = switch.ctl("port.list")["ports"]
    equal([p["name"] for p in ports], ["net_null0"], "ports after refusals")
    equal(switch.stable_fds(), fds, "file descriptors after refusals")


if __name__ == "__main__":
    main(two_taps_exchange_frames, two_af_packet_ports_exchange_frames, a_guest_answers_a_tap,
         null_ports_source_and_sink, ring_ports_give_back_what_they_got,
         devices_come_and_go_under_traffic, what_is_not_there_is_refused_with_one_line,
         setup=netns.enter)
