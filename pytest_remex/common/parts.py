"""The building blocks of the protocol's messages: sources, run directories, submissions, files."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from pytest_remex.common.paths import SCRIPT

OVER_CONNECTION = "set remex_via = connection, or Remote(..., via='connection')"
"""How to get commits to the clone without origin, for messages."""


class Source(NamedTuple):
    """Where the clone gets a launch's commits from.

    `kind` is `here` (the clone has them), `origin` (fetch `ref`) or `bundle` (`data`, base64);
    all of them can be reached from the commit `sha`; `address` is the URL of origin that was pushed
    to, without credentials.
    """

    kind: str
    sha: str
    ref: str = ""
    data: str = ""
    address: str = ""


class Placement(NamedTuple):
    """A run directory to make: its name, its commit, and further content of `.remex/run.json`.

    `claim` is the name of the claim that it belongs to.
    """

    directory: str
    sha: str
    parent: str
    tree: str
    meta: Dict[str, Any]
    claim: str = ""


class HeaderOptions(NamedTuple):
    """What the script's `#SBATCH` lines ask for; None if they do not say. Time in seconds.

    `script` is the script's path in the run directory. `lines` are those lines, and `shebang` the
    script's first line, for a script of ours that is submitted in its place. `clusters` are those
    that it may be sent to, as sbatch takes them.
    """

    output: Optional[str] = None
    error: Optional[str] = None
    name: Optional[str] = None
    time_limit: Optional[float] = None
    held: bool = False
    script: str = SCRIPT
    lines: List[str] = []  # noqa: RUF012 - never changed, and NamedTuple has no factory
    shebang: str = ""
    clusters: str = ""

    @property
    def job_name(self) -> str:
        """The job's name in Slurm: the header's, or else the script's file name."""
        return self.name or os.path.basename(self.script)


class Needs(NamedTuple):
    """What a launch needs: jobs, files and bytes in its run directories, job arrays."""

    jobs: int = 0
    files: int = 0
    size: int = 0
    array: bool = False


class Array(NamedTuple):
    """How a submission's runs share a job array; at most `throttle` tasks run at a time."""

    header_lines: List[str]
    shebang: str
    throttle: Optional[int] = None


class Pack(NamedTuple):
    """How a submission's runs share one allocation: `slots` at a time, `time_limit` s in all."""

    header_lines: List[str]
    shebang: str
    slots: Optional[int] = None
    time_limit: Optional[float] = None


class UpstreamFiles(NamedTuple):
    """The run that a run comes after.

    `brought` leads from paths in the run directory to paths in the upstream's; `has_exit_code` says
    that the upstream's exit code lies there, and must be 0. `copied` are those of the paths in the
    run directory that are copies; the others are links.
    """

    directory: str
    brought: Dict[str, str] = {}  # noqa: RUF012 - never changed, and NamedTuple has no factory
    has_exit_code: bool = False
    copied: List[str] = []  # noqa: RUF012 - as brought


class WantedSubmission(NamedTuple):
    """What one `sbatch` submits: one run, or many in an array or a pack.

    `key` identifies it in its launch and never changes. `comment` is empty if the script has its
    own comment, which is kept. `job_number` counts the jobs of its run: 2 for a continued run.
    `in_doubt` means that an earlier client may have submitted it already. `options` override the
    script's header. `scripts` maps each run directory to the git blob of its script: a script that
    has changed since is not submitted. `dependency` is the value of sbatch's option of that name.
    `upstreams` maps each run directory to the run that it comes after.
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
    dependency: str = ""
    upstreams: Dict[str, UpstreamFiles] = {}  # noqa: RUF012 - as environment


class RunJob(NamedTuple):
    """A run directory and the id of its job.

    `released` means that the job's release was recorded. If it is held by its user nevertheless,
    Slurm lost the release in a crash.
    """

    directory: str
    job: str
    released: bool = False


class LogPart(NamedTuple):
    """A piece of a job's output: of the file in a run directory that matches `pattern`.

    It begins at byte `start` (from the end if negative) and has at most `most` bytes.
    """

    directory: str
    pattern: str
    start: int
    most: int


class RemovableRun(NamedTuple):
    """A run whose directory may be removed: what its launch record says, and its newest job."""

    directory: str
    token: str
    sha: str
    job: str


class ListedRun(NamedTuple):
    """A run whose outputs are to be listed, by glob patterns relative to its run directory.

    With `through_links`, names and sizes are also listed in folders that are links, as a job of
    the run would find them; nothing is read or fetched through them.
    """

    directory: str
    patterns: List[str]
    through_links: bool = False


class OutputFile(NamedTuple):
    """A file: its path in the run directory, size in bytes, modification time in ns."""

    path: str
    size: int
    mtime_ns: int
