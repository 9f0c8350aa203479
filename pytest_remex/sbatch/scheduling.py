"""Leave out of a batch script what says only when and where it may run, or who is told.

An experiment that is given more time, or sent to another partition, is the same experiment.
Source: sbatch(1) of Slurm 22.05, OPTIONS.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_remex.sbatch.options import Option, header_lines, parse_options

SCHEDULING = frozenset(
    {
        "account", "begin", "clusters", "comment", "deadline", "dependency", "error", "exclude",
        "hold", "job-name", "mail-type", "mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "nice",
        "nodefile", "nodelist", "output", "partition", "priority", "qos", "reservation", "time",
        "time-min", "wckey",
    }
)  # fmt: skip
"""Options that are left out. All others stay, known or not: nodes, tasks, cores, gpus, features."""


def without_scheduling(script: bytes) -> bytes:
    r"""Return a script without its scheduling options.

    A header line that holds no such option stays as it is, byte for byte; one that holds nothing
    else is gone; one that holds both is written anew with the others.

    Raises:
        SweepError: sbatch would refuse the script, or cannot run it as one job.

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
    """Return the indices of the header lines that a scheduling option is on.

    An option may have its value on a later line: then both lines are written anew, or neither.
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
    return f"#SBATCH {shlex.join(words)}" if words else ""


def _replaced(lines: Sequence[str], header_length: int, header: dict[int, str]) -> Iterator[str]:
    index = 0
    for line in lines:
        if index < header_length and line.startswith("#SBATCH"):
            line = header.get(index, line)  # noqa: PLW2901 - the header's line, as it is now
            index += 1
            if not line:
                continue
        yield f"{line}\n"
