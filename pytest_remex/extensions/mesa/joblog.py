"""What a MESA job's output says: why it ended, and which photos it saved. Read as a stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 16
_LONGEST_REASON = 200

_LABEL = r"^(?:[ \t]*\d+:)?[ \t]*"
"""What may stand before MESA's words: blanks, and the task's number from `srun -l`."""

_TERMINATION = re.compile(_LABEL + r"termination code:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_TERMINATED = re.compile(_LABEL + r"terminated evolution:?[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_PHOTO = r"[^\s,]*?/(?:[b12]_)?x?\d+"
_SAVED = re.compile(
    _LABEL + rf"save ({_PHOTO}(?:,[ \t]*{_PHOTO})*) for model[ \t]+\d+", re.MULTILINE
)
_RESTARTED = re.compile(_LABEL + r"restart from (?:\S*/)?(x?\d+)\b", re.MULTILINE)
_CRASH = re.compile(
    r"(Fortran runtime error: .*|Cannot match namelist object name .*|"
    r"\bTerminate: .*|Program received signal SIG.*|forrtl: severe .*|"
    r"error while loading shared libraries: .*)"
)
_STOP = re.compile(_LABEL + r"((?:ERROR )?STOP\b.*)", re.MULTILINE)
_REDIRECTED = re.compile(r"(?:&?>>?|\btee(?:[ \t]+-\w+)*)[ \t]*[\"']?(?:\./)?([\w][\w./-]*)")


class JobLog(NamedTuple):
    """What a job's output says; the last word counts where a run was continued."""

    termination_code: str = ""
    """MESA's word where a stopping condition was met."""
    terminated_evolution: str = ""
    """Why MESA gave up."""
    crash: str = ""
    """The error that ended the program, unless a termination code follows it."""
    saved: tuple[str, ...] = ()
    """The files of the last photo saved, without their folder: `x100`, or `b_x100`, `1_x100`."""
    restarted: str = ""
    """The photo that the last continuation began with."""

    @property
    def photo(self) -> str:
        """The last photo known to be there, as `./re` takes it: `x100`, of a binary too."""
        return photo_name(self.saved[0]) if self.saved else self.restarted


def photo_name(file: str) -> str:
    """Return the name by which `./re` knows a photo: `b_x100`, `1_x100` and `2_x100` are `x100`.

    Source: binary/private/binary_photos.f90 of MESA.
    """
    return re.sub(r"^[b12]_", "", file.rpartition("/")[2])


def scan(blocks: Iterable[str]) -> JobLog:
    """Find what a job's output says.

    Sources: star/job/run_star_support.f90, star/private/photo_out.f90 and
    binary/private/binary_photos.f90 of MESA, and libgfortran's messages.

    Args:
        blocks: The text in pieces of whole lines.

    Returns:
        What was found; of everything the last.
    """
    log = JobLog()
    for block in blocks:
        log = _with_block(log, block)
    return log


def read_log(paths: Iterable[Path]) -> JobLog:
    """Read files of a job's output, one behind the other, a megabyte at a time."""
    return scan(block for path in paths for block in _blocks(path))


def columns(log: JobLog) -> dict[str, str]:
    """Return what is known of why a run ended, as columns of the results."""
    found = {
        "termination_code": log.termination_code,
        "terminated_evolution": log.terminated_evolution,
        "crash": log.crash,
    }
    return {name: value for name, value in found.items() if value}


def log_names(scripts: Mapping[str, str]) -> list[str]:
    """Return the files to which scripts send a program's output: `./rn > out.txt`, `| tee log`."""
    found = [
        name
        for text in scripts.values()
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
        for name in _REDIRECTED.findall(line)
        if not name.startswith("dev/")
    ]
    return list(dict.fromkeys(found))


def _blocks(path: Path) -> Iterator[str]:
    """Yield whole lines; of a line that never ends, its pieces."""
    rest = b""
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            whole, end, rest = (rest + data).rpartition(b"\n")
            if len(rest) > _LONGEST_LINE:
                whole, end, rest = whole + end + rest, b"", b""
            yield (whole + end).decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")


def _with_block(log: JobLog, block: str) -> JobLog:
    restarted = _found(_RESTARTED, ("restart from ",), block)
    if restarted:  # what was said before is another job's
        log = JobLog(restarted=restarted[-1][1])
        block = block[restarted[-1].end() :]
    codes = _found(_TERMINATION, ("termination code:",), block)
    gave_up = _found(_TERMINATED, ("terminated evolution",), block)
    saved = _found(_SAVED, ("save ",), block)
    crashes = _found(_CRASH, _CRASH_WORDS, block) or _found(_STOP, ("STOP",), block)
    if codes:
        log = log._replace(termination_code=codes[-1][1], crash="")
    if gave_up:
        log = log._replace(terminated_evolution=gave_up[-1][1])
    if crashes and (not codes or crashes[-1].start() > codes[-1].start()):
        reason = " ".join(crashes[-1][1].split())[:_LONGEST_REASON]
        weak = reason.startswith(("STOP", "ERROR STOP"))
        if not (weak and (log.crash or log.termination_code)):  # a program may stop so in the end
            log = log._replace(crash=reason)
    if saved:
        files = tuple(file.strip().rpartition("/")[2] for file in saved[-1][1].split(","))
        log = log._replace(saved=files)
    return log


_CRASH_WORDS = (
    "Fortran runtime error: ",
    "Cannot match namelist object name ",
    "Terminate: ",
    "Program received signal SIG",
    "forrtl: severe ",
    "error while loading shared libraries: ",
)


def _found(pattern: re.Pattern[str], words: tuple[str, ...], block: str) -> list[re.Match[str]]:
    """Return what a pattern finds that needs one of these words: `in` is much faster."""
    return list(pattern.finditer(block)) if any(word in block for word in words) else []
