"""Facts about each experiment for scripts: --remex-json, and properties in junit files."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_remex.common.jobs import Job
from pytest_remex.common.typed_json import to_json
from pytest_remex.errors import RemexError
from pytest_remex.io import writing
from pytest_remex.pytest_plugin.item_outcomes import reason_of
from pytest_remex.pytest_plugin.items import experiments, variant_of
from pytest_remex.records.fields import variant_to_json
from pytest_remex.records.index import RecordedRun

if TYPE_CHECKING:
    from pytest_remex.repo.workspace import Prepared

FACTS = pytest.StashKey[dict[str, Any]]()
"""The facts about an item's experiment, by name; JSON can represent them."""
_PROPERTIES = {"job_id": "remex_job", "state": "remex_state", "elapsed": "remex_elapsed",
               "commit": "remex_commit"}  # fmt: skip
"""The facts that become properties in a junit file, and their names."""


def note_facts(item: pytest.Item, **facts: object) -> None:
    """Store facts about an item's experiment, for the JSON file and for junit files."""
    if item.config.option.remex_json is not None:
        item.stash.setdefault(FACTS, {}).update(facts)
    item.user_properties += properties_of(facts)


def properties_of(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """Return facts as properties of a junit file: numbers and text, for other processes too."""
    return [
        (_PROPERTIES[name], _plain(value))
        for name, value in facts.items()
        if name in _PROPERTIES and value not in (None, "")
    ]


def run_facts(recorded: RecordedRun, job: Job) -> dict[str, Any]:
    """Return the facts about a run and its job."""
    run, launch = recorded.run, recorded.launch
    about = {f"job_{name}" if name == "id" else name: v for name, v in to_json(job).items()}
    return {
        "launch": launch.id,
        "note": launch.note,
        "commit": run.commit.sha,
        "base": run.commit.base,
        "directory": run.directory,
        "point": run.point,
        **about,
    }


def prepared_facts(prepared: Prepared) -> dict[str, Any]:
    """Return the facts about an experiment that will be submitted."""
    return {
        "commit": prepared.commit.sha,
        "base": prepared.commit.base,
        "fingerprint": prepared.identity.fingerprint,
        "point": prepared.experiment.point,
    }


class FactsFile:
    """The plugin that writes the file of --remex-json: a list with one object per experiment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, tuple[str, str]] = {}
        self._error = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an item's outcome."""
        if report.when == "call" or not report.passed:
            self._outcomes[report.nodeid] = report.outcome, reason_of(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the file."""
        rows = [self._row(item) for item in experiments(session.items)]
        try:
            with writing(self._path):
                text = json.dumps(_plain(rows), indent=1, allow_nan=False)
                self._path.write_text(f"{text}\n", "utf-8", "backslashreplace")
        except RemexError as error:
            self._error = str(error)
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report if the file could not be written."""
        if self._error:
            terminalreporter.write_line(self._error, red=True)

    def _row(self, item: pytest.Item) -> dict[str, Any]:
        outcome, why = self._outcomes.get(item.nodeid, ("", ""))
        facts: dict[str, Any] = item.stash.get(FACTS, {})
        variant = variant_to_json(variant_of(item))
        if variant:
            facts = {"variant": variant, **facts}
        return {"node": item.nodeid, "outcome": outcome, "why": why, **facts}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a mode notes
    """Convert a value for JSON: numbers that JSON cannot represent become text."""
    match value:
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float() if not math.isfinite(value):
            return str(value)
        case Enum():
            return str(value)
        case str() | int() | float() | None:
            return value
        case _:
            return str(value)
