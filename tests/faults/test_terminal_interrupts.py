"""Ctrl-C at random moments, typed at a terminal: a plain end, and the same command finishes."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import termios
import time
from pathlib import Path

from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_ran_once
from support.kills import agents
from support.launches import LONGEST, PLUGINS, Done

EXPERIMENTS = 3
MODES = ("--remex-submit", "--remex-status", "--remex-collect")
HALF_READ = "ignore:unclosed file .*pyc:ResourceWarning"
"""What Python warns of where Ctrl-C comes while it reads a module, whoever wrote that."""
STARTED = b"test session starts"
"""What pytest shows first; until then, it says itself what a Ctrl-C interrupts."""
ENDING = b"\n-----"
"""What it shows when all items have ended; its last steps are too short to be met by chance."""
MOMENTS = ((STARTED, 2.5), (ENDING, 0.08))
"""After what is shown, and within how many seconds, Ctrl-C comes."""


class Terminal:
    """A command at a terminal of its own, whose keys can be pressed."""

    def __init__(self, user, *arguments):
        words = [sys.executable, "-m", "pytest", *PLUGINS, "sweeps.py", *arguments]
        self.pid, self._keys = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(user.repository)
            os.execve(words[0], words, user._environment())  # noqa: S606 - no shell between the keys and it
        self._before = termios.tcgetattr(self._keys)
        self._text = b""

    def press_after(self, sign, seconds):
        """Type Ctrl-C so many seconds after a sign; return False if the command ended before."""
        while sign not in self._text:
            assert self._read(LONGEST), self._text
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self._read(end - time.monotonic()):
                return False
        os.write(self._keys, b"\x03")
        return True

    def finished(self):
        """Wait for the end; return what was shown, and check that the terminal is as before."""
        deadline = time.monotonic() + LONGEST
        while self._read(1.0):
            assert time.monotonic() < deadline, self._text
        _, status = os.waitpid(self.pid, 0)
        after = termios.tcgetattr(self._keys)
        assert after == self._before, "the terminal was left in another state"
        os.close(self._keys)
        text = self._text.decode(errors="replace").replace("\r\n", "\n")
        assert text.count("\x1b[?25l") <= text.count("\x1b[?25h"), "the cursor was left hidden"
        return Done(os.waitstatus_to_exitcode(status), text)

    def _read(self, seconds):
        """Take in what is shown within so many seconds; return False at the end."""
        if not select.select([self._keys], [], [], max(seconds, 0))[0]:
            return True
        try:
            got = os.read(self._keys, 65536)
        except OSError:
            return False
        self._text += got
        return bool(got)


def processes_of(user):
    """Return the processes of this machine that a user's command has started."""
    sign = f"HOME={user.home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if sign in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
    return [words for words in found if words and b"ControlMaster" not in words]


def test_ctrl_c_at_a_terminal(user, cluster, chance, tally, number):
    """Ctrl-C at any moment ends plainly, says what to do, and loses nothing."""
    mode = MODES[number % len(MODES)]
    sign, most = MOMENTS[number // len(MODES) % len(MOMENTS)]
    user.ini(filterwarnings=f"error\n    {HALF_READ}")
    before = Snapshot.of(user.repository)
    if mode != "--remex-submit":
        user.submit()
        if mode == "--remex-collect":
            cluster.wait()
    with tally.case(f"Ctrl-C at a terminal: {mode}") as case:
        terminal = Terminal(user, mode)
        met = terminal.press_after(sign, chance.uniform(0, most))
        case.injected(met)
        done = terminal.finished()
        for sign in ("Traceback (most recent", "INTERNALERROR", "Warning:"):
            assert sign not in done.text, done.text
        assert not met or re.search(r"^next: ", done.text, re.MULTILINE), done.text
        wait_until(lambda: not processes_of(user), "all its processes have ended")
        wait_until(lambda: not list(agents(cluster)), "no agent is left")
        user.submit()
        user.pytest("--remex-status").reported()
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        assert_clean(user, before)
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS
