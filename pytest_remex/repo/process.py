"""Git processes: started in a known environment, out of the reach of Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import git

from pytest_remex.errors import RepositoryError
from pytest_remex.repo.environment import options


@dataclass(frozen=True, slots=True)
class Process:
    """A git process that is spoken to while it runs."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    popen: subprocess.Popen[bytes]
    owner: object
    """GitPython ends the process when this goes away."""

    def communicate(self) -> tuple[int, bytes, bytes]:
        """Wait for its end, and return its exit code, output and errors."""
        output, errors = self.popen.communicate()
        return self.popen.returncode, output, errors

    def end(self) -> tuple[int, str]:
        """Wait for its end, close its streams, and return its exit code and errors."""
        with suppress(BrokenPipeError):  # its exit code and errors tell more
            self.stdin.close()
        errors = self.stderr.read().decode(errors="replace").strip()
        code = self.popen.wait()
        self.stdout.close()
        self.stderr.close()
        return code, errors


def start(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start git in a folder; Ctrl-C at the terminal does not reach it."""
    command = ["git", "--no-pager", *options(), *arguments]
    try:
        with _interrupts_blocked():
            popen = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
    except OSError as error:
        raise RepositoryError(
            f"git could not be started in {folder} ({error.strerror}): install git, and see that "
            f"it is on PATH"
        ) from error
    owner = git.Git.AutoInterrupt(popen, command)
    if popen.stdin is None or popen.stdout is None or popen.stderr is None:
        raise RepositoryError(f"git could not be spoken to in {folder}: no pipes")
    return Process(popen.stdin, popen.stdout, popen.stderr, popen, owner)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    # A child inherits the mask: Ctrl-C must not kill a push, or leave half a pack in objects/.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
