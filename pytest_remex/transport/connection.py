"""What the phases do at a remote: ask its agent, and fetch files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_remex import agent
from pytest_remex.common.protocol import LOCAL, SLURM, Host, LookAtHost
from pytest_remex.errors import RemoteError
from pytest_remex.transport.agent_client import AgentClient
from pytest_remex.transport.base import NoChannelError
from pytest_remex.transport.local import LocalTransport
from pytest_remex.transport.transfer import Transferred, Wanted, checked, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pytest_remex.common.protocol import Event, Request
    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Transport
    from pytest_remex.transport.greeting import Tell
    from pytest_remex.transport.prompt import Prompt

SILENCE = 60.0
"""Seconds without a sign of life after which a link counts as lost."""


def connect(
    remote: Remote,
    *,
    prompt: Prompt | None = None,
    silence: float = SILENCE,
    tell: Tell = lambda _: None,
) -> Connection:
    """Connect to the remote, with one authentication; `prompt` asks the user where one is needed.

    `tell` is told, in a line for the user, where a program takes long to start there.

    A link that is silent for `silence` seconds while work is under way counts as lost. Raises
    `RemoteError` where the host cannot be reached, is not known, or refuses the login.
    """
    if remote.host is None:
        return Connection(remote, LocalTransport(), silence=silence)
    from pytest_remex.transport.ssh import log_in  # noqa: PLC0415 - Fabric takes half a second

    door = log_in(remote, prompt, silence=silence, tell=tell)
    return Connection(remote, door, silence=silence)


class Connection:
    """An open way to a remote. One thread at a time may use it."""

    def __init__(self, remote: Remote, door: Transport, *, silence: float) -> None:
        self.remote = remote
        self._door = door
        self._silence = silence
        self._agent: AgentClient | None = None
        self._host: Host | None = None
        self.closed = False

    def ask(self, request: Request) -> Iterator[Event]:
        """Send a request to the agent now, and iterate over the events of its answer.

        The agent starts at the first request. Raises `RemoteError` for what the agent refuses,
        and `ConnectionLostError` where the link or the agent broke, or was silent for too long:
        what was asked for may have been done, or not.
        """
        if self._agent is None:
            self._agent = AgentClient(
                self._door.python(agent.BOOT),
                agent.bundle(),
                place=self._door.place,
                silence=self._silence,
            )
        return self._agent.ask(request)

    def host(self) -> Host:
        """Return what the remote is; it is asked once. Raises as `ask` does."""
        if self._host is None:
            remote = self.remote
            request = LookAtHost(remote.clone, remote.runs, self.scheduler)
            for event in self.ask(request):
                if isinstance(event, Host):
                    self._host = event
        if self._host is None:
            raise RemoteError(f"the agent on {self._door.place} did not describe its host")
        return self._host

    @property
    def scheduler(self) -> str:
        """The scheduler there, as requests name it."""
        return LOCAL if self.remote.host is None else SLURM

    def fetch(
        self,
        source: str,
        files: Iterable[str],
        destination: Path,
        progress: Callable[[Transferred], None] | None = None,
    ) -> list[str]:
        """Copy `files`, paths inside the folder `source` there, to the same paths in `destination`.

        `source` is absolute. Times are kept, links are not followed, and a reader of `destination`
        never sees half a file. `progress` is told now and then. Gives the files that are not
        there, or may not be read. Raises `RemoteError` where a name leaves its folder, rsync is
        missing or fails, and `ConnectionLostError` where the link broke: the next fetch goes on.
        """
        names = checked(files)
        tell = progress or (lambda _: None)
        return fetch(self._copy, source, names, destination.absolute(), tell) if names else []

    def close(self) -> None:
        """End the agent and the connection; jobs go on."""
        self.closed = True
        self._dismiss()
        self._door.close()

    def _copy(self, wanted: Wanted) -> None:
        try:
            self._door.copy(wanted)
        except NoChannelError:  # the agent holds the only one that the server allows
            self._dismiss()
            self._door.copy(wanted)

    def _dismiss(self) -> None:
        """End the agent; the next request starts another."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
