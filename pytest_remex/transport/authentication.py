"""Logging in as ssh does: keys, then keyboard-interactive (second factors), then a password."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import paramiko

from pytest_remex.errors import RemoteError
from pytest_remex.transport.keys import KeyAgent, offered_keys
from pytest_remex.transport.ssh_errors import hung_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_remex.transport.prompt import Prompt
    from pytest_remex.transport.ssh_config import HostSettings

_TRIES = 3
_ANSWER = 60.0
_TYPING = 600.0
_METHODS = ("publickey", "keyboard-interactive", "password")

_Questions = list[tuple[str, bool]]
_Asked = tuple[str, str, _Questions]


class Login:
    """One login, in as many steps as the server asks for; what paramiko calls an auth strategy."""

    def __init__(self, settings: HostSettings, prompt: Prompt | None) -> None:
        self._settings = settings
        self._prompt = prompt
        self._tried: list[str] = []

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in. Raises `RemoteError` where the server refuses all that can be offered."""
        agent = KeyAgent(self._settings.agent) if self._settings.agent else None
        attempts: dict[str, Iterator[list[str]]] = {
            "publickey": self._by_key(transport, agent),
            "keyboard-interactive": self._by_questions(transport),
            "password": self._by_password(transport),
        }
        try:
            methods = self._begin(transport)
            while methods:  # what a step that succeeded leaves to be done; nothing at the end
                methods = self._step(methods, attempts)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise hung_up(self._settings, ", ".join(self._tried)) from error
        finally:
            if agent:
                agent.close()

    def _begin(self, transport: paramiko.Transport) -> list[str]:
        """Ask what the server accepts, by asking to be let in for nothing."""
        transport.auth_timeout = _ANSWER
        try:
            return transport.auth_none(self._settings.user)
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types)

    def _step(self, methods: list[str], attempts: dict[str, Iterator[list[str]]]) -> list[str]:
        for method in _METHODS:
            if method in methods and (left := next(attempts[method], None)) is not None:
                return left
        host = self._settings
        raise RemoteError(
            f"{host.hostname} refused the login of {host.user!r}: it accepts "
            f"{', '.join(methods)}; tried: {', '.join(self._tried) or 'nothing'}. "
            f"See that `ssh {host.name}` works, and User and IdentityFile in ~/.ssh/config"
        )

    def _by_key(self, transport: paramiko.Transport, agent: KeyAgent | None) -> Iterator[list[str]]:
        """Return what is left to do after each key that was accepted."""
        for name, key in offered_keys(
            self._settings, agent, lambda text: self._ask(text, echo=False)
        ):
            self._tried.append(name)
            try:
                yield transport.auth_publickey(self._settings.user, key)
            except paramiko.SSHException as error:  # also of a key agent that does not sign
                _unless_over(transport, error)

    def _by_questions(self, transport: paramiko.Transport) -> Iterator[list[str]]:
        transport.auth_timeout = _TYPING
        for _ in range(_TRIES):
            self._tried.append("keyboard-interactive")
            try:
                yield self._interact(transport)
            except paramiko.AuthenticationException as error:
                _unless_over(transport, error)

    def _by_password(self, transport: paramiko.Transport) -> Iterator[list[str]]:
        host = self._settings
        for _ in range(_TRIES):
            self._tried.append("password")
            password = self._ask(f"Password of {host.user}@{host.hostname}: ", echo=False)
            try:
                yield transport.auth_password(host.user, password, fallback=False)
            except paramiko.AuthenticationException as error:
                _unless_over(transport, error)

    def _interact(self, transport: paramiko.Transport) -> list[str]:
        """Answer the server's questions in this thread: paramiko asks them in its own."""
        asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

        def relay(title: str, text: str, questions: _Questions) -> list[str]:
            asked.put((title, text, questions))
            return answers.get()

        with ThreadPoolExecutor(1, "remex-login") as pool:
            step = pool.submit(transport.auth_interactive, self._settings.user, relay)
            step.add_done_callback(lambda _: asked.put(None))
            try:
                while (question := asked.get()) is not None:
                    answers.put(self._answer(*question))
            except BaseException:
                transport.close()
                answers.put([])
                raise
        return step.result()

    def _answer(self, title: str, text: str, questions: Iterable[tuple[str, bool]]) -> list[str]:
        """Ask each question; what the server says above them goes before the first."""
        above = "".join(f"{part.strip()}\n" for part in (title, text) if part.strip())
        given = []
        for question, echo in questions:
            given.append(self._ask(f"{above}{question}", echo=echo))
            above = ""
        return given

    def _ask(self, text: str, *, echo: bool) -> str:
        if self._prompt is None:
            raise RemoteError(
                f"{self._settings.name} asks {text.strip()!r}, and nobody can answer: "
                f"run this at a terminal, or let a key agent hold the key"
            )
        return self._prompt(text, echo=echo)


def _unless_over(transport: paramiko.Transport, error: paramiko.SSHException) -> None:
    """Go on to the next attempt, unless the server hung up: it bears few that fail."""
    if not transport.is_active():
        raise error
