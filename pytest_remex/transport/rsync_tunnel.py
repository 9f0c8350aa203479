"""Joins a local rsync to one on the cluster through a channel, skipping the login shell's noise."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.errors import RemoteError
from pytest_remex.transport import rsync_shell
from pytest_remex.transport.base import CHUNK
from pytest_remex.transport.connection_lost import lost

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pytest_remex.errors import ConnectionLostError
    from pytest_remex.transport.base import Channel, Transport

_THERE = """
import json, os, shutil
def say(text):
    os.write(1, ("\\n%s %s\\n" % ({nonce!r}, json.dumps(text))).encode())
try:
    os.chdir({source!r})
except OSError as error:
    say("the runs folder %s cannot be read (%s): see remex_runs" % ({source!r}, error.strerror))
    raise SystemExit(1)
if not shutil.which("rsync"):
    say("rsync is not on the PATH there: install or load it")
    raise SystemExit(1)
say("")
os.execvp("rsync", {words!r})
"""
_WORDS = 1 << 16


class RsyncTunnel:
    """The near half of `bridge`, for one run of rsync; a context manager round that run.

    `shell` is what rsync is to run as its remote shell, `end` the descriptor that it inherits for
    that. Afterwards `fault` says why the far half did not start, and `code` is the far rsync's
    exit code, None where the link broke.
    """

    def __init__(self, door: Transport, source: str) -> None:
        self.fault: RemoteError | None = None
        self.code: int | None = None
        self.place = door.place
        self._door = door
        self._source = source.encode("utf-8", "surrogateescape")
        self._ours, self._theirs = socket.socketpair()
        self._channel: Channel | None = None
        self._said = bytearray()
        self._heard_at = time.monotonic()
        self._thread = threading.Thread(target=self._serve, name="remex-rsync", daemon=True)

    def check(self, silence: float) -> None:
        """Raise `ConnectionLostError` where nothing came for so many seconds.

        The start has a limit of its own: the door's.
        """
        if self._channel and time.monotonic() - self._heard_at > silence:
            raise self.lost(f"was silent for {silence:g} s")

    def lost(self, what: str) -> ConnectionLostError:
        """Say that the connection was lost, and what that means."""
        return lost(f"the connection to {self.place} {what}", "files were fetched")

    @property
    def end(self) -> int:
        """The descriptor that rsync is to inherit."""
        return self._theirs.fileno()

    @property
    def shell(self) -> list[str]:
        """The words of rsync's remote shell."""
        return [
            sys.executable,
            "-I",
            "-S",
            str(Path(rsync_shell.__file__).resolve()),
            str(self.end),
        ]

    @property
    def said(self) -> str:
        """The last that the cluster wrote to stderr."""
        return self._said.decode(errors="replace").strip()

    def started(self) -> None:
        """Serve the rsync that now has its end."""
        self._theirs.close()
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._theirs.close()
        if self._channel is not None:
            self._channel.close()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._ours.close()

    def _serve(self) -> None:
        """Take rsync's streams from the bridge, and pump until the far rsync ends."""
        message, streams, _, _ = socket.recv_fds(self._ours, _WORDS, 2)
        if not streams:
            return
        out, into = streams
        for stream in streams:
            os.set_blocking(stream, True)
        try:
            self._pump(message.decode().split("\0"), out, into)
        except RemoteError as fault:
            self.fault = fault
        except OSError:
            self.code = None
        finally:
            os.close(into)
            with contextlib.suppress(OSError):
                self._ours.send(str(255 if self.code is None else self.code).encode())

    def _pump(self, words: list[str], out: int, into: int) -> None:
        nonce = secrets.token_hex(8)
        program = _THERE.format(nonce=nonce, source=self._source, words=words)
        channel = self._door.python(program)
        self._heard_at = time.monotonic()
        self._channel = channel
        for work in (self._send, self._hear_errors):
            threading.Thread(target=work, args=(channel, out), daemon=True).start()
        rest = self._skip_noise(channel, nonce.encode() + b" ")
        with contextlib.suppress(BrokenPipeError):
            _write(into, rest)
            while data := channel.read():
                self._heard_at = time.monotonic()
                _write(into, data)
        self.code = channel.wait(5)

    def _skip_noise(self, channel: Channel, mark: bytes) -> bytes:
        """Wait for the line that starts rsync, and give what follows it."""
        heard = b""
        while data := channel.read():
            self._heard_at = time.monotonic()
            heard = heard[-len(mark) :] + data if mark not in heard else heard + data
            line, ended, rest = heard.partition(mark)[2].partition(b"\n")
            if ended:
                if fault := json.loads(line):
                    raise RemoteError(f"{self.place}: {fault}")
                return rest
        self.code = channel.wait(5)
        if self.code is not None:
            raise RemoteError(f"{self.place}: rsync did not start there ({self.code}): {self.said}")
        return b""

    def _send(self, channel: Channel, out: int) -> None:
        with contextlib.suppress(OSError, EOFError):
            while data := os.read(out, CHUNK):
                channel.write(data)
        os.close(out)

    def _hear_errors(self, channel: Channel, _: int) -> None:
        while data := channel.read_error():
            self._said = (self._said + data)[-2000:]


def _write(into: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(into, rest) :]
