"""The phase that sends experiments out: commit, push, place, submit held, record, release.

Each step is announced in the launch record before it is done and noted after it, so that the same
command, run again after a crash anywhere, finds out what happened and goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_remex import names
from pytest_remex.launch.opened import (
    Batch,
    OpenLaunch,
    Outcome,
    Progress,
    Submitted,
    Unsubmitted,
)
from pytest_remex.launch.units import Unit, form_units
from pytest_remex.model import Config
from pytest_remex.records.journal import committed, pushing, tidied
from pytest_remex.records.reading import Entry, Stage

ALREADY = frozenset({Stage.HELD, Stage.RELEASED})
SENT = ALREADY | {Stage.SUBMITTING, Stage.INDOUBT}
"""The stages of a run that may have a job."""


def commit(opened: OpenLaunch, entries: Sequence[Entry]) -> Batch:
    """Note runs in the launch record, and keep their commits in the user's repository."""
    _announce(opened, entries)
    shas = [entry.commit.sha for entry in entries]
    return Batch(opened, shas, _keep(opened, shas))


def send(batch: Batch, progress: Progress) -> list[Outcome]:
    """Submit a batch that was committed, and give an outcome for each of its runs.

    Nothing is submitted twice: the same call, made again after it failed anywhere, goes on.
    It may run in a thread of its own while more is patched, but not while more of this launch is
    committed. Raises `RemexError` where the batch could not be handled; where that is a
    `ConnectionLostError`, some of its jobs may have been submitted.
    """
    opened, shas = batch.opened, batch.shas
    _publish_and_place(opened, batch.tip, shas, progress)
    _submit_held(opened, shas, progress)
    _release(opened, shas)
    return [_outcome(opened.entries[sha]) for sha in shas]


def finish(opened: OpenLaunch) -> None:
    """Remove what a launch left in other places. Raises `RemexError` where that fails."""
    opened.publisher.withdraw()
    launch, remote = opened.launch, opened.launch.remote
    for _ in opened.connection.ask(
        "tidy", clone=_clone(opened), launch=launch.id, runs=remote.runs, token=launch.token
    ):
        pass
    opened.journal.write([tidied()])


def _announce(opened: OpenLaunch, entries: Sequence[Entry]) -> None:
    fresh = [entry for entry in entries if entry.commit.sha not in opened.entries]
    opened.journal.write(committed(entry) for entry in fresh)
    opened.add(fresh)


def _keep(opened: OpenLaunch, shas: Sequence[str]) -> str:
    launch = opened.launch
    return opened.workspace.committer.gather(names.keep_ref(launch.id), shas, launch.token)


def _publish_and_place(
    opened: OpenLaunch, tip: str, shas: Sequence[str], progress: Progress
) -> None:
    waiting = [sha for sha in shas if opened.entries[sha].stage not in ALREADY]
    opened.journal.write([pushing(tip)])
    opened.journal.sync()
    progress("pushing", 0, len(waiting))
    source = opened.publisher.publish(tip)
    opened.note(waiting, Stage.PUSHED)
    launch, remote = opened.launch, opened.launch.remote
    placed: list[str] = []
    for answer in opened.connection.ask(
        "place",
        clone=_clone(opened),
        runs=remote.runs,
        launch=launch.id,
        token=launch.token,
        base=launch.base,
        source=source,
        shared=remote.shared,
        runs_to_place=[_placement(opened, opened.entries[sha]) for sha in waiting],
    ):
        if answer["event"] == "placed":
            placed.append(opened.commits[answer.field("directory", str)])
            progress("placing", len(placed), len(waiting))
        elif answer["event"] == "refused":
            sha = opened.commits[answer.field("directory", str)]
            opened.note([sha], Stage.REFUSED, why=answer.field("message", str))
    opened.note(placed, Stage.PLACED)


def _placement(opened: OpenLaunch, entry: Entry) -> dict[str, object]:
    config: Config = {**opened.launch.base_config, **entry.point}
    return {
        "directory": entry.directory,
        "sha": entry.commit.sha,
        "parent": entry.commit.base,
        "tree": entry.commit.tree,
        "meta": {"node": entry.node, "id": entry.id, "point": entry.point, "config": config},
    }


def _submit_held(opened: OpenLaunch, shas: Sequence[str], progress: Progress) -> None:
    ready = [opened.entries[sha] for sha in shas if opened.entries[sha].stage is Stage.PLACED]
    units = _units(opened, ready)
    for unit in units:
        opened.note(_shas(unit), Stage.SUBMITTING, unit=unit.key)
    opened.journal.sync()
    by_key = {unit.key: unit for unit in units}
    done: set[str] = set()
    for answer in opened.connection.ask(
        "submit",
        runs=opened.launch.remote.runs,
        launch=opened.launch.id,
        token=opened.launch.token,
        scheduler=_scheduler(opened),
        units=[
            unit.request(opened.grouping, doubt=not opened.doubtful.isdisjoint(_shas(unit)))
            for unit in units
        ],
    ):
        unit = by_key[answer.field("key", str)]
        match answer["event"]:
            case "held":
                for directory, job in answer.field("jobs", dict).items():
                    opened.note([opened.commits[directory]], Stage.HELD, job=str(job))
            case "rejected" if answer.get("limit"):
                why = f"{answer.field('message', str)}\nrun the same command again for the rest"
                opened.note(_shas(unit), Stage.PLACED, why=why)
            case "rejected":
                opened.note(_shas(unit), Stage.REJECTED, why=answer.field("message", str))
            case "indoubt":
                opened.note(_shas(unit), Stage.INDOUBT, why=answer.field("message", str))
            case "warning":
                opened.warnings.append(answer.field("message", str))
                continue
            case _:
                continue
        # told again where Slurm disproves what sbatch said
        done.update(_shas(unit))
        progress("submitting", len(done), len(ready))


def _units(opened: OpenLaunch, ready: Sequence[Entry]) -> list[Unit]:
    members: dict[str, list[Entry]] = {}
    for entry in opened.entries.values():
        members.setdefault(entry.unit, []).append(entry)
    size = opened.connection.facts().get("max_array_size")
    longest = size if isinstance(size, int) and size > 0 else 1000
    return form_units(ready, members, opened.grouping, longest)


def _release(opened: OpenLaunch, shas: Sequence[str]) -> None:
    units = {opened.entries[sha].unit for sha in shas}
    held = [e for e in opened.entries.values() if e.stage is Stage.HELD and e.unit in units]
    asked = sorted({_parent(entry.job) for entry in held if not entry.header.get("held")})
    opened.journal.sync()
    refused: dict[str, tuple[Stage, str]] = {}
    for answer in opened.connection.ask(
        "release", runs=opened.launch.remote.runs, scheduler=_scheduler(opened), jobs=asked
    ):
        if answer["event"] == "unreleased":
            stage = Stage.RELEASED if answer.get("lost") else Stage.HELD
            refused[_parent(answer.field("job", str))] = stage, answer.field("message", str)
    for entry in held:
        if refusal := refused.get(_parent(entry.job)):
            opened.note([entry.commit.sha], refusal[0], why=refusal[1])
    done = [entry.commit.sha for entry in held if _parent(entry.job) not in refused]
    opened.note(done, Stage.RELEASED)
    opened.journal.sync()


def _parent(job: str) -> str:
    """Give the array's job of a task: releasing it releases them all."""
    return job.partition("_")[0]


def _scheduler(opened: OpenLaunch) -> str:
    return "local" if opened.launch.remote.host is None else "slurm"


def _outcome(entry: Entry) -> Outcome:
    if entry.stage is Stage.RELEASED and not entry.why:
        return Submitted(entry.job)
    if entry.stage is Stage.HELD:
        why = f"job {entry.job} is held and could not be released: {entry.why}"
        return Unsubmitted(why, doubtful=True)
    if entry.stage is Stage.INDOUBT:
        return Unsubmitted(
            f"whether its job was accepted is not known ({entry.why}): run the same command again",
            doubtful=True,
        )
    return Unsubmitted(entry.why or f"it stayed {entry.stage}: run the same command again")


def _clone(opened: OpenLaunch) -> str:
    remote = opened.launch.remote
    return remote.clone if remote.host is not None else str(opened.workspace.git.top)


def _shas(unit: Unit) -> list[str]:
    return [entry.commit.sha for entry in unit.entries]
