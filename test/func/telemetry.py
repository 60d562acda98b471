# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""DPDK's telemetry under /vswitchd/: that it tells what the control socket does, as far as its own
limits let it, and that its clients cost the switch nothing."""

import concurrent.futures
import json
import os
import signal

from harness import STOP_SECONDS, VSWITCHCTL, start_switch, vswitchctl
from proc import Child, Skip, check, equal, wait_for, SLOW
from process import FILTERED
from runner import main
from tel_client import STRING_MAX, Telemetry, alike, as_told, socket_path
from vhostuser import FrontEnd

MAC = "02:00:00:00:07:01"
COMMANDS = ["macs", "port", "ports", "stats", "status", "worker", "workers"]


def asked(switch, *command):
    status, out, err = vswitchctl(switch, "-j", *command)
    equal(status, 0, f"vswitchctl {command}: {err}")
    return json.loads(out)["result"]


def compare(switch, telemetry, question, *command):
    before = as_told(asked(switch, *command))
    got = telemetry.ask(question)
    alike(got, before, as_told(asked(switch, *command)), question)


def compare_all(switch, telemetry, *ports):
    """Every command against vswitchctl, with nothing going on."""
    compare(switch, telemetry, "status", "status")
    compare(switch, telemetry, "workers", "worker", "list")
    compare(switch, telemetry, "worker,1", "worker", "show", "1")
    compare(switch, telemetry, "stats", "stats")
    for port in ports:
        compare(switch, telemetry, f"port,{port}", "port", "show", port)
        compare(switch, telemetry, f"stats,{port}", "stats", port)
    equal(telemetry.ask("ports"), list(ports), "ports")
    equal(telemetry.ask("macs"),
          [f"{m['mac']} {m['port']}" for m in asked(switch, "mac", "list")["macs"]], "macs")


def it_tells_what_the_control_socket_does(case):
    # Telemetry cuts this path, and in the middle of a character. DPDK cannot have such at all.
    where = case.path("d" * (STRING_MAX - len(case.dir) - 12) + "\u00fc" * 20)
    os.mkdir(where)
    here = os.open(where, os.O_PATH)
    case.on_end(lambda: os.close(here))
    switch = start_switch(case, ["--port", "net_null1,name=sink,devargs=no-rx=1", "--vhost",
                                 f"{where}/a.sock,name=a-1,mac={MAC}"], stable=False, workers=2)
    telemetry = Telemetry(case, switch)
    switch.wait_up("sink")
    commands = [c for c in telemetry.ask("/") if c.startswith("/vswitchd")]
    equal(commands, [f"/vswitchd/{c}" for c in COMMANDS], "commands")
    check(all(telemetry.ask(f"/help,{c}")[c] for c in commands), "no help")
    compare_all(switch, telemetry, "sink", "a-1")
    guest = FrontEnd(f"/proc/self/fd/{here}/a.sock")
    case.on_end(guest.sock.close)
    check(guest.handshake(), "no session")
    switch.ctl("port.add", device="net_null0,name=source")
    switch.ctl("mac.add", mac="02:00:00:00:07:09", port="sink")
    switch.wait_rx("source", 1000)
    # under traffic the ledger of a moment need not close, and the rest only grows
    before = as_told(asked(switch, "stats", "source"))["ports"]["0"]
    got = telemetry.ask("stats,source")["ports"]["0"]
    after = as_told(asked(switch, "stats", "source"))["ports"]["0"]
    before["closes"] = after["closes"] = got["closes"]
    alike(got, before, after, "stats under traffic")
    switch.ctl("port.del", name="source")
    counters = switch.quiet()
    compare_all(switch, telemetry, "sink", "a-1")
    stats = telemetry.ask("stats")
    sent, received = stats["ports"]["0"]["tx_frames"], stats["retired_rx_frames"]
    equal((sent, received), (counters["sink"]["tx_frames"], counters["retired"]["rx_frames"]),
          "frames")
    check(sent > 0 and received >= 1000, f"{sent} frames sent and {received} received")
    port = telemetry.ask("port,a-1")
    equal(port["peer_pid"], os.getpid(), "the peer")
    equal(port["where"][-12:], "d" + "?" * 11, "the end of the path")


def what_makes_no_sense_is_answered_null(case):
    switch = start_switch(case, ["--vhost", f"{case.path('a.sock')},mac={MAC}"])
    telemetry = Telemetry(case, switch)
    for question in ("port", "port,", "port,nosuch", "port,a,", "port, a", "port," + "y" * 900,
                     "stats,nosuch", "stats," + "y" * 2000, "worker", "worker,", "worker,a",
                     "worker,-1", "worker,0", "worker,99", "worker,2147483648", "worker,1x",
                     "macs,a", "macs,-1", "macs,4294967296", "ports,a", "ports,-1",
                     "ports,99999999999999999999", "nosuch", "", "port,\udcff", "stats,\udcff"):
        equal(telemetry.ask(question), None, ascii(question[:40]))
    # none where one may be left out, and one where there is none
    equal(list(telemetry.ask("stats,")["ports"]), ["0"], "stats of an empty name")
    equal(telemetry.ask("macs,"), [f"{MAC} a"], "macs of an empty number")
    equal(telemetry.ask("status,x")["ports"], 1, "status of x")
    equal([telemetry.ask(f"{c},4294967295") for c in ("macs", "ports")], [[], []], "past the end")
    compare_all(switch, telemetry, "a")


def long_lists_are_cut_where_it_says_so(case):
    # names as long as they may be, so that 16 KiB hold no list of them whole
    names = [f"{i:031}" for i in range(350)]
    switch = start_switch(case, [x for n in names for x in ("--vhost", case.path(f"{n}.sock"))])
    telemetry = Telemetry(case, switch)
    for i in range(1000):
        switch.ctl("mac.add", mac=f"02:00:00:00:{i >> 8:02x}:{i & 255:02x}", port=names[i % 350])
    macs = [f"{m['mac']} {m['port']}" for m in asked(switch, "mac", "list")["macs"]]
    equal(len(macs), 1000, "entries of the table")
    for question, want in (("ports", names), ("macs", macs)):
        got, parts = [], 0
        while len(got) <= len(want) and (part := telemetry.ask(f"{question},{len(got)}")):
            check(len(part) > 100 or got + part == want, f"{question}: only {len(part)} in a part")
            got, parts = got + part, parts + 1
        check(parts > 1, f"{question}: it was not cut")
        equal(got, want, question)
    stats, whole = telemetry.ask("stats"), as_told(asked(switch, "stats"))
    equal(sorted(stats), sorted(whole), "members of stats")
    left_off, told = stats["ports"].pop("left_off"), len(stats["ports"])
    check(10 < told == 350 - left_off, f"{told} of 350 ports are told, and {left_off} left off")
    some = {str(i): whole["ports"][str(i)] for i in range(told)}
    alike(stats["ports"], some, some, "stats")
    compare(switch, telemetry, f"stats,{names[-1]}", "stats", names[-1])


def many_at_once_get_their_own_answers(case):
    names = [f"p{i}" for i in range(8)]
    switch = start_switch(case, [x for n in names for x in ("--vhost", case.path(f"{n}.sock"))])
    fds = switch.stable_fds()

    def talk(name, telemetry):
        for _ in range(300):
            equal(telemetry.ask(f"port,{name}")["name"], name, "name")
            equal(telemetry.ask("stats,nosuch"), None, "stats of no port")

    clients = [Telemetry(case, switch) for _ in names]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(talk, names, clients))
    for client in clients:
        client.sock.close()
    equal(switch.stable_fds(), fds, "file descriptors")
    equal(Telemetry(case, switch).ask("ports"), names, "ports")


def a_busy_control_thread_costs_an_answer_and_nothing_else(case):
    switch = start_switch(case, ["--vhost", case.path("a.sock")], ledger=False)
    clients = [Telemetry(case, switch) for _ in range(3)]
    fifo = case.path("fifo")
    os.mkfifo(fifo)

    def keep_busy():
        """Until release(): a driver opens a file that has no writer yet."""
        adding = case.keep(Child([VSWITCHCTL, "-s", switch.ctl_path, "-t", "60", "port", "add",
                                  "--device", f"net_pcap0,devargs=rx_pcap={fifo}"], "port add"))

        def unanswered():
            asking = [pool.submit(c.ask, "ports") for c in clients[:2]]
            equal(clients[2].ask("/info")["pid"], switch.pid, "what DPDK itself tells meanwhile")
            if not adding.alive():
                raise Skip(f"no net_pcap: {adding.tail()}")
            return [a.result() for a in asking] == [None, None]

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            wait_for(unanswered, 10, "a control thread that is busy")
        return adding

    def release():
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))

    adding = keep_busy()
    release()
    check(adding.wait(10) != 0, "an empty file was taken as a device")
    equal([c.ask("status")["ports"] for c in clients], [1, 1, 1], "ports")
    keep_busy()
    clients[0].sock.send(b"/vswitchd/ports")
    switch.proc.send_signal(signal.SIGTERM)
    release()
    equal(switch.wait(STOP_SECONDS), 0, f"status\n{switch.tail()}")


def clients_that_stay_do_not_hold_its_end(case):
    switch = start_switch(case, ["--vhost", case.path("a.sock")])
    idle, *talking = [Telemetry(case, switch) for _ in range(4)]
    answers = [0] * len(talking)

    def talk(i):
        try:
            while True:
                answers[i] += talking[i].ask("stats") is not None
        except (BrokenPipeError, ConnectionResetError):
            return

    # not waited for where this fails: they talk for as long as the switch lives
    pool = concurrent.futures.ThreadPoolExecutor(len(talking))
    ends = pool.map(talk, range(len(talking)))
    wait_for(lambda: all(answers), 10, "an answer for each")
    took = switch.stop()
    check(took < 1 * SLOW, f"the end took {took:.2f} s")
    list(ends)
    equal(idle.sock.recv(1), b"", "what the idle one hears")
    check(not os.path.lexists(socket_path(switch)), "its socket is left")


def the_sandbox_lets_it_work(case):
    if not FILTERED:
        raise Skip("this build's own calls are on no list")
    for name, more in (("on", ["--sandbox=on"]), ("vo", ["--sandbox=kill", "--vhost-only"])):
        switch = start_switch(case, ["--vhost", f"{case.path(f'{name}.sock')},mac={MAC}", *more])
        for _ in range(2):  # a thread each
            compare_all(switch, Telemetry(case, switch), name)
        switch.stop()
        check(not os.path.lexists(socket_path(switch)), f"{more}: its socket is left")


if __name__ == "__main__":
    main(it_tells_what_the_control_socket_does, what_makes_no_sense_is_answered_null,
         long_lists_are_cut_where_it_says_so, many_at_once_get_their_own_answers,
         a_busy_control_thread_costs_an_answer_and_nothing_else,
         clients_that_stay_do_not_hold_its_end, the_sandbox_lets_it_work)
