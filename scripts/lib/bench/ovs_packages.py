# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Debian's packages of OVS-DPDK, and of the libraries that it misses here, unpacked into a cache
and never installed."""

import fcntl
import functools
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "test" / "func"))

from proc import Failed, run  # noqa: E402

VSWITCHD = "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SERVER = "usr/sbin/ovsdb-server"
TOOLS = ("ovsdb-tool", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")  # in usr/bin
_PACKAGES = ("openvswitch-common", "openvswitch-switch", "openvswitch-switch-dpdk")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
# Where the Debian Policy's rule for the names of library packages (8.1) does not lead.
_LIBRARY_PACKAGES = {"libcrypto.so.3": "libssl3", "libz.so.1": "zlib1g"}
_DOWNLOAD_SECONDS = 120
_ASK_SECONDS = 10


class PeerMissing(Exception):
    """A peer that cannot be had on this machine. One line: what: why; what to do."""


@functools.cache
def unpacked():
    """Have the packages unpacked below cache_dir, as scripts/lib/common.sh has it, by this run or
    an earlier one. Return where, and the value of LD_LIBRARY_PATH for that."""
    top = "/var/cache" if os.getuid() == 0 else os.path.expanduser("~/.cache")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or top) / "vswitchd" / "ovs"
    tree = cache / "tree"
    libraries = ":".join(str(tree / name) for name in _LIBRARIES)
    try:
        for directory in (cache / "debs", tree):
            directory.mkdir(parents=True, exist_ok=True)
        lock = open(cache / "lock", "w", encoding="ascii")
    except OSError as error:
        raise PeerMissing(f"ovs: {error.filename}: {error.strerror}; set XDG_CACHE_HOME to a"
                          " directory that you may write to") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package in _PACKAGES:
            _unpack(cache, package)
        # The libraries that the programs, and then these themselves, miss on this machine.
        while missing := _missing(tree, libraries):
            if not sum(_unpack(cache, _library_package(name)) for name in missing):
                raise PeerMissing(f"ovs: {', '.join(missing)}: not in the packages that should"
                                  " have them; it takes Debian 12")
    return tree, libraries


def _unpack(cache, package):
    """Return whether it was not there yet."""
    done = cache / "tree" / f".{package}"
    if done.exists():
        return False
    deb = next((cache / "debs").glob(f"{package}_*.deb"), None) or _download(cache, package)
    status, _, err, _ = run(["dpkg", "-x", deb, cache / "tree"], _DOWNLOAD_SECONDS)
    if status != 0:
        raise PeerMissing(f"ovs: {deb}: cannot be unpacked ({last(err)}); remove it, try again")
    done.touch()
    return True


def _download(cache, package):
    # It joins the others when it is complete, so that an interrupted one is never taken.
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        try:
            err = run(["env", "-C", directory, "apt-get", "-o", "APT::Sandbox::User=root",
                       "download", package], _DOWNLOAD_SECONDS)[2]
            for deb in pathlib.Path(directory).glob("*.deb"):
                return shutil.move(deb, cache / "debs")
        except Failed as failed:
            err = str(failed)
    raise PeerMissing(f"ovs: {package}: cannot be downloaded ({last(err)}); on Debian 12 run"
                      " apt-get update, check the network")


def _missing(tree, libraries):
    env, found = dict(os.environ, LD_LIBRARY_PATH=libraries, LC_ALL="C"), set()
    for program in (VSWITCHD, SERVER, *(f"usr/bin/{tool}" for tool in TOOLS)):
        out = run(["ldd", tree / program], _ASK_SECONDS, env)[1]
        found.update(re.findall(r"^\s*(\S+) => not found", out, re.M))
    return sorted(found)


def _library_package(soname):
    """librte_vhost.so.23 is in librte-vhost23, libevent-2.1.so.7 in libevent-2.1-7."""
    name, _, version = soname.partition(".so.")
    name = name.replace("_", "-").lower() + ("-" if name[-1].isdigit() else "")
    return _LIBRARY_PACKAGES.get(soname, name + version)


def last(text):  # line of it, without the full stop
    return (text.strip().splitlines() or ["it printed nothing"])[-1].rstrip(". ")
