"""What is submitted: one `sbatch`, for one run or for many in an array or a pack."""

import os
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common import paths, protocol
from pytest_remex.common.protocol import Array, Header, Pack


class Submission(NamedTuple):
    """A submission as `protocol.Submission` asks for it, and where it lies.

    `home` keeps its notes; `folder` is where it starts, its job's WorkDir.
    """

    key: str
    runs: str
    home: str
    folder: str
    directories: List[str]
    array: Optional[Array]
    pack: Optional[Pack]
    comment: str
    job_number: int
    environment: Dict[str, str]
    header: Header
    in_doubt: bool

    @property
    def shared(self) -> bool:
        """Whether many runs share it: those of an array or a pack."""
        return self.array is not None or self.pack is not None

    @property
    def places(self) -> List[str]:
        """The run directories' paths."""
        return [os.path.join(self.runs, name) for name in self.directories]


def submissions_of(request: protocol.Submit) -> List[Submission]:
    """Return what a request asks to submit."""
    return [_located(asked, request.runs, request.launch) for asked in request.submissions]


def _located(asked: protocol.Submission, runs: str, launch: str) -> Submission:
    folder = os.path.join(runs, asked.directories[0])
    if asked.array or asked.pack:
        folder = paths.array(runs, launch, asked.key)
    return Submission(runs=runs, home=paths.keep(folder), folder=folder, **asked._asdict())
