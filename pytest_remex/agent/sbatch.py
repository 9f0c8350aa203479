"""Start sbatch with its outputs straight in a file, and end it when it takes too long."""

import os
import signal
import subprocess
import threading
import time
from typing import Dict, List, Optional

from . import commands, processes

LOOK = 0.25
"""Seconds between two looks at the clock."""


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
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            said = f"Unable to open file {words[0]}: {error.strerror}\n"
            os.write(output, said.encode("ascii", "replace"))
            return commands.MISSING
        with self._lock:
            self._deadlines[process.pid] = time.monotonic() + self._patience
        # not reaped before it is off the list: its number must not be another's when it is killed
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            del self._deadlines[process.pid]
        return process.wait()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            now = time.monotonic()
            with self._lock:
                for pid, deadline in self._deadlines.items():
                    if now > deadline:
                        processes.signal_group(pid, signal.SIGKILL)


def left_over(folder: str, comment: str) -> Optional[int]:
    """Find an sbatch that a killed agent left behind, by its folder and comment."""
    sign = f"--comment={comment}".encode("utf-8", "surrogateescape")
    for pid in processes.numbers():
        if sign in processes.arguments(pid) and processes.folder(pid) == folder:
            return pid
    return None
