"""What `~/.ssh/config` says of a host, as ssh itself reads it: `ssh -G`.

Paramiko's own reader knows no Include, and Fabric goes through the hops of a ProxyJump backwards.
Whose `~` it is, `home` decides.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_remex.errors import RemoteError
from pytest_remex.transport.home import config_file, expanded, home, is_file, written

_SHORT = re.compile(r"(?P<name>(?:[^@]*@)?(?:[^:\[\]]+|\[[^\]]+\])):(?P<port>\d+)")
_TIMEOUT = 20.0
_KEEPALIVE = 15


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How to reach one host. Times in seconds; `known_as` is its name in known_hosts files.

    ssh adds new host keys to `learns`; the files `revoked` list keys that are good for no host.
    """

    name: str
    hostname: str
    user: str
    port: int
    known_as: str
    known_hosts: tuple[Path, ...]
    learns: Path | None
    revoked: tuple[Path, ...]
    identities: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    jumps: tuple[str, ...]
    proxy: str | None
    timeout: float
    keepalive: int


def host_settings(name: str) -> HostSettings:
    """Read how ssh would reach `name`: `[user@]host[:port]`, an alias, or an ssh:// address.

    Raises `RemoteError` where ssh is missing, or cannot read the name or its configuration.
    """
    if not name or name.startswith("-") or "\0" in name:
        raise RemoteError(f"{name!r} is no host name: write user@machine, or an ssh_config alias")
    found = _ask_ssh(name)
    one = {key: values[0] for key, values in found.items()}
    hostname, port = one["hostname"].strip("[]"), int(one["port"])
    alias = one.get("hostkeyalias")
    return HostSettings(
        name=name,
        hostname=hostname,
        user=one["user"],
        port=port,
        known_as=alias or (hostname if port == 22 else f"[{hostname}]:{port}"),  # noqa: PLR2004 - ssh's
        known_hosts=_files(one.get("userknownhostsfile"), one.get("globalknownhostsfile")),
        learns=_learns(one.get("userknownhostsfile")),
        revoked=_revoked(one.get("revokedhostkeys")),
        identities=_identities(found, one),
        identities_only=one.get("identitiesonly") == "yes",
        agent=_agent(one.get("identityagent")),
        jumps=tuple(hop.strip() for hop in _unless_none(one.get("proxyjump")).split(",") if hop),
        proxy=_proxy(_unless_none(one.get("proxycommand")), one, name),
        timeout=_number(one.get("connecttimeout")) or _TIMEOUT,
        keepalive=int(_number(one.get("serveraliveinterval"))) or _KEEPALIVE,
    )


def route(name: str) -> list[HostSettings]:
    """Return the hosts to log in to one through another, the last being `name`.

    As in ssh, only the first hop of a ProxyJump may have hops of its own. Raises `RemoteError` as
    `host_settings`, and where the hops go in a circle.
    """
    hops = [host_settings(name)]
    seen = {name}
    while hops[0].jumps:
        first, *others = hops[0].jumps
        if first in seen:
            raise RemoteError(f"ProxyJump {first} goes in a circle: correct it in ~/.ssh/config")
        seen.add(first)
        hops[:0] = [host_settings(first), *map(host_settings, others)]
    return hops


def _ask_ssh(name: str) -> dict[str, list[str]]:
    """Return the values of each keyword, in ssh's order."""
    short = _SHORT.fullmatch(name)
    words = ["-p", short["port"], "--", short["name"]] if short else ["--", name]
    try:
        run = subprocess.run(
            ["ssh", "-G", "-T", *config_file(), *words],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="surrogateescape",
        )
    except FileNotFoundError as error:
        raise RemoteError("ssh is not on the PATH: install OpenSSH's client") from error
    if run.returncode:
        raise RemoteError(
            f"ssh cannot read how to reach {name!r}: {run.stderr.strip()}: "
            f"correct the host name, or ~/.ssh/config"
        )
    found: dict[str, list[str]] = {}
    for line in run.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key.lower(), []).append(value)
    return found


def _files(*texts: str | None) -> tuple[Path, ...]:
    """Return the files in ssh's unquoted lists: whatever words in a row, from a root, name one."""
    names = [name for text in texts if text for name in _runs_of_words(text)]
    return tuple(path for path in dict.fromkeys(map(expanded, names)) if is_file(path))


def _runs_of_words(text: str) -> list[str]:
    words = text.split(" ")
    starts = [at for at, word in enumerate(words) if word.startswith(("/", "~"))]
    return [" ".join(words[at:end]) for at in starts for end in range(at + 1, len(words) + 1)]


def _learns(text: str | None) -> Path | None:
    """Return the first known_hosts file: the whole text where only one is named."""
    if not text or text == "none":
        return None
    found = _files(text)
    return found[0] if found else expanded(text.split(" /")[0])


def _revoked(value: str | None) -> tuple[Path, ...]:
    return (expanded(value),) if value and value != "none" else ()


def _identities(found: dict[str, list[str]], one: dict[str, str]) -> tuple[Path, ...]:
    tokens = {**_tokens(one), "%d": str(home()), "%n": one.get("host", "")}
    names = [*found.get("certificatefile", []), *found.get("identityfile", [])]
    paths = [written(_variables(_expand(name, tokens))) for name in names if name != "none"]
    return tuple(path for path in dict.fromkeys(paths) if is_file(path) or is_file(_half(path)))


def _half(path: Path) -> Path:
    """Name a key's public half: where that is all that is here, a key agent holds the other."""
    return path.with_name(f"{path.name}.pub")


def _agent(value: str | None) -> str | None:
    """Return the key agent's socket, None where there is none."""
    if value == "none":
        return None
    if value is None or value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK")
    return os.path.expandvars(str(expanded(value)))


def _proxy(command: str, one: dict[str, str], name: str) -> str | None:
    return _expand(command, {**_tokens(one), "%n": name}) if command else None


def _tokens(one: dict[str, str]) -> dict[str, str]:
    return {
        "%%": "%",
        "%h": one["hostname"],
        "%p": one["port"],
        "%r": one["user"],
        "%u": getpass.getuser(),
    }


def _expand(text: str, tokens: dict[str, str]) -> str:
    return re.sub("%.", lambda match: tokens.get(match[0], match[0]), text)


def _variables(text: str) -> str:
    """Put in the environment's `${NAME}`; ssh does not know the `$NAME` of shells."""
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), text)


def _unless_none(value: str | None) -> str:
    return "" if value in (None, "none") else str(value)


def _number(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 0.0
