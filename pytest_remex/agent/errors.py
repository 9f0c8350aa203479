"""What goes wrong, in words that name the value and the mend."""

import errno
import os
from typing import Optional

from pytest_remex.common.protocol import Error
from pytest_remex.common.redact import redact

_FULL = {errno.ENOSPC: "the file system is full", errno.EDQUOT: "your quota is used up"}


class AgentError(Exception):
    """What stops a request. `kind` is one of clone, runs, git, slurm, disk, python, request."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def event(self) -> Error:
        """Return the error as the event that ends a request."""
        return Error(self.kind, redact(str(self)))


class LinkGoneError(Exception):
    """The client went away: start nothing new."""


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no space, or none left for the user."""
    return isinstance(error, OSError) and error.errno in _FULL


def told_full(words: str, folder: str) -> Optional[AgentError]:
    """Give the error that a program which writes below `folder` told in its own words."""
    said = [number for number in _FULL if os.strerror(number) in words]
    return disk_error(OSError(said[0], words), folder) if said else None


def disk_error(error: BaseException, folder: str) -> AgentError:
    """Turn a failed write below `folder` into words."""
    if isinstance(error, OSError) and error.errno in _FULL:
        why = _FULL[error.errno]
        return AgentError("disk", f"cannot write into {folder}: {why}; free some space there")
    return AgentError("disk", f"cannot write into {folder}: {error}; mend that and try again")
