"""Remove run directories, but only those that belong to the client's launches.

A run directory is first renamed, so that it disappears at once for everyone. What an interrupted
removal leaves is deleted by the next one. No link is followed.
"""

import contextlib
import os
import stat
from typing import List, Tuple

from pytest_remex.agent import fs
from pytest_remex.agent.errors import (
    AgentError,
    UnreadableError,
    disk_error,
    is_unwritable,
    no_runs_folder,
)
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.files import remove_tree
from pytest_remex.common.parts import RemovableRun
from pytest_remex.common.paths import RunNote
from pytest_remex.common.protocol import Remove, Removed


def remove(request: Remove, reply: Reply) -> None:
    """Measure run directories, and remove them unless only the size is asked for."""
    runs = request.runs
    if not os.path.isdir(runs):
        raise no_runs_folder(runs)
    if not request.only_measure:
        _empty(paths.removed(runs))
    for run in request.removable:
        reply.raise_if_disconnected()
        reply.send(_removed(runs, run, only_measure=request.only_measure))


def _removed(runs: str, run: RemovableRun, *, only_measure: bool) -> Removed:
    reply = Removed(run.directory)
    path = os.path.join(runs, run.directory)
    try:
        if not os.path.lexists(path):
            return reply._replace(gone=True)
        why = _why_not(path, run)
        if why:
            return reply._replace(refused=why)
        files, size = _measure(path)
        if not only_measure:
            _take_away(runs, path)
    except (OSError, UnreadableError) as error:
        refused = str(disk_error(error, runs) if is_unwritable(error) else error)
        return reply._replace(refused=refused)
    return reply._replace(files=files, bytes=size)


def _why_not(path: str, run: RemovableRun) -> str:
    """Return why a path is not this run's directory; empty if it is."""
    if os.path.basename(run.directory) != run.directory or run.directory.startswith("."):
        return "it is not the name of a run directory"
    about = os.lstat(path)
    if not stat.S_ISDIR(about.st_mode):
        return "it is a link or a file, and not a run directory"
    if about.st_uid != os.geteuid():
        return "it belongs to another user"
    note = RunFiles(path).load(RunNote, paths.RUN)
    is_ours = (note.sha, note.token) == (run.sha, run.token) if note else _is_purged(path)
    if not is_ours:
        return f"its {paths.REMEX}/{paths.RUN} does not name this run"
    job = (RunFiles(path).read(paths.JOB) or "").strip()
    if job and job != run.job:
        return f"it has a newer job, {job}"
    return ""


def _is_purged(path: str) -> bool:
    """Return whether only empty folders are left, as a site that purges old files leaves them."""
    folders = [path]
    while folders:
        for entry in _entries(folders.pop()):
            if not entry.is_dir(follow_symlinks=False):
                return False
            folders.append(entry.path)
    return True


def _measure(path: str) -> Tuple[int, int]:
    """Return the number of files below a folder, and their size in bytes."""
    files = size = 0
    folders = [path]
    while folders:
        # what cannot be listed, or has too long a path, does not count
        with contextlib.suppress(OSError):
            for entry in _entries(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    size += entry.stat(follow_symlinks=False).st_size
                    files += 1
    return files, size


def _take_away(runs: str, path: str) -> None:
    away = paths.removed(runs)
    fs.make_common(runs, away)
    target = os.path.join(away, f"{os.path.basename(path)}.{fs.unique()}")
    os.rename(path, target)
    remove_tree(target)


def _empty(folder: str) -> None:
    """Delete what an interrupted removal left."""
    if os.path.islink(folder):
        raise AgentError("runs", f"{folder} is a link, and links are not followed: remove it")
    for name in fs.listing(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            try:
                remove_tree(path)
            except NotADirectoryError:
                os.unlink(path)


def _entries(folder: str) -> "List[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return list(entries)
