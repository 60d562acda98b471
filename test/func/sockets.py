# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""How a port comes by its socket: long paths, sockets that are open already, and who connects."""

import json
import os
import signal
import socket
import time

from harness import NO_HUGE, READY, VSWITCHCTL, VSWITCHD, Control
from proc import Child, check, equal, run, wait_for
from runner import main
from testpmd import lcores
from vhostuser import GET_QUEUE_NUM, FrontEnd


def start(case, argv, pass_fds=(), environment=None):
    """A switch that inherits @pass_fds, as 3 and up if there is an @environment for it."""
    ctl = case.path("ctl.sock")
    line = [VSWITCHD, "--lcores", lcores(), "--no-pci", *NO_HUGE, "--file-prefix",
            f"sockets{os.getpid()}", "--", "--ctl", ctl, "--idle", "sleep", *argv]
    if environment:  # sh has the switch's own pid, and keeps it
        sets = " ".join(f"{k}={v}" for k, v in environment.items())
        line = ["sh", "-c", f'export {sets} LISTEN_PID=$$; exec "$0" "$@"', *line]
    child = case.keep(Child(line, "switch", pass_fds=pass_fds))
    child.expect(READY, 20)
    return child, Control(ctl)


def listener(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(8)
    return sock


def served(front):
    equal(front.ask(GET_QUEUE_NUM), 8, "queue pairs")
    front.sock.close()


def a_path_may_be_as_long_as_the_system_allows(case):
    deep = case.dir
    while len(deep) < 1000:
        deep = os.path.join(deep, "d" * 100)
    os.makedirs(deep)
    path = os.path.join(deep, "vm1.sock")
    _, ctl = start(case, ["--vhost", path])
    equal(ctl.call("port.show", name="vm1")["where"], path, "path")
    here = os.open(deep, os.O_PATH)
    for _ in range(2):
        served(FrontEnd(f"/proc/self/fd/{here}/vm1.sock"))
    # and the other way round, to one that comes later
    ctl.call("port.add", vhost=os.path.join(deep, "vm2.sock") + ",mode=client")
    with listener(f"/proc/self/fd/{here}/vm2.sock") as sock:
        sock.settimeout(5)
        sock.accept()[0].close()
    ctl.call("port.del", name="vm1")
    check("vm1.sock" not in os.listdir(deep), "the socket file is left")
    os.close(here)


def an_inherited_socket_listens_or_is_connected(case):
    sock = listener(case.path("here.sock"))
    near, far = socket.socketpair(socket.AF_UNIX)
    child, ctl = start(case, [f"--fd={sock.fileno()},name=vm1", "--vhost",
                              f"vm2,fd={far.fileno()}"], (sock.fileno(), far.fileno()))
    served(FrontEnd(case.path("here.sock")))
    equal(ctl.call("port.show", name="vm1")["mode"], "inherited", "mode")
    equal(ctl.call("port.show", name="vm2")["connected"], True, "connected")
    sock.close()
    far.close()
    front = FrontEnd.__new__(FrontEnd)
    front.sock = near
    served(front)
    wait_for(lambda: not ctl.call("port.show", name="vm2")["connected"], 5, "its end")
    child.proc.terminate()
    equal(child.wait(2), 0, "status")
    check(os.path.exists(case.path("here.sock")), "the file was not the switch's to remove")


def what_is_no_socket_is_refused(case):
    with open("/dev/null", "r+") as null:
        for argv, fd, word in ((["--fd=50"], None, "file descriptor 50"),
                               ([f"--fd={null.fileno()}"], null.fileno(), "Unix socket"),
                               (["--fd=2"], None, "3 or above")):
            line = [VSWITCHD, "--lcores", lcores(), "--no-pci", *NO_HUGE, "--file-prefix",
                    f"sockets{os.getpid()}", "--", "--ctl", case.path("ctl.sock"), *argv]
            child = case.keep(Child(line, "switch", pass_fds=(fd,) if fd else ()))
            equal(child.wait(10), 1, "status")
            check(word in child.tail(), f"{word} is not told: {child.tail()}")


def a_service_manager_passes_sockets(case):
    by_path, by_name = listener(case.path("vm1.sock")), listener(case.path("x.sock"))
    stray = listener(case.path("stray.sock"))
    # as systemd does: from 3 on, in order
    high = [os.dup(s.fileno()) for s in (by_path, by_name, stray)]
    saved = [os.dup(fd) if is_open(fd) else None for fd in (3, 4, 5)]
    try:
        for at, fd in enumerate(high):
            os.dup2(fd, 3 + at)
        child, ctl = start(case, ["--vhost", case.path("vm1.sock"), "--vhost",
                                  case.path("vm2.sock")], (3, 4, 5),
                           {"LISTEN_FDS": 3, "LISTEN_FDNAMES": "other:vm2:stray"})
    finally:
        for at, fd in enumerate(saved):
            if fd is None:
                os.close(3 + at)
            else:
                os.dup2(fd, 3 + at)
    for name, path in (("vm1", "vm1.sock"), ("vm2", "x.sock")):
        equal(ctl.call("port.show", name=name)["mode"], "inherited", f"mode of {name}")
        served(FrontEnd(case.path(path)))
    check("stray" in child.tail(), "nothing is said of the socket that belongs to no port")
    for sock in (by_path, by_name, stray):
        sock.close()
    for fd in high:
        os.close(fd)


def a_passed_socket_may_be_asked_for_by_its_number(case):
    sock = listener(case.path("vm1.sock"))
    high = os.dup(sock.fileno())
    saved = os.dup(3) if is_open(3) else None
    try:
        os.dup2(high, 3)
        child, ctl = start(case, ["--fd=3,name=vm1"], (3,), {"LISTEN_FDS": 1})
    finally:
        if saved is None:
            os.close(3)
        else:
            os.dup2(saved, 3)
    equal(ctl.call("port.show", name="vm1")["mode"], "inherited", "mode")
    check("activation" not in child.tail(), child.tail())
    served(FrontEnd(case.path("vm1.sock")))
    sock.close()
    os.close(high)


def a_passed_socket_that_is_gone_is_not_guessed(case):
    """SIGHUP, with the port removed: its descriptor's number may be anything by now."""
    sock = listener(case.path("vm1.sock"))
    conf = case.path("vswitchd.yaml")
    with open(conf, "w", encoding="ascii") as file:
        file.write("ports: []\n")
    child, ctl = start(case, ["--config", conf, f"--fd={sock.fileno()},name=vm1"], (sock.fileno(),))
    child.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: "0 added, 0 changed; 0 addresses; 0 failed" in child.err, 5, "the first reading")
    served(FrontEnd(case.path("vm1.sock")))
    ctl.call("port.del", name="vm1")
    child.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: "port vm1: its socket was passed at the start" in child.err, 5, "the error")
    wait_for(lambda: "0 added, 0 changed; 0 addresses; 1 failed" in child.err, 5, "the end")
    equal(ctl.call("port.list")["ports"], [], "ports")
    sock.close()


def is_open(fd):
    return os.path.exists(f"/proc/self/fd/{fd}")


def a_port_shows_who_is_connected(case):
    _, ctl = start(case, ["--vhost", case.path("vm1.sock")])
    equal(ctl.call("port.show", name="vm1")["peer"], None, "peer of nobody")
    front = FrontEnd(case.path("vm1.sock"))
    front.ask(GET_QUEUE_NUM)
    peer = ctl.call("port.show", name="vm1")["peer"]
    equal(peer, {"pid": os.getpid(), "uid": os.geteuid(), "gid": os.getegid()}, "peer")
    _, text, _, _ = run([VSWITCHCTL, "-s", case.path("ctl.sock"), "port", "show", "vm1"], 10)
    check(f"pid {os.getpid()}, uid {os.geteuid()}" in text, text)
    front.sock.close()


def who_says_nothing_is_let_go_and_others_do_not_wait(case):
    _, ctl = start(case, ["--vhost", case.path("vm1.sock") + ",handshake=1", "--vhost",
                          case.path("vm2.sock")])
    mute = FrontEnd(case.path("vm1.sock"))
    half = FrontEnd(case.path("vm2.sock"))
    begun = time.monotonic()
    half.sock.sendall(b"\x01\0\0\0\x01")
    for front, port, why in ((half, "vm2", "not whole in time"), (mute, "vm1", "says nothing")):
        equal(front.sock.recv(1), b"", "the end")
        check(0.9 <= time.monotonic() - begun < 3, f"after {time.monotonic() - begun:.2f} s")
        wait_for(lambda port=port: not ctl.call("port.show", name=port)["connected"], 2, "its end")
        shown = ctl.call("port.show", name=port)
        check(why in shown["last_error"], json.dumps(shown))
        equal(shown["late"], 1, "late")
        served(FrontEnd(case.path(f"{port}.sock")))


def a_descriptor_over_the_control_socket_makes_no_sense(case):
    _, ctl = start(case, [])
    try:
        ctl.call("port.add", vhost=case.path("vm1.sock") + ",fd=3")
    except Exception as error:
        check("a number of the switch's" in str(error), str(error))
    else:
        check(False, "fd= was taken")


if __name__ == "__main__":
    main(a_path_may_be_as_long_as_the_system_allows,
         an_inherited_socket_listens_or_is_connected, what_is_no_socket_is_refused,
         a_service_manager_passes_sockets,
         a_passed_socket_may_be_asked_for_by_its_number,
         a_passed_socket_that_is_gone_is_not_guessed, a_port_shows_who_is_connected,
         who_says_nothing_is_let_go_and_others_do_not_wait,
         a_descriptor_over_the_control_socket_makes_no_sense)
