"""The file names of `#SBATCH --output` and `--error`, with `%j` and the like in them.

Source: sbatch(1) of Slurm 22.05 and 24.11, "filename pattern".
"""

import glob
import re
import shlex
from typing import Callable, Mapping, NamedTuple, Optional

SINGLE = "slurm-%j.out"
ARRAY = "slurm-%A_%a.out"
"""Where output goes that no option names: of a job, and of a task of an array."""

_FIELD = re.compile(r"%(\d*)([A-Za-z%])")
_WIDEST = 10
_NO_TASK = "4294967294"


class Fields(NamedTuple):
    """What is known of a job when its file names are read; None where only Slurm knows.

    `job` is the job's own number, `array` that of its array (the same for a plain job).
    """

    job: Optional[str] = None
    array: Optional[str] = None
    task: Optional[str] = None
    name: Optional[str] = None
    user: Optional[str] = None
    host: Optional[str] = None

    def value(self, letter: str) -> Optional[str]:
        """Return what a letter stands for in a batch script's own output; None if not known."""
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
"""The letters whose value Slurm pads with zeros to the width that stands before them."""


def expand(pattern: str, fields: Fields) -> str:
    """Return the name that Slurm gives the file; what is not known stays as it is written."""
    return _expanded(
        pattern,
        fields,
        literal=str,
        known=lambda value, width: value.zfill(width),
        unknown=lambda field: field,
    )


def as_glob(pattern: str, fields: Fields) -> str:
    """Return a glob that finds the file; what is not known becomes `*`."""
    return _expanded(
        pattern,
        fields,
        literal=glob.escape,
        known=lambda value, width: glob.escape(value.zfill(width)),
        unknown=lambda _field: "*",
    )


def as_shell_word(pattern: str, fields: Fields, variables: Mapping[str, str]) -> str:
    """Return a word for sh that names the file.

    Args:
        pattern: As in `#SBATCH --output`.
        fields: What is known when the word is written.
        variables: The shell variable that holds what a letter stands for, once the job runs.

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
        # Slurm expands nothing then
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
