# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The switch under test: started, asked over its control socket, held to its ledger, stopped."""

import json
import os
import pathlib
import signal
import socket
import time

from proc import Child, Failed, check, equal, run, wait_for, SLOW
from testpmd import Testpmd, lcores

_BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "app"
VSWITCHD = os.environ.get("VSWITCHD", str(_BUILD / "vswitchd" / "vswitchd"))
VSWITCHCTL = os.environ.get("VSWITCHCTL", str(_BUILD / "vswitchctl" / "vswitchctl"))

# Memory that needs neither root nor hugepages. EAL refuses --in-memory beside it.
NO_HUGE = ["--no-huge", "--no-shconf", "-m", "256"]
# A call that the sandbox does not know ends the switch, and so the test.
SANDBOX = ["--sandbox", os.environ["TEST_SANDBOX"]] if "TEST_SANDBOX" in os.environ else []
READY = r"^ready: (\d+) ports, (\d+) workers$"
STOP_SECONDS = 2


class Refused(Exception):
    """An error reply of the control socket."""

    def __init__(self, method, error):
        super().__init__(f"{method}: {error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]


class Control:
    """One connection to a control socket."""

    def __init__(self, path, deadline=10):
        self._id = 0
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(deadline * SLOW)
        self._sock.connect(path)
        self._left = b""

    def send(self, data):
        self._sock.sendall(data)

    def line(self):
        """The next reply, decoded; None if the switch closed the connection."""
        while b"\n" not in self._left:
            try:
                data = self._sock.recv(65536)
            except ConnectionResetError:
                data = b""
            except TimeoutError:
                raise Failed("no reply on the control socket") from None
            if not data:
                return None
            self._left += data
        line, self._left = self._left.split(b"\n", 1)
        return json.loads(line)

    def call(self, method, **params):
        self._id += 1
        self.send(json.dumps({"id": self._id, "method": method, "params": params}).encode()
                  + b"\n")
        reply = self.line()
        check(reply is not None, f"{method}: the switch closed the control connection")
        equal(reply.get("id"), self._id, f"{method}: id of the reply")
        if "error" in reply:
            raise Refused(method, reply["error"])
        return reply["result"]

    def close(self):
        self._sock.close()


def check_ledger(port):
    """Both sums of the design, from the counters themselves and not from the switch's verdict."""
    rx_drop, tx_drop = sum(port["rx_drop"].values()), sum(port["tx_drop"].values())
    name = port.get("name", "retired")
    check(port["rx_frames"] + port["rx_injected"]
          == port["unicast"] + port["flooded"] + rx_drop + port["rx_coalesced"],
          f"{name}: as a source {port['rx_frames']} received + {port['rx_injected']} injected, but"
          f" {port['unicast']} unicast + {port['flooded']} flooded + {port['rx_drop']} dropped"
          f" + {port['rx_coalesced']} coalesced")
    check(port["copies"] + port["tx_segments"] == port["tx_frames"] + tx_drop,
          f"{name}: as a destination {port['copies']} copies + {port['tx_segments']} of cutting,"
          f" but {port['tx_frames']} delivered + {port['tx_drop']} dropped")
    check(port["closes"] is True, f"{name}: the switch itself says that its ledger is open")


class Switch(Child):
    """@options: the switch's own; @eal: EAL's, instead of NO_HUGE memory and no PCI;
    @placement: of lcores on CPUs, instead of @workers that are free to move."""

    def __init__(self, directory, options=(), eal=None, workers=1, wrap=(), idle="sleep",
                 placement=None):
        self.ctl_path = os.path.join(directory, "ctl.sock")
        self.options = [str(o) for o in options]
        if eal is None:
            eal = ["--no-pci", *NO_HUGE, "--file-prefix", f"vsw{os.getpid()}-{time.monotonic_ns()}"]
        argv = [*wrap, VSWITCHD, "--lcores", placement or lcores(workers), *eal, "--",
                "--ctl", self.ctl_path, "--idle", idle, *SANDBOX, *self.options]
        super().__init__(argv, "switch")
        self._control = None

    def ready(self, deadline=20):
        """Wait until it says that it is; return (ports, workers)."""
        match = self.expect(READY, deadline)
        return int(match.group(1)), int(match.group(2))

    def ctl(self, method, **params):
        if self._control is None:
            self._control = Control(self.ctl_path)
        return self._control.call(method, **params)

    def port(self, name):
        return self.ctl("port.show", name=name)

    def counters(self):
        """{port: counters}, the removed ones as "retired"."""
        reply = self.ctl("stats")
        ports = {port["name"]: port for port in reply["ports"]}
        ports["retired"] = reply["retired"]
        return ports

    def wait_up(self, *names, deadline=10):
        for name in names:
            wait_for(lambda n=name: self.port(n)["state"] == "up", deadline, f"port {name} up")

    def wait_down(self, *names, deadline=10):
        for name in names:
            wait_for(lambda n=name: self.port(n)["state"] == "down", deadline, f"port {name} down")

    def wait_rx(self, name, frames, deadline=10):
        """Wait until it has received @frames from a port."""
        wait_for(lambda: self.counters()[name]["rx_frames"] >= frames, deadline,
                 f"{frames} frames from port {name} (it has {self.counters()[name]})")

    def quiet(self, deadline=5):
        """Wait until no counter moves; return the counters."""
        end = time.monotonic() + deadline * SLOW
        before = self.counters()
        while True:
            time.sleep(0.03)
            now = self.counters()
            if now == before:
                return now
            check(time.monotonic() < end, "counters still move with no traffic")
            before = now

    def ledger(self, stable=True):
        """Check that it closes, port by port and, where the set of ports was @stable, as a whole:
        each frame sent on became just as many copies as there are ports for it."""
        ports = self.quiet()
        for port in ports.values():
            check_ledger(port)
        if stable:
            self._check_copies(ports)
        return ports

    def _check_copies(self, ports):
        """A flood goes to the ports that are up. How many those were is known where the ports that
        are up now are all that ever were; it is between the two otherwise."""
        listed = self.ctl("port.list")["ports"]
        now = {p["name"] for p in listed if p["state"] == "up"}
        ever = now | {p["name"] for p in listed if self.port(p["name"]).get("connections", 0)}
        live = {name: p for name, p in ports.items() if name != "retired"}
        made = sum(p["copies"] for p in live.values())
        least, most = (sum(p["unicast"] + p["flooded"] * len(up - {name})
                           for name, p in live.items()) for up in (now, ever))
        check(least <= made <= most,
              f"{made} copies were made of frames sent on, should be {least} to {most}")

    def stable_fds(self, deadline=5):
        """How many file descriptors it has once that number stays (a closed connection's goes a
        little later), our own control connection among them."""
        self.ctl("version")
        end = time.monotonic() + deadline * SLOW
        seen = [self.fds()]
        while len(seen) < 6 or len(set(seen[-6:])) > 1:
            check(time.monotonic() < end, f"the number of file descriptors moves: {seen[-6:]}")
            time.sleep(0.02)
            seen.append(self.fds())
        return seen[-1]

    def sockets(self):
        """Paths of the socket files that it must have removed when it ends."""
        paths = [self.ctl_path]
        for option, value in zip(self.options, self.options[1:]):
            if option == "--vhost" and "mode=client" not in value:
                paths.append(value.split(",")[0])
        return paths

    def stop(self, sig=signal.SIGTERM):
        """End it in order; return the seconds that took."""
        if self._control:
            self._control.close()
            self._control = None
        start = time.monotonic()
        self.proc.send_signal(sig)
        status = self.wait(STOP_SECONDS)
        took = time.monotonic() - start
        equal(status, 0, f"exit status after {sig.name}\n{self.tail()}\n")
        left = [p for p in self.sockets() if os.path.lexists(p)]
        check(not left, f"socket files are left: {left}")
        return took

    def report(self):
        text = [f"# switch: {' '.join(self.argv)}", self.tail(40)]
        if self.alive():
            control = Control(self.ctl_path, 2)
            for method in ("status", "port.list", "stats"):
                text.append(f"# {method}: " + json.dumps(control.call(method)))
            control.close()
        else:
            text.append(f"# the switch has ended: {self.proc.returncode}")
        return "\n".join(text)


def start_switch(case, options=(), ledger=True, stable=True, ready_s=20, **kwargs):
    """Start a switch for a case, which at its end must have a closed ledger and stop in order."""
    switch = Switch(case.dir, options, **kwargs)
    case.keep(switch)
    switch.ready(ready_s)

    def ending():
        if switch.alive():
            if ledger:
                switch.ledger(stable)
            switch.stop()
        else:
            equal(switch.proc.returncode, 0, "exit status of the switch")

    case.at_success(ending)
    return switch


def start_testpmd(case, vdevs, args=(), **kwargs):
    return case.keep(Testpmd(vdevs, args, **kwargs))


def vswitchctl(switch, *args, deadline=10):
    """Run the client; return (status, stdout, stderr)."""
    path = switch.ctl_path if isinstance(switch, Switch) else switch
    return run([VSWITCHCTL, "-s", path, *args], deadline)[:3]
