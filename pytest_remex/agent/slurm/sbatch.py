"""Start sbatch with its outputs straight in a file, end it when it takes too long, try again."""

import os
import signal
import subprocess
import threading
import time
from typing import Dict, List, Optional

from pytest_remex.agent import process

LOOK = 0.25
"""Seconds between two looks at the clock."""
LONGEST = 8.0
"""Seconds between two attempts against a submit limit at most."""


class Launcher:
    """Starts sbatch; one thread watches all that run and kills what is older than `patience`."""

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
        """Run sbatch in a folder; its own session keeps it alive when this agent is killed."""
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
            message = f"Unable to open file {words[0]}: {error.strerror}\n"
            os.write(output, message.encode("ascii", "replace"))
            return process.MISSING
        with self._lock:
            self._deadlines[started.pid] = time.monotonic() + self._patience
        # not reaped before it is off the list: its number must not be another's when it is killed
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


class LimitWatch:
    """Says whether to try again after a submit limit; an accepted job resets the timer.

    It is shared by all threads of a request.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._since = 0.0
        self._pause = 0.5
        self.message = ""

    def wait(self, message: str) -> bool:
        """Wait after Slurm said this; return False when that has gone on for long enough."""
        with self._lock:
            self.message = message
            self._since = self._since or time.monotonic()
            self._pause = min(self._pause * 2, LONGEST)
            pause = self._pause
        if self.over:
            return False
        time.sleep(pause)
        return True

    def reset(self) -> None:
        """Note that a job was accepted."""
        with self._lock:
            self._since = 0.0
            self._pause = 0.5

    @property
    def over(self) -> bool:
        """Whether the time to go on trying has run out."""
        return self._since > 0 and time.monotonic() - self._since > self._patience


def left_over(folder: str, comment: str) -> Optional[int]:
    """Find an sbatch that a killed agent left behind, by its folder and comment."""
    sign = f"--comment={comment}".encode("utf-8", "surrogateescape")
    for pid in process.numbers():
        if sign in process.arguments(pid) and process.working_directory(pid) == folder:
            return pid
    return None
