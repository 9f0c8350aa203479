"""The content of launch records: each type, with its conversions to and from JSON.

A launch record is a file of JSON objects, one per line. The first is the head, which describes the
launch; the others are events, named by their `state`. Fields and events that this release does not
know are ignored. A change that every reader must understand raises `FORMAT`; newer formats are
refused. `launch` has the first line.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from pytest_remex.common.jobs import Job
from pytest_remex.common.typed_json import from_json, to_json
from pytest_remex.model import Commit, Config, Identity
from pytest_remex.names import function_of
from pytest_remex.records.fields import (
    Collected,
    Collection,
    Json,
    UpstreamRun,
    collected_from_json,
    field,
    header_from_json,
    header_to_json,
    identity_from_json,
    identity_to_json,
    texts,
    upstream_from_json,
    upstream_to_json,
    variant_from_json,
    variant_to_json,
)
from pytest_remex.sbatch.script import Header
from pytest_remex.variant import Variant


class Stage(StrEnum):
    """How far a run has got on its way to the scheduler, according to its launch record."""

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
        """Whether the launch has nothing left to do for the run."""
        return self in {Stage.RELEASED, Stage.REFUSED, Stage.REJECTED}


HAS_JOB = frozenset({Stage.HELD, Stage.RELEASED})
MAY_HAVE_JOB = HAS_JOB | {Stage.SUBMITTING, Stage.INDOUBT}


class RunRecord(NamedTuple):
    """One run of a launch: its experiment, recipe number, commit, run directory and job."""

    node: str
    id: str
    point: Config
    parameters: Config
    commit: Commit
    directory: str
    header: Header
    stage: Stage = Stage.COMMITTED
    job: str = ""
    submission: str = ""
    """The key of its submission; the runs of an array share one."""
    why: str = ""
    job_number: int = 1
    """Counts the jobs of the run: 2 for a run that was continued once."""
    command: str = ""
    """The command of a continued run, in $REMEX_COMMAND."""
    sbatch: tuple[str, ...] = ()
    """Options for sbatch that override the script's header; `header` is the result."""
    final: Job | None = None
    """The job's final state, once a query has seen it."""
    collected: Collection | None = None
    """Who fetched all of its job's outputs first, and when."""
    identity: Identity | None = None
    """The identity by the first recipe; None if a release without fingerprints wrote the record."""
    recipe: int = 0
    taken: str = ""
    """The launch that has the experiment, if another client was faster; the stage is REFUSED."""
    sweep: str = ""
    """The sweep that took it over; empty if it still belongs to its launch's sweep."""
    aliases: tuple[Renamed, ...] = ()
    """Its names in other sweeps, which may still exist, for example in another clone."""
    upstream: UpstreamRun | None = None
    variants: tuple[Variant, ...] = ()
    """Other variants of the grid that have it too."""
    added: bool = False
    """Whether it is a replicate that --remex-again added to the grid."""
    discarded: bool = False
    """Whether it was cancelled before its launch had submitted it; the stage is REJECTED."""

    @property
    def settled(self) -> bool:
        """Whether its launch has nothing left to do for it; also if its job ended while held."""
        return self.stage.settled or (self.stage is Stage.HELD and self.final is not None)

    @property
    def is_void(self) -> bool:
        """Whether it is no run of its experiment: another client has that, or it was discarded."""
        return bool(self.taken) or self.discarded

    @property
    def may_have_job(self) -> bool:
        """Whether it has or may have a job: its submission has begun, or it was continued."""
        return self.stage in MAY_HAVE_JOB or self.job_number > 1


class Committed(NamedTuple):
    """The first event of a run; its commit is in the user's repository."""

    run: RunRecord


class StageReached(NamedTuple):
    """A run has reached a stage. None means unchanged; `why` applies to this stage only."""

    commit: str
    stage: Stage
    job: str | None = None
    submission: str | None = None
    why: str | None = None
    job_number: int | None = None
    command: str | None = None
    taken: str | None = None
    discarded: bool | None = None


class Ended(NamedTuple):
    """A job's final state was seen."""

    commit: str
    final: Job


class Renamed(NamedTuple):
    """From now on a run has another node id, point or parameters."""

    commit: str
    node: str
    id: str
    point: Config
    parameters: Config
    sweep: str = ""

    @classmethod
    def of(cls, run: RunRecord) -> Renamed:
        """Return the event that sets a run's names to those of `run`."""
        return cls(run.commit.sha, run.node, run.id, run.point, run.parameters, run.sweep)

    def apply(self, run: RunRecord) -> RunRecord:
        """Return a run with these names; its names in another sweep become an alias."""
        known = {function_of(each.node): each for each in (*run.aliases, Renamed.of(run))}
        known.pop(function_of(self.node), None)
        return run._replace(
            node=self.node,
            id=self.id,
            point=self.point,
            parameters=self.parameters,
            sweep=self.sweep,
            aliases=tuple(known.values()),
        )


class Shared(NamedTuple):
    """Another variant of the grid has this run too: there it is the same experiment."""

    commit: str
    variant: Variant


class Pushing(NamedTuple):
    """The commit `tip` is about to be pushed to the launch's temporary branch."""

    tip: str


class BranchRemoved(NamedTuple):
    """The temporary branch has been removed everywhere."""


class LeftBranchRemoved(NamedTuple):
    """This client removed the temporary branch of another client, which is named by `worker`."""

    worker: str


Event: TypeAlias = (
    Committed
    | StageReached
    | Ended
    | Collected
    | Renamed
    | Shared
    | Pushing
    | BranchRemoved
    | LeftBranchRemoved
)


def introduction(run: RunRecord) -> Iterator[Event]:
    """Return the events of a run, and its stage."""
    yield Committed(run)
    if run.stage is not Stage.COMMITTED:
        yield StageReached(
            run.commit.sha,
            run.stage,
            job=run.job,
            submission=run.submission,
            why=run.why,
            job_number=run.job_number,
            command=run.command,
        )


def run_to_json(run: RunRecord) -> dict[str, Any]:
    """Return the fields of a run's first event; stage and job come with later events."""
    optional = {
        "sbatch": list(run.sbatch),
        "recipe": run.recipe,
        "sweep": run.sweep,
        "upstream": upstream_to_json(run.upstream) if run.upstream else None,
        "added": run.added,
        "why": run.why if run.stage is Stage.COMMITTED else "",
    }
    return {
        "commit": run.commit.sha,
        "tree": run.commit.tree,
        "node": run.node,
        "id": run.id,
        "point": run.point,
        "parameters": run.parameters,
        "directory": run.directory,
        "header": header_to_json(run.header),
        **(identity_to_json(run.identity) if run.identity else {}),
        **{name: value for name, value in optional.items() if value},
    }


def run_from_json(data: Json, base: str) -> RunRecord:
    """Return the run from its first event; `base` is the launch's base commit."""
    upstream = field(data, "upstream", dict) if "upstream" in data else None
    return RunRecord(
        node=field(data, "node", str),
        id=field(data, "id", str),
        point=field(data, "point", dict),
        parameters=field(data, "parameters", dict),
        commit=Commit(field(data, "commit", str), field(data, "tree", str), base),
        directory=field(data, "directory", str),
        header=header_from_json(field(data, "header", dict)),
        identity=identity_from_json(data) if "fingerprint" in data else None,
        sbatch=texts(data, "sbatch", []),
        recipe=field(data, "recipe", int, 0),
        sweep=field(data, "sweep", str, ""),
        why=field(data, "why", str, ""),
        upstream=None if upstream is None else upstream_from_json(upstream),
        added=field(data, "added", bool, default=False),
    )


_STAGE_FIELDS = {
    "job": ("job", str),
    "why": ("why", str),
    "job_number": ("serial", int),
    "command": ("command", str),
    "submission": ("unit", str),
    "taken": ("taken", str),
    "discarded": ("discarded", bool),
}
"""The fields of `StageReached`, each with its JSON key and type."""


def event_to_json(event: Event) -> dict[str, Any]:  # noqa: PLR0911 - one for each event
    """Return an event as a line of a record."""
    match event:
        case Committed(run):
            return {"state": Stage.COMMITTED, **run_to_json(run)}
        case StageReached(commit, stage):
            changes = {key: getattr(event, name) for name, (key, _) in _STAGE_FIELDS.items()}
            present = {key: value for key, value in changes.items() if value is not None}
            return {"state": stage, "commit": commit, **present}
        case Ended(commit, final):
            return {"state": "ENDED", "commit": commit, "final": to_json(final)}
        case Collected():
            return {"state": "COLLECTED", **event._asdict()}
        case Renamed():
            facts = {k: v for k, v in event._asdict().items() if v or k != "sweep"}
            return {"state": "RENAMED", **facts}
        case Shared(commit, variant):
            return {"state": "SHARED", "commit": commit, "variant": variant_to_json(variant)}
        case Pushing(tip):
            return {"state": "PUSHING", "tip": tip}
        case BranchRemoved():
            return {"state": "TIDIED"}
        case LeftBranchRemoved(worker):
            return {"state": "SWEPT", "worker": worker}


def event_from_json(data: Json, base: str) -> Event | None:  # noqa: PLR0911 - one for each event
    """Return the event in a line of a record; None if this release does not know it.

    Raises:
        ValueError: A field is missing or of another type; the message names it.

    """
    state = field(data, "state", str)
    if state in _REACHED:
        return _stage_from_json(data)
    match state:
        case Stage.COMMITTED:
            return Committed(run_from_json(data, base))
        case "ENDED":
            return Ended(field(data, "commit", str), from_json(Job, field(data, "final", dict)))
        case "COLLECTED":
            return collected_from_json(data)
        case "RENAMED":
            return Renamed(
                commit=field(data, "commit", str),
                node=field(data, "node", str),
                id=field(data, "id", str),
                point=field(data, "point", dict),
                parameters=field(data, "parameters", dict),
                sweep=field(data, "sweep", str, ""),
            )
        case "SHARED":
            return Shared(field(data, "commit", str), variant_from_json(data))
        case "SWEPT":
            return LeftBranchRemoved(field(data, "worker", str))
        case "PUSHING":
            return Pushing(field(data, "tip", str))
    return BranchRemoved() if state == "TIDIED" else None


_REACHED = frozenset(Stage) - {Stage.COMMITTED}
_STAGE_KEYS = {key: (name, kind) for name, (key, kind) in _STAGE_FIELDS.items()}


def _stage_from_json(data: Json) -> StageReached:
    given = [(key, *_STAGE_KEYS[key]) for key in data if key in _STAGE_KEYS]
    changes: dict[str, Any] = {name: field(data, key, kind) for key, name, kind in given}
    return StageReached(field(data, "commit", str), Stage(data["state"]), **changes)
