"""What went wrong on the way to a host, in words that name the value and the mend."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from pytest_remex.remote.config import HostSettings


_LATE = ("No existing session", "Timeout opening channel")


def turned_away(error: BaseException, host: HostSettings) -> bool:
    """Whether the server hung up before the greeting, as sshd's MaxStartups makes it do."""
    early = isinstance(error, EOFError | ConnectionResetError) or "protocol banner" in str(error)
    return early and not host.proxy and not _silent(error)


def _silent(error: BaseException) -> bool:
    """Whether time ran out, which paramiko tells in four ways."""
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return late or any(words in str(error) for words in _LATE)


def explain(error: BaseException, host: HostSettings) -> RemoteError:
    """Translate what paramiko or the network raised while opening a connection to `host`."""
    where = f"{host.hostname}:{host.port}"
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
            text = f"{where} hung up before its greeting: too many log in there just now; try again"
        case paramiko.SSHException():
            text = f"{where} and this machine do not agree ({error}): see `ssh -v {host.name}`"
        case _:
            text = f"{where} cannot be reached ({error}): see the network, or a VPN"
    return RemoteError(text)
