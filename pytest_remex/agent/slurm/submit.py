"""Submit units to Slurm, held, several sbatch at a time; then resolve together what is doubtful."""

import contextlib
import os
from typing import Callable, Dict, List, NamedTuple

from pytest_remex.agent import fs, parallel
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import attempts, client, command_lines, environment, groups, packs
from pytest_remex.agent.slurm.reconcile import Timeouts, resolve
from pytest_remex.agent.slurm.sbatch import Launcher
from pytest_remex.agent.slurm.sbatch_result import (
    DOUBT,
    HELD,
    LIMIT,
    REJECTED,
    SbatchResult,
    refuses,
)
from pytest_remex.agent.slurm.submit_limit import LimitWatch
from pytest_remex.agent.slurm.verify import Told, verify
from pytest_remex.agent.submissions import Submission, submissions_of
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.protocol import Held, InDoubt, Rejected, Submit, SubmitWarning
from pytest_remex.common.redact import redact

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


class SubmitContext(NamedTuple):
    """What an attempt needs."""

    reply: Reply
    launcher: Launcher
    limit: LimitWatch
    told: List[Told]
    """The jobs that sbatch told of since they were last looked for in Slurm."""


def submit(request: Submit, reply: Reply) -> None:
    """Submit the request's units and tell what became of each."""
    patience = request.patience or PATIENCE
    limit = LimitWatch(LIMIT_PATIENCE if request.limit_patience is None else request.limit_patience)
    width = request.width or WIDTH
    units = submissions_of(request)
    _tell_ignored(units, reply)
    with contextlib.closing(Launcher(patience)) as launcher:
        means = SubmitContext(reply, launcher, limit, [])
        doubtful = _each(units, lambda unit: _carry(unit, means), means, width)
        doubtful += _verify(means)
        if doubtful:
            terms = Timeouts(patience, min(client.message_timeout(), patience))
            _settle(doubtful, terms, means, width)
    reply.check()


def _tell_ignored(units: List[Submission], reply: Reply) -> None:
    names = environment.ignored(os.environ)
    if units and names:
        reply.send(SubmitWarning(IGNORED.format(names=", ".join(names))))


def _verify(means: SubmitContext) -> List[Submission]:
    """Look in Slurm for the jobs that sbatch just told of; returns the units that are in doubt."""
    told = means.told[:]
    doubtful: List[Submission] = []
    means.told.clear()
    if means.reply.gone:
        return doubtful
    for unit, verdict in verify(told):
        if verdict.kind == DOUBT:
            doubtful.append(unit)
        else:
            _tell(unit, verdict, means.reply)
    return doubtful


def _settle(doubtful: List[Submission], terms: Timeouts, means: SubmitContext, width: int) -> None:
    """Resolve doubtful units, and try those again that left no trace, until all are settled."""
    while doubtful:
        try:
            jobs, again = resolve(doubtful, means.reply, terms)
        except AgentError as error:
            for unit in doubtful:
                means.reply.send(InDoubt(unit.key, redact(str(error))))
            return
        for unit in doubtful:
            if unit.key in jobs:
                number = len(attempts.read(unit.home, unit.job_number))
                means.told.append(Told(unit, number, jobs[unit.key], found=True))
                _tell(unit, SbatchResult(HELD, job=jobs[unit.key]), means.reply)
        doubtful = _each(again, lambda unit: _try_again(unit, means), means, width)
        doubtful += _verify(means)


def _each(
    units: List[Submission],
    act: Callable[[Submission], SbatchResult],
    means: SubmitContext,
    width: int,
) -> List[Submission]:
    """Tell each unit's verdict; gives the units in doubt."""
    doubtful: List[Submission] = []

    def carry(unit: Submission) -> None:
        if means.reply.gone:
            return
        verdict = act(unit)
        if verdict.kind == DOUBT:
            doubtful.append(unit)
        else:
            _tell(unit, verdict, means.reply)

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
    made = attempts.read(unit.home, unit.job_number)
    job = attempts.settled(unit.home, unit.job_number, made)
    if job is not None:
        return SbatchResult(HELD, job=job)
    if made and made[-1].verdict.kind == LIMIT:
        return _attempt(unit, made[-1].number + 1, means)
    if made:
        return made[-1].verdict
    return SbatchResult(DOUBT) if unit.in_doubt else _attempt(unit, 1, means)


def _try_again(unit: Submission, means: SubmitContext) -> SbatchResult:
    """Make the next attempt for a unit whose earlier ones left no trace in Slurm."""
    made = attempts.read(unit.home, unit.job_number)
    traceless = [attempt for attempt in made if attempt.verdict.kind == DOUBT]
    if traceless and refuses(traceless[-1].said):
        return SbatchResult(REJECTED, words=traceless[-1].said.strip())
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
        if verdict.kind != LIMIT or means.reply.gone or not means.limit.wait(verdict.words):
            return verdict
        number += 1


def _sbatch(unit: Submission, number: int, means: SubmitContext) -> SbatchResult:
    if number == 1:
        for place in unit.places:
            fs.remove(paths.exit_code(place))
    note = attempts.begin(unit.home, unit.job_number, number)
    if note is None:
        return SbatchResult(DOUBT)
    group = groups.of(unit)
    words = command_lines.submit(unit.comment, group.options if group else [])
    variables = {**environment.for_submission(os.environ), **unit.environment}
    verdict = attempts.end(note, means.launcher.run(words, unit.folder, note, variables))
    if verdict.kind != HELD:
        return verdict
    first = number == 1
    job = verdict.job if first else attempts.adopt(unit.home, unit.job_number, verdict.job)
    means.told.append(Told(unit, number, job))
    return SbatchResult(HELD, job=job)


def _tell(unit: Submission, verdict: SbatchResult, reply: Reply) -> None:
    if verdict.kind != HELD:
        limit = verdict.kind == LIMIT
        reply.send(Rejected(unit.key, redact(verdict.words), limit))
        return
    jobs = _tasks(unit, verdict.job)
    for name, job in jobs.items():
        fs.replace(paths.job(os.path.join(unit.runs, name)), job + "\n")
        if unit.pack is not None:
            packs.join(os.path.join(unit.runs, name), unit.folder)
    reply.send(Held(unit.key, verdict.job, jobs))


def _tasks(unit: Submission, job: str) -> Dict[str, str]:
    if unit.array is None:
        return dict.fromkeys(unit.directories, job)
    number, mark, cluster = job.partition(";")
    return {name: f"{number}_{index}{mark}{cluster}" for index, name in enumerate(unit.directories)}
