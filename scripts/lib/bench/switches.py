# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""vswitchd and its peers, each as a switch between the guests of a Setting: started, asked for its
cycles, ended. What differs between them stays here."""

import contextlib
import os
import pathlib
import re

import harness
import ovs
from cases import GUEST_MAC, TAP_MAC
from proc import Skip, check
from testpmd import Testpmd

TESTPMD_PORTS_MOST = 32  # RTE_MAX_ETHPORTS of Debian's DPDK
_SENT_ON_LEAST = 0.98    # of what was received, for cycles a frame to mean forwarding
COUNTS_EARLY_S = 1.0
_LCORE = 1               # the one that polls


class Counts:
    """Of the polling thread, since its start. frames: received; lost: of these, not sent on."""

    def __init__(self, busy=0, frames=0, lost=0):
        self.busy, self.frames, self.lost = busy, frames, lost

    def cycles_since(self, before):
        """(cycles a frame of rounds that moved one, None where too much was dropped to tell;
        frames dropped)."""
        frames, lost = self.frames - before.frames, self.lost - before.lost
        if frames <= 0 or lost > (1 - _SENT_ON_LEAST) * frames:
            return None, lost
        return (self.busy - before.busy) / frames, lost


class _Switch:
    """@directory: for sockets and state, the caller's."""

    settle_s = 0.3            # of load, before a window
    counts_at_begin = True    # cheap enough to ask for when the window has begun
    connects = False          # to its guests, which listen

    def __init__(self, rig, setting, directory):
        self.rig, self.setting, self.dir = rig, setting, str(directory)
        self.paths = [f"{self.dir}/p{i}.sock" for i in range(setting.guests)]
        self.placement = f"0@{rig.cpus[0]},{_LCORE}@{rig.cpus[1]}"

    def wait_up(self):
        """After the guests have connected."""

    def check_alive(self):
        """A death is a better reason than what follows from it."""

    def check_null_sent(self):
        """Of a null port: that it got what was taken from the guest. Others are trusted."""


def _check_child(child):
    check(child.alive(), f"{child.name} ended by itself, status {child.proc.returncode}\n"
          + child.tail())


class Vswitchd(_Switch):
    """@program: of another build than the rig's."""

    idle = "poll"

    def __init__(self, rig, setting, directory, program=None):
        super().__init__(rig, setting, directory)
        harness.VSWITCHD = str(program or rig.program("vswitchd"))
        if setting.stations == 1:
            options = self._options()
        else:
            options = ["--config", self._config()]
        self._switch = harness.Switch(self.dir, options, ["--no-pci", "--in-memory"],
                                      idle=self.idle, placement=self.placement,
                                      wrap=["unshare", "--net"] if setting.tap else ())

    def _options(self):
        options = []
        for i, path in enumerate(self.paths):
            options += ["--vhost", f"{path},name=p{i},queues=1,mac={GUEST_MAC.format(i)}"]
        if self.setting.tap:
            options += ["--port", f"net_tap0,name=tap,mac={TAP_MAC},devargs=iface={self.setting.tap}"]
        return options + (["--port", "net_null0,name=null"] if self.setting.null else [])

    def interface(self):
        """(name, process in whose network namespace it is) of the tap."""
        return self.setting.tap, self._switch.proc.pid

    def _config(self):
        """A file with the ports and the whole table."""
        path = pathlib.Path(self.dir, "table.yaml")
        with open(path, "w", encoding="ascii") as file:
            file.write("ports:\n")
            for i, socket in enumerate(self.paths):
                file.write(f"  - {{vhost: {socket}, name: p{i}, queues: 1}}\n")
            file.write("mac-table:\n")
            file.writelines(f"  - {{mac: {mac}, port: p{guest}}}\n"
                            for mac, guest in _stations(self.setting))
        return str(path)

    def start(self):
        self._switch.ready()

    def stop(self):
        self._switch.kill()

    def check_alive(self):
        _check_child(self._switch)

    def check_null_sent(self):
        ports = {port["name"]: port for port in self.ask("stats")["ports"]}
        lost = sum(ports["null"]["tx_drop"].values()) + sum(ports["p0"]["rx_drop"].values())
        check(lost == 0, f"{lost} frames of the guest did not reach the null port")

    def ask(self, method, **params):
        return self._switch.ctl(method, **params)

    def counts(self):
        worker = self.ask("worker.list")["workers"][0]
        ports = self.ask("stats")["ports"]
        lost = sum(sum(port[side].values()) for port in ports for side in ("rx_drop", "tx_drop"))
        return Counts(worker["busy_cycles"], worker["packets"], lost)


class VswitchdSleep(Vswitchd):
    """Its worker leaves the CPU to the guests when it has nothing to do."""
    idle = "sleep"


class _Testpmd(_Switch):
    """dpdk-testpmd between net_vhost ports; those of a pair are neighbours, as testpmd pairs."""

    mode = None
    mbuf_size = 33000   # a segment in two: of all sizes the best; with 2 KiB it takes 32

    def __init__(self, rig, setting, directory):
        super().__init__(rig, setting, directory)
        ports = len(self.paths) + setting.null
        if ports > TESTPMD_PORTS_MOST:
            raise ovs.PeerMissing(f"testpmd: {ports} ports: it is built for {TESTPMD_PORTS_MOST}"
                                  " at most (RTE_MAX_ETHPORTS); compare with fewer guests")
        vdevs = [f"net_vhost{i},iface={path},queues=1{self._offloads()}"
                 for i, path in enumerate(self.paths)]
        vdevs += ["net_null0"] if setting.null else []
        try:
            self._testpmd = Testpmd(
                vdevs, [f"--forward-mode={self.mode}", "--nb-cores=1", "--burst=64",
                        f"--rxd={setting.ring}", f"--txd={setting.ring}", "--record-core-cycles",
                        *self._mbufs()],
                name=f"testpmd-{self.mode}", memory=["--in-memory"], placement=self.placement)
        except Skip as skip:
            raise ovs.PeerMissing(f"testpmd: {skip}; run scripts/setup test") from None

    def _offloads(self):
        """Without "legacy" flags net_vhost hands segments on as frames of 64 KiB, and finishes every
        checksum; with them it hands on what a guest must not get that did not negotiate it."""
        setting = self.setting
        if not setting.tcp or (setting.tcp, setting.takes) == ("csum", "none"):
            return ""
        return f",tso={int(setting.tcp == 'tso')},legacy-ol-flags=1"

    def _mbufs(self):
        if self.setting.tcp == "tso" and self.mbuf_size:
            return ["--total-num-mbufs=2048", f"--mbuf-size={self.mbuf_size}"]
        ports = len(self.paths) + self.setting.null
        return [f"--total-num-mbufs={32768 + max(0, ports - 2) * 2 * self.setting.ring}"]

    def start(self):
        self._testpmd.ready()
        self._testpmd.cmd("start")

    def stop(self):
        self._testpmd.kill()

    def check_alive(self):
        _check_child(self._testpmd)

    def counts(self):
        text = self._testpmd.cmd("show fwd stats all").split("Accumulated", 1)[-1]
        found = [re.search(rf"{d}X-packets: (\d+)", text) for d in "RT"]
        check(all(found), f"testpmd shows no counters: {text[:100]}")
        received, sent = (int(match[1]) for match in found)
        cycles = re.search(r"total cycles=(\d+)", text)  # absent until it has had a frame
        return Counts(int(cycles[1]) if cycles else 0, received, received - sent)


class TestpmdIo(_Testpmd):
    mode = "io"


class TestpmdSmall(TestpmdIo):
    """As it is by default."""
    mbuf_size = None


class TestpmdMac(_Testpmd):
    mode = "mac"


class Ovs(_Switch):
    """OVS-DPDK. It is asked by starting programs, which would disturb a window; so its counters
    run from COUNTS_EARLY_S before it."""

    counts_at_begin = False
    tso = False

    def __init__(self, rig, setting, directory):
        super().__init__(rig, setting, directory)
        # Each destination costs one trip to the slow path before it has a flow of its own.
        self.settle_s = COUNTS_EARLY_S + 0.5 + setting.entries() / 25000
        ports = [ovs.Port("vhost", path) for path in self.paths]
        pairs = [(i, i + 1) for i in range(0, setting.guests - 1, 2)]
        if setting.null:
            ports.append(ovs.Port("null"))
            pairs = [(0, 1)]
        if setting.tap:
            ports.append(ovs.Port("local"))
            pairs = [(0, 1)]
        self._ovs = ovs.Ovs(self.dir, ports, pairs, *rig.cpus, ring=setting.ring,
                            flows=_stations(setting) if setting.stations > 1 else None,
                            tso=self.tso)

    def start(self):
        self._ovs.start()

    def stop(self):
        self._ovs.stop()

    def wait_up(self):
        self._ovs.wait_up()

    def counts(self):
        found = self._ovs.cycles() or {"busy": 0, "frames": 0}
        return Counts(found["busy"], found["frames"], self._ovs.dropped())

    def version(self):
        return self._ovs.version()

    def interface(self):
        """As Vswitchd.interface()."""
        return self._ovs.interface()


class OvsTso(Ovs):
    """With userspace TSO."""
    tso = connects = True


_KINDS = {"vswitchd": Vswitchd, "vswitchd-sleep": VswitchdSleep, "own": Vswitchd, "testpmd-io": TestpmdIo,
          "testpmd-2k": TestpmdSmall, "testpmd-mac": TestpmdMac, "ovs": Ovs, "ovs-tso": OvsTso}


def _stations(setting):
    """(address, guest) of all, as test/perf/load has them."""
    for guest in range(setting.guests):
        head = GUEST_MAC.format(guest)[:9]
        for station in range(setting.stations):
            text = f"{station:06x}"
            yield f"{head}{text[:2]}:{text[2:4]}:{text[4:]}", guest


@contextlib.contextmanager
def running(kind, rig, setting, directory, **more):
    """One of the above; it ends with the context."""
    check(os.path.isdir(directory), f"{directory}: no directory")
    switch = _KINDS[kind](rig, setting, directory, **more)
    with contextlib.ExitStack() as stack:
        stack.callback(switch.stop)
        switch.start()
        yield switch


