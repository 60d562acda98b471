# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The part of scripts/demo that runs: the switch, two guests, a live table, a summary.

usage: demo.py BUILD-DIRECTORY linux|testpmd SECONDS SECONDS-SO-FAR   (0 seconds: until ^C)
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "test" / "guest"))
import qemu  # pylint: disable=wrong-import-position

MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
IPS = ("10.0.0.1", "10.0.0.2")
NAMES = ("vm1", "vm2")
HUGEPAGES_FILE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
HUGEPAGES = {"linux": 192, "testpmd": 384}  # 2 MB each: the switch, and every testpmd as much
TABLE_S = 5  # seconds between two tables where there is no terminal to draw on
GRACE_S = 5  # for iperf3 to say how it went; emulation makes its seconds longer
POLLING_CPUS = 6  # with fewer, a switch that never sleeps takes the guests' time

DROPS = {
    "runt": "shorter than an Ethernet header",
    "too-long": "longer than the receiver takes, or than any frame may be",
    "link-local": "for the nearest bridge only, never forwarded",
    "hairpin": "for the port it came from",
    "unknown-unicast": "not in the table, and flooding is off",
    "queue-disabled": "sent on a queue that the guest had disabled",
    "full": "no room in the receiver's ring, and no (more) waiting for it",
    "down": "the receiver had not come up yet, or had gone",
    "faulted": "the receiver's ring was stopped for a fault",
    "no-mbuf": "no buffer to carry it to a NIC",
    "refused": "the NIC's driver does not send such a frame",
    "mtu": "longer than the receiver's MTU",
    "bad-offload": "what its header leaves to be done makes no sense",
    "spoofed": "announced under an address that is another port's",
}


class DemoError(Exception):
    """One line: what: why; what to do."""


class Demo:
    """Owns everything it starts; leaving the context ends all of it, newest first."""

    def __init__(self, build, kind, seconds, so_far):
        self.vswitchd = build / "app" / "vswitchd" / "vswitchd"
        self.vswitchctl = build / "app" / "vswitchctl" / "vswitchctl"
        self.kind, self.seconds = kind, seconds
        self.started = time.monotonic() - so_far
        self.undo = contextlib.ExitStack()
        self.dir = pathlib.Path(self.undo.enter_context(tempfile.TemporaryDirectory(
            prefix="vswitchd-demo-", dir="/tmp")))
        self.ctl = self.dir / "ctl.sock"
        self.huge = False

    def step(self, text):
        print(f"[{time.monotonic() - self.started:3.0f}s] {text}", flush=True)

    def reserve_hugepages(self):
        """Have enough free ones, and give back at the end what had to be added."""
        try:
            total = int(HUGEPAGES_FILE.read_text(encoding="ascii"))
            free_file = HUGEPAGES_FILE.with_name("free_hugepages")
            missing = HUGEPAGES[self.kind] - int(free_file.read_text(encoding="ascii"))
            if missing > 0:
                self.undo.callback(HUGEPAGES_FILE.write_text, str(total), encoding="ascii")
                HUGEPAGES_FILE.write_text(str(total + missing), encoding="ascii")
                self.step(f"reserving {missing} hugepages of 2 MB until the end")
            self.huge = int(free_file.read_text(encoding="ascii")) >= HUGEPAGES[self.kind]
        except OSError as error:
            self.step(f"no hugepages ({error.strerror})")
        if not self.huge:
            self.step("going on without hugepages: it works as well, only slower")

    def spawn(self, name, command, **kwargs):
        """Start a process of ours, with its output in a file, to be ended by its id."""
        log = open(self.dir / f"{name}.log", "wb")  # pylint: disable=consider-using-with
        with log:
            # A session of its own: ^C is for us, who end the rest in order.
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)], stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                **{"stdin": subprocess.DEVNULL, **kwargs})
        self.undo.callback(end, process)
        return process

    def log(self, name):
        return (self.dir / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def wait(self, condition, seconds, what, name, process):
        """Until the condition holds; says what the process said last if it never does."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                last = "\n".join("    " + line for line in self.log(name).splitlines()[-12:])
                why = f"{name} ended" if ended else f"not within {seconds} s"
                raise DemoError(f"{what}: {why}; what it said last:\n{last}")
            time.sleep(0.05)

    def start_switch(self):
        few = os.cpu_count() < POLLING_CPUS
        options = ["--ctl", self.ctl, "--idle", "sleep" if few else "poll"]
        for name, mac in zip(NAMES, MACS):
            options += ["--vhost", f"{self.dir}/{name}.sock,mac={mac}"]
        # Without "--" the switch gives EAL arguments that just work, where there are hugepages.
        eal = [] if self.huge else ["--no-huge", "-m", "256", "--no-pci", "--no-shconf", "--"]
        self.step("starting vswitchd " + " ".join(map(str, eal + options)))
        process = self.spawn("vswitchd", [self.vswitchd, *eal, *options])
        self.wait(lambda: "ready: " in self.log("vswitchd"), 30, "starting vswitchd", "vswitchd",
                  process)
        self.step(re.search(r"ready: .*", self.log("vswitchd")).group())
        return process

    def ask(self, *words):
        done = subprocess.run([self.vswitchctl, "-s", self.ctl, "-j", *words], timeout=15,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0:
            raise DemoError(f"vswitchctl {' '.join(words)}: {done.stderr.strip()}")
        reply = json.loads(done.stdout)
        return reply.get("result", reply)

    def wait_ports(self, process):
        def up():
            return all(port["state"] == "up" for port in self.ask("port", "list")["ports"])
        self.wait(up, 20, "waiting for both ports", "vswitchd", process)
        self.step("both ports are up")

    def show(self):
        """The live table. Return: seconds to give what ends by itself: 0 after ^C."""
        try:
            self.show_tables()
            return GRACE_S
        except KeyboardInterrupt:
            return 0

    def show_tables(self):
        until = time.monotonic() + self.seconds if self.seconds else float("inf")
        command = [self.vswitchctl, "-s", self.ctl, "stats"]
        if sys.stdout.isatty():
            with subprocess.Popen([*command, "--watch", "1"]) as table:
                try:
                    table.wait(None if until == float("inf") else self.seconds)
                except subprocess.TimeoutExpired:
                    pass
                finally:
                    table.send_signal(signal.SIGINT)  # nothing if ^C has ended it already
            return
        while time.monotonic() < until:
            left = until - time.monotonic()
            time.sleep(max(0, min(TABLE_S, left) - 1))  # the table takes a second by itself
            print(flush=True)
            subprocess.run(command, timeout=15, check=False)

    def run_linux(self):
        accel = qemu.accelerator()
        how = "KVM" if accel == "kvm" else "software emulation, as KVM does not work here"
        self.step(f"booting two Linux guests ({how})")
        vms = []
        for name, mac, ip in zip(NAMES, MACS, IPS):
            nic = qemu.Nic(str(self.dir / f"{name}.sock"), mac)
            vms.append(qemu.Guest(name, [nic], ip=f"{ip}/24", accel=accel, wait=False,
                                  append="ipv6.disable=1"))  # nothing but what is asked for
            self.undo.callback(vms[-1].kill)
        return vms

    def main_linux(self, process):
        vms = self.run_linux()
        for vm in vms:
            vm.wait_ready()
        self.wait_ports(process)
        results = []
        for vm, ip in zip(vms, reversed(IPS)):
            line = ping_line(vm.run(f"ping -q -c 10 -i 0.2 -W 2 {ip}; true"))
            results.append((f"ping {vm.name} to {ip}", line))
            self.step(f"{vm.name} pings {ip}: {line}")
        vms[1].run("iperf3 -s -D >/dev/null 2>&1")
        background(vms[0], "iperf", f"iperf3 -J -i 0 -t {self.seconds or 86400} -c {IPS[1]}")
        background(vms[1], "ping", f"ping -q -i 0.5 {IPS[0]}")
        self.step(f"iperf3 from vm1 to vm2, and a ping beside it; {self.until()}")
        grace = self.show()
        self.step("ending")
        results.append(("iperf3 vm1 to vm2", iperf_line(finish(vms[0], "iperf", grace))))
        results.append((f"ping vm2 to {IPS[0]} meanwhile", ping_line(finish(vms[1], "ping"))))
        return results

    def until(self):
        return f"{self.seconds} s of it" if self.seconds else "^C ends it"

    def start_testpmd(self, index, *options):
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        memory = (["--in-memory", "--single-file-segments", "-m", "192"] if self.huge
                  else ["--no-huge", "--no-shconf", "-m", "192"])
        vdev = f"net_virtio_user0,path={self.dir}/{NAMES[index]}.sock,mac={MACS[index]}"
        process = self.spawn(
            NAMES[index],
            ["dpdk-testpmd", "--lcores", f"0@({cpus}),1@({cpus})", "--no-pci", *memory,
             "--file-prefix", f"{self.dir.name}-{index}", "--vdev", vdev, "--",
             "--auto-start", "--forward-mode=macswap", "--total-num-mbufs=8192", "--no-mlockall",
             *options], stdin=subprocess.PIPE)
        self.wait(lambda: self.ask("port", "show", NAMES[index])["state"] == "up", 20,
                  f"waiting for port {NAMES[index]}", NAMES[index], process)
        return process

    def main_testpmd(self, process):
        self.step("starting two dpdk-testpmd: vm1 sends a burst, and both send back what they get")
        echo = self.start_testpmd(1)
        source = self.start_testpmd(0, "--tx-first", f"--eth-peer=0,{MACS[1]}")
        self.wait_ports(process)
        self.step(f"frames of 64 bytes; {self.until()}")
        before = self.ask("stats")
        self.show()
        after = self.ask("stats")
        self.step("ending")
        for pmd in (source, echo):
            with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
                pmd.communicate(b"\n", timeout=10)  # "Press enter to exit"
        seconds = (after["time_ns"] - before["time_ns"]) / 1e9
        results = []
        for a, b in zip(before["ports"], after["ports"]):
            rate = (b["tx_frames"] - a["tx_frames"]) / seconds / 1e6
            results.append((f"delivered to {a['name']}", f"{rate:.2f} million frames a second"))
        return results

    def quiet_stats(self):
        """Counters when nothing moves any more, or after 3 s at most."""
        now = self.ask("stats")
        for _ in range(30):
            before, now = now, self.ask("stats")
            if before["ports"] == now["ports"]:
                break
            time.sleep(0.1)
        return now

    def summary(self, results):
        """True if every frame is accounted for."""
        stats = self.quiet_stats()
        print("\nSummary")
        for what, result in results:
            print(f"  {what + ':':30} {result}")
        drops = []
        for port in stats["ports"]:
            print(f"  {'port ' + port['name'] + ':':30} {port['rx_frames']} frames received from"
                  f" the guest, {port['tx_frames']} delivered to it")
            for side in ("rx_drop", "tx_drop"):
                drops += [(port["name"], side[:2], *item) for item in port[side].items() if item[1]]
        for name, side, reason, n in drops:
            text = DROPS.get(reason, "no reason known")
            way = "from" if side == "rx" else "for"
            print(f"  {'dropped ' + way + ' ' + name + ':':30} {n} ({reason}: {text})")
        if not drops:
            print(f"  {'dropped:':30} nothing")
        # Between two ports a frame that is sent on makes one copy, if the other is there.
        alone = sum(p["unicast"] + p["flooded"] - p["copies"] for p in stats["ports"])
        if alone:
            print(f"  {'broadcast to nobody:':30} {alone} (no other guest was up)")
        closes = alone >= 0 and all(map(ledger_closes, [*stats["ports"], stats["retired"]]))
        print(f"  {'ledger:':30}", "closes: no unexplained drop, every frame was delivered or is"
              " counted above" if closes else "DOES NOT CLOSE, which is an error of the switch")
        return closes

    def run(self):
        self.reserve_hugepages()
        process = self.start_switch()
        results = self.main_linux(process) if self.kind == "linux" else self.main_testpmd(process)
        return self.summary(results)


def ledger_closes(port):
    """Both sums, and that the switch thinks so too."""
    received = port["unicast"] + port["flooded"] + sum(port["rx_drop"].values())
    received += port["rx_coalesced"] - port["rx_injected"]
    made = port["tx_frames"] + sum(port["tx_drop"].values()) - port["tx_segments"]
    return port["closes"] and port["rx_frames"] == received and port["copies"] == made


def end(process):
    """End a process of ours: asked first, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def background(vm, name, command):
    """Start a command in the guest whose output finish() returns."""
    vm.run(f"{command} >/tmp/{name} 2>&1 & echo $! >/tmp/{name}.pid")


def finish(vm, name, grace=0):
    """What it printed. After @grace seconds it is interrupted, so that it says how it went."""
    wait = "kill -0 $pid 2>/dev/null || break; sleep 0.2; done"
    return vm.run(f"pid=$(cat /tmp/{name}.pid); for i in $(seq {grace * 5}); do {wait};"
                  f" kill -INT $pid 2>/dev/null; for i in $(seq 10); do {wait}; cat /tmp/{name}",
                  30 + grace)


def ping_line(text):
    """The last lines of ping as one: sent, lost, round-trip times."""
    counts = re.search(r"(\d+) packets transmitted, (\d+) packets received", text)
    times = re.search(r"= ([\d.]+)/([\d.]+)/([\d.]+) ms", text)
    if not counts:
        return "no answer: " + " ".join(text.split()[-8:])
    sent, got = map(int, counts.groups())
    line = f"{sent - got} of {sent} lost"
    if times:
        line += ", round trip {}/{}/{} ms (min/mean/max)".format(*times.groups())
    return line


def iperf_line(text):
    """The transfer's mean rate, as JSON of iperf3 has it."""
    try:
        end = json.loads(text)["end"]
        # The receiver's count is the better one, but an interrupted client never hears of it.
        total = end["sum_received"]
        if not total["bytes"]:
            total = end["sum_sent"]
        mb, seconds = total["bytes"] / 1e6, total["seconds"]
        return f"{mb * 8 / seconds:.0f} Mbit/s, {mb:.0f} MB in {seconds:.1f} s"
    except (ValueError, KeyError, ZeroDivisionError):
        return "failed: " + " ".join(text.split()[-12:])


def main():
    build, kind, seconds, so_far = sys.argv[1:]
    demo = Demo(pathlib.Path(build), kind, int(seconds), float(so_far))
    # A kill is answered as ^C is: in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with demo.undo:
        try:
            closes = demo.run()
        except KeyboardInterrupt:
            print("\ninterrupted before there was anything to sum up")
            return 130
        except (DemoError, qemu.GuestError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
    return 0 if closes else 1


if __name__ == "__main__":
    sys.exit(main())
