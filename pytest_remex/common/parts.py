"""What the requests of the protocol are made of: sources, run directories, submissions, runs."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from pytest_remex.common.paths import SCRIPT


class Source(NamedTuple):
    """Where the clone gets a launch's commits from.

    `kind` is `here` (the clone has them), `origin` (fetch `ref`) or `bundle` (`data`, base64);
    `sha` is the commit that reaches all of them; `address` is origin's where it was pushed, without
    credentials.
    """

    kind: str
    sha: str
    ref: str = ""
    data: str = ""
    address: str = ""


class Placement(NamedTuple):
    """A run directory to make: its name, its commit, and what `.remex/run.json` says besides.

    `claim` names the claim whose run directory it is.
    """

    directory: str
    sha: str
    parent: str
    tree: str
    meta: Dict[str, Any]
    claim: str = ""


class HeaderOptions(NamedTuple):
    """What the script's `#SBATCH` lines ask for; time in seconds, None where they do not say.

    `script` is its path in the run directory.
    """

    output: Optional[str] = None
    error: Optional[str] = None
    name: Optional[str] = None
    time_limit: Optional[float] = None
    held: bool = False
    script: str = SCRIPT

    @property
    def job_name(self) -> str:
        """The name that Slurm gives the job: the script's where the header gives none."""
        return self.name or os.path.basename(self.script)


class Needs(NamedTuple):
    """What a launch will take: jobs, files and bytes of its run directories, arrays or packs."""

    jobs: int = 0
    files: int = 0
    size: int = 0
    array: bool = False
    pack: bool = False


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

    `key` names it for ever in its launch; `comment` is empty where the script has its own, which is
    kept; `job_number` counts the jobs of its run, 2 for one that
    is continued; `in_doubt` says that an earlier client may have submitted it already; `options`
    win over the script's header. `scripts` are the blobs of the runs' scripts, by run directory: a
    script that was changed since is not submitted.
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
    scripts: Dict[str, str] = {}  # noqa: RUF012 - as environment


class RunJob(NamedTuple):
    """A run, by its run directory, and the id of its job.

    `released` says that its release was recorded: where its user holds it all the same, a crash of
    Slurm's took the release back.
    """

    directory: str
    job: str
    released: bool = False


class LogPart(NamedTuple):
    """A piece of the file of a job's output that a pattern matches in a run directory.

    It begins at the byte `start`, counted from the end where that is negative, and has at most
    `most` bytes.
    """

    directory: str
    pattern: str
    start: int
    most: int


class RemovableRun(NamedTuple):
    """A run whose run directory may go: what its launch record says of it, and its newest job."""

    directory: str
    token: str
    sha: str
    job: str


class ListedRun(NamedTuple):
    """A run whose outputs are asked for, by glob patterns relative to its run directory."""

    directory: str
    patterns: List[str]
