"""The whole conversation between client and agent: every request and every event, typed.

The client starts the agent over its connection, sends requests, and reads events. Each message is
one line: the length of its JSON, a blank, and the JSON, so that a line that another program wrote
into, or took a part of, is never acted on. A line from the agent begins with a nonce that the
client chose, so that what login files print is told apart. Requests are answered in order; while
one is under way the agent sends a `Beat` now and then, so that silence means a broken link.

    client                                agent
    SIZE {"id": 1, "do": "Place", ...} ->
                                      <-  NONCE SIZE {"id": 1, "event": "Placed", ...}  (any number)
                                      <-  NONCE SIZE {"id": 0, "event": "Beat"}
                                      <-  NONCE SIZE {"id": 1, "event": "End"}          or "Error"

`CONVERSATION`, at the end, says which events may answer which request. Paths are the agent's; run
directories are named relative to `runs`.
"""

import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type, Union

from pytest_remex.common.jobs import Job
from pytest_remex.common.typed_json import TypedJsonError, from_json, to_json

SLURM, LOCAL = "slurm", "local"
"""The schedulers that a request may name."""


# What requests are made of -----------------------------------------------------------------------


class Source(NamedTuple):
    """Where the clone gets a launch's commits from.

    `kind` is `here` (the clone has them), `origin` (fetch `ref`) or `bundle` (`data`, base64);
    `sha` is the commit that reaches all of them.
    """

    kind: str
    sha: str
    ref: str = ""
    data: str = ""


class Placement(NamedTuple):
    """A run directory to make: its name, its commit, and what `.remex/run.json` says besides."""

    directory: str
    sha: str
    parent: str
    tree: str
    meta: Dict[str, Any]


class HeaderOptions(NamedTuple):
    """What the script's `#SBATCH` lines ask for; time in seconds, None where they do not say."""

    output: Optional[str] = None
    error: Optional[str] = None
    name: Optional[str] = None
    time_limit: Optional[float] = None
    held: bool = False


class Array(NamedTuple):
    """How the runs of a submission share a job array: at most `throttle` tasks run at a time."""

    header_lines: List[str]
    shebang: str
    throttle: Optional[int] = None


class Pack(NamedTuple):
    """How the runs of a submission share one allocation: `slots` at once, `time_limit` s in all."""

    header_lines: List[str]
    shebang: str
    slots: Optional[int] = None
    time_limit: Optional[float] = None


class Submission(NamedTuple):
    """One `sbatch`: for one run, or for many in an array or a pack.

    `key` names it for ever in its launch; `job_number` counts the jobs of its run, 2 for one that
    is continued; `in_doubt` says that an earlier client may have submitted it already; `options`
    win over the script's header.
    """

    key: str
    directories: List[str]
    comment: str = ""
    job_number: int = 1
    environment: Dict[str, str] = {}  # noqa: RUF012 - never changed, and NamedTuple has no factory
    header: HeaderOptions = HeaderOptions()
    array: Optional[Array] = None
    pack: Optional[Pack] = None
    in_doubt: bool = False
    options: List[str] = []  # noqa: RUF012 - as environment


class RunJob(NamedTuple):
    """A run, by its run directory, and the id of its job."""

    directory: str
    job: str


class ListedRun(NamedTuple):
    """A run whose outputs are asked for, by glob patterns relative to its run directory."""

    directory: str
    patterns: List[str]


# Events ------------------------------------------------------------------------------------------


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
    """A submission has a job, held; `jobs` are the jobs of its runs, by run directory."""

    key: str
    job: str
    jobs: Dict[str, str]


class Rejected(NamedTuple):
    """A submission was refused, in Slurm's words; with `limit`, by a submit limit: try later."""

    key: str
    message: str
    limit: bool = False


class InDoubt(NamedTuple):
    """Whether a submission has a job could not be determined."""

    key: str
    message: str


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

    `refused` says why nothing in the run directory is looked at, such as that it is a link.
    """

    directory: str
    files: List[OutputFile]
    links: List[str]
    missing: List[str]
    refused: str = ""


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


# Requests ----------------------------------------------------------------------------------------


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

    `origin` says that commits come through it, `pack` that disBatch is needed, `thorough` that
    origin, Slurm's controller and the clock are asked too.
    """

    clone: str
    runs: str
    scheduler: str
    origin: bool = False
    pack: bool = False
    thorough: bool = False


class Place(NamedTuple):
    """Fetch a launch's commits into the clone, and make its run directories; safe to repeat.

    `shared` names paths of the base commit that run directories link to, from one copy.
    """

    clone: str
    runs: str
    launch: str
    token: str
    base: str
    source: Source
    shared: List[str]
    placements: List[Placement]


class Submit(NamedTuple):
    """Submit, held; what an earlier client may have submitted is looked for first.

    `patience` is how many seconds one sbatch may take, `limit_patience` for how many to go on
    against a submit limit, `width` how many sbatch run at a time; None for the agent's own.
    """

    runs: str
    launch: str
    token: str
    scheduler: str
    submissions: List[Submission]
    patience: Optional[float] = None
    limit_patience: Optional[float] = None
    width: Optional[int] = None


class Release(NamedTuple):
    """Release the jobs of runs that are held by their user, and no other jobs.

    A task's id stands for its whole array.
    """

    runs: str
    scheduler: str
    jobs: List[RunJob]


class Query(NamedTuple):
    """Tell the states of runs; `cancel_orphans`: cancel held jobs that nobody counts on, too."""

    runs: str
    scheduler: str
    queried: List[RunJob]
    cancel_orphans: bool = False


class Cancel(NamedTuple):
    """Cancel the jobs of runs, and no other jobs."""

    runs: str
    scheduler: str
    jobs: List[RunJob]


class ListOutputs(NamedTuple):
    """List the outputs of runs."""

    runs: str
    listed: List[ListedRun]


class Tidy(NamedTuple):
    """Remove what a launch needed only while it was placed."""

    clone: str
    runs: str
    launch: str
    token: str


Request = Union[
    LookAtHost, Examine, ListTips, Place, Submit, Release, Query, Cancel, ListOutputs, Tidy
]
Event = Union[
    Host,
    Check,
    Tips,
    Fetched,
    Placed,
    PlaceRefused,
    Held,
    Rejected,
    InDoubt,
    SubmitWarning,
    Waiting,
    Released,
    NotReleased,
    RunState,
    OrphansCancelled,
    Cancelled,
    NotCancelled,
    Outputs,
    Tidied,
    End,
    Error,
    Beat,
]

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    LookAtHost: (Host,),
    Examine: (Check,),
    ListTips: (Tips,),
    Place: (Fetched, Placed, PlaceRefused),
    Submit: (Held, Rejected, InDoubt, SubmitWarning, Waiting),
    Release: (Released, NotReleased),
    Query: (RunState, OrphansCancelled),
    Cancel: (Cancelled, NotCancelled),
    ListOutputs: (Outputs,),
    Tidy: (Tidied,),
}
"""Which events may answer a request, any number of each; then `End`, or `Error`."""

_REQUESTS = {kind.__name__: kind for kind in CONVERSATION}
_EVENTS = {
    kind.__name__: kind
    for kind in (*(event for events in CONVERSATION.values() for event in events), End, Error, Beat)
}


# One message, one line ---------------------------------------------------------------------------


class CutLineError(Exception):
    """A line is not as long as it says: its rest, or a part of it, went elsewhere."""


def encode_request(number: int, request: Request) -> bytes:
    """Return a request as a line."""
    return _line({"id": number, "do": type(request).__name__, **to_json(request)})


def decode_request(text: bytes) -> "Tuple[int, Request]":
    """Return the number and request in a line's JSON. Raises `TypedJsonError` for what is none."""
    return _decoded(text, "do", _REQUESTS)


def encode_event(number: int, event: Event) -> bytes:
    """Return an event that answers the request of a number as a line, without the nonce."""
    return _line({"id": number, "event": type(event).__name__, **to_json(event)})


def decode_event(text: bytes) -> "Tuple[int, Event]":
    """Return the number and event in a line's JSON. Raises `TypedJsonError` for what is none."""
    return _decoded(text, "event", _EVENTS)


def whole(line: bytes) -> bytes:
    """Return a line's JSON. Raises `CutLineError` where it is not as long as the line says."""
    size, _, text = line.partition(b" ")
    if not size.isdigit() or not text.endswith(b"\n") or int(size) != len(text) - 1:
        raise CutLineError
    return text[:-1]


def _line(data: Dict[str, Any]) -> bytes:
    text = json.dumps(data, separators=(",", ":")).encode("ascii")
    return b"%d %s\n" % (len(text), text)


def _decoded(text: bytes, field: str, kinds: Dict[str, Type[Any]]) -> "Tuple[int, Any]":
    try:
        data = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TypedJsonError(f"not JSON ({error})") from error
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise TypedJsonError("it has no id")
    kind = kinds.get(str(data.get(field)))
    if kind is None:
        raise TypedJsonError(
            f"{field} {data.get(field)!r:.60} is none of {', '.join(sorted(kinds))}"
        )
    return data["id"], from_json(kind, data)
