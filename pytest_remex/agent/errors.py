"""The agent's errors; their messages name the value and the fix."""

import errno
import os
import tempfile
from typing import Optional, Tuple

from pytest_remex.agent import limits
from pytest_remex.common.protocol import Error
from pytest_remex.common.redact import redact

_UNWRITABLE = {
    errno.ENOSPC: "the file system is full; free some space there",
    errno.EDQUOT: "your quota is used up; free some space there",
    errno.EROFS: "it is on a read-only file system; make that writable, or choose another folder",
}

_UNEXPLAINED = "couldn't write '"
"""Git's words for a ref that it could not write, which say no more."""
_LITTLE = 1 << 16
"""Bytes for which there is room on a disk that is not full: git has removed what it wrote last."""


class AgentError(Exception):
    """An error that ends a request. `kind` is one of the kinds of `protocol.Error`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def event(self) -> Error:
        """Return the error as the event that ends a request."""
        return Error(self.kind, redact(str(self)))


class UnreadableError(AgentError):
    """One of our files cannot be used: a link, not a regular file, too large, or damaged."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__("runs", f"{path} cannot be used: {why}")
        self.why = why


class DisconnectedError(Exception):
    """The client has disconnected: start nothing new."""


def is_unwritable(error: BaseException) -> bool:
    """Return whether an error means that a disk is full or read-only, or a quota is used up."""
    return isinstance(error, OSError) and error.errno in _UNWRITABLE


def unwritable_error(message: str, folder: str) -> Optional[AgentError]:
    """Return an error if a program that writes below `folder` says that it cannot."""
    numbers = [number for number in _UNWRITABLE if os.strerror(number) in message]
    if numbers:
        return disk_error(OSError(numbers[0], message), folder)
    if _UNEXPLAINED in message:
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(bytes(_LITTLE))
        except OSError as error:
            return disk_error(error, folder) if is_unwritable(error) else None
    return None


def disk_error(error: BaseException, folder: str) -> AgentError:
    """Return the error for a failed write below `folder`."""
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        return AgentError("disk", f"cannot write to {folder}: {_UNWRITABLE[error.errno]}")
    why = limits.shortage(error) or f"{error}; fix that and try again"
    return AgentError("disk", f"cannot write to {folder}: {why}")


def file_error(error: OSError, folder: str) -> AgentError:
    """Return the error for a file below `folder` that cannot be used.

    Permissions change, and file systems of networks fail.
    """
    path = error.filename if isinstance(error.filename, str) else folder
    fix = "correct that there, or let its owner do so, and run the same command again"
    return AgentError("disk", f"{path} cannot be used: {error.strerror}; {fix}")


def missing_program(name: str, *, local: bool) -> Tuple[str, str]:
    """Return what is said of a program that is not there, and the fix."""
    if local:
        return f"{name} is not on PATH on this machine", "install it, or add its folder to PATH"
    fix = f"load {name}'s module in a login file on the cluster, or install it"
    return f"{name} is not on PATH on the cluster", fix


def no_runs_folder(runs: str) -> AgentError:
    """Return the error for a runs folder that does not exist, though there are runs of it."""
    return AgentError("runs", f"there is no runs folder {runs}: is its file system mounted?")
