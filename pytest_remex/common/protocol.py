"""The whole conversation between client and agent: every request and every event, typed.

Each message is one line: the length of its JSON, a space, and the JSON. A line that another program
wrote into, or read part of, has the wrong length and is never acted on. A line from the agent
begins with a nonce that the client chose, which tells it from the output of login files. Requests
are answered in order. During a request the agent sends a `Beat`, so silence means a broken link.

    client                                agent
    SIZE {"id": 1, "do": "Place", ...} ->
                                      <-  NONCE SIZE {"id": 1, "event": "Placed", ...}  (any number)
                                      <-  NONCE SIZE {"id": 0, "event": "Beat"}
                                      <-  NONCE SIZE {"id": 1, "event": "End"}          or "Error"

`CONVERSATION`, at the end, says which events may answer which request; `records` and `claims`
define more of them. Paths are on the agent's machine; run directories are relative to `runs`.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type, Union

from pytest_remex.common import claims, parts, records
from pytest_remex.common.jobs import RELEASED_AGAIN, Job

SLURM, LOCAL = "slurm", "local"
"""The schedulers that a request can name."""


class Host(NamedTuple):
    """What the remote has. Disk space in bytes; None if it could not be determined.

    `message_timeout` is Slurm's, in seconds; `sacct` says whether accounting is available;
    `max_tasks` is how long an array can be: Slurm refuses one above the user's jobs as a whole.
    """

    python: str
    user: str
    host: str
    clone: str
    runs: str
    cores: int
    slurm: Optional[str] = None
    sacct: bool = False
    max_array_size: Optional[int] = None
    max_submit: Optional[int] = None
    max_jobs: Optional[int] = None
    message_timeout: Optional[int] = None
    max_tasks: Optional[int] = None


FINE, NOTE, FAULT = "ok", "note", "fault"
"""The outcomes of a check; only a fault makes a launch be refused."""


class Check(NamedTuple):
    """The outcome of one check: what was found, and how to fix it if something is wrong."""

    name: str
    state: str
    found: str
    fix: str = ""


class Tips(NamedTuple):
    """The commits that the clone's refs point to; they need not be sent."""

    shas: List[str]


class Placed(NamedTuple):
    """A run directory exists and is complete."""

    directory: str


class PlaceRefused(NamedTuple):
    """A run directory could not be made, and why."""

    directory: str
    message: str


class Held(NamedTuple):
    """A submission became a held job; `jobs` are the ids of its runs, by run directory."""

    key: str
    job: str
    jobs: Dict[str, str]


class Rejected(NamedTuple):
    """Slurm refused runs of a submission; `limit`: because of a limit, so retrying may help."""

    key: str
    message: str
    limit: bool
    directories: List[str]


class InDoubt(NamedTuple):
    """It could not be determined whether runs of a submission have a job."""

    key: str
    message: str
    directories: List[str]


class SubmitWarning(NamedTuple):
    """A warning for the user, such as that environment variables are ignored."""

    message: str


class Released(NamedTuple):
    """Jobs are no longer held by their user."""

    jobs: List[str]


class NotReleased(NamedTuple):
    """A job is still held; or, if `lost`, its id now belongs to another job."""

    job: str
    message: str
    lost: bool = False


class RunState(NamedTuple):
    """The state of a run's job."""

    directory: str
    job: Job


class OrphansCancelled(NamedTuple):
    """Held duplicates of a run's job, which Slurm accepted late, were cancelled."""

    jobs: List[str]


class Cancelled(NamedTuple):
    """A job was cancelled."""

    job: str


class NotCancelled(NamedTuple):
    """A job was not cancelled, and why."""

    job: str
    message: str


class Outputs(NamedTuple):
    """The files that match a run's patterns; `links` are symbolic links, which are not followed.

    `missing` are the patterns that match no file that can be fetched; `too_large` the files above
    the limit, which are not among `files`. `refused` says why the run directory is not read at all,
    for example because it is a link; `gone` means that it no longer exists.
    """

    directory: str
    files: List[parts.OutputFile]
    links: List[str]
    missing: List[str]
    refused: str = ""
    gone: bool = False
    too_large: List[parts.OutputFile] = []  # noqa: RUF012 - as Place.left_out


class LogText(NamedTuple):
    """A piece of a job's output, from the byte `start` of a file of `size` bytes.

    Bytes that are not UTF-8 become surrogates. `refused` says why the file is not read.
    """

    directory: str
    pattern: str
    path: str
    start: int = 0
    size: int = 0
    text: str = ""
    refused: str = ""


class Removed(NamedTuple):
    """A run directory was removed or measured, or was `gone`; `refused` says why not."""

    directory: str
    files: int = 0
    bytes: int = 0
    refused: str = ""
    gone: bool = False


class End(NamedTuple):
    """The request is complete."""


class Error(NamedTuple):
    """The request failed.

    `kind` is one of clone, runs, git, slurm, disk, limit, python, request, internal; `detail` is
    for a bug in the agent.
    """

    kind: str
    message: str
    detail: str = ""


class Beat(NamedTuple):
    """A sign of life during a request."""


class LookAtHost(NamedTuple):
    """Describe the remote; an error if its folders cannot be used (`reads_only`: only `runs`)."""

    clone: str
    runs: str
    scheduler: str
    reads_only: bool = False


class ListTips(NamedTuple):
    """List commits that the clone has, so that a bundle need not contain them."""

    clone: str


class Examine(NamedTuple):
    """Check what a launch needs, one `Check` per item.

    `origin`: commits are fetched from origin; `thorough`: check Slurm's controller and the clock
    too.
    """

    clone: str
    runs: str
    scheduler: str
    origin: bool = False
    needs: parts.Needs = parts.Needs()
    thorough: bool = False


class Place(NamedTuple):
    """Fetch a launch's commits into the clone, and make its run directories; safe to repeat.

    `shared` names paths of the base commit that run directories link to, in one common copy;
    `left_out` those that are not copied. `worker` names the temporary files (default: the launch).
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
    """Submit held jobs, after keeping `part` of the launch record.

    `patience` is how many seconds one sbatch may take, `limit_patience` how many seconds to retry
    against a submit limit; None for the agent's default. `rate` is the most sbatch per second; None
    for no limit.
    """

    runs: str
    launch: str
    token: str
    scheduler: str
    submissions: List[parts.WantedSubmission]
    patience: Optional[float] = None
    limit_patience: Optional[float] = None
    rate: Optional[float] = None
    part: records.RecordPart = records.NO_PART


class Release(NamedTuple):
    """Release those jobs of runs that are held by their user, and no other jobs.

    The id of a task releases its whole array.
    """

    runs: str
    scheduler: str
    jobs: List[parts.RunJob]


class Query(NamedTuple):
    """Report the states of runs, and release again jobs that are held despite a recorded release.

    `cancel_orphans`: also cancel held jobs that belong to no run. `certain`: ask the controller for
    each job that is missing from its listing, before reporting it as forgotten. `brief`: report
    only what changes a record or is worth a word: see `wants`.
    """

    runs: str
    scheduler: str
    queried: List[parts.RunJob]
    cancel_orphans: bool = False
    certain: bool = False
    brief: bool = False

    def wants(self, job: Job) -> bool:
        """Return whether to report a job: if brief, only if it ended or was released again."""
        return not self.brief or job.state.ended or job.reason == RELEASED_AGAIN


class Cancel(NamedTuple):
    """Cancel the jobs of runs, and no other jobs."""

    runs: str
    scheduler: str
    jobs: List[parts.RunJob]


class ListOutputs(NamedTuple):
    """List the outputs of runs; with `newest`, at most that many files per run, the newest.

    Files of more than `largest` bytes are listed separately; None for no limit.
    """

    runs: str
    listed: List[parts.ListedRun]
    newest: Optional[int] = None
    largest: Optional[int] = None


class ReadLogs(NamedTuple):
    """Read pieces of jobs' output; a file that does not exist gets no answer."""

    runs: str
    parts: List[parts.LogPart]


class Remove(NamedTuple):
    """Remove run directories whose jobs have ended; `only_measure`: only report their sizes."""

    runs: str
    removable: List[parts.RemovableRun]
    only_measure: bool = False


class Tidy(NamedTuple):
    """Remove a launch's temporary files, which only `Place` needed."""

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
    Host, Check, Tips, Placed, PlaceRefused, Held, Rejected, InDoubt, SubmitWarning,
    Released, NotReleased, RunState, OrphansCancelled, Cancelled, NotCancelled, Outputs,
    LogText, Removed, records.Event, claims.Event, End, Error, Beat,
]  # fmt: skip

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    LookAtHost: (Host,),
    Examine: (Check,),
    ListTips: (Tips,),
    **records.CONVERSATION,
    **claims.CONVERSATION,
    Place: (Placed, PlaceRefused),
    Submit: (Held, Rejected, InDoubt, SubmitWarning),
    Release: (Released, NotReleased),
    Query: (RunState, OrphansCancelled),
    Cancel: (Cancelled, NotCancelled),
    ListOutputs: (Outputs,),
    ReadLogs: (LogText,),
    Remove: (Removed,),
    Tidy: (),
}
"""Which events may answer a request, any number of each; then `End`, or `Error`."""
