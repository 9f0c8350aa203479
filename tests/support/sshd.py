"""A real sshd on loopback, the client's side of it, and counts from its log."""

from __future__ import annotations

import functools
import getpass
import os
import re
import shlex
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.daemons import Scratch, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "cluster"
"""The host's name in the client's ssh_config."""

TRANSPORT = os.environ.get("REMEX_TEST_TRANSPORT", "fabric")
"""How the tests get to their clusters: fabric, or openssh."""

BANNER = "*** Welcome to the cluster. Mind the $quota; (and 'quotes') ***"
QUIET_PROFILE = '[ -f "$HOME/.bashrc" ] && . "$HOME/.bashrc"\nexport PATH="$HOME/bin:$PATH"\n'
NOISY_RC = f"printf %s {shlex.quote(BANNER)}\necho 'module: command not found' >&2\n"
EVENTS = {
    "connections": re.compile(r"^Connection from ", re.MULTILINE),
    "authentications": re.compile(r"^Accepted \S+ for ", re.MULTILINE),
    "sessions": re.compile(r"^Starting session: ", re.MULTILINE),
    "refused": re.compile(r"^drop connection #", re.MULTILINE),
}

TWO_FACTOR = {
    "UsePAM": "yes",
    "PermitRootLogin": "yes",
    "KbdInteractiveAuthentication": "yes",
    "AuthenticationMethods": "publickey,keyboard-interactive",
}
"""Lines of sshd_config: the key first, then what PAM asks, with the prompt `Password: `."""

PAM_STACK = """\
auth required pam_exec.so quiet expose_authtok {check}
auth required pam_permit.so
account required pam_permit.so
session required pam_permit.so
"""


@dataclass(frozen=True)
class Counts:
    """The counts in sshd's log: connections, logins, sessions (commands, shells, subsystems).

    `refused` counts connections past MaxStartups, of which sshd logs at most one a minute.
    """

    connections: int
    authentications: int
    sessions: int
    refused: int

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(*(getattr(self, name) - getattr(earlier, name) for name in EVENTS))


class SshServer:
    """An sshd with its own host key, authorized key and home folder for the session's user.

    Use it in a with statement. `variables` go into the environment of each session; `options` are
    lines of sshd_config, for instance `{"MaxStartups": "1"}`; with a `code`, sshd asks for it as
    a second factor after the key. The login user is the current user.
    Programs in `home / "bin"` come first on a login shell's PATH.
    """

    def __init__(
        self,
        variables: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        self._scratch = Scratch("remex-sshd-")
        self.folder = self._scratch.folder
        self.port = free_port()
        self.user = getpass.getuser()
        self.home = self.folder / "home"
        self.log = self.folder / "sshd.log"
        self.key = self.folder / "user_key"
        own = {"HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}  # nothing of the machine's user
        self.variables = own | dict(variables or {})
        self._options = (TWO_FACTOR if code else {}) | dict(options or {})
        self._code = code
        self._pid_file = self.folder / "sshd.pid"
        self._configuration = self.folder / "sshd_config"
        self.daemon = self._scratch.daemon(
            "/usr/sbin/sshd",
            "-D",
            "-f",
            str(self._configuration),
            "-E",
            str(self.log),
            ready=self._serves,
        )

    def __enter__(self) -> Self:
        try:
            (self.home / "bin").mkdir(parents=True)
            self.shell()
            make_key(self.key)
            make_key(self.folder / "host_key")
            if self._code:
                command = _with_code(self.daemon.command, self.folder, self._code)
                self.daemon.command = command
            self._configuration.write_text(self._text())
            Path("/run/sshd").mkdir(exist_ok=True)
            self.daemon.start()
        except BaseException:
            self._scratch.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

    def shell(self, rc: str = "") -> None:
        """Write the session user's start-up files, with `rc` as .bashrc (NOISY_RC: a banner)."""
        (self.home / ".bash_profile").write_text(QUIET_PROFILE)
        (self.home / ".bashrc").write_text(rc)

    def client(self, home: Path, port: int | None = None, lines: str = "") -> str:
        """Write .ssh/config and .ssh/known_hosts into a client's home; return the host's name.

        `port` is a proxy's where there is one; `lines` are added to the host's entry. The
        plugin finds these files by HOME; OpenSSH goes by the password database: `ssh -F`.
        """
        folder = home / ".ssh"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = folder / "known_hosts"
        known.write_text(self.known_host(port) + "\n")
        (folder / "config").write_text(
            f"Host {HOST}\n  HostName 127.0.0.1\n  Port {port or self.port}\n  User {self.user}\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {known}\n{lines}"
        )
        return HOST

    def known_host(self, port: int | None = None) -> str:
        """Return the known_hosts line for the current host key."""
        kind, key = (self.folder / "host_key.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{port or self.port} {kind} {key}"

    def change_host_key(self) -> None:
        """Put another host key in place, as a rebuilt or an impostor's machine would have."""
        make_key(self.folder / "host_key")
        self._restart_with(self._options)

    @contextmanager
    def with_options(self, **options: str) -> Iterator[None]:
        """Run with other sshd_config lines during a with block; sessions continue."""
        before = self._options
        self._restart_with(before | options)
        try:
            yield
        finally:
            self._restart_with(before)

    def counts(self) -> Counts:
        """Count what the log tells since the server's first start."""
        text = self.log.read_text(errors="replace")
        return Counts(**{name: len(event.findall(text)) for name, event in EVENTS.items()})

    def _restart_with(self, options: Mapping[str, str]) -> None:
        self._options = dict(options)
        self._configuration.write_text(self._text())
        self.daemon.stop()
        self.daemon.start()

    def _text(self) -> str:
        variables = " ".join(f'"{name}={value}"' for name, value in self.variables.items())
        table = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": f"{self.folder}/host_key",
            "AuthorizedKeysFile": f"{self.key}.pub",
            "PidFile": str(self._pid_file),
            "LogLevel": "VERBOSE",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PrintMotd": "no",
            "PermitRootLogin": "prohibit-password",
            "PermitUserRC": "no",  # ~/.ssh/rc is the one file that sshd seeks in the machine's home
            "Subsystem": "sftp internal-sftp",
            "SetEnv": variables,
        }
        if _penalizes():
            table["PerSourcePenalties"] = "no"  # all tests come from one address, and some fail
        return "".join(f"{name} {value}\n" for name, value in (table | self._options).items())

    def _serves(self) -> bool:
        """Return whether it listens, as its pid file says: a connection would be counted."""
        written = self._pid_file.read_text().strip() if self._pid_file.exists() else ""
        return self.daemon.process is not None and written == str(self.daemon.process.pid)


def _with_code(command: list[str], folder: Path, code: str) -> list[str]:
    """Wrap sshd's command so that PAM asks for a code; files go to the folder.

    A PAM stack replaces /etc/pam.d/sshd in a mount namespace that only this sshd sees.
    """
    check = folder / "check_code"
    check.write_text(f"#!/bin/sh\n[ \"$(tr -d '\\000')\" = {shlex.quote(code)} ]\n")
    check.chmod(0o755)
    stack = folder / "pam"
    stack.write_text(PAM_STACK.format(check=check))
    start = f'mount -n --bind {shlex.quote(str(stack))} /etc/pam.d/sshd && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", start, "sh", *command]


@functools.cache
def _penalizes() -> bool:
    """Return whether sshd refuses addresses of which logins failed: OpenSSH 9.8 was the first."""
    shown = subprocess.run(["ssh", "-V"], check=True, capture_output=True, text=True, timeout=30)
    version = re.match(r"OpenSSH_(\d+)\.(\d+)", shown.stderr)
    return version is not None and (int(version[1]), int(version[2])) >= (9, 8)


def make_key(path: Path) -> None:
    """Write a new ed25519 key pair without a passphrase."""
    path.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
