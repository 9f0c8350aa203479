"""The mode status: query all selected experiments once, and show where each of them is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_remex.collect.poll import poll
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.typed_json import to_json
from pytest_remex.errors import RemexError
from pytest_remex.io import writing
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.items import is_experiment, places_of, say, skip
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.preparation import failing_plainly
from pytest_remex.pytest_plugin.selection import RecordedRunsMode
from pytest_remex.pytest_plugin.status_table import StatusRow, StatusTable
from pytest_remex.records.index import RecordedRun


class StatusMode(RecordedRunsMode):
    """The plugin of the mode status."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._runs: Mapping[str, RecordedRun] = {}
        self._jobs: Mapping[str, Job] = {}
        self._was_queried = False
        for item in items:
            # The body does not run: only what says where runs are is needed.
            item.fixturenames[:] = [name for name in item.fixturenames if name in NEEDED]

    @contextmanager
    def checkout(self, _item: pytest.Function, repo: Repo, _remote: Remote) -> Iterator[Path]:
        """Check nothing out: the body does not run."""
        yield repo.path

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Show where the experiment is."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        if not self._was_queried:
            self._was_queried = True
            with failing_plainly(pyfuncitem.session):
                self._runs = self._runs_on(places_of(pyfuncitem)[1])
                self._query()
        recorded = self._runs.get(pyfuncitem.nodeid)
        if recorded is None:
            self._skip_unsubmitted(pyfuncitem)
        self._show(pyfuncitem, recorded)
        return True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the connections, and write the table for scripts."""
        self._connections.close()
        if self._settings.json:
            try:
                _write(self._settings.json, self._rows())
            except RemexError as error:
                self._terminal.say(str(error), red=True)
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self) -> None:
        """Show the table."""
        rows = self._rows()
        if rows:
            verbose = bool(self._config.getoption("verbose") > 0)
            with self._terminal.lifted():
                self._terminal.console().print(StatusTable(rows, verbose=verbose))
        for launch, note in sorted({(row.launch.id, row.launch.note) for row in rows}):
            if note:
                self._terminal.say(f"{launch}: {note}")
        if self._unsubmitted:
            self._terminal.say(f"{self._unsubmitted} not submitted", yellow=True)
        self._terminal.say(f"next: {self._next_command(rows)}")
        self._terminal.summary(f"remex {self._settings.mode}")

    def _next_command(self, rows: Sequence[StatusRow]) -> str:
        states = [row.job.state for row in rows]
        if any(state.live for state in states):
            return "--remex-status --remex-wait waits until all have ended"
        if any(state.failed for state in states):
            return "--remex-collect tells why, --remex-submit --remex-retry sends the failed again"
        if any(state.ended for state in states):
            return "--remex-collect fetches and judges the outputs"
        return "--remex-submit sends what was not submitted"

    def _query(self) -> None:
        """Query the runs, again and again where the user waits for them."""
        limit = self._settings.wait
        with self._terminal.live() as show:
            for jobs in poll(list(self._runs.values()), self._connections.to, limit):
                self._jobs = jobs
                if limit is not None:
                    show(StatusTable(self._rows()))

    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        __tracebackhide__ = True
        job = self._jobs.get(recorded.run.directory)
        if job is None:
            skip("its state could not be determined")
        say(item, f"{job.state} job {job.id}".strip(), **_markup(job.state))

    def _rows(self) -> list[StatusRow]:
        return [
            StatusRow(node, recorded.run, recorded.launch, job)
            for node, recorded in self._runs.items()
            if (job := self._jobs.get(recorded.run.directory)) is not None
        ]


NEEDED = frozenset({"repo", "remote", "request", "pytestconfig"})
"""The fixtures of an item whose body does not run."""


def _markup(state: JobState) -> dict[str, bool]:
    if state.failed:
        return {"green": False, "red": True}
    return {"green": state is JobState.COMPLETED, "cyan": state.live}


def _write(path: Path, rows: Sequence[StatusRow]) -> None:
    listed = [
        {
            "node": each.node,
            "launch": each.launch.id,
            "note": each.launch.note,
            "commit": each.run.commit.sha,
            "directory": each.run.directory,
            "point": each.run.point,
            **{
                f"job_{name}" if name == "id" else name: value
                for name, value in to_json(each.job).items()
            },
        }
        for each in rows
    ]
    with writing(path):
        path.write_text(json.dumps(listed, indent=1) + "\n", "utf-8")
