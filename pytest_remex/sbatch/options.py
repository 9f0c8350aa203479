"""#SBATCH options, read as sbatch reads them: quotes, comments, abbreviations and getopt.

Some say only when and where a job runs, or who is notified. An experiment with more time, or on
another partition, is the same experiment: such options are left out of the fingerprint of the
script, and those of the command line override the header.
Source: sbatch(1) of Slurm 22.05; the tests compare each spelling with what sbatch does.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from pytest_remex.errors import SweepError

SCHEDULING = frozenset(
    {
        "account", "begin", "clusters", "comment", "deadline", "dependency", "error", "exclude",
        "hold", "job-name", "mail-type", "mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "nice",
        "nodefile", "nodelist", "output", "partition", "priority", "qos", "reservation", "time",
        "time-min", "wckey",
    }
)  # fmt: skip
"""The options that are left out. All others stay: nodes, tasks, cores, gpus, unknown ones, ..."""


class Option(NamedTuple):
    """An option of a header.

    `name` is the long name if the option is known here, else as written; `value` is empty for a
    flag; `words` spell this option alone; `lines` are the indices of the lines that it is on.
    """

    name: str
    value: str
    words: tuple[str, ...]
    lines: tuple[int, ...]


def parse_options(lines: Sequence[str]) -> list[Option]:
    """Return the options of #SBATCH lines, in order.

    Raises `SweepError` for an unclosed quote, a word that is not an option, and a heterogeneous
    job.
    """
    words = [(word, index) for index, line in enumerate(lines) for word in _words(line)]
    return list(_options(words))


def read_options(lines: Sequence[str]) -> dict[str, str]:
    """Return the values of the options of #SBATCH lines by long name; the last one wins.

    Raises `SweepError`, as `parse_options` does.
    """
    return {option.name: option.value for option in parse_options(lines)}


_PIECE = re.compile(
    r"""\\(?P<escaped>\S?) | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<plain>[^\s"'\\#]) | (?P<stop>.)""",
    re.VERBOSE | re.DOTALL,
)


def _words(line: str) -> Iterator[str]:
    """Split a line as sbatch does: both kinds of quotes, backslashes, and `#` comments."""
    rest = line.removeprefix("#SBATCH").lstrip()
    while rest:
        word, rest = _next_word(rest, line)
        if not word:
            return
        if word.lower() in {"hetjob", "packjob"}:
            raise SweepError(f"{line!r} makes a heterogeneous job: ask for one component")
        yield word


def _next_word(rest: str, line: str) -> tuple[str, str]:
    word = ""
    for piece in _PIECE.finditer(rest):
        stop = piece["stop"]
        if stop in {'"', "'"}:
            raise SweepError(f"unclosed quote in {line!r}: close it")
        if stop is not None:
            return word, "" if stop == "#" else rest[piece.start() :].lstrip()
        quoted = piece["double"] if piece["double"] is not None else piece["single"]
        if quoted is not None:
            word += re.sub(r"\\(.)", r"\1", quoted)
        else:
            word += piece["escaped"] or piece["plain"] or ""
    return word, ""


_SHORT = {
    "A": "account", "a": "array", "b": "begin", "c": "cpus-per-task", "D": "chdir",
    "d": "dependency", "e": "error", "F": "nodefile", "H": "hold", "J": "job-name",
    "M": "clusters", "N": "nodes", "n": "ntasks", "o": "output", "p": "partition", "q": "qos",
    "t": "time", "W": "wait", "w": "nodelist", "x": "exclude",
}  # fmt: skip
_LETTERS_WITH_VALUE = frozenset("aAbBcCdDeFGiJLmMnNopqStwx")
_SHORTEST = {
    "account": "acco", "array": "ar", "begin": "be", "chdir": "ch", "clusters": "cluster",
    "comment": "com", "cpus-per-task": "cpus-per-t", "deadline": "dea", "dependency": "dep",
    "error": "er", "exclude": "exclud", "hold": "ho", "job-name": "j", "mail-type": "mail-t",
    "mail-user": "mail-u", "mem": "mem", "mem-per-cpu": "mem-per-c", "mem-per-gpu": "mem-per-g",
    "mincpus": "mi", "nice": "ni", "nodefile": "nodef", "nodelist": "nodel", "nodes": "nodes",
    "ntasks": "ntasks", "ntasks-per-node": "ntasks-per-n", "output": "ou", "partition": "part",
    "priority": "pri", "qos": "qo", "reservation": "res", "tasks-per-node": "ta",
    "test-only": "te", "time": "time", "time-min": "time-", "wait": "wait", "wckey": "wc",
}  # fmt: skip
"""The options that are known here, each with its shortest unambiguous form."""
_FLAGS = frozenset({"hold", "test-only", "wait"})
_OPTIONAL_VALUE = frozenset({"nice"})

Word: TypeAlias = tuple[str, int]
"""A word of the header, and the index of the line it is on."""


def _options(words: Sequence[Word]) -> Iterator[Option]:
    """Read words as getopt_long does: clustered letters, values, abbreviated names."""
    rest = list(reversed(words))
    while rest:
        word, line = rest.pop()
        if word.startswith("--") and len(word) > 2:  # noqa: PLR2004 - the two dashes
            name, equals, value = word[2:].partition("=")
            name = _long_name(name)
            if not equals and _takes_next(name, rest):
                value, last = rest.pop()
                yield Option(name, value, (word, value), (line, last))
            else:
                yield Option(name, value, (word,), (line,))
        elif word.startswith("-") and word.strip("-"):
            yield from _short_options(word[1:], line, rest)
        else:
            raise SweepError(f"{word!r} in an #SBATCH line is not an option: remove or quote it")


def _short_options(letters: str, line: int, rest: list[Word]) -> Iterator[Option]:
    for index, letter in enumerate(letters):
        name, value = _SHORT.get(letter, letter), letters[index + 1 :]
        if letter not in _LETTERS_WITH_VALUE:
            yield Option(name, "", (f"-{letter}",), (line,))
            continue
        if value or not rest:
            yield Option(name, value, (f"-{letter}{value}",), (line,))
        else:
            value, last = rest.pop()
            yield Option(name, value, (f"-{letter}", value), (line, last))
        return


def _takes_next(name: str, rest: Sequence[Word]) -> bool:
    if name in _FLAGS or not rest:
        return False
    return (name in _SHORTEST and name not in _OPTIONAL_VALUE) or not rest[-1][0].startswith("-")


def _long_name(name: str) -> str:
    """Return the full name of an option that may be abbreviated; unknown names stay as they are."""
    for full, shortest in _SHORTEST.items():
        if full.startswith(name) and name.startswith(shortest):
            return full
    return name


def parse_duration(text: str) -> float | None:
    """Parse a time limit in one of sbatch's formats; return seconds, or None for no limit.

    The formats: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes,
    days-hours:minutes:seconds; and 0, -1, INFINITE or UNLIMITED.

    Raises:
        SweepError: The text has none of these formats.

    """
    if text.upper() in {"-1", "INFINITE", "UNLIMITED"}:
        return None
    if not re.fullmatch(r"\d+(-\d+(:\d+){0,2}|(:\d+){0,2})", text, re.ASCII):
        raise SweepError(
            f"--time={text!r} is not a time limit: write minutes, hours:minutes:seconds "
            f"or days-hours:minutes:seconds"
        )
    days, dash, rest = text.rpartition("-")
    fields = [int(each) for each in rest.split(":")]
    if not dash and len(fields) < 3:  # noqa: PLR2004 - without days, and below three fields, minutes lead
        fields.insert(0, 0)
    hours, minutes, seconds = (*fields, 0, 0)[:3]
    return float(int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds) or None


def format_duration(seconds: float) -> str:
    """Return a duration as Slurm writes it: `00:05:00`, `1-02:03:04`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{days}-{clock}" if days else clock


OURS = frozenset({"clusters", "comment", "hold"})
"""Scheduling options that a launch sets itself, or that only a script may contain."""


class OptionText(NamedTuple):
    """Options as the user wrote them; `origin` names the place, for messages."""

    origin: str
    text: str


class SbatchOptions(NamedTuple):
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
        read = [dict(_named(each.origin, _split(each))) for each in defaults]
        merged = {name: value for options in read for name, value in options.items()}
        return cls(merged, dict(_named(chosen.origin, _split(chosen))))

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


def _split(written: OptionText) -> list[str]:
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
