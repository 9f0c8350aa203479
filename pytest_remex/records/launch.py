"""The head of a launch record: its first line, which describes the launch.

A change that every reader must understand raises `FORMAT`; newer formats are refused.
"""

from __future__ import annotations

import getpass
import socket
from typing import Any, NamedTuple

from pytest_remex.display import one_line
from pytest_remex.model import Config, Remote
from pytest_remex.records.fields import (
    Json,
    field,
    nullable,
    texts,
    variant_from_json,
    variant_to_json,
)
from pytest_remex.variant import GRID, Variant

FORMAT = 1
"""The version of launch records that this release writes, and the newest that it reads."""


class NewerRecordError(ValueError):
    """A launch record has a format that this release does not know."""


class Launch(NamedTuple):
    """The head of a launch record: what was launched, from where, to where, and why (`note`)."""

    id: str
    token: str
    name: str
    branch: str
    base: str
    base_config: Config
    fetch: tuple[str, ...]
    config_files: tuple[str, ...]
    remote: Remote
    note: str = ""
    by: str = ""
    """Who launched it, and from where: `user@machine`."""
    variant: Variant = GRID
    """The variant of the grid that was asked for."""


def whoami() -> str:
    """Return the user and machine of this process, as `user@machine`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def launch_to_json(launch: Launch) -> dict[str, Any]:
    """Return a launch as the first line of its record."""
    remote = launch.remote
    return {
        "remex": FORMAT,
        "launch": launch.id,
        "token": launch.token,
        **({"by": launch.by} if launch.by else {}),
        "sweep": launch.name,
        "branch": launch.branch,
        "base": launch.base,
        "base_config": launch.base_config,
        "fetch": launch.fetch,
        "config_file": launch.config_files[0] if launch.config_files else None,
        **({"config_files": launch.config_files} if len(launch.config_files) > 1 else {}),
        "remote": {
            "host": remote.host,
            "clone": remote.clone,
            "runs": remote.runs,
            "via": remote.via,
            "shared": remote.shared,
        },
        **({"note": launch.note} if launch.note else {}),
        **({"variant": variant_to_json(launch.variant)} if launch.variant else {}),
    }


def launch_from_json(data: Json) -> Launch:
    """Return the launch in the first line of a record.

    Raises:
        NewerRecordError: The record has a newer format.
        ValueError: A field is missing or of another type; the message names it.

    """
    version = data.get("remex")
    if isinstance(version, int) and version > FORMAT:
        raise NewerRecordError(version)
    remote = field(data, "remote", dict)
    via: Any = field(remote, "via", str)  # Remote checks it
    return Launch(
        id=field(data, "launch", str),
        token=field(data, "token", str),
        name=field(data, "sweep", str),
        branch=field(data, "branch", str),
        base=field(data, "base", str),
        base_config=field(data, "base_config", dict),
        fetch=texts(data, "fetch"),
        config_files=_config_files(data),
        remote=Remote(
            host=nullable(remote, "host", str),
            clone=field(remote, "clone", str),
            runs=field(remote, "runs", str),
            via=via,
            shared=texts(remote, "shared"),
        ),
        note=one_line(field(data, "note", str, "")),
        by=field(data, "by", str, ""),
        variant=variant_from_json(data),
    )


def _config_files(data: Json) -> tuple[str, ...]:
    """Return the config files; earlier releases know only the first."""
    first = nullable(data, "config_file", str)
    several = texts(data, "config_files", [])
    return several or (() if first is None else (first,))
