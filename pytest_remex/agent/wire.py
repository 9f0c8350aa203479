"""The two ends of the connection: requests come in, events go out, one line each."""

import contextlib
import queue
import threading
import time
from typing import BinaryIO, List, Optional, Union

from pytest_remex.agent.errors import LinkGoneError
from pytest_remex.common.framing import KEEP_ALIVE, CutLineError, encode_event, whole
from pytest_remex.common.protocol import Beat, End, Error, Event

BEAT = 5.0
"""Seconds between signs of life while a request is under way."""
SOON = 0.05
"""Seconds that an event may wait for others."""


class Wire:
    """Lines over two byte streams; `gone` is set once the client is."""

    def __init__(self, nonce: str, source: BinaryIO, sink: BinaryIO) -> None:
        self.gone = threading.Event()
        self._mark = nonce.encode("ascii") + b" "
        self._source = source
        self._sink = sink
        self._heard = time.monotonic()
        self._lock = threading.Lock()
        self._gathered: List[bytes] = []
        self._lines: "queue.Queue[Optional[bytes]]" = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def next_line(self) -> Optional[bytes]:
        """Wait for the next request's line; None when the client has gone."""
        return self._lines.get()

    def send(self, number: int, event: Event) -> None:
        """Write an event now; when nobody reads any more, note that instead."""
        self.gather(number, event)
        self.flush()

    def gather(self, number: int, event: Event) -> None:
        """Write an event soon, together with others: each write is a packet for the client."""
        line = self._mark + encode_event(number, event)
        with self._lock:
            self._gathered.append(line)

    def flush(self) -> None:
        """Write what was gathered."""
        with self._lock:
            lines, self._gathered = self._gathered, []
            try:
                self._sink.write(b"".join(lines))
                self._sink.flush()
            except (OSError, ValueError):
                self.gone.set()

    def silent_for(self) -> float:
        """Return the seconds since anything came from the client."""
        return time.monotonic() - self._heard

    def hang_up(self) -> None:
        """Count the client as gone."""
        self.gone.set()
        self._lines.put(None)

    def beat(self, stop: threading.Event) -> None:
        """Write what was gathered, and signs of life, until `stop` is set."""
        last = time.monotonic()
        while not stop.wait(SOON):
            if time.monotonic() - last > BEAT:
                last = time.monotonic()
                self.gather(0, Beat())
            if self._gathered:
                self.flush()

    def _read(self) -> None:
        # what is not whole was cut by a broken link, or by another program that reads as well
        with contextlib.suppress(CutLineError, OSError, ValueError):
            for line in self._source:
                self._heard = time.monotonic()
                if line != KEEP_ALIVE:
                    self._lines.put(whole(line))
        self.hang_up()


class Reply:
    """The answer to one request; `modules` is the agent's bundle, to start another one."""

    def __init__(self, wire: Wire, number: int, modules: str) -> None:
        self._wire = wire
        self._number = number
        self.modules = modules

    @property
    def gone(self) -> bool:
        """Whether the client has gone, so that nothing new may be started."""
        return self._wire.gone.is_set()

    def raise_if_gone(self) -> None:
        """Raise `LinkGoneError` when the client has gone."""
        if self.gone:
            raise LinkGoneError

    def send(self, event: Event) -> None:
        """Tell the client of something that happened."""
        self._wire.gather(self._number, event)

    def end(self, event: Union[End, Error]) -> None:
        """Tell the client that the request is done, or ended early."""
        self._wire.send(self._number, event)
