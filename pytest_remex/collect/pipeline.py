"""The phase that brings outputs back: query, list, one transfer, list again."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich import filesize

from pytest_remex.collect.manifest import Outputs, read_outputs, write_outputs
from pytest_remex.collect.query import query
from pytest_remex.common import protocol
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.protocol import ListedRun, ListOutputs
from pytest_remex.interaction import Progress
from pytest_remex.model import Remote
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord
from pytest_remex.sbatch.header import Header, output_patterns
from pytest_remex.transport import Connection, TransferProgress


@dataclass(frozen=True, slots=True)
class Collected:
    """A run with its job's state and what is here of its outputs, in `folder`.

    `logs` are the globs of its job's output in its run directory, standard output first.
    """

    run: RecordedRun
    job: Job
    folder: Path
    outputs: Outputs
    logs: tuple[str, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs of all that is fetched."""
        launch = self.run.record.launch
        config = (launch.config_file,) if launch.config_file else ()
        return tuple(dict.fromkeys((*launch.fetch, *config, *self.logs)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where outputs come from and go to."""

    connect: Callable[[Remote], Connection]
    folder: Path
    """The folder for outputs: a folder in it for each run directory."""


def collect(
    runs: Iterable[RecordedRun], place: Place, progress: Progress, *, offline: bool, partial: bool
) -> list[Collected]:
    """Fetch the outputs of runs whose jobs have ended, and with `partial` of running ones too.

    `offline` asks nobody and takes what is here. Only what changed is fetched again; a run that
    was complete is not even looked at. Raises `RemoteError`, and
    `RecordError` where a note or a launch record cannot be written.
    """
    runs = list(runs)
    jobs = query(runs, place.connect, offline=offline)
    here = [_here(run, jobs[run.entry.directory], place.folder) for run in runs]
    if offline:
        return here
    wanted = [each for each in here if _is_wanted(each, partial=partial)]
    fetched: dict[str, Collected] = {}
    for remote, group in _by_remote(wanted).items():
        fetched |= _fetch(group, place.connect(remote), place.folder, progress)
    return [fetched.get(each.run.entry.directory, each) for each in here]


def _here(run: RecordedRun, job: Job, folder: Path) -> Collected:
    mine = folder / run.entry.directory
    return Collected(run, job, mine, read_outputs(mine), _logs(run.entry))


def _logs(entry: RunRecord) -> tuple[str, ...]:
    header = entry.header
    lines, output, error, name = (header.get(key) for key in ("lines", "output", "error", "name"))
    asked = Header(
        lines=tuple(map(str, lines)) if isinstance(lines, list) else (),
        shebang=str(header.get("shebang", "")),
        output=str(output) if output else None,
        error=str(error) if error else None,
        name=str(name) if name else None,
        time_limit=None,
        held=False,
        cores=1,
        partition=None,
    )
    return output_patterns(asked, entry.job, user=_user())


@functools.cache
def _user() -> str:
    return getpass.getuser()


def _is_wanted(each: Collected, *, partial: bool) -> bool:
    here = each.outputs
    if here.complete and (here.job, here.patterns) == (each.job.id, each.patterns):
        return False
    if each.job.state in {JobState.REJECTED, JobState.LOST}:
        return False
    return each.job.state.ended or (partial and each.job.state is JobState.RUNNING)


def _by_remote(group: Sequence[Collected]) -> dict[Remote, list[Collected]]:
    remotes: dict[Remote, list[Collected]] = {}
    for each in group:
        remotes.setdefault(each.run.record.launch.remote, []).append(each)
    return remotes


def _fetch(
    group: Sequence[Collected], connection: Connection, folder: Path, progress: Progress
) -> dict[str, Collected]:
    progress("listing", 0, len(group))
    listed = _list(group, connection)
    lacking = [
        f"{directory}/{name}"
        for directory, each in zip(listed, group, strict=True)
        for name in each.outputs.lacking(listed[directory].files)
    ]
    lost: set[str] = set()
    if lacking:
        progress("fetching", 0, len(lacking))
        lost = set(
            connection.fetch(
                connection.host().runs,
                lacking,
                folder,
                progress=lambda moved: progress(
                    "fetching", moved.files, len(lacking), _speed(moved)
                ),
            )
        )
    again = _list(group, connection)
    return {each.run.entry.directory: _noted(each, listed, again, lost) for each in group}


def _speed(moved: TransferProgress) -> str:
    return f"{filesize.decimal(moved.bytes)}, {filesize.decimal(round(moved.rate))}/s"


def _noted(
    each: Collected, before: Mapping[str, Outputs], after: Mapping[str, Outputs], lost: set[str]
) -> Collected:
    directory = each.run.entry.directory
    files = {
        name: file
        for name, file in before[directory].files.items()
        if f"{directory}/{name}" not in lost
    }
    unchanged = files == dict(after[directory].files)
    outputs = replace(
        before[directory],
        files=files,
        job=each.job.id,
        complete=unchanged and each.job.state.ended,
    )
    write_outputs(each.folder, outputs)
    return replace(each, outputs=outputs)


def _list(group: Sequence[Collected], connection: Connection) -> dict[str, Outputs]:
    patterns = {each.run.entry.directory: each.patterns for each in group}
    found = {directory: Outputs(patterns=wanted) for directory, wanted in patterns.items()}
    request = ListOutputs(
        connection.remote.runs, [ListedRun(name, list(wanted)) for name, wanted in patterns.items()]
    )
    for event in connection.ask(request):
        if isinstance(event, protocol.Outputs):
            found[event.directory] = _listed(event, patterns[event.directory])
    return found


def _listed(event: protocol.Outputs, patterns: tuple[str, ...]) -> Outputs:
    return Outputs(
        files={file.path: (file.size, file.mtime_ns) for file in event.files},
        patterns=patterns,
        missing=tuple(event.missing),
        links=tuple(event.links),
    )
