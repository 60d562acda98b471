# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Whatever runs out: huge pages, memory for mbufs, file descriptors, room for logs, table, ports.
Each says so in one line, changes nothing, and is as before once there is room again.
(R10, R11, R17, R21, R22)"""

import fcntl
import os
import pathlib
import re
import resource
import select
import subprocess
import time

from faults import (FULL, Failed, Footprint, Guests, bystanders, count, free_huge_mib, mac, memory,
                    nothing_lost, one_line, record, vhost)
from harness import NO_HUGE, Control, Refused, Switch, VSWITCHD, start_switch
from proc import Skip, _die_with_parent, check, equal, run, wait_for
from runner import main
from testpmd import lcores
from vhostuser import SET_VRING_CALL, SET_VRING_ERR, SET_VRING_KICK, FrontEnd

PATIENCE = ["--backpressure", "10000"]
PORTS_MAX = 1024
MACS_MAX = 1000000
F_SETPIPE_SZ = 1031
ANSWER_S = 0.5  # within which a control request is answered beside everything here


def pair(case):
    return [o for i, n in enumerate("ab") for o in vhost(case.path(f"{n}.sock"), i)]


def pair_paths(case):
    return [case.path("a.sock"), case.path("b.sock")]


def refusal(switch, method, **params):
    """It must be refused. Return (code, message, seconds)."""
    start = time.monotonic()
    try:
        switch.ctl(method, **params)
    except Refused as refused:
        one_line(refused.message)
        return refused.code, refused.message, time.monotonic() - start
    raise Failed(f"{method} {params} was not refused")


def start_refused(case, eal, word, wrap=()):
    status, _, err, _ = run([*wrap, VSWITCHD, "--lcores", lcores(), *eal, "--", "--ctl",
                             case.path("ctl.sock"), *vhost(case.path("x.sock"))], 20)
    equal(status, 1, f"exit status of a start with {eal}\n{err}")
    line = one_line(err, word)
    check(not os.path.lexists(case.path("x.sock")) and not os.path.lexists(case.path("ctl.sock")),
          "a start that failed left a socket")
    return line


def no_huge_pages_at_start(case):
    """R10. More than there are, whatever that is."""
    line = start_refused(case, ["--no-pci", "--in-memory", "-m", str(free_huge_mib() + 4096)],
                         "hugepages")
    print(f"# {line}")
    # and it starts once enough is there
    switch = start_switch(case, vhost(case.path("x.sock")), eal=memory())
    switch.ctl("status")


def no_memory_for_a_port(case):
    """R10, R11. Device ports are added until there is no memory for their mbufs. Each has a pool of
    its own, so none of those that are there suffers; removed, as many find room again."""
    switch = start_switch(case, [*pair(case), *PATIENCE], stable=False,
                          eal=["--no-pci", "--no-huge", "--no-shconf", "-m", "64"])
    guests = bystanders(case, switch, pair_paths(case))

    def fill():
        added = []
        while True:
            try:
                switch.ctl("port.add", device=f"net_null{len(added)},devargs=no-rx=1")
            except Refused as refused:
                return added, refused
            added.append(f"net_null{len(added)}")
            check(len(added) < 200, "200 ports in 64 MiB: not a wall")

    added, refused = fill()
    check(added, "not even one device port found memory")
    equal(refused.code, "ENOMEM", "error code")
    line = one_line(refused.message, "mbufs")
    wall = Footprint(switch)
    for _ in range(3):
        refusal(switch, "port.add", device=f"net_null{len(added)},devargs=no-rx=1")
        wall.check(switch, "after another refusal")
    for name in added:
        switch.ctl("port.del", name=name)
    again, _ = fill()
    equal(again, added, "ports that found room, the second time")
    answer = guests.settle()
    nothing_lost(answer)
    guests.quit()
    record("wall-mbufs", ports=len(added), error=line, recovery="as many again",
           bystander_lost=0)


def fill_ports(case, switch, most):
    """Add ports until one is refused. Return (code, message)."""
    for number in range(most):
        try:
            switch.ctl("port.add", vhost=case.path(f"late{number}.sock"))
        except Refused as error:
            check(not os.path.lexists(case.path(f"late{number}.sock")), "it left its socket")
            return error.code, one_line(error.message)
    raise Failed(f"{most} ports were added with no file descriptors left")


def no_file_descriptors(case):
    """R21. Three more than are in use: front-ends are refused, nobody spins, and then all is well."""
    switch = start_switch(case, [*pair(case), *vhost(case.path("x.sock")),
                                 *vhost(case.path("y.sock")), *PATIENCE], eal=memory(),
                          stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    first = Guests(case, [case.path("x.sock"), case.path("y.sock")], "--group", "7").begin()
    first.quit()  # the library opens what it keeps
    switch.wait_down("x", "y")
    before = Footprint(switch)
    highest = max(int(fd) for fd in os.listdir(f"/proc/{switch.pid}/fd"))
    soft, hard = resource.prlimit(switch.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(switch.pid, resource.RLIMIT_NOFILE, (highest + 4, hard))
    began, served = time.monotonic(), 0
    fronts = []
    for number in range(40):
        try:
            front = FrontEnd(case.path("xy"[number % 2] + ".sock"), deadline=0.3)
            fronts.append(front)
            served += bool(front.handshake())
        except (OSError, TimeoutError):
            pass
    took = time.monotonic() - began
    equal(served, 0, "front-ends that were served")
    check("file descriptors" in switch.err, f"nothing of it in the log: {switch.err!r}")
    code, refused = fill_ports(case, switch, 8)
    equal(code, "EMFILE", f"error code of {refused!r}")
    before_frames = switch.counters()["a"]["rx_frames"]
    control = control_cpu(switch)
    time.sleep(0.5)
    spun = control_cpu(switch) - control
    check(spun < 0.25, f"control and session took {spun:.2f} s of 0.5 s: somebody spins")
    check(switch.counters()["a"]["rx_frames"] > before_frames, "the bystanders stand still")
    for front in fronts:
        front.close()
    resource.prlimit(switch.pid, resource.RLIMIT_NOFILE, (soft, hard))
    for name in [p["name"] for p in switch.ctl("port.list")["ports"] if "late" in p["name"]]:
        switch.ctl("port.del", name=name)
    again = Guests(case, [case.path("x.sock"), case.path("y.sock")], "--group", "7").begin()
    switch.wait_up("x", "y")
    again.quit()
    switch.wait_down("x", "y")
    text = before.check(switch, "file descriptors back")
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    record("wall-fds", tried=40, served=served, seconds=f"{took:.1f}", error=refused,
           spun_ms=f"{spun * 1000:.0f}", memory=text, bystander_lost=0)


def leave_descriptors(switch, free):
    """Let it open so many more. A hole among those in use is one that a thread waits to accept
    with. Return the old limit."""
    highest = max(int(fd) for fd in os.listdir(f"/proc/{switch.pid}/fd"))
    old = resource.prlimit(switch.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(switch.pid, resource.RLIMIT_NOFILE, (highest + 1 + free, old[1]))
    return old


def a_live_guest_meets_the_limit(case):
    """R21. A guest that is up, and polled, sends descriptors while hardly any is free: as when QEMU
    tells of another interrupt. It is served where there is one for it, and nobody is hurt."""
    switch = start_switch(case, [*pair(case), *vhost(case.path("x.sock")), *PATIENCE],
                          eal=memory(), stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    stayed = []
    for free in range(4):
        front = FrontEnd(case.path("x.sock"))
        check(front.handshake() and front.start_rings(), "x was not served")
        switch.wait_up("x")
        old = leave_descriptors(switch, free)
        try:
            for number in range(20):
                front.tell_eventfd(SET_VRING_CALL, number % 2)
                front.tell_eventfd(SET_VRING_ERR, number % 2)
            for ring in range(2):
                front.tell_eventfd(SET_VRING_KICK, ring)
            alive = front.hello() is not None
        except (ConnectionResetError, BrokenPipeError):
            alive = False
        watch.moves(1000)
        resource.prlimit(switch.pid, resource.RLIMIT_NOFILE, old)
        check(alive or free == 0, f"it was shut out with {free} descriptors free")
        stayed.append(alive)
        if alive:
            switch.wait_up("x")
        front.close()
        switch.wait_down("x")
    again = FrontEnd(case.path("x.sock"))
    check(again.handshake() and again.start_rings(), "x was not served afterwards")
    switch.wait_up("x")
    again.close()
    switch.wait_down("x")
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    record("wall-fds-live", stayed=stayed, bystander_lost=0)


def control_cpu(switch):
    """CPU seconds of all threads but the workers."""
    total = 0.0
    for task in pathlib.Path(f"/proc/{switch.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if "worker" in name:
            continue
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


class Unread:
    """A switch whose log goes to @log and whose output is read here only."""

    def __init__(self, case, log, options):
        self.ctl_path = case.path("unread.ctl")
        self.proc = subprocess.Popen(
            [VSWITCHD, "--lcores", lcores(), "--no-pci", *NO_HUGE, "--file-prefix",
             f"unread{os.getpid()}", "--", "--ctl", self.ctl_path, "--idle", "sleep", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            preexec_fn=_die_with_parent)
        case.on_end(self.end)
        check(select.select([self.proc.stdout], [], [], 20)[0], "not ready")
        self.proc.stdout.readline()
        self.control = Control(self.ctl_path, 2)
        self.pid = self.proc.pid

    def ctl(self, method, **params):
        start = time.monotonic()
        result = self.control.call(method, **params)
        took = time.monotonic() - start
        check(took < ANSWER_S, f"{method} took {took:.2f} s")
        return result

    def port(self, name):
        return self.ctl("port.show", name=name)

    def wait_up(self, *names):
        for name in names:
            wait_for(lambda n=name: self.port(n)["state"] == "up", 5, f"port {name} up")

    def end(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()

    def stop(self):
        self.control.close()
        self.proc.terminate()
        equal(self.proc.wait(3), 0, "exit status after SIGTERM")


def chatter(case, switch, times, port="x"):
    """Things that are logged: front-ends that are refused."""
    for number in range(times):
        front = FrontEnd(case.path(f"{port}.sock"))
        front.tell(200 + number % 50)  # no such request
        front.hello()
        front.close()
        if number % 20 == 0:
            switch.ctl("status")


def nobody_reads_the_log(case):
    """R22. A pipe that is full: no thread waits for it, what is lost is counted and told later."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, F_SETPIPE_SZ, 4096)
    os.set_blocking(read_end, False)
    switch = Unread(case, write_end, [*pair(case), *vhost(case.path("x.sock")), *PATIENCE,
                                      "--log-level", "debug"])
    os.close(write_end)
    watch = bystanders(case, switch, pair_paths(case))
    chatter(case, switch, count(200, 6000))
    frames = watch.ask("show")["flows"][0]["received"]
    watch.moves(1000)
    text = os.read(read_end, 65536).decode(errors="replace")
    check(len(text) > 2000, f"the pipe was not full: {len(text)} bytes")
    # the reader is back: what was lost is told, and what is said now arrives
    switch.ctl("port.add", vhost=case.path("marker.sock"))
    chatter(case, switch, 3, "marker")

    def arrives():
        nonlocal text
        try:
            text += os.read(read_end, 65536).decode(errors="replace")
        except BlockingIOError:
            chatter(case, switch, 1, "marker")
        return "marker" in text
    wait_for(arrives, 5, "a line about what happened after the reader came back")
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    switch.stop()
    os.close(read_end)
    lost = sum(map(int, re.findall(r"(\d+) lines lost", text)))
    record("wall-log-pipe", bystander_lost=0, frames=frames,
           lost_lines=f"{lost} lost, and said to be")


def the_disk_is_full(case):
    """R22. Each write of the log fails."""
    with open("/dev/full", "w", encoding="ascii") as full:
        switch = Unread(case, full, [*pair(case), *vhost(case.path("x.sock")), *PATIENCE,
                                     "--log-level", "debug"])
    watch = bystanders(case, switch, pair_paths(case))
    chatter(case, switch, count(100, 1000))
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    switch.stop()
    record("wall-disk", bystander_lost=0, answered="within 0.5 s each")


IN_FILE = 850000  # entries of a configuration file, which has 16 MiB at most
IN_REQUEST = 2500  # and of one request, which has 64 KiB


def table_config(case):
    """Ports a and b, and IN_FILE entries of a's."""
    path = pathlib.Path(case.path("full.yaml"))
    with path.open("w", encoding="ascii") as out:
        out.write("switch: {idle: sleep}\nports:\n")
        out.write(f"- {{vhost: {case.path('b')}.sock, mac: ['{mac(1)}']}}\n")
        out.write(f"- vhost: {case.path('a')}.sock\n  mac: [{mac(0)}")
        out.writelines(f",{entry(i)}" for i in range(IN_FILE))
        out.write("]\n")
    return str(path)


def entry(i):
    return f"06:00:{i >> 24 & 255:02x}:{i >> 16 & 255:02x}:{i >> 8 & 255:02x}:{i & 255:02x}"


def the_table_is_full(case):
    """R17. As many as it holds, then one more: refused, none evicted, lookups as quick."""
    if not FULL:
        raise Skip("a million entries: with FAULT_FULL=1")
    began = time.monotonic()
    switch = start_switch(case, ["--config", table_config(case), *PATIENCE],
                          eal=memory(), stable=False, ready_s=60)
    took = time.monotonic() - began
    had = IN_FILE
    while had < MACS_MAX - 2:
        more = min(IN_REQUEST, MACS_MAX - 2 - had)
        macs = "".join(f",mac={entry(i)}" for i in range(had, had + more))
        switch.ctl("port.add", vhost=f"{case.path('m')}{had}.sock{macs}")
        had += more
    equal(switch.ctl("status")["macs"], MACS_MAX, "entries")
    watch = bystanders(case, switch, pair_paths(case))
    full = Footprint(switch)
    for number in range(20):
        code, line, _ = refusal(switch, "mac.add", mac=entry(MACS_MAX + number), port="b")
        equal(code, "ENOSPC", "error code")
    refusal(switch, "port.add", vhost=f"{case.path('more')}.sock,mac={entry(MACS_MAX)}")
    check(not os.path.lexists(case.path("more.sock")), "a refused port left its socket")
    full.check(switch, "after refusals", slack_kib=64 << 10)  # a table may be freed late
    for i in range(2):
        equal(switch.ctl("mac.lookup", mac=mac(i))["port"], "ab"[i], "an entry that was there")
    equal(switch.ctl("mac.lookup", mac=entry(0))["port"], "a", "the first of many")
    many = watch.rates(1)[0]
    switch.ctl("mac.del", mac=entry(7))
    switch.ctl("mac.add", mac=entry(MACS_MAX), port="b")
    answer = watch.settle()
    nothing_lost(answer)
    few = few_entries_rate(case)
    watch.quit()
    record("wall-table", entries=MACS_MAX, start_s=f"{took:.1f}", error=line,
           bystander_rate=f"{many / few * 100:.0f} % of that with 2 entries", bystander_lost=0)


def few_entries_rate(case):
    """The same pair of guests on a switch with a small table, while the other one rests."""
    paths = [case.path("c.sock"), case.path("d.sock")]
    folder = case.path("few")
    os.mkdir(folder)
    switch = case.keep(Switch(folder, [*vhost(paths[0], 0), *vhost(paths[1], 1), *PATIENCE],
                              eal=memory()))
    switch.ready()
    guests = bystanders(case, switch, paths)
    result = guests.rates(1)[0]
    guests.quit()
    switch.stop()
    return result


def all_ports_are_taken(case):
    """Ports up to the limit, then one more; removed ones make room."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 4096 and os.geteuid() != 0:
        raise Skip(f"4096 file descriptors are needed, the hard limit is {hard}")
    switch = start_switch(case, [*pair(case), *PATIENCE], eal=memory(), stable=False)
    watch = bystanders(case, switch, pair_paths(case))
    few = Footprint(switch)
    for number in range(PORTS_MAX - 2):
        switch.ctl("port.add", vhost=f"{case.path('p')}{number}.sock,queues=1")
    full = Footprint(switch)
    code, line, _ = refusal(switch, "port.add", vhost=case.path("more.sock"))
    equal(code, "ENOSPC", "error code")
    full.check(switch, "after a refusal")
    check(not os.path.lexists(case.path("more.sock")), "a refused port left its socket")
    switch.ctl("port.del", name="p7")
    switch.ctl("port.add", vhost=f"{case.path('more')}.sock,queues=1")
    switch.ctl("port.del", name="more")
    for number in range(PORTS_MAX - 2):
        if number != 7:
            switch.ctl("port.del", name=f"p{number}")
    # tables that have grown stay; what ports had does not
    text = few.check(switch, "after all are gone", slack_kib=8192)
    answer = watch.settle()
    nothing_lost(answer)
    watch.quit()
    record("wall-ports", ports=PORTS_MAX, error=line, memory=text, bystander_lost=0)


def no_memory_may_be_locked(case):
    """RLIMIT_MEMLOCK of 0, as an ordinary user: it starts, or says why not."""
    if os.geteuid() != 0:
        raise Skip("root is needed to become somebody else")
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "prlimit",
            "--memlock=0"]
    if run([*user, "test", "-x", VSWITCHD], 5)[0] != 0:
        raise Skip(f"{VSWITCHD} is not to be reached without root")
    os.chown(case.dir, 65534, 65534)
    switch = case.keep(Switch(case.dir, [*pair(case), *PATIENCE], wrap=user))
    switch.ready()
    guests = Guests(case, pair_paths(case)).begin()
    guests.moves(1000)
    answer = guests.settle()
    nothing_lost(answer, "without locked memory")
    guests.quit()
    switch.ledger()
    switch.stop()
    record("wall-memlock", limit=0, result="starts and forwards")


if __name__ == "__main__":
    main(no_huge_pages_at_start, no_memory_for_a_port, no_file_descriptors,
         a_live_guest_meets_the_limit, nobody_reads_the_log, the_disk_is_full, the_table_is_full,
         all_ports_are_taken, no_memory_may_be_locked)
