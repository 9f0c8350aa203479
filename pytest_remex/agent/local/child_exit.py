"""Sleep that ends early when a child process does."""

import os
import select
import signal


class ChildExitWaiter:
    """Rings when a child of this process ends; for the main thread of a program."""

    def __init__(self) -> None:
        self._ear, rope = os.pipe()
        for end in (self._ear, rope):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(rope)

    def wait(self, seconds: float) -> None:
        """Sleep until a child ends, so many seconds at most."""
        heard, _, _ = select.select([self._ear], [], [], seconds)
        if heard:
            os.read(self._ear, 1024)
