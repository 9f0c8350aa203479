"""Collect: fetch once for all, judge experiment by experiment, then write what a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_remex.collect import verdict
from pytest_remex.collect.notes import digest, read_note
from pytest_remex.collect.phase import Collected, Place, collect
from pytest_remex.collect.query import query
from pytest_remex.collect.runs import run_of
from pytest_remex.collect.waiting import until_ended
from pytest_remex.errors import RemexError
from pytest_remex.model import Config, Job, JobState, Remote, Repo, Run, Scalar
from pytest_remex.modes import preparation
from pytest_remex.modes.finish import write_all
from pytest_remex.modes.items import (
    experiment_of,
    is_experiment,
    parameters_of,
    places_of,
    say,
    sweep_for,
)
from pytest_remex.modes.judged import Judged
from pytest_remex.modes.outcomes import fail, reason_of, skip
from pytest_remex.modes.preparation import body_of, failing_plainly, run_patch
from pytest_remex.modes.selection import Selection
from pytest_remex.options import Settings
from pytest_remex.records.history import Found
from pytest_remex.repo.workspace import Workspaces
from pytest_remex.tables import readers

NOT_ENDED = 10
"""pytest's exit code where nothing was found wrong, and some experiments have not ended."""

CHANGED = "CHANGED SINCE LAUNCH"


class Judgement:
    """The plugin of the mode collect."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self._config = session.config
        self._settings = settings
        self._selection = Selection(session, settings, items)
        self._terminal = self._selection.terminal
        self._connections = self._selection.connections
        self._workspaces = Workspaces(kept=False)
        self._collected: dict[str, Collected] | None = None
        self._judged: dict[str, Judged] = {}

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """Lend a checkout of the base that the experiment was launched on, where it is judged."""
        with failing_plainly(item.session):
            collected = self._collect(remote).get(item.nodeid)
        if collected is None:
            self._selection.skip_unsubmitted(item)
        self._judged[item.nodeid] = Judged(
            item.nodeid, sweep_for(item), parameters_of(item), collected
        )
        if collected.job.state is not JobState.COMPLETED:
            yield collected.folder
            return
        base = collected.run.record.launch.base
        with preparation.checkout(self._workspaces, repo, base) as path:
            yield path

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Judge a run: its job, its outputs, its config, and then its own check."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        judged = self._judged[pyfuncitem.nodeid]
        judged.kept = read_note(judged.collected.folder)
        judged.note = verdict.noted(judged.collected, judged.kept)
        self._judge_job(pyfuncitem, judged.collected)
        self._judge_outputs(judged, pyfuncitem)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_remex_read(self, path: Path) -> object | None:
        """Read what no extension reads."""
        found: object | None = readers.read(path)
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_remex_config(self, path: Path, config_file: str | None) -> Config | None:
        """Read back a config file of a kind that some reader gives as a mapping."""
        if config_file is None or not (path / config_file).is_file():
            return None
        read = self._config.hook.pytest_remex_read(path=path / config_file)
        return verdict.flattened(read) if isinstance(read, Mapping) else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Keep each verdict for the results."""
        judged = self._judged.get(item.nodeid)
        has_ended = judged is not None and judged.collected.job.state is JobState.COMPLETED
        if judged and has_ended and call.excinfo and judged.note.log:
            item.add_report_section("call", "job output, last lines", judged.note.log)
        report: pytest.TestReport = yield
        if judged is not None and (call.when == "call" or report.failed):
            judged.verdict = verdict.word(report.outcome, judged.collected)
            judged.reason = reason_of(report)
        return report

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Write results, links and report; close all doors after the last fixture."""
        try:
            written = self._write()
            if session.exitstatus == pytest.ExitCode.OK and not written:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if session.exitstatus == pytest.ExitCode.OK and self._pending():
                session.exitstatus = NOT_ENDED
            return (yield)
        finally:
            self._connections.close()
            self._workspaces.close()

    def pytest_terminal_summary(self) -> None:
        """Group failures by cause, and say what has not ended and where the results are."""
        failed = Counter(
            verdict.cause(each.reason) for each in self._judged.values() if each.verdict == "FAILED"
        )
        for reason, count in failed.most_common():
            self._terminal.say(f"{count} failed: {reason}", red=True)
        for state, count in sorted(self._pending().items()):
            self._terminal.say(f"{count} {state}", yellow=True)
        self._terminal.summary("remex collect")

    def _write(self) -> bool:
        """Write what a person reads, and say where it is, or why not; give whether it is there."""
        try:
            folders = write_all(self._judged.values(), self._settings, self._config.hook)
        except RemexError as error:
            self._terminal.say(str(error), red=True)
            return False
        for folder in folders:
            self._terminal.say(f"report:  {folder / 'report.html'}", green=True)
            self._terminal.say(f"results: {folder / 'results.csv'}", green=True)
        return True

    def _collect(self, remote: Remote) -> dict[str, Collected]:
        if self._collected is None:
            runs = self._selection.reached_by(remote)
            self._wait(list(runs.values()))
            place = Place(self._connections.to, self._settings.runs)
            with self._terminal.progress() as progress:
                found = collect(
                    runs.values(),
                    place,
                    progress,
                    offline=self._settings.offline,
                    partial=self._settings.partial,
                )
            self._collected = dict(zip(runs, found, strict=True))
        return self._collected

    def _wait(self, runs: Sequence[Found]) -> None:
        if self._settings.wait is None:
            return
        jobs: dict[str, Job] = {}

        def ask() -> Mapping[str, Job]:
            left = [r for r in runs if not (j := jobs.get(r.entry.directory)) or not j.state.ended]
            jobs.update(query(left, self._connections.to))
            return jobs

        with self._terminal.progress() as progress:
            for known in until_ended(ask, self._settings.wait):
                progress("waiting", sum(job.state.ended for job in known.values()), len(known))

    def _judge_job(self, item: pytest.Function, collected: Collected) -> None:
        __tracebackhide__ = True
        job = collected.job
        if job.state is JobState.UNKNOWN or job.state.live:
            partial = ", PARTIAL outputs" if collected.outputs.files else ""
            say(item, f"{job.state} job {job.id}".strip() + partial)
            skip(job.reason or f"the job is {job.state}")
        if job.state is not JobState.COMPLETED:
            fail(verdict.failure(collected))

    def _judge_outputs(self, judged: Judged, item: pytest.Function) -> None:
        __tracebackhide__ = True
        collected = judged.collected
        if why := verdict.missing_outputs(collected):
            fail(why)
        body = body_of(item)
        with failing_plainly():
            run_patch(body)
            self._recommit(judged, item)
        run = run_of(collected, experiment_of(item, collected.folder), item.ihook)
        asked = {**collected.run.record.launch.base_config, **collected.run.entry.point}
        if wrong := verdict.differences(asked, run.config or {}):
            body.close()
            fail("the config that ran is not the config asked for: " + "; ".join(wrong))
        with failing_plainly():
            judged.measures = {**self._extra_measures(run, item), **body.check(run)}

    def _recommit(self, judged: Judged, item: pytest.Function) -> None:
        collected = judged.collected
        workspace = self._workspaces.at(places_of(item)[0], collected.run.record.launch.base)
        edits = workspace.scratch.patch().edits
        commit = collected.run.entry.commit
        named = digest(commit.sha, edits)
        if judged.note.patch != named:
            made = workspace.committer.commit(experiment_of(item, workspace.scratch.path), edits)
            judged.note = replace(
                judged.note,
                patch=named,
                changed=made.identity != commit.identity,
                diff=workspace.diff(edits),
            )
        if judged.note.changed:
            say(item, f"PASSED, {CHANGED}", yellow=True)

    def _extra_measures(self, run: Run, item: pytest.Function) -> dict[str, Scalar]:
        found: dict[str, Scalar] = {}
        for measures in item.ihook.pytest_remex_measures(run=run):
            found.update(measures or {})
        return found

    def _pending(self) -> Counter[str]:
        pending = Counter(
            str(each.collected.job.state)
            for each in self._judged.values()
            if not each.collected.job.state.ended
        )
        if self._selection.unsubmitted:
            pending["NOT SUBMITTED"] = self._selection.unsubmitted
        return pending
