"""A TCP proxy that delays, counts, freezes and cuts what it forwards."""

from __future__ import annotations

import fcntl
import queue
import socket
import struct
import termios
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable

Direction = Literal["up", "down"]
"""`up` is from the client to the server, `down` is back."""

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() reset the connection, as a lost link looks like at its end."""


class Proxy:
    """Forward 127.0.0.1:`port` to 127.0.0.1:`target`; use it in a with statement.

    `latency` is in milliseconds, added each way. `forwarded` counts bytes by direction,
    `connections` the connections taken since the start, `cuts` those of `cut_after` that came;
    `frozen_at` is when it froze last.
    """

    def __init__(self, target: int, latency: float = 0) -> None:
        self.target = target
        self.latency = latency
        self.connections = 0
        self.cuts = 0
        self.forwarded: dict[Direction, int] = {"up": 0, "down": 0}
        self._budget: dict[Direction, float] = {"up": float("inf"), "down": float("inf")}
        self.before_the_cut: Callable[[], object] = bool
        self._freezes_at: dict[Direction, float] = {"up": float("inf"), "down": float("inf")}
        self.frozen_at: float | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._links: list[Link] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._listener.close()
        self.cut()

    def freeze(self) -> None:
        """Forward nothing more, connections open, until `thaw`; new connections are taken."""
        self.frozen_at = time.monotonic()
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Reset all connections; new ones are served."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    def cut_after(
        self, count: int, direction: Direction = "up", before: Callable[[], object] = bool
    ) -> None:
        """Forward so many bytes more in a direction, call `before`, then cut, once."""
        with self._lock:
            self._budget[direction] = count
            self.before_the_cut = before

    def freeze_after(self, count: int, direction: Direction = "up") -> None:
        """Forward at least so many bytes more in a direction, then freeze."""
        with self._lock:
            self._freezes_at[direction] = self.forwarded[direction] + count

    def spend(self, direction: Direction, data: bytes) -> bytes:
        """Count what is to be forwarded now; return the part of it that the cut allows."""
        self._flowing.wait()
        with self._lock:
            allowed = data[: int(min(len(data), self._budget[direction]))]
            self._budget[direction] -= len(allowed)
            self.forwarded[direction] += len(allowed)
            if self.forwarded[direction] >= self._freezes_at[direction]:
                self._freezes_at[direction] = float("inf")
                self.freeze()
            return allowed

    def spent(self, direction: Direction) -> bool:
        """Return whether a cut is due, and take the order for it back."""
        with self._lock:
            due = self._budget[direction] == 0
            if due:
                self._budget[direction] = float("inf")
                self.cuts += 1
            return due

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            link = Link(self, client, server)
            with self._lock:
                self._links.append(link)
            link.start()


class Link:
    """One forwarded connection: for each direction a thread that reads and one that writes."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._ends = (client, server)
        self._threads = [
            *self._direction("up", client, server),
            *self._direction("down", server, client),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Reset both ends and wait for the threads."""
        for end in self._ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(timeout=5)

    def _direction(
        self, direction: Direction, source: socket.socket, sink: socket.socket
    ) -> tuple[threading.Thread, threading.Thread]:
        line: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        return (
            threading.Thread(target=self._read, args=(source, line), daemon=True),
            threading.Thread(target=self._write, args=(direction, line, sink), daemon=True),
        )

    def _read(self, source: socket.socket, line: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            line.put((time.monotonic() + self._proxy.latency / 1000, data))

    def _write(
        self,
        direction: Direction,
        line: queue.SimpleQueue[tuple[float, bytes]],
        sink: socket.socket,
    ) -> None:
        while True:
            due, data = line.get()
            time.sleep(max(0.0, due - time.monotonic()))
            allowed = self._proxy.spend(direction, data)
            with suppress(OSError):
                if allowed:
                    sink.sendall(allowed)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
            if self._proxy.spent(direction):
                _wait_for_arrival(sink)
                self._proxy.before_the_cut()
                self.close()
            if not data:
                return


def _wait_for_arrival(sink: socket.socket, seconds: float = 5) -> None:
    """Wait until all that was sent has arrived: a reset would take back what is on its way."""
    deadline = time.monotonic() + seconds
    with suppress(OSError, ValueError):  # another thread may close it meanwhile
        while struct.unpack("i", fcntl.ioctl(sink, termios.TIOCOUTQ, bytes(4)))[0]:
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)
