"""What a collect keeps of a run that it judged, for the report and for the next collect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_remex.io import writing
from pytest_remex.repo.commits import Edit

NOTE = ".remex/judged.json"


@dataclass(frozen=True, slots=True)
class Note:
    """A judged run: after which job, with which patch, and what the report shows of it.

    `changed` says that the patch did not make the commit that ran; `diff` is the patch as text,
    `log` the last lines of the job's output.
    """

    job: str = ""
    patch: str = ""
    changed: bool = False
    diff: str = ""
    log: str = ""


def digest(commit: str, edits: Iterable[Edit]) -> str:
    """Name a patch for the run of a commit."""
    total = hashlib.sha256(commit.encode())
    for edit in edits:
        for part in (edit.path, edit.mode.encode(), edit.content or b""):
            total.update(b"%d:" % len(part) + part)
    return total.hexdigest()


def read_note(folder: Path) -> Note:
    """Read the note in a run's folder; an empty one where there is none."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        return Note(
            job=str(note["job"]),
            patch=str(note["patch"]),
            changed=bool(note["changed"]),
            diff=str(note["diff"]),
            log=str(note["log"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Note()


def write_note(folder: Path, note: Note) -> None:
    """Write the note into a run's folder, whose outputs are there.

    Raises `RecordError` where it cannot be written.
    """
    path = folder / NOTE
    with writing(path):
        path.write_text(json.dumps(asdict(note)), "utf-8")
