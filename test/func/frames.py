# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Frames of a known pattern, and the classic pcap file format that carries them."""

import struct

from proc import check

_GLOBAL = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MAGIC = 0xA1B2C3D4
_SNAPLEN = 65535
_ETHERNET = 1
ETHERTYPE = 0x88B5  # for experiments (IEEE 802), so that nothing on the way takes an interest


def mac_bytes(text):
    return bytes(int(part, 16) for part in text.split(":"))


def frame(dst, src, seq, size):
    """Frame number @seq of @size bytes; every byte of it depends on its place and on @seq."""
    head = mac_bytes(dst) + mac_bytes(src) + struct.pack(">HII", ETHERTYPE, seq, size)
    check(size >= len(head), f"frame of {size} bytes cannot hold its number")
    body = bytes((seq * 31 + i * 7 + (i >> 8)) & 0xFF for i in range(size - len(head)))
    return head + body


def frames(dst, src, sizes, first=0):
    return [frame(dst, src, first + i, size) for i, size in enumerate(sizes)]


def pcap_write(path, packets):
    with open(path, "wb") as file:
        file.write(_GLOBAL.pack(_MAGIC, 2, 4, 0, 0, _SNAPLEN, _ETHERNET))
        for packet in packets:
            file.write(_RECORD.pack(0, 0, len(packet), len(packet)))
            file.write(packet)


def pcap_read(path):
    with open(path, "rb") as file:
        data = file.read()
    # DPDK writes the variant with nanoseconds, which has a magic number of its own.
    magic = struct.unpack_from("<I", data)[0]
    check(magic in (_MAGIC, 0xA1B23C4D), f"{path}: not a pcap file ({magic:#x})")
    offset, packets = _GLOBAL.size, []
    while offset < len(data):
        _, _, captured, length = _RECORD.unpack_from(data, offset)
        check(captured == length, f"{path}: a frame of {length} bytes was cut to {captured}")
        offset += _RECORD.size
        packets.append(data[offset:offset + captured])
        check(len(packets[-1]) == captured, f"{path}: the last frame is not complete")
        offset += captured
    return packets


def compare(got, want, what):
    """Same frames, same order, byte for byte."""
    for i, (g, w) in enumerate(zip(got, want)):
        if g == w:
            continue
        check(len(g) == len(w), f"{what}: frame {i} has {len(g)} bytes, should have {len(w)}")
        at = next(k for k in range(len(g)) if g[k] != w[k])
        check(False, f"{what}: frame {i} ({len(g)} bytes) differs at byte {at}:"
              f" {g[at:at + 8].hex(' ')}, should be {w[at:at + 8].hex(' ')}")
    check(len(got) == len(want), f"{what}: {len(got)} frames, should be {len(want)}")
