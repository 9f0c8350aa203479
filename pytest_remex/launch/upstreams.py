"""Find the runs that experiments come after, and what keeps experiments back."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import ListOutputs, Outputs
from pytest_remex.display import counted
from pytest_remex.launch.candidate import Candidate, Outcome, State
from pytest_remex.launch.dependency import Dependency
from pytest_remex.launch.options import GroupingKind
from pytest_remex.model import Remote
from pytest_remex.records.fields import UpstreamRun
from pytest_remex.records.index import RecordedRun, reached_by

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect

BOTH = "--remex-submit --remex-retry sends it and the experiments after it again"
RETRY = "--remex-retry sends it again"
APART = "it runs on another remote than {node}, which it comes after: let both run on one"
_USED = frozenset({State.SUBMITTED, State.ALREADY, State.UNJUDGED})
"""States in which an experiment has a run that others may come after."""


def find_dependencies(
    candidates: Iterable[Candidate], runs: Mapping[int, RecordedRun], connect: Connect
) -> None:
    """Set what candidates come after, or the outcome of those that this keeps back.

    Args:
        candidates: Experiments that are to be sent, whose upstreams are settled.
        runs: The runs of their upstreams, by the `id` of the upstream's candidate.
        connect: Returns the connection to a remote.

    Raises:
        RemoteError: A remote cannot be asked.

    """
    left = [each for each in candidates if each.upstream and not _keep_back(each, runs)]
    pairs = [(each, runs[id(each.upstream)]) for each in left]
    jobs = _jobs([(each, run) for each, run in pairs if _is_older(each)], connect)
    lacking = _lacking(pairs, jobs, connect)
    for each, run in pairs:
        _decide(each, run, jobs.get(run.run.directory), lacking.get(id(each), ""))


def kept_back(
    planned: Iterable[Candidate], unreachable: Collection[Remote], connect: Connect
) -> list[str]:
    """Return why experiments would not be sent whose upstreams are used as they are.

    Remotes that are `unreachable` are not asked.

    Raises:
        RemoteError: A remote cannot be asked.

    """
    after = [(e, e.upstream) for e in planned if e.decision.is_sent and e.upstream is not None]
    whys = {id(each): f": {why}" for each, before in after if (why := _refusal(each, before))}
    pairs = [
        (each, before.known.run)
        for each, before in after
        if before.known.run is not None
        and before.remote == each.remote
        and not before.decision.is_sent
        and each.remote not in unreachable
    ]
    jobs = _jobs(pairs, connect)
    lacking = _lacking(pairs, jobs, connect)
    failed = {id(each): _failure(run, jobs[run.run.directory], RETRY) for each, run in pairs}
    for key, failure in failed.items():
        if why := failure or lacking.get(key, ""):
            whys[key] = f" UPSTREAM FAILED: {why}"
    for each, before in after:  # an upstream comes before what comes after it
        if id(before) in whys:
            whys.setdefault(id(each), whys[id(before)])
    return [f"{counted(count, 'experiment')}{why}" for why, count in Counter(whys.values()).items()]


def _refusal(candidate: Candidate, upstream: Candidate) -> str:
    """Return why nothing is submitted after an upstream; empty if that is not known of it."""
    if upstream.remote != candidate.remote:
        return APART.format(node=upstream.prepared.node)
    outcome = Outcome.unsent(upstream.known, upstream.decision)
    if outcome is None or outcome.state in _USED:
        return ""
    return f"the upstream is {outcome.state}: {outcome.why}"


def _is_older(candidate: Candidate) -> bool:
    return (
        candidate.upstream is not None and candidate.upstream.outcome.state is not State.SUBMITTED
    )


def _keep_back(candidate: Candidate, runs: Mapping[int, RecordedRun]) -> bool:
    """Set the outcome of a candidate whose upstream has no run to come after."""
    upstream = candidate.upstream
    if upstream is None:
        return False
    node, outcome = upstream.prepared.node, upstream.outcome
    if upstream.remote != candidate.remote:
        why = APART.format(node=node)
    elif outcome.state is State.UPSTREAM_FAILED:
        candidate.outcome = Outcome(State.UPSTREAM_FAILED, why=outcome.why)
        return True
    elif outcome.state not in _USED:
        why = f"{node}, which it comes after, is {outcome.state}: {outcome.why.splitlines()[0]}"
    elif id(upstream) not in runs:
        why = f"the run of {node}, which it comes after, is not known here: submit again"
    else:
        return False
    candidate.outcome = Outcome(State.NOT_SUBMITTED, why=why)
    return True


def _decide(candidate: Candidate, upstream: RecordedRun, job: Job | None, lacking: str) -> None:
    node, run = upstream.run.node, upstream.run
    if why := _failure(upstream, job, BOTH):
        candidate.outcome = Outcome(State.UPSTREAM_FAILED, run.job, upstream.launch.id, why)
    elif job is not None and job.state is JobState.UNKNOWN:
        why = f"whether {node}, which it comes after, ended well is not known: {job.reason}"
        candidate.outcome = Outcome(State.NOT_SUBMITTED, why=why)
    elif lacking:
        candidate.outcome = Outcome(State.UPSTREAM_FAILED, run.job, upstream.launch.id, lacking)
    else:
        prepared = candidate.prepared
        brought = UpstreamRun(
            node=node,
            point=run.point,
            launch=upstream.launch.id,
            commit=run.commit.sha,
            directory=run.directory,
            job=run.job,
            brought=prepared.brought,
            copied=tuple(sorted(prepared.copied)),
        )
        in_pack = run.submission.startswith(f"{GroupingKind.PACK}-")
        waits = job is None or job.state.live
        candidate.dependency = Dependency(brought, waits, in_pack)


def _jobs(pairs: Iterable[tuple[Candidate, RecordedRun]], connect: Connect) -> dict[str, Job]:
    """Return the jobs of upstreams, by run directory; the candidates say how these are reached."""
    asked = {run.run.directory: (run, each.remote) for each, run in pairs}
    return query(reached_by(asked.values()), connect)


def _failure(upstream: RecordedRun, job: Job | None, fix: str) -> str:
    """Return how the job of an upstream failed, and the fix; empty if that is not known of it."""
    if job is None or not job.state.failed:
        return ""
    reason = f" ({job.reason})" if job.state is JobState.UPSTREAM_FAILED else ""
    return f"{upstream.run.node} ended {job.state}{reason}: job {upstream.run.job}; {fix}"


def _lacking(
    pairs: Sequence[tuple[Candidate, RecordedRun]], jobs: Mapping[str, Job], connect: Connect
) -> dict[int, str]:
    """Return what completed upstreams lack, by the `id` of the candidate that brings it."""
    wanted: dict[Remote, dict[str, set[str]]] = {}
    for each, run in pairs:
        job = jobs.get(run.run.directory)
        if job is not None and job.state is JobState.COMPLETED:
            of_remote = wanted.setdefault(each.remote, {})
            of_remote.setdefault(run.run.directory, set()).update(each.prepared.brought.values())
    found = {remote: _missing_files(files, remote, connect) for remote, files in wanted.items()}
    lacking = {}
    for each, run in pairs:
        missing = found.get(each.remote, {}).get(run.run.directory, {})
        brought = each.prepared.brought.values()
        if why := next((missing[source] for source in brought if source in missing), ""):
            lacking[id(each)] = f"{run.run.node}: {why}"
    return lacking


def _missing_files(
    wanted: Mapping[str, Iterable[str]], remote: Remote, connect: Connect
) -> dict[str, dict[str, str]]:
    """Return why files that completed runs should have left are missing, one request for all.

    `wanted` are their paths by run directory; the answer is by run directory and path.
    """
    listed = [
        ListedRun(directory, [glob.escape(path) for path in sorted(paths)])
        for directory, paths in wanted.items()
        if paths
    ]
    missing: dict[str, dict[str, str]] = {}
    for event in connect(remote).ask(ListOutputs(remote.runs, listed)) if listed else ():
        if isinstance(event, Outputs):
            there = {file.path for file in event.files if file.size} | {*event.links}
            below = [file.path for file in event.files]
            missing[event.directory] = {
                path: _wrong(event, path)
                for path in wanted[event.directory]
                if path not in there and not any(each.startswith(path + "/") for each in below)
            }
    return missing


def _wrong(outputs: Outputs, path: str) -> str:
    if outputs.gone:
        return (
            f"its run directory {outputs.directory} no longer exists: purged? {path}, which is "
            f"brought from there, is lost: {BOTH} if it was not collected, else --remex-retry=all "
            f"does"
        )
    if outputs.refused:
        return f"{path} cannot be brought from there: {outputs.refused}"
    empty = any(file.path == path for file in outputs.files)
    return (
        f"it completed, and {path} in {outputs.directory} is {'empty' if empty else 'not there'}: "
        f"correct what should write it, and send it again with --remex-retry=all"
    )
