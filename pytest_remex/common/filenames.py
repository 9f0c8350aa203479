"""The file names of `#SBATCH --output` and `--error`, expanded as Slurm does.

Source: `man sbatch`, "filename pattern".
"""

import re
from collections.abc import Mapping

_FIELD = re.compile(r"%(\d*)([A-Za-z%])")
_WIDEST = 10


def expand(pattern: str, fields: Mapping[str, object]) -> str:
    """Fill in `%j` and the like; `fields` maps the letters to values, others stay as they are."""
    if "\\" in pattern:
        return pattern.replace("\\", "")

    def fill(match: "re.Match[str]") -> str:
        width, letter = match.groups()
        if letter == "%":
            return "%"
        if letter not in fields:
            return match.group(0)
        return str(fields[letter]).rjust(min(int(width or 0), _WIDEST), "0")

    return _FIELD.sub(fill, pattern)


def fields_of(job: str, task: int | None, name: str, user: str, host: str) -> Mapping[str, object]:
    """Give the values behind the letters, for the batch script of a job or an array's task."""
    return {
        "A": job,
        "a": 4294967294 if task is None else task,
        "j": job,
        "J": job,
        "N": host.partition(".")[0],
        "n": 0,
        "s": "batch",
        "t": 0,
        "u": user,
        "x": name,
    }
