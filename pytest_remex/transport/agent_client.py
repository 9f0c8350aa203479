"""Requests to the agent and its answers: JSON lines behind a nonce, all else skipped."""

from __future__ import annotations

import itertools
import json
import queue
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_remex.common.protocol import (
    CutLineError,
    End,
    Error,
    decode_event,
    encode_request,
    whole,
)
from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport.connection_lost import lost
from pytest_remex.transport.greeting import last_lines

if TYPE_CHECKING:
    from pytest_remex.common.protocol import Event, Request
    from pytest_remex.transport.base import Channel

_TAIL = 2000
_NOT_FOUND = 127


class AgentClient:
    """The agent at the other end of a channel; one thread may ask.

    `place` names it in messages. `silence` is how many seconds may pass without a line of it
    while a request is under way (it sends a beat every 5): then the link counts as lost.
    """

    def __init__(self, channel: Channel, modules: str, *, place: str, silence: float) -> None:
        self._channel = channel
        self._place = place
        self._silence = silence
        self._nonce = secrets.token_hex(8)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._noise: deque[bytes] = deque(maxlen=20)
        self._errors = bytearray()
        self._ids = itertools.count(1)
        self._waiting: dict[int, deque[Event]] = {}
        self._heard = False
        self._lost: str | None = None
        self._threads = [
            threading.Thread(target=work, name=f"remex-{work.__name__}", daemon=True)
            for work in (self._hear, self._hear_errors)
        ]
        for thread in self._threads:
            thread.start()
        try:
            start = json.dumps({"nonce": self._nonce, "modules": modules})
            self._send(start.encode() + b"\n", "the agent was started")
        except RemoteError:
            self.close()
            raise

    def ask(self, request: Request) -> Iterator[Event]:
        """Send a request now, and iterate over the events of its answer.

        Raises `RemoteError` for an answer that is an error, and `ConnectionLostError` where the
        rest of the answer cannot come: what was asked for may have been done, or not.
        """
        if self._lost:
            raise ConnectionLostError(self._lost)
        number, action = next(self._ids), type(request).__name__
        self._waiting[number] = deque()
        self._send(encode_request(number, request), action)
        return self._events(number, action)

    def close(self) -> None:
        """End the agent: it finishes what it cannot leave half done."""
        self._lost = self._lost or f"the connection to {self._place} is closed"
        self._channel.close()
        for thread in self._threads:
            thread.join(1)

    def _events(self, number: int, action: str) -> Iterator[Event]:
        mine = self._waiting[number]
        try:
            while True:
                while not mine:
                    self._sort(action)
                event = mine.popleft()
                if isinstance(event, End):
                    return
                if isinstance(event, Error):
                    raise self._refused(event)
                yield event
        finally:
            del self._waiting[number]

    def _sort(self, action: str) -> None:
        """Take one line, and put it with the request that it answers."""
        number, event = self._next(action)
        if not number and isinstance(event, Error):  # from before the first request
            raise self._refused(event)
        if number in self._waiting:
            self._waiting[number].append(event)

    def _next(self, action: str) -> tuple[int, Event]:
        if self._lost:
            raise ConnectionLostError(self._lost)
        try:
            line = self._lines.get(timeout=self._silence)
        except queue.Empty:
            raise self._lose(
                f"nothing came from {self._place} for {self._silence:g} s", action
            ) from None
        if line is None:
            raise self._ended(action)
        self._heard = True
        try:
            return decode_event(whole(line + b"\n"))
        except CutLineError as error:
            what = (
                f"an answer from {self._place} did not arrive whole ({last_lines(line)!r}; does a "
                f"login file there leave a program that writes in the background?)"
            )
            raise self._lose(what, action) from error
        except ValueError as error:
            what = f"what came from {self._place} cannot be read ({error}: {last_lines(line)!r})"
            raise self._lose(what, action) from error

    def _send(self, line: bytes, action: str) -> None:
        try:
            self._channel.write(line)
        except TimeoutError as error:
            what = f"{self._place} took nothing for {self._silence:g} s"
            raise self._lose(what, action) from error
        except (OSError, EOFError) as error:
            self._threads[0].join(1)
            raise self._ended(action) from error

    def _hear(self) -> None:
        mark = self._nonce.encode() + b" "
        rest = bytearray()
        while data := self._channel.read():
            rest += data
            if b"\n" not in data:
                if mark not in rest:
                    del rest[:-_TAIL]
                continue
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in lines:
                noise, found, message = line.partition(mark)
                self._noise.append(noise[-_TAIL:])
                if found:
                    self._lines.put(message)
        self._noise.append(bytes(rest[-_TAIL:]))
        self._lines.put(None)

    def _hear_errors(self) -> None:
        while data := self._channel.read_error():
            self._errors = (self._errors + data)[-_TAIL:]

    def _refused(self, event: Error) -> RemoteError:
        error = RemoteError(f"{self._place}: {event.message}")
        if event.detail:
            error.add_note(event.detail)
        return error

    def _ended(self, action: str) -> RemoteError:
        """Say why no more answers come: the agent never started, it died, or the link did."""
        code = self._channel.wait(5)
        self._threads[1].join(1)
        said = self._said()
        if code is None:
            return self._lose(f"the connection to {self._place} broke", action)
        if self._heard:
            return self._lose(f"the agent on {self._place} ended ({code}{said})", action)
        self._lost = f"the agent did not start on {self._place} (exit code {code}{said})"
        if code == _NOT_FOUND and "python3" in said:
            self._lost = (
                f"python3 was not found on {self._place} ({code}{said}): it needs Python 3.6 "
                f"or newer; load it in the login files there, or through remex_shell"
            )
        return RemoteError(self._lost)

    def _lose(self, what: str, action: str) -> ConnectionLostError:
        error = lost(what, action)
        self._lost = str(error)
        return error

    def _said(self) -> str:
        """Give the last that was heard outside the protocol, for a message."""
        noise = b"\n".join(self._noise)[-_TAIL:]
        text = (bytes(self._errors) or noise).decode(errors="replace").strip()
        return f", after: {text}" if text else ""
