"""Copying files from a cluster by rsync: its command line, progress and exit codes."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import (
    CHUNK,
    KEPT,
    PARTIAL,
    NoRsyncError,
    fetch_lost,
    last_lines,
)
from pytest_remex.transport.rsync_tunnel import RsyncTunnel
from pytest_remex.transport.transfer import TransferProgress, disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from pytest_remex.transport.base import Transport
    from pytest_remex.transport.transfer import Transfer

_PROGRESS = re.compile(rb"\s*(?P<bytes>\d+)\s+\d+%.*?(?:xfr#(?P<files>\d+)|$)")
_SOME_MISSING = (0, 23, 24)
"""Exit codes of a transfer that copied everything that could be copied."""
_FAULTS_HERE = (1, 3, 11, 22)
"""Exit codes for errors on this machine, not of the connection."""
_NOT_STARTED = 127
"""The exit code for a program that could not be started."""
_MIN_VERSION, _HAS_TRUST_SENDER = (3, 1), (3, 2, 5)
_TERM_TIMEOUT = 2.0


def pull(transport: Transport, transfer: Transfer, *, idle_timeout: float) -> None:
    """Copy files; skip missing and unreadable ones.

    Raises:
        NoRsyncError: rsync is missing here or there, or is too old here.
        RemoteError: It failed.
        ConnectionLostError: The connection broke, or was silent for `idle_timeout` seconds; the
            next transfer continues the files that were begun.
    """
    version = _version()
    with (
        RsyncTunnel(transport, transfer.source) as tunnel,
        tempfile.TemporaryFile() as names,
        tempfile.TemporaryFile() as errors,
    ):
        names.write(b"".join(os.fsencode(name) + b"\0" for name in transfer.names))
        names.seek(0)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RSYNC_")}
        process = subprocess.Popen(
            rsync_command(transfer, idle_timeout, tunnel.shell, version),
            stdin=names,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=[tunnel.fd],
            env={**kept, "LC_ALL": "C"},  # the format of its numbers
            start_new_session=True,
        )
        _follow(process, tunnel, transfer, idle_timeout)
        errors.seek(0)
        stderr = errors.read()[-KEPT:]
    _check_exit(process.returncode, tunnel, stderr, transfer.destination)


def _follow(
    process: subprocess.Popen[bytes], tunnel: RsyncTunnel, transfer: Transfer, idle_timeout: float
) -> None:
    """Report progress until rsync ends; raise if the cluster has been silent for too long."""
    with process:
        try:
            tunnel.start()
            for progress in read_progress(process.stdout) if process.stdout else ():
                if progress is not None:
                    transfer.report(progress)
                else:
                    tunnel.check(idle_timeout)
        except BaseException:
            _terminate(process)
            raise


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """End rsync and its children; on SIGTERM it keeps the part of a file that has arrived."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_TERM_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def rsync_command(
    transfer: Transfer, idle_timeout: float, shell: Sequence[str], version: tuple[int, ...]
) -> list[str]:
    """Return rsync's command line; it reads names from stdin, each ended by a NUL.

    Every file is compared with the one in `destination`, even with the same time: rsync's quick
    check compares whole seconds. Both ends agree on the best compression they know; zstd at level 1
    takes half the time of none at 10 MB/s, and little more on a fast link. Without
    `--trust-sender`, rsync compares each file with each requested name (13 s for 30,000 files);
    that check is not needed, since only requested files leave the staging folder.

    Args:
        transfer: The files.
        idle_timeout: Seconds without data after which rsync itself ends.
        shell: The words of rsync's remote shell.
        version: The version of rsync here.
    """
    return [
        *("rsync", "--times", "--omit-dir-times", "--no-links", "--no-implied-dirs"),
        *("--from0", "--files-from=-", "--ignore-times", f"--partial-dir={PARTIAL}"),
        f"--compare-dest={transfer.destination}",
        *(["--trust-sender"] if version >= _HAS_TRUST_SENDER else []),
        *("--compress", "--compress-level=1"),
        *("--info=progress2", "--no-human-readable", "--outbuf=L"),
        f"--timeout={max(1, round(idle_timeout))}",
        f"--rsh={' '.join(map(quote_for_rsync, shell))}",
        "there:.",
        f"{transfer.staging}/",
    ]


def read_progress(stream: IO[bytes]) -> Iterator[TransferProgress | None]:
    """Yield rsync's progress as it comes; None for each second without any."""
    started = time.monotonic()
    files = 0
    for line in _lines(stream):
        if line is None:
            yield None
        elif match := _PROGRESS.match(line):
            files = int(match["files"] or files)
            size = int(match["bytes"])
            yield TransferProgress.since(started, files, size)


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Split at line ends, and at the carriage returns with which rsync redraws its line."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(1):
                yield None
                continue
            data = os.read(stream.fileno(), CHUNK)
            if not data:
                break
            *lines, rest = re.split(rb"[\r\n]", rest + data)
            yield from lines
    yield rest


def _check_exit(code: int, tunnel: RsyncTunnel, stderr: bytes, destination: Path) -> None:
    """Raise the error for rsync's exit code, unless only some files are missing."""
    if tunnel.fault:
        raise tunnel.fault
    if tunnel.code == _NOT_STARTED:
        raise NoRsyncError(f"{tunnel.place}: rsync does not start ({tunnel.stderr})")
    if tunnel.code is None and code not in (0, *_FAULTS_HERE):
        raise fetch_lost(tunnel.place, "broke")
    if code in _SOME_MISSING:
        return
    if full := disk_full(stderr.decode(errors="replace"), destination):
        raise full
    why = last_lines(stderr) or tunnel.stderr
    raise RemoteError(f"rsync from {tunnel.place} failed (exit code {code}): {why}")


def rsync_fault() -> str:
    """Return why this machine's rsync cannot be used; empty if it can."""
    try:
        _version()
    except NoRsyncError as error:
        return str(error)
    return ""


def _version() -> tuple[int, ...]:
    """Return the version of this machine's rsync; raise `NoRsyncError` if it cannot be used."""
    if shutil.which("rsync") is None:
        raise NoRsyncError("rsync is not on the PATH of this machine")
    run = subprocess.run(["rsync", "--version"], capture_output=True, check=False, text=True)
    match = re.match(r"rsync\s+version v?(\d+)\.(\d+)(?:\.(\d+))?", run.stdout)
    version = tuple(int(part or 0) for part in match.groups()) if match else (0,)
    if version < _MIN_VERSION:
        first = run.stdout.partition("\n")[0]
        raise NoRsyncError(f"rsync 3.1 or newer is needed on this machine; it has {first!r}")
    return version


def quote_for_rsync(word: str) -> str:
    """Quote a word of `--rsh` by rsync's own rules."""
    return "'" + word.replace("'", "''") + "'"
