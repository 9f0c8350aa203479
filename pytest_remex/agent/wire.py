"""The two ends of the connection: requests come in, answers go out, one line of JSON each.

A line says how long its JSON is: another program that writes to the same stream, or reads from
it, as a login file may leave one behind, makes a line that is not taken for what it is not.
"""

import contextlib
import json
import queue
import threading
import time
from typing import Any, BinaryIO, Dict, List, Optional

from pytest_remex.agent.errors import LinkGoneError

Request = Dict[str, Any]
"""A request as it came, JSON already parsed."""

BEAT = 5.0
"""Seconds between signs of life while a request is under way."""
SOON = 0.05
"""Seconds that an event may wait for others."""


class Wire:
    """Line-wise JSON over two byte streams; `gone` is set once the client is."""

    def __init__(self, nonce: str, source: BinaryIO, sink: BinaryIO) -> None:
        self.gone = threading.Event()
        self._nonce = nonce
        self._source = source
        self._sink = sink
        self._lock = threading.Lock()
        self._gathered: List[bytes] = []
        self._requests: "queue.Queue[Optional[Request]]" = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def next_request(self) -> Optional[Request]:
        """Wait for the next request; None when the client has gone."""
        return self._requests.get()

    def send(self, answer: Dict[str, Any]) -> None:
        """Write an answer now; when nobody reads any more, note that instead."""
        self.gather(answer)
        self.flush()

    def gather(self, answer: Dict[str, Any]) -> None:
        """Write an answer soon, together with others: each write is a packet for the client."""
        text = json.dumps(answer)
        line = f"{self._nonce} {len(text)} {text}\n".encode("ascii")
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

    def beat(self, stop: threading.Event) -> None:
        """Write what was gathered, and signs of life, until `stop` is set."""
        last = time.monotonic()
        while not stop.wait(SOON):
            if time.monotonic() - last > BEAT:
                last = time.monotonic()
                self.gather({"beat": 1})
            if self._gathered:
                self.flush()

    def _read(self) -> None:
        # a line that cannot be read was cut short, by a broken link or by who reads it as well
        with contextlib.suppress(ValueError, OSError):
            for line in self._source:
                size, _, text = line.rstrip(b"\n").partition(b" ")
                if int(size) != len(text):
                    break
                self._requests.put(json.loads(text.decode("utf-8")))
        self.gone.set()
        self._requests.put(None)


class Reply:
    """The answers to one request; `modules` is the agent's bundle, to start another one."""

    def __init__(self, wire: Wire, number: int, modules: str) -> None:
        self._wire = wire
        self._number = number
        self.modules = modules

    @property
    def gone(self) -> bool:
        """Whether the client has gone, so that nothing new may be started."""
        return self._wire.gone.is_set()

    def check(self) -> None:
        """Raise LinkGoneError when the client has gone."""
        if self.gone:
            raise LinkGoneError

    def event(self, name: str, **fields: object) -> None:
        """Tell the client of something that happened."""
        self._wire.gather({"id": self._number, "event": name, **fields})

    def end(self) -> None:
        """Tell the client that the request is done."""
        self._wire.send({"id": self._number, "end": True})

    def error(self, error: Dict[str, str]) -> None:
        """Tell the client that the request ended early."""
        self._wire.send({"id": self._number, "error": error})
