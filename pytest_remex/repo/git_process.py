"""Start git processes, with only the settings and variables that our commands may depend on.

Git's variables and settings can redirect the repository, the index or the work tree, and change
what is pushed, hashed or printed. So only the variables that `common.git` lists are
kept, and every setting that could affect our commands is overridden on the command line.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from pytest_remex.common.git import FIXED_VARIABLES, is_kept, without_progress
from pytest_remex.common.redact import redact
from pytest_remex.errors import RepositoryError

SETTINGS = (
    "color.advice=false",
    "color.push=false",
    "color.remote=false",
    "color.transport=false",
    "color.ui=false",
    "commit.gpgSign=false",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.ignoreCase=false",
    "core.logAllRefUpdates=false",
    "core.quotePath=true",
    "core.splitIndex=false",
    "core.warnAmbiguousRefs=true",
    "fastimport.unpackLimit=100",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "i18n.logOutputEncoding=utf-8",
    "maintenance.auto=false",
    "push.default=nothing",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.negotiate=false",
    "push.pushOption=",
    "push.recurseSubmodules=no",
    "push.useForceIfIncludes=false",
    "remote.pushDefault=origin",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
)
"""Settings of every command. The user's settings still apply to reaching a server (url, pushurl,
receivepack, insteadOf, proxy, credentials, ssh) and to comparing their own work tree (autocrlf,
filters, fileMode), which only `status` does."""

LOOK, SAID, SILENCE = 1.0, 60.0, 600.0
"""Seconds between looks at a process that talks to a server; how long it may say nothing before the
user is told, and before it is ended: a slow push reports its progress each second."""
SHOWN = 25
"""The most lines of git's errors that are kept: hooks on a server may print more."""
FIXED = FIXED_VARIABLES | {
    "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}


class Process(NamedTuple):
    """A running git process, with its pipes."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    popen: subprocess.Popen[bytes]

    def communicate(self, text: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Send `text`, wait for the process to end, and return exit code, output and errors."""
        output, errors = self.popen.communicate(text)
        return self.popen.returncode, output, errors

    def finish(self) -> tuple[int, str, str]:
        """Wait for the process to end; return exit code, output, and errors without credentials."""
        code, output, errors = self.communicate()
        return code, os.fsdecode(output), _shown(errors)

    def watch(self, tell: Callable[[str], None] = lambda _: None) -> tuple[int, str, str]:
        """Do the same as `finish`, but end a process that says nothing for `SILENCE` seconds.

        `tell` is called with words on that meanwhile. Seconds in which this process is stopped do
        not count.
        """
        with suppress(BrokenPipeError):
            self.stdin.close()
        said, silent = {self.stdout: bytearray(), self.stderr: bytearray()}, 0.0
        with selectors.DefaultSelector() as selector:
            for stream, kept in said.items():
                selector.register(stream, selectors.EVENT_READ, kept)
            while selector.get_map() and silent < SILENCE:
                ready = selector.select(LOOK)
                silent = 0.0 if ready else silent + LOOK
                if not ready and self.popen.poll() is not None:
                    break  # what a script round it left running keeps the outputs open
                if silent >= SAID:
                    tell(f"origin has not answered for {silent:.0f} s")
                for key, _ in ready:
                    key.data.extend(chunk := os.read(key.fd, 1 << 16))
                    if not chunk:
                        selector.unregister(key.fileobj)
        output, errors = map(bytes, said.values())
        if silent >= SILENCE:
            self.popen.terminate()
            errors += f"\norigin did not answer for {silent:.0f} s, so git was ended".encode()
        self.stdout.close()
        self.stderr.close()
        return self.popen.wait(), os.fsdecode(output), _shown(errors)

    def end(self) -> tuple[int, str]:
        """Wait for the process to end, close the pipes, and return exit code and errors."""
        with suppress(BrokenPipeError):  # exit code and errors say more
            self.stdin.close()
        errors = self.stderr.read().decode(errors="replace").strip()
        code = self.popen.wait()
        self.stdout.close()
        self.stderr.close()
        return code, errors


def start(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start a git process in a folder; Ctrl-C at the terminal does not reach it.

    Raises:
        RepositoryError: It could not be started.

    """
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    command = ["git", "--no-pager", *settings, *arguments]
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
            f"git could not be started in {folder} ({error.strerror}): install git, and check that "
            f"it is on PATH"
        ) from error
    if popen.stdin is None or popen.stdout is None or popen.stderr is None:
        raise RepositoryError(f"git was started in {folder} without pipes")
    return Process(popen.stdin, popen.stdout, popen.stderr, popen)


def owner_of(popen: subprocess.Popen[bytes], folder: Path) -> object:
    """Return an object whose deletion ends a git process."""
    try:
        # importing it runs git, which may fail, and takes as long as a small command
        from git import Git as GitPython  # noqa: PLC0415
    except ImportError as error:
        _, errors = popen.communicate()
        words = redact(errors.decode(errors="replace")).strip() or str(error).partition("\n")[0]
        raise RepositoryError(f"git cannot be used in {folder}: {words}") from error
    return GitPython.AutoInterrupt(popen, popen.args)


def _shown(errors: bytes) -> str:
    return last_lines(redact(without_progress(errors.decode(errors="replace"))))


def last_lines(words: str) -> str:
    """Return the end of what git, or a hook on a server, said."""
    lines = words.strip().splitlines()
    return "\n".join([*(["..."] if lines[:-SHOWN] else []), *lines[-SHOWN:]])


@contextmanager
def without_git_variables() -> Iterator[None]:
    """Remove git's variables that are not kept from this process, and restore them afterwards.

    For patches: a git command that a patch runs in the checkout must not act on the repository that
    a hook's variables name.
    """
    before = _git_variables()
    for name in before:
        if not is_kept(os.fsdecode(name)):
            del os.environb[name]
    try:
        yield
    finally:
        for name in _git_variables():
            del os.environb[name]
        if before:
            os.environb.update(before)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    # A child inherits the mask: Ctrl-C must not kill a push, or leave a partial pack in objects/.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _git_variables() -> dict[bytes, bytes]:
    return {name: os.environb[name] for name in os.environb if name.startswith(b"GIT_")}
