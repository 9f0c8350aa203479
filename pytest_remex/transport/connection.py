"""A connection to a remote, as the launch and collect phases use it: ask its agent, fetch files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_remex import agent
from pytest_remex.common.parts import Needs
from pytest_remex.common.protocol import LOCAL, SLURM, Check, Examine, Host, LookAtHost
from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport.agent_client import AgentClient
from pytest_remex.transport.base import FABRIC, NoChannelError
from pytest_remex.transport.local import READS, LocalTransport, answer_here
from pytest_remex.transport.transfer import check_names, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Self, TypeAlias

    from pytest_remex.common.protocol import Event, Request
    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify, Prompt, Transport
    from pytest_remex.transport.transfer import Transfer, TransferProgress

Connect: TypeAlias = "Callable[[Remote], Connection]"
"""Returns the connection to a remote, and opens it if there is none yet."""
IDLE_TIMEOUT = 60.0
"""Seconds without a sign of life after which a connection counts as lost."""


def connect(
    remote: Remote,
    *,
    prompt: Prompt | None = None,
    notify: Notify | None = None,
    idle_timeout: float = IDLE_TIMEOUT,
) -> Connection:
    """Connect to a remote, authenticating once.

    Args:
        remote: Where to connect to; `host=None` is this machine, and loads no ssh library.
        prompt: Asks the user for passphrases and codes; without it, a login that needs one fails.
        notify: Shows the user a line if a program takes long to start there.
        idle_timeout: Seconds without a sign of life, while work is under way, after which the
            connection counts as lost.

    Raises:
        RemoteError: The host cannot be reached, its key is not known, or it refuses the login.

    Example:
        >>> with connect(Remote("cluster", clone="~/grid", runs="~/runs")) as connection:
        ...     connection.host().slurm
        '24.11.5'
    """
    if remote.host is None:
        return Connection(remote, LocalTransport(), idle_timeout=idle_timeout)
    tell = notify or (lambda _: None)
    transport = _log_in(remote, prompt, tell, idle_timeout)
    if not remote.transfer_host:
        return Connection(remote, transport, idle_timeout=idle_timeout)
    data = replace(remote, host=remote.transfer_host, transfer_host="")
    log_in = partial(_log_in, data, prompt, tell, idle_timeout)
    return Connection(remote, transport, idle_timeout=idle_timeout, log_in_for_files=log_in)


def _log_in(remote: Remote, prompt: Prompt | None, notify: Notify, timeout: float) -> Transport:
    """Log in as `Remote.transport` says."""
    # jobs on this machine load no ssh
    from pytest_remex.transport.ssh_config import host_settings  # noqa: PLC0415

    settings = host_settings(str(remote.host))
    if remote.transport != "fabric":
        from pytest_remex.transport import openssh  # noqa: PLC0415 - as above

        if master := openssh.living_master(settings):
            return openssh.OpenSshTransport(remote, notify, master, idle_timeout=timeout)
        if remote.transport == "openssh":
            return openssh.log_in(remote, settings, prompt, notify, idle_timeout=timeout)
    from pytest_remex.transport.ssh import log_in  # noqa: PLC0415 - Fabric takes half a second

    return log_in(remote, settings, prompt, notify, idle_timeout=timeout)


NOTHING = Needs()
"""The needs of a launch that are not known yet."""


class Connection:
    """An open connection to a remote, a context manager. One thread at a time may use it."""

    def __init__(
        self,
        remote: Remote,
        transport: Transport,
        *,
        idle_timeout: float,
        log_in_for_files: Callable[[], Transport] | None = None,
    ) -> None:
        self.remote = remote
        self.closed = False
        self._transport = transport
        self._log_in_for_files = log_in_for_files
        self._file_transport: Transport | None = None
        self._idle_timeout = idle_timeout
        self._agent: AgentClient | None = None
        self._host: Host | None = None
        self._lost = False
        self._refused: RemoteError | None = None

    @property
    def way(self) -> str:
        """How the connection was made, in words."""
        return self._transport.way

    @property
    def other_way(self) -> str:
        """What another transport could do and this one cannot; empty if nothing."""
        if self.remote.host is None or self.way != FABRIC:
            return ""
        from pytest_remex.transport.ssh_config import host_settings  # noqa: PLC0415 - as above

        return host_settings(self.remote.host).by_ssh

    @property
    def scheduler(self) -> str:
        """The scheduler there, as requests name it."""
        return LOCAL if self.remote.host is None else SLURM

    def ask(self, request: Request) -> Iterator[Event]:
        """Send a request to the agent now, and iterate over the events of its answer.

        The agent starts at the first request, which on this machine is one that changes something.

        Raises:
            RemoteError: The agent did not start, or answered with an error.
            ConnectionLostError: The connection or the agent broke, or was silent for too long;
                the request may or may not have been carried out.
        """
        if self._agent is None and self.remote.host is None and isinstance(request, READS):
            return answer_here(request)
        return self._started().ask(request)

    def tell(self, request: Request) -> None:
        """Send a request whose answer says no more than that it was carried out; as `ask`."""
        for _ in self.ask(request):
            pass

    def start(self) -> None:
        """Start the agent, which imports its modules until it is first asked. Raises as `ask`."""
        self._started()

    def host(self) -> Host:
        """Return a description of the remote; the agent is asked once. Raises as `ask` does."""
        if self._host is None:
            self._host = self._look(reads_only=False)
        return self._host

    def runs(self) -> str:
        """Return the runs folder's absolute path; nothing needs to be writable there."""
        return (self._host or self._look(reads_only=True)).runs

    def _look(self, *, reads_only: bool) -> Host:
        request = LookAtHost(self.remote.clone, self.remote.runs, self.scheduler, reads_only)
        for event in self.ask(request):
            if isinstance(event, Host):
                return event
        raise RemoteError(f"the agent on {self._transport.place} did not describe its host")

    def examine(self, needs: Needs = NOTHING, *, thorough: bool = False) -> Iterator[Check]:
        """Check whether a launch is possible there, and yield each check. Raises as `ask` does.

        Args:
            needs: What the launch will use.
            thorough: Also check Slurm's controller and the clock, which may take seconds.
        """
        remote, through_origin = self.remote, self.remote.via == "origin"
        request = Examine(
            remote.clone, remote.runs, self.scheduler, through_origin, needs, thorough
        )
        return (event for event in self.ask(request) if isinstance(event, Check))

    @property
    def broken(self) -> bool:
        """Whether the link broke or the agent ended, so that no request can be sent any more."""
        return self._lost or (self._agent is not None and self._agent.ended)

    @property
    def noise(self) -> str:
        """The last lines that login files wrote there; empty before the first request."""
        return self._agent.noise if self._agent else ""

    def fetch(
        self,
        source: str,
        files: Iterable[str],
        destination: Path,
        progress: Callable[[TransferProgress], None] | None = None,
    ) -> list[str]:
        """Copy files from there with their modification times; symbolic links are not followed.

        A reader of `destination` never sees an incomplete file.

        Args:
            source: A folder there, an absolute path.
            files: Paths relative to `source`; each keeps that path in `destination`.
            destination: A folder here.
            progress: Called now and then during the transfer.

        Returns:
            The files that are missing there, or cannot be read.

        Raises:
            RemoteError: A name leaves its folder, or rsync is missing or fails.
            ConnectionLostError: The connection broke; the next fetch continues from there.
        """
        names = check_names(files)
        if not names:
            return []
        report = progress or (lambda _: None)
        if self._log_in_for_files is None:
            return fetch(self._copy, source, names, destination.absolute(), report)
        missing = fetch(self._copy_elsewhere, source, names, destination.absolute(), report)
        if len(missing) == len(names):
            raise RemoteError(
                f"{self.remote.transfer_host} has none of the {len(names)} files to fetch in "
                f"{source}: correct transfer_host (remex_transfer_host), which must see the same "
                f"runs folder as {self.remote.host}"
            )
        return missing

    def close(self) -> None:
        """End the agent and the connection; jobs continue to run."""
        self.closed = True
        self._end_agent()
        if self._file_transport is not None:
            self._file_transport.close()
        self._transport.close()

    def _started(self) -> AgentClient:
        """Return the agent; one that did not start is not started again: that may take a minute."""
        if self._refused is not None:
            raise self._refused
        if self._agent is None:
            try:
                self._agent = self._start_agent()
            except RemoteError as error:
                self._refused = error
                raise
        return self._agent

    def _start_agent(self) -> AgentClient:
        is_here = self.remote.host is None
        try:
            return AgentClient(
                self._transport.python(agent.BOOT),
                agent.folder() if is_here else agent.bundle(),
                place=self._transport.place,
                idle_timeout=self._idle_timeout,
                shared=not is_here,
            )
        except ConnectionLostError:
            self._lost = True
            raise

    def _copy(self, transfer: Transfer) -> None:
        try:
            self._transport.copy(transfer)
        except NoChannelError:  # the server allows only one, which the agent uses
            self._end_agent()
            self._transport.copy(transfer)

    def _copy_elsewhere(self, transfer: Transfer) -> None:
        """Copy through the transfer host; the first transfer logs in there."""
        if self._file_transport is None and self._log_in_for_files is not None:
            self._file_transport = self._log_in_for_files()
        if self._file_transport is None:
            return
        try:
            self._file_transport.copy(transfer)
        except ConnectionLostError:  # the next transfer logs in again
            self._file_transport.close()
            self._file_transport = None
            raise
        except RemoteError as error:
            raise RemoteError(f"{error}; outputs come through it as transfer_host") from error

    def _end_agent(self) -> None:
        """End the agent; the next request starts another."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
