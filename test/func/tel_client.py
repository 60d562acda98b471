# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""A client of DPDK's telemetry, and what the control socket's replies look like there."""

import json
import os
import re
import socket

from proc import check, equal, SLOW

OUTPUT_MAX = 16384
STRING_MAX = 127
ANSWER_SECONDS = 5  # of which the switch itself takes 2 to give up on its control thread


def socket_path(switch):
    base = "/var/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
    prefix = switch.argv[switch.argv.index("--file-prefix") + 1]
    return os.path.join(base, "dpdk", prefix, "dpdk_telemetry.v2")


class Telemetry:
    """One client of DPDK's telemetry."""

    def __init__(self, case, switch):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        case.on_end(self.sock.close)
        self.sock.settimeout(ANSWER_SECONDS * SLOW)
        self.sock.connect(socket_path(switch))
        equal(json.loads(self.sock.recv(OUTPUT_MAX))["pid"], switch.pid, "pid in the greeting")

    def ask(self, question):
        """@question: what is behind /vswitchd/, or with a slash in front one of DPDK's own. Lone
        surrogates are bytes that are no UTF-8."""
        question = question if question[:1] == "/" else f"/vswitchd/{question}"
        self.sock.send(question.encode(errors="surrogateescape"))
        answer = self.sock.recv(OUTPUT_MAX)
        if not answer:
            raise ConnectionResetError(f"{question[:40]}: the connection was closed")
        reply = json.loads(answer)
        equal(list(reply), [question.split(",")[0]], "what it answers")
        return reply.popitem()[1]


def as_told(value):
    """A reply of the control socket in the shapes that telemetry has."""
    if isinstance(value, list):
        return {str(i): as_told(item) for i, item in enumerate(value)}
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            key, told = re.sub("[^A-Za-z0-9]", "_", key), as_told(item)
            flat = isinstance(item, dict)
            out.update({f"{key}_{k}": v for k, v in told.items()} if flat else {key: told})
        return out
    if isinstance(value, str):
        return re.sub(b"[\x80-\xff]", b"?", value.encode()[:STRING_MAX]).decode()
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else int(value)


def alike(got, before, after, where):
    """Is @got what was told before and after it? Numbers may have grown in between."""
    if isinstance(before, dict):
        if not before and got == []:
            return  # how some releases write an empty dict
        equal(sorted(got), sorted(before), f"members of {where}")
        for key, value in before.items():
            if key == "stalled_ms":
                continue  # of a moment
            alike(got[key], value, after[key], f"{where} {key}")
    elif isinstance(before, int) and before != after:
        check(before <= got <= after, f"{where}: {got}, was {before} and then {after}")
    else:
        equal((type(got), got), (type(before), before), where)
