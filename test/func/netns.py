# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""A network namespace of the test's own, and raw frames on its interfaces.

The test process itself moves there before it starts anything, so there is nothing to name and
nothing to clean up: it all ends with the last process."""

import ctypes
import os
import pathlib
import select
import socket
import time

from proc import Skip, check, run, SLOW

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_libc = ctypes.CDLL(None, use_errno=True)


def enter():
    """Move this process into a new network namespace where the kernel says nothing of its own."""
    if not os.path.exists("/dev/net/tun"):
        raise Skip("there is no /dev/net/tun")
    if _libc.unshare(_CLONE_NEWNET) < 0:
        raise Skip(f"no network namespace: {os.strerror(ctypes.get_errno())} (root can)")
    for scope in ("all", "default"):
        path = pathlib.Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if path.exists():
            path.write_text("1")
    ip("link", "set", "lo", "up")


def ip(*args):
    status, _, err, _ = run(["ip", *args], 10)
    check(status == 0, f"ip {' '.join(args)}: {err}")


def veth(name, peer):
    """A pair of interfaces, both up; frames into one come out of the other."""
    status, _, err, _ = run(["ip", "link", "add", name, "type", "veth", "peer", "name", peer], 10)
    if status:
        raise Skip(f"this kernel has no veth: {err.strip()}")
    for interface in (name, peer):
        ip("link", "set", interface, "up")


class Raw:
    """Frames on an interface, whole."""

    def __init__(self, interface):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((interface, 0))
        self.sock.setblocking(False)
        self.interface = interface

    def send(self, frames):
        for frame in frames:
            while True:
                try:
                    self.sock.send(frame)
                    break
                except BlockingIOError:
                    select.select([], [self.sock], [], 0.1)

    def receive(self, count, deadline=3):
        """At least @count frames that others sent, or what came until the deadline."""
        end = time.monotonic() + deadline * SLOW
        got = []
        while True:
            try:
                frame, address = self.sock.recvfrom(65536)
            except BlockingIOError:
                left = end - time.monotonic()
                if len(got) >= count or left <= 0:
                    return got
                select.select([self.sock], [], [], left)
                continue
            if address[2] != _PACKET_OUTGOING:
                got.append(frame)

    def close(self):
        self.sock.close()
