"""The connections of a pytest run: one for each remote, opened when it is first needed."""

from __future__ import annotations

from pytest_remex.model import Remote
from pytest_remex.transport import Connection, Prompt, connect
from pytest_remex.transport.greeting import Tell


class Connections:
    """Connections by remote; `prompt` asks the user where a login needs it.

    `tell` is told where a start takes long.
    """

    def __init__(self, prompt: Prompt, tell: Tell) -> None:
        self._prompt = prompt
        self._tell = tell
        self._open: dict[Remote, Connection] = {}

    def to(self, remote: Remote) -> Connection:
        """Give the connection to a remote. Raises `RemoteError`."""
        if remote not in self._open:
            self._open[remote] = connect(remote, prompt=self._prompt, tell=self._tell)
        return self._open[remote]

    def close(self) -> None:
        """Close them all."""
        while self._open:
            self._open.popitem()[1].close()
