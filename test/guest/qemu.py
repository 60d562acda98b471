# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""QEMU guests: launch, run commands in them with deadlines, reset, stop.

A guest is built by scripts/guest-image. Its second serial port carries commands (see
scripts/lib/guest-init), its first the kernel's messages, into a file. Both that console and QMP
are socket pairs handed to QEMU, so there is nothing to connect to, to wait for or to clean up.
Used by the guest tests and by scripts/demo.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

TOP = pathlib.Path(__file__).resolve().parents[2]
KVM_PROBE_S = 5


class GuestError(Exception):
    """One line: what, and what the guest said last."""


@dataclass
class Nic:
    """One virtio-net device on a vhost-user socket that somebody listens on."""

    socket: str
    mac: str
    queues: int = 1
    packed: bool = False

    def arguments(self, index, accel):
        # Debian 12's QEMU dies under TCG when a Linux guest sets up MSI-X on a vhost-user NIC
        # that has a control queue, so there the interrupts are INTx.
        vectors = 0 if accel == "tcg" else 2 * self.queues + 2
        device = f"virtio-net-pci,netdev=n{index},mac={self.mac},vectors={vectors},romfile="
        device += ",disable-legacy=on,disable-modern=off"
        device += f",packed={'on' if self.packed else 'off'}"
        device += ",mq=on" if self.queues > 1 else ""
        return [
            "-chardev", f"socket,id=c{index},path={self.socket}",
            "-netdev", f"vhost-user,id=n{index},chardev=c{index},queues={self.queues}",
            "-device", device,
        ]  # fmt: skip


def image_dir(flavour):
    """Build the image of that flavour (linux or testpmd) if need be; the directory it is in."""
    command = [str(TOP / "scripts" / "guest-image")]
    if flavour == "testpmd":
        command.append("--testpmd")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    return pathlib.Path(done.stdout.split()[-1])


def accelerator():
    """"kvm" where a guest really boots under it, else "tcg". GUEST_ACCEL overrides.

    A /dev/kvm that opens proves nothing: inside some hypervisors a guest hangs under it. So one
    is booted, and the verdict kept until this machine boots again.
    """
    if os.environ.get("GUEST_ACCEL"):
        return os.environ["GUEST_ACCEL"]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    verdict = image_dir("linux") / "accelerator"
    if verdict.exists():
        known = verdict.read_text(encoding="ascii").split()
        if len(known) == 2 and known[0] == boot_id:
            return known[1]
    try:
        with Guest("probe", [], accel="kvm", ready_s=KVM_PROBE_S):
            accel = "kvm"
    except GuestError:
        accel = "tcg"
    verdict.write_text(f"{boot_id} {accel}\n", encoding="ascii")
    return accel


class Guest:
    """A running guest. Use it as a context manager, or call kill()."""

    def __init__(self, name, nics, **options):
        """
        flavour: "linux" or "testpmd"; ip: "10.0.0.1/24" for eth0; cpus; memory_mb; hugepages (2 MB
        each, in the guest); append: more for the kernel's command line; accel; ready_s: how long
        it may take to boot; wait: do not return before it has.
        """
        self.name = name
        self.accel = options.get("accel") or accelerator()
        self.ready_s = options.get("ready_s", 60)
        self._sequence = 0
        self._pending = b""
        self.process = None
        self._dir = tempfile.TemporaryDirectory(prefix=f"guest-{name}-")
        self.log_path = pathlib.Path(self._dir.name) / "console.log"
        self._console, console_far = socket.socketpair()
        self._qmp, qmp_far = socket.socketpair()
        command = self._command(nics, options, console_far.fileno(), qmp_far.fileno())
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(console_far.fileno(), qmp_far.fileno()),
                start_new_session=True,  # a ^C of the terminal is for the caller to handle
            )
        console_far.close()
        qmp_far.close()
        if options.get("wait", True):
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def _command(self, nics, options, console_fd, qmp_fd):
        flavour = options.get("flavour", "linux")
        image = image_dir(flavour)
        append = f"console=ttyS0 loglevel=4 guest.name={self.name}"
        # These cost boot time under emulation, or guard against what a test guest does not have.
        append += " tsc=reliable no_timer_check mitigations=off random.trust_cpu=on"
        if options.get("ip"):
            append += f" guest.ip={options['ip']}"
        if options.get("append"):
            append += " " + options["append"]
        if options.get("hugepages"):
            append += f" guest.hugepages={options['hugepages']}"
        memory = f"{options.get('memory_mb', 256)}M"
        # With a thread for each, a guest of two CPUs hangs in about one boot of ten on Debian 12's
        # QEMU: both sit in HLT for ever. With one thread for all none of 90 did, nor was slower.
        accel = "kvm" if self.accel == "kvm" else "tcg,thread=single"
        command = [
            "setpriv", "--pdeathsig", "KILL",  # whatever becomes of us, no guest is left behind
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-name", self.name, "-machine", "pc,memory-backend=ram", "-accel", accel,
            "-cpu", "host" if self.accel == "kvm" else "max",
            "-smp", str(options.get("cpus", 1)), "-m", memory,
            "-object", f"memory-backend-memfd,id=ram,size={memory},share=on",
            "-kernel", str(image / f"{flavour}.vmlinuz"),
            "-initrd", str(image / f"{flavour}.cpio"), "-append", append,
            "-chardev", "stdio,id=log,signal=off", "-serial", "chardev:log",
            "-chardev", f"socket,id=shell,fd={console_fd}", "-serial", "chardev:shell",
            "-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control",
        ]  # fmt: skip
        for index, nic in enumerate(nics):
            command += nic.arguments(index, self.accel)
        return command

    def log(self):
        """All that the kernel, init and QEMU said, and what was written to /dev/ttyS0."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines=15):
        """The last of log()."""
        if self.process is None:
            return f"guest {self.name} was stopped"
        state = self.process.poll()
        how = "runs" if state is None else f"ended with status {state}"
        return "\n".join([f"QEMU of guest {self.name} {how}", *self.log().splitlines()[-lines:]])

    def _fail(self, what):
        return GuestError(f"guest {self.name}: {what}\n{self.tail()}")

    def _read_until(self, pattern, deadline, what):
        """Read the console until the pattern; what stood before it, and the match."""
        while True:
            match = re.search(pattern, self._pending)
            if match:
                before = self._pending[: match.start()]
                self._pending = self._pending[match.end() :]
                return before, match
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._fail(f"{what}: no answer in time, only {self._pending[-300:]!r}")
            self._console.settimeout(left)
            try:
                data = self._console.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise self._fail(f"{what}: the console closed")
            self._pending += data

    def wait_ready(self, timeout_s=None):
        """Wait for the guest to come up, the first time or after a reset."""
        deadline = time.monotonic() + (timeout_s or self.ready_s)
        self._read_until(rb"@ready\r?\n", deadline, "boot")

    def send(self, command):
        """Start a command without waiting for its end; the marker to hand to result()."""
        self._sequence += 1
        self._console.sendall(f"{self._sequence} {command}\n".encode())
        return self._sequence

    def result(self, sequence, command="", timeout_s=30):
        """The output and exit status of what send() started."""
        deadline = time.monotonic() + timeout_s
        pattern = rb"\r?\n@%d (\d+)\r?\n" % sequence
        before, match = self._read_until(pattern, deadline, command)
        return before.decode(errors="replace").strip(), int(match.group(1))

    def run(self, command, timeout_s=30, check=True):
        """Run one line of shell in the guest: its output. A failure raises, unless check=False."""
        output, status = self.result(self.send(command), command, timeout_s)
        if check and status != 0:
            raise self._fail(f"{command}: status {status}: {output[-500:]}")
        return output

    def qmp(self, command, timeout_s=10):
        """Give QEMU itself one command."""
        self._qmp.settimeout(timeout_s)
        with self._qmp.makefile("rwb", buffering=0) as stream:
            for execute in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": execute}).encode() + b"\n")
                while True:
                    line = stream.readline()
                    if not line:
                        raise self._fail(f"QMP {execute}: closed")
                    reply = json.loads(line)
                    if "error" in reply and execute == command:
                        raise self._fail(f"QMP {execute}: {reply['error']['desc']}")
                    if "return" in reply or "error" in reply:
                        break

    def reset(self):
        """Press the reset button. wait_ready() then waits for the new boot."""
        self._pending = b""
        self.qmp("system_reset")

    def kill(self):
        """The end, whatever state it is in."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            pass  # unkillable inside a broken KVM: nothing more can be done here
        self.process = None
        self._console.close()
        self._qmp.close()
        self._dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
