"""Options for sbatch that win over a script's header: more time or memory, another partition.

They are scheduling options alone, which are no part of what an experiment is.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_remex.errors import SweepError
from pytest_remex.sbatch.options import parse_options
from pytest_remex.sbatch.scheduling import SCHEDULING

OURS = frozenset({"clusters", "comment", "hold"})
"""Scheduling options that a launch needs for itself, or that only a script may hold."""


@dataclass(frozen=True, slots=True)
class OptionText:
    """Options as a person wrote them, and where, for messages."""

    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class SbatchOptions:
    """Options by their long names, in two layers: those of a point lie between them.

    `defaults` come from the ini file and the environment, `chosen` from the command line.
    """

    defaults: Mapping[str, str]
    chosen: Mapping[str, str]

    @classmethod
    def of(cls, defaults: Iterable[OptionText], chosen: OptionText) -> SbatchOptions:
        """Read the options of both layers; the last of a name wins.

        Raises:
            SweepError: One is no scheduling option; with its name, and what to do.

        """
        read = [dict(_named(each.origin, _words(each))) for each in defaults]
        merged = {name: value for options in read for name, value in options.items()}
        return cls(merged, dict(_named(chosen.origin, _words(chosen))))

    def words(self, point: Mapping[str, str]) -> tuple[str, ...]:
        """Return the options of an experiment, as words for sbatch.

        Args:
            point: What its sweep function asks for with `experiment.sbatch(...)`.

        Raises:
            SweepError: That is no scheduling option.

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
    """Return words as a line of a script's header."""
    return f"#SBATCH {shlex.join(words)}"


def _words(written: OptionText) -> list[str]:
    try:
        return shlex.split(written.text)
    except ValueError as error:
        raise SweepError(f"{written.origin} = {written.text!r}: {error}: close the quote") from None


def _named(origin: str, words: list[str]) -> Iterator[tuple[str, str]]:
    if any(not word.isprintable() for word in words):
        raise SweepError(f"{origin} = {shlex.join(words)!r} holds a control character: remove it")
    try:
        options = parse_options([as_line(words)]) if words else []
    except SweepError:
        raise SweepError(
            f"{origin} = {shlex.join(words)!r}: write sbatch's options, as --time=4:00:00 --mem=8G"
        ) from None
    for option in options:
        if option.name not in SCHEDULING - OURS:
            raise SweepError(
                f"{origin}: --{option.name} is not among the options that only say when and where "
                f"a job may run: write it into run.sbatch, in the repository or in the patch"
            )
        yield option.name, option.value
