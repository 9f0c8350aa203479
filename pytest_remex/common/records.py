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


class RecordClosed(NamedTuple):
    """The client's account may not read a record; `owner` is its user if that is another."""

    record: str
    owner: str = ""


class RecordCut(NamedTuple):
    """A record does not end with a whole line: one is being written, or the file is damaged."""

    record: str


class RunsWithoutRecord(NamedTuple):
    """There are run directories of launches without a record."""


class RunFacts(NamedTuple):
    """The description in a run directory, see `paths.RunNote`, with facts of the launch."""

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
    """A run with a job but without a record; `owner` is its user if that is another.

    `script` is what its script holds now, as far as it can be read.
    """

    directory: str
    facts: RunFacts
    job: str
    job_number: int = 1
    owner: str = ""
    script: str = ""


class Patched(NamedTuple):
    """The changes of a commit to its base: path, mode and blob; `script` is its new text."""

    sha: str
    changed: List[List[str]]
    script: Optional[str] = None


class LaunchOpened(NamedTuple):
    """The client has claimed the launch's name; else another one has a launch of this name."""


class OpenLaunch(NamedTuple):
    """Claim a launch's name in the runs folder, with the first line of its record.

    `makes_runs` says to make a missing runs folder, as on this machine.
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
    """Describe runs of launches without a record; the client has the records `known`."""

    runs: str
    known: List[str]


class ReadPatches(NamedTuple):
    """Return the changes of commits, each with its tree, to their base, if the clone has them."""

    clone: str
    base: str
    script: str
    commits: List[List[str]]


Request = Union[OpenLaunch, ReadRecords, AppendRecord, FindRuns, ReadPatches]
Event = Union[
    LaunchOpened, RecordPart, RecordLacking, RecordRefused, RecordClosed, RecordCut,
    RunsWithoutRecord, FoundRun, Patched,
]  # fmt: skip

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    OpenLaunch: (LaunchOpened,),
    ReadRecords: (RecordPart, RecordLacking, RecordClosed, RecordCut, RunsWithoutRecord),
    AppendRecord: (RecordRefused,),
    FindRuns: (FoundRun,),
    ReadPatches: (Patched,),
}
"""Which events may answer which request, as in `protocol`."""
