"""The client's end of the conversation with the agent; `common.protocol` defines it.

The agent's lines begin with a nonce; anything else on its stdout is noise from login files.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import secrets
import threading
from collections import deque
from typing import TYPE_CHECKING

from pytest_remex.common import claims, protocol, records
from pytest_remex.common.framing import (
    KEEP_ALIVE,
    CutLineError,
    decode_event,
    encode_request,
    whole,
)
from pytest_remex.common.protocol import End, Error
from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport.base import (
    EXIT_TIMEOUT,
    KEPT,
    LastErrors,
    connection_lost,
    last_lines,
    next_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_remex.common.protocol import Event, Request
    from pytest_remex.transport.base import Channel

WORK: dict[type, str] = {
    protocol.LookAtHost: "the remote was looked at",
    protocol.Examine: "the remote was examined",
    protocol.ListTips: "the clone's commits were listed",
    records.OpenLaunch: "the launch was begun",
    records.ReadRecords: "launch records were read",
    records.AppendRecord: "a launch record was copied",
    records.FindRuns: "runs without a record were read",
    records.ReadPatches: "the commits of earlier runs were read",
    claims.ClaimRuns: "experiments were claimed",
    claims.Discard: "interrupted submissions were cancelled",
    protocol.Place: "run directories were placed",
    protocol.Submit: "jobs were submitted",
    protocol.Release: "jobs were released",
    protocol.Query: "job states were queried",
    protocol.Cancel: "jobs were cancelled",
    protocol.ListOutputs: "outputs were listed",
    protocol.ReadLogs: "the jobs' output was read",
    protocol.Remove: "run directories were removed",
    protocol.Tidy: "temporary files of the launch were removed",
}
"""What each request does, a clause for the error of a connection that was lost meanwhile."""

NICE = 10
"""The agent's nice value on a login node, which others use too."""
SILENCE = 600.0
"""Seconds without a line from the client after which an agent on a login node ends."""
LARGEST = 1 << 28
"""The most bytes of one answer: the list of 100,000 outputs of a run takes a tenth of it."""


class AgentClient:
    """The agent at the other end of a channel. Only one thread at a time may use it.

    Args:
        channel: A program that runs `agent.BOOT`.
        modules: The agent's sources, `agent.bundle()`, or `agent.folder()` on this machine.
        place: Where it runs, for messages.
        idle_timeout: Seconds without a line from the agent, while a request is under way, after
            which the connection counts as lost (the agent sends a heartbeat every 5).
        shared: Whether other people work there too: the agent is then niced, and ends if
            nothing arrives for `SILENCE` seconds, for example over a dead link.
    """

    def __init__(
        self,
        channel: Channel,
        modules: str,
        *,
        place: str,
        idle_timeout: float,
        shared: bool = False,
    ) -> None:
        self._channel = channel
        self._place = place
        self._idle_timeout = idle_timeout
        self._nonce = secrets.token_hex(8)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._noise: deque[bytes] = deque(maxlen=20)
        self._numbers = itertools.count(1)
        self._unread: dict[int, deque[Event]] = {}
        self._answered = False
        self._is_endless = False
        self._closed = threading.Event()
        self._writing = threading.Lock()
        self._ended: str | None = None
        self._threads: list[threading.Thread] = []
        self._reader = self._start(self._read, "remex-read")
        self._errors = LastErrors(channel)
        try:
            manners = {"nice": NICE, "silence": SILENCE} if shared else {}
            start = json.dumps({"nonce": self._nonce, "modules": modules, **manners})
            self._send(start.encode() + b"\n", "the agent was started")
        except RemoteError:
            self.close()
            raise
        if shared:
            self._start(self._keep_alive, "remex-alive")

    def ask(self, request: Request) -> Iterator[Event]:
        """Send a request now, and iterate over the events of its answer.

        Raises:
            RemoteError: The answer is an error, or the agent did not start.
            ConnectionLostError: The rest of the answer will not come; the request may or may not
                have been carried out.
        """
        if self._ended:
            raise ConnectionLostError(self._ended)
        number, work = next(self._numbers), WORK[type(request)]
        self._unread[number] = deque()
        self._send(encode_request(number, request), work)
        return self._events(number, request, work)

    @property
    def ended(self) -> bool:
        """Whether the agent ended or was lost."""
        return self._ended is not None

    @property
    def noise(self) -> str:
        """The last lines that login files wrote before the agent spoke."""
        return last_lines(b"\n".join(self._noise)[-KEPT:])

    def close(self) -> None:
        """End the agent; it first completes any step that must not be left half done."""
        self._ended = self._ended or f"the connection to {self._place} is closed"
        self._closed.set()
        self._channel.close()
        for thread in self._threads:
            thread.join(1)
        self._errors.wait(1)

    def _start(self, work: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _events(self, number: int, request: Request, work: str) -> Iterator[Event]:
        unread, asked = self._unread[number], frozenset(_objects(request))
        try:
            while True:
                while not unread:
                    self._receive(work)
                event = unread.popleft()
                if isinstance(event, End):
                    return
                if isinstance(event, Error):
                    raise error_of(event, self._place)
                if wrong := [name for name in _subjects(event) if asked and name not in asked]:
                    what = f"{self._place} answered about {wrong[0]!r}, which was not requested"
                    raise self._lost(what, work)
                yield event
        finally:
            del self._unread[number]

    def _receive(self, work: str) -> None:
        """Receive one event, and queue it for the request that it answers."""
        number, event = self._next_event(work)
        if not number and isinstance(event, Error):  # from before the first request
            raise error_of(event, self._place)
        if number in self._unread:
            self._unread[number].append(event)

    def _next_event(self, work: str) -> tuple[int, Event]:
        if self._ended:
            raise ConnectionLostError(self._ended)
        try:
            line = next_of(self._lines, self._idle_timeout)
        except queue.Empty:
            what = f"{self._place} sent nothing for {self._idle_timeout:g} s"
            raise self._lost(what, work) from None
        if line is None:
            raise self._no_more(work)
        self._answered = True
        try:
            return decode_event(whole(line + b"\n"))
        except CutLineError as error:
            what = (
                f"an answer from {self._place} arrived incomplete ({last_lines(line)!r}; does a "
                f"login file there start a program that writes in the background?)"
            )
            raise self._lost(what, work) from error
        except ValueError as error:
            what = f"an answer from {self._place} cannot be decoded ({error}: {last_lines(line)!r})"
            raise self._lost(what, work) from error

    def _send(self, line: bytes, work: str) -> None:
        try:
            with self._writing:
                self._channel.write(line)
        except TimeoutError as error:
            what = f"{self._place} accepted no data for {self._idle_timeout:g} s"
            raise self._lost(what, work) from error
        except (OSError, EOFError) as error:
            self._reader.join(1)
            raise self._no_more(work) from error

    def _keep_alive(self) -> None:
        while not self._closed.wait(SILENCE / 10):
            with contextlib.suppress(OSError, EOFError), self._writing:
                self._channel.write(KEEP_ALIVE)

    def _read(self) -> None:
        """Queue the agent's lines, and None at their end."""
        mark = self._nonce.encode() + b" "
        rest = bytearray()
        while data := self._channel.read():
            rest += data
            if b"\n" not in data:
                if mark in rest and len(rest) > LARGEST:
                    self._is_endless = True
                    self._lines.put(None)
                    rest.clear()
                elif mark not in rest:
                    del rest[:-KEPT]
                continue
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in lines:
                noise, marked, message = line.partition(mark)
                self._noise.append(noise[-KEPT:])
                if marked:
                    self._lines.put(message)
        self._noise.append(bytes(rest[-KEPT:]))
        self._lines.put(None)

    def _no_more(self, work: str) -> RemoteError:
        """Return why no more lines come: the agent did not start, it ended, or the link broke."""
        if self._is_endless:
            return self._lost(f"an answer from {self._place} has over {LARGEST} bytes", work)
        code = self._channel.wait(EXIT_TIMEOUT)
        self._errors.wait(1)
        if code is None:
            return self._lost(f"the connection to {self._place} broke", work)
        why = f"exit code {code}{self._last_output()}"
        if self._answered:
            return self._lost(f"the agent on {self._place} ended ({why})", work)
        self._ended = f"the agent did not start on {self._place} ({why})"
        return RemoteError(self._ended)

    def _lost(self, what: str, work: str) -> ConnectionLostError:
        error = connection_lost(what, work)
        self._ended = str(error)
        return error

    def _last_output(self) -> str:
        """Return the last output that is not part of the protocol, for a message."""
        text = str(self._errors) or self.noise
        return f", after {text!r}" if text else ""


def error_of(event: Error, place: str) -> RemoteError:
    """Return the error that an agent answered with, on a machine that is named `place`."""
    error = RemoteError(f"{place}: {event.message}")
    if event.detail:
        error.add_note(event.detail)
    return error


def _objects(request: Request) -> Iterator[str]:
    """Yield the run directories and keys that a request names."""
    match request:
        case protocol.Place():
            yield from (each.directory for each in request.placements)
        case protocol.Submit():
            for each in request.submissions:
                yield from (each.key, *each.directories)
        case protocol.Query():
            yield from (each.directory for each in request.queried)
        case protocol.ListOutputs():
            yield from (each.directory for each in request.listed)
        case protocol.ReadLogs():
            yield from (each.directory for each in request.parts)


def _subjects(event: Event) -> Iterator[str]:
    """Yield the run directories and keys that an event is about."""
    match event:
        case protocol.Held():
            yield from (event.key, *event.jobs)
        case protocol.Rejected() | protocol.InDoubt():
            yield event.key
        case protocol.Placed() | protocol.PlaceRefused() | protocol.RunState():
            yield event.directory
        case protocol.Outputs() | protocol.LogText():
            yield event.directory
