"""A tunnel through the open connection for rsync, which starts rsync at its other end.

rsync here -> _SHELL -> RsyncTunnel -> channel -> login shell -> python3 -> rsync there
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import (
    CHUNK,
    EXIT_TIMEOUT,
    LastErrors,
    NoRsyncError,
    fetch_lost,
    marked_line,
)

if TYPE_CHECKING:
    from typing import Self

    from pytest_remex.transport.base import Channel, Transport

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
            raise fetch_lost(self.place, f"was silent for {idle_timeout:g} s")

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
