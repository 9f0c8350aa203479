"""The one home whose `.ssh` counts, for config, known_hosts, keys and key agents alike: HOME.

OpenSSH goes by the password database for all of these, and by HOME for an Include alone. Where the
two differ, ssh is asked as `ssh -F $HOME/.ssh/config`, so without the machine's own ssh_config, and
a path in the password database's home stands for the same path in HOME: `ssh -G` does not tell
which paths were written with a `~`. What lies in the other home is never looked at.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from pytest_remex.errors import RemoteError


def home() -> Path:
    """Return HOME where that is an absolute path, else the home in the password database."""
    named = os.environ.get("HOME", "")
    return Path(named) if named.startswith("/") else _recorded()


def moved() -> bool:
    """Return whether HOME names another folder than the password database does."""
    here, recorded = home(), _recorded()
    return here != recorded and here.resolve() != recorded.resolve()


def config_file() -> list[str]:
    """Return the words that have ssh read the config in HOME; none where it does so itself."""
    if not moved():
        return []
    config = home() / ".ssh" / "config"
    return ["-F", str(config) if is_file(config) else "none"]


def written(name: str) -> Path:
    """Return the path that a name in ssh_config stands for, as it was written.

    Raises `RemoteError` where it begins with the `~name` of nobody.
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
            f"ssh_config names {name!r}, and there is no user {user!r}: correct it there"
        ) from error


def expanded(name: str) -> Path:
    """Return the path for a name in which ssh may have put the password database's home."""
    path, here, recorded = written(name), home(), _recorded()
    if name.startswith("//"):  # what `~` becomes where the home is /
        path = Path("/" + name.lstrip("/"))
    own = recorded / ".ssh" if recorded == Path("/") else recorded
    inside = here.is_relative_to(recorded) and path.is_relative_to(here)
    if moved() and path.is_relative_to(own) and not inside:
        return here / path.relative_to(recorded)
    return path


def is_file(path: Path) -> bool:
    """Return whether a regular file is there; one that cannot be looked at is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _recorded() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME") or "/")
