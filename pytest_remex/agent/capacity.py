"""Check that a launch fits: disk and quota of the runs folder, and limits on the user's jobs."""

import getpass
import os
import shutil
from typing import Iterator, List, NamedTuple, Optional

from pytest_remex.agent import process
from pytest_remex.agent.slurm import commands
from pytest_remex.agent.slurm.client import SlurmClient
from pytest_remex.common.parts import Needs
from pytest_remex.common.protocol import FAULT, FINE, NOTE, Check

LITTLE = 1 << 30
"""With fewer free bytes than this, a note warns that the results may not fit."""
FEW = 10_000
"""With fewer free inodes than this, a note warns that the files may not fit."""
PATIENCE = 10.0
"""Seconds for a quota command; it never returns if a file server is down."""
_NUMBERS = 8
"""How many numbers follow the file system in a row of quotas: four on bytes, four on files."""


class Quota(NamedTuple):
    """A user's usage and limits on a file system, in bytes and files; 0 means no limit."""

    size: int
    size_limit: int
    files: int
    files_limit: int


class _Mount(NamedTuple):
    source: str
    kind: str


def room(path: str, needs: Needs) -> Iterator[Check]:
    """Check that the run directories fit into the folder's file system and the user's quota.

    If the quota cannot be determined, there is no check of it.
    """
    yield _free(path, needs)
    quota = _quota(path)
    if quota is not None and (quota.size_limit or quota.files_limit):
        yield _left(path, quota, needs)


def jobs(needs: Needs, slurm: SlurmClient) -> Iterator[Check]:
    """Check that the user may submit that many jobs; no check if no limit is known."""
    limits = slurm.limits()
    if needs.array and limits.max_array_size is not None and limits.max_array_size <= 1:
        what = f"this cluster allows no job arrays (MaxArraySize={limits.max_array_size})"
        yield Check("job arrays", FAULT, what, "leave out --remex-array")
    if limits.max_submit is not None:
        yield _submitted(limits.max_submit, limits.max_jobs, needs, slurm)
    elif limits.max_jobs is not None:
        yield Check("jobs", FINE, _at_a_time(limits.max_jobs))


def _submitted(most: int, running: Optional[int], needs: Needs, slurm: SlurmClient) -> Check:
    ran = slurm.run(commands.queued())
    queued = len(ran.out.split()) if ran.ok else 0
    found = f"at most {most} in the queue at a time (MaxSubmitJobs), now {queued}"
    if running is not None:
        found += f"; {_at_a_time(running)}"
    if needs.jobs <= most - queued:
        return Check("jobs", FINE, found)
    fix = "run the same command again for the rest, once some have ended"
    return Check("jobs", NOTE, f"{found}, and this launch has {needs.jobs}", fix)


def _at_a_time(running: int) -> str:
    return f"at most {running} running at a time (MaxJobs)"


def _free(path: str, needs: Needs) -> Check:
    status = os.statvfs(path)
    size, inodes = status.f_bavail * status.f_frsize, status.f_favail
    found, fix = f"{_size(size)} free", f"free some space below {path}"
    if status.f_files:  # some file systems count none
        found += f", {inodes} inodes"
    if size < needs.size or (status.f_files and inodes < needs.files):
        fault = f"{_taken(needs)}, but {path} has only {found}"
        return Check("disk", FAULT, fault, "free some space, or choose another runs folder")
    if size < LITTLE or (status.f_files and inodes < FEW):
        return Check("disk", NOTE, found, fix)
    return Check("disk", FINE, found)


def _left(path: str, quota: Quota, needs: Needs) -> Check:
    parts, fits = [], True
    if quota.size_limit:
        parts.append(f"{_size(quota.size)} of {_size(quota.size_limit)}")
        fits = quota.size + needs.size <= quota.size_limit
    if quota.files_limit:
        parts.append(f"{quota.files} of {quota.files_limit} files")
        fits = fits and quota.files + needs.files <= quota.files_limit
    found = f"{' and '.join(parts)} used"
    if fits:
        return Check("quota", FINE, found)
    fault = f"{_taken(needs)}, but your quota for {path} does not have that left: {found}"
    return Check("quota", FAULT, fault, "free some space, or choose another runs folder")


def _taken(needs: Needs) -> str:
    return f"the run directories need {_size(needs.size)} in {needs.files} files"


def _quota(path: str) -> Optional[Quota]:
    mount = _mount(path)
    if mount.kind == "lustre" and shutil.which("lfs"):
        return _ask_for_quota(["lfs", "quota", "-q", "-u", getpass.getuser(), path], "")
    if shutil.which("quota"):
        return _ask_for_quota(["quota", "-w", "-p", "-u"], mount.source)
    return None


def _ask_for_quota(words: List[str], source: str) -> Optional[Quota]:
    # The exit code says whether the quota is used up, not whether it is known.
    ran = process.run(words, timeout=PATIENCE, env=dict(os.environ, LC_ALL="C"))
    return read_quota(ran.out, source)


def read_quota(text: str, source: str) -> Optional[Quota]:
    """Parse a file system's quota from the output of `quota` or `lfs quota`.

    Args:
        text: The output. A row may be broken after a long name, so it is split into words.
        source: The mounted device or export; empty for the first row.

    """
    found = text.split()
    for place in range(len(found) - _NUMBERS):
        numbers = [_number(word) for word in found[place + 1 : place + 1 + _NUMBERS]]
        if not source or _is_same_file_system(found[place], source):
            used, soft, hard, _, files, files_soft, files_hard, _ = numbers
            if None not in (used, soft, hard, files, files_soft, files_hard):
                return Quota(
                    1024 * (used or 0),
                    1024 * (hard or soft or 0),
                    files or 0,
                    files_hard or files_soft or 0,
                )
    return None


def _number(word: str) -> Optional[int]:
    # `123*` is above its limit, `[123]` is not certain
    digits = word.strip("*[]")
    return int(digits) if digits.isdigit() else None


def _is_same_file_system(named: str, source: str) -> bool:
    return named == source or os.path.realpath(named) == os.path.realpath(source)


def _mount(path: str) -> _Mount:
    """Return the mount that contains a folder; empty if the system does not say."""
    best, found = "", _Mount("", "")
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.split(" ") for line in file]
    except OSError:
        return found
    for source, place, kind, *_ in rows:
        folder = place.replace("\\040", " ")
        above = path == folder or path.startswith(folder.rstrip("/") + "/")
        if above and len(folder) >= len(best):
            best, found = folder, _Mount(source.replace("\\040", " "), kind)
    return found


def _size(size: float) -> str:
    units = iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 1000 and unit != "TB":  # noqa: PLR2004 - the step between units
        size, unit = size / 1000, next(units)
    return f"{size:.4g} {unit}"
