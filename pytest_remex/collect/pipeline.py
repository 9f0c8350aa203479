"""Fetch outputs: query jobs, list files, make one transfer, list again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import filesize

from pytest_remex.collect.fetch_limit import WantedFile, refuse_above
from pytest_remex.collect.logs import log_patterns
from pytest_remex.collect.manifest import (
    FetchedOutputs,
    first_present,
    is_only_elsewhere,
    read_outputs,
    write_outputs,
)
from pytest_remex.collect.query import query, recorded_jobs
from pytest_remex.collect.removal import job_with_removal, read_removal, today
from pytest_remex.collect.sync import share
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import ListOutputs, Outputs
from pytest_remex.display import Progress
from pytest_remex.model import OptionalOutput, Remote, Sweep
from pytest_remex.records.fields import Collected
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.launch import Launch, whoami
from pytest_remex.records.schema import RunRecord
from pytest_remex.transport import Connect, Connection, TransferProgress


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run to collect; `sweep` is the current sweep, which says what to fetch."""

    recorded: RecordedRun
    sweep: Sweep

    @classmethod
    def as_launched(cls, recorded: RecordedRun) -> WantedRun:
        """Return a run for which to fetch what its launch asked for."""
        launch = recorded.launch
        sweep = Sweep(
            launch.name,
            base_config=launch.base_config,
            fetch=launch.fetch,
            config_files=launch.config_files,
        )
        return cls(recorded, sweep)


@dataclass(frozen=True, slots=True)
class CollectedRun:
    """A run with its job's state, and the outputs that are on this machine, in `folder`.

    `sweep` is the current sweep; `logs` are globs for its job's output in its run directory,
    standard output first.
    """

    recorded: RecordedRun
    sweep: Sweep
    job: Job
    folder: Path
    outputs: FetchedOutputs
    logs: tuple[str, ...]
    upstream: CollectedRun | None = None
    """The run that it came after."""

    @property
    def run(self) -> RunRecord:
        """The run."""
        return self.recorded.run

    @property
    def launch(self) -> Launch:
        """The run's launch."""
        return self.recorded.launch

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs of everything to fetch."""
        wanted = (*self.sweep.fetch, *self.sweep.config_files, *self.logs)
        return tuple(dict.fromkeys(map(str, wanted)))

    @property
    def missing(self) -> tuple[str, ...]:
        """The globs that must match an output, but match none on this machine."""
        found = set(self.outputs.patterns) - set(self.outputs.missing)
        wanted = (str(each) for each in self.sweep.fetch if not isinstance(each, OptionalOutput))
        return tuple(each for each in wanted if each not in found and not self._is_here(each))

    @property
    def missing_config(self) -> tuple[str, ...]:
        """The config files that are not on this machine."""
        return tuple(name for name in self.sweep.config_files if not self._is_here(name))

    def _is_here(self, pattern: str) -> bool:
        path = first_present(self.folder, [pattern])
        # a copy from before a file became too large does not count
        return path is not None and str(path.relative_to(self.folder)) not in self.outputs.too_large


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What to fetch of runs.

    `partial`: also fetch outputs of running jobs. Files of more than `largest` bytes stay on the
    cluster; None for no limit. More than `most` bytes in all are refused; None for no limit.
    """

    partial: bool = False
    largest: int | None = None
    most: int | None = None


def collect_offline(runs: Iterable[WantedRun], folder: Path) -> list[CollectedRun]:
    """Return runs with the outputs on this machine; no connection is made."""
    runs = list(runs)
    jobs = recorded_jobs(each.recorded for each in runs)
    return on_this_machine(runs, jobs, folder)


def on_this_machine(
    runs: Iterable[WantedRun], jobs: Mapping[str, Job], folder: Path
) -> list[CollectedRun]:
    """Return runs with the outputs on this machine, given the job of each run directory."""
    return [_on_this_machine(each, jobs, folder) for each in runs]


def collect(
    runs: Iterable[WantedRun],
    connect: Connect,
    folder: Path,
    progress: Progress,
    options: FetchOptions = FetchOptions(),
) -> list[CollectedRun]:
    """Fetch the outputs of runs whose jobs have ended.

    Only files that changed are fetched again; a complete run is not even listed.

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
    here = [_on_this_machine(each, jobs, folder) for each in runs]
    wanted = [each for each in here if _is_wanted(each, options)]
    fetched: dict[str, CollectedRun] = {}
    listed = [
        _list(group, connect(remote), progress, options)
        for remote, group in _by_remote(wanted).items()
    ]
    refuse_above(options.most, (file for each in listed for file in each.wanted_files()))
    for each_listed in listed:
        fetched |= _fetch(each_listed, folder, progress)
    collected = [fetched.get(each.run.directory, each) for each in here]
    share([each.recorded for each in collected if _is_news(each)], _collected_events, connect)
    return collected


def _is_news(each: CollectedRun) -> bool:
    """Return whether all outputs of a run are here, and the records do not say that anybody's are.

    This is also so after a collect that was interrupted.
    """
    is_complete = each.outputs.complete and each.outputs.job == each.job.id == each.run.job
    return is_complete and each.run.collected is None


def _collected_events(runs: list[RecordedRun]) -> list[Collected]:
    jobs = {each.run.commit.sha: each.run.job for each in runs}
    return [Collected(whoami(), today(), jobs)]


def wanted_upstreams(runs: Iterable[WantedRun], index: RunIndex) -> list[WantedRun]:
    """Return the runs that runs came after, and those before, as far as they are recorded."""
    found: dict[str, WantedRun] = {}
    for each in runs:
        run, sweep = each.recorded.run, each.sweep.after
        while run.upstream is not None and sweep is not None:
            before = index.of_directory(run.upstream.directory)
            if before is None:
                break
            record = replace(before.record, launch=_reached_as(before.launch, each.recorded.launch))
            wanted = WantedRun(RecordedRun(record, before.run), sweep)
            found[before.run.directory] = wanted
            run, sweep = before.run, sweep.after
    return list(found.values())


def _reached_as(launch: Launch, other: Launch) -> Launch:
    """Return a launch that is reached as another one if it is on the same host."""
    return replace(launch, remote=launch.remote.reached_as(other.remote))


def with_upstreams(
    collected: Iterable[CollectedRun], others: Iterable[CollectedRun]
) -> list[CollectedRun]:
    """Return collected runs, each with the run that it came after, among them or `others`."""
    collected = list(collected)
    known = {each.run.directory: each for each in (*collected, *others)}

    def linked(each: CollectedRun) -> CollectedRun:
        before = known.get(each.run.upstream.directory) if each.run.upstream else None
        return replace(each, upstream=linked(before)) if before else each

    return [linked(each) for each in collected]


def was_cleaned(collected: CollectedRun) -> bool:
    """Return whether the user removed a run after it had been collected."""
    is_purged = collected.job.state is JobState.PURGED
    return is_purged and read_removal(collected.folder).collected


def _on_this_machine(wanted: WantedRun, jobs: Mapping[str, Job], folder: Path) -> CollectedRun:
    run = wanted.recorded.run
    here = folder / run.directory
    outputs, job = read_outputs(here), job_with_removal(jobs[run.directory], here)
    job = _job_if_elsewhere(run, job, outputs)
    return CollectedRun(wanted.recorded, wanted.sweep, job, here, outputs, log_patterns(run))


def _job_if_elsewhere(run: RunRecord, job: Job, outputs: FetchedOutputs) -> Job:
    """Return a run's job; PURGED if its directory no longer exists, but others have outputs."""
    if not is_only_elsewhere(run, outputs) or run.collected is None:
        return job
    who = run.collected
    why = (
        f"collected by {who.by} on {who.on}, and its run directory no longer exists: copy "
        f"{run.directory} from the folder runs of the remex-output there, or run it once more "
        f"with --remex-submit --remex-retry=all"
    )
    return job._replace(state=JobState.PURGED, reason=why)


def _is_wanted(each: CollectedRun, options: FetchOptions) -> bool:
    here, largest = each.outputs, options.largest
    more = any(largest is None or size <= largest for size in here.too_large.values())
    if here.complete and not more and (here.job, here.patterns) == (each.job.id, each.patterns):
        return False
    if each.job.state in {JobState.REJECTED, JobState.LOST, JobState.PURGED}:
        return False
    return each.job.state.ended or (options.partial and each.job.state is JobState.RUNNING)


def _by_remote(runs: Sequence[CollectedRun]) -> dict[Remote, list[CollectedRun]]:
    remotes: dict[Remote, list[CollectedRun]] = {}
    for each in runs:
        remotes.setdefault(each.launch.remote, []).append(each)
    return remotes


@dataclass(frozen=True, slots=True)
class _Listing:
    """Runs on one remote, and a listing of their outputs by run directory.

    Files above `largest` bytes are not fetched.
    """

    runs: Sequence[CollectedRun]
    connection: Connection
    largest: int | None
    listed: Mapping[str, FetchedOutputs] = field(default_factory=dict)

    @property
    def stale(self) -> list[tuple[CollectedRun, str]]:
        """The files that are missing here or have changed, each with its run."""
        return [
            (each, name)
            for each in self.runs
            for name in each.outputs.stale(self.listed[each.run.directory].files)
        ]

    def wanted_files(self) -> Iterator[WantedFile]:
        """Yield what is to be fetched."""
        for each, name in self.stale:
            size, _ = self.listed[each.run.directory].files[name]
            yield WantedFile(name, size, each.patterns)

    def ask(self) -> dict[str, FetchedOutputs]:
        """List the current outputs of each run, by run directory."""
        patterns = {each.run.directory: each.patterns for each in self.runs}
        found = {name: FetchedOutputs(patterns=wanted) for name, wanted in patterns.items()}
        listed = [ListedRun(name, list(wanted)) for name, wanted in patterns.items()]
        request = ListOutputs(self.connection.remote.runs, listed, largest=self.largest)
        for event in self.connection.ask(request):
            if isinstance(event, Outputs) and event.directory in found:
                found[event.directory] = _listed(event, patterns[event.directory])
        return found


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
    return replace(listing, listed=listing.ask())


def _fetch(listing: _Listing, folder: Path, progress: Progress) -> dict[str, CollectedRun]:
    runs, connection = listing.runs, listing.connection
    stale = [f"{each.run.directory}/{name}" for each, name in listing.stale]
    gone: set[str] = set()
    if stale:
        progress("fetching", 0, len(stale))

        def tell(moved: TransferProgress) -> None:
            progress("fetching", moved.files, len(stale), _speed(moved))

        gone = set(connection.fetch(connection.host().runs, stale, folder, progress=tell))
    again = listing.ask()
    return {each.run.directory: _noted(each, listing.listed, again, gone) for each in runs}


def _speed(moved: TransferProgress) -> str:
    return f"{filesize.decimal(moved.bytes)}, {filesize.decimal(round(moved.rate))}/s"


def _noted(
    each: CollectedRun,
    before: Mapping[str, FetchedOutputs],
    after: Mapping[str, FetchedOutputs],
    gone: set[str],
) -> CollectedRun:
    """Record what was fetched of a run; `gone` are files that disappeared before the copy."""
    directory = each.run.directory
    if before[directory].gone:
        return _keep(each)
    if why := before[directory].refused:
        return replace(each, outputs=replace(each.outputs, refused=why))
    files = {
        name: version
        for name, version in before[directory].files.items()
        if f"{directory}/{name}" not in gone
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


def _keep(each: CollectedRun) -> CollectedRun:
    """Keep what was fetched of a run whose directory is gone, and note it where that lacks some."""
    outputs = replace(each.outputs, gone=bool(each.missing or each.missing_config))
    if outputs != each.outputs:
        write_outputs(each.folder, outputs)
    return replace(each, outputs=outputs, job=_job_if_elsewhere(each.run, each.job, outputs))
