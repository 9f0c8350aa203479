"""What one `sbatch` submits, its folders, and how a run's script is started."""

import hashlib
import os
import stat
from typing import Dict, List, NamedTuple, Optional, Union

from pytest_remex.agent.attempts import Attempts
from pytest_remex.agent.wire import Reply
from pytest_remex.common import parts, paths, protocol
from pytest_remex.common.claims import Discard
from pytest_remex.common.files import read_up_to
from pytest_remex.common.jobs import JobId
from pytest_remex.common.parts import Array, HeaderOptions, Pack, UpstreamFiles
from pytest_remex.common.redact import redact

_LARGEST_SCRIPT = 1 << 26
_SHA256 = 64
"""Hexadecimal digits of a SHA-256."""


class LocatedSubmission(NamedTuple):
    """A `parts.WantedSubmission` with its paths.

    `folder` is its job's working directory: the run directory, or the folder of the array or pack.
    `notes` is the folder with the notes about it. `tasks` are the positions of the runs that it
    submits: other members of a group are submitted separately. `asked` maps the keys of a request
    to their runs.
    """

    key: str
    runs: str
    notes: str
    folder: str
    directories: List[str]
    array: Optional[Array]
    pack: Optional[Pack]
    comment: str
    job_number: int
    environment: Dict[str, str]
    header: HeaderOptions
    in_doubt: bool
    options: List[str]
    scripts: Dict[str, str]
    dependency: str
    upstreams: Dict[str, UpstreamFiles]
    tasks: List[int]
    asked: Dict[str, List[str]]

    @property
    def attempts(self) -> Attempts:
        """The attempts to submit it."""
        return Attempts(self.notes, self.job_number)

    @property
    def script(self) -> str:
        """The script's path, relative to the folder."""
        if self.grouped:
            return paths.SCRIPT
        return os.path.join(paths.REMEX, paths.START) if self.upstreams else self.header.script

    @property
    def grouped(self) -> bool:
        """Whether it is an array or a pack, which many runs may share."""
        return self.array is not None or self.pack is not None

    @property
    def members(self) -> List[str]:
        """The paths of all run directories, including those that it does not submit."""
        return [os.path.join(self.runs, name) for name in self.directories]

    @property
    def run_directories(self) -> List[str]:
        """The paths of the run directories that it submits."""
        return [os.path.join(self.runs, self.directories[task]) for task in self.tasks]

    def jobs_of_runs(self, job: str) -> Dict[str, str]:
        """Return the job of each run directory that it submits, by its name."""
        names = self.directories
        if self.array is None:
            return {names[task]: job for task in self.tasks}
        array = JobId.parse(job)
        return {names[task]: str(array._replace(task=str(task))) for task in self.tasks}

    def as_asked(self) -> parts.WantedSubmission:
        """Return it without its paths, for a client that resumes it later."""
        facts = {name: getattr(self, name) for name in parts.WantedSubmission._fields}
        return parts.WantedSubmission(**{**facts, "in_doubt": False})


def tell_held(submission: LocatedSubmission, job: str, jobs: Dict[str, str], reply: Reply) -> None:
    """Tell that a submission became a held job; `jobs` are those of its runs, by directory."""
    for key, asked in submission.asked.items():
        reply.send(protocol.Held(key, job, {name: jobs[name] for name in asked}))


def tell_rejected(
    submission: LocatedSubmission, why: str, reply: Reply, *, limit: bool = False
) -> None:
    """Tell that a submission was refused, only for now if it is a limit."""
    for key, asked in submission.asked.items():
        reply.send(protocol.Rejected(key, redact(why), limit, asked))


def tell_doubt(submission: LocatedSubmission, why: str, reply: Reply) -> None:
    """Tell that it is not known whether a submission has a job."""
    for key, asked in submission.asked.items():
        reply.send(protocol.InDoubt(key, redact(why), asked))


def submissions_of(request: Union[protocol.Submit, Discard]) -> List[LocatedSubmission]:
    """Return the submissions of a request."""
    return [located(asked, request.runs, request.launch) for asked in request.submissions]


def located(asked: parts.WantedSubmission, runs: str, launch: str) -> LocatedSubmission:
    """Return a submission of a launch with its paths in a runs folder."""
    folder = os.path.join(runs, asked.directories[0])
    if asked.array or asked.pack:
        folder = paths.group(runs, launch, asked.key)
    return LocatedSubmission(
        runs=runs,
        notes=paths.remex(folder),
        folder=folder,
        tasks=list(range(len(asked.directories))),
        asked={asked.key: asked.directories},
        **asked._asdict(),
    )


class RefusedError(Exception):
    """A submission must not be made: its script was changed, or another client ended it."""


def check_scripts(submission: LocatedSubmission) -> None:
    """Raise `RefusedError` if a run's script was changed since it was placed."""
    for directory, blob in submission.scripts.items():
        path = os.path.join(submission.runs, directory, submission.header.script)
        if blob and blob not in (_blob_of_file(path, blob), _blob_of_link(path, blob)):
            raise RefusedError(
                f"{path} was changed after it was copied from its commit: restore it, or make a new"
                " run with --remex-retry=all"
            )


def _blob_of_file(path: str, like: str) -> str:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return ""
            return _blob(read_up_to(file, _LARGEST_SCRIPT), like)
    except OSError:
        return ""


def _blob_of_link(path: str, like: str) -> str:
    try:
        return _blob(os.fsencode(os.readlink(path)), like)
    except OSError:
        return ""


def _blob(data: bytes, like: str) -> str:
    """Return git's id for a file's bytes; `like` is an id with the same hash function."""
    hashed = hashlib.new("sha256" if len(like) == _SHA256 else "sha1")
    hashed.update(b"blob %d\0" % len(data) + data)
    return hashed.hexdigest()


class ShebangError(Exception):
    """A script's first line names no interpreter; the message says why."""


def interpreter(line: str) -> List[str]:
    """Parse a script's first line as the kernel does.

    Returns:
        The interpreter and, at most, one argument.

    Raises:
        ShebangError: The line names no interpreter.

    Example:
        >>> interpreter("#!/usr/bin/env python3 -u")
        ['/usr/bin/env', 'python3 -u']

    """
    if line.endswith("\r\n"):
        raise ShebangError("it has Windows line endings; save it with Unix ones")
    words = line[2:].strip().split(None, 1)
    if not line.startswith("#!") or not words:
        raise ShebangError("it has no #! line; begin it with one such as #!/bin/bash")
    return words


def interpreter_of(script: str) -> List[str]:
    """Return the interpreter of a script file; OSError if it cannot be read."""
    with open(script, "rb") as file:
        return interpreter(os.fsdecode(file.readline(4096)))
