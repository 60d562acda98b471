# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The control socket and its client: what bad input gets, and the client's exit codes."""

import json
import os
import socket
import struct
import threading

from harness import VSWITCHCTL, Control, Refused, start_switch, vswitchctl
from proc import Failed, check, equal, run, wait_for, SLOW
from runner import main
from vhostuser import GET_PROTOCOL_FEATURES, SET_FEATURES, SET_PROTOCOL_FEATURES, FrontEnd

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
    (b'{"id":1,"method":"port.add","params":{"vhost":"/tmp/x.sock,mtu=67"}}', "EINVAL"),
    (b'{"id":1,"method":"port.add","params":{"vhost":"/tmp/x.sock,offload=1"}}', "EINVAL"),
    (b'{"id":1,"method":"port.set","params":{}}', "EINVAL"),
    (b'{"id":1,"method":"port.set","params":{"name":"a"}}', "EINVAL"),
    (b'{"id":1,"method":"port.set","params":{"name":"a","link":"off"}}', "EINVAL"),
    (b'{"id":1,"method":"port.set","params":{"name":"a","link":false}}', "EINVAL"),
    (b'{"id":1,"method":"port.set","params":{"name":"a","mtu":"9000"}}', "EINVAL"),
    (b'{"id":1,"method":"port.set","params":{"name":"nosuch","link":"down"}}', "ENOENT"),
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
        (0, ["port", "set", "a", "link=up"]),
        (0, ["mac", "add", "02:00:00:00:04:02", "b"]),
        (1, ["mac", "add", "01:00:5e:00:00:01", "b"]),
        (1, ["port", "add", "--vhost", "/tmp/" + "z" * 200]),
        (1, ["log", "level", "loud"]),
        (1, ["port", "set", "a", "link=off"]), (1, ["port", "set", "a", "mtu=9000"]),
        (1, ["port", "set", "net_null0", "link=down"]),  # whose driver cannot
        (2, []), (2, ["port"]), (2, ["port", "paint"]), (2, ["port", "show"]), (2, ["bridge"]),
        (2, ["--nosuch"]), (2, ["port", "show", "a", "b"]), (2, ["-t", "0", "status"]),
        (2, ["port", "set"]), (2, ["port", "set", "a"]), (2, ["port", "set", "a", "down"]),
        (2, ["worker", "show", "x"]), (2, ["worker", "show", "1", "2"]),
        (4, ["port", "add", "--vhost", case.path("b.sock")]),
        (4, ["mac", "add", MAC, "b"]),
        (5, ["port", "show", "nosuch"]), (5, ["port", "del", "nosuch"]),
        (5, ["mac", "lookup", "02:00:00:00:99:99"]), (5, ["mac", "add", MAC[:-2] + "99", "nosuch"]),
        (5, ["worker", "show", "99"]), (5, ["port", "set", "nosuch", "link=down"]),
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


def connects(path):
    """Does somebody listen there? The connection, or None."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5 * SLOW)
    try:
        sock.connect(path)
        return sock
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None


def ended(sock):
    """Has the switch closed this connection, within the time that it has?"""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def set_link(switch, name, link):
    equal(vswitchctl(switch, "port", "set", name, f"link={link}"), (0, "", ""),
          f"port set {name} link={link}")


def a_link_that_is_down_lets_nobody_in(case):
    path, cut = case.path("a.sock"), case.path("cut.sock")
    switch = start_switch(case, ["--vhost", f"{path},perms=0600", "--vhost", f"{cut},link=down"])
    fds = None
    equal((switch.port("a")["state"], switch.port("a")["link"]), ("down", "up"), "a at first")
    equal((switch.port("cut")["state"], switch.port("cut")["link"]), ("disabled", "down"),
          "a port that begins with its link down")
    check(not os.path.lexists(cut), "there is a socket of a port whose link is down")

    for _ in range(3):
        guest = connects(path)
        check(guest, "nobody listens on a port whose link is up")
        wait_for(lambda: switch.port("a")["connected"], 5, "the front-end is noticed")
        for _ in range(2):  # what is set already succeeds
            set_link(switch, "a", "down")
        check(ended(guest), "the front-end is still connected")
        guest.close()
        wait_for(lambda: not os.path.lexists(path), 5, "the socket file gone")
        equal((switch.port("a")["state"], switch.port("a")["connected"]), ("disabled", False),
              "a with its link down")
        for _ in range(2):
            set_link(switch, "a", "up")
        wait_for(lambda: os.path.lexists(path), 5, "the socket file back")
        equal(os.stat(path).st_mode & 0o777, 0o600, "its mode")
        equal(switch.port("a")["state"], "down", "state with the link up and no guest")
        # the first session opens some that stay: the library's own
        fds = fds or switch.stable_fds()
        equal(switch.stable_fds(), fds, "file descriptors")
    set_link(switch, "cut", "up")
    guest = connects(cut)
    check(guest, "nobody listens on a port whose link was set up")
    guest.close()
    set_link(switch, "cut", "down")

    _, out, _ = vswitchctl(switch, "port", "list")
    states = {line.split()[0]: line.split()[2] for line in out.splitlines()}
    equal((states["a"], states["cut"]), ("down", "disabled"), f"states in\n{out}\n")
    _, out, _ = vswitchctl(switch, "port", "show", "cut")
    check("\nlink            down (set)\n" in out, f"port show:\n{out}")
    equal(switch.stable_fds(), fds, "file descriptors")
    # a port whose link is down can be removed like any other
    switch.ctl("port.del", name="cut")
    check(not os.path.lexists(cut), "the socket of a removed port")


def a_link_that_is_down_connects_to_nobody(case):
    path = case.path("vmm.sock")
    vmm = socket.socket(socket.AF_UNIX)
    vmm.bind(path)
    vmm.listen(4)
    case.on_end(vmm.close)
    switch = start_switch(case, ["--vhost", f"{path},name=c,mode=client,link=down"])

    def comes(seconds):
        vmm.settimeout(seconds)
        try:
            peer, _ = vmm.accept()
            peer.settimeout(5 * SLOW)
            return peer
        except TimeoutError:
            return None

    equal(switch.port("c")["state"], "disabled", "state")
    check(comes(0.7) is None, "it connected though its link is down")  # up, it tries each 0.2 s
    for _ in range(2):
        set_link(switch, "c", "up")
        peer = comes(5 * SLOW)
        check(peer, "it does not connect though its link is up")
        set_link(switch, "c", "down")
        check(ended(peer), "the connection stays though the link is down")
        peer.close()
        check(comes(0.7) is None, "it connected again though its link is down")
    check(os.path.lexists(path), "the socket is the other's, not ours to remove")


# offload= of a port, what of it a guest is offered by name
OFFERED = (
    ("on", {"csum", "guest-csum", "guest-tso4", "guest-tso6", "guest-ecn", "host-tso4",
            "host-tso6", "host-ecn", "mrg-rxbuf"}),
    ("csum", {"csum", "guest-csum", "mrg-rxbuf"}),
    ("off", {"mrg-rxbuf"}),
)
OFFLOADS = set().union(*(names for _, names in OFFERED)) | {"guest-ufo", "host-ufo"}


def a_port_offers_what_its_keys_say(case):
    switch = start_switch(case)
    for offload, want in OFFERED:
        path = case.path(f"{offload}.sock")
        switch.ctl("port.add", vhost=f"{path},offload={offload},mtu=9000,config=on")
        guest = FrontEnd(path)
        features, protocol = guest.hello(), guest.ask(GET_PROTOCOL_FEATURES)
        guest.tell(SET_FEATURES, struct.pack("<Q", features))  # takes all there is
        guest.tell(SET_PROTOCOL_FEATURES, struct.pack("<Q", protocol))
        wait_for(lambda n=offload, p=protocol: switch.port(n)["protocol_features"] == hex(p), 5,
                 "features")
        _, out, _ = vswitchctl(switch, "port", "show", offload)
        shown = " ".join(out.split())  # long lists go on in further lines
        equal(set(shown.split(" features ")[1].split(" protocol ")[0].split()) & OFFLOADS, want,
              f"offload={offload}, as shown in\n{out}\n")
        check("config" in shown.split(" protocol ")[1].split(" offloads ")[0].split(),
              f"config=on is not offered:\n{out}")
        check(f" offloads {offload} mtu 9000 " in shown, f"port show:\n{out}")
        guest.close()
        switch.ctl("port.del", name=offload)


def only_the_link_is_set_while_a_port_is_there(case):
    switch = start_switch(case, ["--vhost", f"{case.path('a.sock')},mac={MAC}",
                                 "--port", "net_null0,devargs=no-rx=1"])
    before = state(switch)
    for key in ("mtu", "offload", "queues", "nosense"):
        status, out, err = vswitchctl(switch, "port", "set", "a", f"{key}=9000")
        equal((status, out), (1, ""), f"port set a {key}=9000")
        for word in (f"'{key}'", "link", "spoof-check", "port.del", "port.add"):
            check(word in err, f"{err!r} lacks {word}")
    status, _, err = vswitchctl(switch, "port", "set", "net_null0", "link=down")
    check(status == 1 and "net_null0" in err and "driver" in err, f"net_null0: {status} {err!r}")
    equal(switch.port("net_null0")["link"], "up", "link after a refusal")
    equal(state(switch), before, "state")


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
         the_client_says_how_it_went, a_link_that_is_down_lets_nobody_in,
         a_link_that_is_down_connects_to_nobody, a_port_offers_what_its_keys_say,
         only_the_link_is_set_while_a_port_is_there,
         worker_show_tells_what_each_worker_does,
         the_client_gives_up_on_a_daemon_that_is_silent,
         the_client_survives_a_daemon_that_talks_nonsense, the_client_links_no_dpdk,
         only_the_owner_may_ask)
