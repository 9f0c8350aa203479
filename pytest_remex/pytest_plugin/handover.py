"""The processes of a collect: what the one that fetches sees of the others, and their messages.

The messages are the runs to judge, and the verdicts: JSON in ASCII, so any file name and any output
of a job can be sent.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

import pytest

from pytest_remex.collect.judge import JudgedRun
from pytest_remex.collect.kept import is_installed
from pytest_remex.collect.manifest import JudgedNote
from pytest_remex.collect.runs import CollectedRun
from pytest_remex.common.jobs import Job
from pytest_remex.common.typed_json import from_json, to_json
from pytest_remex.tables.publish import TablesImport

DIED = (
    "the process that judged this ended without a verdict: it crashed, was killed, or the memory "
    "was not enough; collect only this one, with -k and without -n, to see where"
)
"""What is reported of an experiment whose process died."""
_JUDGED = "remex_judged"
"""The attribute of a report with a verdict."""


class Collect(NamedTuple):
    """A collect, which several processes may share.

    `id` names it in what they record; `code` are the files of the program that started it; `runs`
    is the file of the runs that other processes judge, which keeps nothing if there are none.
    """

    id: str
    code: Sequence[str]
    runs: Path

    @classmethod
    def new(cls, runs: Path = Path(os.devnull)) -> Collect:
        """Return the collect that this process begins."""
        path = getattr(sys.modules["__main__"], "__file__", None)
        return cls(uuid4().hex, [path] if path and not is_installed(path) else [], runs)

    def text(self) -> str:
        """Return it as text, for another process."""
        return json.dumps({"id": self.id, "code": self.code, "runs": str(self.runs)})

    @classmethod
    def of(cls, text: str) -> Collect:
        """Return the collect that another process began, from its text."""
        data = json.loads(text)
        return cls(data["id"], data["code"], Path(data["runs"]))


class OtherProcesses(Protocol):
    """The processes that judge runs for the one that collects."""

    collect: Collect
    """The collect that they are a part of."""
    tables: TablesImport
    """The import of what writes tables, which is begun while this process waits."""

    def expect(self, items: Sequence[pytest.Item], tell: Callable[[str], None]) -> None:
        """Take in the items of the collect, and whom to tell notes for the user."""

    def add(self, runs: Mapping[str, CollectedRun], needs_check: Callable[[str], bool]) -> None:
        """Have runs judged, by node id, as far as their checks have to run."""

    def wait_for(self, item: pytest.Item) -> Sequence[pytest.TestReport] | None:
        """Wait for an item's reports; None if it has to be judged by this process."""

    def close(self) -> Sequence[pytest.Item]:
        """End all processes, and return the items whose verdicts were not waited for."""


class NoOtherProcesses:
    """Those of a collect that judges all runs in its own process."""

    def __init__(self) -> None:
        self.collect = Collect.new()
        self.tables = TablesImport()

    def expect(self, _items: Sequence[pytest.Item], _tell: Callable[[str], None]) -> None:
        """Expect nothing."""

    def add(self, _runs: Mapping[str, CollectedRun], _needs_check: Callable[[str], bool]) -> None:
        """Leave all to this process, whose checks must not be watched while it imports."""
        self.tables.wait()

    def wait_for(self, _item: pytest.Item) -> None:
        """Return that an item has to be judged by this process."""

    def close(self) -> Sequence[pytest.Item]:
        """Return that nothing was left."""
        return ()


def append_runs(path: Path, runs: Mapping[str, CollectedRun]) -> None:
    """Add runs, by node id, to the file of runs."""
    with path.open("a", encoding="ascii") as file:
        for node, collected in runs.items():
            jobs = {each.run.directory: to_json(each.job) for each in _with_upstreams(collected)}
            data = {"node": node, "directory": collected.run.directory, "jobs": jobs}
            file.write(f"{json.dumps(data)}\n")


def _with_upstreams(collected: CollectedRun) -> Iterable[CollectedRun]:
    each: CollectedRun | None = collected
    while each is not None:
        yield each
        each = each.upstream


class RunsFile(NamedTuple):
    """The file of runs: the run directory of each node id, the job of each run directory."""

    directories: Mapping[str, str]
    jobs: Mapping[str, Job]

    @classmethod
    def read(cls, path: Path) -> RunsFile:
        """Read the file."""
        lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
        jobs = {name: job for each in lines for name, job in each["jobs"].items()}
        return cls(
            {each["node"]: each["directory"] for each in lines},
            {name: from_json(Job, job) for name, job in jobs.items()},
        )


def attach(report: pytest.TestReport, result: JudgedRun, notes: Sequence[str]) -> None:
    """Attach a verdict, and notes for the user, to a report that goes to another process."""
    data = {
        "verdict": result.verdict,
        "reason": result.reason,
        "measures": dict(result.measures),
        "curves": dict(result.curves),
        "note": result.note._asdict(),
        "note_changed": result.note_changed,
        "notes": list(notes),
    }
    vars(report)[_JUDGED] = json.dumps(data)


def has_verdict(reports: Iterable[pytest.TestReport]) -> bool:
    """Return whether one of the reports has a verdict."""
    return any(_JUDGED in vars(report) for report in reports)


def has_died(reports: Iterable[pytest.TestReport]) -> bool:
    """Return whether one of the reports tells that the process died."""
    return any(report.longrepr == DIED for report in reports)


def detach(report: pytest.TestReport, result: JudgedRun) -> tuple[JudgedRun, Sequence[str]]:
    """Return a run's result, as far as a report has it, and the notes."""
    text = vars(report).pop(_JUDGED, None)
    if text is None:
        return result, ()
    data = json.loads(text)
    notes, note = data.pop("notes"), from_json(JudgedNote, data.pop("note"))
    return result._replace(note=note, **data), notes
