# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""SIGHUP: the file is read again, and what it does not change notices nothing."""

import os
import pathlib
import re
import signal

from harness import start_switch
from proc import check, equal, wait_for
from runner import main
from vhostuser import FrontEnd

DONE = re.compile(r"configuration read again: ports: (\d+) removed, (\d+) added, (\d+) changed; "
                  r"(\d+) addresses; (\d+) failed")
KEPT = "02:00:00:00:08:01"
MOVES = "02:00:00:00:08:02"
LEAVES = "02:00:00:00:08:03"
COMES = "02:00:00:00:08:04"


class Configuration:
    def __init__(self, case, *lines):
        self.path = pathlib.Path(case.path("vswitchd.yaml"))
        self.case = case
        self.write(*lines)

    def write(self, *lines):
        self.path.write_text("\n".join(lines).replace("@", self.case.dir) + "\n")


def vhost(name, *more):
    return [f"  - vhost: '@/{name}.sock'", *[f"    {m}" for m in more]]


def entry(port):
    return f"  - {{mac: '{MOVES}', port: {port}}}"


def hang_up(switch, *words):
    """Send SIGHUP. Return: the numbers that it tells, or with @words the line they are in."""
    wanted = re.compile("|".join(map(re.escape, words))) if words else DONE
    start = len(switch.err)
    switch.proc.send_signal(signal.SIGHUP)
    found = wait_for(lambda: wanted.search(switch.err, start), 5, f"{wanted.pattern} in the log")
    wait_for(lambda: switch.err.endswith("\n"), 5, "the whole of it")
    return switch.err[start:] if words else tuple(map(int, found.groups()))


def macs(switch):
    return {m["mac"]: m["port"] for m in switch.ctl("mac.list")["macs"]}


def ports(switch):
    return [p["name"] for p in switch.ctl("port.list")["ports"]]


def limit(switch, port):
    return switch.port(port)["limits"]["ingress-pps"]


def connected(case, name):
    front = FrontEnd(case.path(f"{name}.sock"))
    case.on_end(front.sock.close)
    check(front.handshake(), f"no session with {name}")
    return front


def what_has_changed_changes_and_nothing_else(case):
    conf = Configuration(case, "ports:", *vhost("a", f"mac: ['{KEPT}']"), *vhost("b", "queues: 2"),
                         *vhost("c", f"mac: ['{LEAVES}']"), "mac-table:", entry("a"))
    switch = start_switch(case, ["--config", conf.path, "--vhost",
                                 f"{case.path('line.sock')},ingress-pps=1000"], stable=False)
    fronts = {name: connected(case, name) for name in ("a", "b", "c", "line")}
    switch.ctl("port.add", vhost=case.path("ours.sock"))
    switch.ctl("mac.add", mac="02:00:00:00:08:09", port="ours")
    equal(hang_up(switch), (0, 0, 0, 3, 0), "the same once more")
    conf.write("ports:", *vhost("a", f"mac: ['{KEPT}']", "ingress-pps: 5k"),
               *vhost("b", "queues: 4"), *vhost("d", f"mac: ['{COMES}']", "link: down"), "mac-table:",
               entry("d"))
    equal(hang_up(switch), (2, 2, 1, 3, 0), "c goes, b is another, d comes, a changes")
    equal(sorted(ports(switch)), ["a", "b", "d", "line", "ours"], "ports")
    equal(macs(switch), {KEPT: "a", MOVES: "d", COMES: "d", "02:00:00:00:08:09": "ours"}, "table")
    equal([switch.port(p)["connections"] for p in ("a", "b", "line")], [1, 0, 1], "connections")
    equal([switch.port(p)["queues"] for p in ("a", "b")], [8, 4], "queues")
    equal(limit(switch, "a"), 5000, "the limit")
    equal(limit(switch, "line"), 1000, "the limit of the command line")
    equal([switch.port(p)["state"] for p in ("b", "d")], ["down", "disabled"], "states")
    check(fronts["a"].hello() is not None, "a's session does not answer any more")
    check(not os.path.lexists(case.path("c.sock")), "the socket of c is left")
    conf.write("ports:", *vhost("a", f"mac: ['{KEPT}']"), *vhost("b", "queues: 4"),
               *vhost("d", f"mac: ['{COMES}']"))
    equal(hang_up(switch), (0, 0, 2, 2, 0), "a without a limit, d with a link")
    equal(limit(switch, "a"), 0, "the limit")
    connected(case, "d")


def what_cannot_be_read_changes_nothing(case):
    good = ["ports:", *vhost("a", f"mac: ['{KEPT}']")]
    conf = Configuration(case, *good)
    switch = start_switch(case, ["--config", conf.path])
    front = connected(case, "a")
    for lines, word in (([*good, "  - vhost: '@/b.sock", "}"], "vswitchd.yaml"),
                        ([*good, "colour: red"], "colour"),
                        ([*good, *vhost("b", f"mac: ['{KEPT}']")], KEPT),
                        ([*good, *vhost("b", "queues: 500")], "queues")):
        conf.write(*lines)
        line = hang_up(switch, "nothing was changed")
        check(word in line, line)
        equal((ports(switch), macs(switch)), (["a"], {KEPT: "a"}), "ports and table")
    conf.path.unlink()
    check("vswitchd.yaml" in hang_up(switch, "nothing was changed"), "what is missing")
    conf.write(*good)
    equal(hang_up(switch), (0, 0, 0, 1, 0), "as before")
    check(front.hello() is not None, "a's session does not answer any more")


def what_cannot_be_done_is_told_and_tried_again(case):
    conf = Configuration(case, "ports:", *vhost("a"))
    switch = start_switch(case, ["--config", conf.path], stable=False)
    in_the_way = pathlib.Path(case.path("b.sock"))
    in_the_way.write_text("mine")
    conf.write("ports:", *vhost("a"), *vhost("b", f"mac: ['{COMES}']"), *vhost("c", f"mac: ['{KEPT}']"))
    check("b.sock" in hang_up(switch, "b.sock"), "what is in the way is not told")
    wait_for(lambda: macs(switch) == {KEPT: "c"}, 2, "the address of c")
    equal(ports(switch), ["a", "c"], "ports")
    in_the_way.unlink()
    equal(hang_up(switch), (0, 1, 0, 2, 0), "b, now that it can be")
    equal(macs(switch), {KEPT: "c", COMES: "b"}, "table")
    switch.ctl("port.del", name="b")
    equal(hang_up(switch), (0, 1, 0, 2, 0), "b, which somebody removed")
    # an address that somebody put elsewhere is not taken from there
    switch.ctl("mac.add", mac=MOVES, port="a")
    conf.write("ports:", *vhost("a"), *vhost("b", f"mac: ['{MOVES}']"))
    check("on port a already" in hang_up(switch, "already"), "the conflict is not told")
    wait_for(lambda: ports(switch) == ["a", "b"], 2, "ports")
    equal(macs(switch), {MOVES: "a", COMES: "b"}, "nothing of the table")
    switch.ctl("mac.del", mac=MOVES)
    equal(hang_up(switch), (0, 0, 0, 1, 0), "now that it can be")
    equal(macs(switch), {MOVES: "b"}, "what was to come and to go")


def settings_of_the_switch_take_a_restart(case):
    conf = Configuration(case, "switch:", "  unknown-unicast: flood", "ports:", *vhost("a"))
    switch = start_switch(case, ["--config", conf.path])
    conf.write("switch:", "  unknown-unicast: drop", "ports:", *vhost("a"))
    for _ in range(2):  # it is as true the second time
        told = hang_up(switch, "restart")
        check("unknown-unicast has changed, which takes a restart" in told, told)
    equal(switch.ctl("status")["unknown"], "flood", "unknown=")


def without_a_file_it_goes_on(case):
    switch = start_switch(case, ["--vhost", case.path("a.sock")])
    front = connected(case, "a")
    hang_up(switch, "no --config file")
    check(front.hello() is not None, "the session does not answer any more")


def it_reads_in_the_sandbox(case):
    conf = Configuration(case, "ports:", *vhost("a"))
    switch = start_switch(case, ["--config", conf.path, "--vhost-only"], stable=False)
    conf.write("ports:", *vhost("a"), *vhost("b"))
    equal(hang_up(switch), (0, 1, 0, 0, 0), "b")


if __name__ == "__main__":
    main(what_has_changed_changes_and_nothing_else, what_cannot_be_read_changes_nothing,
         what_cannot_be_done_is_told_and_tried_again, settings_of_the_switch_take_a_restart,
         without_a_file_it_goes_on, it_reads_in_the_sandbox)
