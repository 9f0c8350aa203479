"""Submit held jobs to Slurm, several sbatch at a time; then resolve together those in doubt."""

import contextlib
import os
import time
from typing import Callable, Dict, List, NamedTuple

from pytest_remex.agent import attempts, process, record_copies, upstream
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.sbatch_result import DOUBT, HELD, LIMIT, REJECTED, SbatchResult, refuses
from pytest_remex.agent.slurm import commands, groups
from pytest_remex.agent.slurm.client import SlurmClient
from pytest_remex.agent.slurm.ownership import note_cluster
from pytest_remex.agent.slurm.reconcile import ReportedJob, Timeouts, resolve, verify
from pytest_remex.agent.slurm.sbatch import LimitWatch, RateLimiter, SbatchRunner
from pytest_remex.agent.submissions import (
    LocatedSubmission,
    RefusedError,
    check_scripts,
    submissions_of,
    tell_doubt,
    tell_held,
    tell_rejected,
)
from pytest_remex.agent.units import units_of
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.protocol import Submit, SubmitWarning

PATIENCE = 180.0
"""Seconds for one sbatch: its own retries may sleep 120, and killing it sooner causes doubt."""
LIMIT_PATIENCE = 20.0
"""Seconds to retry against a submit limit."""
MOST = 3
"""How many attempts may leave no trace before a submission counts as refused."""
WIDTH = 4
"""How many sbatch run at a time."""
IGNORED = (
    "{names} of your login environment was not passed to sbatch, because an experiment is defined"
    " by its commit: put such options into the batch script"
)


class SubmitContext(NamedTuple):
    """What an attempt needs.

    `variables` are the environment of sbatch; `submitted` are the jobs that were not verified in
    Slurm yet.
    """

    reply: Reply
    slurm: SlurmClient
    runner: SbatchRunner
    limit: LimitWatch
    submitted: List[ReportedJob]
    rate_limiter: RateLimiter
    variables: Dict[str, str]


def submit(request: Submit, reply: Reply, slurm: SlurmClient) -> None:
    """Submit, and send the result of each submission."""
    record_copies.keep(request.runs, request.part)
    note_cluster(request.runs, slurm.known_cluster_name())
    patience = request.patience or PATIENCE
    limit = LimitWatch(LIMIT_PATIENCE if request.limit_patience is None else request.limit_patience)
    submissions, faults = units_of(submissions_of(request), groups.scripts_of)
    for fault in faults:
        reply.send(fault)
    _tell_ignored(submissions, reply)
    with contextlib.closing(SbatchRunner(patience)) as runner:
        limiter = RateLimiter(request.rate)
        variables = commands.variables_for_submission(os.environ)
        context = SubmitContext(reply, slurm, runner, limit, [], limiter, variables)
        doubtful = _each(submissions, _continue, context)
        doubtful += _verify(context)
        if doubtful:
            timeouts = Timeouts(patience, min(slurm.message_timeout(), patience))
            _settle(doubtful, timeouts, context)
    reply.raise_if_disconnected()


def _tell_ignored(submissions: List[LocatedSubmission], reply: Reply) -> None:
    names = commands.ignored_variables(os.environ)
    if submissions and names:
        reply.send(SubmitWarning(IGNORED.format(names=", ".join(names))))


def _verify(context: SubmitContext) -> List[LocatedSubmission]:
    """Check in Slurm the jobs that sbatch just reported; return the submissions in doubt."""
    submitted = context.submitted[:]
    doubtful: List[LocatedSubmission] = []
    context.submitted.clear()
    if context.reply.disconnected:
        return doubtful
    for submission, result in verify(context.slurm, submitted):
        if result.kind == DOUBT:
            doubtful.append(submission)
        else:
            _tell(submission, result, context.reply)
    return doubtful


def _settle(doubtful: List[LocatedSubmission], timeouts: Timeouts, context: SubmitContext) -> None:
    """Resolve submissions in doubt, and retry those without a trace, until all are settled."""
    while doubtful:
        try:
            jobs, again = resolve(context.slurm, doubtful, context.reply, timeouts)
        except AgentError as error:
            for submission in doubtful:
                tell_doubt(submission, str(error), context.reply)
            return
        for submission in doubtful:
            if submission.key in jobs:
                job = jobs[submission.key]
                number = len(submission.attempts.read())
                context.submitted.append(ReportedJob(submission, number, job, found=True))
                _tell(submission, SbatchResult(HELD, job=job), context.reply)
        doubtful = _each(again, _try_again, context)
        doubtful += _verify(context)


def _each(
    submissions: List[LocatedSubmission],
    act: Callable[[LocatedSubmission, SubmitContext], SbatchResult],
    context: SubmitContext,
) -> List[LocatedSubmission]:
    """Call `act` for each submission and send the results; return the submissions in doubt."""
    doubtful: List[LocatedSubmission] = []

    def carry_out(submission: LocatedSubmission) -> None:
        if context.reply.disconnected:
            return
        try:
            result = act(submission, context)
            if result.kind == DOUBT:
                doubtful.append(submission)
            else:
                _tell(submission, result, context.reply)
        except UnreadableError as error:
            tell_doubt(submission, str(error), context.reply)

    process.in_parallel(submissions, carry_out, WIDTH)
    return doubtful


def _continue(submission: LocatedSubmission, context: SubmitContext) -> SbatchResult:
    """Read the notes about a submission, and make an attempt if they leave one to make."""
    if submission.grouped:
        pass  # its folder was published with the notes of its runs
    elif not os.path.lexists(submission.notes):
        message = (
            f"the run directory {submission.folder} no longer exists; run the same command again"
        )
        return SbatchResult(REJECTED, words=message)
    else:
        RunFiles(submission.folder).check()
    made = submission.attempts.read()
    job = submission.attempts.settled(made)
    if job is not None:
        return SbatchResult(HELD, job=job)
    if made and made[-1].result.kind == LIMIT:
        return _attempt(submission, made[-1].number + 1, context)
    if made:
        return made[-1].result
    return SbatchResult(DOUBT) if submission.in_doubt else _attempt(submission, 1, context)


def _try_again(submission: LocatedSubmission, context: SubmitContext) -> SbatchResult:
    """Make the next attempt for a submission whose earlier ones left no trace in Slurm."""
    made = submission.attempts.read()
    traceless = [attempt for attempt in made if attempt.result.kind == DOUBT]
    if traceless and refuses(traceless[-1].said):
        return SbatchResult(REJECTED, words=traceless[-1].said.strip())
    if len(traceless) < MOST:
        return _attempt(submission, made[-1].number + 1 if made else 1, context)
    said = traceless[-1].said.strip() or "nothing"
    return SbatchResult(REJECTED, words=f"no job after {MOST} attempts; sbatch said: {said}")


def _attempt(submission: LocatedSubmission, number: int, context: SubmitContext) -> SbatchResult:
    """Make attempts until Slurm accepts the submission, refuses it, or leaves it in doubt."""
    limit = context.limit
    while True:
        if limit.over:
            return SbatchResult(LIMIT, words=limit.message)
        if not _wait_for_turn(context):
            return SbatchResult(LIMIT, words="the client has disconnected")
        begun = time.monotonic()
        result = _sbatch(submission, number, context)
        if result.kind == HELD:
            limit.reset()
        if result.kind != LIMIT or context.reply.disconnected:
            return result
        if not limit.wait(result.words, begun):
            return result
        number += 1


def _wait_for_turn(context: SubmitContext) -> bool:
    """Wait until the rate allows another sbatch; return whether the client is still there."""
    context.rate_limiter.wait()
    return not context.reply.disconnected


def _sbatch(submission: LocatedSubmission, number: int, context: SubmitContext) -> SbatchResult:
    try:
        check_scripts(submission)
    except RefusedError as error:
        return SbatchResult(REJECTED, words=str(error))
    if number == 1:
        for run in submission.run_directories:
            RunFiles(run).remove(paths.EXIT)
            if submission.pack is not None:
                RunFiles(run).remove(paths.STARTED)
    note = submission.attempts.begin(number)
    if note is None:
        return SbatchResult(DOUBT)
    try:
        upstream.prepare(submission, groups.start_of(submission))
    except UnreadableError as error:
        os.close(note)
        submission.attempts.refuse(number, str(error))
        return SbatchResult(REJECTED, words=str(error))
    group = groups.group_of(submission)
    options = [*submission.options, *(group.options if group else [])]
    options += upstream.options_of(submission)
    words = commands.submit(submission.folder, submission.comment, options, submission.script)
    variables = {**context.variables, **submission.environment}
    code = context.runner.run(words, submission.folder, note, variables)
    result = attempts.end(note, code)
    if result.kind != HELD:
        return result
    job = result.job if number == 1 else submission.attempts.adopt(result.job)
    context.submitted.append(ReportedJob(submission, number, job))
    return SbatchResult(HELD, job=job)


def _tell(submission: LocatedSubmission, result: SbatchResult, reply: Reply) -> None:
    if result.kind == HELD:
        tell_held(submission, result.job, groups.note_jobs(submission, result.job), reply)
    else:
        tell_rejected(submission, result.words, reply, limit=result.kind == LIMIT)
