"""Requests to the agent and its answers: JSON lines behind a nonce, all else skipped."""

from __future__ import annotations

import itertools
import json
import queue
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport.connection_lost import lost
from pytest_remex.transport.greeting import last_lines

if TYPE_CHECKING:
    from pytest_remex.model import Value
    from pytest_remex.transport.base import Channel

_T = TypeVar("_T")
_TAIL = 2000
_NOT_FOUND = 127


class Answer(Mapping[str, "Value"]):
    """One event of an answer: a mapping, with typed access."""

    def __init__(self, fields: Mapping[str, Value]) -> None:
        self._fields = fields

    def __getitem__(self, key: str) -> Value:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Answer({self._fields!r})"

    def field(self, key: str, kind: type[_T]) -> _T:
        """Give the field as a `kind` (str, int, list...). Raises `RemoteError` where it is none."""
        value = self._fields.get(key)
        if not isinstance(value, kind):
            raise RemoteError(
                f"the agent's answer {dict(self._fields)!r} has no {kind.__name__} {key!r}: "
                f"please report it as a fault of pytest-remex"
            )
        return value


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
        self._waiting: dict[int, deque[Answer]] = {}
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
            self._write(start.encode() + b"\n", "the agent was started")
        except RemoteError:
            self.close()
            raise

    def ask(self, action: str, fields: Mapping[str, object]) -> Iterator[Answer]:
        """Send a request now, and iterate over the events of its answer.

        Raises `RemoteError` for an answer that is an error, and `ConnectionLostError` where the
        rest of the answer cannot come: what was asked for may have been done, or not.
        """
        if self._lost:
            raise ConnectionLostError(self._lost)
        request = next(self._ids)
        self._waiting[request] = deque()
        self._send({**fields, "id": request, "action": action}, action)
        return self._answers(request, action)

    def close(self) -> None:
        """End the agent: it finishes what it cannot leave half done."""
        self._lost = self._lost or f"the connection to {self._place} is closed"
        self._channel.close()
        for thread in self._threads:
            thread.join(1)

    def _answers(self, request: int, action: str) -> Iterator[Answer]:
        mine = self._waiting[request]
        try:
            while True:
                while not mine:
                    self._sort(action)
                answer = mine.popleft()
                if "end" in answer:
                    return
                if "error" in answer:
                    raise self._refused(answer)
                yield answer
        finally:
            del self._waiting[request]

    def _sort(self, action: str) -> None:
        """Take one line, and put it with the request that it answers."""
        message = self._next(action)
        request = message.get("id")
        if not request and "error" in message:  # from before the first request
            raise self._refused(message)
        if isinstance(request, int) and request in self._waiting:
            self._waiting[request].append(message)

    def _next(self, action: str) -> Answer:
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
        size, _, text = line.partition(b" ")
        try:
            if int(size) == len(text):
                return Answer(json.loads(text))
        except ValueError:
            pass
        what = (
            f"an answer from {self._place} did not arrive whole ({last_lines(line)!r}; does a "
            f"login file there leave a program that writes in the background?)"
        )
        raise self._lose(what, action)

    def _send(self, message: Mapping[str, object], action: str) -> None:
        text = json.dumps(message, separators=(",", ":")).encode()
        self._write(b"%d %s\n" % (len(text), text), action)

    def _write(self, line: bytes, action: str) -> None:
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

    def _refused(self, answer: Answer) -> RemoteError:
        fault = answer["error"]
        if not isinstance(fault, dict):
            return RemoteError(f"{self._place}: {fault}")
        error = RemoteError(f"{self._place}: {fault.get('message')}")
        if detail := fault.get("detail"):
            error.add_note(str(detail))
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
