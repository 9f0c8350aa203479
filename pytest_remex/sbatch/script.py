"""Read a batch script as sbatch does: what its header asks for, and where its output goes.

A script without its scheduling options is what counts for an experiment's fingerprint.

Sources: sbatch(1) of Slurm 22.05, sections DESCRIPTION, OPTIONS and "filename pattern"; the tests
compare the result with sbatch's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

from pytest_remex.common import filenames
from pytest_remex.common.jobs import JobId
from pytest_remex.common.paths import leads_out
from pytest_remex.errors import SweepError
from pytest_remex.model import SCRIPT
from pytest_remex.sbatch.options import (
    SCHEDULING,
    Option,
    as_line,
    parse_duration,
    parse_options,
    read_options,
)


class Header(NamedTuple):
    """What a batch script asks Slurm for; None if it does not say.

    `lines` are its #SBATCH lines as written, `shebang` is its first line; `output` and `error` are
    filename patterns; `time_limit` is in seconds (None also for unlimited); `held` is whether it
    asks to be held; `cores` is the minimum that it asks for. `script` is its path in run
    directories.
    """

    lines: tuple[str, ...]
    shebang: str
    output: str | None
    error: str | None
    name: str | None
    time_limit: float | None
    held: bool
    cores: int
    partition: str | None
    script: str = SCRIPT


def parse_header(text: bytes | str, script: str = SCRIPT) -> Header:
    """Return what a batch script asks for; `script` is its path in the run directory.

    Raises:
        SweepError: sbatch would refuse the script, or it cannot be a run because it asks for a job
            array, a heterogeneous job, another working directory, or sbatch to wait.

    """
    if isinstance(text, bytes):
        text = text.decode(errors="surrogateescape")
    try:
        lines = header_lines(text)
        return _header(lines, text.partition("\n")[0].rstrip(), read_options(lines), script)
    except SweepError as error:
        raise SweepError(f"{script}: {error}") from None


def header_of_any(text: str) -> Header:
    """Return what the script in a run directory asks for: nothing if it is not there, or no script.

    A job may have left another in its place.
    """
    try:
        return parse_header(text)
    except SweepError:
        return parse_header("#!/bin/sh\n")


def overridden(header: Header, words: Sequence[str]) -> Header:
    """Return a header with the words of sbatch's command line, which override its own options.

    Raises:
        SweepError: sbatch does not accept a value.

    """
    if not words:
        return header
    options = read_options([*header.lines, as_line(words)])
    return _header(header.lines, header.shebang, options, header.script)


def _header(
    lines: tuple[str, ...], shebang: str, options: Mapping[str, str], script: str
) -> Header:
    _refuse(options)
    return Header(
        lines=lines,
        shebang=shebang,
        output=options.get("output"),
        error=options.get("error"),
        name=options.get("job-name"),
        time_limit=parse_duration(options["time"]) if "time" in options else None,
        held="hold" in options,
        cores=_cores(options),
        partition=options.get("partition"),
        script=script,
    )


def header_lines(script: str) -> tuple[str, ...]:
    """Return the #SBATCH lines that sbatch reads: those before the first command.

    Raises `SweepError` if sbatch would refuse the script.
    """
    first = script.partition("\n")[0]
    if not re.match(r"#!\s*\S", first):
        raise SweepError(f"its first line is {first!r}: begin it with #!, as in #!/bin/bash")
    if "\r\n" in script:
        raise SweepError(r"its lines end in \r\n: save it with Unix line endings (dos2unix)")
    if "\0" in script:
        raise SweepError(r"it contains a NUL character (\0): save it as plain text")
    return tuple(_lines_before_commands(script))


def _lines_before_commands(script: str) -> Iterator[str]:
    for line in script.split("\n"):
        if line.startswith("#SBATCH"):
            yield line
        elif line.strip() and not line.lstrip().startswith("#"):
            return


@lru_cache(maxsize=256)
def has_comment(header: Header) -> bool:
    """Return whether a script sets a comment of its own, as some sites require."""
    return "comment" in read_options(header.lines)


def output_patterns(header: Header, job_id: str, *, user: str = "") -> tuple[str, ...]:
    """Return globs for a job's output files, relative to its run directory.

    Standard output comes first. What only Slurm knows, such as a node's name, becomes `*`. Files
    outside the run directory are left out: see `outside_outputs`.

    Args:
        header: The header of the job's script.
        job_id: `123`, or `123_4` for an array's task.
        user: The user's name on the cluster, if known.

    """
    return tuple(each for each in _outputs(header, job_id, user) if not leads_out(each))


def outside_outputs(header: Header, job_id: str, *, user: str = "") -> tuple[str, ...]:
    """Return globs for a job's output files that are not in its run directory."""
    return tuple(each for each in _outputs(header, job_id, user) if leads_out(each))


def _outputs(header: Header, job_id: str, user: str) -> dict[str, None]:
    job = JobId.parse(job_id)
    default = filenames.ARRAY if job.task else filenames.SINGLE
    fields = filenames.Fields(
        # an array task's own job number is not that of its array
        job=None if job.task else job.number or None,
        array=job.number or None,
        task=job.task or None,
        name=header.name or PurePosixPath(header.script).name,
        user=user or None,
    )
    patterns = (header.output or default, header.error)
    expanded = [filenames.as_glob(each, fields) for each in patterns if each]
    return dict.fromkeys(expanded)


def core_hours(header: Header) -> float | None:
    """Return the most core-hours that a job can use; None if it has no time limit."""
    return None if header.time_limit is None else header.cores * header.time_limit / 3600


_REFUSED = {
    "array": "makes a job array: remove it; to submit a sweep as an array use --remex-array",
    "wait": "makes sbatch wait for the job: remove it; to wait use --remex-wait",
    "test-only": "submits nothing: remove it",
}


def _refuse(options: Mapping[str, str]) -> None:
    for name, why in _REFUSED.items():
        if name in options:
            raise SweepError(f"#SBATCH --{name} {options[name]}".rstrip() + f" {why}")
    if options.get("chdir", ".") not in {".", "./"}:
        raise SweepError(f"#SBATCH --chdir={options['chdir']} leaves the run directory: remove it")


def _cores(options: Mapping[str, str]) -> int:
    nodes = _count(options, "nodes")
    tasks = nodes * max(_count(options, "ntasks-per-node"), _count(options, "tasks-per-node"))
    if "ntasks" in options:
        tasks = _count(options, "ntasks")
    cores = tasks * _count(options, "cpus-per-task")
    return max(cores, nodes * _count(options, "mincpus"))


def _count(options: Mapping[str, str], name: str) -> int:
    text = options.get(name, "1")
    count = re.fullmatch(r"(\d+)([km]?)([-,:].*)?", text, re.ASCII | re.IGNORECASE)
    if not count or not int(count[1]):
        raise SweepError(f"#SBATCH --{name}={text!r} is not a count: write 1 or more")
    return int(count[1]) * {"": 1, "k": 1024, "m": 1024**2}[count[2].lower()]


def without_scheduling(script: bytes) -> bytes:
    r"""Return a script without its scheduling options.

    A header line without such options stays as it is, byte for byte; a line with nothing else is
    removed; a line with both is rewritten with the other options.

    Raises:
        SweepError: sbatch would refuse the script, or would not run it as one job.

    Example:
        >>> without_scheduling(b"#!/bin/sh\n#SBATCH -t 10 -n 4\n#SBATCH --mem=8G\n./run\n")
        b'#!/bin/sh\n#SBATCH -n 4\n./run\n'

    """
    text = script.decode(errors="surrogateescape")
    lines = header_lines(text)
    options = parse_options(lines)
    rewritten = _lines_to_rewrite(options)
    if not rewritten:
        return script
    kept = [option for option in options if option.name not in SCHEDULING]
    header = {index: _rewritten(index, kept) for index in rewritten}
    new = "".join(_replaced(text.split("\n"), len(lines), header)).removesuffix("\n")
    return new.encode(errors="surrogateescape")


def _lines_to_rewrite(options: Sequence[Option]) -> set[int]:
    """Return the indices of the header lines that contain a scheduling option.

    An option's value may be on a later line: then both lines are rewritten, or neither.
    """
    found = {line for option in options if option.name in SCHEDULING for line in option.lines}
    while (
        more := {line for option in options if found & {*option.lines} for line in option.lines}
        - found
    ):
        found |= more
    return found


def _rewritten(index: int, kept: Sequence[Option]) -> str:
    words = [word for option in kept if option.lines[0] == index for word in option.words]
    return as_line(words) if words else ""


def _replaced(lines: Sequence[str], header_length: int, header: dict[int, str]) -> Iterator[str]:
    index = 0
    for line in lines:
        if index < header_length and line.startswith("#SBATCH"):
            line = header.get(index, line)  # noqa: PLW2901 - the rewritten line, if it is one
            index += 1
            if not line:
                continue
        yield f"{line}\n"
