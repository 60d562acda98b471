# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""How the switch starts, refuses to start, and ends, from its command line."""

import json
import os
import pathlib
import re
import signal
import socket
import threading

from harness import NO_HUGE, READY, SANDBOX, STOP_SECONDS, VSWITCHD, Control, Switch, start_switch, \
    start_testpmd
from proc import Child, Skip, check, equal, run, wait_for, SLOW
from runner import main
from testpmd import lcores, virtio_user

MAC = "02:00:00:00:03:01"
END_SECONDS = 1


def eal(number=0):
    return ["--lcores", lcores(), "--no-pci", *NO_HUGE,
            "--file-prefix", f"start{os.getpid()}-{number}", "--"]


def free_hugepages():
    text = pathlib.Path("/proc/meminfo").read_text()
    field = dict(re.findall(r"^(\w+): +(\d+)", text, re.M))
    return int(field.get("HugePages_Free", 0)) * int(field.get("Hugepagesize", 0)) // 1024


def start(case, argv, wait=True):
    child = case.keep(Child([VSWITCHD, *argv, *SANDBOX], "switch"))
    if wait:
        child.expect(READY, 20)
    return child


def end(child, sig, sockets):
    """It ends on @sig within a second, with status 0 and no socket file left."""
    child.proc.send_signal(sig)
    equal(child.wait(END_SECONDS), 0, f"status after {sig.name}\n{child.tail()}\n")
    left = [s for s in sockets if os.path.lexists(s)]
    check(not left, f"socket files are left: {left}")


def a_switch_starts_says_ready_and_ends_on_a_signal(case):
    one, two, ctl = (case.path(n) for n in ("one.sock", "two.sock", "ctl.sock"))
    for sig in (signal.SIGTERM, signal.SIGINT):
        child = start(case, [*eal(), "--ctl", ctl, "--idle", "sleep",
                             "--vhost", one, f"--socket-path={two}"])
        equal(re.findall(r".*ready.*", child.out), ["ready: 2 ports, 1 workers"], "ready lines")
        for path in (one, two):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            sock.close()
            equal(os.stat(path).st_mode & 0o777, 0o660, f"mode of {path}")
        end(child, sig, [one, two, ctl])


def it_ends_in_a_second_with_guests_on_it(case):
    paths = [case.path("a.sock"), case.path("b.sock")]
    ctl = case.path("ctl.sock")
    child = start(case, [*eal(), "--ctl", ctl, "--vhost", f"{paths[0]},mac={MAC}",
                         "--vhost", paths[1]])  # --idle poll, the default
    guests = [start_testpmd(case, [virtio_user(p)], ["--forward-mode=txonly"], name="guest")
              for p in paths]
    for guest in guests:
        guest.ready().cmd("start")
    control = Control(ctl)
    wait_for(lambda: all(p["rx_frames"] > 1000 for p in control.call("stats")["ports"]), 10,
             "traffic")
    control.close()
    end(child, signal.SIGTERM, [*paths, ctl])


def without_a_double_dash_every_argument_is_its_own(case):
    if free_hugepages() < 256:
        raise Skip("fewer than 256 MiB of free hugepages, which EAL's defaults need")
    for form in (["--vhost", "a.sock", "--vhost", "b.sock"], ["--socket-path=a.sock"]):
        here = os.getcwd()
        os.chdir(case.dir)
        try:
            child = start(case, [*form, "--ctl", "ctl.sock"])
            end(child, signal.SIGTERM, ["a.sock", "b.sock", "ctl.sock"])
        finally:
            os.chdir(here)


def eal_arguments_come_first(case):
    if free_hugepages() < 256:
        raise Skip("fewer than 256 MiB of free hugepages")
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    paths = [case.path("vm1.sock"), case.path("vm2.sock")]
    child = start(case, ["-l", cpus, "--", "--vhost", paths[0], "--vhost", paths[1],
                         "--ctl", case.path("ctl.sock")])
    end(child, signal.SIGTERM, [*paths, case.path("ctl.sock")])


# own arguments, what the line must name; "@" is the case's directory
BAD_OPTIONS = (
    (["--vhsot", "@/a.sock"], "vhsot"),
    (["--vhost"], "--vhost"),
    (["surplus"], "surplus"),
    (["--vhost", "@/a.sock,quues=2"], "quues"),
    (["--vhost", "@/a.sock,queues=0"], "queues"),
    (["--vhost", "@/a.sock,queues=129"], "129"),
    (["--vhost", "@/a.sock,mode=both"], "both"),
    (["--vhost", "@/a.sock,perms=999"], "999"),
    (["--vhost", "@/a.sock,owner=no-such-user"], "no-such-user"),
    (["--vhost", "@/a.sock,mac=02:00:00:00:00"], "02:00:00:00:00"),
    (["--vhost", "@/a.sock,mac=01:00:5e:00:00:01"], "01:00:5e:00:00:01"),
    (["--vhost", "@/a.sock,name=x y"], "x y"),
    (["--vhost", "@/a.sock", "--mac", "02:00:00:00:00:01=b"], "b"),
    (["--vhost", "@/a.sock", "--mac", "02:00:00:00:00:01"], "02:00:00:00:00:01"),
    (["--vhost", f"@/a.sock,mac={MAC}", "--vhost", f"@/b.sock,mac={MAC}"], MAC),
    (["--vhost", "@/a.sock", "--vhost", "@/b/a.sock"], "name"),
    (["--vhost", "@/a.sock,name=x", "--vhost", "@/a.sock,name=y"], "@/a.sock"),
    (["--vhost", "@/" + "x" * 120 + ",name=x"], "107"),
    (["--vhost", "@/" + "x/" * 2100 + "a.sock"], "4095"),
    (["--vhost", "@/a.sock,memory=huge"], "shared"),
    (["--vhost", "@/a.sock,handshake=never"], "seconds"),
    (["--fd", "1"], "3 or above"),
    (["--fd", "5,mode=client"], "leave them out"),
    (["--port", "net_null0", "--port", "net_null0,name=other"], "net_null0"),
    (["--port", "net_null0,promisc=maybe"], "maybe"),
    (["--vhost", "@/a.sock,offload=tso"], "on, off or csum"),
    (["--vhost", "@/a.sock,ofload=on"], "'offload'"),
    (["--vhost", "@/a.sock,mtu=67"], "68 to 65535"),
    (["--vhost", "@/a.sock,mtu=65536"], "68 to 65535"),
    (["--vhost", "@/a.sock,mtu=0"], "68 to 65535"),
    (["--vhost", "@/a.sock,link=off"], "up or down"),
    (["--vhost", "@/a.sock,config=maybe"], "on or off"),
    (["--vhost", "@/a.sock,gro=on"], "not for a vhost port"),
    (["--port", "net_null0,config=on"], "not for a device port"),
    (["--port", "net_null0,gro=tcp"], "on or off"),
    (["--unknown", "keep"], "keep"),
    (["--mtu", "67"], "67"),
    (["--backpressure", "10001"], "10001"),
    (["--idle", "doze"], "doze"),
    (["--log-level", "loud"], "loud"),
    (["--config", "@/none.yaml"], "none.yaml"),
    (["--config", "@/bad.yaml"], "bad.yaml"),
    (["--config", "@/key.yaml"], "colour"),
    (["--config", "@/port.yaml"], "port.yaml:3:10"),
    (["--config", "@"], "@"),
)
FILES = {"bad.yaml": "switch:\n  unknown-unicast: [flood\nports:\n",
         "key.yaml": "switch:\n  mtu: 1500\n  colour: red\n",
         "port.yaml": "ports:\n  - vhost: a.sock\n    mtu: 67\n"}


def refused(argv, word, deadline, what):
    """Not started: a status that is not 0, and one line that names @word."""
    status, out, err, took = run([VSWITCHD, *argv], deadline)
    check(status not in (0, None) and status > 0, f"{what}: status {status}")
    equal(out, "", f"{what}: standard output")
    lines = err.splitlines()
    equal(len(lines), 1, f"{what}: lines on standard error\n{err}\n")
    check(word in lines[0], f"{what}: {lines[0]!r} does not name {word!r}")
    check(lines[0].startswith("vswitchd: "), f"{what}: whose line is {lines[0]!r}?")
    return took


def a_bad_option_is_one_line_before_anything_starts(case):
    for name, text in FILES.items():
        pathlib.Path(case.path(name)).write_text(text)
    for argv, word in BAD_OPTIONS:
        argv = [a.replace("@", case.dir) for a in argv]
        refused([*eal(), *argv], word.replace("@", case.dir), 5, " ".join(argv))
        refused([*eal(), "--check", *argv], word.replace("@", case.dir), 5,
                "--check " + " ".join(argv))
    equal(sorted(os.listdir(case.dir)), sorted(FILES), "files in the directory")
    err = run([VSWITCHD, "--config", case.path("bad.yaml")], 5)[2]
    check(re.search(r"bad\.yaml\D+[23]\D+\d+", err), f"no line and column: {err!r}")


def a_start_that_fails_later_is_one_line_too(case):
    other = start_switch(case, ["--vhost", case.path("live.sock")])
    ctl = ["--ctl", case.path("c2.sock")]
    pathlib.Path(case.path("file")).write_text("mine")
    for argv, word in (
            ([*ctl, "--vhost", case.path("live.sock")], case.path("live.sock")),
            ([*ctl, "--vhost", case.path("file")], case.path("file")),
            ([*ctl, "--vhost", case.path("no/a.sock")], case.path("no/a.sock")),
            (["--ctl", other.ctl_path], other.ctl_path),
            ([*ctl, "--port", "net_nosuch0"], "net_nosuch0"),
            ([*ctl, "--port", "0000:7f:1f.7"], "0000:7f:1f.7"),
            ([*ctl, "--port", "net_af_packet0,devargs=iface=nosuch0"], "net_af_packet0"),
            # the first port is fine, and must be undone
            ([*ctl, "--vhost", case.path("ok.sock"), "--port", "net_nosuch0"], "net_nosuch0")):
        refused([*eal(1), *argv], word, 10, " ".join(argv))
        check(not os.path.lexists(case.path("ok.sock")), "a failed start left its socket")
        check(not os.path.lexists(case.path("c2.sock")), "a failed start left its control socket")
    equal(pathlib.Path(case.path("file")).read_text(), "mine", "a file at a port's path")
    other.ctl("status")  # and the one that was there still answers


def eal_that_fails_is_one_line_too(case):
    own = ["--vhost", case.path("a.sock"), "--ctl", case.path("c.sock")]
    huge = ["--in-memory"] if free_hugepages() == 0 else ["--in-memory", "-m", "4000000"]
    refused(["--lcores", lcores(), "--no-pci", *huge, "--", *own], "hugepages", 20,
            "no hugepages")
    refused(["--lcores", "0@4095", "--no-pci", *NO_HUGE, "--", *own], "EAL", 20, "no such CPU")
    refused(["--no-such-argument", "--", *own], "no-such-argument", 20, "unknown EAL argument")
    check(not os.listdir(case.dir), f"files are left: {os.listdir(case.dir)}")


def check_says_what_would_run_and_touches_nothing(case):
    status, out, err, _ = run([VSWITCHD, *eal(), "--check", "--vhost",
                               f"{case.path('a.sock')},mac={MAC},offload=csum,mtu=9000,link=down,"
                               "config=on", "--port", "net_nosuch0,gro=on",
                               "--unknown", "drop", "--ctl", case.path("c.sock")], 5)
    equal((status, err), (0, ""), "status and standard error")
    for word in (case.path("a.sock"), MAC, "net_nosuch0", "drop", case.path("c.sock"),
                 "offload=csum mtu=9000 link=down config=on", "offload=on gro=on"):
        check(word in out, f"--check does not mention {word}:\n{out}")
    equal(os.listdir(case.dir), [], "files after --check")


def questions_are_answered_before_eal(case):
    bad_eal = ["--lcores", "0@4095", "--"]
    source = pathlib.Path(__file__).resolve().parents[2]
    version = (source / "VERSION").read_text().strip()
    for lead in ([], bad_eal, [*bad_eal, "--nonsense"]):
        status, out, err, _ = run([VSWITCHD, *lead, "--version"], 5)
        equal((status, err), (0, ""), "--version")
        check(version in out and out.count("\n") == 1, f"--version: {out!r}")
        status, out, err, _ = run([VSWITCHD, *lead, "--print-capabilities"], 5)
        equal((status, err, json.loads(out)), (0, "", {"type": "net"}), "--print-capabilities")
        status, out, err, _ = run([VSWITCHD, *lead, "--help"], 5)
        equal((status, err), (0, ""), "--help")
        for word in ("--vhost", "--socket-path", "--port", "--mac", "--config", "--unknown",
                     "--ctl", "--check", "--version", "--print-capabilities", "--backpressure",
                     "--idle"):
            check(word in out, f"--help does not mention {word}")
        check(max(map(len, out.splitlines())) <= 100, "--help has a line over 100 columns")


def a_stale_socket_file_is_replaced(case):
    for name in ("a.sock", "ctl.sock"):
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(case.path(name))
        stale.close()
    switch = start_switch(case, ["--vhost", case.path("a.sock")])
    guest = start_testpmd(case, [virtio_user(case.path("a.sock"))], name="guest").ready()
    switch.wait_up("a")
    guest.quit()


def a_file_says_the_same_as_options(case):
    pathlib.Path(case.path("c.yaml")).write_text(f"""
switch:
  unknown-unicast: drop
  mtu: 9000
ports:
  - vhost: {case.path('a.sock')}
    name: first
    mac: [{MAC}]
    offload: csum
    mtu: 1400
    config: on
  - device: net_null0
    name: second
mac-table:
  - mac: 02:00:00:00:03:02
    port: second
""")
    switch = start_switch(case, ["--config", case.path("c.yaml"), "--unknown", "flood",
                                 "--vhost", case.path("b.sock")], ledger=False)
    status = switch.ctl("status")
    equal((status["unknown"], status["mtu"], status["ports"]), ("flood", 9000, 3), "status")
    equal([(p["name"], p["offload"]) for p in switch.ctl("port.list")["ports"]],
          [("first", "csum"), ("second", "on"), ("b", "on")], "ports")
    equal([(p["mtu"], p["config"]) for p in map(switch.port, ("first", "b"))],
          [(1400, True), (9000, False)], "a port's own MTU, and the switch's")
    equal(switch.ctl("mac.lookup", mac=MAC)["port"], "first", "entry of the port")
    equal(switch.ctl("mac.lookup", mac="02:00:00:00:03:02")["port"], "second", "entry of the table")


def the_switch_connects_where_a_port_is_a_client(case):
    """Guests that listen: one is there before the switch, one comes after it, and comes again."""
    early, late = case.path("early.sock"), case.path("late.sock")
    before = start_testpmd(case, [virtio_user(early, 0, MAC, "server=1")], name="early")
    # A listening front-end starts only once somebody connects, so wait for its socket alone.
    wait_for(lambda: os.path.exists(early), 10, "the guest's socket")
    switch = start_switch(case, ["--vhost", f"{early},mode=client,mac={MAC}",
                                 "--vhost", f"{late},mode=client"])
    before.ready()
    switch.wait_up("early")
    for _ in range(2):
        after = start_testpmd(case, [virtio_user(late, 0, None, "server=1")],
                              ["--forward-mode=rxonly"], name="late").ready()
        switch.wait_up("late")
        after.cmd("start")
        sent = switch.counters()["late"]["tx_frames"]
        before.cmd("set fwd txonly")
        before.cmd("start")
        wait_for(lambda: switch.counters()["late"]["tx_frames"] > sent, 5, "frames to the guest")
        before.cmd("stop")
        after.quit()
        switch.wait_down("late")
    before.quit()


def it_needs_no_root(case):
    command = []
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if run([*command, "test", "-x", VSWITCHD], 5)[0] != 0:
            raise Skip(f"{VSWITCHD} is not to be reached without root")
        os.chown(case.dir, 65534, 65534)
    env = dict(os.environ, XDG_RUNTIME_DIR=case.dir)
    path = case.path("a.sock")
    child = case.keep(Child([*command, VSWITCHD, *eal(), "--vhost", path, "--idle", "sleep"],
                            "switch", env=env))
    child.expect(READY, 20)
    ctl = case.path("vswitchd/ctl.sock")
    check(os.path.exists(ctl), "no control socket below XDG_RUNTIME_DIR")
    equal(os.stat(path).st_uid, 65534 if command else os.geteuid(), "owner of the socket")
    child.proc.send_signal(signal.SIGTERM)
    equal(child.wait(STOP_SECONDS), 0, "status")
    check(not os.path.exists(path), "the socket is left")


def two_switches_run_side_by_side(case):
    switches = []
    for name in ("x", "y"):
        os.mkdir(case.path(name))
        switch = case.keep(Switch(case.path(name), ["--vhost", case.path(f"{name}/a.sock")]))
        switches.append(switch)
    ends = [threading.Thread(target=s.stop) for s in switches]
    for switch in switches:
        equal(switch.ready(), (1, 1), "ready")
        equal(switch.ctl("status")["pid"], switch.pid, "pid")
    for thread in ends:
        thread.start()
    for thread in ends:
        thread.join(10 * SLOW)
    equal([s.proc.returncode for s in switches], [0, 0], "status")


if __name__ == "__main__":
    main(a_switch_starts_says_ready_and_ends_on_a_signal, it_ends_in_a_second_with_guests_on_it,
         without_a_double_dash_every_argument_is_its_own, eal_arguments_come_first,
         a_bad_option_is_one_line_before_anything_starts,
         a_start_that_fails_later_is_one_line_too, eal_that_fails_is_one_line_too,
         check_says_what_would_run_and_touches_nothing, questions_are_answered_before_eal,
         a_stale_socket_file_is_replaced, a_file_says_the_same_as_options,
         the_switch_connects_where_a_port_is_a_client, it_needs_no_root,
         two_switches_run_side_by_side)
