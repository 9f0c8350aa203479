"""What the output of a MESA run's job says: why it ended, its last photo.

The output is read as a stream.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.extensions.mesa.roots import scripts
from pytest_remex.model import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_remex.experiment import Run

PHOTOS = "photos"
"""The default of `photo_directory` in star/defaults/controls.defaults."""
PHOTO = re.compile(r"(?:([b12])_)?(x?\d+)")
"""The name of a photo file: of which star, or of the binary (`b`), and of which model."""
_BLOCK = 1 << 16
"""More would be reserved anew for each small file, which takes longer than to read it."""
_LONGEST_LINE = 1 << 16
_LONGEST_REASON = 200
_LABEL = r"^(?:[ \t]*\d+:)?[ \t]*"
"""What may precede MESA's words: blanks, and the task's number from `srun -l`."""

_TERMINATION = re.compile(_LABEL + r"termination code:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_TERMINATED = re.compile(_LABEL + r"terminated evolution:?[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_PHOTO_PATH = r"[^\s,]*?/(?:[b12]_)?x?\d+"
_SAVED = re.compile(
    _LABEL + rf"save ({_PHOTO_PATH}(?:,[ \t]*{_PHOTO_PATH})*) for model[ \t]+\d+", re.MULTILINE
)
_RESTARTED = re.compile(_LABEL + r"restart from (?:\S*/)?(x?\d+)\b", re.MULTILINE)
_CRASH = re.compile(
    r"(Fortran runtime error: .*|Cannot match namelist object name .*|"
    r"\bTerminate: .*|Program received signal SIG.*|forrtl: severe .*|"
    r"error while loading shared libraries: .*|"
    r"\[ERROR\]: (?:Failed to (?:read|open) (?!\w*pg)|too many levels )(?!.*Cannot match ).*|"
    r"\bFile: \S+, Line:[ \t]*\d+.*)"
)
"""What ends a run. MESA reads its plots' settings again at each step, and goes on if it cannot."""
_CRASH_WORDS = (
    "Fortran runtime error: ",
    "Cannot match namelist object name ",
    "Terminate: ",
    "Program received signal SIG",
    "forrtl: severe ",
    "error while loading shared libraries: ",
    "[ERROR]: ",
    ", Line: ",
)
_STOP = re.compile(_LABEL + r"((?:ERROR )?STOP\b.*)", re.MULTILINE)
_SIGNALS = ("Segmentation fault", "Killed", "Aborted", "Floating point exception", "Bus error")
_SIGNAL = re.compile(
    rf"(?:line \d+:[ \t]+\d+[ \t]+|srun: error: .* task .*: )({'|'.join(_SIGNALS)})"
)
"""The message of the shell or srun for a program that a signal ended."""
_REDIRECTED = re.compile(r"(?:&?>>?|\btee(?:[ \t]+-\w+)*)[ \t]*[\"']?(?:\./)?([\w$][\w./${}-]*)")
_SENT = re.compile(r"(?<![\d&>])(?:&|1)?>>?[ \t]*[\"']?(?:\./)?([\w$][\w./${}-]*)")
"""A file to which a command sends its standard output."""
_STARTS_MESA = re.compile(r"(?:^|[\s/;&({])(?:rn\w*|star|binary)\b|REMEX_COMMAND")
_VARIABLE = re.compile(r"(?:\$(?:\w+|\{\w+\}))+")
_LETTER = re.compile(r"[A-Za-z]")


def stop_allowed(run: Run, allowed: Iterable[str]) -> bool:
    """Return whether a run ended with one of these termination codes.

    Args:
        run: The run that `yield` returned.
        allowed: MESA's termination codes, such as `xa_central_lower_limit`: `termination_code_str`
            in star_data/private/star_data_def.inc of MESA.

    Returns:
        True if the last termination code is one of them; False also if there is none.

    Example:
        >>> def tams(experiment):
        ...     run = yield
        ...     run.record(stop_allowed=stop_allowed(run, ["xa_central_lower_limit", "max_age"]))
    """
    code = read_log(log_files_of(run)).termination_code
    return bool(code) and code in set(allowed)


class JobLog(NamedTuple):
    """The facts in a job's output; if a run was continued, those of the last job."""

    termination_code: str = ""
    """MESA's termination code, if a stopping condition was met."""
    terminated_evolution: str = ""
    """Why MESA gave up."""
    crash: str = ""
    """The error that ended the program, unless a termination code follows it."""
    saved: tuple[str, ...] = ()
    """The files of the last photo saved, without their folder: `x100`, or `b_x100`, `1_x100`."""
    restarted: str = ""
    """The photo from which the run was last continued."""

    @property
    def photo(self) -> str:
        """The last photo known to exist, as `./re` names it: `x100`, also for a binary."""
        return photo_name(self.saved[0]) if self.saved else self.restarted

    @property
    def endings(self) -> dict[str, str]:
        """Why the run ended, as far as it is known, as columns of the results."""
        names = ("termination_code", "terminated_evolution", "crash")
        return {name: value for name in names if (value := getattr(self, name))}


def photo_name(file: str) -> str:
    """Return `./re`'s name for a photo: `x100` for `b_x100`, `1_x100` and `2_x100`.

    Source: binary/private/binary_photos.f90 of MESA.
    """
    return re.sub(r"^[b12]_", "", file.rpartition("/")[2])


def scan_log(blocks: Iterable[str]) -> JobLog:
    """Find the facts in a job's output.

    Sources: star/job/run_star_support.f90, star/private/photo_out.f90, utils/public/namelist.f90,
    utils_lib.f90 and binary/private/binary_photos.f90 of MESA, and libgfortran's messages.

    Args:
        blocks: The text in pieces of whole lines.

    Returns:
        The last one of each fact.
    """
    log = JobLog()
    for block in blocks:
        log = _with_block(log, block)
    return log


def read_log(paths: Iterable[Path]) -> JobLog:
    """Read files of a job's output, one after the other, a piece at a time."""
    return scan_log(block for path in paths for block in _blocks(path))


def log_names(scripts: Mapping[str, str]) -> list[str]:
    """Return the files to which scripts redirect output: `./rn > out.txt`, `| tee log`.

    `*` stands for a variable in a name: `out_$SLURM_JOB_ID.txt`.
    """
    found = [
        name
        for text in scripts.values()
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
        for name in _REDIRECTED.findall(line)
    ]
    return list(dict.fromkeys(_known(found)))


def _known(names: Iterable[str]) -> Iterator[str]:
    """Yield names with `*` for a variable, without devices and those in unknown folders."""
    for each in names:
        name = _VARIABLE.sub("*", each)
        if _LETTER.search(name) and not ("$" in name or "*/" in name or name.startswith("dev/")):
            yield name


def unfetched_log(texts: Mapping[str, str], fetch: Sequence[str]) -> str:
    """Return why the results will not say why a run ended; "" if they will.

    Args:
        texts: The scripts that run, by name, each before those that it calls.
        fetch: The patterns of the outputs to fetch.

    Example:
        >>> unfetched_log({"run.sbatch": "./rn > out.txt"}, ["out.txt", "run.sbatch"])
        ''
    """
    names = list(texts)
    for place, text in enumerate(texts.values(), 1):
        for name in _sent_to(text):
            needed = [name, *names[:place]]
            if missing := [each for each in needed if not _is_fetched(each, fetch)]:
                return (
                    f"MESA's output goes to {name}, so the results do not say why a run ended: "
                    f"add {' and '.join(map(repr, missing))} to fetch="
                )
    return ""


def _sent_to(text: str) -> Iterator[str]:
    """Yield the files to which a script sends the standard output of MESA, and nowhere else."""
    for line in text.splitlines():
        command = line.partition("#")[0].partition("|")[0]
        if _STARTS_MESA.search(command):
            yield from _known(_SENT.findall(command)[-1:])


def _is_fetched(name: str, fetch: Sequence[str]) -> bool:
    path = name.replace("*", "0")
    return any(
        name == each or fnmatchcase(path, each) or path.startswith(f"{each.rstrip('/')}/")
        for each in fetch
    )


def log_files_of(run: Run) -> list[Path]:
    """Return the files with a run's MESA output, as far as they were fetched."""
    return log_files(run.output, run.path, run.experiment.sweep.script)


def log_files(output: Path | None, folder: Path, script: str = SCRIPT) -> list[Path]:
    """Return the files with MESA's output: the job's, if it was fetched, and its scripts'."""
    names = log_names(scripts(folder, [script]) or scripts(folder))
    found = [path for name in names for path in _named(folder, name)]
    redirected = [path for path in found if path.is_file()]
    inside = _inside(redirected, folder) if redirected else []
    return list(dict.fromkeys([*([output] if output and output.is_file() else []), *inside]))


def _inside(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Return the paths that do not leave a folder by links."""
    top = folder.resolve()
    return [path for path in paths if path.resolve().is_relative_to(top)]


def _named(folder: Path, name: str) -> list[Path]:
    """Return the files of a name, in which `*` matches anything; the newest is last."""
    if "*" not in name:
        return [folder / name]
    found = [path for path in folder.glob(name) if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _blocks(path: Path) -> Iterator[str]:
    """Yield whole lines; a very long line is yielded in pieces."""
    rest = b""
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            whole, end, rest = (rest + data).rpartition(b"\n")
            if len(rest) > _LONGEST_LINE:
                whole, end, rest = whole + end + rest, b"", b""
            yield (whole + end).decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")


def _with_block(log: JobLog, block: str) -> JobLog:
    restarted = _last(_RESTARTED, ("restart from ",), block)
    if restarted:  # everything before is from an earlier job
        log = JobLog(restarted=restarted[1])
        block = block[restarted.end() :]
    code = _last(_TERMINATION, ("termination code:",), block)
    gave_up = _last(_TERMINATED, ("terminated evolution",), block)
    saved = _last(_SAVED, ("save ",), block)
    crash = (
        _last(_CRASH, _CRASH_WORDS, block)
        or _last(_STOP, ("STOP",), block)
        or _last(_SIGNAL, _SIGNALS, block)
    )
    if code:
        log = log._replace(termination_code=code[1], crash="")
    if gave_up:
        log = log._replace(terminated_evolution=gave_up[1])
    if crash and (not code or crash.start() > code.start()):
        reason = " ".join(crash[1].split())[:_LONGEST_REASON]
        weak = reason.startswith(("STOP", "ERROR STOP", *_SIGNALS))
        if not (weak and (log.crash or log.termination_code)):  # a finished program may stop so
            log = log._replace(crash=reason)
    if saved:
        files = tuple(file.strip().rpartition("/")[2] for file in saved[1].split(","))
        log = log._replace(saved=files)
    return log


def _last(pattern: re.Pattern[str], words: tuple[str, ...], block: str) -> re.Match[str] | None:
    """Return the last match of a pattern whose lines have one of these words.

    Only such lines are searched, from the end: finding a word is much faster.
    """
    found: list[re.Match[str]] = []
    for word in words:
        place = block.rfind(word) if word in block else -1
        while place >= 0:
            begin = block.rfind("\n", 0, place) + 1
            end = block.find("\n", place)
            match = pattern.search(block, begin, len(block) if end < 0 else end)
            if match:
                found.append(match)
                break
            place = block.rfind(word, 0, begin)
    return max(found, key=lambda match: match.start(), default=None)
