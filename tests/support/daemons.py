"""Daemons of a test: started in the foreground, in one folder, ended by their process ids."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

KEEPER = Path(__file__).with_name("keeper.py")
PORTS = range(20_000, 32_000)
"""Below Linux's range for outgoing connections, which could take a port before the daemon does."""

Found = TypeVar("Found")

ENDING = 30.0
"""Seconds that a daemon may take to end."""


def free_port() -> int:
    """Return a free port, drawn at random: clusters may start at the same time."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(
    condition: Callable[[], Found], what: str = "the condition holds", seconds: float = 20.0
) -> Found:
    """Poll until a condition holds, and return what it returned; TimeoutError names `what`.

    The longer it has waited the more rarely it polls: many conditions run a program of Slurm's.
    """
    started = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - started
        if waited > seconds:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(min(max(0.02, waited / 20), 0.2))
    return found


class Daemon:
    """One program that runs until it is stopped; `ready` says when it serves."""

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        output: Path,
        ready: Callable[[], object],
    ) -> None:
        self.command = command
        self.environment = environment
        self.output = output
        self.ready = ready
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Start the program, unless it runs, without waiting for it to serve."""
        if self.running:
            return
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the program and wait until it serves; RuntimeError with its output if it ends."""
        self.launch()
        wait_until(lambda: not self.running or self.ready(), f"{self.command[0]} serves")
        if not self.running:
            raise RuntimeError(f"{self.command[0]} ended while starting:\n{self._tail()}")

    def stop(self) -> None:
        """End the program as its service script would, and wait for its end."""
        self.thaw()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the program at once, as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the program from running, its sockets open, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the program for the length of a with block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the program for the length of a with block, then start it again."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self._signal(number)
        try:
            self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(ENDING)
            raise TimeoutError(
                f"{self.command[0]} did not end within {ENDING} s of {number.name}:\n{self._tail()}"
            ) from None

    def _tail(self) -> str:
        return self.output.read_text(errors="replace")[-2000:]


class Scratch:
    """A folder and the daemons in it; both go when it closes, and when this process is killed."""

    def __init__(self, prefix: str) -> None:
        """Make the folder, below the system's temporary one: paths of sockets must be short."""
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.daemons: list[Daemon] = []
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def daemon(self, *command: str, ready: Callable[[], object], **variables: str) -> Daemon:
        """Describe a daemon of this folder, not started; its environment gets `variables`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        marker = {"REMEX_TEST_FOLDER": f"{self.folder}/"}
        output = self.folder / f"{Path(command[0]).name}-{len(self.daemons)}.out"
        daemon = Daemon(list(command), clean | marker | variables, output, ready)
        self.daemons.append(daemon)
        return daemon

    def close(self) -> None:
        """End all that runs for this folder and remove it."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(2 * ENDING)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
        for daemon in self.daemons:
            daemon.kill()
