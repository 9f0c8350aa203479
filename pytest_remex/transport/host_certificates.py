"""Host certificates, which `@cert-authority` lines in known_hosts files vouch for, as in ssh."""

from __future__ import annotations

import time
from dataclasses import dataclass

import paramiko
from paramiko.pkey import UnknownKeyType

SUFFIX = "-cert-v01@openssh.com"
"""How the names of certified key types end."""
_HOST = 2
_PARTS = {"ssh-rsa": 2, "ssh-ed25519": 1}
"""Fields of a public key, after the nonce; all others (ECDSA) have the curve and the point."""


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
    kind = message.get_string().decode("utf-8", "replace").removesuffix(SUFFIX)
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
