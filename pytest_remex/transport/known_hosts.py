"""Checks of host keys: a known_hosts file must have the key, or the authority that certified it.

The files are read by `ssh-keygen -F`, which knows hashed names, patterns, other ports and
`@cert-authority` lines; paramiko's own reader does not know all of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import os
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import paramiko
from paramiko.pkey import UnknownKeyType

from pytest_remex.errors import RemoteError
from pytest_remex.transport.ssh_config import home, home_differs

if TYPE_CHECKING:
    from pytest_remex.transport.ssh_config import HostSettings

_CERTIFIED = "-cert-v01@openssh.com"
"""How the names of certified key types end."""
_HOST = 2
_PARTS = {"ssh-rsa": 2, "ssh-ed25519": 1}
"""Fields of a public key, after the nonce; all others (ECDSA) have the curve and the point."""
_KRL = b"SSHKRL\n"
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_AUTHORITY = "CA"
_REVOKED = "REVOKED"
_NO_AUTHORITY = "no known certificate authority could vouch for it"


class KnownKey(NamedTuple):
    """A line of a known_hosts file that names a host; `marker` is "", "CA" or "REVOKED"."""

    key_type: str
    blob: bytes
    marker: str
    file: Path
    line: int


class KnownHostsPolicy(paramiko.MissingHostKeyPolicy):
    """Checks every host key, since the ssh client that uses it has no known keys of its own.

    As in ssh, a key that is known without a port is valid on any port of that host.
    """

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._known = known_keys(settings.known_as, settings.known_hosts)
        self._known_without_port: list[KnownKey] = []
        has_key = any(not known.marker for known in self._known)
        if not has_key and settings.known_as.startswith("["):
            self._known_without_port = known_keys(settings.hostname, settings.known_hosts)

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Accept a known key by returning.

        Raises:
            RemoteError: The key is unknown or revoked, or differs from the known one.
        """
        del client, hostname
        certificate = certificate_of(key)
        self._check_revoked(key, certificate)
        why = self._why_not_certified(certificate)
        if not why or any(not known.marker for known in self._lines_with(key.asbytes())):
            return
        name = key.get_name()
        others = [known for known in self._known if not known.marker and known.key_type == name]
        raise self._changed(key, others[0]) if others else self._unknown(key, why)

    def algorithms(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """Return the offered key types, checkable ones first: the server sends a key of the first.

        If a certificate authority is known, those are all the certified types.
        """
        types = [known.key_type for known in self._all_known if not known.marker]
        wanted = [name for each in types for name in (_RSA if each == "ssh-rsa" else (each,))]
        if self._authorities:
            wanted = [*(name for name in offered if name.endswith(_CERTIFIED)), *wanted]
        first = [name for name in dict.fromkeys(wanted) if name in offered]
        return (*first, *(name for name in offered if name not in first))

    def _check_revoked(self, key: paramiko.PKey, certificate: HostCertificate | None) -> None:
        """Raise `RemoteError` if a key or the authority that certified it is revoked."""
        blobs = {key.asbytes(): key.get_base64()}
        if certificate is not None:
            blobs[certificate.authority] = base64.b64encode(certificate.authority).decode()
        for blob, text in blobs.items():
            what = self._describe(key)
            if blob != key.asbytes():
                what = f"the authority {fingerprint(blob)} that certified {what}"
            for known in self._lines_with(blob):
                if known.marker == _REVOKED:
                    raise RemoteError(f"{what} is marked @revoked in {known.file}: do not use it")
            for file in self._settings.revoked_keys_files:
                if _is_revoked(blob, text, file):
                    raise RemoteError(f"{what} is revoked in {file}: do not use it")

    def _why_not_certified(self, certificate: HostCertificate | None) -> str:
        """Return why no known authority vouches for the key; empty if one does."""
        if certificate is None:
            return "it came without a certificate" if self._authorities else _NO_AUTHORITY
        if certificate.authority not in self._authorities:
            return f"another authority, {fingerprint(certificate.authority)}, certified it"
        host = self._settings
        fault = certificate.fault(host.hostname if host.known_as.startswith("[") else host.known_as)
        return fault and f"its certificate is not valid: {fault}"

    @property
    def _authorities(self) -> set[bytes]:
        return {known.blob for known in self._all_known if known.marker == _AUTHORITY}

    def _lines_with(self, blob: bytes) -> list[KnownKey]:
        return [known for known in self._all_known if known.blob == blob]

    @property
    def _all_known(self) -> list[KnownKey]:
        return [*self._known, *self._known_without_port]

    def _describe(self, key: paramiko.PKey) -> str:
        host = self._settings
        return f"the host key of {host.known_as} ({key.get_name()} {fingerprint(key.asbytes())})"

    def _changed(self, key: paramiko.PKey, known: KnownKey) -> RemoteError:
        return RemoteError(
            f"{self._describe(key)} has CHANGED: {known.file}:{known.line} holds "
            f"{fingerprint(known.blob)}. This is a possible man-in-the-middle attack; ask the "
            f"cluster's operators. Once they confirm the new key, remove the old one: "
            f"ssh-keygen -R '{self._settings.known_as}' -f {known.file}"
        )

    def _unknown(self, key: paramiko.PKey, why: str) -> RemoteError:
        types = sorted({known.marker or known.key_type for known in self._known})
        held = f"they have only: {', '.join(types)}" if types else "they do not name this host"
        vouched = f"{held}, and {why}" if self._authorities else held
        return RemoteError(
            f"{self._describe(key)} is not in your known_hosts files ({vouched}). "
            f"Compare it with the one that the cluster's "
            f"operators publish, then {self._how_to_add(certified=bool(self._authorities))}"
        )

    def _how_to_add(self, *, certified: bool) -> str:
        """Return how to add the key to a known_hosts file.

        ssh itself does not add a key that has a certificate, and it adds none in HOME if it uses
        another home.
        """
        host, file = self._settings, self._settings.new_keys_file
        if file is None or file == Path(os.devnull):
            return (
                f"name a file that keeps it as UserKnownHostsFile in ~/.ssh/config, which names "
                f"{file or 'none'}, and log in once by `ssh {host.name}`; if a KnownHostsCommand "
                f"there knows it, set remex_transport = openssh instead"
            )
        inside = file.is_relative_to(home()) and shlex.quote(str(file)) == str(file)
        name = f"~/{file.relative_to(home())}" if inside else shlex.quote(str(file))
        line = shlex.quote(f"s/^[^ ]*/{host.known_as}/")
        rename = "" if host.known_as.strip("[]").startswith(host.hostname) else f" | sed {line}"
        scan = f"ssh-keyscan -p {host.port} {host.hostname}{rename} >> {name}"
        return (
            scan if certified or home_differs() else f"log in once by `ssh {host.name}`, or: {scan}"
        )


def known_keys(name: str, files: tuple[Path, ...]) -> list[KnownKey]:
    """Return a host's lines in known_hosts files; `name` is `[name]:port` on other ports."""
    return [key for file in files for key in _lines_of(name, file)]


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ssh prints it: SHA256, base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _lines_of(name: str, file: Path) -> list[KnownKey]:
    lines = _ssh_keygen("-F", name, "-f", str(file)).stdout.splitlines()
    keys = (_parse(comment, line, file) for comment, line in itertools.pairwise(lines))
    return [key for key in keys if key]


def _is_revoked(blob: bytes, text: str, file: Path) -> bool:
    """Return whether a key is in a RevokedHostKeys file, which is a KRL or a list of keys.

    The file must be readable, as ssh requires.
    """
    try:
        if not file.is_file():
            raise FileNotFoundError("no such file")
        content = file.read_bytes()
    except OSError as error:
        raise RemoteError(
            f"cannot read {file} ({error}), which ssh_config names as RevokedHostKeys: "
            f"make it readable, or correct ssh_config"
        ) from error
    if not content.startswith(_KRL):
        return text.encode() in content.split()
    public = f"{paramiko.Message(blob).get_string().decode('utf-8', 'replace')} {text}\n"
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


def _parse(comment: str, line: str, file: Path) -> KnownKey | None:
    """Parse two lines such as `# Host a found: line 3 CA` and `@cert-authority a ssh-rsa AAAA`."""
    _, found, where = comment.partition(" found: line ")
    words = [word for word in line.split() if not word.startswith("@")]
    if not comment.startswith("# Host ") or not found or len(words) < 3:  # noqa: PLR2004 - names, type, key
        return None
    number, _, marker = where.strip().partition(" ")
    try:
        return KnownKey(words[1], base64.b64decode(words[2]), marker, file, int(number))
    except (binascii.Error, ValueError):  # a line without a key
        return None


# Certificates, which `@cert-authority` lines vouch for --------------------------------------------


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """A certificate as a host sent it: not to be trusted unless `fault` returns "".

    Attributes:
        authority: The public key that signed it.
    """

    authority: bytes
    _role: int
    _principals: tuple[str, ...]
    _after: int
    _before: int
    _critical: bytes
    _signed: bytes
    _signature: bytes

    def fault(self, hostname: str) -> str:
        """Return why it does not vouch for a host; empty if it does."""
        if not self._is_genuine():
            return "its signature is wrong, or of a type that is not accepted"
        if self._role != _HOST:
            return "it is not a host certificate"
        if self._critical:
            return "it has unknown critical options"
        if hostname.lower() not in self._principals:
            return f"it is for {', '.join(self._principals) or 'no host'}"
        now = time.time()
        if now < self._after:
            return f"it is valid from {_day(self._after)} on"
        return f"it expired on {_day(self._before)}" if now >= self._before else ""

    def _is_genuine(self) -> bool:
        kind = paramiko.Message(self.authority).get_string().decode("utf-8", "replace")
        signature = paramiko.Message(self._signature)
        if signature.get_string() == b"ssh-rsa":  # SHA-1
            return False
        try:
            key = paramiko.PKey.from_type_string(kind, self.authority)
            return bool(key.verify_ssh_sig(self._signed, paramiko.Message(self._signature)))
        except (paramiko.SSHException, UnknownKeyType, ValueError, IndexError):
            return False


def certificate_of(key: paramiko.PKey) -> HostCertificate | None:
    """Return the certificate that came with a host key; None if none came."""
    blob = key.public_blob and key.public_blob.key_blob
    if not blob:
        return None
    message = paramiko.Message(blob)
    kind = message.get_string().decode("utf-8", "replace").removesuffix(_CERTIFIED)
    for _ in range(1 + _PARTS.get(kind, 2)):
        message.get_string()
    message.get_int64()
    role = message.get_int()
    message.get_string()
    principals = paramiko.Message(message.get_string())
    after, before = message.get_int64(), message.get_int64()
    critical = message.get_string()
    message.get_string()
    message.get_string()
    authority = message.get_string()
    signed = blob[: len(blob) - len(message.get_remainder())]
    return HostCertificate(
        authority=authority,
        _role=role,
        _principals=_texts(principals),
        _after=after,
        _before=before,
        _critical=critical,
        _signed=signed,
        _signature=message.get_string(),
    )


def _texts(message: paramiko.Message) -> tuple[str, ...]:
    found: list[str] = []
    while message.get_remainder():
        found.append(message.get_string().decode("utf-8", "replace"))
    return tuple(found)


def _day(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):
        return "a date out of range"
