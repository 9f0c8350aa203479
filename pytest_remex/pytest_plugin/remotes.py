"""The remotes that the configuration names.

`[tool.remex.remotes.NAME]` in pyproject.toml, `[remex.remotes.NAME]` in pytest.ini.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import iniconfig
import pytest

from pytest_remex.errors import SweepError
from pytest_remex.model import Remote

NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
KEYS = {each.name: each for each in fields(Remote)}
_SECTION = "remex.remotes."
_REMOTES = pytest.StashKey[Mapping[str, Remote]]()


def remotes_of(config: pytest.Config) -> Mapping[str, Remote]:
    """Return the remotes that the configuration names, in its order.

    Raises:
        SweepError: A table has a key that is not known, a value that cannot be used, or a name or
            a place that another one has too; or a file cannot be read.

    """
    if _REMOTES not in config.stash:
        found: dict[str, Remote] = {}
        for title, name, table in _tables(config):
            if name in found:
                raise SweepError(f"{title}: another file has a remote {name!r} too: keep one")
            found[name] = _remote(config, title, table)
        _refuse_same_place(found)
        config.stash[_REMOTES] = found
    return config.stash[_REMOTES]


def _tables(config: pytest.Config) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Yield for each table what to call it in messages, the remote's name, and its keys."""
    paths = [config.rootpath / "pyproject.toml"]
    if config.inipath is not None and config.inipath not in paths:
        paths.append(config.inipath)
    for path in paths:
        if not path.is_file():
            continue
        is_toml = path.suffix == ".toml"
        for name, table in (_in_toml if is_toml else _in_ini)(path).items():
            title = f"{path}: [{'tool.' if is_toml else ''}{_SECTION}{name}]"
            if not NAME.fullmatch(name):
                raise SweepError(f"{title}: use letters, digits, `_`, `.` and `-` in the name")
            if not isinstance(table, dict):
                raise SweepError(f"{title} is not a table: write host, clone and runs below it")
            yield title, name, table


def _in_toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - start-up: many projects have no such file

    try:
        found: Any = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SweepError(f"{path} cannot be read ({error}): correct it") from None
    for key in ("tool", "remex", "remotes"):
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _in_ini(path: Path) -> dict[str, Any]:
    try:
        sections = iniconfig.IniConfig(path)
    except (OSError, ValueError, iniconfig.ParseError) as error:
        raise SweepError(f"{path} cannot be read ({error}): correct it") from None
    return {
        section.name.removeprefix(_SECTION): dict(section.items())
        for section in sections
        if section.name.startswith(_SECTION)
    }


def _remote(config: pytest.Config, title: str, table: Mapping[str, object]) -> Remote:
    given: dict[str, Any] = {}
    for key, value in table.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise SweepError(f"{title} has no key {key!r}: {meant}its keys are {', '.join(KEYS)}")
        given[key] = _checked(f"{title}: {key}", key, value)
    host = given.setdefault("host", None) or None
    if not given.get("runs") or (host and not given.get("clone")):
        lacks = "clone" if given.get("runs") else "runs"
        raise SweepError(f"{title} lacks {lacks}: write {lacks} = a path on the cluster")
    for key in ("shell", "transport", "via"):
        given.setdefault(key, str(config.getini(f"remex_{key}")))
    if host is None:
        given |= {"host": None, "runs": local_folder(config, given["runs"])}
    try:
        return Remote(**given)
    except SweepError as error:
        raise SweepError(f"{title}: {error}") from None


def local_folder(config: pytest.Config, path: str) -> str:
    """Return the path of a folder on this machine; a relative one is relative to rootdir."""
    return str(config.rootpath / Path(os.path.expandvars(path)).expanduser())


def _checked(title: str, key: str, value: object) -> object:
    """Return the value of a key: a text, or texts for what has several."""
    if KEYS[key].default == ():
        texts = value.split() if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            raise SweepError(f"{title} = {value!r}: write a list of texts")
        return tuple(texts)
    if not isinstance(value, str):
        raise SweepError(f"{title} = {value!r}: write a text")
    return value


def _refuse_same_place(remotes: Mapping[str, Remote]) -> None:
    """Refuse two names for one runs folder: its claims would give each run to one of them."""
    names: dict[object, str] = {}
    for name, remote in remotes.items():
        first = names.setdefault((remote.host, remote.runs), name)
        if first != name:
            raise SweepError(
                f"the remotes {first} and {name} have one runs folder, {remote.place}: "
                f"give each its own, or keep one of the names"
            )
