"""Submit units to Slurm, held, several sbatch at a time; then resolve together what is doubtful."""

import contextlib
import os
from typing import Callable, Dict, List, NamedTuple

from . import (
    attempts,
    files,
    groups,
    packs,
    parallel,
    paths,
    slurm,
    slurm_commands,
    slurm_environment,
)
from .faults import AgentError, scrub
from .limits import LimitWatch
from .resolve import Terms, resolve
from .sbatch import Launcher
from .units import Unit, units_of
from .verdicts import DOUBT, HELD, LIMIT, REJECTED, Verdict, refuses
from .verify import Told, verify
from .wire import Request, Talk

PATIENCE = 180.0
"""Seconds for one sbatch: its own retries may sleep 120, and to end it sooner makes doubt."""
LIMIT_PATIENCE = 20.0
"""Seconds to go on trying against a submit limit."""
MOST = 3
"""Attempts that may leave no trace before a unit counts as refused."""
WIDTH = 4
IGNORED = (
    "{names} of your login environment did not count: an experiment is what its commit says;"
    " put into run.sbatch what it needs"
)


class Means(NamedTuple):
    """What an attempt needs."""

    talk: Talk
    launcher: Launcher
    limit: LimitWatch
    told: List[Told]
    """The jobs that sbatch told of since they were last looked for in Slurm."""


def submit(request: Request, talk: Talk) -> None:
    """Submit the request's units and tell what became of each."""
    patience = float(request.get("patience") or PATIENCE)
    limit = LimitWatch(float(request.get("limit_patience", LIMIT_PATIENCE)))
    width = request.get("width") or WIDTH
    units = units_of(request)
    _tell_ignored(units, talk)
    with contextlib.closing(Launcher(patience)) as launcher:
        means = Means(talk, launcher, limit, [])
        doubtful = _each(units, lambda unit: _carry(unit, means), means, width)
        doubtful += _verify(means)
        if doubtful:
            terms = Terms(patience, min(slurm.message_timeout(), patience))
            _settle(doubtful, terms, means, width)
    talk.check()


def _tell_ignored(units: List[Unit], talk: Talk) -> None:
    names = slurm_environment.ignored(os.environ)
    if units and names:
        talk.event("warning", key=units[0].key, message=IGNORED.format(names=", ".join(names)))


def _verify(means: Means) -> List[Unit]:
    """Look in Slurm for the jobs that sbatch just told of; returns the units that are in doubt."""
    told = means.told[:]
    doubtful: List[Unit] = []
    means.told.clear()
    if means.talk.gone:
        return doubtful
    for unit, verdict in verify(told):
        if verdict.kind == DOUBT:
            doubtful.append(unit)
        else:
            _tell(unit, verdict, means.talk)
    return doubtful


def _settle(doubtful: List[Unit], terms: Terms, means: Means, width: int) -> None:
    """Resolve doubtful units, and try those again that left no trace, until all are settled."""
    while doubtful:
        try:
            jobs, again = resolve(doubtful, means.talk, terms)
        except AgentError as error:
            for unit in doubtful:
                means.talk.event("indoubt", key=unit.key, message=scrub(str(error)))
            return
        for unit in doubtful:
            if unit.key in jobs:
                number = len(attempts.read(unit.home, unit.serial))
                means.told.append(Told(unit, number, jobs[unit.key], found=True))
                _tell(unit, Verdict(HELD, job=jobs[unit.key]), means.talk)
        doubtful = _each(again, lambda unit: _try_again(unit, means), means, width)
        doubtful += _verify(means)


def _each(
    units: List[Unit], act: Callable[[Unit], Verdict], means: Means, width: int
) -> List[Unit]:
    """Tell each unit's verdict; gives the units in doubt."""
    doubtful: List[Unit] = []

    def carry(unit: Unit) -> None:
        if means.talk.gone:
            return
        verdict = act(unit)
        if verdict.kind == DOUBT:
            doubtful.append(unit)
        else:
            _tell(unit, verdict, means.talk)

    parallel.each(units, carry, width)
    return doubtful


def _carry(unit: Unit, means: Means) -> Verdict:
    """Look what is noted of a unit, and make the attempt that this leaves to make."""
    group = groups.of(unit)
    if group is not None:
        groups.prepare(unit, group)
    elif not os.path.isdir(unit.home):
        return Verdict(REJECTED, words=f"there is no run directory {unit.folder}; place it again")
    made = attempts.read(unit.home, unit.serial)
    job = attempts.settled(unit.home, unit.serial, made)
    if job is not None:
        return Verdict(HELD, job=job)
    if made and made[-1].verdict.kind == LIMIT:
        return _attempt(unit, made[-1].number + 1, means)
    if made:
        return made[-1].verdict
    return Verdict(DOUBT) if unit.doubt else _attempt(unit, 1, means)


def _try_again(unit: Unit, means: Means) -> Verdict:
    """Make the next attempt for a unit whose earlier ones left no trace in Slurm."""
    made = attempts.read(unit.home, unit.serial)
    traceless = [attempt for attempt in made if attempt.verdict.kind == DOUBT]
    if traceless and refuses(traceless[-1].said):
        return Verdict(REJECTED, words=traceless[-1].said.strip())
    if len(traceless) < MOST:
        return _attempt(unit, made[-1].number + 1 if made else 1, means)
    words = traceless[-1].said.strip() or "nothing"
    return Verdict(REJECTED, words=f"no job after {MOST} attempts; sbatch said: {words}")


def _attempt(unit: Unit, number: int, means: Means) -> Verdict:
    """Make attempts until Slurm takes the unit, refuses it, or leaves doubt."""
    while True:
        if means.limit.over:
            return Verdict(LIMIT, words=means.limit.words)
        verdict = _sbatch(unit, number, means)
        if verdict.kind == HELD:
            means.limit.passed()
        if verdict.kind != LIMIT or means.talk.gone or not means.limit.wait(verdict.words):
            return verdict
        number += 1


def _sbatch(unit: Unit, number: int, means: Means) -> Verdict:
    if number == 1:
        for place in unit.places:
            files.remove(paths.exit_code(place))
    note = attempts.begin(unit.home, unit.serial, number)
    if note is None:
        return Verdict(DOUBT)
    group = groups.of(unit)
    words = slurm_commands.submit(unit.comment, group.options if group else [])
    environment = {**slurm_environment.for_submission(os.environ), **unit.environment}
    verdict = attempts.end(note, means.launcher.run(words, unit.folder, note, environment))
    if verdict.kind != HELD:
        return verdict
    first = number == 1
    job = verdict.job if first else attempts.adopt(unit.home, unit.serial, verdict.job)
    means.told.append(Told(unit, number, job))
    return Verdict(HELD, job=job)


def _tell(unit: Unit, verdict: Verdict, talk: Talk) -> None:
    if verdict.kind != HELD:
        limit = {"limit": True} if verdict.kind == LIMIT else {}
        talk.event("rejected", key=unit.key, message=scrub(verdict.words), **limit)
        return
    jobs = _tasks(unit, verdict.job)
    for name, job in jobs.items():
        files.replace(paths.job(os.path.join(unit.runs, name)), job + "\n")
        if unit.pack is not None:
            packs.join(os.path.join(unit.runs, name), unit.folder)
    talk.event("held", key=unit.key, job=verdict.job, jobs=jobs)


def _tasks(unit: Unit, job: str) -> Dict[str, str]:
    if unit.array is None:
        return dict.fromkeys(unit.directories, job)
    number, mark, cluster = job.partition(";")
    return {name: f"{number}_{index}{mark}{cluster}" for index, name in enumerate(unit.directories)}
