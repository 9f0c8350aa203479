"""What client and agent say about copies of launch records in the runs folder.

A launch record is a file of lines that only grows, and has one writer: the output folder that began
it. Each writer keeps a copy in the runs folder, so that any client learns there of all launches.
"""

from typing import Any, Dict, NamedTuple, Tuple, Type, Union


class RecordPart(NamedTuple):
    """Bytes of a launch record from `offset` on, compressed by zlib and in base64.

    `record` names the file, without its suffix; an empty one is no part. `owner` is the account of
    another user whose file it is.
    """

    record: str = ""
    offset: int = 0
    data: str = ""
    owner: str = ""


NO_PART = RecordPart()


class RecordLacking(NamedTuple):
    """The runs folder has only `size` bytes of a record, less than the client: new, or purged."""

    record: str
    size: int


class RecordRefused(NamedTuple):
    """The copy of a record holds other bytes: it was written by another output folder."""

    record: str


class LaunchOpened(NamedTuple):
    """The launch's name is the client's."""


class LaunchTaken(NamedTuple):
    """Another client has a launch of this name."""


class OpenLaunch(NamedTuple):
    """Claim a launch's name in the runs folder, with the first line of its record.

    `makes_runs` says that the runs folder is made where there is none, as on this machine.
    """

    runs: str
    record: str
    head: str
    makes_runs: bool = False


class ReadRecords(NamedTuple):
    """Send the launch records of the runs folder; `known` has the bytes of each that are known."""

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
"""As in `protocol`: which events may answer which request."""
