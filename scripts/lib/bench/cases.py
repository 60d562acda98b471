# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""What is measured: settings, the cases made of them with what they have to hold, and the series
that become charts."""

import dataclasses
import difflib

TCP_HEADS = 66     # bytes of Ethernet, IPv4 and TCP with a time stamp; see test/support/vload_tcp.h
SEGMENT = TCP_HEADS + 45 * 1448  # the longest that Linux makes of 1448s
SEGMENTS = 16      # of them under way from each guest
TAP_MAC = "02:00:ff:ff:00:01"
GUEST_MAC = "02:00:{0:02x}:00:00:00"  # of guest N; see test/support/vload.h


@dataclasses.dataclass(frozen=True)
class Setting:
    """All that makes two runs comparable, apart from what Rig has. The defaults are load's."""
    frame: int = 64
    ring: int = 1024
    guests: int = 2
    packed: bool = False
    chain: str = "one"
    mergeable: bool = False
    stations: int = 1
    null: bool = False       # one guest, and a net_null port on the other side
    lone: int = 0            # round trips of a lone frame, instead of load
    virtio_user: bool = False  # dpdk-testpmd with virtio-user ports is the load
    tcp: str = ""            # tso, csum or done: what is sent, see load --help
    takes: str = "tso"       # tso, csum or none: what the guests negotiated to take
    buffer: int = 2048       # bytes of a receive buffer, of TCP
    flight: int = 0          # frames a guest has posted at most; 0: load's default
    tap: str = ""            # one guest, and an interface of the kernel's of that name

    def load_args(self):
        """Of test/perf/load, without its sockets and times; only what is not the default."""
        args = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default and field.name not in ("guests", "virtio_user"):
                args += [f"--{field.name}"] + ([] if value is True else [str(value)])
        return args

    def entries(self):
        """Of the MAC table."""
        return self.guests * self.stations

    def payload(self):
        """Bytes of TCP's in a frame that is sent."""
        return self.frame - TCP_HEADS

    def floor_args(self):
        """Of test/perf/floor: the same frames, as many of them under way."""
        ring = (self.flight or SEGMENTS) if self.tcp == "tso" else self.ring
        return ["--frame", self.frame, "--ring", ring, "--buffer", self.buffer]

    def plain(self):
        """Whether test/perf/floor moves the same frames between as many buffers."""
        return not (self.lone or self.null or self.virtio_user) and self.guests == 2


@dataclasses.dataclass(frozen=True)
class Case:
    """@own: the setting under which vswitchd is compared with itself, in the same rounds.
    @others: {peer: its setting}, of peers that cannot be given the case's.
    @hold, @goal: the ratio to each peer below which it is a fault, and that we want."""
    name: str
    title: str
    setting: Setting
    hold: dict
    goal: dict
    own: Setting = None
    peers: tuple = ("testpmd-io", "ovs")
    others: dict = dataclasses.field(default_factory=dict)

    def kinds(self, with_peers):
        return (["vswitchd"] + ["own"] * (self.own is not None)
                + (list(self.peers) if with_peers else []))

    def setting_of(self, kind):
        return self.own if kind == "own" else self.others.get(kind, self.setting)

    def unit(self):
        """Of TCP it is what arrives of the payload: a peer may need other frames for it."""
        return "Gbit/s" if self.setting.tcp else "Mpps"


def _case(name, title, setting, io, ovs, **more):
    """@io, @ovs: (hold, goal)."""
    hold, goal = ({"testpmd-io": io[i], "ovs": ovs[i]} for i in (0, 1))
    return Case(name, title, setting, hold, goal, **more)


def _two_in_linux_style(chain):
    return Setting(chain=chain, mergeable=True)


def _tcp(name, title, setting, holds, **more):
    """@holds: {peer: (hold, goal)}. OVS offers nothing by default; then its guests cut their
    segments and finish their checksums themselves, which costs it nothing."""
    hold, goal = ({kind: pair[i] for kind, pair in holds.items() if pair} for i in (0, 1))
    return Case(name, title, setting, hold, goal, peers=tuple(holds), others={
        "ovs": Setting(frame=1514, tcp="done", takes="none", mergeable=True)}, **more)


_TSO = {"frame": SEGMENT, "tcp": "tso", "mergeable": True}
_CSUM = {"frame": 1514, "tcp": "csum", "mergeable": True}
_TSO_HOLDS = {"testpmd-io": (1.8, 2.2), "testpmd-2k": None, "ovs-tso": (2.5, 3.0),
              "ovs": (2.5, 3.0)}

CASES = (
    _case("split", "64-byte frames both ways, split rings of 1024", Setting(), (2.2, 2.6),
          (3.0, 3.5), peers=("testpmd-io", "testpmd-mac", "ovs")),
    _case("split256", "the same, rings of 256", Setting(ring=256), (1.7, 2.0), (2.3, 2.7)),
    _case("packed", "packed rings of 1024", Setting(packed=True), (2.0, 2.4), (2.8, 3.3)),
    _case("chains", "header and frame in a descriptor each, mergeable, as Linux sends",
          _two_in_linux_style("two"), (1.6, 2.0), (2.3, 2.8)),
    _case("indirect", "the same two in indirect tables", _two_in_linux_style("indirect"),
          (1.6, 2.0), (2.3, 2.8)),
    _case("f512", "512-byte frames", Setting(frame=512), (1.5, 1.8), (1.9, 2.3)),
    _case("f1518r256", "1518-byte frames, rings of 256", Setting(frame=1518, ring=256),
          (1.6, 1.9), (2.0, 2.4)),
    _case("f1518", "1518-byte frames", Setting(frame=1518), (1.3, 1.6), (1.5, 1.9)),
    _case("null", "one guest and a net_null port, both ways", Setting(null=True, guests=1),
          (1.3, 1.6), (2.0, 2.5)),
    _tcp("tso", "TCP segments of 64 KiB, each in one descriptor, 32 receive buffers each",
         Setting(**_TSO), _TSO_HOLDS),
    _tcp("tso-pages", "TCP segments as Linux sends: 18 pieces in an indirect table, 16 buffers",
         Setting(chain="pages", buffer=4096, **_TSO), _TSO_HOLDS),
    _tcp("tso-cut", "TCP segments of 64 KiB to guests that take checksums only: cut",
         Setting(takes="csum", **_TSO), {"ovs": (1.0, 1.2)}),
    _tcp("csum-pass", "TCP frames of 1514 bytes, unfinished checksums passed on",
         Setting(takes="csum", **_CSUM), {"testpmd-io": (1.3, 1.6), "ovs-tso": (1.5, 1.9), "ovs": (1.5, 1.9)}),
    _tcp("csum-fill", "TCP frames of 1514 bytes, checksums finished by the switch",
         Setting(takes="none", **_CSUM), {"testpmd-io": (1.3, 1.6), "ovs": (1.0, 1.2)}),
    Case("guests64", "64 guests in pairs on one lcore, rings of 256; own: 2 guests",
         Setting(guests=64, ring=256), {"own": 0.7, "ovs": 1.0}, {"own": 0.9},
         own=Setting(ring=256), peers=("ovs",)),  # testpmd takes 32 ports at most
    Case("table", "100,000 table entries, all in use; own: 2 entries", Setting(stations=50000),
         {"own": 0.7, "ovs": 1.0}, {"own": 0.9}, own=Setting(), peers=("ovs",)),
    # Of times it is the peer's by ours, so that here, too, more is better.
    Case("lone", "round trip of a lone frame, microseconds", Setting(lone=100000),
         {"testpmd-io": 0.95, "ovs": 1.0}, {}),
    Case("virtio-user", "load by dpdk-testpmd with virtio-user ports, 256 frames each way",
         Setting(virtio_user=True), {}, {}, peers=("testpmd-io",)),
)

# Series: a name, and the settings by what stands on the chart's x axis.
SERIES = {
    "by-size": {n: Setting(frame=n) for n in (64, 128, 256, 512, 1024, 1518)},
    "by-ports": {n: Setting(guests=n, ring=256) for n in (2, 4, 8, 16, 32, 64)},
    "by-table": {n: Setting(stations=n // 2) for n in (2, 1000, 10000, 100000)},
}
STAGES = "stages"  # cycles of each stage of the data path: of a build that counts them

NAMES = (*(case.name for case in CASES), *SERIES, STAGES)


def titles():
    """(name, one line) of all that can be named."""
    yield from ((case.name, case.title) for case in CASES)
    yield "by-size", "series: rate by frame size"
    yield "by-ports", "series: rate by the number of guests on one lcore"
    yield "by-table", "series: rate by the number of table entries in use"
    yield STAGES, "series: cycles of each stage of the data path"


def choose(wanted, quick):
    """({names to run}, [a line about each name that is unknown])."""
    if not wanted:
        return {case.name for case in CASES} | (set() if quick else {*SERIES, STAGES}), []
    errors = []
    for name in wanted:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 3, 0.4)
            errors.append(f"{name}: no such case; "
                          + (f"did you mean {' or '.join(near)}?" if near else "see --list"))
    return set(wanted) & set(NAMES), errors
