"""Clusters reached through the `ssh` command, with its config, host keys and open connections.

Every program is a session over a master, an ssh connection that sessions share: the one that the
user has open (ControlPath in ssh_config), else one of ours, which ends with this process.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex import temporary
from pytest_remex.errors import RemoteError, UnreachableError
from pytest_remex.io import AGAIN
from pytest_remex.transport.askpass import SshQuestions
from pytest_remex.transport.base import LOGIN_PAUSES, NoChannelError, last_lines, retried
from pytest_remex.transport.login_shell import ShellTransport
from pytest_remex.transport.openssh_process import SshProcess
from pytest_remex.transport.ssh_config import home, home_differs, ssh_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO

    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify, Prompt
    from pytest_remex.transport.login_shell import Greeting, ShellChannel
    from pytest_remex.transport.ssh_config import HostSettings

_ALONE = (
    "-oClearAllForwardings=yes",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oRequestTTY=no",
    "-oForwardX11=no",
)
"""Options that switch off what an ssh_config adds for people at a terminal."""
_NO_CHANNEL = (b"Session open refused", b"open failed", b"request failed")
_LOGIN_TIMEOUT = 600.0
"""Seconds for a login: the user may take long to type."""
_STEP = 0.005
_LONGEST_PATH = 80
"""The most bytes of a socket's path: ssh adds some of its own."""
_KEEPER = """
import os, signal, sys, threading
ssh = os.fork()
if not ssh:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execvp(sys.argv[1], sys.argv[1:])
def end_with_client():
    os.read(0, 1)
    os.kill(ssh, signal.SIGTERM)
threading.Thread(target=end_with_client, daemon=True).start()
status = os.waitpid(ssh, 0)[1]
os._exit(255 if status & 127 else status >> 8)
"""
"""Runs ssh until this process closes its end of the pipe to stdin, which kill -9 does too."""
_HUNG_UP = ("Connection closed by", "Connection reset by", "kex_exchange_identification")
_UNREACHABLE = (
    *_HUNG_UP,
    "Connection refused",
    "Connection timed out",
    "timed out",
    "Could not resolve hostname",
    "No route to host",
    "Network is unreachable",
)
_UNTRUSTED = "Host key verification failed"
_CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"


def log_in(
    remote: Remote,
    settings: HostSettings,
    prompt: Prompt | None,
    notify: Notify,
    *,
    idle_timeout: float,
) -> OpenSshTransport:
    """Log in by ssh, which ends with this process. Pass on to the user what ssh asks.

    Args:
        remote: Where to log in.
        settings: Its settings in ssh_config.
        prompt: Asks the user; without it, ssh runs with BatchMode.
        notify: Shows the user a line.
        idle_timeout: Seconds without a sign of life after which the connection counts as lost.

    Raises:
        RemoteError: The host cannot be reached, is not known, or refuses the login.
    """
    open_master = partial(_open_master, settings, prompt, notify)
    master = retried(open_master, LOGIN_PAUSES, _hung_up_early)
    return OpenSshTransport(remote, notify, master, idle_timeout=idle_timeout)


def living_master(settings: HostSettings) -> Master | None:
    """Return the connection that the user's ssh has open to a host, if there is one."""
    if settings.control_path is None or not Path(settings.control_path).exists():
        return None
    way = "your ssh, over its open connection"
    master = Master(settings, settings.control_path, way)
    return master if master.is_alive() else None


@dataclass(frozen=True, slots=True)
class Master:
    """An ssh connection that sessions share: its socket, and how to close it."""

    settings: HostSettings
    path: str
    way: str
    close: Callable[[], object] = field(default=lambda: None)

    def words(self, *options: str) -> list[str]:
        """Return an ssh command line that uses this connection, and never opens another."""
        path = self.path.replace("%", "%%")
        over = ["-S", path, "-oControlMaster=no", "-oProxyCommand=false", "-oBatchMode=yes"]
        all_options = [*over, *self.settings.corrections, *options]
        return ["ssh", *all_options, *ssh_words(self.settings.name)]

    def is_alive(self) -> bool:
        """Return whether the connection is open."""
        words = self.words("-O", "check")
        done = subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL)
        return done.returncode == 0


class OpenSshTransport(ShellTransport):
    """A cluster reached over a master.

    Args:
        remote: See `ShellTransport`, also for `notify` and `idle_timeout`.
        master: The connection.
    """

    def __init__(
        self, remote: Remote, notify: Notify, master: Master, *, idle_timeout: float
    ) -> None:
        super().__init__(remote, notify, master.close, idle_timeout=idle_timeout)
        self.way = master.way
        self._master = master
        self._mark = secrets.token_hex(16)

    def _words(self, variables: str, redirections: str) -> Sequence[str]:
        report = f"code=$?; echo >&2; echo {self._mark} $code >&2; exit $code"
        return ("sh", "-c", f'{variables} "$@" {redirections}; {report}', "sh")

    def _execute(self, command: bytes) -> SshProcess:
        return SshProcess(
            [*self._master.words("-T", "-x", "-oLogLevel=ERROR", *_ALONE), command],
            os.environ,
            mark=self._mark,
            is_alive=self._master.is_alive,
            idle_timeout=self._idle_timeout,
        )

    def _start_error(self, greeting: Greeting, channel: ShellChannel) -> RemoteError:
        if any(words in greeting.last_errors for words in _NO_CHANNEL):
            return NoChannelError(
                f"{self.place} refused another session ({last_lines(greeting.last_errors)}): "
                f"ask its operators about MaxSessions in sshd_config"
            )
        return super()._start_error(greeting, channel)


def _open_master(settings: HostSettings, prompt: Prompt | None, notify: Notify) -> Master:
    with contextlib.ExitStack() as unless_open:
        folder = _socket_folder()
        unless_open.callback(shutil.rmtree, folder, ignore_errors=True)
        questions = unless_open.enter_context(SshQuestions(folder, prompt, notify))
        errors = unless_open.enter_context(tempfile.TemporaryFile())
        process = _start(folder / "master", settings, questions, errors)
        unless_open.callback(_end, process)
        _wait_for_login(process, settings, questions, errors, folder / "master")
        close = unless_open.pop_all().close
        return Master(settings, str(folder / "master"), "your ssh", close)


def _hung_up_early(error: Exception) -> bool:
    is_unreachable = isinstance(error, UnreachableError)
    return is_unreachable and any(words in str(error) for words in _HUNG_UP)


def _socket_folder() -> Path:
    folder = tempfile.mkdtemp(prefix=temporary.prefix("ssh"))
    if len(os.fsencode(folder)) > _LONGEST_PATH:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix=temporary.prefix("ssh"), dir=temporary.SHORT)
    return Path(folder)


def _start(
    path: Path, settings: HostSettings, questions: SshQuestions, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    words = [
        *("ssh", "-M", "-N", "-T", "-x", "-S", str(path).replace("%", "%%")),
        *_ALONE,
        *settings.corrections,
        "-oControlPersist=no",
        f"-oConnectTimeout={settings.timeout:.0f}",
        f"-oServerAliveInterval={settings.keepalive}",
        *([] if questions.are_answered else ["-oBatchMode=yes"]),
        *_same_home(settings),
        *ssh_words(settings.name),
    ]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEPER, *words],
        env={**os.environ, **questions.variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )


def _same_home(settings: HostSettings) -> list[str]:
    """Return options that make ssh use files in HOME if it would use another home's."""
    if not home_differs():
        return []
    known = settings.new_keys_file or home() / ".ssh" / "known_hosts"
    keys = [f"-oIdentityFile={_quoted(path)}" for path in settings.identities]
    return [f"-oUserKnownHostsFile={_quoted(known)}", *(keys or ["-oIdentityFile=none"])]


def _quoted(path: Path) -> str:
    return '"{}"'.format(str(path).replace("%", "%%"))


def _wait_for_login(
    process: subprocess.Popen[bytes],
    settings: HostSettings,
    questions: SshQuestions,
    errors: IO[bytes],
    path: Path,
) -> None:
    deadline = time.monotonic() + _LOGIN_TIMEOUT
    while not path.exists():
        if process.poll() is not None:
            errors.seek(0)
            raise _refused(settings, errors.read().decode(errors="replace"), questions)
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"ssh did not log in to {settings} within {_LOGIN_TIMEOUT:g} s: {AGAIN}"
            )
        questions.answer_next(_STEP)


def _refused(settings: HostSettings, text: str, questions: SshQuestions) -> RemoteError:
    """Return the error for an ssh that ended without a login; `text` is its stderr."""
    output = last_lines(text.encode())
    last = f"check that `ssh {settings.name}` works; then {AGAIN}"
    if questions.unanswered:
        return RemoteError(
            f"{settings.name} asks {questions.unanswered!r}, but you cannot be prompted now: {last}"
        )
    if _CHANGED in text:
        file = settings.new_keys_file or home() / ".ssh" / "known_hosts"
        return RemoteError(
            f"the host key of {settings} has CHANGED. This is a possible man-in-the-middle attack; "
            f"ask the cluster's operators. Once they confirm the new key, remove the old one: "
            f"ssh-keygen -R '{settings.known_as}' -f {file}"
        )
    if _UNTRUSTED in text:
        return RemoteError(
            f"ssh did not accept the host key of {settings}, which is not in its known_hosts files "
            f"({output}): log in once by `ssh {settings.name}`, and compare the key that it shows"
        )
    kind = UnreachableError if any(words in text for words in _UNREACHABLE) else RemoteError
    if kind is RemoteError:
        return RemoteError(f"ssh could not log in to {settings} ({output}): {last}")
    return UnreachableError(f"ssh cannot reach {settings} ({output}): check the network; {last}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
