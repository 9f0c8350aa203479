"""What one `sbatch` submits, where it lies, and how a run's script is started."""

import hashlib
import os
import stat
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common import parts, paths, protocol
from pytest_remex.common.parts import Array, HeaderOptions, Pack

_LARGEST_SCRIPT = 1 << 26
_SHA256 = 64
"""Hexadecimal digits of a SHA-256."""


class LocatedSubmission(NamedTuple):
    """A submission as `parts.Submission` asks for it, with its paths.

    `folder` is where it starts, its job's WorkDir: the run directory, or the folder of the array or
    pack. `notes` is the folder that keeps the notes about it. `tasks` are the positions of the runs
    that it submits: other members of a group belong elsewhere. `asked` are the runs that a request
    asked for, by the key that it gave them.
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
    tasks: List[int]
    asked: Dict[str, List[str]]

    @property
    def script(self) -> str:
        """The path of the script in the folder."""
        return paths.SCRIPT if self.grouped else self.header.script

    @property
    def grouped(self) -> bool:
        """Whether it is an array or a pack, which many runs may share."""
        return self.array is not None or self.pack is not None

    @property
    def members(self) -> List[str]:
        """The paths of the run directories, also of those that it does not submit."""
        return [os.path.join(self.runs, name) for name in self.directories]

    @property
    def run_directories(self) -> List[str]:
        """The paths of the run directories that it submits."""
        return [os.path.join(self.runs, self.directories[task]) for task in self.tasks]

    def as_asked(self) -> parts.Submission:
        """Return it without its paths, as a later client may go on with it."""
        facts = {name: getattr(self, name) for name in parts.Submission._fields}
        return parts.Submission(**{**facts, "in_doubt": False})


def submissions_of(request: protocol.Submit) -> List[LocatedSubmission]:
    """Return what a request asks to submit."""
    return [located(asked, request.runs, request.launch) for asked in request.submissions]


def located(asked: parts.Submission, runs: str, launch: str) -> LocatedSubmission:
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


class ChangedScriptError(Exception):
    """The script of a run is not what its commit holds; the message names it."""


def check_scripts(submission: LocatedSubmission) -> None:
    """Raise `ChangedScriptError` for a run whose script was changed since it was placed."""
    for directory, blob in submission.scripts.items():
        path = os.path.join(submission.runs, directory, submission.header.script)
        if blob and blob not in (_blob_of_file(path, blob), _blob_of_link(path, blob)):
            raise ChangedScriptError(
                f"{path} is not what its commit holds: it was changed since. Put it back, or let"
                " --remex-again make a new run"
            )


def _blob_of_file(path: str, like: str) -> str:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return ""
            return _blob(file.read(_LARGEST_SCRIPT), like)
    except OSError:
        return ""


def _blob_of_link(path: str, like: str) -> str:
    try:
        return _blob(os.fsencode(os.readlink(path)), like)
    except OSError:
        return ""


def _blob(data: bytes, like: str) -> str:
    """Return git's id for a file, by the hash that another id was made with."""
    hashed = hashlib.new("sha256" if len(like) == _SHA256 else "sha1")
    hashed.update(b"blob %d\0" % len(data) + data)
    return hashed.hexdigest()


class ShebangError(Exception):
    """A first line that names no interpreter; the message says why."""


def interpreter(line: str) -> List[str]:
    """Return what a script's first line names, read as the kernel reads it.

    Returns:
        The interpreter and, at most, one argument.

    Raises:
        ShebangError: The line names no interpreter.

    Example:
        >>> interpreter("#!/usr/bin/env python3 -u")
        ['/usr/bin/env', 'python3 -u']

    """
    if line.endswith("\r\n"):
        raise ShebangError("it has Windows line ends; save it with Unix ones")
    words = line[2:].strip().split(None, 1)
    if not line.startswith("#!") or not words:
        raise ShebangError("it has no #! line; put one such as #!/bin/bash first")
    return words


def interpreter_of(script: str) -> List[str]:
    """Return what `interpreter` does for a script; OSError when it cannot be read."""
    with open(script, "rb") as file:
        return interpreter(os.fsdecode(file.readline(4096)))
