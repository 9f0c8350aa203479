"""Requests and events about the copies of launch records in the runs folder.

A launch record is an append-only file of lines with one writer: the output folder that created it.
Each writer keeps a copy in the runs folder, where any client can find all launches.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type, Union


class RecordPart(NamedTuple):
    """Bytes of a launch record from `offset` on, compressed with zlib, in base64.

    `record` is the file's name without its suffix; empty means no part. `owner` is set if another
    user owns the file: the name of that user's account.
    """

    record: str = ""
    offset: int = 0
    data: str = ""
    owner: str = ""


NO_PART = RecordPart()


class RecordLacking(NamedTuple):
    """The runs folder has only `size` bytes of a record, fewer than the client: new, or purged."""

    record: str
    size: int


class RecordRefused(NamedTuple):
    """The copy of a record has other content: another output folder wrote it."""

    record: str


class RunsWithoutRecord(NamedTuple):
    """There are run directories of launches without a record."""


class RunFacts(NamedTuple):
    """What a run directory says of itself: see `paths.RunNote`, and what the launch adds to it."""

    launch: str
    token: str
    sha: str
    parent: str
    tree: str
    node: str
    id: str
    point: Dict[str, Any]
    config: Dict[str, Any]
    added: bool = False


class FoundRun(NamedTuple):
    """A run that has a job, and that no record tells of; `owner` is another user whose it is.

    `script` is what its script holds now, as far as it can be read.
    """

    directory: str
    facts: RunFacts
    job: str
    job_number: int = 1
    owner: str = ""
    script: str = ""


class Patched(NamedTuple):
    """What a commit changed in its base: path, mode and blob; `script` is what that holds then."""

    sha: str
    changed: List[List[str]]
    script: Optional[str] = None


class LaunchOpened(NamedTuple):
    """The client has claimed the launch's name."""


class LaunchTaken(NamedTuple):
    """Another client already has a launch of this name."""


class OpenLaunch(NamedTuple):
    """Claim a launch's name in the runs folder, with the first line of its record.

    `makes_runs` says that the runs folder is made where there is none, as on this machine.
    """

    runs: str
    record: str
    head: str
    makes_runs: bool = False


class ReadRecords(NamedTuple):
    """Send the runs folder's launch records; `known`: how many bytes of each the client has."""

    runs: str
    known: Dict[str, int]


class AppendRecord(NamedTuple):
    """Append to the copy of a launch record in the runs folder; safe to repeat."""

    runs: str
    part: RecordPart


class FindRuns(NamedTuple):
    """Tell the runs of launches without a record; `known` are the records that the client has."""

    runs: str
    known: List[str]


class ReadPatches(NamedTuple):
    """Tell what commits, each with its tree, changed in their base, where the clone has them."""

    clone: str
    base: str
    script: str
    commits: List[List[str]]


Request = Union[OpenLaunch, ReadRecords, AppendRecord, FindRuns, ReadPatches]
Event = Union[
    LaunchOpened, LaunchTaken, RecordPart, RecordLacking, RecordRefused, RunsWithoutRecord,
    FoundRun, Patched,
]  # fmt: skip

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    OpenLaunch: (LaunchOpened, LaunchTaken),
    ReadRecords: (RecordPart, RecordLacking, RunsWithoutRecord),
    AppendRecord: (RecordRefused,),
    FindRuns: (FoundRun,),
    ReadPatches: (Patched,),
}
"""Which events may answer which request, as in `protocol`."""
