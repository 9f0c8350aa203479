"""rsync, here and there, joined by a channel of the connection that is already open."""

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
from pytest_remex.transport.base import CHUNK
from pytest_remex.transport.rsync_tunnel import RsyncTunnel
from pytest_remex.transport.transfer import Transferred, told_full

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from pytest_remex.transport.base import Transport
    from pytest_remex.transport.transfer import Wanted

_PARTS = ".remex-part"
_PROGRESS = re.compile(rb"\s*(?P<bytes>\d+)\s+\d+%.*?(?:xfr#(?P<files>\d+)|$)")
_SOME_MISSING = (0, 23, 24)
_OURS = (1, 3, 11, 22)
_LEAST = (3, 1)
_TRUSTING = (3, 2, 5)
_PATIENCE = 2.0


def pull(door: Transport, wanted: Wanted, *, silence: float) -> None:
    """Copy files from what the door leads to; one that is not there, or unreadable, is left out.

    Raises `RemoteError` where rsync is missing or fails, and `ConnectionLostError` where the link
    broke or was silent for `silence` seconds: parts of files are kept for the next time.
    """
    version = _version()
    with (
        RsyncTunnel(door, wanted.source) as joint,
        tempfile.TemporaryFile() as listed,
        tempfile.TemporaryFile() as errors,
    ):
        listed.write(b"".join(os.fsencode(name) + b"\0" for name in wanted.names))
        listed.seek(0)
        process = subprocess.Popen(
            command(wanted, silence, joint.shell, version),
            stdin=listed,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=[joint.end],
            env=_environment(),
            start_new_session=True,
        )
        _watch(process, joint, wanted, silence)
        errors.seek(0)
        said = errors.read()[-2000:].decode(errors="replace").strip()
    _judge(process.returncode, joint, said, wanted.basis)


def _watch(
    process: subprocess.Popen[bytes], joint: RsyncTunnel, wanted: Wanted, silence: float
) -> None:
    """Tell the progress until rsync ends, or the cluster has been silent for too long."""
    with process:
        try:
            joint.started()
            for step in steps(process.stdout) if process.stdout else ():
                if step is not None:
                    wanted.progress(step)
                else:
                    joint.check(silence)
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End rsync and its children; asked politely, it keeps the part of a file that it has."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def command(
    wanted: Wanted, silence: float, shell: Sequence[str], version: tuple[int, ...]
) -> list[str]:
    """Build the command that reads names from stdin, each ended by a NUL.

    All that is asked for is compared with what lies in `basis`, whatever its time: rsync's own
    quick check looks at whole seconds. Compression is what both ends know best; zstd at level 1
    takes half the time of none at 10 MB/s, and little more on a fast link. That rsync compare
    each file that comes with each that was asked for costs the square of their number (13 s at
    30,000), and is no use: nothing else leaves the staging folder.
    """
    return [
        "rsync",
        "--times",
        "--omit-dir-times",
        "--no-links",
        "--no-implied-dirs",
        "--from0",
        "--files-from=-",
        f"--partial-dir={_PARTS}",
        "--ignore-times",
        f"--compare-dest={wanted.basis}",
        *(["--trust-sender"] if version >= _TRUSTING else []),
        "--compress",
        "--compress-level=1",
        "--info=progress2",
        "--no-human-readable",
        "--outbuf=L",
        f"--timeout={max(1, round(silence))}",
        f"--rsh={' '.join(map(quoted, shell))}",
        "there:.",
        f"{wanted.staging}/",
    ]


def steps(stream: IO[bytes]) -> Iterator[Transferred | None]:
    """Read rsync's progress as it comes; None each second in which nothing came."""
    started = time.monotonic()
    files = 0
    for line in _lines(stream):
        if line is None:
            yield None
        elif found := _PROGRESS.match(line):
            files = int(found["files"] or files)
            size = int(found["bytes"])
            yield Transferred(files, size, size / max(time.monotonic() - started, 1e-3))


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Split at line ends and at the carriage returns that rsync redraws its line with."""
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


def _judge(code: int, joint: RsyncTunnel, said: str, destination: Path) -> None:
    """Raise what an exit code of rsync stands for, but for some files that are not there."""
    if joint.fault:
        raise joint.fault
    if joint.code is None and code not in (0, *_OURS):
        raise joint.lost("broke")
    if code in _SOME_MISSING:
        return
    if full := told_full(said, destination):
        raise full
    raise RemoteError(f"rsync from {joint.place} failed (exit code {code}): {said or joint.said}")


def _version() -> tuple[int, ...]:
    """Give the version of this machine's rsync. Raises `RemoteError` for none, or an old one."""
    if shutil.which("rsync") is None:
        raise RemoteError("rsync is not on the PATH of this machine: install it")
    run = subprocess.run(["rsync", "--version"], capture_output=True, check=False, text=True)
    found = re.match(r"rsync\s+version v?(\d+)\.(\d+)(?:\.(\d+))?", run.stdout)
    version = tuple(int(part or 0) for part in found.groups()) if found else (0,)
    if version < _LEAST:
        first = run.stdout.partition("\n")[0]
        raise RemoteError(
            f"this machine's rsync ({first!r}) is too old: install rsync 3.1 or newer"
        )
    return version


def _environment() -> dict[str, str]:
    """Leave out what changes rsync's ways, or its numbers."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RSYNC_")}
    return {**kept, "LC_ALL": "C"}


def quoted(word: str) -> str:
    """Quote a word of --rsh as rsync reads it."""
    return "'" + word.replace("'", "''") + "'"
