"""The whole conversation between client and agent: every request and every event, typed.

Each message is one line: the length of its JSON, a blank, and the JSON, so that a line that another
program wrote into, or took a part of, is never acted on. A line from the agent begins with a nonce
that the client chose, so that what login files print is told apart. Requests are answered in order;
while one is under way the agent sends a `Beat`, so that silence means a broken link.

    client                                agent
    SIZE {"id": 1, "do": "Place", ...} ->
                                      <-  NONCE SIZE {"id": 1, "event": "Placed", ...}  (any number)
                                      <-  NONCE SIZE {"id": 0, "event": "Beat"}
                                      <-  NONCE SIZE {"id": 1, "event": "End"}          or "Error"

`CONVERSATION`, at the end, says which events may answer which request; more are in `records` and
`claims`. Paths are the agent's; run directories are named relative to `runs`.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type, Union

from pytest_remex.common import claims, parts, records
from pytest_remex.common.jobs import Job

SLURM, LOCAL = "slurm", "local"
"""The schedulers that a request may name."""


class Host(NamedTuple):
    """What the remote is. Memory and disk in bytes; None where it could not be determined.

    `disbatch` is the path of disBatch, empty where there is none; `message_timeout` is Slurm's,
    in seconds; `sacct` says whether there is accounting to ask.
    """

    python: str
    user: str
    host: str
    clone: str
    runs: str
    cores: int
    disbatch: str
    free_bytes: int
    slurm: Optional[str] = None
    sacct: bool = False
    max_array_size: Optional[int] = None
    max_submit: Optional[int] = None
    max_jobs: Optional[int] = None
    message_timeout: Optional[int] = None


FINE, NOTE, FAULT = "ok", "note", "fault"
"""How a check can end; a launch is refused for a fault alone."""


class Check(NamedTuple):
    """One thing that was examined: what was found, and what to do where that is not fine."""

    name: str
    state: str
    found: str
    fix: str = ""


class Tips(NamedTuple):
    """The commits at the clone's refs: what it need not be sent."""

    shas: List[str]


class Fetched(NamedTuple):
    """The launch's commits are in the clone."""


class Placed(NamedTuple):
    """A run directory is there, whole."""

    directory: str


class PlaceRefused(NamedTuple):
    """A run directory could not be made, and why."""

    directory: str
    message: str


class Held(NamedTuple):
    """Runs of a submission have a job, held; `jobs` are those of the runs, by run directory."""

    key: str
    job: str
    jobs: Dict[str, str]


class Rejected(NamedTuple):
    """Runs of a submission were refused, in Slurm's words; with `limit` by a limit: try later."""

    key: str
    message: str
    limit: bool
    directories: List[str]


class InDoubt(NamedTuple):
    """Whether runs of a submission have a job could not be determined."""

    key: str
    message: str
    directories: List[str]


class SubmitWarning(NamedTuple):
    """Something about the cluster that the user should know, such as variables that are ignored."""

    message: str


class Waiting(NamedTuple):
    """The agent waits for Slurm's late acceptance of doubtful submissions, for about `seconds`."""

    seconds: float


class Released(NamedTuple):
    """Jobs are not held by their user any more."""

    jobs: List[str]


class NotReleased(NamedTuple):
    """A job is still held, or, with `lost`, its number belongs to another job by now."""

    job: str
    message: str
    lost: bool = False


class RunState(NamedTuple):
    """A run's job."""

    directory: str
    job: Job


class OrphansCancelled(NamedTuple):
    """Held jobs were cancelled that a late acceptance had left beside the one that counts."""

    jobs: List[str]


class Cancelled(NamedTuple):
    """A job was cancelled."""

    job: str


class NotCancelled(NamedTuple):
    """A job was left alone, and why."""

    job: str
    message: str


class OutputFile(NamedTuple):
    """A file in a run directory: its path there, size in bytes, modification time in ns."""

    path: str
    size: int
    mtime_ns: int


class Outputs(NamedTuple):
    """The files that a run's patterns match; `links` are symbolic links, which are not followed.

    `missing` are the patterns without a file that can be fetched; `too_large` the files above the
    limit, which are not among `files`. `refused` says why nothing in the run directory is looked
    at, such as that it is a link; `gone` says that there is no run directory any more.
    """

    directory: str
    files: List[OutputFile]
    links: List[str]
    missing: List[str]
    refused: str = ""
    gone: bool = False
    too_large: List[OutputFile] = []  # noqa: RUF012 - never changed, and NamedTuple has no factory


class LogText(NamedTuple):
    """A piece of a job's output, from the byte `start` of a file of `size` bytes.

    Bytes that are no UTF-8 are surrogates. `refused` says why the file is not read.
    """

    directory: str
    pattern: str
    path: str
    start: int = 0
    size: int = 0
    text: str = ""
    refused: str = ""


class Removed(NamedTuple):
    """A run directory was removed or measured; or `refused` says why not, or it was `gone`."""

    directory: str
    files: int = 0
    bytes: int = 0
    refused: str = ""
    gone: bool = False


class Tidied(NamedTuple):
    """What a launch needed only while it was placed is gone from the remote."""


class End(NamedTuple):
    """The request is done."""


class Error(NamedTuple):
    """The request ended early.

    `kind` is one of clone, runs, git, slurm, disk, python, request, internal; `detail` is for a
    fault of the agent itself.
    """

    kind: str
    message: str
    detail: str = ""


class Beat(NamedTuple):
    """A sign of life while a request is under way."""


class LookAtHost(NamedTuple):
    """Say what is there; an error where the clone, the runs folder or the scheduler is missing."""

    clone: str
    runs: str
    scheduler: str


class ListTips(NamedTuple):
    """Name the commits that the clone has, so that a bundle need not hold them."""

    clone: str


class Examine(NamedTuple):
    """Examine what a launch needs, line by line.

    `origin`: commits come through it; `thorough`: Slurm's controller and the clock are asked too.
    """

    clone: str
    runs: str
    scheduler: str
    origin: bool = False
    needs: parts.Needs = parts.Needs()
    thorough: bool = False


class Place(NamedTuple):
    """Fetch a launch's commits into the clone, and make its run directories; safe to repeat.

    `shared` names paths of the base commit that run directories link to, from one copy; `left_out`
    its files that are not copied. `worker` names what is needed only meanwhile, else the launch.
    """

    clone: str
    runs: str
    launch: str
    token: str
    base: str
    source: parts.Source
    shared: List[str]
    placements: List[parts.Placement]
    left_out: List[str] = []  # noqa: RUF012 - never changed, and NamedTuple has no factory
    worker: str = ""


class Submit(NamedTuple):
    """Submit, held, after `part` of the launch record was kept.

    `patience` is how many seconds one sbatch may take, `limit_patience` for how many to go on
    against a submit limit, `width` how many sbatch run at a time; None for the agent's own.
    """

    runs: str
    launch: str
    token: str
    scheduler: str
    submissions: List[parts.Submission]
    patience: Optional[float] = None
    limit_patience: Optional[float] = None
    width: Optional[int] = None
    part: records.RecordPart = records.NO_PART


class Release(NamedTuple):
    """Release the jobs of runs that are held by their user, and no other jobs.

    A task's id stands for its whole array.
    """

    runs: str
    scheduler: str
    jobs: List[parts.RunJob]


class Query(NamedTuple):
    """Tell the states of runs, and release again what is held though its release was recorded.

    `cancel_orphans`: cancel held jobs that nobody counts on, too. `certain`: ask the controller
    itself for each job that its listing does not have, before that is said to be forgotten.
    """

    runs: str
    scheduler: str
    queried: List[parts.RunJob]
    cancel_orphans: bool = False
    certain: bool = False


class Cancel(NamedTuple):
    """Cancel the jobs of runs, and no other jobs."""

    runs: str
    scheduler: str
    jobs: List[parts.RunJob]


class ListOutputs(NamedTuple):
    """List the outputs of runs; with `newest`, of each run so many files at most, the newest.

    Those of more than `largest` bytes are told apart; None for no limit.
    """

    runs: str
    listed: List[parts.ListedRun]
    newest: Optional[int] = None
    largest: Optional[int] = None


class ReadLogs(NamedTuple):
    """Read pieces of jobs' output; a file that is not there is not told."""

    runs: str
    parts: List[parts.LogPart]


class Remove(NamedTuple):
    """Remove run directories whose jobs have ended; `only_measure`: say how much that would be."""

    runs: str
    removable: List[parts.RemovableRun]
    only_measure: bool = False


class Tidy(NamedTuple):
    """Remove what a launch needed only while it was placed."""

    clone: str
    runs: str
    launch: str
    token: str
    worker: str = ""


Request = Union[
    LookAtHost, Examine, ListTips, Place, Submit, Release, Query, Cancel, ListOutputs, ReadLogs,
    Remove, Tidy, records.Request, claims.Request,
]  # fmt: skip
Event = Union[
    Host, Check, Tips, Fetched, Placed, PlaceRefused, Held, Rejected, InDoubt, SubmitWarning,
    Waiting, Released, NotReleased, RunState, OrphansCancelled, Cancelled, NotCancelled, Outputs,
    LogText, Removed, records.Event, claims.Event, Tidied, End, Error, Beat,
]  # fmt: skip

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    LookAtHost: (Host,),
    Examine: (Check,),
    ListTips: (Tips,),
    **records.CONVERSATION,
    **claims.CONVERSATION,
    Place: (Fetched, Placed, PlaceRefused),
    Submit: (Held, Rejected, InDoubt, SubmitWarning, Waiting),
    Release: (Released, NotReleased),
    Query: (RunState, OrphansCancelled),
    Cancel: (Cancelled, NotCancelled),
    ListOutputs: (Outputs,),
    ReadLogs: (LogText,),
    Remove: (Removed,),
    Tidy: (Tidied,),
}
"""Which events may answer a request, any number of each; then `End`, or `Error`."""
