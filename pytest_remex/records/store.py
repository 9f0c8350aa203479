"""Read launch records, and merge the files about one launch: its record, and additions to it.

Each file has one writer, so the order of events is known within a file, but not between files. For
each run the file that got further counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pytest_remex.common.grouping import grouped
from pytest_remex.errors import RecordError, SweepError
from pytest_remex.io import reading
from pytest_remex.names import launch_stamp
from pytest_remex.records.fields import Collected, Collection, check, parsed
from pytest_remex.records.launch import (
    FORMAT,
    Launch,
    NewerRecordError,
    launch_from_json,
)
from pytest_remex.records.schema import (
    BranchRemoved,
    Committed,
    Ended,
    Event,
    LeftBranchRemoved,
    Pushing,
    Renamed,
    RunRecord,
    Shared,
    Stage,
    StageReached,
    event_from_json,
)

SUFFIX = ".jsonl"
ADDED = "~"
"""Separates the launch from the output folder's id in the name of an addition to a record."""


class LaunchRecord(NamedTuple):
    """A launch record that was read: its launch, and its runs by commit.

    `tips` are the commits that were pushed to its temporary branch; `tidied` means that the branch
    has been removed everywhere. `own` means that the record is this output folder's own. `home` is
    the folder of this output folder's records; events about runs of another's record go into an
    addition there. `owner` is the other user who wrote a copy. `notes` are an addition's changes to
    runs that it does not introduce, by commit. `left` maps the names of temporary branches that
    other clients may have left to their tips; `removed` are those that have been removed since.
    """

    launch: Launch
    runs: Mapping[str, RunRecord]
    path: Path
    tips: tuple[str, ...] = ()
    tidied: bool = False
    own: bool = True
    home: Path | None = None
    owner: str = ""
    notes: Mapping[str, Mapping[str, Any]] = {}
    removed: frozenset[str] = frozenset()
    left: Mapping[str, tuple[str, ...]] = {}

    @property
    def worker(self) -> str:
        """The name that its writer gave to its temporary branch."""
        return worker_of(self.path)


def record_path(folder: Path, name: str) -> Path:
    """Return the path of a launch's record, or of an addition to it."""
    return folder / f"{name}{SUFFIX}"


def is_addition(path: Path) -> bool:
    """Return whether a file records what another output folder did with a launch's runs."""
    return ADDED in path.stem


def record_files(folder: Path) -> list[Path]:
    """Return the launch record files in a folder, oldest launch first; none if it does not exist.

    Raises:
        RecordError: The folder cannot be read.

    """
    paths: list[Path] = []
    with reading(folder), suppress(FileNotFoundError, NotADirectoryError):
        paths = [path for path in folder.iterdir() if path.suffix == SUFFIX]
    return sorted(paths, key=lambda path: (launch_stamp(path.stem.partition(ADDED)[0]), path.stem))


def read_records(folder: Path) -> list[LaunchRecord]:
    """Return all launch records in a folder, oldest launch first.

    Raises:
        RecordError: A record has a newer format, or is damaged before its last line.

    """
    paths = record_files(folder)
    return [record for path in paths if (record := read_record(path)) is not None]


def read_record(path: Path) -> LaunchRecord | None:
    """Return one launch record; None if a crash left it without its first line.

    A last line that a crash cut short is ignored.

    Raises:
        RecordError: It has a newer format, is damaged before its last line, or cannot be read.

    """
    lines = _lines(path)
    head = next(lines, None)
    if head is None:
        return None
    state, number = _State(is_addition(path)), 1
    try:
        launch = launch_from_json(parsed(head))  # first: it refuses newer formats
        check(head)
        for number, line in enumerate(lines, start=2):  # noqa: B007 - named in errors
            check(line)
            event = event_from_json(parsed(line), launch.base)
            if event is not None:
                state.apply(event)
    except (ValueError, RecursionError, SweepError) as error:
        raise _unreadable(path, number, error) from error
    return LaunchRecord(
        launch,
        state.runs(),
        path,
        tuple(state.tips),
        state.tidied,
        home=path.parent,
        notes=state.notes(),
        removed=frozenset(state.removed),
    )


@dataclass(slots=True)
class _State:
    """The state after a record's events: runs as introduced, and what has changed since.

    An addition to a record also has events about runs that the record itself introduces.
    """

    is_addition: bool = False
    introduced: dict[str, RunRecord] = field(default_factory=dict)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    renamed: dict[str, list[Renamed]] = field(default_factory=dict)
    tips: list[str] = field(default_factory=list)
    tidied: bool = False
    removed: set[str] = field(default_factory=set)

    def apply(self, event: Event) -> None:
        """Apply the next event. Raises `ValueError` if no earlier event introduced its run."""
        match event:
            case StageReached():
                self._changes_of(event.commit).update(_changes(event))
            case Committed(run):
                self._introduce(run)
            case Ended(commit, final):
                self._changes_of(commit)["final"] = final
            case Collected():
                for sha, collection in event.collections().items():
                    self._changes_of(sha)["collected"] = collection
            case Renamed(commit):
                self._changes_of(commit)
                self.renamed.setdefault(commit, []).append(event)
            case Shared(commit, variant):
                known = self._changes_of(commit).setdefault("variants", ())
                self.changes[commit]["variants"] = tuple(dict.fromkeys((*known, variant)))
            case _:
                self._apply_to_branch(event)

    def _apply_to_branch(self, event: Pushing | BranchRemoved | LeftBranchRemoved) -> None:
        match event:
            case Pushing(tip):
                self.tips.append(tip)
                self.tidied = False
            case BranchRemoved():
                self.tidied = True
            case LeftBranchRemoved(worker):
                self.removed.add(worker)

    def _introduce(self, run: RunRecord) -> None:
        before = self.introduced.get(sha := run.commit.sha)
        if before is not None and before.node != run.node:
            self.renamed.setdefault(sha, []).extend(map(Renamed.of, (before, run)))
        self.introduced[sha] = run
        self.changes[sha] = {"variants": self.changes.get(sha, {}).get("variants", ())}

    def runs(self) -> dict[str, RunRecord]:
        """Return the runs in their current state, by commit."""
        runs = {sha: run._replace(**self.changes[sha]) for sha, run in self.introduced.items()}
        for sha in self.renamed.keys() & runs.keys():
            for names in self.renamed[sha]:
                runs[sha] = names.apply(runs[sha])
        return runs

    def notes(self) -> dict[str, dict[str, Any]]:
        """Return the changes to runs that this file does not introduce, by commit."""
        return {
            sha: {**change, "renamed": self.renamed.get(sha, [])}
            for sha, change in self.changes.items()
            if sha not in self.introduced
        }

    def _changes_of(self, commit: str) -> dict[str, Any]:
        if self.is_addition:
            return self.changes.setdefault(commit, {})
        if commit not in self.changes:
            raise ValueError(f"no earlier line introduces the commit {commit!r:.60}")
        return self.changes[commit]


def changed(run: RunRecord, event: StageReached) -> RunRecord:
    """Return a run updated with a stage that it has reached."""
    return run._replace(**_changes(event))


def _changes(event: StageReached) -> dict[str, Any]:
    changes: dict[str, Any] = dict.fromkeys(("final", "collected"))
    changes |= {"stage": event.stage, "why": event.why or "", "discarded": bool(event.discarded)}
    given = {name: getattr(event, name) for name in _KEPT}
    return changes | {name: value for name, value in given.items() if value is not None}


_KEPT = ("job", "submission", "job_number", "command", "taken")
"""The fields that keep their value if the event does not set them."""


def _lines(path: Path) -> Iterator[bytes]:
    """Yield a record's lines, without one that a crash cut short; a large record has many."""
    with reading(path), path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _unreadable(path: Path, line: int, error: Exception) -> RecordError:
    if isinstance(error, NewerRecordError):
        return RecordError(
            f"{path} has format {error}, but this pytest-remex reads formats up to {FORMAT}: "
            f"upgrade it with `pip install -U pytest-remex`"
        )
    return RecordError(
        f"launch record {path} is damaged in line {line} ({error}): restore the file from a "
        f"backup, or move it away if its runs no longer matter"
    )


def worker_of(path: Path) -> str:
    """Return what names the temporary branch of a file's writer: see `Journal.worker`."""
    return path.stem.replace(ADDED, "+")


ORDER = (
    Stage.COMMITTED,
    Stage.PUSHED,
    Stage.PLACED,
    Stage.SUBMITTING,
    Stage.INDOUBT,
    Stage.REFUSED,
    Stage.HELD,
    Stage.REJECTED,
    Stage.RELEASED,
)
"""The stages, from least to most advanced."""


def merged(records: Iterable[LaunchRecord]) -> list[LaunchRecord]:
    """Return one record for each launch, oldest launch first.

    The record of a launch is the file that began it: the output folder's own, unless there is a
    copy of it, which exists only if it says more.
    """
    groups = grouped(((each.launch.id, each.launch.token), each) for each in records)
    found = [_merge(sorted(group, key=_precedence)) for group in groups.values()]
    return sorted(found, key=lambda record: (launch_stamp(record.launch.id), record.launch.id))


def _precedence(record: LaunchRecord) -> tuple[bool, bool, str]:
    """Return a key that sorts copies first and own additions last, so that their names win."""
    return is_addition(record.path), record.own, record.path.stem


def _merge(files: list[LaunchRecord]) -> LaunchRecord:
    record, *others = files
    removed = frozenset[str]().union(*(each.removed for each in files))
    left = {
        each.worker: each.tips
        for each in files
        if each.tips and not each.own and not each.tidied and each.worker not in removed
    }
    if not record.own:
        record = record._replace(tips=(), tidied=False)  # they are about another client's branch
    for other in others:
        runs = dict(record.runs)
        for sha, run in other.runs.items():
            runs[sha] = _further(runs[sha], run) if sha in runs else run
        for sha, notes in other.notes.items():
            if sha in runs:
                runs[sha] = _noted(runs[sha], notes)
        record = record._replace(runs=runs)
        if other.own and is_addition(other.path):
            record = record._replace(tips=other.tips, tidied=other.tidied)
    return record._replace(removed=removed, left=left)


def _further(one: RunRecord, other: RunRecord) -> RunRecord:
    """Combine what two files say about a run; the names are those of `other`."""
    ahead, behind = (one, other) if _progress(one) >= _progress(other) else (other, one)
    same = behind.final is not None and behind.final.id == ahead.job
    known = behind.command if behind.job_number == ahead.job_number else ""
    found = ahead._replace(
        final=ahead.final or (behind.final if same else None),
        collected=_collected(ahead, behind.collected),
        command=ahead.command or known,  # copies have none
        identity=ahead.identity or behind.identity,
        discarded=ahead.discarded or (behind.discarded and _progress(one) == _progress(other)),
        variants=tuple(dict.fromkeys((*one.variants, *other.variants))),
    )
    if (one.node, one.point, one.aliases) == (other.node, other.point, other.aliases):
        return found
    for names in (*one.aliases, Renamed.of(one), *other.aliases, Renamed.of(other)):
        found = names.apply(found)
    return found


def _collected(run: RunRecord, other: Collection | None) -> Collection | None:
    """Return who collected a run's job, by its own file or by another one."""
    is_about_its_job = other is not None and other.job == run.job
    return run.collected or (other if is_about_its_job else None)


def _progress(run: RunRecord) -> tuple[int, int]:
    return run.job_number, ORDER.index(run.stage)


def _noted(run: RunRecord, notes: Mapping[str, Any]) -> RunRecord:
    """Return a run with another file's notes: its final state, who collected it, its names."""
    final = notes.get("final")
    is_end = run.final is None and getattr(final, "id", None) == run.job
    found = run._replace(
        final=final if is_end else run.final,
        collected=_collected(run, notes.get("collected")),
        variants=tuple(dict.fromkeys((*run.variants, *notes.get("variants", ())))),
    )
    for names in notes.get("renamed", ()):
        found = names.apply(found)
    return found
