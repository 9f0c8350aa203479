"""Run sbatch: start it, kill it if it takes too long, and retry.

Its outputs go straight into a file, the note of the attempt.
"""

import os
import signal
import subprocess
import threading
import time
from typing import Dict, List, Optional

from pytest_remex.agent import process
from pytest_remex.agent.sbatch_result import FAILED, NO_ROOM
from pytest_remex.agent.slurm.commands import SUBMITTED

LOOK = 0.25
"""Seconds between checks for an overdue sbatch."""
LONGEST = 8.0
"""The longest pause in seconds between attempts against a submit limit."""


class SbatchRunner:
    """Start sbatch processes; one thread watches them and kills those older than `patience`."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._deadlines: Dict[int, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._watcher.join()

    def run(self, words: List[str], folder: str, output: int, environment: Dict[str, str]) -> int:
        """Run sbatch in a folder, in its own session so that it survives the agent."""
        try:
            started = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            code = process.start_code(error)
            why = "Unable to open file" if code == process.MISSING else FAILED + NO_ROOM
            message = f"{why} {words[0]}: {error.strerror}\n"
            os.write(output, message.encode("ascii", "replace"))
            return code
        with self._lock:
            self._deadlines[started.pid] = time.monotonic() + self._patience
        # removed from the list before it is reaped: its id must not be reused when it is killed
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            del self._deadlines[started.pid]
        return started.wait()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            now = time.monotonic()
            with self._lock:
                for pid, deadline in self._deadlines.items():
                    if now > deadline:
                        process.signal_group(pid, signal.SIGKILL)


class RateLimiter:
    """Limits calls to `rate` per second over all threads; None for no limit."""

    def __init__(self, rate: Optional[float]) -> None:
        self._pause = 1 / rate if rate else 0.0
        self._lock = threading.Lock()
        self._last = time.monotonic()  # an earlier request may have just made a call

    def wait(self) -> None:
        """Wait until one more call may be made."""
        if not self._pause:
            return
        with self._lock:
            self._last = max(time.monotonic(), self._last + self._pause)
            due = self._last
        time.sleep(max(0.0, due - time.monotonic()))


class LimitWatch:
    """Decide whether to retry after a submit limit; an accepted job resets the timer.

    All threads of a request share it.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._accepted = 0.0
        self._since = 0.0
        self._pause = 0.5
        self.message = ""

    def wait(self, message: str, begun: float) -> bool:
        """Wait before a retry; return False if that has gone on for too long.

        The attempt has begun at that time: sbatch may have retried by itself for two minutes.
        """
        with self._lock:
            self.message = message
            self._since = self._since or max(begun, self._accepted)
            self._pause = min(self._pause * 2, LONGEST)
            pause = self._pause
        if self.over:
            return False
        time.sleep(pause)
        return True

    def reset(self) -> None:
        """Reset the timer after a job was accepted."""
        with self._lock:
            self._accepted = time.monotonic()
            self._since = 0.0
            self._pause = 0.5

    @property
    def over(self) -> bool:
        """Whether the time for retries has run out."""
        return self._since > 0 and time.monotonic() - self._since > self._patience


def left_over(folder: str) -> Optional[int]:
    """Find an sbatch process that a killed agent left behind, by its folder and options."""
    signs = {option.encode("ascii") for option in SUBMITTED}
    for pid in process.numbers():
        if signs.issubset(process.arguments(pid)) and process.working_directory(pid) == folder:
            return pid
    return None
