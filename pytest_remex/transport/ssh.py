"""The door to a cluster: logging in through Fabric, over gateways where there are some."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import fabric  # type: ignore[import-untyped]  # it has no stubs
import paramiko

from pytest_remex.transport.authentication import Login
from pytest_remex.transport.known_hosts import StrictPolicy
from pytest_remex.transport.ssh_config import HostSettings, route
from pytest_remex.transport.ssh_errors import explain, turned_away
from pytest_remex.transport.ssh_transport import SshTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko.transport import _SocketLike

    from pytest_remex.model import Remote
    from pytest_remex.transport.greeting import Tell
    from pytest_remex.transport.prompt import Prompt

_LOG = logging.getLogger("pytest_remex.paramiko")
_LOG.propagate = False  # paramiko logs tracebacks of what is told by an error
_LOG.addHandler(logging.NullHandler())
_PAUSES = (0.5, 1.0, 2.0)


def log_in(remote: Remote, prompt: Prompt | None, *, silence: float, tell: Tell) -> SshTransport:
    """Log in to the remote's host once, through the hops of its ProxyJump.

    `tell` is told where a program takes long to start there.

    Raises `RemoteError` where a host on the way cannot be reached, is not known, or refuses.
    """
    with contextlib.ExitStack() as opened:
        hops: list[fabric.Connection] = []
        for host in route(str(remote.host)):
            hops.append(_patiently(host, hops[-1] if hops else None, prompt))
            opened.callback(_close, hops[-1])
        return SshTransport(
            hops[-1].transport,
            remote,
            silence=silence,
            tell=tell,
            close=opened.pop_all().close,
        )


def _patiently(
    host: HostSettings,
    gateway: fabric.Connection | None,
    prompt: Prompt | None,
    pauses: tuple[float, ...] = _PAUSES,
) -> fabric.Connection:
    """Log in to one host; again, a little later, where it turned us away before its greeting."""
    try:
        return _open(host, gateway, prompt)
    except (paramiko.SSHException, OSError, EOFError) as error:
        if not pauses or not turned_away(error, host):
            raise explain(error, host) from error
    time.sleep(pauses[0])
    return _patiently(host, gateway, prompt, pauses[1:])


def _open(
    host: HostSettings, gateway: fabric.Connection | None, prompt: Prompt | None
) -> fabric.Connection:
    """Open a Fabric connection whose only settings are ours: host keys are checked, always."""
    policy = StrictPolicy(host)
    connection = _Hop(
        host.hostname,
        user=host.user,
        port=host.port,
        gateway=gateway or host.proxy,
        config=fabric.Config(ssh_config=paramiko.SSHConfig(), lazy=True),
        connect_timeout=host.timeout,
        connect_kwargs={
            "auth_strategy": Login(host, prompt),
            "transport_factory": _transports(policy),
            "banner_timeout": host.timeout,
            "channel_timeout": host.timeout,
        },
    )
    connection.client.set_log_channel(_LOG.name)
    connection.client.set_missing_host_key_policy(policy)
    try:
        connection.open()
    except BaseException:
        _close(connection)
        raise
    connection.transport.set_keepalive(host.keepalive)
    return connection


def _transports(policy: StrictPolicy) -> Callable[..., paramiko.Transport]:
    """Make transports that ask for a host key of a known kind, and for the fastest ciphers.

    On one core paramiko carries about 180 MB/s with AES-GCM, and 60 to 140 with its own choice.
    """

    def make(sock: _SocketLike, disabled_algorithms: None = None) -> paramiko.Transport:
        transport = paramiko.Transport(sock, disabled_algorithms=disabled_algorithms)
        security = transport.get_security_options()
        security.key_types = policy.algorithms(tuple(security.key_types))
        security.ciphers = sorted(security.ciphers, key=lambda name: "-gcm@" not in name)
        return transport

    return make


class _Hop(fabric.Connection):  # type: ignore[misc]  # Fabric has no types
    """A Fabric connection whose ProxyCommand runs as under ssh: by a shell, at a socket."""

    def open_gateway(self) -> _SocketLike:
        if not isinstance(self.gateway, str):
            gateway: paramiko.Channel = super().open_gateway()
            return gateway
        ours, theirs = socket.socketpair()
        with theirs:
            words, end = ["sh", "-c", f"exec {self.gateway}"], theirs.fileno()
            self._set(_proxy=subprocess.Popen(words, stdin=end, stdout=end))
        return ours


def _close(connection: fabric.Connection) -> None:
    connection.client.close()
    if proxy := getattr(connection, "_proxy", None):
        proxy.terminate()
        proxy.wait()
