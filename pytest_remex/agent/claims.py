"""Claim experiments in a runs folder, by creating a file, never by looking at a listing.

Another login node's view of a folder may be a minute old, but creating a file is atomic on every
file system that clusters use. If a purge of scratch removed a claim, a client that knows of it
creates it again.
"""

import os
import re
from typing import Dict, FrozenSet, Mapping, NamedTuple, Optional, Tuple, Union

from pytest_remex.agent import fs, process, record_copies
from pytest_remex.agent.attempts import Attempts
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.sbatch_result import REJECTED
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.claims import (
    CLAIM_FORMAT,
    Claim,
    Claimed,
    ClaimFault,
    ClaimRuns,
    Condition,
    TakenBy,
    WantedClaim,
)
from pytest_remex.common.paths import RunNote
from pytest_remex.common.typed_json import NewerFormatError, TypedJsonError, dumps, loads

WIDTH = 8
"""How many claims are made in parallel: each waits for the disk."""
_FINGERPRINT = re.compile(r"[0-9a-f]{6,64}$")
_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{4,62}\.[0-9a-f]{8}\.[0-9]+\.[0-9]+$")
_SHA = 12
"""The letters of the commit at the end of a run directory's name."""
_BARE = (
    "{} has the same commit, but no claim, launch record or .remex/run.json, as after a purge, so"
    " its job may still be queued or running: if `squeue --me --format='%i %Z'` does not list this"
    " directory, move it out of the runs folder, and run the same command again"
)


class OwnedClaim(NamedTuple):
    """A claim, and the account of the user who owns its file if that is another user."""

    claim: Claim
    owner: str = ""


def claim_runs(request: ClaimRuns, reply: Reply) -> None:
    """Store the part of the launch record that lists the experiments, then claim them."""
    record_copies.keep(request.runs, request.part)
    known, bare = frozenset(request.known), _bare_runs(request)

    def answer(wanted: WantedClaim) -> None:
        reply.raise_if_disconnected()
        reply.send(_answer(request.runs, wanted, known, bare))

    process.in_parallel(request.wanted, answer, WIDTH)


def mark_placed(runs: str, name: str) -> None:
    """Record that a claim's run directory exists: if it is missing later, it was purged."""
    if not name:
        return
    if not _NAME.match(name):
        raise AgentError("request", f"{name!r} cannot name a claim")
    path = paths.claim(runs, name, "placed")
    fs.make_common(runs, os.path.dirname(path))
    if fs.link(paths.claim(runs, name), path) is None:
        fs.create(path, "")


def _bare_runs(request: ClaimRuns) -> Dict[str, str]:
    """Return the run directories of which a purge took all notes, by the commit in their names."""
    runs, wanted = request.runs, {each.claim.sha[:_SHA] for each in request.wanted}
    if wanted.isdisjoint(name[-_SHA:] for name in fs.listing(runs)):
        return {}  # as in nearly each launch: no record is looked at
    names = record_copies.unrecorded(runs, record_copies.names(runs))
    folders = [os.path.join(runs, name) for name in names]
    bare = [each for each in folders if not os.path.lexists(paths.in_run(each, paths.RUN))]
    return {folder[-_SHA:]: folder for folder in bare}


def _check_bare(runs: str, claim: Claim, bare: Mapping[str, str]) -> None:
    folder = bare.get(claim.sha[:_SHA])
    if folder and not os.path.lexists(paths.claim(runs, claim.name)):
        raise AgentError("runs", _BARE.format(folder))


def _answer(
    runs: str, wanted: WantedClaim, known: FrozenSet[str], bare: Mapping[str, str]
) -> Union[Claimed, TakenBy, ClaimFault]:
    sha = wanted.claim.sha
    try:
        _check_bare(runs, wanted.claim, bare)
        found, condition, job = _rival(runs, wanted, known) or _claim(runs, wanted)
    except AgentError as error:
        return ClaimFault(sha, str(error))
    if found.claim.job == wanted.claim.job:
        return Claimed(sha, found.claim.name)
    return TakenBy(sha, found.claim, condition, job, found.owner)


def _claim(runs: str, wanted: WantedClaim) -> Tuple[OwnedClaim, Condition, str]:
    """Create a claim if the experiment is free; return the claim that counts, ours or another's."""
    claim = wanted.claim._replace(generation=1)
    if not _FINGERPRINT.match(claim.fingerprint):
        raise AgentError("request", f"{claim.fingerprint!r} is not a fingerprint")
    while not _create(runs, claim, wanted.point):
        newest = _newest(runs, _read(runs, claim))
        if newest.claim.job == claim.job:
            return newest, Condition.PLACED, ""
        condition, job = _condition(runs, newest.claim)
        over = newest.claim.job == wanted.over
        if over and wanted.unplaced and condition is Condition.UNPLACED:
            fs.occupy(runs, newest.claim.directory, RunNote())
            continue
        if not _may_be_followed(condition, over=over and not wanted.unplaced):
            return newest, condition, job
        claim = claim._replace(generation=newest.claim.generation + 1)
    return OwnedClaim(claim), Condition.UNPLACED, ""


def _rival(
    runs: str, wanted: WantedClaim, known: FrozenSet[str]
) -> Optional[Tuple[OwnedClaim, Condition, str]]:
    """Claim a point; return the claim of a client that was faster, with another fingerprint.

    Fingerprints differ if clients exclude other files, or start from other base commits. A
    client that did not know of the other's launch could not ask its user.
    """
    claim, number = wanted.claim, 1
    if not wanted.point:
        return None
    if not _FINGERPRINT.match(wanted.point):
        raise AgentError("request", f"{wanted.point!r} is not a digest of a point")
    while True:
        path = paths.claimed_point(runs, wanted.point, number)
        fs.make_common(runs, os.path.dirname(path))
        if fs.create(path, dumps(claim, CLAIM_FORMAT), synced=True):
            return None
        existing = _of_point(path)
        if existing is not None and existing.launch not in known and _is_recorded(runs, existing):
            if existing.fingerprint == claim.fingerprint:
                return None  # the claim of the fingerprint decides
            condition, job = _condition(runs, existing)
            return OwnedClaim(existing, fs.owner(os.lstat(path))), condition, job
        number += 1


def _of_point(path: str) -> Optional[Claim]:
    """Return the claim in a point's file; None if it cannot be used, as it is only a precaution."""
    try:
        found = loads(Claim, fs.read(path) or "", CLAIM_FORMAT)
        return _checked(found, found.name)
    except (TypedJsonError, UnreadableError):
        return None


def _is_recorded(runs: str, existing: Claim) -> bool:
    """Return whether a launch's record can be read here, so that the next command knows it."""
    is_name = os.path.basename(existing.launch) == existing.launch
    return is_name and os.access(paths.launch_record(runs, existing.launch), os.R_OK)


def _may_be_followed(condition: Condition, *, over: bool) -> bool:
    return over or condition in (Condition.REJECTED, Condition.TAKEN)


def _create(runs: str, claim: Claim, point: str) -> bool:
    """Create a claim; one that is also its point's shares that file."""
    path, text = paths.claim(runs, claim.name), dumps(claim, CLAIM_FORMAT)
    fs.make_common(runs, os.path.dirname(path))
    of_point = paths.claimed_point(runs, point, 1) if point else ""
    linked = fs.link(of_point, path) if of_point and _reads(of_point, text) else None
    return fs.create(path, text, synced=True) if linked is None else linked


def _reads(path: str, text: str) -> bool:
    """Return whether a file has this content; one that cannot be read does not."""
    try:
        return fs.read(path) == text
    except UnreadableError:
        return False


def _read(runs: str, claim: Claim) -> OwnedClaim:
    path = paths.claim(runs, claim.name)
    try:
        found = _checked(loads(Claim, fs.read(path) or "", CLAIM_FORMAT), claim.name)
    except NewerFormatError as error:
        raise AgentError("runs", f"the claim {path}: {error}") from error
    except TypedJsonError as error:
        message = f"the claim {path} is damaged ({error}): remove it if its run does not matter"
        raise AgentError("runs", message) from error
    return OwnedClaim(found, fs.owner(os.lstat(path)))


def _checked(found: Claim, name: str) -> Claim:
    if found.name != name or os.path.basename(found.directory) != found.directory:
        raise TypedJsonError("it belongs to another experiment")
    return found


def _newest(runs: str, newest: OwnedClaim) -> OwnedClaim:
    while True:
        after = newest.claim._replace(generation=newest.claim.generation + 1)
        if not os.path.exists(paths.claim(runs, after.name)):
            return newest
        newest = _read(runs, after)


def _condition(runs: str, existing: Claim) -> Tuple[Condition, str]:
    directory = os.path.join(runs, existing.directory)
    if not os.path.lexists(directory):
        placed = os.path.exists(paths.claim(runs, existing.name, "placed"))
        return (Condition.PURGED if placed else Condition.UNPLACED), ""
    try:
        note = RunFiles(directory).load(RunNote, paths.RUN)
        if note is None or (note.token, note.sha) != (existing.token, existing.sha):
            return Condition.TAKEN, ""
        return _submitted(directory, existing)
    except UnreadableError:
        return Condition.TAKEN, ""


def _submitted(directory: str, existing: Claim) -> Tuple[Condition, str]:
    job = (RunFiles(directory).read(paths.JOB) or "").strip()
    if existing.job_number == 1 and job:
        return Condition.SUBMITTED, job
    attempts = Attempts(paths.remex(directory), existing.job_number)
    made = attempts.read()
    settled = attempts.settled(made)
    if settled is not None:
        return Condition.SUBMITTED, settled
    rejected = bool(made) and made[-1].result.kind == REJECTED
    return (Condition.REJECTED if rejected else Condition.PLACED), ""
