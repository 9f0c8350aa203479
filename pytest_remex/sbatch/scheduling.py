"""Options that say only when and where a job runs, or who is notified.

An experiment with more time, or on another partition, is the same experiment: such options are left
out of the script's fingerprint, and those of the command line override the header.
Source: sbatch(1) of Slurm 22.05, OPTIONS.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_remex.errors import SweepError
from pytest_remex.sbatch.options import Option, header_lines, parse_duration, parse_options

SCHEDULING = frozenset(
    {
        "account", "begin", "clusters", "comment", "deadline", "dependency", "error", "exclude",
        "hold", "job-name", "mail-type", "mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "nice",
        "nodefile", "nodelist", "output", "partition", "priority", "qos", "reservation", "time",
        "time-min", "wckey",
    }
)  # fmt: skip
"""The options that are left out. All others stay: nodes, tasks, cores, gpus, unknown ones, ..."""


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
    return f"#SBATCH {shlex.join(words)}" if words else ""


def _replaced(lines: Sequence[str], header_length: int, header: dict[int, str]) -> Iterator[str]:
    index = 0
    for line in lines:
        if index < header_length and line.startswith("#SBATCH"):
            line = header.get(index, line)  # noqa: PLW2901 - the rewritten line, if it is one
            index += 1
            if not line:
                continue
        yield f"{line}\n"


OURS = frozenset({"clusters", "comment", "hold"})
"""Scheduling options that a launch sets itself, or that only a script may contain."""


@dataclass(frozen=True, slots=True)
class OptionText:
    """Options as the user wrote them; `origin` names the place, for messages."""

    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class SbatchOptions:
    """Options by long name, in two layers.

    `defaults` come from the ini file and the environment; a point's options override them; `chosen`
    come from the command line and override both.
    """

    defaults: Mapping[str, str]
    chosen: Mapping[str, str]

    @classmethod
    def of(cls, defaults: Iterable[OptionText], chosen: OptionText) -> SbatchOptions:
        """Read the options of both layers; the last of a name wins.

        Raises:
            SweepError: An option is not a scheduling option; the message names it and the fix.

        """
        read = [dict(_named(each.origin, _words(each))) for each in defaults]
        merged = {name: value for options in read for name, value in options.items()}
        return cls(merged, dict(_named(chosen.origin, _words(chosen))))

    def words(self, point: Mapping[str, str]) -> tuple[str, ...]:
        """Return an experiment's options as words for sbatch.

        Args:
            point: What its sweep function asks for with `experiment.sbatch(...)`.

        Raises:
            SweepError: One of them is not a scheduling option.

        Example:
            >>> SbatchOptions({"mem": "1G"}, {"time": "2-0"}).words({"mem": "8G"})
            ('--mem=8G', '--time=2-0')

        """
        if not (self.defaults or point or self.chosen):
            return ()
        asked = dict(_named("experiment.sbatch", [f"--{k}={v}" for k, v in point.items()]))
        options = {**self.defaults, **asked, **self.chosen}
        return tuple(
            f"--{name}={value}" if value else f"--{name}" for name, value in options.items()
        )


NO_OPTIONS = SbatchOptions({}, {})


def as_line(words: Iterable[str]) -> str:
    """Return words as one #SBATCH line."""
    return f"#SBATCH {shlex.join(words)}"


def _words(written: OptionText) -> list[str]:
    try:
        return shlex.split(written.text)
    except ValueError as error:
        raise SweepError(f"{written.origin} = {written.text!r}: {error}: close the quote") from None


def _named(origin: str, words: list[str]) -> Iterator[tuple[str, str]]:
    if any(not word.isprintable() for word in words):
        raise SweepError(f"{origin} = {shlex.join(words)!r} has a control character: remove it")
    try:
        options = parse_options([as_line(words)]) if words else []
    except SweepError:
        raise SweepError(
            f"{origin} = {shlex.join(words)!r}: write sbatch options like --time=4:00:00 --mem=8G"
        ) from None
    for option in options:
        if option.name not in SCHEDULING - OURS:
            raise SweepError(
                f"{origin}: --{option.name} is not allowed here, only options that say when and "
                f"where a job runs: write it into run.sbatch, in the repository or in the patch"
            )
        if option.name == "time":
            _check_time(origin, option.value)
        yield option.name, option.value


def _check_time(origin: str, value: str) -> None:
    try:
        parse_duration(value)
    except SweepError as error:
        raise SweepError(f"{origin}: {error}") from None
