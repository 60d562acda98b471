# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""What `scripts/bench --guest` does: QEMU guests with dpdk-testpmd in them, on the switch.

pvp-io and pvp-macswap: a net_null port of the switch makes 64-byte frames without end and swallows
what comes back; the guest sends back what it gets. It is offered more than it can take, so most is
dropped at its ring ("full"), which is no fault: what counts is the rate that makes the round trip.
guest-to-guest: two guests swap addresses and send the same frames back and forth; as many as are
under way fit into every ring, so that none may be lost.

Rates are by the switch's counters and its clock. Where KVM works they are figures; under TCG, which
the guests fall back to, they are the emulator's and prove only that all of it works together.
"""

import contextlib
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

_TEST = pathlib.Path(__file__).resolve().parents[3] / "test"
sys.path += [str(_TEST / "guest"), str(_TEST / "func")]
# pylint: disable=wrong-import-position
import harness
import qemu
from guests import BIND, BOOT_S, guest_stats, one_line
from harness import Refused
from proc import SLOW, Failed, check, equal, wait_for

CASES = ("pvp-io", "pvp-macswap", "guest-to-guest")
MACS = {"a": "52:54:00:00:00:0a", "b": "52:54:00:00:00:0b"}
FRAME = 64
TX_FIRST = 2           # bursts of 32 from each guest: together half of QEMU's rings of 256
WARM_FRAMES = 10000    # that a guest has sent before anything is measured
GUEST_MB = 640
HUGE_PAGES = 128       # for the switch, which does without where fewer are free
ENDED = "@testpmd-ended"  # said on the console, so that nobody waits for the dead
ERRORS = (Failed, Refused, qemu.GuestError, OSError, subprocess.SubprocessError)

# Interactive, so that forwarding starts when all ports are up and no sooner. The fifo is its
# keyboard, the first serial port its screen: only on a terminal is output written line by line.
TESTPMD = """mkfifo /tmp/key; sleep 10000 >/tmp/key & (dpdk-testpmd -l 0,1 --in-memory -- -i
--forward-mode={mode} --eth-peer=0,{peer} --txpkts={frame} --burst=32 --total-num-mbufs=8192
--no-lsc-interrupt --disable-link-check; echo {ended}) </tmp/key >/dev/ttyS0 2>&1 &"""


class Bench:
    """One case's switch and guests. The stack ends all of it, newest first, by process id."""

    def __init__(self, stack, accel, names):
        self.guests, self.accel, self._names = {}, accel, names
        # A worker that polls needs a CPU for itself, and so does the polling vCPU of each guest.
        # On fewer they take turns, and then it is the scheduler that is measured.
        self.is_figure = accel == "kvm" and len(os.sched_getaffinity(0)) > len(names)
        self._stack = stack
        self._dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="vsw-", dir="/tmp"))
        eal = ["--no-pci", "--in-memory"] if meminfo("HugePages_Free") >= HUGE_PAGES else None
        self.switch = harness.Switch(
            self._dir, [word for name in names for word in (
                "--vhost", f"{self._path(name)},mac={MACS[name]},queues=1")],
            idle="poll" if self.is_figure else "sleep", eal=eal)
        stack.callback(self.switch.kill)
        self.switch.ready()

    def _path(self, name):
        return os.path.join(self._dir, f"{name}.sock")

    def boot(self, mode):
        """All guests at once, until each has testpmd at its prompt and its port is up."""
        need, have = len(self._names) * GUEST_MB, meminfo("MemAvailable") // 1024
        check(have >= need, f"guests: {need} MiB needed, {have} are free; end something else")
        for name in self._names:
            nic = qemu.Nic(self._path(name), MACS[name])
            self.guests[name] = qemu.Guest(
                name, [nic], flavour="testpmd", memory_mb=GUEST_MB, hugepages=128, cpus=2,
                accel=self.accel, wait=False, ready_s=BOOT_S * SLOW)
            self._stack.callback(self.guests[name].kill)
        for name, guest in self.guests.items():
            guest.wait_ready()
            guest.run(one_line(BIND))
            peer = MACS["b" if name == "a" else "a"]
            guest.run(one_line(TESTPMD.format(mode=mode, peer=peer, frame=FRAME, ended=ENDED)))
        for name in self._names:
            self.await_text(name, "testpmd> ", BOOT_S)
        self.switch.wait_up(*self._names)

    def await_text(self, name, pattern, seconds):
        """Until testpmd in that guest has printed the pattern; its whole output."""
        def printed():
            text, _, ended = self.guests[name].log().partition(ENDED)
            check(not ended, f"testpmd in guest {name} ended\n{text}")
            self.check_alive()
            return re.search(pattern, text, re.S) and text
        return wait_for(printed, seconds, f"{pattern!r} of testpmd in guest {name}")

    def check_alive(self):
        """A death is a better reason than what follows from it."""
        check(self.switch.alive(), f"the switch ended with status {self.switch.proc.returncode}\n"
              + self.switch.tail())
        for guest in self.guests.values():
            check(guest.process.poll() is None, guest.tail())

    def tell(self, line, answer, seconds=20):
        """Type that to testpmd in every guest; {guest: its output when it has answered}."""
        for guest in self.guests.values():
            guest.run(f"echo '{line}' >/tmp/key")
        return {name: self.await_text(name, answer, seconds) for name in self.guests}

    def window(self, seconds):
        """{guest: (Mpps that it got, Mpps that it sent)}, by the counters of the switch."""
        before = self.switch.ctl("stats")
        time.sleep(seconds)
        self.check_alive()
        after = self.switch.ctl("stats")
        took_us = (after["time_ns"] - before["time_ns"]) / 1000
        return {new["name"]: tuple((new[key] - old[key]) / took_us
                                   for key in ("tx_frames", "rx_frames"))
                for old, new in zip(before["ports"], after["ports"]) if new["name"] in self.guests}

    def rounds(self, result, options, side):
        """Measure. What counts is the sum of what the guests got (@side 0) or sent (1)."""
        window_s, count, report = options
        for number in range(count):
            rates = self.window(window_s)
            text = ", ".join(f"guest {name} got {got:.4f} and sent {sent:.4f}"
                             for name, (got, sent) in rates.items())
            check(min(map(min, rates.values())) > 0, f"no frames one way in {window_s:g} s: {text}")
            result["mpps"].append(sum(rate[side] for rate in rates.values()))
            report(f"{result['case']}: round {number + 1}: {result['mpps'][-1]:.4f} Mpps; {text}")

    def finish(self, stable):
        """Stop forwarding; both ledgers, the switch's and testpmd's, close and agree. Return how
        many frames the switch dropped, and how many testpmd could not send."""
        for name in self.guests:
            equal(self.switch.port(name)["state"], "up", f"port {name} at the end")
        screens = self.tell("stop", "Accumulated forward statistics.*Done")
        said = {name: guest_stats(text) for name, text in screens.items()}
        ports = self.switch.ledger(stable)
        for name, text in said.items():
            equal(text["TX-packets"], ports[name]["rx_frames"],
                  f"guest {name}: frames that testpmd sent, and the switch got")
            equal(ports[name]["rx_bytes"], FRAME * ports[name]["rx_frames"], "bytes of them")
            check(text["RX-packets"] <= ports[name]["tx_frames"],  # the rest came after its end
                  f"guest {name} got {text}, of {ports[name]['tx_frames']} frames given to it")
        drops = [drop for port in ports.values() for side in ("rx_drop", "tx_drop")
                 for drop in port[side].items() if drop[1]]
        check({reason for reason, _ in drops} <= {"full"}, f"dropped for a wrong reason: {drops}")
        self.switch.stop()
        return sum(n for _, n in drops), sum(text["TX-dropped"] for text in said.values())


def pvp(bench, result, options):
    """net_null -> switch -> guest and back."""
    switch, mode = bench.switch, result["case"].removeprefix("pvp-")
    bench.boot(mode)
    bench.tell("start", f"{mode} packet forwarding - ports=1")
    # The source comes when its frames have somewhere to go, so that each makes just one copy.
    switch.ctl("port.add", device=f"net_null0,name=null,queues=1,devargs=size={FRAME}")
    switch.wait_rx("a", WARM_FRAMES, BOOT_S)
    bench.rounds(result, options, 1)
    switch.ctl("port.del", name="null")
    ports = switch.quiet()
    made = ports["retired"]["flooded"] + ports["retired"]["unicast"]
    equal(ports["a"]["copies"], made, "copies for the guest of all that net_null made")
    return bench.finish(stable=False)  # the port that is gone took copies, and no longer counts


def guest_to_guest(bench, result, options):
    """The same frames back and forth between two guests; the sum of what both get."""
    bench.boot("macswap")
    bench.tell(f"start tx_first {TX_FIRST}", "macswap packet forwarding - ports=1")
    for name in bench.guests:
        bench.switch.wait_rx(name, WARM_FRAMES, BOOT_S)
    bench.rounds(result, options, 0)
    return bench.finish(stable=True)


def meminfo(field):
    """A number of /proc/meminfo as it stands there."""
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(rf"^{field}: +(\d+)", text, re.M).group(1))


def prepare(report):
    """Build the image if need be, and find out under what the guests run."""
    check(shutil.which("qemu-system-x86_64"), "QEMU: not found; run scripts/setup demo")
    report("guests: building their images where they are missing or old")
    for flags in (["--testpmd"], [])[:1 + os.path.exists("/dev/kvm")]:  # KVM is tried with Linux
        done = subprocess.run([qemu.TOP / "scripts" / "guest-image", *flags], capture_output=True,
                              text=True, timeout=300, check=False)
        check(done.returncode == 0, (done.stderr.strip() or "guest-image failed").split("\n")[-1])
    return qemu.accelerator()


def explain(error, accel="tcg"):
    """One line: what went wrong, what a process said last if it was one, and what to do."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    what = ": ".join(line.strip()[:200] for line in lines[:1] + lines[1:][-1:])
    if ";" in lines[-1]:
        return what  # it says that itself
    if re.search("waited|in time|did not", what):
        return f"{what}; TEST_SLOW=3 in the environment triples every deadline"
    return what + ("; GUEST_ACCEL=tcg does without KVM" if accel == "kvm" else
                   "; see whether meson test --suite guest passes")


def entry(case, accel, error=None):
    """One of what run() returns, without numbers."""
    return {"case": case, "accel": accel, "mpps": [], "median": 0.0, "dropped": 0,
            "is_figure": False, "error": error}


def run_case(case, accel, options):
    """Its entry, filled in."""
    report, result = options[2], entry(case, accel)
    try:
        with contextlib.ExitStack() as stack:
            both = case == "guest-to-guest"
            bench = Bench(stack, accel, "ab" if both else "a")
            dropped, in_guest = (guest_to_guest if both else pvp)(bench, result, options)
        result.update(dropped=dropped, median=statistics.median(result["mpps"]),
                      is_figure=bench.is_figure)
    except ERRORS as error:
        result["error"] = explain(error, accel)
        report(f"{case}: {result['error']}")
        return result
    meaning = "" if result["is_figure"] else "; fewer CPUs than threads that poll, so no figure"
    if accel == "tcg":
        meaning = "; software emulation: proves that it works, the number is the emulator's"
    report(f"{case}: median {result['median']:.4f} Mpps under {accel}, dropped {dropped} by the"
           f" switch and {in_guest} by the guests{meaning}")
    return result


def run(vswitchd, window_s=3.0, rounds=3, report=print):
    """Run every case; a list of dictionaries, one each, see entry(). mpps: of pvp, what the guest
    sent back; of guest-to-guest, what both got. dropped: by the switch, in the whole case."""
    harness.VSWITCHD = str(vswitchd)
    try:
        check(os.access(vswitchd, os.X_OK), f"{vswitchd}: not a program; build it (see README.md)")
        accel = prepare(report)
    except ERRORS as error:
        report(f"guests: {explain(error)}")
        return [entry(case, "tcg", explain(error)) for case in CASES]
    return [run_case(case, accel, (window_s, rounds, report)) for case in CASES]
