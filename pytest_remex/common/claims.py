"""Claims: which run directory holds an experiment's job, for every client of a runs folder.

An experiment is its fingerprint, its sweep and its replicate number: two sweeps with a point of
equal inputs each have a run of it. Each job for it (the first, a retry, a continuation) is a
generation, and has a claim: a file that is created once, by whoever comes first, and never changed.
The highest generation counts. Beside it lies a mark:

    <runs>/.remex/claims/3f/a1...c2.5d0e81aa.0.1          of generation 1 of replicate 0
    <runs>/.remex/claims/3f/a1...c2.5d0e81aa.0.1.placed   its run directory is there, or was
"""

import hashlib
from enum import Enum
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type, Union

from pytest_remex.common.records import RecordPart

CLAIM_FORMAT = 1
"""The version of a claim on disk."""


class JobOfRun(NamedTuple):
    """A job of a run: the launch's token, the commit, and which job of the run directory it is."""

    token: str
    sha: str
    job_number: int = 1


class Claim(NamedTuple):
    """A job for an experiment: where it runs, of which launch, and what it was made of.

    `job_number` counts the jobs of the run directory, `generation` those of the experiment; `by` is
    the client, as `user@machine`; `patterns` is the digest of the rules by which the fingerprint
    left files out, `changed` what the patch did to inputs: path, mode and blob of each.
    """

    fingerprint: str
    directory: str
    launch: str
    token: str
    base: str
    sha: str
    tree: str
    sweep: str
    node: str
    point: Dict[str, Any]
    by: str
    replicate: int = 0
    generation: int = 1
    job_number: int = 1
    recipe: int = 0
    patterns: str = ""
    changed: List[List[str]] = []  # noqa: RUF012 - never changed, and NamedTuple has no factory

    @property
    def name(self) -> str:
        """The claim's file below the folder of claims."""
        head, rest = self.fingerprint[:2], self.fingerprint[2:]
        sweep = hashlib.sha256(self.sweep.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        return f"{head}/{rest}.{sweep}.{self.replicate}.{self.generation}"

    @property
    def job(self) -> JobOfRun:
        """The job that is claimed."""
        return JobOfRun(self.token, self.sha, self.job_number)


class WantedClaim(NamedTuple):
    """A claim that a client asks for.

    `over` is the job that is over as far as the client knows, and may be followed by this one;
    `unplaced` says that its run directory will never be made: its commit cannot be had here.
    `another` asks for a replicate: the next free number counts.
    """

    claim: Claim
    over: Optional[JobOfRun] = None
    unplaced: bool = False
    another: bool = False


class Condition(str, Enum):
    """What became of a claim, as far as its run directory tells.

    UNPLACED: nothing was made yet. PLACED: the directory is there, and no job is noted. SUBMITTED:
    it has a job. REJECTED: Slurm refused it. PURGED: the directory was there, and is gone. TAKEN:
    something else has the directory's name.
    """

    UNPLACED = "UNPLACED"
    PLACED = "PLACED"
    SUBMITTED = "SUBMITTED"
    REJECTED = "REJECTED"
    PURGED = "PURGED"
    TAKEN = "TAKEN"


class Claimed(NamedTuple):
    """The experiment of a commit is this client's, by the claim of that name."""

    sha: str
    name: str
    replicate: int


class TakenBy(NamedTuple):
    """The experiment of a commit has a claim already, and what became of it.

    `owner` is the account of another user whose claim it is.
    """

    sha: str
    claim: Claim
    condition: Condition
    job: str
    owner: str = ""


class ClaimFault(NamedTuple):
    """The claim of an experiment cannot be read or made; nothing is submitted for it."""

    sha: str
    message: str


class ClaimRuns(NamedTuple):
    """Claim experiments, after `part` of the launch record that tells of them was appended."""

    runs: str
    part: RecordPart
    wanted: List[WantedClaim]


Request = ClaimRuns
Event = Union[Claimed, TakenBy, ClaimFault]

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    ClaimRuns: (Claimed, TakenBy, ClaimFault),
}
"""As in `protocol`: which events may answer which request."""
