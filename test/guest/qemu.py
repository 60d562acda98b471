# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""QEMU guests: launch, run commands in them with deadlines, reset, stop.

A guest is built by scripts/guest-image. A virtio console carries commands (see
scripts/lib/guest-init), the serial port the kernel's messages, into a file. Both that console and
QMP are socket pairs handed to QEMU, so there is nothing to connect to, to wait for or to clean up.
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
DIMM_LIMIT_MB = 8192  # the address space for memory that is plugged in


class GuestError(Exception):
    """One line: what, and what the guest said last."""


class QmpError(GuestError):
    """What QEMU refused, and why."""


@dataclass
class Nic:
    """One virtio-net device on a vhost-user socket.

    server: QEMU listens there, and waits at its start until somebody has connected;
    reconnect: seconds after which QEMU connects again, 0 is never; legacy: virtio 0.95 as before
    1.0; mtu: offered to the driver (VIRTIO_NET_F_MTU); off: properties of the device that are
    turned off, for example ("guest_csum", "host_tso4")."""

    socket: str
    mac: str
    queues: int = 1
    packed: bool = False
    legacy: bool = False
    server: bool = False
    reconnect: int = 0
    mtu: int = 0
    off: tuple = ()

    def arguments(self, index, accel):
        # Debian 12's QEMU dies under TCG when a Linux guest sets up MSI-X on a vhost-user NIC
        # that has a control queue, so there the interrupts are INTx.
        vectors = 0 if accel == "tcg" else 2 * self.queues + 2
        chardev = f"socket,id=c{index},path={self.socket}"
        chardev += ",server=on,wait=off" if self.server else ""
        chardev += f",reconnect={self.reconnect}" if self.reconnect else ""
        device = f"virtio-net-pci,id=nic{index},netdev=n{index},mac={self.mac}"
        device += f",vectors={vectors},romfile="
        device += ",disable-legacy=off,disable-modern=on" if self.legacy else \
            ",disable-legacy=on,disable-modern=off"
        device += f",packed={'on' if self.packed else 'off'}"
        device += ",mq=on" if self.queues > 1 else ""
        device += f",host_mtu={self.mtu}" if self.mtu else ""
        device += "".join(f",{name}=off" for name in self.off)
        return [
            "-chardev", chardev,
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
        flavour: "linux" or "testpmd"; ip: "10.0.0.1/24,fd00::1/64" for eth0; cpus; memory_mb;
        hugepages (2 MB each, in the guest); append: more for the kernel's command line; accel;
        ready_s: how long it may take to boot; wait: do not return before it has; slots: of memory
        that can be plugged in; balloon: have one; incoming: do not boot, but take over (at this
        socket's path) a guest that was started with the same options otherwise; migrates: give it
        memory of a size with which that works under emulation.
        """
        self.name = name
        self.accel = options.get("accel") or accelerator()
        self.ready_s = options.get("ready_s", 60)
        self._sequence = 0
        self._pending = b""
        self._dimms = 0
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
        size = f"{options.get('memory_mb', 256)}M"
        if options.get("migrates"):
            # QEMU before 9.0 loses what an emulated guest writes to a page after the first round,
            # where memory is a multiple of 64 pages: its quick way of collecting marks forgets the
            # softmmu's TLB ("physmem: Fix migration dirty bitmap coherency with TCG memory access").
            size = f"{options.get('memory_mb', 256) * 1024 - 64}K"
        slots = options.get("slots", 0)
        # With a thread for each, a guest of two CPUs hangs in about one boot of ten on Debian 12's
        # QEMU: both sit in HLT for ever. With one thread for all none of 90 did, nor was slower.
        accel = "kvm" if self.accel == "kvm" else "tcg,thread=single"
        command = [
            "setpriv", "--pdeathsig", "KILL",  # whatever becomes of us, no guest is left behind
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-name", self.name, "-machine", "pc,memory-backend=ram", "-accel", accel,
            "-cpu", "host" if self.accel == "kvm" else "max",
            "-smp", str(options.get("cpus", 1)),
            "-m", size + (f",slots={slots},maxmem={DIMM_LIMIT_MB}M" if slots else ""),
            "-object", f"memory-backend-memfd,id=ram,size={size},share=on",
            "-kernel", str(image / f"{flavour}.vmlinuz"),
            "-initrd", str(image / f"{flavour}.cpio"), "-append", append,
            "-chardev", "stdio,id=log,signal=off", "-serial", "chardev:log",
            "-chardev", f"socket,id=shell,fd={console_fd}",
            "-device", "virtio-serial-pci,vectors=0,disable-legacy=on,max_ports=2",
            "-device", "virtserialport,nr=1,chardev=shell",
            "-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control",
        ]  # fmt: skip
        for index, nic in enumerate(nics):
            command += nic.arguments(index, self.accel)
        if options.get("balloon"):
            command += ["-device", "virtio-balloon-pci,disable-legacy=on"]
        if options.get("incoming"):
            command += ["-incoming", f"unix:{options['incoming']}"]
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

    def qmp(self, command, timeout_s=10, **arguments):
        """Give QEMU itself one command; what it returns. Names have "_" where QMP has "-"."""
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        self._qmp.settimeout(timeout_s)
        with self._qmp.makefile("rwb", buffering=0) as stream:
            # The first is refused from the second time on.
            for execute, given in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": execute, "arguments": given}).encode() + b"\n")
                while True:
                    line = stream.readline()
                    if not line:
                        raise self._fail(f"QMP {execute}: closed")
                    reply = json.loads(line)
                    if "error" in reply and execute == command:
                        raise QmpError(f"guest {self.name}: QMP {execute}:"
                                       f" {reply['error']['desc']}")
                    if "return" in reply or "error" in reply:
                        break
        return reply.get("return")

    def add_memory(self, size_mb):
        """Plug a DIMM in. QmpError says why it was refused; then nothing is left of it."""
        name = f"dimm{self._dimms}"
        self.qmp("object-add", qom_type="memory-backend-memfd", id=f"m-{name}",
                 size=size_mb << 20, share=True)
        try:
            self.qmp("device_add", driver="pc-dimm", id=name, memdev=f"m-{name}")
        except QmpError:
            self.qmp("object-del", id=f"m-{name}")
            raise
        self._dimms += 1

    def migrate(self, path, timeout_s=60):
        """Move to the QEMU that waits there (incoming=path); query-migrate's last answer."""
        # QEMU's own limit is that of a network of 1 Gbit/s.
        self.qmp("migrate-set-parameters", max_bandwidth=16 << 30)
        self.qmp("migrate", uri=f"unix:{path}")
        deadline = time.monotonic() + timeout_s
        while True:
            state = self.qmp("query-migrate")
            if state.get("status") == "completed":
                return state
            if state.get("status") in ("failed", "cancelled") or time.monotonic() > deadline:
                raise self._fail(f"migration: {state}")
            time.sleep(0.02)

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
