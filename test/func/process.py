# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The switch as a process: what it may do, what a service manager hears, that nobody who does not
read holds it up, and how it meets the walls of the system."""

import fcntl
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

from harness import READY, SANDBOX, STOP_SECONDS, VSWITCHD, Control, Refused, Switch, \
    start_switch, start_testpmd
from proc import Child, Failed, Skip, check, equal, run, wait_for, SLOW
from runner import main
from start_stop import eal, end, free_hugepages, refused, start
from testpmd import virtio_user
from vhostuser import FrontEnd

MACS = ("02:00:00:00:06:01", "02:00:00:00:06:02")
SOURCES = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", SOURCES / "build"))
UNIT = BUILD / "config/vswitchd.service"
NOBODY = 65534
# Of root's capabilities, with --vhost-only: CHOWN, DAC_OVERRIDE, FOWNER.
KEPT = 0b1011
FILTERED = SANDBOX[1:] != ["off"]


def threads(pid):
    """{name: [status, ...]} of the threads of a process."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", (task / "status").read_text(), re.M))
        found.setdefault(status["Name"], []).append(status)
    return found


def nothing_shared_goes_into_a_core_dump(case):
    """core(5): bits 1 and 3, shared memory, are not set; the rest is as it was."""
    switch = start_switch(case, ["--vhost", case.path("a.sock")])
    kinds = int(pathlib.Path(f"/proc/{switch.pid}/coredump_filter").read_text(), 16)
    equal(kinds & 0x3b, 0x31, "kinds of mappings")


def every_thread_is_filtered_and_workers_twice(case):
    if not FILTERED:
        raise Skip("this build's own calls are on no list")
    for more, caps in ((["--vhost-only"], KEPT), ([], None)):
        switch = start_switch(case, ["--vhost", case.path("a.sock"), *more], workers=2)
        guest = FrontEnd(case.path("a.sock"))
        check(guest.handshake(), "no session")  # so that the library's threads are there too
        found = threads(switch.pid)
        check({"vsw-control", "vsw-session", "vsw-log", "rte-worker-1", "rte-worker-2"} <=
              set(found), f"threads: {sorted(found)}")
        for name, all_of_them in found.items():
            for status in all_of_them:
                equal((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"), f"thread {name}")
                equal(int(status["Seccomp_filters"]), 2 if name.startswith("rte-worker") else 1,
                      f"filters of {name}")
                if caps is not None and os.geteuid() == 0:
                    for field in ("CapEff", "CapPrm", "CapBnd"):
                        equal(int(status[field], 16), caps, f"{field} of {name}")
        guest.close()
        switch.stop()


def vhost_only_has_no_devices(case):
    switch = start_switch(case, ["--vhost-only", "--vhost", case.path("a.sock")])
    try:
        switch.ctl("port.add", device="net_null0")
        raise Failed("a device was added")
    except Refused as error:
        equal(error.code, "EPERM", f"code of {error}")
        check("vhost-only" in error.message, error.message)
    equal(switch.ctl("port.add", vhost=case.path("b.sock"))["name"], "b", "a port for a guest")
    refused([*eal(3), "--vhost-only", "--port", "net_null0", "--ctl", case.path("c.sock")],
            "vhost-only", 10, "a device from the start")


def stopped_reader(case, options, **streams):
    """A switch of whose standard streams some lead to a pipe of ours. Return it and its path."""
    ctl = case.path("ctl.sock")
    argv = [VSWITCHD, *eal(5), "--ctl", ctl, "--idle", "sleep", *SANDBOX, *options]
    proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                               **streams})
    case.on_end(lambda: proc.poll() is None and proc.kill() or proc.wait())

    def answers():
        check(proc.poll() is None, f"it ended with {proc.returncode}")
        try:
            return Control(ctl)
        except OSError:
            return None

    return proc, wait_for(answers, 20, "the control socket")


def ends_in_time(proc):
    began = time.monotonic()
    proc.send_signal(signal.SIGTERM)
    try:
        status = proc.wait(STOP_SECONDS * SLOW)
    except subprocess.TimeoutExpired:
        raise Failed("it does not end: is it held by a pipe?") from None
    equal(status, 0, f"status, after {time.monotonic() - began:.2f} s")


def a_log_that_nobody_reads_holds_nobody(case):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    path = case.path("a.sock")
    proc, control = stopped_reader(case, ["--log-level", "debug", "--vhost", path], stderr=writer)
    os.close(writer)
    slowest = 0
    sessions = 0
    # each session logs that it comes and goes; the queue holds a few thousand lines
    end_at = time.monotonic() + 20 * SLOW
    while control.call("status")["log_lost"] == 0:
        check(time.monotonic() < end_at, f"nothing was lost in {sessions} sessions")
        for _ in range(50):
            guest = FrontEnd(path)
            check(guest.hello() is not None, "a guest is not answered")
            guest.close()
            sessions += 1
        began = time.monotonic()
        control.call("version")
        slowest = max(slowest, time.monotonic() - began)
    check(slowest < 1 * SLOW, f"control took {slowest:.2f} s to answer")
    # the reader comes back: what was queued comes whole, and then how much is missing
    os.set_blocking(reader, False)
    text = b""

    def told():
        nonlocal text
        try:
            text += os.read(reader, 1 << 20)
        except BlockingIOError:
            pass
        return re.search(rb"^WARN log: (\d+) lines lost: .*\n", text, re.M)

    lost = int(wait_for(told, 10, "the note on lost lines").group(1))
    check(lost > 0, f"{lost} lines lost")
    check(all(re.match(rb"(ERR|WARN|NOTICE|INFO|DEBUG|[A-Z_]+:) ?", line) or b": " in line
              for line in text.split(b"\n")[:-1]), "a line is torn")
    # and is gone again: SIGTERM still ends it
    control.call("log.level", level="debug")
    for _ in range(200):
        guest = FrontEnd(path)
        guest.hello()
        guest.close()
    control.close()
    ends_in_time(proc)
    os.close(reader)
    check(not os.path.lexists(path), "the socket file is left")


def a_stdout_that_is_full_holds_nobody(case):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    with open(case.path("log"), "wb") as log:
        proc, control = stopped_reader(case, [], stdout=writer, stderr=log)
    control.call("status")
    control.close()
    ends_in_time(proc)
    os.close(writer)
    os.close(reader)
    text = pathlib.Path(case.path("log")).read_text()
    check("stdout did not take the line 'ready: 0 ports" in text, f"stderr says {text!r}")


def a_full_disk_holds_nobody(case):
    if not os.path.exists("/dev/full"):
        raise Skip("there is no /dev/full")
    path = case.path("a.sock")
    with open("/dev/full", "wb") as full:
        proc, control = stopped_reader(case, ["--log-level", "debug", "--vhost", path],
                                       stderr=full)
    for _ in range(10):
        guest = FrontEnd(path)
        check(guest.hello() is not None, "a guest is not answered")
        guest.close()
    wait_for(lambda: control.call("status")["log_lost"] > 0, 5, "lines counted as lost")
    control.close()
    ends_in_time(proc)


class Manager:
    """The socket at which a service manager listens."""

    def __init__(self, case):
        self.path = case.path("notify.sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(10 * SLOW)
        case.on_end(self.sock.close)

    def hear(self):
        try:
            return self.sock.recv(4096).decode()
        except TimeoutError:
            raise Failed("the switch says nothing") from None


def a_service_manager_hears_how_it_goes(case):
    manager = Manager(case)
    env = dict(os.environ, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="400000")
    path, ctl = case.path("a.sock"), case.path("ctl.sock")
    child = case.keep(Child([VSWITCHD, *eal(6), "--ctl", ctl, "--idle", "sleep", *SANDBOX,
                             "--vhost", path], "switch", env=env))
    equal([manager.hear() for _ in range(3)],
          ["READY=1\n", "WATCHDOG=1\n", "STATUS=1 ports, 0 up; 1 workers\n"], "the first words")
    Control(ctl).close()  # ready means that this works
    began = time.monotonic()
    for _ in range(4):
        equal(manager.hear(), "WATCHDOG=1\n", "a sign of life")
    check(time.monotonic() - began < 4 * 0.4 * SLOW, "signs of life are too rare")
    # a process that stands still as a whole gives none
    child.proc.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    manager.sock.setblocking(False)
    try:
        while manager.sock.recv(4096):
            pass
    except BlockingIOError:
        pass
    time.sleep(0.6)
    try:
        raise Failed(f"a stopped process said {manager.sock.recv(4096)}")
    except BlockingIOError:
        pass
    manager.sock.settimeout(10 * SLOW)
    child.proc.send_signal(signal.SIGCONT)
    equal(manager.hear(), "WATCHDOG=1\n", "a sign of life after SIGCONT")
    child.proc.send_signal(signal.SIGTERM)
    while (said := manager.hear()) == "WATCHDOG=1\n":
        pass
    equal(said, "STOPPING=1\n", "the last word")
    equal(child.wait(STOP_SECONDS), 0, "status")


def unit():
    """{key: [values]} of the unit as it would be installed."""
    if not UNIT.exists():
        raise Skip(f"there is no {UNIT}")
    found = {}
    text = re.sub(r"\\\n\s*", " ", UNIT.read_text())
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
        found.setdefault(key, []).append(value)
    return found


def systemd_analyze(*args):
    tool = shutil.which("systemd-analyze")
    if not tool:
        raise Skip("there is no systemd-analyze")
    return run([tool, *args], 20)


def the_unit_is_sound(case):
    text = UNIT.read_text() if unit() else ""
    # where it would be installed there is nothing yet
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={VSWITCHD}", text, flags=re.M)
    text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
    path = pathlib.Path(case.path("vswitchd.service"))
    path.write_text(text)
    status, out, err, _ = systemd_analyze("verify", path)
    equal((status, out, err), (0, "", ""), "systemd-analyze verify")
    status, out, err, _ = systemd_analyze("security", "--offline=true", "--threshold=10", path)
    equal(status, 0, f"systemd-analyze security, exposure at most 1.0\n{out}{err}\n")


def call_sets():
    """{"@set": {names}} of systemd, sets within sets resolved."""
    status, out, err, _ = systemd_analyze("syscall-filter", "--no-pager")
    equal(status, 0, f"systemd-analyze syscall-filter: {err}")
    raw, name = {}, None
    for line in re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines():
        if line.startswith("@"):
            name = line.strip()
            raw[name] = set()
        elif name and line.startswith("    ") and "#" not in line:
            raw[name].add(line.strip())

    def resolve(name):
        return set().union(*(resolve(n) if n.startswith("@") else {n} for n in raw[name]))

    return {name: resolve(name) for name in raw}


def the_unit_lets_through_what_the_sandbox_does(case):
    sets = call_sets()
    allowed = set(sets["@default"])
    for value in unit()["SystemCallFilter"]:
        deny = value.startswith("~")
        names = set().union(*(sets.get(n, {n}) for n in value.lstrip("~").split()))
        allowed = allowed - names if deny else allowed | names
    text = (SOURCES / "app/vswitchd/sandbox_calls.h").read_text()
    lists = {name: set(re.findall(r'"(\w+)"', body)) for name, body in
             re.findall(r"(calls_\w+)\[\] = \{(.*?)\};", text, re.S)}
    check(len(lists["calls_control"]) > 50, "the lists were not found")
    missing = (lists["calls_common"] | lists["calls_control"]) - allowed
    equal(missing, set(), "calls that the sandbox allows and the unit refuses")
    loose = lists["calls_never"] & allowed
    # what a service may do that calls fork() is no business of the unit's
    equal(loose - {"execve", "execveat", "fork", "vfork", "pidfd_open"}, set(),
          "calls that the sandbox kills for and the unit allows")


def two_guests_talk_over_it_as_the_unit_starts_it(case):
    """The command line of the unit, confined as it says, with the configuration that it comes with."""
    if os.geteuid() != 0:
        raise Skip("only root can confine others")
    status, _, err, _ = run(["unshare", "--mount", "--net", "--ipc", "--uts", "true"], 5)
    if status:
        raise Skip(f"no namespaces here: {err.strip()}")
    if run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "test", "-x", VSWITCHD], 5)[0]:
        raise Skip(f"{VSWITCHD} is not to be reached without root")
    if VSWITCHD.startswith("/tmp/"):
        raise Skip("the program is in /tmp, which the unit does not see")
    where = case.path("run")
    os.mkdir(where, 0o750)
    os.chown(where, NOBODY, NOBODY)
    config = (SOURCES / "config/systemd/service.yaml").read_text()
    for i, mac in enumerate(MACS, 1):
        config = config.replace(f"vm{i}.sock", f"vm{i}.sock\n    mac: [{mac}]")
    pathlib.Path(where, "vswitchd.yaml").write_text(config)
    argv = unit()["ExecStart"][0].replace("/etc/vswitchd/", "/run/vswitchd/").split()[1:]
    argv += SANDBOX
    if free_hugepages() < 64:
        print("# no huge pages: on normal ones")
    script = pathlib.Path(__file__).with_name("confine.sh")
    child = case.keep(Child([script, where, NOBODY, VSWITCHD, *argv], "switch"))
    equal(child.expect(READY, 20).group(1), "2", f"ports\n{child.tail()}")
    for name, all_of_them in threads(child.pid).items():
        for status in all_of_them:
            equal({status[f] for f in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")},
                  {"0" * 16}, f"capabilities of {name}")
            equal((set(status["Uid"].split()), status["NoNewPrivs"], status["Groups"]),
                  ({str(NOBODY)}, "1", ""), f"who {name} is")
    paths = [os.path.join(where, f"vm{i}.sock") for i in (1, 2)]
    for path in paths:
        st = os.stat(path)
        equal((st.st_uid, st.st_mode & 0o777), (NOBODY, 0o660), f"owner and mode of {path}")
    control = Control(os.path.join(where, "ctl.sock"))
    guests = [start_testpmd(case, [virtio_user(path, 0, mac)], args, name=f"guest{i}")
              for i, (path, mac, args) in enumerate(zip(paths, MACS, (
                  ["--forward-mode=txonly", f"--eth-peer=0,{MACS[1]}"],
                  ["--forward-mode=rxonly"])))]
    for guest in reversed(guests):
        guest.ready().cmd("start")
    wait_for(lambda: guests[1].stats()[0]["RX-packets"] > 10000, 20, "frames at the other guest")
    for guest in guests:
        guest.quit()

    def closed():
        reply = control.call("stats")
        return all(p["closes"] for p in reply["ports"])

    wait_for(closed, 5, "the ledger closed")
    equal(control.call("status")["log_lost"], 0, "lines lost")
    control.close()
    child.proc.send_signal(signal.SIGTERM)
    equal(child.wait(STOP_SECONDS), 0, f"status\n{child.tail()}")
    equal(os.listdir(where), ["vswitchd.yaml"], "files that are left")


def it_is_built_hardened(case):
    """What the compiler and the linker were asked for is in the program."""
    readelf = shutil.which("readelf")
    if not readelf:
        raise Skip("there is no readelf (package binutils)")

    def elf(*args):
        status, out, err, _ = run([readelf, "-W", *args, VSWITCHD], 20)
        equal(status, 0, f"readelf {args}: {err}")
        return out

    check(re.search(r"Type:\s+DYN", elf("-h")), "no position independent program")
    segments = elf("-l")
    check("GNU_RELRO" in segments, "no RELRO")
    check(re.search(r"GNU_STACK.*\bRW\s", segments), "the stack is executable")
    check(not re.search(r"LOAD.*\bRWE\b", segments), "a segment is writable and executable")
    check(re.search(r"FLAGS_1.*\bNOW\b", elf("-d")), "symbols are bound late")
    symbols = elf("--dyn-syms")
    check("__stack_chk_fail" in symbols, "no stack protector")
    # the note of the whole program also needs a libc that has it, which Debian's has not
    landings = pathlib.Path(VSWITCHD).read_bytes().count(b"\xf3\x0f\x1e\xfa")
    check(landings > 200, f"{landings} times endbr64: built without -fcf-protection?")
    if FILTERED:  # the sanitizers have checks of their own
        check(re.search(r"__\w+_chk@", symbols.replace("__stack_chk_fail", "")), "no FORTIFY")


def it_stops_under_load_with_words_half_said(case):
    paths = [case.path(f"{n}.sock") for n in "abc"]
    for _ in range(5):
        options = [x for p, m in zip(paths, (f",mac={MACS[0]}", f",mac={MACS[1]}", ""))
                   for x in ("--vhost", p + m)]
        child = start(case, [*eal(7), "--ctl", case.path("ctl.sock"), *options])
        guests = [start_testpmd(case, [virtio_user(paths[i], 0, MACS[i])],
                                ["--forward-mode=txonly", f"--eth-peer=0,{MACS[1 - i]}"],
                                name="guest") for i in (0, 1)]
        for guest in guests:
            guest.ready().cmd("start")
        half = FrontEnd(paths[2])
        half.hello()
        half.sock.sendall(b"\x05\x00\x00\x00\x01\x00")  # a header begins
        control = Control(case.path("ctl.sock"))
        wait_for(lambda: all(p["rx_frames"] > 1000 for p in control.call("stats")["ports"][:2]),
                 10, "traffic")
        control.send(b'{"id":1,"meth')  # a request begins
        child.proc.send_signal(signal.SIGTERM)
        equal(child.wait(STOP_SECONDS), 0, f"status\n{child.tail()}")
        left = [p for p in (*paths, case.path("ctl.sock")) if os.path.lexists(p)]
        check(not left, f"socket files are left: {left}")
        for guest in guests:
            guest.kill()
        half.close()
        control.close()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def out_of_files_it_waits_and_recovers(case):
    path = case.path("a.sock")
    switch = start_switch(case, ["--vhost", path], ledger=False)
    switch.ctl("version")
    full = resource.prlimit(switch.pid, resource.RLIMIT_NOFILE)
    highest = max(int(n) for n in os.listdir(f"/proc/{switch.pid}/fd")) + 1
    resource.prlimit(switch.pid, resource.RLIMIT_NOFILE, (highest, full[1]))
    # no number below the limit may be free, or that one would be found
    free = highest - switch.fds()
    waiting = []
    for target in [path] * (free + 4) + [switch.ctl_path] * 4:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5 * SLOW)
        sock.connect(target)
        waiting.append(sock)
    before = cpu_seconds(switch.pid)
    time.sleep(1)
    used = cpu_seconds(switch.pid) - before
    check(used < 0.3, f"it used {used:.2f} s of CPU in 1 s while out of files")
    switch.ctl("status")  # who was there is served
    for sock in waiting:
        sock.close()
    resource.prlimit(switch.pid, resource.RLIMIT_NOFILE, full)

    def served():
        guest = FrontEnd(path)
        try:
            return guest.hello() is not None
        except (TimeoutError, OSError):
            return False
        finally:
            guest.close()

    wait_for(served, 10, "a guest that is served again")
    Control(switch.ctl_path).call("version")


def a_start_with_too_few_files_is_one_line(case):
    """Somewhere between too few for EAL and enough, each with one line or a switch that is ready."""
    ctl = case.path("ctl.sock")
    ready = 0
    for files in (10, 20, 63, 64, 80):
        argv = ["prlimit", f"--nofile={files}", VSWITCHD, *eal(8), "--ctl", ctl, *SANDBOX,
                "--idle", "sleep", "--vhost", case.path("a.sock")]
        # root may raise its limits, and does: so not as root
        if os.geteuid() == 0:
            os.chown(case.dir, NOBODY, NOBODY)
            argv[2:2] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            if run([*argv[2:6], "test", "-x", VSWITCHD], 5)[0]:
                raise Skip(f"{VSWITCHD} is not to be reached without root")
        child = case.keep(Child(argv, "switch"))
        wait_for(lambda c=child: not c.alive() or re.search(READY, c.out, re.M), 20,
                 "its end, or a switch that is ready")
        if child.alive():
            ready += 1
            child.proc.send_signal(signal.SIGTERM)
            equal(child.wait(STOP_SECONDS), 0, f"{files} files: status\n{child.tail()}")
            continue
        child.wait(1)
        lines = child.err.splitlines()
        equal(len(lines), 1, f"{files} files: lines on standard error\n{child.err}\n")
        check(lines[0].startswith("vswitchd: ") and "file" in lines[0],
              f"{files} files: {lines[0]!r} does not speak of files")
    equal(ready, 2, "starts that succeed")
    check(not os.path.lexists(ctl), "the control socket is left")


if __name__ == "__main__":
    main(nothing_shared_goes_into_a_core_dump, every_thread_is_filtered_and_workers_twice,
         vhost_only_has_no_devices,
         a_log_that_nobody_reads_holds_nobody, a_stdout_that_is_full_holds_nobody,
         a_full_disk_holds_nobody, a_service_manager_hears_how_it_goes, the_unit_is_sound,
         the_unit_lets_through_what_the_sandbox_does,
         two_guests_talk_over_it_as_the_unit_starts_it,
         it_is_built_hardened, it_stops_under_load_with_words_half_said, out_of_files_it_waits_and_recovers,
         a_start_with_too_few_files_is_one_line)
