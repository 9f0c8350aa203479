"""What one `sbatch` submits, where it lies, and how a run's script is started."""

import os
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common import parts, paths, protocol
from pytest_remex.common.parts import Array, HeaderOptions, Pack


class LocatedSubmission(NamedTuple):
    """A submission as `parts.Submission` asks for it, with its paths.

    `folder` is where it starts, its job's WorkDir: the run directory, or the folder of the array or
    pack. `notes` is the folder that keeps the notes about it.
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

    @property
    def script(self) -> str:
        """The path of the script in the folder."""
        return paths.SCRIPT if self.grouped else self.header.script

    @property
    def grouped(self) -> bool:
        """Whether it is an array or a pack, which many runs may share."""
        return self.array is not None or self.pack is not None

    @property
    def run_directories(self) -> List[str]:
        """The paths of the run directories."""
        return [os.path.join(self.runs, name) for name in self.directories]


def submissions_of(request: protocol.Submit) -> List[LocatedSubmission]:
    """Return what a request asks to submit."""
    return [_located(asked, request.runs, request.launch) for asked in request.submissions]


def _located(asked: parts.Submission, runs: str, launch: str) -> LocatedSubmission:
    folder = os.path.join(runs, asked.directories[0])
    if asked.array or asked.pack:
        folder = paths.group(runs, launch, asked.key)
    return LocatedSubmission(runs=runs, notes=paths.remex(folder), folder=folder, **asked._asdict())


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
