"""Expand the filename patterns of `#SBATCH --output` and `--error`, such as `%j`.

Source: sbatch(1) of Slurm 22.05 and 24.11, "filename pattern".
"""

import glob
import re
import shlex
from typing import Callable, Mapping, NamedTuple, Optional

SINGLE = "slurm-%j.out"
ARRAY = "slurm-%A_%a.out"
"""Slurm's default output file: for a job, and for a task of an array."""

_FIELD = re.compile(r"%(\d*)([A-Za-z%])")
_WIDEST = 10
_NO_TASK = "4294967294"


class Fields(NamedTuple):
    """What is known about a job when its patterns are expanded; None if only Slurm knows it.

    `job` is the job's own number, `array` that of its array (for a plain job, the same).
    """

    job: Optional[str] = None
    array: Optional[str] = None
    task: Optional[str] = None
    name: Optional[str] = None
    user: Optional[str] = None
    host: Optional[str] = None

    def value(self, letter: str) -> Optional[str]:
        """Return what a letter stands for in a batch script's own output; None if unknown."""
        values = {
            "A": self.array,
            "a": _NO_TASK if self.task is None else self.task,
            "j": self.job,
            "J": self.job,
            "N": self.host and self.host.partition(".")[0],
            "n": "0",
            "s": "batch",
            "t": "0",
            "u": self.user,
            "x": self.name,
        }
        return values.get(letter)


LETTERS = frozenset("AajJNnstux")
_NUMBERS = frozenset("AajJnt")
"""The letters whose value Slurm pads with zeros if a width precedes them, as in `%4j`."""


def expand(pattern: str, fields: Fields) -> str:
    """Return the name that Slurm gives the file; unknown fields stay as written."""
    return _expanded(
        pattern,
        fields,
        literal=str,
        known=lambda value, width: value.zfill(width),
        unknown=lambda field: field,
    )


def as_glob(pattern: str, fields: Fields) -> str:
    """Return a glob that matches the file; unknown fields become `*`."""
    return _expanded(
        pattern,
        fields,
        literal=glob.escape,
        known=lambda value, width: glob.escape(value.zfill(width)),
        unknown=lambda _field: "*",
    )


def as_shell_word(pattern: str, fields: Fields, variables: Mapping[str, str]) -> str:
    """Return a shell word that expands to the file's name.

    Args:
        pattern: As in `#SBATCH --output`.
        fields: What is already known about the job.
        variables: For each letter, the shell variable that holds its value when the job runs.

    """

    def unknown(field: str) -> str:
        found = _FIELD.match(field)
        width, letter = found.groups() if found else ("", "")
        if letter not in variables:
            return shlex.quote(field)
        value = f'"${variables[letter]}"'
        return f'"$(printf %0{min(int(width), _WIDEST)}d {value})"' if width else value

    return _expanded(
        pattern,
        fields,
        literal=shlex.quote,
        known=lambda value, width: shlex.quote(value.zfill(width)),
        unknown=unknown,
    )


def _expanded(
    pattern: str,
    fields: Fields,
    *,
    literal: Callable[[str], str],
    known: Callable[[str, int], str],
    unknown: Callable[[str], str],
) -> str:
    if "\\" in pattern:
        # a backslash makes Slurm take the whole pattern literally
        return literal(pattern.replace("\\", ""))
    parts = []
    end = 0
    for field in _FIELD.finditer(pattern):
        if field.start() > end:
            parts.append(literal(pattern[end : field.start()]))
        parts.append(_field(field, fields, literal, known, unknown))
        end = field.end()
    rest = pattern[end:]
    return "".join([*parts, literal(rest)] if rest else parts)


def _field(
    field: "re.Match[str]",
    fields: Fields,
    literal: Callable[[str], str],
    known: Callable[[str, int], str],
    unknown: Callable[[str], str],
) -> str:
    width, letter = field.groups()
    if letter == "%":
        return literal("%")
    if letter not in LETTERS:
        return literal(field.group(0))
    value = fields.value(letter)
    if value is None:
        return unknown(field.group(0))
    return known(value, min(int(width or 0), _WIDEST) if letter in _NUMBERS else 0)
