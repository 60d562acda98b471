# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The first words of a vhost-user front-end, for tests that need many connections; and two rings with
nothing in them, for those that need a port to be up."""

import os
import socket
import struct

from proc import SLOW

GET_FEATURES = 1
SET_FEATURES = 2
SET_OWNER = 3
SET_MEM_TABLE = 5
SET_VRING_NUM = 8
SET_VRING_ADDR = 9
SET_VRING_KICK = 12
SET_VRING_CALL = 13
SET_VRING_ERR = 14
GET_PROTOCOL_FEATURES = 15
SET_PROTOCOL_FEATURES = 16
GET_QUEUE_NUM = 17
SET_VRING_ENABLE = 18

_HEADER = struct.Struct("<III")
_VERSION = 1
_REPLY = 4
_MEMORY = 1 << 20  # bytes that a guest shares ...
_AT = 0x10000000  # ... and where its front-end has them
F_PROTOCOL_FEATURES = 30  # bits' numbers
F_VERSION_1 = 32
FEATURES = 1 << F_PROTOCOL_FEATURES | 1 << F_VERSION_1


class FrontEnd:
    def __init__(self, path, deadline=5):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(deadline * SLOW)
        self.sock.connect(path)

    def tell(self, request, payload=b"", fds=()):
        data = _HEADER.pack(request, _VERSION, len(payload)) + payload
        if fds:
            socket.send_fds(self.sock, [data], fds)
        else:
            self.sock.sendall(data)

    def tell_eventfd(self, request, ring):
        """SET_VRING_KICK or SET_VRING_CALL."""
        fd = os.eventfd(0)
        self.tell(request, struct.pack("<Q", ring), [fd])
        os.close(fd)

    def start_rings(self):
        """After handshake(): memory, and two rings without a buffer."""
        memory = os.memfd_create("guest")
        os.ftruncate(memory, _MEMORY)
        self.tell(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, 0, _MEMORY, _AT, 0), [memory])
        os.close(memory)
        for ring in range(2):
            at = _AT + ring * 0x10000
            self.tell(SET_VRING_NUM, struct.pack("<II", ring, 256))
            self.tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", ring, 0, at, at + 0x4000,
                                                  at + 0x2000, 0))
            self.tell_eventfd(SET_VRING_CALL, ring)
            self.tell_eventfd(SET_VRING_KICK, ring)
            self.tell(SET_VRING_ENABLE, struct.pack("<II", ring, 1))
        return self.ask(GET_PROTOCOL_FEATURES) is not None

    def ask(self, request):
        """A request that is answered with 64 bits. None if the connection was closed."""
        try:
            self.tell(request)
            data = b""
            while len(data) < _HEADER.size + 8:
                part = self.sock.recv(_HEADER.size + 8 - len(data))
                if not part:
                    return None
                data += part
        except (ConnectionResetError, BrokenPipeError):
            return None
        got, flags, size = _HEADER.unpack_from(data)
        if got != request or size != 8 or not flags & _REPLY:
            raise ValueError(f"reply {got} with flags {flags:#x} and {size} bytes to {request}")
        return struct.unpack_from("<Q", data, _HEADER.size)[0]

    def hello(self):
        """Features, or None if the switch refused the connection."""
        return self.ask(GET_FEATURES)

    def handshake(self):
        """As far as a driver goes before it has memory: True once the switch has followed."""
        features = self.hello()
        if features is None:
            return False
        try:
            self.tell(SET_FEATURES, struct.pack("<Q", features & FEATURES))
            self.tell(SET_OWNER)
        except (ConnectionResetError, BrokenPipeError):
            return False
        return self.ask(GET_PROTOCOL_FEATURES) is not None

    def close(self):
        self.sock.close()
