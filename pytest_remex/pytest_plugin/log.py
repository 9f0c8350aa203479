"""The mode log: show the output of the selected experiments' jobs, or follow a running one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from rich import filesize

from pytest_remex.collect.failure import ends_of
from pytest_remex.collect.manifest import all_present
from pytest_remex.collect.query import query
from pytest_remex.collect.runs import log_patterns, outside_logs
from pytest_remex.collect.watch import follow, read_ends
from pytest_remex.common.jobs import Job
from pytest_remex.common.protocol import LogText
from pytest_remex.display import clean
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.item_outcomes import say
from pytest_remex.pytest_plugin.mode import STOPPED, ModeContext, was_stopped
from pytest_remex.pytest_plugin.query_mode import QueryMode
from pytest_remex.pytest_plugin.selection import FoundRuns, query_options
from pytest_remex.records.index import RecordedRun

MOST = 50
"""The most experiments whose output is shown."""
TOTAL, LEAST, LARGEST = 1 << 20, 1 << 13, 1 << 18
"""How many bytes are shown: of all output together, and per file at least and at most."""


class LogMode(QueryMode):
    """The mode log: read the ends of all output, or follow that of a single running job."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context, items)
        self._options = query_options(context)
        self._jobs: dict[str, Job] = {}
        self._ends: dict[str, Sequence[LogText]] = {}
        self._was_followed = False
        self._was_interrupted = False

    def begin(self, found: FoundRuns, _repo: Repo, _remote: Remote) -> None:
        """Read the ends of all output."""
        connect, shown = self.context.connections.to, list(found.runs.items())[:MOST]
        self._jobs |= query(found.runs.values(), connect, self._options)
        most = min(LARGEST, max(LEAST, TOTAL // max(1, len(found.runs))))
        self._ends |= read_ends([recorded for _, recorded in shown], connect, most)
        if len(self.runs) > 1 or self.recorded.has_more:
            return
        for node, recorded in self.runs.items():  # the only run, which another place may have
            if self._jobs[recorded.run.directory].state.live:
                self._was_followed = True
                with self.terminal.lifted():
                    self._follow(node, recorded)

    def show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        """Show a job's state."""
        job = self._jobs[recorded.run.directory]
        ends = self._ends.get(recorded.run.directory, [])
        note_facts(item, **run_facts(recorded, job), output={e.path: clean(e.text) for e in ends})
        say(item, f"{job.state} job {job.id}".strip(), counted=str(job.state).lower())

    def exit_code(self) -> int:
        """See `QueryMode`."""
        return pytest.ExitCode.INTERRUPTED if self._was_interrupted else pytest.ExitCode.OK

    def summarize(self) -> None:
        """Show the output, and what to do next."""
        terminal, jobs = self.terminal, self._jobs
        known = {node: each for node, each in self.runs.items() if each.run.directory in jobs}
        if not self._was_followed:
            with terminal.lifted():
                for node, recorded in list(known.items())[:MOST]:
                    self._write_all(node, recorded)
        if len(known) > MOST:
            terminal.say(f"{len(known) - MOST} more are not shown: select with -k", yellow=True)
        if unsubmitted := self.recorded.unsubmitted:
            terminal.say(f"{unsubmitted} {self.recorded.unsubmitted_state.lower()}", yellow=True)
        where = "--remex-status shows the state of the experiments"
        stopped = was_stopped(self.session)
        nothing = STOPPED if stopped else "--remex-submit sends what was not submitted"
        terminal.say_next(where if known else nothing)

    def _follow(self, node: str, recorded: RecordedRun) -> None:
        ends = self._ends.get(recorded.run.directory, [])
        path = ends[-1].path if ends else ""
        try:
            self._write_all(node, recorded)
            _write("[followed until the job has ended; Ctrl-C stops]\n")
            least = self.settings.poll if recorded.launch.remote.host is not None else 0.0
            for new in follow(
                recorded, ends, self.context.connections.to, self._options, least=least
            ):
                if new.path != path:
                    path = new.path
                    _write(f"==> {clean(path)} <==\n")
                _write(new.text)
        except KeyboardInterrupt:
            self._was_interrupted = True
            self.terminal.say("stopped following: the job keeps running", yellow=True)
        else:
            self._jobs |= query([recorded], self.context.connections.to, self._options)
            job = self._jobs[recorded.run.directory]
            self.terminal.say(f"job {job.id} ended {job.state}", red=job.state.failed)

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
        folder = self.settings.runs / recorded.run.directory
        paths = all_present(folder, log_patterns(recorded.run))
        for path in paths:
            _write(f"==> {path}, as it was fetched <==\n")
            _write(_ended(clean(ends_of(path))))
        if not paths:
            outside = outside_logs(recorded.run)
            why = f"its output is {outside[0]}, outside the run directory" if outside else ""
            _write(f"[{clean(why) or 'there is no output'}]\n")


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"  # that of the locale, or of PYTHONIOENCODING
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()
