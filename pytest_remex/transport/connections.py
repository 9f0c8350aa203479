"""The connections of a pytest run, some of them made in a thread while other work is done."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from pytest_remex.background import BackgroundCall
from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify, Prompt
    from pytest_remex.transport.connection import Connection


class Connections:
    """The connections of a pytest run: one for each remote, opened when it is first needed."""

    def __init__(self, prompt: Prompt, notify: Notify) -> None:
        self._prompt: Prompt | None = prompt
        self._notify = notify
        self._open: dict[Remote, Connection] = {}
        self._begun: dict[Remote, BackgroundConnection] = {}

    def to(self, remote: Remote) -> Connection:
        """Return the connection to a remote. Raises as `connect` does."""
        if remote not in self._open:
            begun = self._begun.pop(remote, None)
            try:
                self._open[remote] = begun.result() if begun else self._connect(remote)
            except RemoteError as error:
                hint = "--remex-doctor checks the connection step by step"
                raise type(error)(f"{error}\n{hint}") from error
        return self._open[remote]

    def _connect(self, remote: Remote) -> Connection:
        return connector(remote)(prompt=self._prompt, notify=self._notify)

    def begin(self, remote: Remote) -> None:
        """Begin to connect, and start the agent, while other work is done; `to` waits for it.

        The user is asked nothing before `to`, which also raises what went wrong.
        """
        had_broken = self._prompt is None  # then whoever uses the connection opens it again
        if had_broken or remote in self._open or remote in self._begun:
            return
        if remote.host is None:
            with suppress(RemoteError):  # the first request says why
                self.to(remote).start()
        else:
            connect = connector(remote)
            self._begun[remote] = BackgroundConnection(connect, self._prompt, self._notify)

    def drop_broken(self) -> None:
        """Close those whose link broke; `to` opens them again without prompting the user.

        A second factor is asked for only once: the user may have left by then.
        """
        self._prompt = None
        for remote in [each for each, connection in self._open.items() if connection.broken]:
            self._open.pop(remote).close()

    def close(self) -> None:
        """Close them all."""
        while self._begun:
            self._begun.popitem()[1].abandon()
        while self._open:
            self._open.popitem()[1].close()


class Connector(Protocol):
    """Opens a connection: `connect` for a certain remote."""

    def __call__(self, *, prompt: Prompt | None, notify: Notify) -> Connection:
        """Return the open connection."""


def connector(remote: Remote) -> Connector:
    """Return what opens a connection to a remote."""
    # a dry run and an offline collect connect to nothing
    from pytest_remex.transport.connection import connect  # noqa: PLC0415

    return partial(connect, remote)


class BackgroundConnection:
    """Connect and start the agent in a thread. Whoever waits for the result is asked questions.

    Nobody is prompted or notified before, so the caller can first report what is wrong elsewhere.

    Args:
        connect: Opens the connection.
        prompt: See `connect`; called in the thread that waits.
        notify: See `connect`; called in the thread that waits.
    """

    def __init__(self, connect: Connector, prompt: Prompt | None, notify: Notify) -> None:
        self._connect = connect
        self._prompt = prompt
        self._notify = notify
        self._answers: SimpleQueue[str | BaseException] = SimpleQueue()
        self._opening = BackgroundCall(self._open, "remex-connect")

    def result(self) -> Connection:
        """Wait for the connection, and return it. Raises as `connect` does."""
        try:
            return self._opening.result(lambda show: show())
        except BaseException:  # Ctrl-C
            self.abandon()
            raise

    def abandon(self) -> None:
        """Close the connection once it is made; the user is asked nothing more."""
        self._answers.put(RemoteError("the command ended before it connected"))
        self._opening.then(lambda connection: connection.close())

    def _open(self, send: Callable[[Callable[[], None]], None]) -> Connection:
        """Connect; what is shown from this thread is shown by the one that waits.

        Programs that start later, and later logins, notify and prompt from their own threads.
        """
        prompt, notify, here = self._prompt, self._notify, threading.current_thread()

        def ask(prompt: Prompt, text: str, *, echo: bool) -> str:
            if threading.current_thread() is not here:
                return prompt(text, echo=echo)
            send(lambda: self._answers.put(_outcome(prompt, text, echo=echo)))
            answer = self._answers.get()
            if isinstance(answer, BaseException):
                raise answer
            return answer

        def tell(text: str) -> None:
            if threading.current_thread() is here:
                send(lambda: notify(text))
            else:
                notify(text)

        connection = self._connect(prompt=prompt and partial(ask, prompt), notify=tell)
        with suppress(RemoteError):  # the first request says why
            connection.start()
        return connection


def _outcome(prompt: Prompt, text: str, *, echo: bool) -> str | BaseException:
    """Prompt the user, and return the answer, or what was raised instead of one."""
    try:
        return prompt(text, echo=echo)
    except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
        return error
