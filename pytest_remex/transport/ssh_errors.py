"""What went wrong on the way to a host, in words that name the value and the mend."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from pytest_remex.errors import RemoteError
from pytest_remex.io import AGAIN

if TYPE_CHECKING:
    from pytest_remex.transport.ssh_config import HostSettings


_LATE = ("No existing session", "Timeout opening channel")


def turned_away(error: BaseException, host: HostSettings) -> bool:
    """Whether the server hung up before the login, as sshd's MaxStartups makes it do."""
    early = isinstance(error, EOFError | ConnectionResetError) or "protocol banner" in str(error)
    return early and not host.proxy and not _silent(error)


def _silent(error: BaseException) -> bool:
    """Whether time ran out, which paramiko tells in four ways."""
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return late or any(words in str(error) for words in _LATE)


def explain(error: BaseException, host: HostSettings) -> RemoteError:
    """Translate what paramiko or the network raised while opening a connection to `host`."""
    where = named(host)
    mend = "in ~/.ssh/config"
    match error:
        case _ if host.proxy and not _silent(error):
            text = f"ProxyCommand {host.proxy!r} does not lead to an ssh server: see it {mend}"
        case socket.gaierror():
            text = f"unknown host {host.hostname!r}: mend remex_host, or HostName {mend}"
        case ConnectionRefusedError() | NoValidConnectionsError():
            text = f"{where} refuses connections: see that the host and its Port {mend} are right"
        case _ if _silent(error):
            text = f"{where} did not answer in {host.timeout:g} s: see the network, or a VPN"
        case paramiko.ChannelException():
            text = f"the host before it cannot reach {where} ({error.text}): see ProxyJump {mend}"
        case _ if turned_away(error, host):
            text = f"{where} hung up before the login: see the network, wait for fewer logins there"
        case paramiko.SSHException():
            text = f"{where} and this machine do not agree ({error}): see `ssh -v {host.name}`"
        case _:
            text = f"{where} cannot be reached ({error}): see the network, or a VPN"
    return RemoteError(f"{text}; then {AGAIN}")


def hung_up(host: HostSettings, tried: str) -> RemoteError:
    """Say that the connection was lost in the login; `tried` names the keys that were refused."""
    keys = (
        "; where that ends so too, and a key agent holds many keys, name the right one by "
        "IdentityFile and set IdentitiesOnly yes in ~/.ssh/config"
    )
    return RemoteError(
        f"{named(host)} hung up during the login of {host.user!r}, or the network did (tried: "
        f"{tried or 'nothing'}): {AGAIN}{keys if tried else ''}"
    )


def named(host: HostSettings) -> str:
    """Name a host as the user does, and by its address where that says more."""
    address = f"{host.hostname}:{host.port}"
    name = host.name.rpartition("@")[2]
    return address if name in (host.hostname, address) else f"{name} ({address})"
