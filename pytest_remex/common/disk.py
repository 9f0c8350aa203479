"""What the agent keeps in `.remex/` on the remote, typed; see `paths` for where each file lies.

Files carry the version of their format (`FORMAT`; none is 1). A newer one is refused, fields that
this release does not know are ignored. Jobs can write to these files: what they hold is a claim.
"""

from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common.jobs import JobState
from pytest_remex.common.paths import SCRIPT

FORMAT = 1
"""The version of these files that this release writes, and the newest that it reads."""


class RunNote(NamedTuple):
    """Whose a run directory is (`run.json`, which also holds what the launch says of the run)."""

    launch: str = ""
    token: str = ""
    sha: str = ""
    parent: str = ""
    tree: str = ""


class LocalSpec(NamedTuple):
    """A job as the local scheduler got it; an array's tasks are its directories, in order."""

    id: str
    directories: List[str]
    array: bool
    throttle: Optional[int]
    name: str
    output: Optional[str]
    error: Optional[str]
    time_limit: Optional[float]
    environment: str
    extra: Dict[str, str]
    submitted: float
    script: str = SCRIPT


class LocalState(NamedTuple):
    """What the local scheduler knows of a task that has started, or that will not start.

    `started` is in seconds since 1970, `elapsed` in seconds, `memory` in bytes; `pid` and `birth`
    name the process of a task that runs.
    """

    state: JobState
    reason: str = ""
    started: Optional[float] = None
    elapsed: Optional[float] = None
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    memory: Optional[int] = None
    pid: Optional[int] = None
    birth: Optional[str] = None
