"""The user's keys in the order in which ssh offers them: the key agent's, then files."""

from __future__ import annotations

import base64
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.agent import AgentSSH
from paramiko.pkey import UnknownKeyType

from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_remex.transport.ssh_config import HostSettings

_TRIES = 3


class KeyAgent(AgentSSH):
    """The key agent at a socket; without keys where nobody answers there."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
            self._connect(self._socket)  # type: ignore[attr-defined]  # paramiko's stubs leave it out
        except (OSError, paramiko.SSHException):
            self.close()

    def close(self) -> None:
        """Let go of the agent."""
        self._socket.close()


def offered_keys(
    settings: HostSettings, agent: KeyAgent | None, ask: Callable[[str], str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield each key with its name for messages; `ask` gets passphrases where it comes to that.

    Keys that need a passphrase come last; an empty answer leaves a key out.
    """
    named = {_public(path): path for path in settings.identities}
    held = list(agent.get_keys()) if agent else []
    held.sort(key=lambda key: key.asbytes() not in named)
    for key in held:
        if key.asbytes() in named or not settings.identities_only:
            yield f"{key.comment or key.get_name()} (key agent)", key
    blobs = {key.asbytes() for key in held}
    files = [path for path in settings.identities if not blobs or _public(path) not in blobs]
    locked = []
    for path in files:
        try:
            yield str(path), paramiko.PKey.from_path(path)
        except TypeError:
            locked.append(path)
        except (OSError, ValueError, paramiko.SSHException, UnknownKeyType):
            continue
    for path in locked:
        if unlocked := _unlock(path, ask):
            yield str(path), unlocked


def _public(path: Path) -> bytes:
    """Return the public half that lies beside a key's file, empty where there is none."""
    half = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    with contextlib.suppress(OSError, ValueError, IndexError):
        return base64.b64decode(half.read_text().split()[1])
    return b""


def _unlock(path: Path, ask: Callable[[str], str]) -> paramiko.PKey | None:
    """Load a key with its passphrase, after at most three tries."""
    for _ in range(_TRIES):
        passphrase = ask(f"Passphrase for the key {path}: ")
        if not passphrase:
            return None
        with contextlib.suppress(ValueError, paramiko.SSHException):
            secret: Any = passphrase.encode()  # bytes at run time, whatever the stubs say
            return paramiko.PKey.from_path(path, secret)
    raise RemoteError(
        f"no right passphrase for {path} in {_TRIES} tries: see `ssh-keygen -y -f {path}`"
    )
