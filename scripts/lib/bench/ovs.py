# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Open vSwitch with DPDK, from Debian's packages, as a peer to compare with.

The packages are downloaded and unpacked into a cache, never installed; the two daemons run from
there with all their state in a directory of the caller's, and die with us. The userspace datapath
makes kernel taps, one for itself and one for its bridge, so ovs-vswitchd runs in a network
namespace of its own: nobody sees them come and go, and no frame of the kernel's gets in."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "test" / "func"))

from cases import TAP_MAC  # noqa: E402
from ovs_packages import (  # noqa: E402, F401
    SERVER, TOOLS, VSWITCHD, PeerMissing, last, unpacked)
from proc import Child, Failed, check, run, wait_for  # noqa: E402

_BRIDGE = "br-bench"
_SOCKET_BYTES = 107     # of a path that fits into a struct sockaddr_un
_HUGEPAGES_MIB = 1024
_CACHED_FLOWS = 200000  # its own default of the most
_START_SECONDS = 30     # EAL loads every driver that is installed, and clears the hugepages
_ASK_SECONDS = 10
_END_SECONDS = 5


@dataclasses.dataclass
class Port:
    kind: str          # "vhost": a guest, "null": a device that swallows frames and makes some,
                       # "local": the bridge's own, an interface in OVS's network namespace
    path: str = ""     # vhost: the socket, in the directory that Ovs is given or below it


class Ovs:
    """@directory: OVS's run-time directory, where its state and the sockets are
    @ports: Port objects; @pairs: of indexes into them, forwarded to each other by static flows
    @main_cpu: where everything but the one PMD thread runs; @poll_cpu: where that polls
    Flows by in_port alone are looked up by port and Ethernet type, the "simple match", and do not
    come as far as the exact match cache.
    @ring: descriptors of a null port; those of a vhost port are the guest's
    @flows: (destination address, index of the port that it is behind), instead of @pairs
    @tso: offer guests TSO and checksums, which it does not by default (userspace-tso-enable). It
    can do so only where it is the one that connects, so that the guests have to listen."""

    name = "ovs"

    def __init__(self, directory, ports, pairs, main_cpu, poll_cpu, ring=1024,
                 flows=None, tso=False):
        self._dir = os.path.abspath(directory)
        self._state = os.path.join(self._dir, "ovs")
        self._db = f"unix:{self._state}/db.sock"
        self._ports, self._pairs = list(ports), list(pairs)
        # OVS names the socket of a vhost port as the port.
        self._names = [os.path.basename(p.path) or f"null{i}" for i, p in enumerate(ports)
                       if p.kind != "local"]
        self._main_cpu, self._poll_cpu = main_cpu, poll_cpu
        self._ring, self._flows, self._tso = ring, flows, tso
        self._daemons, self._made = [], []

    def start(self):
        """Return when bridge, ports and flows are there and the sockets listen; where that fails,
        nothing of it stays."""
        config = {**self._config(), **self._socket_dir()}
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._start_database(config)
            self._start_switch()
            undo.pop_all()

    def stop(self):
        """End the processes that we started, newest first, and remove what they and we made."""
        for child in reversed(self._daemons):
            child.proc.send_signal(signal.SIGTERM)
            with contextlib.suppress(Failed):
                child.wait(_END_SECONDS)
            child.kill()
        for path in filter(os.path.lexists, self._made):  # one that had to be killed leaves all
            (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)
        self._daemons, self._made = [], []

    def wait_up(self, deadline=10):
        """Wait until it serves all guests. They see their links up before that, but what it has
        for them it still drops then, and counts it nowhere."""
        wait_for(lambda: not self._ask(
            "ovs-vsctl", f"--db={self._db}", "--bare", "--columns=name", "find", "Interface",
            f"type=dpdkvhostuser{'client' if self._tso else ''}", "link_state!=up"), deadline, "ovs: all guests up")

    def cycles(self):
        """{"busy": cycles, "frames": frames} of the PMD thread since its start, None without it.

        Busy are all TSC cycles of those rounds over the thread's ports that moved at least one
        frame, with the polling of the ports that had none; rounds that moved nothing are idle and
        not in it. Frames are those received from ports, each once."""
        text = self._appctl("dpif-netdev/pmd-stats-show", "-pmd", self._poll_cpu)
        thread = re.search(rf"^pmd thread .* core_id {self._poll_cpu}:\n((?: .*\n?)*)", text, re.M)
        found = dict(re.findall(r"^ +([a-z ]+): (\d+)", thread[1], re.M)) if thread else {}
        busy, frames = found.get("processing cycles"), found.get("packets received")
        return {"busy": int(busy), "frames": int(frames)} if busy and frames else None

    def dropped(self):
        """Frames that the ports dropped, each since its guest connected: mostly for a full ring."""
        # 3.1 has the usual counters of a vhost port in client mode only (here they are "?"), but
        # OVS's own, of what it drops on sending, of all ports, for OpenFlow 1.4 and later.
        text = self._ask("ovs-ofctl", "-O", "OpenFlow14", "dump-ports", _BRIDGE)
        counts = re.findall(r"\bovs_tx_\w+_drops=(\d+)|\brx pkts=.*? drop=(\d+)", text)
        return sum(int(sent or received) for sent, received in counts)

    def version(self):
        """Such as "3.1.0, DPDK 22.11.11"."""
        lines = self._ask(VSWITCHD, "--version").splitlines()
        return f"{lines[0].split()[-1]}, {lines[1]}"

    def _start_database(self, config):
        os.mkdir(self._state)
        self._made = [self._state, *(p.path for p in self._ports if p.kind == "vhost"),
                      *(f"{self._dir}/{_BRIDGE}.{kind}" for kind in ("mgmt", "snoop"))]
        database, schema = f"{self._state}/conf.db", "usr/share/openvswitch/vswitch.ovsschema"
        self._ask("ovsdb-tool", "create", database, unpacked()[0] / schema)
        server = self._daemon("ovsdb", SERVER, database, f"--remote=p{self._db}")
        self._await(server, lambda: os.path.exists(f"{self._state}/db.sock"), "its socket")
        self._vsctl(server, "--no-wait", "--", "init", "--", "set", "Open_vSwitch", ".",
                    *(f"other_config:{key}={value}" for key, value in config.items()))

    def _start_switch(self):
        vswitchd = self._daemon("vswitchd", VSWITCHD, self._db, wrap=("unshare", "--net"))
        self._vsctl(vswitchd, *self._bridge())
        for index, name in enumerate(self._names):  # it goes on without one that it cannot make
            number, error = self._ask("ovs-vsctl", f"--db={self._db}", "get", "Interface", name,
                                      "ofport", "error").splitlines()
            check(number == str(index + 1), f"ovs: port {name}: {error}\n{vswitchd.tail()}")
        matches = ((f"in_port={self._number(a)}", b)
                   for p in self._pairs for a, b in (p, p[::-1]))
        if self._flows is not None:
            matches = ((f"dl_dst={mac}", port) for mac, port in self._flows)
        self._ask("ovs-ofctl", "add-flows", _BRIDGE, "-", stdin="".join(
            f"priority=100,{match},actions=output:{self._number(to)}\n" for match, to in matches))
        # Of the cache; it begins with 10,000 and would grow by 2,000 a second.
        self._appctl("upcall/set-flow-limit", _CACHED_FLOWS)
        self._await(vswitchd, self.cycles, f"a PMD thread on CPU {self._poll_cpu}")

    def _number(self, index):
        """Of a port, in OpenFlow."""
        return "LOCAL" if self._ports[index].kind == "local" else index + 1

    def interface(self):
        """(name, process in whose network namespace it is) of the local port."""
        return _BRIDGE, self._daemons[-1].proc.pid

    def _socket_dir(self):
        """Check the sockets' paths; return the setting for their directory."""
        paths = [os.path.abspath(p.path) for p in self._ports if p.kind == "vhost"]
        directory = os.path.dirname(paths[0]) if paths else self._dir
        for path in paths:
            check(os.path.dirname(path) == directory and path.startswith(f"{self._dir}/"), "ovs:"
                  f" {path}: all sockets must be in one directory, {self._dir} or below it")
            check(not os.path.lexists(path), f"ovs: {path}: exists; give it another name")
            check(len(os.fsencode(path)) <= _SOCKET_BYTES, f"ovs: {path}: longer than"
                  f" {_SOCKET_BYTES} bytes; use a shorter directory")
        below = os.path.relpath(directory, self._dir)
        return {} if below == "." else {"vhost-sock-dir": f'"{below}"'}

    def _config(self):
        # --in-memory: no file on hugetlbfs that another DPDK process could meet.
        eal = f"--no-pci --in-memory --no-telemetry --file-prefix ovs{os.getpid()}"
        return {"dpdk-init": "true", "dpdk-extra": f'"{eal}"', "dpdk-socket-mem": _HUGEPAGES_MIB,
                "pmd-cpu-mask": hex(1 << self._poll_cpu), "n-handler-threads": 1,
                "n-revalidator-threads": 1,
                **({"userspace-tso-enable": "true"} if self._tso else {})}

    def _bridge(self):
        """Of ovs-vsctl: the bridge and its ports, numbered from 1 as they are in OpenFlow."""
        yield from ("--", "add-br", _BRIDGE, "--", "set", "Bridge", _BRIDGE,
                    "datapath_type=netdev", "fail_mode=secure", f"other_config:hwaddr={TAP_MAC}")
        for index, (name, port) in enumerate(zip(self._names, self._ports)):
            yield from ("--", "add-port", _BRIDGE, name, "--", "set", "Interface", name,
                        f"ofport_request={index + 1}")
            if port.kind == "vhost" and self._tso:
                yield from ("type=dpdkvhostuserclient",
                            f"options:vhost-server-path={os.path.abspath(port.path)}")
            elif port.kind == "vhost":
                yield "type=dpdkvhostuser"
            else:
                yield from ("type=dpdk", f'options:dpdk-devargs="net_null{index}"',
                            f"options:n_rxq_desc={self._ring}", f"options:n_txq_desc={self._ring}")

    # ---- processes, all beside the PMD thread and not in its way

    def _argv(self, program, args, wrap=()):
        path = unpacked()[0] / (f"usr/bin/{program}" if program in TOOLS else program)
        return ["taskset", "-c", self._main_cpu, *wrap, path, *args]

    def _env(self):
        # RUNTIME_DIRECTORY is EAL's, for a folder that it makes even with --in-memory.
        ours = ("OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR", "RUNTIME_DIRECTORY")
        return {**os.environ, **dict.fromkeys(ours, self._state), "OVS_RUNDIR": self._dir,
                "LD_LIBRARY_PATH": unpacked()[1]}

    def _daemon(self, name, program, *args, wrap=()):
        args = ["-vsyslog:off", "-vconsole:info", f"--unixctl={self._state}/{name}.ctl", *args]
        self._daemons.append(Child(self._argv(program, args, wrap), name, env=self._env()))
        return self._daemons[-1]

    def _await(self, daemon, predicate, what):
        """Wait for @predicate, as long as @daemon lives."""
        def ready():
            check(daemon.alive(), f"ovs: {daemon.name} ended ({daemon.proc.returncode}) before"
                  f" {what}\n{daemon.tail()}")
            return predicate()
        wait_for(ready, _START_SECONDS, f"{daemon.name}: {what}")

    def _vsctl(self, daemon, *args):
        """Change the database. ovs-vsctl then waits until ovs-vswitchd has followed."""
        argv = self._argv("ovs-vsctl", ("--retry", f"--db={self._db}", *args))
        vsctl = Child(argv, "ovs-vsctl", env=self._env())
        with contextlib.ExitStack() as undo:
            undo.callback(vsctl.kill)
            self._await(daemon, lambda: not vsctl.alive(), "ovs-vsctl was done")
            check(vsctl.wait(_ASK_SECONDS) == 0, f"ovs: ovs-vsctl: status"
                  f" {vsctl.proc.returncode}\n{vsctl.tail()}\n{daemon.tail()}")

    def _appctl(self, *args):
        return self._ask("ovs-appctl", "-t", f"{self._state}/vswitchd.ctl", *args)

    def _ask(self, program, *args, stdin=None):
        """Run it to its end; return what it printed."""
        status, out, err, _ = run(self._argv(program, args), _ASK_SECONDS, self._env(), stdin)
        check(status == 0, f"ovs: {program} {' '.join(map(str, args))}: {status}: {last(err)}")
        return out
