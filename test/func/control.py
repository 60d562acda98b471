# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The control socket and its client: what bad input gets, and the client's exit codes."""

import json
import os
import socket
import threading

from harness import VSWITCHCTL, Control, Refused, start_switch, vswitchctl
from proc import Failed, check, equal, run, wait_for
from runner import main

MAC = "02:00:00:00:04:01"
LINE_MAX = 65536

# request, code of the reply
BAD_REQUESTS = (
    (b"status", "EBADMSG"),
    (b"", "EBADMSG"),
    (b"{", "EBADMSG"),
    (b'{"id":1,"method":"status"', "EBADMSG"),
    (b'{"id":1,"method":"status"} {}', "EBADMSG"),
    (b'{"id":1,"id":2,"method":"status"}', "EBADMSG"),
    (b'\xff\xfe{"method":"status"}', "EBADMSG"),
    (b'{"method":"sta\x00tus"}', "EBADMSG"),
    (b'{"method":"\\u0000"}', "EBADMSG"),
    (b"[" * 40000, "EBADMSG"),
    (b'{"a":' * 2000, "EBADMSG"),
    (b"[]", "EINVAL"),
    (b"1", None),
    (b'"status"', None),
    (b"{}", "EINVAL"),
    (b'{"id":1,"method":7}', "EINVAL"),
    (b'{"id":1,"method":"status","params":[]}', "EINVAL"),
    (b'{"id":1,"method":"status","parms":{}}', "EINVAL"),
    (b'{"id":1,"method":"reboot"}', "ENOSYS"),
    (b'{"id":1,"method":"' + b"x" * 5000 + b'"}', "ENOSYS"),
    (b'{"id":1,"method":"port.del","params":{}}', "EINVAL"),
    (b'{"id":1,"method":"port.del","params":{"name":1}}', "EINVAL"),
    (b'{"id":1,"method":"port.del","params":{"name":"nosuch"}}', "ENOENT"),
    (b'{"id":1,"method":"port.del","params":{"name":"' + b"y" * 3000 + b'"}}', "ENOENT"),
    (b'{"id":1,"method":"port.add","params":{}}', "EINVAL"),
    (b'{"id":1,"method":"mac.list","params":{"skip":-1}}', "ERANGE"),
    (b'{"id":1,"method":"mac.list","params":{"max":99999999999999999999}}', None),
    (b'{"id":1,"method":"log.level","params":{"level":"loud"}}', "EINVAL"),
    (b'{"id":1,"method":"worker.show","params":{}}', "EINVAL"),
    (b'{"id":1,"method":"worker.show","params":{"lcore":"1"}}', "EINVAL"),
    (b'{"id":1,"method":"worker.show","params":{"lcore":-1}}', "ERANGE"),
    (b'{"id":1,"method":"worker.show","params":{"lcore":99}}', "ENOENT"),
)


def state(switch):
    """All that a request could change."""
    return [switch.ctl(m) for m in ("port.list", "mac.list", "log.level", "stats")][:3]


def bad_requests_get_an_error_and_change_nothing(case):
    switch = start_switch(case, ["--vhost", f"{case.path('a.sock')},mac={MAC}"])
    before, fds = state(switch), switch.fds()
    for request, code in BAD_REQUESTS:
        control = Control(switch.ctl_path)
        control.send(request + b"\n")
        reply = control.line()
        shown = request[:60]
        check(reply is not None and set(reply) == {"id", "error"}, f"{shown}: {reply}")
        if code:
            equal(reply["error"]["code"], code, f"{shown}: {reply}: code")
        check(0 < len(reply["error"]["message"]) < 400 and "\n" not in reply["error"]["message"],
              f"{shown}: message {reply['error']['message']!r}")
        # and the connection goes on, or is closed in order
        try:
            control.send(b'{"id":2,"method":"version","params":{}}\n')
            reply = control.line()
        except BrokenPipeError:
            reply = None
        check(reply is None or "result" in reply, f"{shown}: then {reply}")
        control.close()
    equal(state(switch), before, "state")
    switch.ctl("status")
    equal(switch.fds(), fds, "file descriptors")


def a_line_too_long_is_refused(case):
    switch = start_switch(case)
    for length in (LINE_MAX + 1, 10 * LINE_MAX):
        control = Control(switch.ctl_path)
        try:
            control.send(b" " * length + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not read all of it
        reply = control.line()
        check(reply and "error" in reply, f"{length} bytes: {reply}")
        control.close()
    control = Control(switch.ctl_path)
    request = b'{"id":9,"method":"version","params":{}}'
    control.send(request + b" " * (LINE_MAX - len(request)) + b"\n")
    check("result" in control.line(), "the longest legal line")
    control.close()


def requests_may_come_in_pieces_and_in_heaps(case):
    switch = start_switch(case)
    control = Control(switch.ctl_path)
    for byte in b'{"id":"x","method":"version","params":{}}\n':
        control.send(bytes([byte]))
    equal(control.line()["id"], "x", "id")
    control.send(b'{"id":1,"method":"version"}\n' * 500)
    for _ in range(500):
        equal(control.line()["id"], 1, "id")
    control.send(b'{"id":2,"method":"version"}\n{"id":3,')
    equal(control.line()["id"], 2, "id")
    control.close()  # in the middle of a request


def one_client_too_many_is_told_so(case):
    switch = start_switch(case)
    switch.ctl("version")
    held = []
    while True:
        control = Control(switch.ctl_path)
        held.append(control)
        try:
            control.send(b'{"id":1,"method":"version"}\n')
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not wait for the question; its answer is there
        reply = control.line()
        if reply is None or "error" in reply:
            break
        check(len(held) < 100, "no limit of clients")
    check(reply and reply["error"]["code"] == "EBUSY", f"the last got {reply}")
    switch.ctl("version")
    for control in held:
        control.close()
    wait_for(lambda: asked(switch), 5, "room for a client once they have gone")


def asked(switch):
    """Is there room for one more client?"""
    control = Control(switch.ctl_path)
    try:
        control.call("version")
        return True
    except (Refused, BrokenPipeError, ConnectionResetError, Failed):
        return False
    finally:
        control.close()


def the_client_says_how_it_went(case):
    switch = start_switch(case, ["--vhost", f"{case.path('a.sock')},mac={MAC}"])
    table = (
        (0, ["status"]), (0, ["version"]), (0, ["port", "list"]), (0, ["port", "show", "a"]),
        (0, ["mac", "list"]), (0, ["mac", "lookup", MAC]), (0, ["stats"]), (0, ["worker", "list"]),
        (0, ["worker", "show"]), (0, ["worker", "show", "1"]),
        (0, ["log", "level"]), (0, ["log", "level", "debug"]), (0, ["--help"]),
        (0, ["port", "add", "--vhost", case.path("b.sock")]),
        (0, ["port", "add", "--device", "net_null0,devargs=no-rx=1"]),
        (0, ["mac", "add", "02:00:00:00:04:02", "b"]),
        (1, ["mac", "add", "01:00:5e:00:00:01", "b"]),
        (1, ["port", "add", "--vhost", "/tmp/" + "z" * 200]),
        (1, ["log", "level", "loud"]),
        (2, []), (2, ["port"]), (2, ["port", "paint"]), (2, ["port", "show"]), (2, ["bridge"]),
        (2, ["--nosuch"]), (2, ["port", "show", "a", "b"]), (2, ["-t", "0", "status"]),
        (2, ["worker", "show", "x"]), (2, ["worker", "show", "1", "2"]),
        (4, ["port", "add", "--vhost", case.path("b.sock")]),
        (4, ["mac", "add", MAC, "b"]),
        (5, ["port", "show", "nosuch"]), (5, ["port", "del", "nosuch"]),
        (5, ["mac", "lookup", "02:00:00:00:99:99"]), (5, ["mac", "add", MAC[:-2] + "99", "nosuch"]),
        (5, ["worker", "show", "99"]),
        (0, ["mac", "del", "02:00:00:00:04:02"]), (0, ["port", "del", "b"]),
        (0, ["port", "del", "net_null0"]),
    )
    for want, args in table:
        status, out, err = vswitchctl(switch, *args)
        what = "vswitchctl " + " ".join(args)
        equal(status, want, f"{what}: status\n{out}{err}\n")
        if want == 0:
            equal(err, "", f"{what}: standard error")
        else:
            equal(out, "", f"{what}: standard output")
            equal(err.count("\n"), 1, f"{what}: lines on standard error\n{err}\n")
    status, out, _ = vswitchctl(switch, "-j", "port", "list")
    reply = json.loads(out)
    equal((status, out.count("\n")), (0, 1), "-j: status and lines")
    equal(reply.get("result", reply)["ports"], switch.ctl("port.list")["ports"], "-j port list")
    status, out, _ = vswitchctl(switch, "port", "list")
    check("a" in out.split() and "down" in out, f"port list:\n{out}")
    equal(vswitchctl(case.path("nobody.sock"), "status")[0], 3, "no daemon")


STAGES = ("receive", "classify", "deliver", "complete", "notify")


def worker_show_tells_what_each_worker_does(case):
    # a device that receives as fast as it is asked, a queue for each worker; nobody is there to send to
    switch = start_switch(case, ["--port", "net_null0,queues=2"], workers=2)
    listed = {w["lcore"]: w for w in switch.ctl("worker.list")["workers"]}
    equal(sorted(listed), [1, 2], "lcores")
    for lcore in listed:
        wait_for(lambda n=lcore: switch.ctl("worker.show", lcore=n)["bursts"] > 0, 5,
                 f"a burst on lcore {lcore}")
        worker = switch.ctl("worker.show", lcore=lcore)
        check(set(listed[lcore]) <= set(worker), f"less than worker.list tells: {worker}")
        equal((worker["lcore"], worker["node"]), (lcore, listed[lcore]["node"]), "lcore and node")
        equal([q["port"] for q in worker["queues"]], ["net_null0"], "ports it polls")
        check(worker["vectors"] in ("sse4.2", "avx2", "avx512"), f"vectors {worker['vectors']!r}")
        check(worker["packets"] >= worker["bursts"], f"bursts without frames: {worker}")
        check(worker["frames_per_burst"] >= 1, f"{worker['frames_per_burst']} frames a burst")
        check(0 < worker["busy_cycles"] <= worker["total_cycles"], f"cycles: {worker}")
        if worker["stages_counted"]:
            equal(tuple(s["name"] for s in worker["stages"]), STAGES, "stages")
            together = sum(s["cycles"] for s in worker["stages"])
            check(0 < together <= worker["total_cycles"], f"cycles of stages: {worker}")
        else:
            check("stages" not in worker, f"stages that are not counted: {worker}")

    status, out, err = vswitchctl(switch, "worker", "show")
    equal((status, err), (0, ""), "worker show")
    parts = out.split("\n\nworker ")
    equal(len(parts), 2, f"workers shown\n{out}\n")
    for part in parts:
        check("\nPORT       QUEUE\nnet_null0      " in part, f"queues:\n{out}")
        check("\nSTAGE " in part if worker["stages_counted"] else
              "\nstages          not counted; build with -Dstage_cycles=true\n" in part,
              f"stages:\n{out}")
    status, out, _ = vswitchctl(switch, "-j", "worker", "show")
    equal((status, [json.loads(line)["result"]["lcore"] for line in out.splitlines()]),
          (0, [1, 2]), "-j worker show")
    status, _, err = vswitchctl(switch, "worker", "show", "3")
    check(status == 5 and "1-2" in err, f"an lcore without a worker: {status} {err!r}")
    switch.ctl("port.del", name="net_null0")


def the_client_gives_up_on_a_daemon_that_is_silent(case):
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(case.path("silent.sock"))
    silent.listen(1)
    case.on_end(silent.close)
    status, out, err = vswitchctl(case.path("silent.sock"), "-t", "1", "status")
    equal((status, out, err.count("\n")), (6, "", 1), "silent daemon: status, output, error lines")


def the_client_survives_a_daemon_that_talks_nonsense(case):
    server = socket.socket(socket.AF_UNIX)
    server.bind(case.path("odd.sock"))
    server.listen(1)
    case.on_end(server.close)
    for answer in (b"", b"hello\n", b"{}\n", b"[1]\n", b'{"id":1,"result":\n', b"\x00\xff\n",
                   b'{"id":1,"result":{}}\n', b'{"id":1,"error":7}\n'):
        def serve(text=answer):
            peer, _ = server.accept()
            peer.recv(65536)
            peer.sendall(text)
            peer.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        status, _, err = vswitchctl(case.path("odd.sock"), "-t", "2", "port", "list")
        thread.join(5)
        check(status in (0, 1, 3, 6), f"{answer}: status {status} {err}")
        check(status != 0 or answer.endswith(b'{}}\n'), f"{answer}: taken for good")


def the_client_links_no_dpdk(_case):
    status, out, err, _ = run(["ldd", VSWITCHCTL], 10)
    equal(status, 0, f"ldd: {err}")
    check("libc.so" in out, f"ldd shows nothing: {out}")
    dpdk = [line.strip() for line in out.splitlines() if "librte" in line]
    equal(dpdk, [], "DPDK libraries of vswitchctl")


def only_the_owner_may_ask(case):
    if os.geteuid() != 0:
        return
    switch = start_switch(case)
    os.chmod(switch.ctl_path, 0o666)  # so that the refusal is the daemon's, not the kernel's
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if run([*nobody, "test", "-x", VSWITCHCTL], 5)[0] != 0:
        return
    status, out, err, _ = run([*nobody, VSWITCHCTL, "-s", switch.ctl_path, "status"], 10)
    equal((status, out), (1, ""), f"status for another user: {err}")
    check("65534" in err, f"{err!r} does not say whom it refused")


if __name__ == "__main__":
    main(bad_requests_get_an_error_and_change_nothing, a_line_too_long_is_refused,
         requests_may_come_in_pieces_and_in_heaps, one_client_too_many_is_told_so,
         the_client_says_how_it_went, worker_show_tells_what_each_worker_does,
         the_client_gives_up_on_a_daemon_that_is_silent,
         the_client_survives_a_daemon_that_talks_nonsense, the_client_links_no_dpdk,
         only_the_owner_may_ask)
