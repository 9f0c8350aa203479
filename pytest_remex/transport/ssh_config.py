"""The settings of a host in `~/.ssh/config`, read by `ssh -G`.

Paramiko's own reader does not know Include, and Fabric goes through the hops of a ProxyJump
backwards.

The home for config, known_hosts, keys and key agents is always HOME. OpenSSH uses the home in the
password database for these, and HOME for Include only. If the two differ, ssh is run as
`ssh -F $HOME/.ssh/config`, so without the machine's own ssh_config, and a path in the password
database's home is replaced by the same path in HOME: `ssh -G` does not show which paths were
written with a `~`. Files in the other home are never read.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from pytest_remex.errors import RemoteError

_NAME_AND_PORT = re.compile(r"(?P<name>(?:[^@]*@)?(?:[^:\[\]]+|\[[^\]]+\])):(?P<port>\d+)")
_SSH_PORT = 22
_TIMEOUT = 20.0
_KEEPALIVE = 15
_FOR_PROGRAMS = {"stdinnull": "no", "sessiontype": "default", "forkafterauthentication": "no"}
"""What ssh needs in order to run a program; a host that is used for forwarding may have others."""


class HostSettings(NamedTuple):
    """How to reach one host and log in.

    Attributes:
        name: The host as the user wrote it.
        hostname: Its address.
        user: The user to log in as.
        port: Its port.
        known_as: Its name in known_hosts files: `[name]:port` on ports other than 22.
        known_hosts: The known_hosts files that exist.
        new_keys_file: The known_hosts file to which ssh adds new host keys.
        revoked_keys_files: Files of keys that are valid for no host.
        identities: The user's key files, in the order to offer them.
        identities_only: Whether the key agent offers only keys that `identities` names.
        agent: The key agent's socket.
        forwarded_agent: The socket of the key agent that programs there may use (ForwardAgent).
        jumps: Hosts to connect through (ProxyJump).
        proxy: A command whose stdin and stdout are the connection (ProxyCommand).
        timeout: Seconds to wait for the host at each step of connecting.
        keepalive: Seconds between signs of life on an idle connection.
        control_path: The socket of a shared ssh connection (ControlPath).
        only_ssh: Ways to log in that ssh_config names and only the ssh command supports.
        corrections: Options for ssh against settings with which it would run no program.
    """

    name: str
    hostname: str
    user: str
    port: int
    known_as: str
    known_hosts: tuple[Path, ...]
    new_keys_file: Path | None
    revoked_keys_files: tuple[Path, ...]
    identities: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    forwarded_agent: str | None
    jumps: tuple[str, ...]
    proxy: str | None
    timeout: float
    keepalive: int
    control_path: str | None
    only_ssh: tuple[str, ...]
    corrections: tuple[str, ...]

    @property
    def by_ssh(self) -> str:
        """What the ssh command could do and Fabric cannot, as a clause; empty if nothing."""
        if self.control_path is not None:
            return (
                f"ssh_config has a ControlPath: log in once by `ssh -fNM {self.name}`, and every "
                f"command here uses that connection without asking again"
            )
        if self.only_ssh:
            named = " and ".join(self.only_ssh)
            return f"ssh_config names {named}, for which remex_transport = openssh is needed"
        return ""

    def __str__(self) -> str:
        """Return the host as the user named it, with its address if that differs."""
        address = f"{self.hostname}:{self.port}"
        name = self.name.rpartition("@")[2]
        return address if name in (self.hostname, address) else f"{name} ({address})"


def host_settings(name: str) -> HostSettings:
    """Return how ssh would reach a host.

    Args:
        name: `[user@]host[:port]`, an alias in ssh_config, or an ssh:// address.

    Raises:
        RemoteError: ssh is missing, or cannot read the name or its configuration.
    """
    if not name or name.startswith("-") or "\0" in name:
        raise RemoteError(
            f"{name!r} is not a host name: write user@machine, or an alias in ~/.ssh/config"
        )
    values = _ssh_values(name)
    first = {key: several[0] for key, several in values.items()}
    hostname, port = first["hostname"].strip("[]"), int(first["port"])
    alias = first.get("hostkeyalias")
    return HostSettings(
        name=name,
        hostname=hostname,
        user=first["user"],
        port=port,
        known_as=alias or (hostname if port == _SSH_PORT else f"[{hostname}]:{port}"),
        known_hosts=_files(first.get("userknownhostsfile"), first.get("globalknownhostsfile")),
        new_keys_file=_new_keys_file(first.get("userknownhostsfile")),
        revoked_keys_files=_revoked_keys_files(first.get("revokedhostkeys")),
        identities=_identities(values, first),
        identities_only=first.get("identitiesonly") == "yes",
        agent=_agent(first.get("identityagent")),
        forwarded_agent=_forwarded_agent(first),
        jumps=tuple(hop.strip() for hop in _unless_none(first.get("proxyjump")).split(",") if hop),
        proxy=_proxy(_unless_none(first.get("proxycommand")), first, name),
        timeout=_number(first.get("connecttimeout")) or _TIMEOUT,
        keepalive=int(_number(first.get("serveraliveinterval"))) or _KEEPALIVE,
        control_path=_unless_none(first.get("controlpath")) or None,
        only_ssh=_only_ssh(first),
        # only what this ssh prints: one before 8.7 has no such options
        corrections=tuple(
            f"-o{key}={value}"
            for key, value in _FOR_PROGRAMS.items()
            if first.get(key, value) != value
        ),
    )


def route(host: HostSettings) -> list[HostSettings]:
    """Return the hosts to log in to, each through the one before; the last is `host`.

    As in ssh, only the first hop of a ProxyJump may have hops of its own.

    Raises:
        RemoteError: As `host_settings`, or the hops form a circle.
    """
    hops = [host]
    seen = {host.name}
    while hops[0].jumps:
        first, *others = hops[0].jumps
        if first in seen:
            raise RemoteError(f"ProxyJump {first} forms a circle: correct it in ~/.ssh/config")
        seen.add(first)
        hops[:0] = [host_settings(first), *map(host_settings, others)]
    return hops


def _ssh_values(name: str) -> dict[str, list[str]]:
    """Return the values of each keyword, in ssh's order."""
    try:
        run = subprocess.run(
            ["ssh", "-G", "-T", *ssh_words(name)],
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
    values: dict[str, list[str]] = {}
    for line in run.stdout.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value)
    return values


def ssh_words(name: str) -> list[str]:
    """Return ssh's arguments for a host and the config to read; a command may follow."""
    short = _NAME_AND_PORT.fullmatch(name)
    words = ["-p", short["port"], "--", short["name"]] if short else ["--", name]
    return [*config_options(), *words]


def _only_ssh(first: dict[str, str]) -> tuple[str, ...]:
    """Return the ways to log in that ssh_config names and Fabric does not support here."""
    found = ["GSSAPIAuthentication"] if first.get("gssapiauthentication") == "yes" else []
    return (*found, *(["PKCS11Provider"] if _unless_none(first.get("pkcs11provider")) else []))


def _files(*texts: str | None) -> tuple[Path, ...]:
    """Return the files in ssh's lists, which are not quoted: a name may contain blanks."""
    names = [name for text in texts if text for name in _possible_names(text)]
    return tuple(path for path in dict.fromkeys(map(path_from_ssh, names)) if _is_file(path))


def _possible_names(text: str) -> list[str]:
    """Return every sequence of words that begins like an absolute path."""
    words = text.split(" ")
    starts = [at for at, word in enumerate(words) if word.startswith(("/", "~"))]
    return [" ".join(words[at:end]) for at in starts for end in range(at + 1, len(words) + 1)]


def _new_keys_file(text: str | None) -> Path | None:
    """Return the first known_hosts file: the whole text if only one is named."""
    if not text or text == "none":
        return None
    files = _files(text)
    return files[0] if files else path_from_ssh(text.split(" /")[0])


def _revoked_keys_files(value: str | None) -> tuple[Path, ...]:
    return (path_from_ssh(value),) if value and value != "none" else ()


def _identities(values: dict[str, list[str]], first: dict[str, str]) -> tuple[Path, ...]:
    tokens = {**_tokens(first), "%d": str(home()), "%n": first.get("host", "")}
    names = [*values.get("certificatefile", []), *values.get("identityfile", [])]
    paths = [
        _path_as_written(_variables(_expand(name, tokens))) for name in names if name != "none"
    ]
    return tuple(
        path for path in dict.fromkeys(paths) if _is_file(path) or _is_file(_public_half(path))
    )


def _public_half(path: Path) -> Path:
    """Return the path of a public key; if only that exists here, a key agent has the private."""
    return path.with_name(f"{path.name}.pub")


def _agent(value: str | None) -> str | None:
    """Return the key agent's socket; None if there is none."""
    if value == "none":
        return None
    if value is None or value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK")
    return os.path.expandvars(str(path_from_ssh(value)))


def _forwarded_agent(first: dict[str, str]) -> str | None:
    """Return the socket of the key agent to forward: ForwardAgent may name another one."""
    value = first.get("forwardagent", "no")
    if value == "no":
        return None
    if value == "yes":
        return _agent(first.get("identityagent"))
    return os.environ.get(value[1:]) if value.startswith("$") else str(path_from_ssh(value))


def _proxy(command: str, first: dict[str, str], name: str) -> str | None:
    return _expand(command, {**_tokens(first), "%n": name}) if command else None


def _tokens(first: dict[str, str]) -> dict[str, str]:
    return {
        "%%": "%",
        "%h": first["hostname"],
        "%p": first["port"],
        "%r": first["user"],
        "%u": getpass.getuser(),
    }


def _expand(text: str, tokens: dict[str, str]) -> str:
    return re.sub("%.", lambda match: tokens.get(match[0], match[0]), text)


def _variables(text: str) -> str:
    """Expand the environment's `${NAME}`; ssh does not know the `$NAME` of shells."""
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), text)


def _unless_none(value: str | None) -> str:
    return "" if value in (None, "none") else str(value)


def _number(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 0.0


def home() -> Path:
    """Return HOME if that is an absolute path, else the home in the password database."""
    name = os.environ.get("HOME", "")
    return Path(name) if name.startswith("/") else _password_database_home()


def home_differs() -> bool:
    """Return whether HOME names another folder than the password database does."""
    ours, theirs = home(), _password_database_home()
    return ours != theirs and ours.resolve() != theirs.resolve()


def config_options() -> list[str]:
    """Return ssh's options to read the config in HOME; none if ssh reads it by default."""
    if not home_differs():
        return []
    config = home() / ".ssh" / "config"
    return ["-F", str(config) if _is_file(config) else "none"]


def path_from_ssh(name: str) -> Path:
    """Return the path for a name in which ssh may have put the password database's home."""
    path, ours, theirs = _path_as_written(name), home(), _password_database_home()
    if name.startswith("//"):  # ssh's expansion of `~` if the home is /
        path = Path("/" + name.lstrip("/"))
    moved = theirs / ".ssh" if theirs == Path("/") else theirs
    in_ours = ours.is_relative_to(theirs) and path.is_relative_to(ours)
    if home_differs() and path.is_relative_to(moved) and not in_ours:
        return ours / path.relative_to(theirs)
    return path


def _path_as_written(name: str) -> Path:
    """Return the path for a name that ssh prints unexpanded, with `~` or without.

    Raises `RemoteError` for a `~name` if there is no such user.
    """
    if name == "~" or name.startswith("~/"):
        return home() / name[2:]
    if not name.startswith("~"):
        return Path(name)
    user, _, rest = name[1:].partition("/")
    try:
        return Path(pwd.getpwnam(user).pw_dir) / rest
    except KeyError as error:
        raise RemoteError(
            f"ssh_config names {name!r}, but there is no user {user!r}: correct it there"
        ) from error


def _is_file(path: Path) -> bool:
    """Return whether a regular file is there; False if that cannot be determined."""
    try:
        return path.is_file()
    except OSError:
        return False


def _password_database_home() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME") or "/")
