"""Logging in to a cluster through Fabric, over gateways, and running programs there.

A program is at the end of a paramiko channel.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import fabric  # type: ignore[import-untyped]  # it has no stubs
import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from pytest_remex.errors import RemoteError, UnreachableError
from pytest_remex.io import AGAIN
from pytest_remex.transport.authentication import Login, connect_to_agent
from pytest_remex.transport.base import CHUNK, FABRIC, LOGIN_PAUSES, NoChannelError, retried
from pytest_remex.transport.known_hosts import KnownHostsPolicy
from pytest_remex.transport.login_shell import LINGER, ShellTransport
from pytest_remex.transport.ssh_config import HostSettings, route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paramiko.transport import _SocketLike

    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify, Prompt

WINDOW = 1 << 22
"""Bytes that a channel may receive before they are read."""
_PIECE = 1 << 18
"""Bytes to send at a time: paramiko copies what it has not sent yet, so a large piece is slow."""
_CLOSE_TIMEOUT = 2.0
_LINK_CHECK = 0.2
"""Seconds for an ssh connection that has closed its channels to report that it broke."""
_LOG = logging.getLogger("pytest_remex.paramiko")
_LOG.propagate = False  # paramiko logs tracebacks of errors that we report ourselves
_LOG.addHandler(logging.NullHandler())
_TIMEOUT_MESSAGES = ("No existing session", "Timeout opening channel")


class SshChannel:
    """A program at the end of an ssh channel; see `ShellChannel`."""

    def __init__(
        self, channel: paramiko.Channel, ssh: paramiko.Transport, *, idle_timeout: float
    ) -> None:
        self._channel = channel
        self._ssh = ssh
        self._idle_timeout = idle_timeout
        self._rest = b""

    def receive(self, seconds: float) -> tuple[bytes | None, bytes]:
        """See `ShellChannel`."""
        data: bytes | None
        try:
            self._channel.settimeout(seconds)
            data = self._channel.recv(CHUNK)
        except TimeoutError:
            data = None
        except EOFError:  # paramiko could not allow the other end to send more
            data = b""
        ready = self._channel.recv_stderr_ready()
        return data, self._channel.recv_stderr(WINDOW) if ready else b""

    def begin(self, rest: bytes) -> None:
        """See `ShellChannel`."""
        self._rest = rest
        self._channel.settimeout(min(LINGER, self._idle_timeout))

    def read(self) -> bytes:
        """See `Channel`. Has no time limit: the caller knows how long is too long.

        Ends with the program, even if a login file's background job holds stdout open.
        """
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        return self._receive(self._channel.recv)

    def read_error(self) -> bytes:
        """See `Channel`. Like `read`."""
        return self._receive(self._channel.recv_stderr)

    def _receive(self, receive: Callable[[int], bytes]) -> bytes:
        ended = False
        while True:
            try:
                return receive(WINDOW)
            except TimeoutError:
                if ended:
                    return b""
                # the program's last output may arrive after its exit status: read once more
                ended = self._channel.exit_status_ready()
            except EOFError:  # paramiko could not allow the other end to send more
                return b""

    def write(self, data: bytes) -> None:
        """See `Channel`. Raises `OSError` if a piece is not accepted in `idle_timeout` seconds."""
        for start in range(0, len(data), _PIECE):
            with break_after(self._idle_timeout, self._ssh):
                self._send(data[start : start + _PIECE])

    def _send(self, piece: bytes) -> None:
        deadline = time.monotonic() + self._idle_timeout
        while piece:
            try:
                piece = piece[self._channel.send(piece) :]
            except TimeoutError:  # the channel has one timeout, which is set for `read`
                if time.monotonic() > deadline:
                    raise

    def wait(self, seconds: float) -> int | None:
        """See `Channel`. The exit code of a program that a signal ended is 128."""
        if not self._channel.status_event.wait(seconds):
            return None
        code = self._channel.recv_exit_status()
        if code >= 0:
            return code
        self._ssh.join(_LINK_CHECK)
        return 128 if self._channel.eof_received and self._ssh.is_active() else None

    def close(self) -> None:
        """See `Channel`. The program sees the end of its stdin, unless the connection broke."""
        with (
            contextlib.suppress(OSError, paramiko.SSHException),
            break_after(_CLOSE_TIMEOUT, self._ssh),
        ):
            self._channel.close()


@contextlib.contextmanager
def break_after(seconds: float, ssh: paramiko.Transport) -> Iterator[None]:
    """Break a connection that accepts no more data, for which paramiko would wait for ever.

    Raises `OSError` if it broke, which paramiko reports as `EOFError`.
    """
    timer = threading.Timer(seconds, ssh.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    except EOFError as error:
        raise ConnectionResetError("the connection broke") from error
    finally:
        timer.cancel()


def log_in(
    remote: Remote,
    settings: HostSettings,
    prompt: Prompt | None,
    notify: Notify,
    *,
    idle_timeout: float,
) -> SshTransport:
    """Log in to the remote's host once, through the hops of its ProxyJump.

    Args:
        remote: Where to log in.
        settings: How ssh would reach its host.
        prompt: Asks the user for passphrases and codes.
        notify: Shows the user a line if a program takes long to start there.
        idle_timeout: Seconds without a sign of life after which the connection counts as lost.

    Raises:
        RemoteError: A host on the way cannot be reached, is not known, or refuses the login.
    """
    with contextlib.ExitStack() as opened:
        hops: list[fabric.Connection] = []
        for host in route(settings):
            hops.append(_log_in_to(host, hops[-1] if hops else None, prompt))
            opened.callback(_close, hops[-1])
        transport = SshTransport(
            hops[-1].transport,
            remote,
            notify,
            opened.pop_all().close,
            idle_timeout=idle_timeout,
        )
        transport.key_agent = settings.forwarded_agent
        return transport


def _log_in_to(
    host: HostSettings, gateway: fabric.Connection | None, prompt: Prompt | None
) -> fabric.Connection:
    """Log in to one host; retry if it hung up before the login."""
    log_in, is_temporary = partial(_open, host, gateway, prompt), partial(_hung_up_early, host)
    try:
        return retried(log_in, LOGIN_PAUSES, is_temporary)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _explain(error, host) from error


def _open(
    host: HostSettings, gateway: fabric.Connection | None, prompt: Prompt | None
) -> fabric.Connection:
    """Open a Fabric connection that uses only our settings; host keys are always checked."""
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
    """Return a factory of transports that prefer host keys of known types and fast ciphers.

    They send each message at once, as ssh does: 40 ms less for a login, or a round trip.

    On one core paramiko transfers about 180 MB/s with AES-GCM, and 60 to 140 with its own choice.
    """

    def make(sock: _SocketLike, disabled_algorithms: None = None) -> paramiko.Transport:
        if isinstance(sock, socket.socket) and sock.family in {socket.AF_INET, socket.AF_INET6}:
            # else a message waits until the other end has confirmed the one before
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = _Transport(sock, disabled_algorithms=disabled_algorithms)
        transport.policy = policy
        security = transport.get_security_options()
        security.ciphers = sorted(security.ciphers, key=lambda name: "-gcm@" not in name)
        return transport

    return make


class _Transport(paramiko.Transport):
    """A paramiko transport that asks for the host keys that a policy can check."""

    policy: KnownHostsPolicy

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self.policy.algorithms(tuple(super().preferred_keys))


class _Hop(fabric.Connection):  # type: ignore[misc]  # Fabric has no types
    """A Fabric connection whose ProxyCommand runs as ssh runs it: in a shell, with a socket."""

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
        case _ if _hung_up_early(host, error):
            text = (
                f"{host} hung up before the login: check the network, or wait until fewer people "
                f"are logging in; after logins that failed, some servers refuse this machine for "
                f"up to ten minutes"
            )
        case paramiko.ssh_exception.IncompatiblePeer():
            fix = "set remex_transport = openssh"
            return RemoteError(f"{host} accepts none of Fabric's algorithms ({error}): {fix}")
        case paramiko.SSHException():
            text = f"SSH negotiation failed with {host} ({error}): see `ssh -v {host.name}`"
            return RemoteError(f"{text}; then {AGAIN}")
        case _:
            text = f"{host} cannot be reached ({error}): check the network, or a VPN"
    return UnreachableError(f"{text}; then {AGAIN}")


def _hung_up_early(host: HostSettings, error: BaseException) -> bool:
    """Return whether the server hung up before the login, as sshd's MaxStartups makes it do."""
    early = isinstance(error, EOFError | ConnectionResetError) or "protocol banner" in str(error)
    return early and not host.proxy and not _timed_out(error)


def _timed_out(error: BaseException) -> bool:
    """Return whether a timeout occurred, which paramiko reports in four ways."""
    timeout = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    return timeout or any(words in str(error) for words in _TIMEOUT_MESSAGES)


class SshTransport(ShellTransport):
    """A cluster reached over a Fabric connection that is logged in.

    Args:
        ssh: The connection.
        remote: See `ShellTransport`, also for `notify`, `close` and `idle_timeout`.

    Attributes:
        key_agent: The socket of the key agent here that programs there may use.
    """

    way = FABRIC

    def __init__(
        self,
        ssh: paramiko.Transport,
        remote: Remote,
        notify: Notify,
        close: Callable[[], object],
        *,
        idle_timeout: float,
    ) -> None:
        super().__init__(remote, notify, close, idle_timeout=idle_timeout)
        self._ssh = ssh
        self.key_agent: str | None = None

    def _execute(self, command: bytes) -> SshChannel:
        try:
            channel = self._ssh.open_session(window_size=WINDOW, timeout=self._idle_timeout)
            with break_after(self._idle_timeout, self._ssh):
                if self.key_agent is not None:
                    channel.request_forward_agent(partial(connect_to_agent, self.key_agent))
                channel.exec_command(command)
        except paramiko.ChannelException as error:
            raise NoChannelError(
                f"{self.place} refused another channel ({error.text}): "
                f"ask its operators about MaxSessions in sshd_config"
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._broke() from error
        return SshChannel(channel, self._ssh, idle_timeout=self._idle_timeout)
