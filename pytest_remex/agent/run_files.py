"""Read and write the `.remex` folder of a run directory, where its job may have put anything.

No link is followed: neither the run directory itself, nor its `.remex`, nor a file in it.
"""

import contextlib
import os
from typing import Iterator, Optional, Set, Type, TypeVar

from pytest_remex.agent import fs
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.common import paths

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Typed = TypeVar("Typed")


class RunFiles:
    r"""The files in the `.remex` folder of a run directory.

    Methods raise `UnreadableError` where a link or something else is in the way. That is this
    run's fault alone: callers that ask for many runs catch it for each.

    Example:
        >>> RunFiles("/runs/main_grid_1").read(paths.EXIT)
        '0\n'

    """

    def __init__(self, run: str) -> None:
        self._run = run

    def read(self, name: str) -> Optional[str]:
        """Return a file's text, None where there is no such file."""
        with self._opened() as folder:
            if folder is None:
                return None
            try:
                return fs.read(name, folder)
            except UnreadableError as error:
                raise UnreadableError(paths.in_run(self._run, name), error.why) from error

    def load(self, kind: Type[Typed], name: str) -> Optional[Typed]:
        """Return a file's content as a type of `common.disk`, None where there is no such file."""
        return fs.parse(kind, paths.in_run(self._run, name), self.read(name))

    def names(self) -> Set[str]:
        """Return the names of all files."""
        with self._opened() as folder:
            return set() if folder is None else set(os.listdir(folder))

    def write(self, name: str, text: str) -> None:
        """Write a file in one step, where there is a `.remex` folder."""
        with self._opened() as folder:
            if folder is not None:
                fs.replace(name, text, folder)

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        with self._opened() as folder:
            if folder is not None:
                fs.remove(name, folder)

    def check(self) -> None:
        """Raise `UnreadableError` unless there is a `.remex` folder, reached without links."""
        with self._opened() as folder:
            if folder is None:
                raise UnreadableError(self._run, "there is no such run directory; place it again")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Optional[int]]:
        """Open the folder; None where it, or the run directory, is not there."""
        with contextlib.ExitStack() as stack:
            try:
                run = os.open(self._run, _FOLDER)
                stack.callback(os.close, run)
                folder = os.open(paths.REMEX, _FOLDER, dir_fd=run)
                stack.callback(os.close, folder)
            except FileNotFoundError:
                yield None
                return
            except OSError as error:
                raise UnreadableError(self._run, _why(self._run, error)) from error
            yield folder


def _why(run: str, error: OSError) -> str:
    for path in (run, paths.remex(run)):
        if os.path.islink(path):
            return f"{os.path.basename(path)} is a link, and links are not followed"
    return error.strerror or str(error)
