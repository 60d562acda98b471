# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The first words of a vhost-user front-end, for tests that need many connections and no rings."""

import socket
import struct

from proc import SLOW

GET_FEATURES = 1
SET_FEATURES = 2
SET_OWNER = 3
GET_PROTOCOL_FEATURES = 15
SET_PROTOCOL_FEATURES = 16
GET_QUEUE_NUM = 17

_HEADER = struct.Struct("<III")
_VERSION = 1
_REPLY = 4
F_PROTOCOL_FEATURES = 30  # bits' numbers
F_VERSION_1 = 32
FEATURES = 1 << F_PROTOCOL_FEATURES | 1 << F_VERSION_1


class FrontEnd:
    def __init__(self, path, deadline=5):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(deadline * SLOW)
        self.sock.connect(path)

    def tell(self, request, payload=b""):
        self.sock.sendall(_HEADER.pack(request, _VERSION, len(payload)) + payload)

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
