"""Logging in as ssh does: keys, then keyboard-interactive (second factors), then a password."""

from __future__ import annotations

import base64
import contextlib
import queue
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.agent import AgentSSH
from paramiko.pkey import UnknownKeyType

from pytest_remex.errors import RemoteError
from pytest_remex.io import AGAIN
from pytest_remex.transport.base import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_remex.transport.base import Prompt
    from pytest_remex.transport.ssh_config import HostSettings

_TRIES = 3
_ANSWER_TIMEOUT = 60.0
_TYPING_TIMEOUT = 600.0

_Questions = list[tuple[str, bool]]
_Challenge = tuple[str, str, _Questions]


class Login:
    """One login, in as many steps as the server requires: an auth strategy, in paramiko's words.

    Args:
        settings: The host, and the user's keys for it.
        prompt: Asks the user; without it, a login that needs an answer fails.
    """

    def __init__(self, settings: HostSettings, prompt: Prompt | None) -> None:
        self._settings = settings
        self._prompt = prompt
        self._tried: list[str] = []
        self._not_loaded: list[Path] = []

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in.

        Raises:
            RemoteError: The server refused every key, answer and password, or hung up.
        """
        agent = KeyAgent(self._settings.agent) if self._settings.agent else None
        attempts: dict[str, Iterator[list[str]]] = {
            "publickey": self._try_keys(transport, agent),
            "keyboard-interactive": self._try_questions(transport),
            "password": self._try_password(transport),
        }
        try:
            transport.auth_timeout = _ANSWER_TIMEOUT
            methods = self._by_named_key(attempts["publickey"])
            if methods is None:
                methods = self._accepted_methods(transport)
            while methods:  # a step that succeeded returns the methods still needed
                methods = self._step(methods, attempts)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._hung_up() from error
        finally:
            if agent:
                agent.close()

    def _by_named_key(self, attempt: Iterator[list[str]]) -> list[str] | None:
        """Return the methods that are still needed after the login by a key for this host alone.

        None if there is none, or the server refuses it. Over a slow link, asking first which
        methods the server accepts would take as long as the login.
        """
        return next(attempt, None) if self._settings.identities_only else None

    def _accepted_methods(self, transport: paramiko.Transport) -> list[str]:
        """Ask which methods the server accepts, by trying to log in without any."""
        try:
            return transport.auth_none(self._settings.user)
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types)

    def _step(self, methods: list[str], attempts: dict[str, Iterator[list[str]]]) -> list[str]:
        """Try until an attempt succeeds, and return the methods that are still needed."""
        for method, attempt in attempts.items():
            if method in methods and (needed := next(attempt, None)) is not None:
                return needed
        host = self._settings
        raise RemoteError(
            f"{host.hostname} refused the login of {host.user!r}: it accepts "
            f"{', '.join(methods)}; tried: {', '.join(self._tried) or 'nothing'}. "
            f"Check that `ssh {host.name}` works, and User and IdentityFile in ~/.ssh/config"
            f"{self._other_way()}"
        )

    def _other_way(self) -> str:
        """Return when the ssh command would work, as a clause; it may be empty."""
        if self._not_loaded:
            keys = ", ".join(map(str, self._not_loaded))
            return f"; only ssh can use {keys}: set remex_transport = openssh"
        return (
            f"; {self._settings.by_ssh}"
            if self._settings.by_ssh
            else "; if it does, set remex_transport = openssh"
        )

    def _try_keys(
        self, transport: paramiko.Transport, agent: KeyAgent | None
    ) -> Iterator[list[str]]:
        """Offer each key; yield the methods that are still needed after each accepted one."""

        def ask(text: str) -> str:
            return self._ask(text, echo=False)

        for name, key in offered_keys(self._settings, agent, ask, self._not_loaded.append):
            self._tried.append(name)
            try:
                yield transport.auth_publickey(self._settings.user, key)
            except paramiko.SSHException as error:  # also if a key agent does not sign
                _raise_if_disconnected(transport, error)

    def _try_questions(self, transport: paramiko.Transport) -> Iterator[list[str]]:
        transport.auth_timeout = _TYPING_TIMEOUT
        for _ in range(_TRIES):
            self._tried.append("keyboard-interactive")
            try:
                yield self._interact(transport)
            except paramiko.AuthenticationException as error:
                _raise_if_disconnected(transport, error)

    def _try_password(self, transport: paramiko.Transport) -> Iterator[list[str]]:
        host = self._settings
        for _ in range(_TRIES):
            self._tried.append("password")
            password = self._ask(f"Password of {host.user}@{host.hostname}: ", echo=False)
            try:
                yield transport.auth_password(host.user, password, fallback=False)
            except paramiko.AuthenticationException as error:
                _raise_if_disconnected(transport, error)

    def _interact(self, transport: paramiko.Transport) -> list[str]:
        """Ask the user the server's questions in this thread; paramiko calls from its own."""
        challenges: queue.SimpleQueue[_Challenge | None] = queue.SimpleQueue()
        answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

        def relay(title: str, text: str, questions: _Questions) -> list[str]:
            challenges.put((title, text, questions))
            return answers.get()

        with ThreadPoolExecutor(1, "remex-login") as pool:
            step = pool.submit(transport.auth_interactive, self._settings.user, relay)
            step.add_done_callback(lambda _: challenges.put(None))
            try:
                while (challenge := challenges.get()) is not None:
                    answers.put(self._answer(*challenge))
            except BaseException:
                transport.close()
                answers.put([])
                raise
        return step.result()

    def _answer(self, title: str, text: str, questions: Iterable[tuple[str, bool]]) -> list[str]:
        """Ask each question; show the server's introduction before the first."""
        above = "".join(f"{part.strip()}\n" for part in (title, text) if part.strip())
        answers = []
        for question, echo in questions:
            answers.append(self._ask(f"{above}{question}", echo=echo))
            above = ""
        return answers

    def _ask(self, text: str, *, echo: bool) -> str:
        if self._prompt is None:
            raise RemoteError(
                f"{self._settings.name} asks {text.strip()!r}, but you cannot be prompted now: "
                f"{AGAIN} in a terminal, or load the key into a key agent (ssh-add)"
                f"{'; ' if self._settings.by_ssh else ''}{self._settings.by_ssh}"
            )
        return self._prompt(text, echo=echo)

    def _hung_up(self) -> RemoteError:
        tried = ", ".join(self._tried)
        too_many = (
            "; if that fails too and your key agent holds many keys (servers limit failed "
            "attempts, MaxAuthTries), name the right key by IdentityFile and set "
            "IdentitiesOnly yes in ~/.ssh/config"
        )
        return RemoteError(
            f"{self._settings} hung up during the login of {self._settings.user!r}, or the "
            f"network failed (tried: {tried or 'nothing'}): {AGAIN}{too_many if tried else ''}"
        )


def _raise_if_disconnected(transport: paramiko.Transport, error: paramiko.SSHException) -> None:
    """Raise if the server hung up: servers limit failed attempts (MaxAuthTries)."""
    if not transport.is_active():
        raise error


class KeyAgent(AgentSSH):
    """The ssh key agent at a socket; it has no keys if nothing answers."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
            self._connect(self._socket)  # type: ignore[attr-defined]  # paramiko's stubs leave it out
        except (OSError, paramiko.SSHException):
            self.close()

    def close(self) -> None:
        """Close the connection to the key agent."""
        self._socket.close()


def connect_to_agent(path: str, channel: paramiko.Channel) -> None:
    """Connect a program on the cluster to the key agent here, as ForwardAgent asks for.

    Args:
        path: The key agent's socket.
        channel: From the program, as paramiko opens it in its own thread.
    """
    agent = socket.socket(socket.AF_UNIX)
    try:
        agent.connect(path)
    except OSError:
        agent.close()
        channel.close()
        return
    for source, sink in ((channel, agent), (agent, channel)):
        name = "remex-forward-agent"
        threading.Thread(target=_carry, args=(source, sink), name=name, daemon=True).start()


_End = paramiko.Channel | socket.socket


def _carry(source: _End, sink: _End) -> None:
    """Carry bytes from one end to the other until either closes, then close both."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError, EOFError):
            end.shutdown(socket.SHUT_RDWR)
            end.close()


def offered_keys(
    settings: HostSettings,
    agent: KeyAgent | None,
    ask: Callable[[str], str],
    not_loaded: Callable[[Path], object],
) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield each key with its name for messages, in ssh's order: the key agent's, then files.

    Keys that need a passphrase come last. `ask` asks for it when it is needed; an empty answer
    skips the key. `not_loaded` is called with each key of a type that paramiko does not know.
    """
    named = {_public_key(path): path for path in settings.identities}
    held = list(agent.get_keys()) if agent else []
    held.sort(key=lambda key: key.asbytes() not in named)
    for key in held:
        if key.asbytes() in named or not settings.identities_only:
            yield f"{key.comment or key.get_name()} (key agent)", key
    blobs = {key.asbytes() for key in held}
    files = [path for path in settings.identities if not blobs or _public_key(path) not in blobs]
    locked = []
    for path in files:
        try:
            yield str(path), paramiko.PKey.from_path(path)
        except TypeError:
            locked.append(path)
        except (OSError, ValueError, paramiko.SSHException, UnknownKeyType):
            if _is_private(path):
                not_loaded(path)
    for path in locked:
        if unlocked := _unlock(path, ask):
            yield str(path), unlocked


def _is_private(path: Path) -> bool:
    """Return whether a file holds a private key of any type."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return b"PRIVATE KEY" in file.read(100)
    return False


def _public_key(path: Path) -> bytes:
    """Return the public key next to a private key's file; empty if there is none."""
    half = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    with contextlib.suppress(OSError, ValueError, IndexError):
        return base64.b64decode(half.read_text().split()[1])
    return b""


def _unlock(path: Path, ask: Callable[[str], str]) -> paramiko.PKey | None:
    """Load a key with its passphrase; None if the user left that empty."""
    for _ in range(_TRIES):
        passphrase = ask(f"Passphrase for the key {path}: ")
        if not passphrase:
            return None
        with contextlib.suppress(ValueError, paramiko.SSHException):
            secret: Any = passphrase.encode()  # the stubs are wrong: it takes bytes
            return paramiko.PKey.from_path(path, secret)
    raise RemoteError(
        f"wrong passphrase for {path}, {_TRIES} times: check it by `ssh-keygen -y -f {path}`"
    )
