"""Fetch outputs: query jobs, list files, make one transfer, list again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich import filesize

from pytest_remex.collect.manifest import (
    FetchedOutputs,
    FileVersion,
    belongs_to,
    write_outputs,
)
from pytest_remex.collect.query import query
from pytest_remex.collect.removal import today
from pytest_remex.collect.runs import (
    WITHOUT_OUTPUT,
    CollectedRun,
    WantedRun,
    job_if_elsewhere,
    on_this_machine,
)
from pytest_remex.collect.sync import share
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import ListOutputs, Outputs
from pytest_remex.display import Progress, counted
from pytest_remex.errors import RemoteError
from pytest_remex.records.fields import Collected
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.launch import whoami

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect, Connection
    from pytest_remex.transport.transfer import TransferProgress

FETCHING = "fetching"
"""The phase in which files are copied, and this process waits for them."""
SHOWN = 5
"""The most patterns that a message names."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What to fetch of runs.

    `partial`: also fetch outputs of running jobs. `again`: list complete runs again too, as their
    outputs may have changed. Files of more than `largest` bytes stay on the cluster; None for no
    limit. More than `most` bytes in all are refused; None for no limit.
    """

    partial: bool = False
    again: bool = False
    largest: int | None = None
    most: int | None = None


def fetch_outputs(
    runs: Iterable[WantedRun],
    connect: Connect,
    folder: Path,
    progress: Progress,
    options: FetchOptions = FetchOptions(),
) -> list[CollectedRun]:
    """Fetch the outputs of runs whose jobs have ended.

    Only files that changed are fetched again; a complete run is not even listed, unless
    `options.again` says so, or it lacks an output: an epilog or a file server may be late, or a
    user adds it by hand.

    Args:
        runs: The runs.
        connect: Returns the connection to a remote.
        folder: The folder for outputs, with a subfolder per run directory.
        progress: Called with the progress of the transfer.
        options: What to fetch of each run.

    Raises:
        RemoteError: A remote cannot be reached, a transfer fails, or there is too much to fetch.
        RecordError: A note or a launch record cannot be written.

    """
    runs = list(runs)
    jobs = query([each.recorded for each in runs], connect)
    here = on_this_machine(runs, jobs, folder)
    wanted = [each for each in here if _is_wanted(each, options)]
    fetched: dict[str, CollectedRun] = {}
    listed = [
        _list(group, connect(remote), progress, options)
        for remote, group in grouped((each.launch.remote, each) for each in wanted).items()
    ]
    _refuse_above(options.most, (file for each in listed for file in each.wanted_files()))
    for each_listed in listed:
        fetched |= _fetch(each_listed, folder, progress)
    collected = [fetched.get(each.run.directory, each) for each in here]
    share([each.recorded for each in collected if _is_news(each)], _collected_events, connect)
    return collected


def _is_news(each: CollectedRun) -> bool:
    """Return whether all outputs of a run are here, and the records do not say that anybody's are.

    This is also so after a collect that was interrupted. A run that lacks an output does not count:
    if its directory is purged, a retry runs it again.
    """
    is_complete = each.outputs.complete and each.outputs.job == each.job.id == each.run.job
    return is_complete and not each.missing and each.run.collected is None


def _collected_events(runs: list[RecordedRun]) -> list[Collected]:
    jobs = {each.run.commit.sha: each.run.job for each in runs}
    return [Collected(whoami(), today(), jobs)]


def _is_wanted(each: CollectedRun, options: FetchOptions) -> bool:
    too_large, largest = each.outputs.too_large, options.largest
    more = any(largest is None or size <= largest for size in too_large.values())
    if _was_listed(each) and not (more or each.missing or options.again):
        return False
    if each.job.state in WITHOUT_OUTPUT:
        return False
    return each.job.state.ended or (options.partial and each.job.state is JobState.RUNNING)


def _was_listed(each: CollectedRun) -> bool:
    """Return whether everything that is to be fetched was listed after the run's job had ended."""
    here = each.outputs
    return here.complete and (here.job, here.patterns) == (each.job.id, each.patterns)


class _Listing(NamedTuple):
    """Runs on one remote, and a listing of their outputs by run directory.

    Files above `largest` bytes are not fetched.
    """

    runs: Sequence[CollectedRun]
    connection: Connection
    largest: int | None
    listed: Mapping[str, FetchedOutputs] = {}

    @property
    def stale(self) -> list[tuple[CollectedRun, str]]:
        """The files that are missing here or have changed, each with its run."""
        return [
            (each, name)
            for each in self.runs
            for name in each.outputs.stale(self.listed[each.run.directory].files)
        ]

    def wanted_files(self) -> Iterator[_WantedFile]:
        """Yield what is to be fetched."""
        for each, name in self.stale:
            size, _ = self.listed[each.run.directory].files[name]
            yield _WantedFile(name, size, each.patterns)

    def answers(self) -> Iterator[tuple[CollectedRun, FetchedOutputs]]:
        """List again, and yield each run with its current outputs as they arrive."""
        left = {each.run.directory: each for each in self.runs}
        listed = [ListedRun(name, list(each.patterns)) for name, each in left.items()]
        request = ListOutputs(self.connection.remote.runs, listed, largest=self.largest)
        for event in self.connection.ask(request):
            if isinstance(event, Outputs) and event.directory in left:
                each = left.pop(event.directory)
                yield each, _listed(event, each.patterns)
        for each in left.values():
            yield each, FetchedOutputs(patterns=each.patterns)


def _listed(event: Outputs, patterns: tuple[str, ...]) -> FetchedOutputs:
    return FetchedOutputs(
        files={file.path: (file.size, file.mtime_ns) for file in event.files},
        patterns=patterns,
        missing=tuple(event.missing),
        links=tuple(event.links),
        gone=event.gone,
        too_large={file.path: file.size for file in event.too_large},
        refused=event.refused,
    )


def _list(
    runs: Sequence[CollectedRun], connection: Connection, progress: Progress, options: FetchOptions
) -> _Listing:
    progress("listing", 0, len(runs))
    listing = _Listing(runs, connection, options.largest)
    listed = {each.run.directory: outputs for each, outputs in listing.answers()}
    progress("listing", len(runs), len(runs))
    return listing._replace(listed=listed)


def _fetch(listing: _Listing, folder: Path, progress: Progress) -> dict[str, CollectedRun]:
    connection, before = listing.connection, listing.listed
    stale = [f"{each.run.directory}/{name}" for each, name in listing.stale]
    vanished: set[str] = set()
    if stale:
        progress(FETCHING, 0, len(stale))

        def tell(moved: TransferProgress) -> None:
            progress(FETCHING, moved.files, len(stale), _speed(moved))

        vanished = set(connection.fetch(connection.runs(), stale, folder, progress=tell))
    # notes are written while the cluster lists on
    return {
        each.run.directory: _noted(each, before[each.run.directory], now, vanished)
        for each, now in listing.answers()
    }


def _speed(moved: TransferProgress) -> str:
    return f"{filesize.decimal(moved.bytes)}, {filesize.decimal(round(moved.rate))}/s"


def _noted(
    each: CollectedRun,
    before: FetchedOutputs,
    after: FetchedOutputs,
    vanished: set[str],
) -> CollectedRun:
    """Record what was fetched of a run; `vanished` are files that were not there to be copied."""
    directory = each.run.directory
    if before.gone:
        return _keep(each)
    if why := before.refused:
        return each._replace(outputs=each.outputs._replace(refused=why))
    files = {
        name: version
        for name, version in before.files.items()
        if f"{directory}/{name}" not in vanished
    }
    unchanged = files == dict(after.files)
    outputs = before._replace(
        files=_kept_files(each) | files,
        job=each.job.id,
        complete=unchanged and each.job.state.ended,
    )
    unread = before.files.keys() & after.files.keys() - files.keys()
    if unread:
        outputs = _with_unread(outputs, before.files, sorted(unread))
    if outputs != each.outputs:
        write_outputs(each.folder, outputs)
    return each._replace(outputs=outputs)


def _kept_files(each: CollectedRun) -> dict[str, FileVersion]:
    """Return the outputs of this job that were fetched before: they stay, also after a purge."""
    if each.outputs.job != each.job.id:
        return {}
    return {
        name: version
        for name, version in each.outputs.files.items()
        if any(belongs_to(name, pattern) for pattern in each.patterns)
        and (each.folder / name).is_file()
    }


def _with_unread(
    outputs: FetchedOutputs, listed: Iterable[str], unread: Sequence[str]
) -> FetchedOutputs:
    """Return outputs of which some are there, but cannot be read, such as another user's."""
    lacking = []
    for pattern in outputs.patterns:
        matching = {name for name in listed if belongs_to(name, pattern)}
        if matching and matching <= set(unread):
            lacking.append(pattern)
    why = f"{unread[0]} is there, but could not be read: check its permissions, and collect again"
    return outputs._replace(missing=(*outputs.missing, *lacking), refused=why)


def _keep(each: CollectedRun) -> CollectedRun:
    """Keep what was fetched of a run whose directory is gone; note if outputs are missing."""
    if _was_listed(each) and not each.outputs.too_large:  # they were missing before
        return each
    outputs = each.outputs._replace(gone=bool(each.missing or each.missing_config))
    if outputs != each.outputs:
        write_outputs(each.folder, outputs)
    return each._replace(outputs=outputs, job=job_if_elsewhere(each.run, each.job, outputs))


class _WantedFile(NamedTuple):
    """An output to fetch: its path in the run directory, size in bytes, and the run's patterns."""

    name: str
    size: int
    patterns: Sequence[str]

    @property
    def pattern(self) -> str:
        """The pattern that it is fetched for: the first one that matches it."""
        matching = (each for each in self.patterns if fnmatchcase(self.name, each))
        return next(matching, self.name.partition("/")[0])


def _refuse_above(most: int | None, files: Iterable[_WantedFile]) -> None:
    """Refuse to fetch more bytes than `most` in all; None means any number.

    Raises:
        RemoteError: The files have more; the message says how much, by pattern.

    """
    files = list(files)
    total = sum(each.size for each in files)
    if most is None or total <= most:
        return
    sizes = grouped((each.pattern, each.size) for each in files)
    largest = sorted(sizes, key=lambda pattern: -sum(sizes[pattern]))
    named = [f"{pattern}: {_amount(sizes[pattern])}" for pattern in largest[:SHOWN]]
    more = [f"{len(largest) - SHOWN} more patterns"] if len(largest) > SHOWN else []
    raise RemoteError(
        f"this collect would fetch {_amount([each.size for each in files])}, above "
        f"remex_confirm_bytes = {filesize.decimal(most)}: nothing was fetched\n"
        f"{'; '.join([*named, *more])}\n"
        f"add --remex-yes to fetch it (in a script: yes=True), or choose fewer experiments (-k) "
        f"or fewer files with fetch= or remex_max_file"
    )


def _amount(sizes: Sequence[int]) -> str:
    return f"{filesize.decimal(sum(sizes))} in {counted(len(sizes), 'file')}"
