"""What is submitted: a unit is one `sbatch`, for one run or for an array of them."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from pytest_remex.agent.wire import Request
from pytest_remex.common import paths


class Header(NamedTuple):
    """What a script's `#SBATCH` lines ask for; time in seconds, None where they do not say."""

    output: Optional[str] = None
    error: Optional[str] = None
    name: Optional[str] = None
    time_limit: Optional[float] = None
    held: bool = False


class Array(NamedTuple):
    """How the runs of a unit share one job array."""

    header: List[str]
    shebang: str
    throttle: Optional[int] = None


class Pack(NamedTuple):
    """How the runs of a unit share one allocation: `slots` at once, `time_limit` s for all."""

    header: List[str]
    shebang: str
    slots: Optional[int] = None
    time_limit: Optional[float] = None


class Submission(NamedTuple):
    """One `sbatch`. `home` keeps its notes; `folder` is where it starts, its job's WorkDir."""

    key: str
    runs: str
    home: str
    folder: str
    directories: List[str]
    array: Optional[Array]
    pack: Optional[Pack]
    comment: str
    serial: int
    environment: Dict[str, str]
    header: Header
    doubt: bool

    @property
    def shared(self) -> bool:
        """Whether the unit has many runs: an array's or a pack's."""
        return self.array is not None or self.pack is not None

    @property
    def places(self) -> List[str]:
        """The run directories' paths."""
        return [os.path.join(self.runs, name) for name in self.directories]


def submissions_of(request: Request) -> List[Submission]:
    """Read a submit request's units."""
    runs, launch = str(request["runs"]), str(request["launch"])
    return [_unit(runs, launch, data) for data in request["units"]]


def _unit(runs: str, launch: str, data: Dict[str, Any]) -> Submission:
    array, pack = data.get("array"), data.get("pack")
    folder = os.path.join(runs, data["directories"][0])
    if array or pack:
        folder = paths.array(runs, launch, data["key"])
    return Submission(
        key=data["key"],
        runs=runs,
        home=paths.keep(folder),
        folder=folder,
        directories=data["directories"],
        array=Array(**array) if array else None,
        pack=Pack(**pack) if pack else None,
        comment=data.get("comment", ""),
        serial=data.get("serial", 1),
        environment=data.get("environment") or {},
        header=Header(**(data.get("header") or {})),
        doubt=data.get("doubt", False),
    )
