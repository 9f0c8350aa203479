"""The mode status: query all selected experiments at once, and show the state of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest

from pytest_remex import temporary
from pytest_remex.collect.removal import PurgedRuns, job_with_removal, read_removal
from pytest_remex.collect.runs import WantedRun, wanted_upstreams
from pytest_remex.collect.status_table import ROWS, StatusRow, StatusTable, lines_around
from pytest_remex.collect.watch import OutputWatcher
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RecordError, RemexError, RemoteError
from pytest_remex.experiment import Run
from pytest_remex.hooks import GuardedHooks
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.item_outcomes import say, skip
from pytest_remex.pytest_plugin.items import experiment_of, sweep_for, variant_of
from pytest_remex.pytest_plugin.mode import (
    NOT_ENDED,
    STOPPED,
    ModeContext,
    results_step,
    wait_step,
    was_stopped,
)
from pytest_remex.pytest_plugin.query_mode import QueryMode
from pytest_remex.pytest_plugin.selection import FoundRuns, RecordedRuns, polled, tell_end
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord


class StatusMode(QueryMode):
    """The mode status: query the states of runs, repeatedly if the user waits for them."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context, items)
        self._states = StatesShown(context)
        self._was_interrupted = False

    def begin(self, found: FoundRuns, _repo: Repo, _remote: Remote) -> None:
        """Query the states of jobs, and of those that they come after."""
        runs = {**found.runs, **_upstreams(found)}
        self._states.add(found.items, runs)
        if self.settings.wait is None:
            with self.terminal.progress() as progress:
                for jobs in polled(self.context, runs.values(), progress):
                    self._states.update(jobs)
            return
        try:
            self._wait(runs)
        except KeyboardInterrupt:
            if not self._states.rows:
                raise
            self._was_interrupted = True
            self.terminal.say("stopped waiting: the jobs keep running", yellow=True)

    def _wait(self, runs: Mapping[str, RecordedRun]) -> None:
        terminal = self.terminal
        reported: Counter[JobState] = Counter()
        with terminal.live() as show:
            for jobs in polled(self.context, runs.values()):
                self._states.update(jobs)
                rows = list(self._states.rows.values())
                around = lines_around(rows, terminal.console().width)
                show(StatusTable(rows, terminal.height(around)))
                counts = Counter(job.state for job in jobs.values())
                if counts != reported:
                    reported = counts
                    terminal.log(", ".join(f"{n} {state}" for state, n in counts.items()))
        tell_end(self.context, {node: row.job for node, row in self._states.rows.items()})

    def show(self, item: pytest.Function, _recorded: RecordedRun) -> str | None:
        """Show a job's state; a failed job fails its item."""
        __tracebackhide__ = True
        text = self._states.show(item)
        return text if self._is_failure(self._states.rows[item.nodeid]) else None

    def exit_code(self) -> int:
        """See `QueryMode`."""
        if self._was_interrupted:
            return pytest.ExitCode.INTERRUPTED
        ended = all(row.job.state.ended for row in self._states.rows.values())
        return pytest.ExitCode.OK if ended and not self.recorded.unsubmitted else NOT_ENDED

    def summarize(self) -> None:
        """Show the table, and what to do next."""
        has_failed = any(map(self._is_failure, self._states.rows.values()))
        self._states.summarize(self.recorded, has_failed=has_failed)

    def _is_failure(self, row: StatusRow) -> bool:
        """Return whether a job has failed: not if its run disappeared after a collect."""
        run, state = row.recorded.run, row.job.state
        if state is not JobState.PURGED:
            return state.failed
        folder = self.settings.runs / run.directory
        return not (read_removal(folder).collected or run.collected is not None)


def _upstreams(found: FoundRuns) -> dict[str, RecordedRun]:
    """Return the runs, by node id, that those come after: shown, and no more."""
    wanted = [WantedRun(each, sweep_for(found.items[node])) for node, each in found.runs.items()]
    known = {each.run.directory for each in found.runs.values()}
    before = [each.recorded for each in wanted_upstreams(wanted, found.index)]
    return {each.run.node: each for each in before if each.run.directory not in known}


class StatesShown:
    """The states of runs, and what is known of their output, as items and as a table."""

    def __init__(self, context: ModeContext) -> None:
        self._context = context
        self._items: dict[str, pytest.Function] = {}
        self._runs: dict[str, RecordedRun] = {}
        self._jobs: dict[str, Job] = {}
        folder, connect = context.settings.runs, context.connections.to
        self._watcher = OutputWatcher(folder, connect)
        self._purged = PurgedRuns(folder, connect)
        self._hooks = GuardedHooks(context.config.hook, context.terminal.note)
        self.rows: Mapping[str, StatusRow] = {}
        """The runs whose state is known, by node id."""

    def add(self, items: Mapping[str, pytest.Function], runs: Mapping[str, RecordedRun]) -> None:
        """Add items and runs, by node id."""
        self._items |= items
        self._runs |= runs

    def update(self, jobs: Mapping[str, Job]) -> None:
        """Store the jobs' states, by run directory, and read their output."""
        folder = self._context.settings.runs
        self._jobs |= {
            name: job_with_removal(jobs[name], each.run, folder / name)
            for each in self._runs.values()
            if (name := each.run.directory) in jobs
        }
        self._note_purged()
        watched = [
            (recorded, self._jobs[recorded.run.directory])
            for recorded in self._runs.values()
            if recorded.run.directory in jobs
        ]
        try:
            self._watcher.read(watched)
        except RemoteError as error:
            self._context.terminal.note(f"the jobs' output could not be read: {error}", "output")
        except RecordError as error:
            self._context.terminal.note(str(error), "records")
        self.rows = {
            node: self._row(node, recorded, job)
            for node, recorded in self._runs.items()
            if (job := self._jobs.get(recorded.run.directory)) is not None
        }

    def show(self, item: pytest.Function) -> str:
        """Show a job's state as an item's outcome; return it with its cause or reason."""
        __tracebackhide__ = True
        row = self.rows.get(item.nodeid)
        if row is None:
            skip("its state could not be determined")
        job = row.job
        facts = {"cause": row.cause, "output": row.last_line, "progress": row.progress}
        note_facts(item, **run_facts(row.recorded, job), **facts)
        word = f"{job.state} job {job.id}" if job.id else str(job.state)
        say(item, word, counted=str(job.state).lower(), **_markup(job.state))
        return f"{word}: {row.cause or job.reason}".removesuffix(": ")

    def summarize(self, recorded: RecordedRuns, *, has_failed: bool) -> None:
        """Show the table, the notes of launches, and what to do next."""
        rows, terminal = list(self.rows.values()), self._context.terminal
        if rows:
            most = None if self._context.config.getoption("verbose", default=0) > 0 else ROWS
            with terminal.lifted():
                terminal.console().print(StatusTable(rows, most))
        launches = {(row.recorded.launch.id, row.recorded.launch.note) for row in rows}
        for launch, note in sorted(launches):
            if note:
                terminal.say(f"{launch}: {note}")
        if recorded.unsubmitted:
            state = recorded.unsubmitted_state.lower()
            terminal.say(f"{recorded.unsubmitted} {state}", yellow=True)
        terminal.say_next(self._next_command([row.job for row in rows], has_failed=has_failed))

    def _next_command(self, jobs: Sequence[Job], *, has_failed: bool) -> str:
        if not jobs and was_stopped(self._context.session):
            return STOPPED
        if live := {job.state for job in jobs if job.state.live}:
            return wait_step(live)
        if has_failed:
            is_refused = {job.state for job in jobs if job.state.failed} == {JobState.REJECTED}
            refused = "--remex-submit sends again what was refused, once that is corrected"
            why = "--remex-collect shows why, --remex-submit --remex-retry submits them again"
            return refused if is_refused else why
        if ended := {job.state for job in jobs if job.state.ended and job.id}:
            again = "--remex-submit --remex-retry=all runs again what is gone"
            return again if ended == {JobState.PURGED} else self._collect_step()
        if any(job.state is JobState.UNKNOWN and job.id for job in jobs):
            return wait_step({JobState.UNKNOWN})
        return "--remex-submit sends what was not submitted"

    def _collect_step(self) -> str:
        """Return what to do next with outputs, which may have been collected already."""
        items = [self._items[node] for node in self.rows if node in self._items]
        if not items or not all(self._is_here(row.recorded.run) for row in self.rows.values()):
            return "--remex-collect fetches and judges the outputs"
        step = results_step(sweep_for(items[0]).name, self._context.settings)
        return f"{step}; --remex-collect judges again"

    def _is_here(self, run: RunRecord) -> bool:
        """Return whether a run's outputs were collected, and into this folder."""
        return run.collected is not None and (self._context.settings.runs / run.directory).is_dir()

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
            why = f"it is unknown which run directories were purged: {error}"
            self._context.terminal.note(why)

    def _row(self, node: str, recorded: RecordedRun, job: Job) -> StatusRow:
        summary, item = self._watcher.of(recorded), self._items.get(node)
        variant = variant_of(item).title if item is not None else ""
        if job.state is JobState.COMPLETED:
            return StatusRow(node, recorded, job, variant=variant)
        progress = None
        if item is not None and job.state.live and summary.text:
            progress = self._progress(item, job, summary.text)
        return StatusRow(node, recorded, job, summary.cause, summary.line, progress, variant)

    def _progress(self, item: pytest.Function, job: Job, text: str) -> float | None:
        """Return a job's progress, as a hook reads it from its output."""
        if not self._context.config.hook.pytest_remex_progress.get_hookimpls():
            return None
        with TemporaryDirectory(prefix=temporary.prefix("output")) as folder:
            output = Path(folder) / "output"
            output.write_text(text, "utf-8", "replace")
            experiment = experiment_of(item, output.parent)
            run = Run(output.parent, None, job, output, experiment, _refuse_to_read)
            found = self._hooks.first("pytest_remex_progress", run=run)
        if found is None or (isinstance(found, int | float) and 0 <= found <= 1):
            return found
        what = f"the hook pytest_remex_progress returned {found!r:.40}: return 0 to 1"
        self._context.terminal.note(what)
        return None


def _refuse_to_read(path: Path, _options: Mapping[str, object]) -> NoReturn:
    raise RemoteError(f"{path.name} is not fetched while its job runs: use run.log")


def _markup(state: JobState) -> dict[str, bool]:
    if state.failed:
        return {"green": False, "red": True}
    return {"green": state is JobState.COMPLETED, "cyan": state.live}
