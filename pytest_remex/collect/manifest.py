"""The fetched outputs of a run, and the two notes next to them: outputs.json and judged.json.

Notes may be copies from elsewhere: what is read in them can be anything.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pytest_remex.common.files import is_regular, open_regular, read_up_to
from pytest_remex.common.typed_json import from_json
from pytest_remex.io import replace_file, writing
from pytest_remex.names import text_digest

if TYPE_CHECKING:
    from pytest_remex.records.schema import RunRecord
    from pytest_remex.repo.trees import Edit

FileVersion: TypeAlias = tuple[int, int]
"""A file's size in bytes and modification time in ns on the cluster."""

OUTPUTS_NOTE = ".remex/outputs.json"
JUDGED_NOTE = ".remex/judged.json"
LARGEST = 256 << 20
"""The most bytes of a note; one about 100,000 outputs has fewer than a tenth."""


class FetchedOutputs(NamedTuple):
    """What was fetched of a run after `job`.

    `complete` means that the job had ended and that a second listing was unchanged; `missing` are
    the patterns without a match, `links` the symbolic links that were left on the cluster. `gone`
    means that the run directory disappeared while outputs were still missing. `too_large` are the
    files that stay on the cluster because of their size, with that size; `refused` says why nothing
    could be listed this time.
    """

    files: Mapping[str, FileVersion] = {}
    patterns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    job: str = ""
    complete: bool = False
    gone: bool = False
    too_large: Mapping[str, int] = {}
    refused: str = ""

    def stale(self, listed: Mapping[str, FileVersion]) -> list[str]:
        """Return the listed files that are missing here, or that have changed."""
        return [name for name, version in listed.items() if self.files.get(name) != version]


class JudgedNote(NamedTuple):
    """What a collect stores about a run that it judged, for the report and for the next collect.

    `job` is the judged job, `patch` the digest of the current patch; `changed` means that this
    patch did not make the commit that ran; `diff` is the patch as text, `log` the last lines of the
    job's output; `cause` is equal for runs that failed alike; `verdict` names the outcome, empty if
    a release before 0.2 judged the run; `config_files` are those that the sweep named then; `check`
    is the digest of the sweep function's check, empty if it did not run.
    """

    job: str = ""
    patch: str = ""
    changed: bool = False
    diff: str = ""
    log: str = ""
    cause: str = ""
    verdict: str = ""
    config_files: tuple[str, ...] = ()
    check: str = ""


def read_outputs(folder: Path) -> FetchedOutputs:
    """Return the note in a run's folder; if it is missing or damaged, nothing counts as fetched."""
    try:
        note = read_note(folder / OUTPUTS_NOTE)
        return FetchedOutputs(
            files={name: (int(size), int(time)) for name, (size, time) in note["files"].items()},
            patterns=tuple(note["patterns"]),
            missing=tuple(note["missing"]),
            links=tuple(note["links"]),
            job=str(note["job"]),
            complete=bool(note["complete"]),
            gone=bool(note.get("gone", False)),
            too_large={name: int(size) for name, size in note.get("too_large", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return FetchedOutputs()


def is_only_elsewhere(run: RunRecord, outputs: FetchedOutputs) -> bool:
    """Return whether a run's directory no longer exists, and only others have its outputs."""
    return run.collected is not None and outputs.gone and not outputs.complete


def write_outputs(folder: Path, outputs: FetchedOutputs) -> None:
    """Write the note into a run's folder. Raises `RecordError` if that fails."""
    path = folder / OUTPUTS_NOTE
    note = {name: value for name, value in outputs._asdict().items() if name != "refused"}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(note), errors="surrogateescape")


def read_judged(folder: Path) -> JudgedNote:
    """Return the note in a run's folder; an empty one if it is missing or damaged."""
    try:
        return from_json(JudgedNote, read_note(folder / JUDGED_NOTE))
    except ValueError:
        return JudgedNote()


def has_notes(folder: Path) -> bool:
    """Return whether outputs of a run were fetched before, or noted as missing."""
    return (folder / OUTPUTS_NOTE).is_file()


def write_judged(folder: Path, note: JudgedNote) -> None:
    """Write the note into the folder of a run's outputs. Raises `RecordError`."""
    replace_file(folder / JUDGED_NOTE, json.dumps(note._asdict()))


def patch_digest(commit: str, edits: Iterable[Edit]) -> str:
    """Return a digest of a commit and a patch."""
    total = hashlib.sha256(commit.encode())
    for edit in edits:
        for part in (edit.path, edit.mode.encode(), edit.content or b""):
            total.update(b"%d:" % len(part) + part)
    return total.hexdigest()


@functools.cache
def check_digest(function: Callable[..., object]) -> str:
    """Return a digest of the code after a sweep function's `yield`, without comments and layout.

    It is empty if there is none, or if the source cannot be read.
    """
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError):
        return ""
    body = definition.body if isinstance(definition, ast.FunctionDef) else []
    after = dropwhile(lambda each: not any(map(_is_yield, ast.walk(each))), body)
    code = "\n".join(map(ast.unparse, after))
    return text_digest(code) if code else ""


def _is_yield(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield)


def first_present(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Return the first regular file in a run's folder that matches one of the patterns."""
    found = (
        path
        for pattern in patterns
        # for a name without wildcards the folder need not be listed
        for path in (sorted(folder.glob(pattern)) if has_magic(pattern) else [folder / pattern])
    )
    return next((path for path in found if is_regular(path)), None)


def all_present(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the first regular file in a run's folder for each pattern that matches one."""
    found = [first_present(folder, [pattern]) for pattern in patterns]
    return list(dict.fromkeys(path for path in found if path is not None))


def belongs_to(name: str, pattern: str) -> bool:
    """Return whether a fetched file, by its path, is one that a pattern asks for."""
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/")


def read_note(path: Path) -> dict[str, Any]:
    """Return the object in a note.

    Raises:
        ValueError: It is missing, no regular file, too large or damaged.

    """
    try:
        opened = open_regular(path)
        if opened is None:
            raise ValueError(f"{path} is not a regular file")
        with open(opened, "rb") as file:  # noqa: PTH123 - a descriptor
            content = read_up_to(file, LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"{path} has more than {LARGEST} bytes")
        found = json.loads(content.decode("utf-8", "surrogateescape"))
    except (OSError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} has no JSON object")  # noqa: TRY004 - damaged data, not a bug
    return found
