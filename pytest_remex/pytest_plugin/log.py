"""The mode log: show the output of the selected experiments' jobs, or follow a running one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import pytest
from rich import filesize

from pytest_remex.collect.failure import ends_of
from pytest_remex.collect.manifest import all_present
from pytest_remex.collect.query import query
from pytest_remex.collect.runs import log_patterns
from pytest_remex.collect.watch import follow, read_ends
from pytest_remex.common.jobs import Job
from pytest_remex.common.protocol import LogText
from pytest_remex.display import clean
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import QueryMode
from pytest_remex.records.index import RecordedRun

MOST = 50
"""The most experiments whose output is shown."""
TOTAL, LEAST, LARGEST = 1 << 20, 1 << 13, 1 << 18
"""How many bytes are shown: of all output together, and per file at least and at most."""


class LogMode(QueryMode):
    """The plugin of the mode log."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._jobs: dict[str, Job] = {}
        self._ends: dict[str, Sequence[LogText]] = {}
        self._was_followed = False
        self._was_interrupted = False

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the connections."""
        self._connections.close()
        if self._was_interrupted:
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def pytest_terminal_summary(self) -> None:
        """Show the output, and what to do next."""
        runs, jobs = self._runs.items(), self._jobs
        known = {node: recorded for node, recorded in runs if recorded.run.directory in jobs}
        shown = dict(list(known.items())[:MOST])
        if not self._was_followed:
            with self._terminal.lifted():
                for node, recorded in shown.items():
                    self._write_all(node, recorded)
        if hidden := len(known) - len(shown):
            self._terminal.say(f"{hidden} more are not shown: select with -k", yellow=True)
        if self._unsubmitted:
            self._terminal.say(f"{self._unsubmitted} not submitted", yellow=True)
        where = "--remex-status shows the state of the experiments"
        nothing = "--remex-submit sends what was not submitted"
        self._terminal.say_next(where if known else nothing)
        self._terminal.summary("remex log")

    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Read the ends of all output; follow that of a single run, which has not ended."""
        chosen = list(runs.items())
        self._jobs |= query(runs.values(), self._connections.to, self._query_options)
        most = min(LARGEST, max(LEAST, TOTAL // max(1, len(chosen))))
        shown = [recorded for _, recorded in chosen[:MOST]]
        self._ends |= read_ends(shown, self._connections.to, most)
        is_single = len(self._runs) == 1 and not self._groups
        if is_single and self._jobs[shown[0].run.directory].state.live:
            self._was_followed = True
            with self._terminal.lifted():
                self._follow(*chosen[0])

    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        job = self._jobs[recorded.run.directory]
        ends = self._ends.get(recorded.run.directory, [])
        note_facts(item, **run_facts(recorded, job), output={e.path: clean(e.text) for e in ends})
        self._count(item, f"{job.state} job {job.id}".strip(), job)

    def _follow(self, node: str, recorded: RecordedRun) -> None:
        ends = self._ends.get(recorded.run.directory, [])
        path = ends[-1].path if ends else ""
        try:
            self._write_all(node, recorded)
            _write("[followed until the job has ended; Ctrl-C stops]\n")
            least = self._settings.poll if recorded.launch.remote.host is not None else 0.0
            for new in follow(
                recorded, ends, self._connections.to, self._query_options, least=least
            ):
                if new.path != path:
                    path = new.path
                    _write(f"==> {clean(path)} <==\n")
                _write(new.text)
        except KeyboardInterrupt:
            self._was_interrupted = True
            self._terminal.say("stopped following: the job keeps running", yellow=True)
        else:
            self._jobs |= query([recorded], self._connections.to, self._query_options)
            job = self._jobs[recorded.run.directory]
            self._terminal.say(f"job {job.id} ended {job.state}", red=job.state.failed)

    def _write_all(self, node: str, recorded: RecordedRun) -> None:
        job = self._jobs[recorded.run.directory]
        _write(f"\n=== {clean(node)}  {job.state} job {job.id}\n")
        pieces = self._ends.get(recorded.run.directory, [])
        for piece in pieces:
            before = f" (after {filesize.decimal(piece.start)})" if piece.start else ""
            _write(f"==> {clean(piece.path)}{before} <==\n")
            _write(f"[{piece.refused}]\n" if piece.refused else _ended(clean(piece.text)))
        if not pieces:
            self._write_fetched(recorded)

    def _write_fetched(self, recorded: RecordedRun) -> None:
        """Show the fetched copy of output that the cluster does not have: not yet, or no longer."""
        folder = self._settings.runs / recorded.run.directory
        paths = all_present(folder, log_patterns(recorded.run))
        for path in paths:
            _write(f"==> {path}, as it was fetched <==\n")
            _write(_ended(clean(ends_of(path))))
        if not paths:
            _write("[there is no output]\n")


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
