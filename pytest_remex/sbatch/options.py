"""Splits a batch script's #SBATCH lines into options, by sbatch's rules for words and getopt's.

Source: sbatch(1) of Slurm 22.05, and what its sbatch does with each spelling in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_remex.errors import SweepError

SCRIPT = "run.sbatch"


def header_lines(script: str) -> tuple[str, ...]:
    """Return the #SBATCH lines that sbatch reads: those before the first command.

    Raises:
        SweepError: sbatch would refuse the script itself.

    """
    first = script.partition("\n")[0]
    if not re.match(r"#!\s*\S", first):
        raise SweepError(
            f"{SCRIPT}: its first line is {first!r}: begin it with #!, as in #!/bin/bash"
        )
    if "\r\n" in script:
        raise SweepError(
            f"{SCRIPT}: its lines end in \\r\\n: save it with Unix line endings (dos2unix)"
        )
    if "\0" in script:
        raise SweepError(f"{SCRIPT}: it holds a NUL character (\\0): save it as plain text")
    return tuple(_lines_before_commands(script))


def read_options(lines: Sequence[str]) -> dict[str, str]:
    """Return the options of #SBATCH lines by their long names; the last of a name wins.

    A flag's value is empty; options that no one reads here keep their letter.

    Raises:
        SweepError: A quote is open, a word is not an option, or the job is heterogeneous.

    """
    return dict(_options([word for line in lines for word in _words(line)]))


def _lines_before_commands(script: str) -> Iterator[str]:
    for line in script.split("\n"):
        if line.startswith("#SBATCH"):
            yield line
        elif line.strip() and not line.lstrip().startswith("#"):
            return


_PIECE = re.compile(
    r"""\\(?P<escaped>\S?) | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<plain>[^\s"'\\#]) | (?P<stop>.)""",
    re.VERBOSE | re.DOTALL,
)


def _words(line: str) -> Iterator[str]:
    """Split as sbatch does: both kinds of quotes, backslashes, and `#` for the rest of the line."""
    rest = line.removeprefix("#SBATCH").lstrip()
    while rest:
        word, rest = _next_word(rest, line)
        if not word:
            return
        if word.lower() in {"hetjob", "packjob"}:
            raise SweepError(f"{SCRIPT}: {line!r} makes a heterogeneous job: ask for one component")
        yield word


def _next_word(rest: str, line: str) -> tuple[str, str]:
    word = ""
    for piece in _PIECE.finditer(rest):
        stop = piece["stop"]
        if stop in {'"', "'"}:
            raise SweepError(f"{SCRIPT}: a quote is not closed in {line!r}: close it")
        if stop is not None:
            return word, "" if stop == "#" else rest[piece.start() :].lstrip()
        quoted = piece["double"] if piece["double"] is not None else piece["single"]
        if quoted is not None:
            word += re.sub(r"\\(.)", r"\1", quoted)
        else:
            word += piece["escaped"] or piece["plain"] or ""
    return word, ""


_SHORT = {
    "a": "array", "c": "cpus-per-task", "D": "chdir", "e": "error", "H": "hold", "J": "job-name",
    "N": "nodes", "n": "ntasks", "o": "output", "p": "partition", "t": "time", "W": "wait",
}  # fmt: skip
_LETTERS_WITH_VALUE = frozenset("aAbBcCdDeFGiJLmMnNopqStwx")
_SHORTEST = {
    "array": "ar", "chdir": "ch", "cpus-per-task": "cpus-per-t", "error": "er", "hold": "ho",
    "job-name": "j", "mincpus": "mi", "nodes": "nodes", "ntasks": "ntasks",
    "ntasks-per-node": "ntasks-per-n", "output": "ou", "partition": "part",
    "tasks-per-node": "ta", "test-only": "te", "time": "time", "wait": "wait",
}  # fmt: skip
_FLAGS = frozenset({"hold", "test-only", "wait"})


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Read words as getopt_long does: clusters of letters, values, names shortened."""
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word.startswith("--") and len(word) > 2:  # noqa: PLR2004 - the two dashes
            name, equals, value = word[2:].partition("=")
            name = _long_name(name)
            yield name, rest.pop() if not equals and _takes_next(name, rest) else value
        elif word.startswith("-") and word.strip("-"):
            yield from _short_options(word[1:], rest)
        else:
            raise SweepError(
                f"{SCRIPT}: {word!r} in an #SBATCH line is not an option: remove or quote it"
            )


def _short_options(letters: str, rest: list[str]) -> Iterator[tuple[str, str]]:
    for index, letter in enumerate(letters):
        name = _SHORT.get(letter, letter)
        if letter in _LETTERS_WITH_VALUE:
            yield name, letters[index + 1 :] or (rest.pop() if rest else "")
            return
        yield name, ""


def _takes_next(name: str, rest: list[str]) -> bool:
    if name in _SHORTEST:
        return name not in _FLAGS and bool(rest)
    return bool(rest) and not rest[-1].startswith("-")


def _long_name(name: str) -> str:
    """Return the full name of an option that is read here, however far it is shortened."""
    for full, shortest in _SHORTEST.items():
        if full.startswith(name) and name.startswith(shortest):
            return full
    return name
