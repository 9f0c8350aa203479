"""Patience with a submit limit, shared by all threads of a request."""

import threading
import time

LONGEST = 8.0
"""Seconds between two attempts at most."""


class LimitWatch:
    """Says whether to try again after a submit limit; a success makes patience new."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._since = 0.0
        self._pause = 0.5
        self.words = ""

    def wait(self, words: str) -> bool:
        """Wait after Slurm said these words; False when that has gone on for long enough."""
        with self._lock:
            self.words = words
            self._since = self._since or time.monotonic()
            self._pause = min(self._pause * 2, LONGEST)
            pause = self._pause
        if self.over:
            return False
        time.sleep(pause)
        return True

    def passed(self) -> None:
        """Note that a job was accepted."""
        with self._lock:
            self._since = 0.0
            self._pause = 0.5

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return self._since > 0 and time.monotonic() - self._since > self._patience
