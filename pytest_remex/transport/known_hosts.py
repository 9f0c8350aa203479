"""Host keys: only what a known_hosts file holds is let in; unknown and changed keys are refused.

The files are read by `ssh-keygen -F`, which knows hashed names, patterns, other ports and
`@cert-authority` lines; paramiko's own reader knows them in part.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import paramiko

from pytest_remex.errors import RemoteError
from pytest_remex.transport.home import home, moved

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.transport.ssh_config import HostSettings

_KRL = b"SSHKRL\n"
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A line of a known_hosts file that speaks of a host; `mark` is "", "CA" or "REVOKED"."""

    kind: str
    blob: bytes
    mark: str
    file: Path
    line: int


class StrictPolicy(paramiko.MissingHostKeyPolicy):
    """Decides on every host key: the ssh client that it serves is given no keys of its own.

    As in ssh, a key that is known without the port is good on any port of that host.
    """

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._known = known_keys(settings.known_as, settings.known_hosts)
        self._plain: list[KnownKey] = []
        unnamed = not any(known.mark != "CA" for known in self._known)
        if unnamed and settings.known_as.startswith("["):
            self._plain = known_keys(settings.hostname, settings.known_hosts)

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Return where the key is known. Raises `RemoteError` where it is not."""
        del client, hostname
        all_known = [*self._known, *self._plain]
        same = [known for known in all_known if known.blob == key.asbytes()]
        if any(known.mark == "REVOKED" for known in same):
            raise RemoteError(
                f"{self._sent(key)} is marked @revoked in {same[0].file}: do not use it"
            )
        for file in self._settings.revoked:
            if _is_revoked(key, file):
                raise RemoteError(f"{self._sent(key)} is revoked in {file}: do not use it")
        if any(not known.mark for known in same):
            return
        others = [known for known in self._known if not known.mark and known.kind == key.get_name()]
        raise self._changed(key, others[0]) if others else self._unknown(key)

    def algorithms(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """Put the known keys' kinds first, so that the server shows one that can be checked."""
        kinds = [known.kind for known in [*self._known, *self._plain] if not known.mark]
        wanted = [name for kind in kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]
        first = [name for name in dict.fromkeys(wanted) if name in offered]
        return (*first, *(name for name in offered if name not in first))

    def _sent(self, key: paramiko.PKey) -> str:
        host = self._settings
        return f"the host key of {host.known_as} ({key.get_name()} {fingerprint(key.asbytes())})"

    def _changed(self, key: paramiko.PKey, known: KnownKey) -> RemoteError:
        return RemoteError(
            f"{self._sent(key)} has CHANGED: {known.file}:{known.line} holds "
            f"{fingerprint(known.blob)}. Somebody may listen in; ask the cluster's operators. "
            f"Once they confirm the new key, forget the old one: "
            f"ssh-keygen -R '{self._settings.known_as}' -f {known.file}"
        )

    def _unknown(self, key: paramiko.PKey) -> RemoteError:
        kinds = sorted({known.mark or known.kind for known in self._known})
        held = f"they hold only: {', '.join(kinds)}" if kinds else "they do not name this host"
        certified = "Certificates of hosts (CA) are not read: the key itself must be known. "
        return RemoteError(
            f"{self._sent(key)} is unknown to the known_hosts files ({held}). "
            f"{certified if 'CA' in kinds else ''}Compare it with what the cluster's operators "
            f"publish, then {self._remedy(certified='CA' in kinds)}"
        )

    def _remedy(self, *, certified: bool) -> str:
        """Say how the key gets into a file that is read; ssh keeps no key that a CA vouches for."""
        host = self._settings
        file = host.learns or home() / ".ssh" / "known_hosts"
        inside = file.is_relative_to(home()) and shlex.quote(str(file)) == str(file)
        name = f"~/{file.relative_to(home())}" if inside else shlex.quote(str(file))
        line = shlex.quote(f"s/^[^ ]*/{host.known_as}/")
        rename = "" if host.known_as.strip("[]").startswith(host.hostname) else f" | sed {line}"
        scan = f"ssh-keyscan -p {host.port} {host.hostname}{rename} >> {name}"
        return scan if certified or moved() else f"log in once by `ssh {host.name}`, or: {scan}"


def known_keys(name: str, files: tuple[Path, ...]) -> list[KnownKey]:
    """Return what the known_hosts files say of a host, which is `[name]:port` on other ports."""
    return [key for file in files for key in _find(name, file)]


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ssh prints it: SHA256, base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _find(name: str, file: Path) -> list[KnownKey]:
    lines = _ssh_keygen("-F", name, "-f", str(file)).stdout.splitlines()
    found = (_parse(head, line, file) for head, line in itertools.pairwise(lines))
    return [key for key in found if key]


def _is_revoked(key: paramiko.PKey, file: Path) -> bool:
    """Ask a RevokedHostKeys file: a KRL, or a list of keys. As for ssh, it must be readable."""
    try:
        if not file.is_file():
            raise FileNotFoundError("no such file")
        text = file.read_bytes()
    except OSError as error:
        raise RemoteError(
            f"cannot read {file} ({error}), which ssh_config names as RevokedHostKeys: "
            f"make it readable, or correct ssh_config"
        ) from error
    if not text.startswith(_KRL):
        return key.get_base64().encode() in text.split()
    public = f"{key.get_name()} {key.get_base64()}\n"
    return _ssh_keygen("-Q", "-f", str(file), "/dev/stdin", text=public).returncode != 0


def _ssh_keygen(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ssh-keygen", *words],
            capture_output=True,
            check=False,
            input=text,
            text=True,
            errors="surrogateescape",
        )
    except FileNotFoundError as error:
        raise RemoteError("ssh-keygen is not on the PATH: install OpenSSH's client") from error


def _parse(head: str, line: str, file: Path) -> KnownKey | None:
    """Read a pair such as `# Host a found: line 3 CA` and `@cert-authority a ssh-rsa AAAA`."""
    _, found, where = head.partition(" found: line ")
    words = [word for word in line.split() if not word.startswith("@")]
    if not head.startswith("# Host ") or not found or len(words) < 3:  # noqa: PLR2004 - names, kind, key
        return None
    number, _, mark = where.strip().partition(" ")
    try:
        return KnownKey(words[1], base64.b64decode(words[2]), mark, file, int(number))
    except (binascii.Error, ValueError):  # what is no key vouches for nobody
        return None
