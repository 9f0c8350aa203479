"""Launch records, read: one JSON object a line; the memory of what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_remex.errors import RecordError
from pytest_remex.io import AGAIN
from pytest_remex.model import Commit, Config, Remote, Scalar, Value

FORMAT = 1


class Stage(StrEnum):
    """How far a run got on its way to the scheduler, as far as this record knows."""

    COMMITTED = "COMMITTED"
    PUSHED = "PUSHED"
    PLACED = "PLACED"
    SUBMITTING = "SUBMITTING"
    INDOUBT = "INDOUBT"
    HELD = "HELD"
    RELEASED = "RELEASED"
    REFUSED = "REFUSED"
    REJECTED = "REJECTED"

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do for the launch."""
        return self in {Stage.RELEASED, Stage.REFUSED, Stage.REJECTED}


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run in a launch record: the experiment, its commit, its run directory and job."""

    node: str
    id: str
    point: Config
    parameters: Config
    commit: Commit
    directory: str
    header: Mapping[str, Value] = field(default_factory=dict)
    stage: Stage = Stage.COMMITTED
    job: str = ""
    unit: str = ""
    """The submission that it is part of; runs of one array share it."""
    why: str = ""
    serial: int = 1
    """Counts the jobs of the run: 2 for one that was continued."""
    command: str = ""
    """What a continued run runs, in $REMEX_COMMAND."""
    ended: Mapping[str, Scalar] | None = None
    """The job's final state, once a query has seen it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The head of a launch record: what was launched, from where, to where."""

    id: str
    token: str
    name: str
    branch: str
    base: str
    base_config: Config
    fetch: tuple[str, ...]
    config_file: str | None
    remote: Remote


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """A launch record, read: its launch and its runs by commit.

    `tips` are the commits that were pushed to its temporary branch; `tidied` says that the branch
    is gone from everywhere.
    """

    launch: Launch
    entries: Mapping[str, RunRecord]
    path: Path
    tips: tuple[str, ...] = ()
    tidied: bool = False


def record_path(folder: Path, launch: str) -> Path:
    """Give the path of a launch's record."""
    return folder / f"{launch}.jsonl"


def read_records(folder: Path) -> list[LaunchRecord]:
    """Read all launch records, oldest launch first.

    Raises `RecordError` for one from a newer version, or damaged before its last line.
    """
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: (path.stem[-19:], path.stem))
    return [record for path in paths if (record := read_record(path)) is not None]


def read_record(path: Path) -> LaunchRecord | None:
    """Read one launch record; None where a crash left it without its first line."""
    events = _events(path)
    head = next(events, None)
    if head is None:
        return None
    launch, said = _launch(path, head), _Said()
    for number, event in enumerate(events, start=2):
        try:
            said.take(event, launch.base)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, number, repr(error)) from error
    entries = {sha: RunRecord(**facts) for sha, facts in said.runs.items()}
    return LaunchRecord(launch, entries, path, tuple(said.tips), said.tidied)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        *lines, _unfinished = path.read_bytes().split(b"\n")
    except OSError as error:
        why = error.strerror or error
        raise RecordError(f"{path} cannot be read ({why}): mend that, and {AGAIN}") from error
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line.decode())
        except ValueError as error:
            raise _damaged(path, number, str(error)) from error
        if not isinstance(event, dict):
            raise _damaged(path, number, "not a JSON object")
        yield event


@dataclass(slots=True)
class _Said:
    """What a record's events have said so far; `runs` holds the facts of entries, by commit."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tips: list[str] = field(default_factory=list)
    tidied: bool = False

    def take(self, event: Mapping[str, Any], base: str) -> None:
        """Take the next event. Raises `KeyError` for a run that no earlier event introduced."""
        match event["state"]:
            case "PUSHING":
                self.tips.append(event["tip"])
                self.tidied = False
            case "TIDIED":
                self.tidied = True
            case Stage.COMMITTED:
                sha = event["commit"]
                commit = Commit(sha, event["tree"], base)
                self.runs[sha] = {name: event[name] for name in _INTRODUCED} | {"commit": commit}
            case "ENDED":
                self.runs[event["commit"]]["ended"] = event["final"]
            case "RENAMED":
                self.runs[event["commit"]] |= {name: event[name] for name in _NAMES}
            case stage:
                facts = self.runs[event["commit"]]
                facts |= {"stage": Stage(stage), "why": "", "ended": None}
                facts |= {name: event[name] for name in _TOLD if name in event}


_NAMES = ("node", "id", "point", "parameters")
_INTRODUCED = (*_NAMES, "directory", "header")
_TOLD = ("job", "unit", "why", "serial", "command")


def _launch(path: Path, head: dict[str, Any]) -> Launch:
    if isinstance(head.get("remex"), int) and head["remex"] > FORMAT:
        raise RecordError(
            f"{path} is of format {head['remex']}, and this pytest-remex reads up to {FORMAT}: "
            f"upgrade it with `pip install -U pytest-remex`"
        )
    try:
        remote = dict(head["remote"])
        remote["shared"] = tuple(remote["shared"])
        return Launch(
            id=head["launch"],
            token=head["token"],
            name=head["sweep"],
            branch=head["branch"],
            base=head["base"],
            base_config=head["base_config"],
            fetch=tuple(head["fetch"]),
            config_file=head["config_file"],
            remote=Remote(**remote),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, 1, repr(error)) from error


def _damaged(path: Path, line: int, why: str) -> RecordError:
    return RecordError(
        f"launch record {path} is damaged in line {line} ({why}): restore the file from a backup, "
        f"or move it away if its runs no longer matter"
    )
