"""Requests and events about the copies of launch records in the runs folder.

A launch record is an append-only file of lines with one writer: the output folder that created it.
Each writer keeps a copy in the runs folder, where any client can find all launches.
"""

from typing import Any, Dict, NamedTuple, Tuple, Type, Union


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


Request = Union[OpenLaunch, ReadRecords, AppendRecord]
Event = Union[LaunchOpened, LaunchTaken, RecordPart, RecordLacking, RecordRefused]

CONVERSATION: Dict[Type[Any], Tuple[Type[Any], ...]] = {
    OpenLaunch: (LaunchOpened, LaunchTaken),
    ReadRecords: (RecordPart, RecordLacking),
    AppendRecord: (RecordRefused,),
}
"""Which events may answer which request, as in `protocol`."""
