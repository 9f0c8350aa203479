"""Runs with what is on this machine of them: their outputs, and the runs that they came after."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_remex.collect.manifest import (
    FetchedOutputs,
    first_present,
    is_only_elsewhere,
    read_outputs,
)
from pytest_remex.collect.query import recorded_jobs
from pytest_remex.collect.removal import job_with_removal, read_removal
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.model import OptionalOutput, Sweep
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import RunRecord
from pytest_remex.sbatch.script import output_patterns, outside_outputs

WITHOUT_OUTPUT = frozenset({JobState.REJECTED, JobState.LOST, JobState.PURGED})
"""The states of runs that have no output on the cluster."""


class WantedRun(NamedTuple):
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


class CollectedRun(NamedTuple):
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


def wanted_upstreams(runs: Iterable[WantedRun], index: RunIndex) -> list[WantedRun]:
    """Return the runs that runs came after, and those before, as far as they are recorded."""
    found: dict[str, WantedRun] = {}
    for each in runs:
        run, sweep = each.recorded.run, each.sweep.after
        while run.upstream is not None and sweep is not None:
            before = index.of_directory(run.upstream.directory)
            if before is None:
                break
            before = before.reached_as(each.recorded.launch.remote)
            found[before.run.directory] = WantedRun(before, sweep)
            run, sweep = before.run, sweep.after
    return list(found.values())


def collect_with_upstreams(
    runs: Sequence[WantedRun],
    index: RunIndex,
    collect: Callable[[Sequence[WantedRun]], list[CollectedRun]],
) -> tuple[list[CollectedRun], list[CollectedRun]]:
    """Collect runs, and those that they came after, by `collect`, such as `collect_offline`.

    Returns:
        The runs, each with the one that it came after; and those of these that are not among them.

    """
    known = {each.recorded.run.directory for each in runs}
    before = wanted_upstreams(runs, index)
    others = [each for each in before if each.recorded.run.directory not in known]
    collected = collect([*runs, *others])
    here, rest = collected[: len(runs)], collected[len(runs) :]
    return with_upstreams(here, rest), rest


def with_upstreams(
    collected: Iterable[CollectedRun], others: Iterable[CollectedRun]
) -> list[CollectedRun]:
    """Return collected runs, each with the run that it came after, among them or `others`."""
    collected = list(collected)
    known = {each.run.directory: each for each in (*collected, *others)}

    def linked(each: CollectedRun) -> CollectedRun:
        before = known.get(each.run.upstream.directory) if each.run.upstream else None
        return each._replace(upstream=linked(before)) if before else each

    return [linked(each) for each in collected]


def was_cleaned(collected: CollectedRun) -> bool:
    """Return whether the user removed a run after it had been collected."""
    is_purged = collected.job.state is JobState.PURGED
    return is_purged and read_removal(collected.folder).collected


def _on_this_machine(wanted: WantedRun, jobs: Mapping[str, Job], folder: Path) -> CollectedRun:
    run = wanted.recorded.run
    here = folder / run.directory
    outputs, job = read_outputs(here), job_with_removal(jobs[run.directory], run, here)
    job = job_if_elsewhere(run, job, outputs)
    return CollectedRun(wanted.recorded, wanted.sweep, job, here, outputs, log_patterns(run))


def job_if_elsewhere(run: RunRecord, job: Job, outputs: FetchedOutputs) -> Job:
    """Return a run's job; PURGED if its directory no longer exists, but others have outputs."""
    if not is_only_elsewhere(run, outputs) or run.collected is None:
        return job
    who = run.collected
    why = (
        f"collected by {who.by} on {who.on}, and its run directory no longer exists: copy "
        f"{run.directory} from the folder runs of the remex-output there, or run it once more "
        f"with --remex-submit --remex-retry=all, with -k so that no others run again"
    )
    return job._replace(state=JobState.PURGED, reason=why)


def log_patterns(run: RunRecord) -> tuple[str, ...]:
    """Return globs for a run's output in its run directory, standard output first."""
    return output_patterns(run.header, run.job, user=_user())


def outside_logs(run: RunRecord) -> tuple[str, ...]:
    """Return globs for a run's output that its script puts outside of the run directory."""
    return outside_outputs(run.header, run.job, user=_user())


@functools.cache
def _user() -> str:
    return getpass.getuser()
