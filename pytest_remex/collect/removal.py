"""Remove run directories and fetched outputs, record what was removed, and find what was purged.

The record is `<outputs>/.remex/removed.json`; it stays when the outputs themselves are removed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.collect.manifest import JUDGED_NOTE, read_note, read_outputs, write_outputs
from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import ListedRun, RemovableRun
from pytest_remex.common.paths import REMEX
from pytest_remex.common.protocol import ListOutputs, Outputs, Remove, Removed
from pytest_remex.common.typed_json import from_json
from pytest_remex.io import replace_file, writing
from pytest_remex.records.index import RecordedRun, RunIndex

if TYPE_CHECKING:
    from pytest_remex.records.schema import RunRecord
    from pytest_remex.transport.connection import Connect

NOTE = f"{REMEX}/removed.json"
KEPT = frozenset({Path(NOTE).name, Path(JUDGED_NOTE).name})
"""Notes that stay: what was removed, and the last verdict, which a retry may depend on."""


class RemovalNote(NamedTuple):
    """What was removed of a run, and when: its run directory, its outputs on this machine.

    `collected` means that its outputs had been fetched completely before.
    """

    when: str = ""
    directory: bool = False
    outputs: bool = False
    collected: bool = False

    @property
    def purged(self) -> bool:
        """Whether nothing of the run is left."""
        return self.directory and (self.outputs or not self.collected)


def read_removal(folder: Path) -> RemovalNote:
    """Return the note in a run's folder of outputs; an empty one if there is none."""
    try:
        return from_json(RemovalNote, read_note(folder / NOTE))
    except ValueError:
        return RemovalNote()


def removal_of(run: RunRecord, folder: Path) -> RemovalNote:
    """Return the note on a run; an empty one if only others collected it, as if a site purged it.

    Its outputs still exist, so neither is it lost, nor is the date of the removal what helps.
    """
    note = read_removal(folder)
    return RemovalNote() if run.collected and not note.collected else note


def job_with_removal(job: Job, run: RunRecord, folder: Path) -> Job:
    """Return a run's job, updated with what was removed: PURGED if nothing is left."""
    note = removal_of(run, folder)
    if not note.directory or not job.state.ended or job.state is JobState.REJECTED:
        return job
    if not note.purged:
        return job._replace(reason=f"run directory removed on {note.when}")
    before = "" if note.collected else ", before it was collected"
    why = f"removed with --remex-clean on {note.when}{before}"
    return job._replace(state=JobState.PURGED, reason=why)


class PurgedRuns:
    """Find completed runs whose directory no longer exists; each is looked for once."""

    def __init__(self, folder: Path, connect: Connect) -> None:
        self._folder = folder
        self._connect = connect
        self._looked_for: set[str] = set()
        self._gone: set[str] = set()

    def look_for(self, runs: Iterable[RecordedRun]) -> None:
        """Look for run directories. Raises `RemoteError` if a remote cannot be asked."""
        wanted = grouped(
            (each.launch.remote, each.run.directory)
            for each in runs
            if each.run.directory not in self._looked_for
        )
        for remote, directories in wanted.items():
            connection = self._connect(remote)
            listed = [ListedRun(directory, []) for directory in directories]
            for event in connection.ask(ListOutputs(connection.remote.runs, listed)):
                if isinstance(event, Outputs) and event.gone:
                    self._gone.add(event.directory)
            self._looked_for.update(directories)

    def job(self, recorded: RecordedRun, job: Job) -> Job:
        """Return a completed run's job: PURGED if its outputs are gone with its directory.

        A retry sends such a run again, also without a collect in between.

        Raises:
            RecordError: That cannot be noted.

        """
        run = recorded.run
        folder = self._folder / run.directory
        if run.directory not in self._gone or removal_of(run, folder).directory:
            return job
        outputs = read_outputs(folder)
        if outputs.complete:
            return job._replace(reason="collected, run directory is gone")
        if not outputs.gone:
            outputs = outputs._replace(gone=True)
            write_outputs(folder, outputs)
        if who := run.collected:
            had, fix = f"collected by {who.by} on {who.on}", "--remex-collect says what to copy"
        else:
            had, fix = "not collected", "--remex-submit --remex-retry runs it again"
        why = f"{had}, run directory is gone: {fix}"
        return job._replace(state=JobState.PURGED, reason=why)


def measure_outputs(folder: Path) -> tuple[int, int]:
    """Return the number of output files in a run's folder, and their size; none behind a link."""
    files = size = 0
    for place, _, names in () if folder.is_symlink() else os.walk(folder):
        for name in names:
            if name not in KEPT:
                size += os.lstat(f"{place}/{name}").st_size
                files += 1
    return files, size


def remove_outputs(folder: Path) -> None:
    """Remove a run's fetched outputs, and record that. Raises `RecordError`."""
    _remember(folder, outputs=True)
    with writing(folder):
        for path in folder.iterdir():
            if path.name == REMEX:
                _empty(path)
            else:
                _remove(path)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in KEPT:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


def today() -> str:
    """Return today's date, as the user counts days."""
    return date.today().isoformat()  # noqa: DTZ011 - not as UTC counts them


def _remember(folder: Path, *, directory: bool = False, outputs: bool = False) -> None:
    before = read_removal(folder)
    note = RemovalNote(
        when=today(),
        directory=before.directory or directory,
        outputs=before.outputs or outputs,
        collected=before.collected or read_outputs(folder).complete,
    )
    with writing(folder):
        (folder / REMEX).mkdir(parents=True, exist_ok=True)
    replace_file(folder / NOTE, json.dumps(note._asdict()))


class RunRemoval(NamedTuple):
    """What to remove: run directories, outputs on this machine; `measure` to remove nothing."""

    directories: bool
    outputs: bool
    measure: bool


class Cleaned(NamedTuple):
    """What was removed, or would be, by run directory.

    Attributes:
        directories: What was said of run directories.
        outputs: The number of output files, and their size in bytes.
        needed_by: The node ids of runs that may still need the files of those left alone.
        uncollected: How many run directories there were whose outputs nobody has completely.
        elsewhere: How many there were whose outputs only others have completely.
        large: How many of the others have outputs that were too large to be fetched.
    """

    directories: Mapping[str, Removed]
    outputs: Mapping[str, tuple[int, int]]
    needed_by: Mapping[str, str]
    uncollected: int
    elsewhere: int
    large: int


def clean(
    runs: Mapping[str, RecordedRun],
    index: RunIndex,
    connect: Connect,
    folder: Path,
    removal: RunRemoval,
) -> Cleaned:
    """Remove, or only measure, what there is of runs that no other needs, and record that.

    Args:
        runs: The runs by run directory; their jobs have ended.
        index: All runs that are known there.
        connect: Returns the connection to a remote.
        folder: The folder for outputs.
        removal: What to remove.

    Raises:
        RemoteError: A remote cannot be queried.
        RecordError: A note cannot be written.

    """
    needed_by = _needed_by(runs, index, connect) if removal.directories else {}
    free = {name: each for name, each in runs.items() if name not in needed_by}
    measured = {name: measure_outputs(folder / name) for name in free if removal.outputs}
    outputs = {name: found for name, found in measured.items() if found[0]}
    notes = {name: read_outputs(folder / name) for name in free}
    complete = {name for name, note in notes.items() if note.complete}
    large = {name for name in complete if notes[name].too_large}
    asked = free.values() if removal.directories else ()
    directories = _ask(asked, connect, only_measure=removal.measure)
    if not removal.measure:
        for name, reply in directories.items():
            if not reply.refused:
                _remember(folder / name, directory=True)
        for name in outputs:
            remove_outputs(folder / name)
    there = {name for name, each in directories.items() if not (each.gone or each.refused)}
    elsewhere = {name for name in there - complete if free[name].run.collected}
    refused = {name for name in there if not free[name].run.job}
    uncollected = len(there - complete - elsewhere - refused)
    return Cleaned(directories, outputs, needed_by, uncollected, len(elsewhere), len(there & large))


def _needed_by(names: Iterable[str], index: RunIndex, connect: Connect) -> dict[str, str]:
    """Return the nodes that may still need files of runs, by run directory."""
    after = {name: index.unended_after(name) for name in names}
    asked = {each.run.directory: each for some in after.values() for each in some}
    jobs = query(asked.values(), connect, QueryOptions(release=False, explain=False))
    return {
        name: needing[0].run.node
        for name, some in after.items()
        if (needing := [each for each in some if not jobs[each.run.directory].state.ended])
    }


def _ask(
    runs: Iterable[RecordedRun], connect: Connect, *, only_measure: bool
) -> dict[str, Removed]:
    found: dict[str, Removed] = {}
    for remote, group in grouped((each.launch.remote, each) for each in runs).items():
        wanted = [
            RemovableRun(e.run.directory, e.launch.token, e.run.commit.sha, e.run.job)
            for e in group
        ]
        connection = connect(remote)
        request = Remove(connection.remote.runs, wanted, only_measure)
        for event in connection.ask(request):
            if isinstance(event, Removed):
                found[event.directory] = event
    return found


def total(removed: Mapping[str, Removed]) -> tuple[int, int, int]:
    """Return the number of run directories, of their files, and of their bytes."""
    there = [each for each in removed.values() if not each.refused and not each.gone]
    return len(there), sum(each.files for each in there), sum(each.bytes for each in there)
