"""Claims: which run directory holds an experiment's job, for every client of a runs folder.

An experiment is identified by its fingerprint, its sweep and its replicate number: if two sweeps
have a point with equal inputs, each has a run of its own. Each job for an experiment (the first, a
retry, a continuation) is a generation and has a claim: a file that the first client to come
creates, and that never changes. The highest generation counts. A marker file may lie next to it:

    <runs>/.remex/claims/3f/a1...c2.5d0e81aa.0.1          generation 1 of replicate 0
    <runs>/.remex/claims/3f/a1...c2.5d0e81aa.0.1.placed   its run directory exists, or existed
"""

from enum import Enum
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type, Union

from pytest_remex.common.parts import Placement, WantedSubmission
from pytest_remex.common.records import RecordPart

CLAIM_FORMAT = 1
"""The version of a claim on disk."""


class JobOfRun(NamedTuple):
    """A job of a run: the launch's token, the commit, and the job's number in its run directory."""

    token: str
    sha: str
    job_number: int = 1


class Claim(NamedTuple):
    """A job for an experiment: its run directory, its launch, and what it was made from.

    `job_number` counts the jobs of the run directory, `generation` those of the experiment. `by` is
    the client, as `user@machine`. `patterns` is the digest of the rules that exclude files from the
    fingerprint. `changed` lists the inputs that the patch changed: path, mode and blob of each.
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
        """The claim's file name, relative to the folder of claims."""
        import hashlib  # noqa: PLC0415 - loads OpenSSL, and few requests need a claim's name

        head, rest = self.fingerprint[:2], self.fingerprint[2:]
        sweep = hashlib.sha256(self.sweep.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        return f"{head}/{rest}.{sweep}.{self.replicate}.{self.generation}"

    @property
    def job(self) -> JobOfRun:
        """The job that this claim is for."""
        return JobOfRun(self.token, self.sha, self.job_number)


class WantedClaim(NamedTuple):
    """A claim that a client asks for.

    `over` is the experiment's previous job, which has ended as far as the client knows, so that
    this one may follow it. `unplaced` means that the previous job's run directory will never be
    made, because this client does not have its commit. `point` is a digest of what is equal for all
    clients, whatever they exclude from the fingerprint; empty if the user wants a further job.
    """

    claim: Claim
    over: Optional[JobOfRun] = None
    unplaced: bool = False
    point: str = ""


class Condition(str, Enum):
    """The state of a claim, judging by its run directory.

    UNPLACED: the directory has not been made yet. PLACED: it exists, with no job recorded.
    SUBMITTED: it has a job. REJECTED: Slurm refused the job. PURGED: it no longer exists. TAKEN:
    something else has the directory's name.
    """

    UNPLACED = "UNPLACED"
    PLACED = "PLACED"
    SUBMITTED = "SUBMITTED"
    REJECTED = "REJECTED"
    PURGED = "PURGED"
    TAKEN = "TAKEN"


class Claimed(NamedTuple):
    """This client now holds the claim `name` on a commit's experiment."""

    sha: str
    name: str


class TakenBy(NamedTuple):
    """A commit's experiment is claimed already, and what became of that claim.

    `owner` is set if another user wrote the claim: the name of that user's account.
    """

    sha: str
    claim: Claim
    condition: Condition
    job: str
    owner: str = ""


class ClaimFault(NamedTuple):
    """An experiment's claim cannot be read or created; the experiment is not submitted."""

    sha: str
    message: str


class ClaimRuns(NamedTuple):
    """Claim experiments, after appending `part` of the launch record, which lists them.

    `known` are the launches that the client decided by.
    """

    runs: str
    part: RecordPart
    wanted: List[WantedClaim]
    known: List[str] = []  # noqa: RUF012 - never changed, and NamedTuple has no factory


class Discard(NamedTuple):
    """End the submission of runs of an interrupted launch, after keeping `part` of its record.

    From then on no client can submit a job for these runs, and their claims give way to new ones.
    A job that is still held is cancelled. `why` is what clients that try read; `discarded` are the
    run directories, which are made, empty, if they do not exist.
    """

    runs: str
    launch: str
    token: str
    scheduler: str
    why: str
    discarded: List[Placement]
    submissions: List[WantedSubmission]
    part: RecordPart


class Discarded(NamedTuple):
    """A run has no job, and can get none."""

    directory: str


class NotDiscarded(NamedTuple):
    """A run has a job that is not held; or, if there is no `job`, why that is not known."""

    directory: str
    job: str = ""
    message: str = ""


Request = Union[ClaimRuns, Discard]
Event = Union[Claimed, TakenBy, ClaimFault, Discarded, NotDiscarded]

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    ClaimRuns: (Claimed, TakenBy, ClaimFault),
    Discard: (Discarded, NotDiscarded),
}
"""Which events may answer which request, as in `protocol`."""
