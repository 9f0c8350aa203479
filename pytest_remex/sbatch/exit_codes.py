"""Find scripts whose last command hides the exit code of the program that they run.

A script ends with the exit code of its last command. If that is `date`, or the `tee` at the end of
a pipe, a job whose program crashed counts as COMPLETED.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pytest_remex.known_files import Files, files_now
from pytest_remex.model import SCRIPT

LONGEST = 1 << 16
"""How many bytes of a script are read."""

_COMMENT = re.compile(r"(?:^|\s)#.*")
_TEXT = re.compile(r"'[^']*[;|&#][^']*'|\"[^\"]*[;|&#][^\"]*\"")
_SEPARATOR = re.compile(r"\|\||&&|[;|]|(?<![<>&])&(?![>&\d])")
_FUNCTION = re.compile(r"function\s+\w+|\w+\s*\(\s*\)")
_CALLED = re.compile(r"(?:^|[\s:-])\./(\w[\w./-]*)|\b(?:bash|sh|source)[ \t]+(?:\./)?(\w[\w./-]*)")
_ERREXIT = re.compile(r"^\s*set\s.*(?:-\w*e|-o\s+errexit)|^#!\S+.*\s-\w*e", re.MULTILINE)
_PIPEFAIL = re.compile(r"^\s*set\s.*pipefail", re.MULTILINE)
_SAVED = re.compile(r"\$\?|PIPESTATUS")
_ASSIGNMENT = re.compile(r"\w+=\S*")
_KEYWORDS = frozenset(
    {"then", "else", "do", "fi", "done", "esac", "{", "}", "(", ")", "time", "exec", "nohup"}
)
_CONDITIONS = frozenset({"if", "elif", "while", "until", "!"})
_STARTERS = frozenset({"srun", "mpirun", "mpiexec"})
_HARMLESS = frozenset({
    ":", "cat", "cd", "chmod", "cp", "date", "echo", "export", "find", "gzip", "ln", "ls", "mkdir",
    "module", "mv", "printf", "pwd", "rm", "rmdir", "rsync", "sleep", "sync", "tar", "tee", "touch",
    "true", "uptime", "wait", "xargs", "zip",
})  # fmt: skip
"""Commands that succeed even if the program before them failed."""


class Command(NamedTuple):
    """A simple command, and the separator before it: `|`, `&&`, or "" at the start of a line."""

    before: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the program that it runs, "" if it runs none."""
        named = (word for word in self.words if not _is_prefix(word))
        return next(named, "")

    @property
    def shown(self) -> str:
        """The command, shortened for a message."""
        words = [word for word in self.words if word not in _KEYWORDS]
        text = " ".join(words[:3])
        is_cut = any(text.count(quote) % 2 for quote in "'\"")  # inside of a text
        return words[0] if is_cut else text

    @property
    def runs_a_program(self) -> bool:
        """Whether it runs a program in the work directory, $REMEX_COMMAND, srun or mpirun."""
        return self.name.startswith("./") or "REMEX_COMMAND" in self.name or self.name in _STARTERS

    @property
    def is_harmless(self) -> bool:
        """Whether it succeeds even if the program before it failed."""
        waits_for_one = self.name == "wait" and self.words[-1] != "wait"
        named = self.name in _HARMLESS and not waits_for_one
        return named or not self.name or self.words[-2:] == ("exit", "0")


def hidden_exit_codes(
    checkout: Path, script: str = SCRIPT, files: Files | None = None
) -> Sequence[str]:
    """Return a sentence for each script that hides the exit code of its program.

    Args:
        checkout: The working directory of the batch script.
        script: The batch script's path, relative to it.
        files: The files as they are now.

    Returns:
        The sentences, also for scripts in the checkout that the batch script calls.

    Example:
        >>> hidden_exit_codes(Path("work"))
        ['rn ends in `date`, which hides the exit code of `./star`: ...']

    """
    now = files or files_now()
    key = (hidden_exit_codes, checkout, script)
    return now.computed(key, lambda: _hidden_exit_codes(checkout, script, now))


def _hidden_exit_codes(checkout: Path, script: str, files: Files) -> list[str]:
    found: list[str] = []
    texts: dict[str, str] = {}
    waiting = [script]
    while waiting:
        name = waiting.pop(0)
        text = texts.get(name) or _shell_script(str(checkout / name), files)
        if name in texts or not text:
            continue
        texts[name] = text
        if why := _why_hidden(text):
            found.append(f"{name} {why}")
        waiting += [one or other for one, other in _CALLED.findall(text)]
    return found


def _shell_script(path: str, files: Files) -> str:
    """Return the text of a shell script, "" for any other file."""
    data = None if files.is_link(path) else files.content(path, LONGEST)
    if data is None:
        return ""
    first = data.split(b"\n", 1)[0]
    if b"\0" in data or (first.startswith(b"#!") and b"sh" not in first):
        return ""
    return data.decode("utf-8", "replace")


@lru_cache(maxsize=64)
def _why_hidden(text: str) -> str:
    """Return how a script hides the exit code of its last program, "" if it does not."""
    commands = list(_commands(text))
    places = [place for place, each in enumerate(commands) if each.runs_a_program]
    if not places:
        return ""
    program, rest = commands[places[-1]], commands[places[-1] + 1 :]
    if program.words[0] in _CONDITIONS or any(_SAVED.search(" ".join(e.words)) for e in rest):
        return ""
    if rest and rest[0].before == "|" and not _PIPEFAIL.search(text):
        return (
            f"pipes `{program.shown}` into `{rest[0].name}`, which hides its exit code: a crash "
            f"would count as COMPLETED; write `set -o pipefail` at its top"
        )
    last = _last_harmless(rest, errexit=bool(_ERREXIT.search(text)))
    if last is None:
        return ""
    fix = "write `code=$?` after it and `exit $code` at the end, or `set -e` at the top"
    if rest[0].before == "||":
        fix = f"remove `|| {rest[0].shown}`"
    elif last.name == "wait":
        fix = "write `wait $!`"
    return (
        f"ends in `{last.shown}`, which hides the exit code of `{program.shown}`: a crash would "
        f"count as COMPLETED; {fix}"
    )


def _last_harmless(rest: Sequence[Command], *, errexit: bool) -> Command | None:
    """Return the command whose exit code replaces that of the program before `rest`, if any."""
    while rest and rest[0].before in {"|", "&&"}:
        rest = rest[1:]
    if not rest or not all(each.is_harmless for each in rest):
        return None
    if errexit and rest[0].before != "||":
        return None
    return next((each for each in reversed(rest) if each.name), None)


def _commands(text: str) -> Iterator[Command]:
    """Yield a script's simple commands, without comments and function bodies."""
    inside = False
    for line in text.replace("\\\n", " ").splitlines():
        plain = _COMMENT.sub("", _TEXT.sub("''", line)).strip()
        if inside or _FUNCTION.match(plain):
            inside = not plain.endswith("}")
            continue
        start, before = 0, ""
        for separator in _SEPARATOR.finditer(plain):
            yield from _command(before, plain[start : separator.start()])
            start, before = separator.end(), separator[0]
        yield from _command(before, plain[start:])


def _command(before: str, text: str) -> Iterator[Command]:
    words = tuple(text.split())
    if words:
        yield Command("" if before in {";", "&"} else before, words)


def _is_prefix(word: str) -> bool:
    return word in _KEYWORDS | _CONDITIONS or bool(_ASSIGNMENT.fullmatch(word))
