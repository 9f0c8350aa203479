"""Read and write small files safely: atomic writes, also on NFS and next to other agents.

Jobs can write next to our files, so reading refuses links, FIFOs and devices, and has a size limit.
In a run directory, where its job may have put anything, no link is followed: neither the run
directory itself, nor its `.remex`, nor a file in it.
"""

import contextlib
import errno
import itertools
import os
import pwd
import stat
from typing import Iterator, Optional, Set, Tuple, Type, TypeVar, Union

from pytest_remex.agent.errors import UnreadableError, no_runs_folder
from pytest_remex.common import paths
from pytest_remex.common.files import open_regular, read_up_to, remove_tree
from pytest_remex.common.typed_json import TypedJsonError, dumps, loads

LARGEST = 1 << 20
"""The most bytes that a file may have to be read."""
_COUNT = itertools.count()
_NO_DIRECTORY = "the run directory does not exist; run the same command again"
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Typed = TypeVar("Typed")


def unique() -> str:
    """Return a name that no other process or thread uses."""
    return f"{os.uname().nodename}.{os.getpid()}.{next(_COUNT)}"


def read_piece(path: str, start: int, most: int) -> Tuple[int, int, str]:
    """Return a piece of a file: its offset, the size of the whole file, and the text.

    Args:
        path: The file's path.
        start: The first byte, counted from the end if negative.
        most: How many bytes; never more than `LARGEST`.

    Raises:
        UnreadableError: It is a link, not a regular file, missing, or not readable.

    """
    opened = _open(path)
    if opened is None:
        raise UnreadableError(path, "it no longer exists")
    with open(opened, "rb") as file:
        size = os.fstat(opened).st_size
        first = max(0, size + start) if start < 0 else min(start, size)
        file.seek(first)
        data = file.read(max(0, min(most, LARGEST)))
    return first, size, data.decode("utf-8", "surrogateescape")


def read(path: str, folder: Optional[int] = None, largest: int = LARGEST) -> Optional[str]:
    """Return the text of a file of at most so many bytes; None if it does not exist.

    `folder` is an open folder that the path is relative to.

    Raises:
        UnreadableError: It is a link, not a regular file, too large, or not readable.

    """
    opened = _open(path, folder)
    if opened is None:
        return None
    with open(opened, "rb") as file:
        data = read_up_to(file, largest + 1)
    if len(data) > largest:
        raise UnreadableError(path, f"it is larger than {largest} bytes")
    return data.decode("utf-8", "surrogateescape")


def parse(kind: Type[Typed], path: str, text: Optional[str]) -> Optional[Typed]:
    """Parse a file's text as a type of `common.paths`; None if there is no text.

    Raises:
        UnreadableError: It is damaged, or has a newer format.

    """
    try:
        return None if text is None else loads(kind, text, paths.DISK_FORMAT)
    except TypedJsonError as error:
        raise UnreadableError(path, str(error)) from error


def replace(path: str, text: str, folder: Optional[int] = None) -> None:
    """Write a file atomically: readers see either the old or the new content."""
    made = f"{path}.{unique()}"
    try:
        _write(made, text, folder)
        os.replace(made, path, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        remove(made, folder)
        raise


def create(path: str, text: str, folder: Optional[int] = None, *, synced: bool = False) -> bool:
    """Create a file atomically; return False if it exists already.

    Args:
        path: The file's path.
        text: Its content.
        folder: An open folder that the path is relative to.
        synced: Whether to flush it to the disk before it gets its name.

    """
    made = f"{path}.{unique()}"
    try:
        _write(made, text, folder, synced=synced)
        os.link(made, path, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_without_links(path, text, folder)
    finally:
        remove(made, folder)
    return True


def link(existing: str, path: str) -> Optional[bool]:
    """Create another name for a file of this account, which takes no inode.

    Returns:
        False if the name is taken; None if there is no such file, or it cannot be linked.

    """
    try:
        about = os.lstat(existing)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            return None
        os.link(existing, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return None
    return True


def remove(path: str, folder: Optional[int] = None) -> bool:
    """Delete a file; return False if it does not exist."""
    try:
        os.unlink(path, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def touch(path: str) -> None:
    """Create an empty file, if it does not exist."""
    with open(path, "a", encoding="utf-8"):
        pass


def make_common(runs: str, path: str) -> None:
    """Make a folder below a runs folder, and its parents, with the runs folder's permissions.

    Raises:
        AgentError: The runs folder does not exist. It is not made: it may just not be mounted.

    """
    if os.path.isdir(path):
        return
    if path == runs:
        raise no_runs_folder(runs)
    make_common(runs, os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        share(path, runs)
        os.chmod(path, stat.S_IMODE(os.stat(runs).st_mode))


def share(made: Union[str, int], above: Union[str, int]) -> None:
    """Let the group that shares a folder read what was made in it, whatever the umask is.

    Otherwise users with umask 077 could not read each other's claims and records.

    Args:
        made: The path, or an open file.
        above: The folder, or an open folder; if its group cannot write to it, nothing is changed.

    """
    common = os.stat(above)
    if not common.st_mode & stat.S_IWGRP:
        return
    about = os.stat(made)
    mode = stat.S_IMODE(about.st_mode)
    with contextlib.suppress(PermissionError):  # not a member of that group, or another user's
        if about.st_gid != common.st_gid:
            os.chown(made, -1, common.st_gid)
    with contextlib.suppress(PermissionError):
        os.chmod(made, mode | (mode & (stat.S_IRUSR | stat.S_IXUSR)) >> 3)


def owner(about: os.stat_result) -> str:
    """Return the name of the account that owns a file; empty for the current user."""
    if about.st_uid == os.geteuid():
        return ""
    try:
        return pwd.getpwuid(about.st_uid).pw_name
    except KeyError:
        return str(about.st_uid)


def occupy(runs: str, directory: str, note: paths.RunNote) -> None:
    """Occupy the name of a run directory that was never made, so that no client can make it.

    A rename onto a folder that is not empty fails: a slower client finds the name taken.

    Args:
        runs: The runs folder.
        directory: The run directory's name.
        note: Whose it is from now on; an empty note if it is nobody's.

    """
    made = os.path.join(runs, paths.REMEX, f"occupied.{unique()}")
    os.makedirs(paths.remex(made))
    replace(paths.in_run(made, paths.RUN), dumps(note, paths.DISK_FORMAT))
    try:
        os.rename(made, os.path.join(runs, directory))
    except OSError:  # it was made meanwhile, or another client was as fast
        with contextlib.suppress(OSError):
            remove_tree(made)


def listing(folder: str) -> Iterator[str]:
    """Return the names in a folder; none if it does not exist."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from os.listdir(folder)


def _open(path: str, folder: Optional[int] = None) -> Optional[int]:
    """Open a regular file for reading; None if it does not exist."""
    try:
        opened = open_regular(path, folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        link = error.errno == errno.ELOOP
        why = "it is a link" if link else error.strerror or str(error)
        raise UnreadableError(path, why) from error
    if opened is None:
        raise UnreadableError(path, "it is not a regular file")
    return opened


def _write(path: str, text: str, folder: Optional[int] = None, *, synced: bool = False) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
    with open(opened, "w", encoding="utf-8", errors="surrogateescape") as file:
        share(opened, os.path.dirname(path) if folder is None else folder)
        file.write(text)
        if synced:
            file.flush()
            os.fsync(opened)


def _create_without_links(path: str, text: str, folder: Optional[int] = None) -> bool:
    try:
        _write(path, text, folder)
    except FileExistsError:
        return False
    return True


class RunFiles:
    r"""The files in the `.remex` folder of a run directory.

    Methods raise `UnreadableError` if a link or something else is in the way. That affects only
    this run: callers that read many runs catch it for each.

    Example:
        >>> RunFiles("/runs/main_grid_1").read(paths.EXIT)
        '0\n'

    """

    def __init__(self, run: str) -> None:
        self._run = run

    def read(self, name: str) -> Optional[str]:
        """Return a file's text; None if it does not exist."""
        with self._opened() as folder:
            if folder is None:
                return None
            try:
                return read(name, folder)
            except UnreadableError as error:
                raise UnreadableError(paths.in_run(self._run, name), error.why) from error

    def load(self, kind: Type[Typed], name: str) -> Optional[Typed]:
        """Return a file's content as a type of `common.paths`; None if it does not exist."""
        return parse(kind, paths.in_run(self._run, name), self.read(name))

    def modified(self, name: str) -> Optional[float]:
        """Return when a file was written, in seconds since 1970; None if it does not exist."""
        with self._opened() as folder:
            if folder is not None:
                with contextlib.suppress(FileNotFoundError):
                    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
        return None

    def names(self) -> Set[str]:
        """Return the names of all files."""
        with self._opened() as folder:
            return set() if folder is None else set(os.listdir(folder))

    def write(self, name: str, text: str) -> None:
        """Write a file atomically, if there is a `.remex` folder."""
        with self._opened() as folder:
            if folder is not None:
                replace(name, text, folder)

    def create(self, name: str, text: str) -> Optional[str]:
        """Create a file atomically unless it exists; return its content afterwards.

        None if there is no `.remex` folder.
        """
        with self._opened() as folder:
            if folder is None:
                return None
            return text if create(name, text, folder) else read(name, folder)

    def remove(self, name: str) -> None:
        """Delete a file, if it exists."""
        with self._opened() as folder:
            if folder is not None:
                remove(name, folder)

    def check(self) -> None:
        """Raise `UnreadableError` unless there is a `.remex` folder, reached without links."""
        with self._opened() as folder:
            if folder is None:
                raise UnreadableError(self._run, _NO_DIRECTORY)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Optional[int]]:
        """Open the folder; None if it or the run directory does not exist."""
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
