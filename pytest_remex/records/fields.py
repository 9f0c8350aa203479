"""The JSON of launch records: lines with checksums, typed fields, the parts of a run or launch."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple, TypeAlias, TypeVar

from pytest_remex.common.typed_json import plain
from pytest_remex.model import SCRIPT, Config, Identity
from pytest_remex.sbatch.script import Header
from pytest_remex.variant import Variant

Json: TypeAlias = Mapping[str, Any]
Kind = TypeVar("Kind")
_CHECKSUM = re.compile(rb', "crc": "([0-9a-f]{8})"}')
_CHECKSUM_SIZE = len(b', "crc": "00000000"}')
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_REQUIRED: Any = object()
"""The default of a field that has none."""


def encoded(data: Json) -> bytes:
    """Return a line of a record; its last field is a checksum of the rest."""
    text = _ENCODER.encode(data).encode("utf-8", "backslashreplace")[:-1]
    return b'%s, "crc": "%08x"}\n' % (text, zlib.crc32(text))


def check(line: bytes) -> None:
    """Raise `ValueError` if a line's checksum is wrong; lines of earlier releases have none."""
    checked = _CHECKSUM.fullmatch(line, max(0, len(line) - _CHECKSUM_SIZE))
    if checked and int(checked[1], 16) != zlib.crc32(line[:-_CHECKSUM_SIZE]):
        raise ValueError("its checksum is wrong: it was changed after it was written")


def parsed(line: bytes) -> Json:
    """Return the object in a line of a record. Raises `ValueError` if there is none."""
    data = json.loads(line.decode())
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - damaged data, not a bug
    return data


def field(data: Json, name: str, kind: type[Kind], default: Kind = _REQUIRED) -> Kind:
    """Return a field; the default if it is missing.

    Raises `ValueError` if it has another type, or is missing and has no default.
    """
    if name not in data:
        if default is _REQUIRED:
            raise ValueError(f"it has no {name!r}")
        return default
    return plain(data[name], kind, name)


def nullable(data: Json, name: str, kind: type[Kind]) -> Kind | None:
    """Return a field that may be null."""
    return None if name in data and data[name] is None else field(data, name, kind)


def texts(data: Json, name: str, default: list[str] = _REQUIRED) -> tuple[str, ...]:
    """Return a field that holds a list of texts. Raises as `field` does."""
    values = field(data, name, list, default)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name!r} is {values!r:.60}, not a list of texts")
    return tuple(values)


def identity_to_json(identity: Identity) -> dict[str, Any]:
    """Return an identity as fields of the line that introduces a run."""
    return {
        "fingerprint": identity.fingerprint,
        "replicate": identity.replicate,
        "patterns": identity.patterns,
        "changed": [list(entry) for entry in identity.changed],
        **({"inputs": identity.inputs} if identity.inputs else {}),
    }


def identity_from_json(data: Json) -> Identity:
    """Return the identity in the line that introduces a run."""
    changed: list[tuple[str, str, str]] = []
    for entry in field(data, "changed", list):
        match entry:
            case [str(path), str(mode), str(blob)]:
                changed.append((intern(path), intern(mode), blob))
            case _:
                raise ValueError(f"'changed' has {entry!r:.60}, not a path, a mode and a blob")
    return Identity(
        fingerprint=field(data, "fingerprint", str),
        patterns=intern(field(data, "patterns", str)),
        changed=tuple(changed),
        replicate=field(data, "replicate", int),
        inputs=field(data, "inputs", str, ""),
    )


def header_to_json(header: Header) -> dict[str, Any]:
    """Return a script's header as JSON, with `script` only if it is not the default."""
    facts = header._asdict()
    if header.script == SCRIPT:
        del facts["script"]
    return facts


def header_from_json(data: Json) -> Header:
    """Return the header that `header_to_json` was given."""
    header = Header(
        lines=texts(data, "lines"),
        shebang=field(data, "shebang", str),
        output=nullable(data, "output", str),
        error=nullable(data, "error", str),
        name=nullable(data, "name", str),
        time_limit=nullable(data, "time_limit", float),
        held=field(data, "held", bool),
        cores=field(data, "cores", int),
        partition=nullable(data, "partition", str),
        script=field(data, "script", str, SCRIPT),
    )
    return _shared(header)


@lru_cache(maxsize=256)
def _shared(header: Header) -> Header:
    """Return one object for equal headers: most runs of a launch have the same."""
    return header


def variant_to_json(variant: Variant) -> dict[str, Any]:
    """Return a variant of the grid as JSON, with those of its fields that are set."""
    given = {"base": variant.base, "remote": variant.remote}
    return {name: value for name, value in given.items() if value}


def variant_from_json(data: Json) -> Variant:
    """Return the variant in a line of a record; the grid itself if it names none."""
    given = field(data, "variant", dict, {})
    return Variant(
        **{name: field(given, name, str) for name in ("base", "remote") if name in given}
    )


class Collection(NamedTuple):
    """Who fetched all outputs of a run's job, as `user@machine`, and on which day."""

    job: str
    by: str
    on: str


class Collected(NamedTuple):
    """All outputs of jobs were fetched; `jobs` are their ids, by commit."""

    by: str
    on: str
    jobs: Mapping[str, str]

    def collections(self) -> dict[str, Collection]:
        """Return what this says of each run, by commit."""
        return {sha: Collection(job, self.by, self.on) for sha, job in self.jobs.items()}


def collected_from_json(data: Json) -> Collected:
    """Return the event in a line of a record. Raises `ValueError` for a field of another type."""
    jobs = field(data, "jobs", dict)
    by, on = field(data, "by", str), field(data, "on", str)
    for text in (by, on, *jobs.values()):
        if not isinstance(text, str) or not text.isprintable():
            raise ValueError(f"{text!r:.60} is not a printable text")
    return Collected(by, on, jobs)


class UpstreamRun(NamedTuple):
    """The run that another one comes after, and what is brought from its run directory.

    `job` is its job when the other was submitted; `brought` leads from paths in the other's run
    directory to paths in this one's.
    """

    node: str
    point: Config
    launch: str
    commit: str
    directory: str
    job: str
    brought: Mapping[str, str] = {}
    copied: tuple[str, ...] = ()
    """Those of the paths in this one's run directory that are copies."""


def upstream_to_json(upstream: UpstreamRun) -> dict[str, Any]:
    """Return an upstream as JSON, with `copied` only if there is something."""
    facts = {**upstream._asdict(), "copied": list(upstream.copied)}
    if not upstream.copied:
        del facts["copied"]
    return facts


def upstream_from_json(data: Json) -> UpstreamRun:
    """Return the upstream that `upstream_to_json` was given."""
    brought = field(data, "brought", dict)
    if not all(isinstance(source, str) for source in brought.values()):
        raise ValueError(f"'brought' is {brought!r:.60}, not paths by paths")
    return UpstreamRun(
        node=field(data, "node", str),
        point=field(data, "point", dict),
        launch=field(data, "launch", str),
        commit=field(data, "commit", str),
        directory=field(data, "directory", str),
        job=field(data, "job", str),
        brought=brought,
        copied=texts(data, "copied", []),
    )
