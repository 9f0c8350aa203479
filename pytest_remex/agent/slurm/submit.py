"""Submit units to Slurm, held, several sbatch at a time; then resolve together what is doubtful."""

import contextlib
import os
from typing import Callable, Dict, List, NamedTuple

from pytest_remex.agent import fs, parallel
from pytest_remex.agent.errors import AgentError, scrub
from pytest_remex.agent.slurm import attempts, client, command_lines, groups, packs
from pytest_remex.agent.slurm.reconcile import Timeouts, resolve
from pytest_remex.agent.slurm.sbatch import Launcher
from pytest_remex.agent.slurm.sbatch_result import DOUBT, HELD, LIMIT, REJECTED, SbatchResult
from pytest_remex.agent.slurm.submit_limit import LimitWatch
from pytest_remex.agent.submissions import Submission, submissions_of
from pytest_remex.agent.wire import Reply, Request
from pytest_remex.common import paths

PATIENCE = 180.0
"""Seconds for one sbatch: its own retries may sleep 120, and to end it sooner makes doubt."""
LIMIT_PATIENCE = 20.0
"""Seconds to go on trying against a submit limit."""
MOST = 3
"""Attempts that may leave no trace before a unit counts as refused."""
WIDTH = 4


class SubmitContext(NamedTuple):
    """What an attempt needs."""

    talk: Reply
    launcher: Launcher
    limit: LimitWatch


def submit(request: Request, talk: Reply) -> None:
    """Submit the request's units and tell what became of each."""
    patience = float(request.get("patience") or PATIENCE)
    limit = LimitWatch(float(request.get("limit_patience", LIMIT_PATIENCE)))
    width = request.get("width") or WIDTH
    with contextlib.closing(Launcher(patience)) as launcher:
        means = SubmitContext(talk, launcher, limit)
        doubtful = _each(submissions_of(request), lambda unit: _carry(unit, means), talk, width)
        if doubtful:
            terms = Timeouts(patience, min(client.message_timeout(), patience))
            _settle(doubtful, terms, means, width)
    talk.check()


def _settle(doubtful: List[Submission], terms: Timeouts, means: SubmitContext, width: int) -> None:
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
                _tell(unit, SbatchResult(HELD, job=jobs[unit.key]), means.talk)
        doubtful = _each(again, lambda unit: _try_again(unit, means), means.talk, width)


def _each(
    units: List[Submission], act: Callable[[Submission], SbatchResult], talk: Reply, width: int
) -> List[Submission]:
    """Tell each unit's verdict; gives the units in doubt."""
    doubtful: List[Submission] = []

    def carry(unit: Submission) -> None:
        if talk.gone:
            return
        verdict = act(unit)
        if verdict.kind == DOUBT:
            doubtful.append(unit)
        else:
            _tell(unit, verdict, talk)

    parallel.each(units, carry, width)
    return doubtful


def _carry(unit: Submission, means: SubmitContext) -> SbatchResult:
    """Look what is noted of a unit, and make the attempt that this leaves to make."""
    group = groups.of(unit)
    if group is not None:
        groups.prepare(unit, group)
    elif not os.path.isdir(unit.home):
        return SbatchResult(
            REJECTED, words=f"there is no run directory {unit.folder}; place it again"
        )
    made = attempts.read(unit.home, unit.serial)
    job = attempts.settled(unit.home, unit.serial, made)
    if job is not None:
        return SbatchResult(HELD, job=job)
    if made and made[-1].verdict.kind == LIMIT:
        return _attempt(unit, made[-1].number + 1, means)
    if made:
        return made[-1].verdict
    return SbatchResult(DOUBT) if unit.doubt else _attempt(unit, 1, means)


def _try_again(unit: Submission, means: SubmitContext) -> SbatchResult:
    """Make the next attempt for a unit whose earlier ones left no trace in Slurm."""
    made = attempts.read(unit.home, unit.serial)
    traceless = [attempt for attempt in made if attempt.verdict.kind == DOUBT]
    if len(traceless) < MOST:
        return _attempt(unit, made[-1].number + 1 if made else 1, means)
    words = traceless[-1].said.strip() or "nothing"
    return SbatchResult(REJECTED, words=f"no job after {MOST} attempts; sbatch said: {words}")


def _attempt(unit: Submission, number: int, means: SubmitContext) -> SbatchResult:
    """Make attempts until Slurm takes the unit, refuses it, or leaves doubt."""
    while True:
        if means.limit.over:
            return SbatchResult(LIMIT, words=means.limit.words)
        verdict = _sbatch(unit, number, means)
        if verdict.kind == HELD:
            means.limit.passed()
        if verdict.kind != LIMIT or means.talk.gone or not means.limit.wait(verdict.words):
            return verdict
        number += 1


def _sbatch(unit: Submission, number: int, means: SubmitContext) -> SbatchResult:
    if number == 1:
        for place in unit.places:
            fs.remove(paths.exit_code(place))
    note = attempts.begin(unit.home, unit.serial, number)
    if note is None:
        return SbatchResult(DOUBT)
    group = groups.of(unit)
    words = command_lines.submit(unit.comment, group.options if group else [])
    environment = {**os.environ, **unit.environment} if unit.environment else None
    verdict = attempts.end(note, means.launcher.run(words, unit.folder, note, environment))
    if verdict.kind == HELD and number > 1:
        return SbatchResult(HELD, job=attempts.adopt(unit.home, unit.serial, verdict.job))
    return verdict


def _tell(unit: Submission, verdict: SbatchResult, talk: Reply) -> None:
    if verdict.kind != HELD:
        limit = {"limit": True} if verdict.kind == LIMIT else {}
        talk.event("rejected", key=unit.key, message=scrub(verdict.words), **limit)
        return
    jobs = _tasks(unit, verdict.job)
    for name, job in jobs.items():
        fs.replace(paths.job(os.path.join(unit.runs, name)), job + "\n")
        if unit.pack is not None:
            packs.join(os.path.join(unit.runs, name), unit.folder)
    talk.event("held", key=unit.key, job=verdict.job, jobs=jobs)


def _tasks(unit: Submission, job: str) -> Dict[str, str]:
    if unit.array is None:
        return dict.fromkeys(unit.directories, job)
    number, mark, cluster = job.partition(";")
    return {name: f"{number}_{index}{mark}{cluster}" for index, name in enumerate(unit.directories)}
