# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""dpdk-testpmd as a guest's driver, or as a plain vhost switch to compare with."""

import os
import re
import shutil

from proc import Child, Skip, check, wait_for, SLOW

PROMPT = r"testpmd> $"


def lcores(workers=1):
    """An --lcores argument: a main lcore and @workers polling ones, free to move over our CPUs."""
    cpus = ",".join(str(c) for c in sorted(os.sched_getaffinity(0)))
    return ",".join(f"{i}@({cpus})" for i in range(workers + 1))


class Testpmd(Child):
    """An interactive dpdk-testpmd on memory of its own.

    @vdevs: each becomes a port, in this order
    @args: testpmd's own arguments
    @eal: more arguments for EAL
    """

    _count = 0

    def __init__(self, vdevs, args=(), eal=(), name="testpmd", memory=None, placement=None):
        exe = shutil.which("dpdk-testpmd")
        if not exe:
            raise Skip("dpdk-testpmd is not installed (package dpdk-dev)")
        Testpmd._count += 1
        argv = [exe, "--lcores", placement or lcores(), "--no-pci",
                "--file-prefix", f"func{os.getpid()}-{Testpmd._count}"]
        argv += memory or ["--no-huge", "--no-shconf", "-m", "96"]
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        argv += list(eal) + ["--", "-i", "--no-mlockall", "--no-flush-rx", "--disable-link-check",
                               "--no-lsc-interrupt"]
        if not any("total-num-mbufs" in a for a in args):
            argv += ["--total-num-mbufs=8192"]
        argv += list(args)
        super().__init__(argv, name, pty=True)
        self._seen = 0

    def ready(self):
        """Wait for the first prompt. (Apart from __init__, so that several can start at once.)"""
        self._seen = self.expect(PROMPT, 20).end()
        return self

    def cmd(self, line, deadline=10):
        """Give a command; return what it printed."""
        os.write(self.stdin, (line + "\n").encode())
        start = self._seen
        # The echo of the command comes first, and may itself stand right behind a prompt.
        echoed = self.expect(re.escape(line.strip()) + r"\n", deadline, start).end()
        self._seen = self.expect(PROMPT, deadline, echoed).end()
        return self.out[echoed:self._seen]

    def stats(self):
        """Counters of all ports: a list of dictionaries such as {"RX-packets": 1, ...}."""
        text = self.cmd("show port stats all")
        ports = []
        for part in re.split(r"NIC statistics for port \d+", text)[1:]:
            ports.append({k: int(v) for k, v in re.findall(r"([RT]X-[a-z]+): +(\d+)", part)})
        return ports

    def link(self, port):
        return re.search(r"Link status: (\w+)", self.cmd(f"show port info {port}")).group(1)

    def wait_link(self, port, state="up", deadline=2):
        wait_for(lambda: self.link(port) == state, deadline, f"{self.name} port {port} {state}")

    def quit(self):
        """Stop forwarding and leave in order: pcap files are complete after this."""
        os.write(self.stdin, b"stop\nquit\n")
        status = self.wait(10)
        check(status == 0, f"{self.name}: exit status {status}\n{self.tail()}")


def virtio_user(path, index=0, mac=None, extra=""):
    """The --vdev argument of a virtio-user front-end on the vhost-user socket @path."""
    text = f"net_virtio_user{index},path={path}"
    if mac:
        text += f",mac={mac}"
    return text + ("," + extra if extra else "")
