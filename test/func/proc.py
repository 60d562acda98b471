# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""Child processes for tests: started with their output captured, waited for with a deadline, and
ended by their own process id however the test ends."""

import ctypes
import os
import re
import select
import signal
import subprocess
import threading
import time

# Every wait is multiplied by this: sanitizers and loaded machines are slow, not wrong.
SLOW = float(os.environ.get("TEST_SLOW", "1"))

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """An expectation of a test that did not hold."""


class Skip(Exception):
    """What this machine cannot do."""


def check(condition, text):
    """An assertion that does not vanish under python -O."""
    if not condition:
        raise Failed(text)


def equal(got, want, what):
    check(got == want, f"{what}: is {got!r}, should be {want!r}")


def wait_for(predicate, deadline, what):
    """Poll @predicate until it is true, and return its value; fail after @deadline seconds."""
    end = time.monotonic() + deadline * SLOW
    pause = 0.001
    while True:
        value = predicate()
        if value:
            return value
        check(time.monotonic() < end, f"waited {deadline * SLOW:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _die_with_parent():
    # A test killed by its time-out must not leave a polling process behind.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process whose standard output and error are collected by a thread of ours."""

    def __init__(self, argv, name, env=None, pty=False, pass_fds=()):
        self.name = name
        self.argv = [str(a) for a in argv]
        self._text = {"out": "", "err": ""}
        self._news = threading.Condition()
        self._readers = []
        self.stdin = None
        if pty:
            # On a terminal stdio is line buffered, so what is printed arrives in order.
            master, slave = os.openpty()
            self.proc = subprocess.Popen(self.argv, stdin=slave, stdout=slave, stderr=slave,
                                         env=env, preexec_fn=_die_with_parent)
            os.close(slave)
            self.stdin = master
            self._watch(master, "out", False)
        else:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         env=env, pass_fds=pass_fds,
                                         preexec_fn=_die_with_parent)
            self._watch(self.proc.stdout.fileno(), "out", False)
            self._watch(self.proc.stderr.fileno(), "err", False)

    def _watch(self, fd, key, _daemon):
        thread = threading.Thread(target=self._read, args=(fd, key), daemon=True)
        thread.start()
        self._readers.append(thread)

    def _read(self, fd, key):
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:  # a terminal reports EIO when the last writer is gone
                data = b""
            with self._news:
                self._text[key] += data.decode(errors="replace").replace("\r", "")
                self._news.notify_all()
            if not data:
                return

    @property
    def pid(self):
        return self.proc.pid

    @property
    def out(self):
        with self._news:
            return self._text["out"]

    @property
    def err(self):
        with self._news:
            return self._text["err"]

    def alive(self):
        return self.proc.poll() is None

    def expect(self, pattern, deadline, start=0):
        """Wait until standard output from offset @start on matches; return the match."""
        end = time.monotonic() + deadline * SLOW
        regex = re.compile(pattern, re.M)
        with self._news:
            while True:
                match = regex.search(self._text["out"], start)
                if match:
                    return match
                left = end - time.monotonic()
                ended = not self.alive() and not any(r.is_alive() for r in self._readers)
                check(not ended, f"{self.name} ended ({self.proc.returncode}) before it printed"
                      f" {pattern!r}\n{self.tail()}")
                check(left > 0, f"{self.name} did not print {pattern!r} in"
                      f" {deadline * SLOW:g} s\n{self.tail()}")
                self._news.wait(min(left, 0.1))

    def tail(self, lines=25):
        text = self._text["out"][-4000:] + self._text["err"][-4000:]
        return "\n".join(f"    {self.name}| {line}" for line in text.splitlines()[-lines:])

    def wait(self, deadline):
        """Wait for its end and for the last of its output. Return the exit status."""
        try:
            status = self.proc.wait(deadline * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} (pid {self.pid}) did not end in {deadline * SLOW:g} s\n"
                         f"{self.tail()}") from None
        for reader in self._readers:
            reader.join(2 * SLOW)
        return status

    def kill(self):
        """The end, whatever state it is in."""
        if self.alive():
            self.proc.send_signal(signal.SIGCONT)
            self.proc.kill()
        self.proc.wait()
        for reader in self._readers:
            reader.join(2)
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def fds(self):
        """How many file descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def run(argv, deadline, env=None, stdin=None):
    """Run to the end. Return (status, stdout, stderr, seconds)."""
    start = time.monotonic()
    try:
        done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True,
                              env=env, timeout=deadline * SLOW, preexec_fn=_die_with_parent,
                              stdin=subprocess.DEVNULL if stdin is None else None)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(map(str, argv))}: did not end in {deadline * SLOW:g} s") from None
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start


def readable(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])
