"""The mode status: query all selected experiments at once, and show the state of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

from pytest_remex import temporary
from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.removal import PurgedRuns, job_with_removal, read_removal
from pytest_remex.collect.runs import WantedRun, wanted_upstreams
from pytest_remex.collect.watch import OutputWatcher
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RecordError, RemexError, RemoteError
from pytest_remex.experiment import Run
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.item_outcomes import skip
from pytest_remex.pytest_plugin.items import experiment_of, sweep_for, variant_of, was_stopped
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import NOT_ENDED, QueryMode
from pytest_remex.pytest_plugin.status_table import ROWS, StatusRow, StatusTable, lines_around
from pytest_remex.records.index import RecordedRun


class StatusMode(QueryMode):
    """The plugin of the mode status."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._jobs: dict[str, Job] = {}
        self._rows: Mapping[str, StatusRow] = {}
        self._failed: dict[str, str] = {}
        self._watcher = OutputWatcher(settings.runs, self._connections.to)
        self._purged = PurgedRuns(settings.runs, self._connections.to)
        self._hooks = GuardedHooks(session.config.hook, self._terminal.note)
        self._was_interrupted = False

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the connections, and set the exit code."""
        self._connections.close()
        if self._was_interrupted:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        elif session.exitstatus == pytest.ExitCode.OK and self._is_something_left():
            session.exitstatus = NOT_ENDED

    def pytest_terminal_summary(self) -> None:
        """Show the table."""
        rows = list(self._rows.values())
        if rows:
            most = None if self._config.getoption("verbose", default=0) > 0 else ROWS
            with self._terminal.lifted():
                self._terminal.console().print(StatusTable(rows, most))
        for launch, note in sorted(
            {(row.recorded.launch.id, row.recorded.launch.note) for row in rows}
        ):
            if note:
                self._terminal.say(f"{launch}: {note}")
        if self._unsubmitted:
            self._terminal.say(f"{self._unsubmitted} not submitted", yellow=True)
        self._terminal.say_next(self._next_command(rows))
        self._terminal.summary(f"remex {self._settings.mode}")

    def _next_command(self, rows: Sequence[StatusRow]) -> str:
        if not rows and was_stopped(self._session):
            return "the same command again: stopped before the states were known"
        states = [row.job.state for row in rows]
        if any(state.live for state in states):
            return "--remex-status --remex-wait waits until all have ended"
        if any(self._is_failure(row.recorded, row.job) for row in rows):
            return "--remex-collect shows why, --remex-submit --remex-retry submits them again"
        if any(state.ended for state in states):
            return "--remex-collect fetches and judges the outputs"
        if any(row.job.state is JobState.UNKNOWN and row.job.id for row in rows):
            return "the same command again, once the reason of each UNKNOWN is dealt with"
        return "--remex-submit sends what was not submitted"

    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Query the runs, repeatedly if the user waits for them."""
        runs = {**runs, **self._upstreams(runs)}
        self._runs |= runs
        if self._settings.wait is None:
            with self._terminal.progress() as progress:
                for jobs in self._polled(list(runs.values()), progress):
                    self._update(jobs)
            return
        try:
            self._wait(list(runs.values()))
        except KeyboardInterrupt:
            if not self._jobs:
                raise
            self._was_interrupted = True
            self._terminal.say("stopped waiting: the jobs keep running", yellow=True)

    def _upstreams(self, runs: Mapping[str, RecordedRun]) -> dict[str, RecordedRun]:
        """Return the runs, by node id, that the selected ones come after: shown, and no more."""
        wanted = [
            WantedRun(recorded, sweep_for(self._items[node])) for node, recorded in runs.items()
        ]
        known = {each.run.directory for each in runs.values()}
        found = [each.recorded for each in wanted_upstreams(wanted, self._index)]
        return {each.run.node: each for each in found if each.run.directory not in known}

    def _wait(self, runs: Sequence[RecordedRun]) -> None:
        reported: Counter[JobState] = Counter()
        with self._terminal.live() as show:
            for jobs in self._polled(runs):
                self._update(jobs)
                rows = list(self._rows.values())
                around = lines_around(rows, self._terminal.console().width)
                show(StatusTable(rows, self._terminal.height(around)))
                counts = Counter(job.state for job in jobs.values())
                if counts != reported:
                    reported = counts
                    self._terminal.log(", ".join(f"{n} {state}" for state, n in counts.items()))
        if self._jobs and not any(job.state.live for job in self._jobs.values()):
            self._tell_end({node: row.job for node, row in self._rows.items()})

    def _update(self, jobs: Mapping[str, Job]) -> None:
        """Store the jobs' states, and read their output."""
        folder = self._settings.runs
        self._jobs |= {name: job_with_removal(job, folder / name) for name, job in jobs.items()}
        self._note_purged()
        watched = [
            (recorded, self._jobs[recorded.run.directory])
            for recorded in self._runs.values()
            if recorded.run.directory in jobs
        ]
        try:
            self._watcher.read(watched)
        except RemoteError as error:
            self._terminal.note(f"the jobs' output could not be read: {error}", "output")
        except RecordError as error:
            self._note_unrecorded(error)
        self._rows = self._make_rows()

    def _note_purged(self) -> None:
        """Update the jobs of completed runs whose directory no longer exists."""
        completed = [
            (recorded, job)
            for recorded in self._runs.values()
            if (job := self._jobs.get(recorded.run.directory)) and job.state is JobState.COMPLETED
        ]
        try:
            self._purged.look_for(recorded for recorded, _ in completed)
            for recorded, job in completed:
                self._jobs[recorded.run.directory] = self._purged.job(recorded, job)
        except RemexError as error:
            self._terminal.note(f"it is unknown which run directories were purged: {error}")

    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        __tracebackhide__ = True
        job = self._jobs.get(recorded.run.directory)
        if job is None:
            skip("its state could not be determined")
        self._note(item, recorded, job)
        word = f"{job.state} job {job.id}" if job.id else str(job.state)
        self._count(item, word, job, **_markup(job.state))
        if self._is_failure(recorded, job):
            row = self._rows[item.nodeid]
            self._failed[item.nodeid] = f"{word}: {row.cause or job.reason}".removesuffix(": ")

    def _note(self, item: pytest.Function, recorded: RecordedRun, job: Job) -> None:
        row = self._rows[item.nodeid]
        facts = {"cause": row.cause, "output": row.last_line, "progress": row.progress}
        note_facts(item, **run_facts(recorded, job), **facts)

    def _is_failure(self, recorded: RecordedRun, job: Job) -> bool:
        """Return whether a job fails its item: not if the run disappeared after a collect."""
        folder = self._settings.runs / recorded.run.directory
        is_collected = read_removal(folder).collected or recorded.run.collected is not None
        return job.state.failed and not (job.state is JobState.PURGED and is_collected)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Fail the items of failed jobs; raising an exception would cost milliseconds for each."""
        report: pytest.TestReport = yield
        if call.when == "call" and item.nodeid in self._failed:
            report.outcome = "failed"
            report.longrepr = self._failed[item.nodeid]
        return report

    def _make_rows(self) -> dict[str, StatusRow]:
        return {
            node: self._row(node, recorded, job)
            for node, recorded in self._runs.items()
            if (job := self._jobs.get(recorded.run.directory)) is not None
        }

    def _row(self, node: str, recorded: RecordedRun, job: Job) -> StatusRow:
        summary = self._watcher.of(recorded)
        variant = variant_of(self._items[node]).title if node in self._items else ""
        if job.state is JobState.COMPLETED:
            return StatusRow(node, recorded, job, variant=variant)
        progress = (
            self._progress(node, job, summary.text) if job.state.live and summary.text else None
        )
        return StatusRow(node, recorded, job, summary.cause, summary.line, progress, variant)

    def _progress(self, node: str, job: Job, text: str) -> float | None:
        """Return a job's progress, as a hook reads it from its output."""
        if node not in self._items or not self._config.hook.pytest_remex_progress.get_hookimpls():
            return None
        with TemporaryDirectory(prefix=temporary.prefix("output")) as folder:
            output = Path(folder) / "output"
            output.write_text(text, "utf-8", "replace")
            experiment = experiment_of(self._items[node], output.parent)
            run = Run(output.parent, None, job, output, experiment, _refuse_to_read)
            found = self._hooks.first("pytest_remex_progress", run=run)
        if found is None or (isinstance(found, int | float) and 0 <= found <= 1):
            return found
        self._terminal.note(f"the hook pytest_remex_progress returned {found!r:.40}: return 0 to 1")
        return None

    def _is_something_left(self) -> bool:
        return bool(self._unsubmitted) or not all(job.state.ended for job in self._jobs.values())


def _refuse_to_read(path: Path, _options: Mapping[str, object]) -> NoReturn:
    raise RemoteError(f"{path.name} is not fetched while its job runs: use run.log")


def _markup(state: JobState) -> dict[str, bool]:
    if state.failed:
        return {"green": False, "red": True}
    return {"green": state is JobState.COMPLETED, "cyan": state.live}
