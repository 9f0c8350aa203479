"""The agent's end of the connection: read requests and write events, one line each."""

import contextlib
import os
import queue
import threading
import time
from typing import BinaryIO, Callable, List, Optional

from pytest_remex.agent.errors import DisconnectedError
from pytest_remex.common.framing import KEEP_ALIVE, CutLineError, encode_event, whole
from pytest_remex.common.protocol import Beat, Event

BEAT = 5.0
"""Seconds between signs of life during a request."""
SOON = 0.05
"""Seconds that an event may wait to be sent together with others."""
_CUT = b"a request did not arrive complete: does a login file start a program that reads it?\n"


class Wire:
    """Lines over two byte streams; `disconnected` is set once the client is gone."""

    def __init__(self, nonce: str, source: BinaryIO, sink: BinaryIO) -> None:
        self.disconnected = threading.Event()
        self._mark = nonce.encode("ascii") + b" "
        self._source = source
        self._sink = sink
        self._heard = time.monotonic()
        self._lock = threading.Lock()
        self._gathered: List[bytes] = []
        self._lines: "queue.Queue[Optional[bytes]]" = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def next_line(self) -> Optional[bytes]:
        """Wait for the next request's line; None if the client has disconnected."""
        return self._lines.get()

    def send(self, number: int, event: Event) -> None:
        """Write an event now; if that fails, set `disconnected`."""
        self.gather(number, event)
        self.flush()

    def gather(self, number: int, event: Event) -> None:
        """Write an event soon, together with others: each write costs a packet."""
        line = self._mark + encode_event(number, event)
        with self._lock:
            self._gathered.append(line)

    def flush(self) -> None:
        """Write the gathered events."""
        with self._lock:
            lines, self._gathered = self._gathered, []
            try:
                self._sink.write(b"".join(lines))
                self._sink.flush()
            except (OSError, ValueError):
                self.disconnected.set()

    def silent_for(self) -> float:
        """Return the seconds since the client last sent anything."""
        return time.monotonic() - self._heard

    def hang_up(self) -> None:
        """Treat the client as disconnected."""
        self.disconnected.set()
        self._lines.put(None)

    def beat(self, stop: threading.Event) -> None:
        """Write gathered events and signs of life until `stop` is set."""
        last = time.monotonic()
        while not stop.wait(SOON):
            if time.monotonic() - last > BEAT:
                last = time.monotonic()
                self.gather(0, Beat())
            if self._gathered:
                self.flush()

    def _read(self) -> None:
        line = b""
        with contextlib.suppress(OSError, ValueError):  # the link broke
            try:
                for line in self._source:
                    self._heard = time.monotonic()
                    if line != KEEP_ALIVE:
                        self._lines.put(whole(line))
            except CutLineError:
                if line.endswith(b"\n"):  # else the link broke within the line
                    os.write(2, _CUT)
        self.hang_up()


class Reply:
    """The answer to one request; `modules` are the agent's, to start another one."""

    def __init__(
        self, send: Callable[[Event], None], disconnected: threading.Event, modules: str
    ) -> None:
        self.send = send
        self.modules = modules
        self._disconnected = disconnected

    @property
    def disconnected(self) -> bool:
        """Whether the client has disconnected, so that nothing new may be started."""
        return self._disconnected.is_set()

    def raise_if_disconnected(self) -> None:
        """Raise `DisconnectedError` if the client has disconnected."""
        if self.disconnected:
            raise DisconnectedError
