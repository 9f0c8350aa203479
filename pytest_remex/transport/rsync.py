"""Copying files from a cluster by rsync, through a tunnel in the open connection.

rsync here -> _SHELL -> RsyncTunnel -> channel -> login shell -> python3 -> rsync there
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import (
    CHUNK,
    EXIT_TIMEOUT,
    KEPT,
    PARTIAL,
    LastErrors,
    NoRsyncError,
    fetch_lost,
    last_lines,
    marked_line,
)
from pytest_remex.transport.transfer import TransferProgress, disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO, Self

    from pytest_remex.errors import ConnectionLostError
    from pytest_remex.transport.base import Channel, Transport
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
_START_RSYNC = """
import json, os, shutil, subprocess
def report(text):
    os.write(1, ("\\n%s %s\\n" % ({nonce!r}, json.dumps(text))).encode())
try:
    os.chdir({source!r})
except OSError as error:
    report("the runs folder %s cannot be read (%s): check remex_runs"
        % (os.fsdecode({source!r}), error.strerror))
    raise SystemExit(1)
if not shutil.which("rsync"):
    report({missing!r})
    raise SystemExit(1)
asked = subprocess.Popen(["rsync", "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
if not asked.communicate()[0].startswith(b"rsync"):
    report({greets!r})
    raise SystemExit(1)
os.nice(10)
report("")
os.execvp("rsync", {words!r})
"""
"""The program that execs rsync there; first it reports an error, or "" for none."""
_MISSING = "rsync is not on the PATH there"
_GREETS = "rsync there prints other text before its answer"
_SHELL = """
import os, socket, sys
with socket.socket(fileno=int(sys.argv[1])) as tunnel:
    socket.send_fds(tunnel, ["\\0".join(sys.argv[3:]).encode()], [0, 1])
    os.close(0)
    os.close(1)
    sys.exit(int(tunnel.recv(16) or 255))
"""
"""What rsync runs instead of ssh, as `python -I -S -c _SHELL FD HOST WORD...`.

FD is one end of a socket pair, inherited from rsync; `RsyncTunnel` has the other. The program sends
the words of the remote command and both its streams, and exits with the exit code that it receives.
"""
_MAX_WORDS = 1 << 16
_FAILED = 255
"""The exit code that rsync here gets if the one there has none, as from ssh."""


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
        raise tunnel.lost("broke")
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


class RsyncTunnel:
    """The tunnel for one run of rsync, a context manager around that run.

    Args:
        transport: Where the other rsync runs.
        source: The folder there in which it runs.

    Attributes:
        fault: Afterwards, why rsync did not start there; None if it did.
        code: Afterwards, its exit code there; None if the connection broke.
    """

    def __init__(self, transport: Transport, source: str) -> None:
        self.fault: RemoteError | None = None
        self.code: int | None = None
        self.place = transport.place
        self._transport = transport
        self._source = source.encode("utf-8", "surrogateescape")
        self._ours, self._theirs = socket.socketpair()
        self._channel: Channel | None = None
        self._errors: LastErrors | None = None
        self._last_data = time.monotonic()
        self._thread = threading.Thread(target=self._serve, name="remex-rsync", daemon=True)

    @property
    def fd(self) -> int:
        """The file descriptor that rsync must inherit."""
        return self._theirs.fileno()

    @property
    def shell(self) -> list[str]:
        """The words of rsync's remote shell."""
        return [sys.executable, "-I", "-S", "-c", _SHELL, str(self.fd)]

    @property
    def stderr(self) -> str:
        """The last lines that the cluster wrote to stderr, safe on a terminal."""
        return str(self._errors or "")

    def start(self) -> None:
        """Begin to carry data, once rsync has inherited `fd`."""
        self._theirs.close()
        self._thread.start()

    def check(self, idle_timeout: float) -> None:
        """Raise `ConnectionLostError` if nothing came for so many seconds since rsync started.

        For the start, the transport has a time limit of its own.
        """
        if self._channel and time.monotonic() - self._last_data > idle_timeout:
            raise self.lost(f"was silent for {idle_timeout:g} s")

    def lost(self, what: str) -> ConnectionLostError:
        """Return the error for a connection that was lost; `what` happened to it."""
        return fetch_lost(self.place, what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._theirs.close()
        if self._channel is not None:
            self._channel.close()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._ours.close()

    def _serve(self) -> None:
        """Receive rsync's streams from `_SHELL`, and carry data until rsync there ends."""
        message, streams, _, _ = socket.recv_fds(self._ours, _MAX_WORDS, 2)
        if not streams:
            return
        output, into = streams
        for stream in streams:
            os.set_blocking(stream, True)
        try:
            self._carry(message.decode().split("\0"), output, into)
        except RemoteError as fault:
            self.fault = fault
        except OSError:
            self.code = None
        finally:
            os.close(into)
            with contextlib.suppress(OSError):
                self._ours.send(str(_FAILED if self.code is None else self.code).encode())

    def _carry(self, words: list[str], output: int, into: int) -> None:
        """Start rsync there with `words`; copy `output` to its stdin, and its stdout to `into`."""
        nonce = secrets.token_hex(8)
        program = _START_RSYNC.format(
            nonce=nonce, source=self._source, words=words, missing=_MISSING, greets=_GREETS
        )
        channel = self._transport.python(program)
        self._last_data = time.monotonic()
        self._channel = channel
        threading.Thread(target=_send, args=(channel, output), daemon=True).start()
        self._errors = LastErrors(channel)
        rest = self._skip_noise(channel, nonce.encode() + b" ")
        with contextlib.suppress(BrokenPipeError):
            _write(into, rest)
            while data := self._read(channel):
                _write(into, data)
        self.code = channel.wait(EXIT_TIMEOUT)

    def _skip_noise(self, channel: Channel, mark: bytes) -> bytes:
        """Wait for the line after which rsync starts, and return the bytes after it."""
        if marked := marked_line(mark, partial(self._read, channel)):
            line, rest = marked
            if fault := json.loads(line):
                kind = NoRsyncError if fault in {_MISSING, _GREETS} else RemoteError
                raise kind(f"{self.place}: {fault}")
            return rest
        self.code = channel.wait(EXIT_TIMEOUT)
        if self.code is not None:
            raise RemoteError(
                f"{self.place}: rsync did not start there (exit code {self.code}): {self.stderr}"
            )
        return b""

    def _read(self, channel: Channel) -> bytes:
        data = channel.read()
        self._last_data = time.monotonic()
        return data


def _send(channel: Channel, output: int) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := os.read(output, CHUNK):
            channel.write(data)
    os.close(output)


def _write(into: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(into, rest) :]
