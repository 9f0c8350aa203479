"""List files in run directories by pattern, and read pieces of jobs' output.

No link is followed, unless names and sizes are asked for through links; nothing outside the
run directory is read.
"""

import contextlib
import errno
import fnmatch
import heapq
import os
import shlex
import stat
from typing import Iterator, List, NamedTuple, Optional

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError, UnreadableError, no_runs_folder
from pytest_remex.agent.wire import Reply
from pytest_remex.common.files import DEEPEST, LONGEST, is_too_deep
from pytest_remex.common.parts import ListedRun, LogPart, OutputFile
from pytest_remex.common.paths import REMEX, leads_out
from pytest_remex.common.protocol import ListOutputs, LogText, Outputs, ReadLogs

_TOO_DEEP = f"it has folders nested deeper than {DEEPEST}, or paths over {LONGEST} bytes"
_MAGIC = frozenset("*?[")
_NO_MATCH = frozenset(
    {errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EPERM}
)
"""Errors that say that a path has no file to fetch; others, as of a stale handle, do not."""


class Match(NamedTuple):
    """A file or link that matches a pattern; the path is relative to the run directory."""

    path: str
    link: bool
    size: int
    mtime_ns: int


def list_outputs(request: ListOutputs, reply: Reply) -> None:
    """Send, for each run, the files that match its patterns, and the patterns without a file."""
    _check_runs(request.runs)
    for run in request.listed:
        reply.raise_if_disconnected()
        reply.send(_outputs(os.path.join(request.runs, run.directory), run, request))


def read_logs(request: ReadLogs, reply: Reply) -> None:
    """Send the requested pieces of jobs' output."""
    _check_runs(request.runs)
    for part in request.parts:
        reply.raise_if_disconnected()
        run = os.path.join(request.runs, part.directory)
        try:
            match = None if os.path.islink(run) else _first(run, part.pattern)
        except UnreadableError as error:
            reply.send(LogText(part.directory, part.pattern, part.pattern, refused=error.why))
            continue
        if match is not None:
            reply.send(_piece(run, match, part))


def _check_runs(runs: str) -> None:
    if not os.path.isdir(runs):
        raise no_runs_folder(runs)


def _piece(run: str, match: Match, part: LogPart) -> LogText:
    reply = LogText(part.directory, part.pattern, match.path)
    if match.link:
        return reply._replace(refused="it is a link, and links are not followed")
    try:
        start, size, text = fs.read_piece(os.path.join(run, match.path), part.start, part.most)
    except UnreadableError as error:
        return reply._replace(refused=error.why)
    return reply._replace(start=start, size=size, text=text)


def _outputs(path: str, run: ListedRun, request: ListOutputs) -> Outputs:
    if os.path.islink(path):
        why = (
            f"{path} is a link, and links are not followed: to fetch its outputs, move the run"
            " directory back to this path"
        )
        return Outputs(run.directory, [], [], list(run.patterns), refused=why)
    if not _is_run_directory(path):
        return Outputs(run.directory, [], [], list(run.patterns), gone=True)
    try:
        if run.patterns:
            _refuse_unreadable(path)
        matches = {
            each: list(find(path, each, through_links=run.through_links)) for each in run.patterns
        }
    except UnreadableError as error:
        return Outputs(run.directory, [], [], list(run.patterns), refused=str(error))
    every = {match.path: match for several in matches.values() for match in several}
    files = [match for match in every.values() if not match.link]
    if request.newest is not None:
        files = heapq.nlargest(
            request.newest, files, key=lambda match: (match.mtime_ns, match.path)
        )
    limit = request.largest
    large = {match.path for match in files if limit is not None and match.size > limit}
    listed = sorted(OutputFile(match.path, match.size, match.mtime_ns) for match in files)
    return Outputs(
        directory=run.directory,
        files=[file for file in listed if file.path not in large],
        links=sorted(match.path for match in every.values() if match.link),
        missing=[
            pattern
            for pattern, several in matches.items()
            if all(match.link or match.path in large for match in several)
        ],
        too_large=[file for file in listed if file.path in large],
    )


def _is_run_directory(path: str) -> bool:
    # Only a clear "not found" counts: another error does not mean that the directory is gone.
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True


def _first(run: str, pattern: str) -> Optional[Match]:
    _refuse_unreadable(run)
    return next(find(run, pattern), None)


def _refuse_unreadable(run: str) -> None:
    """Raise `UnreadableError` if a run directory exists and cannot be read."""
    try:
        os.close(os.open(os.path.join(run, "."), os.O_RDONLY | os.O_DIRECTORY))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UnreadableError(run, _why_unreadable(run, error)) from error


def _why_unreadable(run: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        with contextlib.suppress(OSError):  # a folder above it may be closed
            owner = fs.owner(os.lstat(run))
            if owner:
                share = f"chmod -R g+rX {shlex.quote(run)}"
                return f"it is {owner}'s, and not readable for you (there: {share})"
    return error.strerror or str(error)


def find(run: str, pattern: str, *, through_links: bool = False) -> Iterator[Match]:
    """Return the matches of a pattern, as in pathlib's glob; a folder matches all files below it.

    Only the name itself matches `.remex`. With `through_links`, links to files, and to folders that
    the pattern names, count as what they lead to, but not the folders below.

    Raises:
        AgentError: The pattern leaves the run directory.
        UnreadableError: Folders where the pattern looks are too deep, or the file system fails.

    """
    if leads_out(pattern):
        raise AgentError(
            "request", f"pattern {pattern!r} leaves the run directory; make it relative"
        )
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    yield from _match(_Search(run, through_links), "", parts)


class _Search(NamedTuple):
    run: str
    through_links: bool
    behind_link: bool = False


def _match(search: _Search, path: str, parts: List[str]) -> Iterator[Match]:
    full = os.path.join(search.run, path)
    try:
        about = os.lstat(full)
        if stat.S_ISLNK(about.st_mode) and search.through_links and "**" not in parts:
            target = os.stat(full)
            if stat.S_ISDIR(target.st_mode) if parts else stat.S_ISREG(target.st_mode):
                search, about = search._replace(behind_link=True), target
    except OSError as error:
        _refuse_unknown(full, error)
        return
    if stat.S_ISLNK(about.st_mode):
        yield Match(path, link=True, size=about.st_size, mtime_ns=about.st_mtime_ns)
    elif stat.S_ISDIR(about.st_mode) and (parts or not search.behind_link):
        yield from _match_below(search, path, parts or ["**"])
    elif stat.S_ISREG(about.st_mode) and parts in ([], ["**"]):
        yield Match(path, link=False, size=about.st_size, mtime_ns=about.st_mtime_ns)


def _match_below(search: _Search, path: str, parts: List[str]) -> Iterator[Match]:
    if is_too_deep(path):
        inside = os.path.join(search.run, path.partition("/")[0])
        raise UnreadableError(inside, _TOO_DEEP)
    head, rest = parts[0], parts[1:]
    if head == "**":
        if rest:
            yield from _match_below(search, path, rest)
        for name in _names(search.run, path):
            yield from _match(search, os.path.join(path, name), parts)
    elif _MAGIC.isdisjoint(head):
        yield from _match(search, os.path.join(path, head), rest)
    else:
        for name in _names(search.run, path):
            if fnmatch.fnmatchcase(name, head):
                yield from _match(search, os.path.join(path, name), rest)


def _names(run: str, path: str) -> List[str]:
    try:
        names = os.listdir(os.path.join(run, path))
    except OSError as error:
        _refuse_unknown(os.path.join(run, path), error)
        return []
    return sorted(name for name in names if name != REMEX)


def _refuse_unknown(path: str, error: OSError) -> None:
    """Raise `UnreadableError` if an error does not say whether there is something at a path."""
    if error.errno not in _NO_MATCH:
        raise UnreadableError(path, error.strerror or str(error)) from error
