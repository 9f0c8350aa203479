"""Cancel the unfinished jobs of runs; runs that have none yet are discarded, so they get none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import Cancel, NotCancelled
from pytest_remex.display import some_of
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.model import Remote, Repo
from pytest_remex.records.index import RecordedRun, RunIndex

if TYPE_CHECKING:
    from pytest_remex.launch.session import Services
    from pytest_remex.transport.connections import Connections


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What became of runs.

    Attributes:
        runs: The runs, by run directory; an interrupted launch may have given one a job.
        jobs: Their jobs, by run directory.
        failed: Why some were not cancelled, by run directory.
        dependents: The runs that come after cancelled ones, and may have a job.
        unended: How many of the runs had not ended before.
    """

    runs: Mapping[str, RecordedRun]
    jobs: Mapping[str, Job]
    failed: Mapping[str, str]
    dependents: Sequence[RecordedRun]
    unended: int


@dataclass(frozen=True, slots=True)
class Canceller:
    """Cancels the runs on a remote; the queries that it needs release nothing."""

    repo: Repo
    remote: Remote
    launches: Path
    connections: Connections
    options: QueryOptions
    note: Callable[[str], None]

    def cancel(self, runs: Iterable[RecordedRun], index: RunIndex) -> CancelResult:
        """Discard what interrupted launches left, and cancel jobs.

        Args:
            runs: The runs; those that share one job with others are kept if these are live.
            index: All runs that are known there.

        Raises:
            RemoteError: A remote cannot be asked.

        """
        chosen = {each.run.directory: each for each in runs}
        discarded, failed = self._discard(chosen)
        options = replace(self.options, release=False)
        others = [each for name, each in chosen.items() if name not in discarded]
        jobs = query(others, self.connections.to, options)
        live = [each for each in others if not jobs[each.run.directory].state.ended]
        kept = self._shared(live, chosen)
        kept |= self._cancel(
            each
            for each in live
            if jobs[each.run.directory].state.live and each.run.job not in kept
        )
        jobs |= query(live, self.connections.to, replace(options, explain=False))
        whys = {
            each.run.directory: f"job {each.run.job} was not cancelled: {kept[each.run.job]}"
            for each in others
            if each.run.job in kept
        }
        gone = [each for name, each in chosen.items() if name in discarded]
        gone += [each for each in live if each.run.job not in kept]
        after = (index.unended_after(each.run.directory) for each in gone)
        dependents = {each.run.directory: each for some in after for each in some}
        return CancelResult(
            runs=chosen,
            jobs=jobs | discarded,
            failed=whys | failed,
            dependents=list(dependents.values()),
            unended=len(discarded.keys() | failed.keys() | {e.run.directory for e in live}),
        )

    def _discard(self, chosen: dict[str, RecordedRun]) -> tuple[dict[str, Job], dict[str, str]]:
        """Discard runs that may get a job, and take those that have one.

        Return the jobs of those discarded, and why others were not, by run directory.
        """
        interrupted = [each for each in chosen.values() if not each.run.settled]
        if not interrupted:
            return {}, {}
        # rarely needed: every cancel would pay for the import
        from pytest_remex.launch.discard import discard  # noqa: PLC0415
        from pytest_remex.launch.session import Services, lock_launches  # noqa: PLC0415
        from pytest_remex.repo.workspace import Workspaces  # noqa: PLC0415

        text = "its submission was not cancelled: {}"
        try:
            lock = lock_launches(self.launches)
        except RecordError as error:
            return {}, dict.fromkeys((e.run.directory for e in interrupted), text.format(error))
        with ExitStack() as stack:
            stack.callback(lock.release)
            workspaces = stack.enter_context(closing(Workspaces(kept=True)))
            services = Services(workspaces, self.connections.to)
            found = discard(interrupted, self.repo, services)
            if not found.live:  # what ran is only recorded once it was queried
                self._clean_up(services)
        chosen |= found.live
        cancelled = Job("", JobState.CANCELLED, "before it was submitted", source="record")
        failed = {name: text.format(why) for name, why in found.failed.items()}
        return dict.fromkeys(found.discarded, cancelled), failed

    def _clean_up(self, services: Services) -> None:
        """Remove temporary branches and files of interrupted launches."""
        from pytest_remex.launch.discard import clean_up_after_crashes  # noqa: PLC0415 - as above

        try:
            has = services.workspaces.git(self.repo).has
            index = RunIndex.read(self.launches, [self.remote], has)
            for warning in clean_up_after_crashes(index, (), {self.remote: self.repo}, services):
                self.note(warning)
        except RemexError as error:
            self.note(f"not everything was cleaned up: {error}")

    def _shared(self, runs: Sequence[RecordedRun], chosen: Collection[str]) -> dict[str, str]:
        """Return why to keep jobs of packs: other runs in them are live that were not chosen."""
        jobs = {(each.launch.id, each.run.job) for each in runs}
        others = [
            RecordedRun(record, run)
            for record in {each.launch.id: each.record for each in runs}.values()
            for run in record.runs.values()
            if (record.launch.id, run.job) in jobs and run.directory not in chosen
        ]
        if not others:
            return {}
        options = replace(self.options, release=False, explain=False)
        states = query(others, self.connections.to, options)
        names = grouped(
            (each.run.job, each.run.node)
            for each in others
            if not states[each.run.directory].state.ended
        )
        return {
            job: f"it also runs {some_of(some)}, not selected: select these as well"
            for job, some in names.items()
        }

    def _cancel(self, runs: Iterable[RecordedRun]) -> dict[str, str]:
        """Cancel jobs; return why some were not cancelled, by job."""
        by_remote = grouped(
            (each.launch.remote, RunJob(each.run.directory, each.run.job)) for each in runs
        )
        failed: dict[str, str] = {}
        for remote, jobs in by_remote.items():
            connection = self.connections.to(remote)
            for event in connection.ask(Cancel(remote.runs, connection.scheduler, jobs)):
                if isinstance(event, NotCancelled):
                    failed[event.job] = event.message
        return failed
