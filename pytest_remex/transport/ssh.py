"""Logging in to a cluster through Fabric, over gateways where there are some."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import fabric  # type: ignore[import-untyped]  # it has no stubs
import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from pytest_remex.errors import RemoteError
from pytest_remex.io import AGAIN
from pytest_remex.transport.authentication import Login
from pytest_remex.transport.known_hosts import KnownHostsPolicy
from pytest_remex.transport.ssh_config import HostSettings, route
from pytest_remex.transport.ssh_transport import SshTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko.transport import _SocketLike

    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify, Prompt

_LOG = logging.getLogger("pytest_remex.paramiko")
_LOG.propagate = False  # paramiko logs tracebacks of what our errors already say
_LOG.addHandler(logging.NullHandler())
_RETRY_PAUSES = (0.5, 1.0, 2.0)
_TIMEOUT_MESSAGES = ("No existing session", "Timeout opening channel")


def log_in(
    remote: Remote, prompt: Prompt | None, notify: Notify, *, idle_timeout: float
) -> SshTransport:
    """Log in to the remote's host once, through the hops of its ProxyJump.

    Args:
        remote: Its `host` is `[user@]host[:port]` or an alias in ssh_config.
        prompt: Asks the user for passphrases and codes.
        notify: Shows the user a line if a program takes long to start there.
        idle_timeout: Seconds without a sign of life after which the connection counts as lost.

    Raises:
        RemoteError: A host on the way cannot be reached, is not known, or refuses the login.
    """
    with contextlib.ExitStack() as opened:
        hops: list[fabric.Connection] = []
        for host in route(str(remote.host)):
            hops.append(_log_in_to(host, hops[-1] if hops else None, prompt))
            opened.callback(_close, hops[-1])
        return SshTransport(
            hops[-1].transport,
            remote,
            notify,
            idle_timeout=idle_timeout,
            close=opened.pop_all().close,
        )


def _log_in_to(
    host: HostSettings,
    gateway: fabric.Connection | None,
    prompt: Prompt | None,
    pauses: tuple[float, ...] = _RETRY_PAUSES,
) -> fabric.Connection:
    """Log in to one host; retry if it hung up before the login."""
    try:
        return _open(host, gateway, prompt)
    except (paramiko.SSHException, OSError, EOFError) as error:
        if not pauses or not _hung_up_early(error, host):
            raise _explain(error, host) from error
    time.sleep(pauses[0])
    return _log_in_to(host, gateway, prompt, pauses[1:])


def _open(
    host: HostSettings, gateway: fabric.Connection | None, prompt: Prompt | None
) -> fabric.Connection:
    """Open a Fabric connection that uses our settings alone; host keys are always checked."""
    policy = KnownHostsPolicy(host)
    connection = _Hop(
        host.hostname,
        user=host.user,
        port=host.port,
        gateway=gateway or host.proxy,
        config=fabric.Config(ssh_config=paramiko.SSHConfig(), lazy=True),
        connect_timeout=host.timeout,
        connect_kwargs={
            "auth_strategy": Login(host, prompt),
            "transport_factory": _transport_factory(policy),
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


def _transport_factory(policy: KnownHostsPolicy) -> Callable[..., paramiko.Transport]:
    """Make transports that prefer host keys of known types, and the fastest ciphers.

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


def _explain(error: BaseException, host: HostSettings) -> RemoteError:
    """Translate what paramiko or the network raised while opening a connection to `host`."""
    match error:
        case _ if host.proxy and not _timed_out(error):
            text = (
                f"ProxyCommand {host.proxy!r} does not lead to an ssh server: "
                f"correct it in ~/.ssh/config"
            )
        case socket.gaierror():
            text = (
                f"unknown host {host.hostname!r}: correct remex_host, or HostName in ~/.ssh/config"
            )
        case ConnectionRefusedError() | NoValidConnectionsError():
            text = f"{host} refuses connections: check the host and its Port in ~/.ssh/config"
        case _ if _timed_out(error):
            text = f"{host} did not answer in {host.timeout:g} s: check the network, or a VPN"
        case paramiko.ChannelException():
            text = (
                f"the gateway cannot reach {host} ({error.text}): check ProxyJump in ~/.ssh/config"
            )
        case _ if _hung_up_early(error, host):
            text = (
                f"{host} hung up before the login: check the network, "
                f"or wait until fewer people log in there"
            )
        case paramiko.SSHException():
            text = f"SSH negotiation failed with {host} ({error}): see `ssh -v {host.name}`"
        case _:
            text = f"{host} cannot be reached ({error}): check the network, or a VPN"
    return RemoteError(f"{text}; then {AGAIN}")


def _hung_up_early(error: BaseException, host: HostSettings) -> bool:
    """Return whether the server hung up before the login, as sshd's MaxStartups makes it do."""
    early = isinstance(error, EOFError | ConnectionResetError) or "protocol banner" in str(error)
    return early and not host.proxy and not _timed_out(error)


def _timed_out(error: BaseException) -> bool:
    """Return whether time ran out, which paramiko reports in four ways."""
    timeout = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return timeout or any(words in str(error) for words in _TIMEOUT_MESSAGES)
