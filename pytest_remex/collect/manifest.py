"""The fetched outputs of one run, and the note beside them of what is here."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import TypeAlias

from pytest_remex.io import writing

File: TypeAlias = tuple[int, int]
"""A file's size in bytes and modification time in ns, as they are on the cluster."""

NOTE = ".remex/outputs.json"


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was fetched of a run after `job`.

    `complete` says that the job had ended and that a second listing was unchanged; `missing` are
    the patterns that matched nothing, `links` the symbolic links that were left on the cluster.
    """

    files: Mapping[str, File] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    job: str = ""
    complete: bool = False

    def lacking(self, listed: Mapping[str, File]) -> list[str]:
        """Give the listed files that are not here, or not as they are now."""
        return [name for name, file in listed.items() if self.files.get(name) != file]


def read_outputs(folder: Path) -> Outputs:
    """Read the note in a run's folder; where there is none, or not a whole one, nothing is here."""
    try:
        note = json.loads((folder / NOTE).read_bytes().decode("utf-8", "surrogateescape"))
        return Outputs(
            files={name: (int(size), int(time)) for name, (size, time) in note["files"].items()},
            patterns=tuple(note["patterns"]),
            missing=tuple(note["missing"]),
            links=tuple(note["links"]),
            job=str(note["job"]),
            complete=bool(note["complete"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Outputs()


def write_outputs(folder: Path, outputs: Outputs) -> None:
    """Write the note into a run's folder. Raises `RecordError` where it cannot be written."""
    path = folder / NOTE
    note = {
        "files": outputs.files,
        "patterns": outputs.patterns,
        "missing": outputs.missing,
        "links": outputs.links,
        "job": outputs.job,
        "complete": outputs.complete,
    }
    draft = path.with_suffix(".new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(note), "utf-8", "surrogateescape")
        os.replace(draft, path)  # noqa: PTH105 - a rename that takes the place of the old note


def first_present(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Give the first file that one of the patterns finds in a run's folder."""
    found = (
        path
        for pattern in patterns
        # A name without wildcards needs no look at its folder.
        for path in (sorted(folder.glob(pattern)) if has_magic(pattern) else [folder / pattern])
    )
    return next((path for path in found if _is_plain(path)), None)


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
