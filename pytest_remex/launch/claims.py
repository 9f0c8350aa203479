"""Claim experiments in the runs folder, and respect the claims of other clients."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pytest_remex.common.claims import Claim, Condition, JobOfRun, TakenBy, WantedClaim
from pytest_remex.launch.candidate import Candidate, Outcome, State
from pytest_remex.launch.decision import Decision, is_continued_elsewhere
from pytest_remex.launch.session import LaunchSession, launch_of
from pytest_remex.model import Commit
from pytest_remex.records.copies import check_names
from pytest_remex.records.fields import variant_to_json
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.records.store import LaunchRecord, record_path

ROUNDS = 3
"""How often an experiment may turn out to be claimed before it is left to the other client."""
AGAIN = "--remex-submit --remex-retry sends it again"


def wanted_claim(
    session: LaunchSession, candidate: Candidate, run: RunRecord, by: str
) -> WantedClaim:
    """Return the claim for a run's next job; `by` is the user and machine that submit it."""
    launch, identity = session.launch, run.identity or candidate.prepared.identity
    claim = Claim(
        fingerprint=identity.fingerprint,
        directory=run.directory,
        launch=launch.id,
        token=launch.token,
        base=launch.base,
        sha=run.commit.sha,
        tree=run.commit.tree,
        sweep=launch.name,
        node=run.node,
        point=dict(run.point),
        by=by,
        replicate=identity.replicate,
        job_number=run.job_number,
        recipe=run.recipe,
        patterns=identity.patterns,
        changed=[list(each) for each in identity.changed],
    )
    if run.job_number > 1:
        return WantedClaim(claim, claim.job._replace(job_number=run.job_number - 1))
    if candidate.resumed is not None and candidate.previous is None:
        return WantedClaim(claim)
    if candidate.previous is None:
        return WantedClaim(claim, point=_digest(session, claim))
    previous = candidate.previous
    run = previous.run
    job = JobOfRun(previous.launch.token, run.commit.sha, run.job_number)
    is_unplaced = not run.settled and candidate.decision is not Decision.AGAIN
    return WantedClaim(claim, job, is_unplaced)


def _digest(session: LaunchSession, claim: Claim) -> str:
    """Return a digest of an experiment's point: equal for all clients of the cluster's clone."""
    variant = variant_to_json(session.launch.variant)
    parts = [session.clone, claim.node, variant, claim.replicate]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def follow(candidate: Candidate, taken: TakenBy, run: RecordedRun | None) -> bool:
    """Handle another client's claim on an experiment.

    Args:
        candidate: The experiment; its outcome is set.
        taken: The claim.
        run: The claim's run; None if this client cannot continue it.

    Returns:
        Whether the run is unfinished, and this client continues it.

    """
    outcome = _outcome_of(taken)
    if outcome is None and run is not None and run.run.stage is Stage.RELEASED:
        outcome = Outcome.already(run)
    if outcome is None and run is not None and is_continued_elsewhere(run):
        outcome = Outcome.unfinished_run(run)
    claim = taken.claim
    # Its commit has other inputs: the user decides, with the next command.
    is_other = claim.fingerprint != candidate.prepared.identity.fingerprint
    if outcome is not None or run is None or is_other or candidate.rounds == ROUNDS:
        candidate.outcome = outcome or Outcome.unfinished(claim.launch, claim.by)
        return False
    candidate.resumed = run
    candidate.rounds += 1
    candidate.outcome = Outcome(State.WAITING)
    return True


def _outcome_of(taken: TakenBy) -> Outcome | None:
    """Return the outcome of an experiment that another client has; None if it is unfinished."""
    claim = taken.claim
    if taken.condition is Condition.SUBMITTED:
        return Outcome(State.ALREADY, taken.job, claim.launch, by=claim.by)
    if taken.condition is Condition.PURGED:
        why = f"its run directory {claim.directory} no longer exists: purged? {AGAIN}"
        return Outcome(State.ALREADY, taken.job, claim.launch, why, claim.by)
    if taken.owner:
        return Outcome.unfinished(claim.launch, f"{taken.owner} ({claim.by})")
    return None


def run_of_claim(taken: TakenBy, candidate: Candidate, run: RunRecord, home: Path) -> RecordedRun:
    """Return the run described by a claim, when no launch record has it.

    Args:
        taken: The claim.
        candidate: The same experiment.
        run: This client's run of it, which was never submitted.
        home: The folder of the launch records.

    Raises:
        RecordError: The claim has a name that pytest-remex would never write.

    """
    claim = taken.claim
    launch = launch_of(candidate, claim.launch, claim.token)
    launch = launch._replace(base=claim.base, by=claim.by)
    there = run._replace(
        commit=Commit(claim.sha, claim.tree, claim.base),
        directory=claim.directory,
        job_number=claim.job_number,
        submission="",
    )
    path = record_path(home, claim.launch)
    record = LaunchRecord(launch, {claim.sha: there}, path, own=False, home=home)
    check_names(record)
    return RecordedRun(record, there)
