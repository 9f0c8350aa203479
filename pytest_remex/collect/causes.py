"""Why experiments failed, so that those that failed in the same way can be told together."""

from __future__ import annotations

import ast
import linecache
import re
import textwrap
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][-+]?\d+)?(?!\w)")
HEAD, TAIL = 1 << 17, 1 << 16
"""Bytes that are read from the start and from the end of a job's output."""
LONGEST = 200
_TELLING = re.compile(
    r"Fortran runtime error|\b[Ee]rror:|\b\w+(?:Error|Exception):|\bERROR\b|\bFATAL\b"
    r"|^\s*(?:ERROR )?STOP\b|Segmentation fault|\bSIG(?:SEGV|FPE|ABRT|BUS|ILL)\b"
)
_TRACEBACK = "Traceback (most recent call last)"
_MENTION = re.compile(r"\berror\b(?!s?\s*(?:[=:<>]|is|of)?\s*[-+]?[\d.])", re.IGNORECASE)


def telling_line(text: str) -> str:
    """Return the line of a job's output that tells most about its failure; empty where none does.

    That is the first that reads like an error; of a Python traceback its last line.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    for place, line in enumerate(lines):
        if _TRACEBACK in line:
            return _shortened(_end_of_traceback(lines[place + 1 :]))
        if _TELLING.search(line):
            return _shortened(line)
    mentions = (line for line in lines if _MENTION.search(line))
    return _shortened(next(mentions, lines[-1] if lines else ""))


def job_cause(logs: Iterable[Path], exit_code: int | None, state: str) -> str:
    """Return why a job failed, in a line that is equal for jobs that failed in the same way.

    Args:
        logs: The files of its output that are here.
        exit_code: Its exit code, where it is known.
        state: Its state.

    """
    how = state if state != "FAILED" or exit_code is None else f"exit {exit_code}"
    said = telling_line("\n".join(map(_ends_of, logs)))
    return f"{how}: {said}" if said else how


def assertion_of(error: BaseException | None) -> str:
    """Return the assertion that failed, as it is written: `assert l1 < 0.02`; empty for others."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    if not isinstance(error, AssertionError) or not frames:
        return ""
    last = frames[-1]
    start, end = last.lineno or 1, last.end_lineno or last.lineno or 1
    lines = (linecache.getline(last.filename, number) for number in range(start, end + 1))
    try:
        (statement,) = ast.parse(textwrap.dedent("".join(lines))).body
    except (SyntaxError, ValueError):
        return ""
    return f"assert {ast.unparse(statement.test)}" if isinstance(statement, ast.Assert) else ""


def without_numbers(text: str) -> str:
    """Return a text with its numbers left out: equal for failures of one cause."""
    return NUMBER.sub("…", text)


def causes_of(failures: Sequence[tuple[str, str]]) -> list[str]:
    """Return what each failure has in common with others of its cause.

    Args:
        failures: Of each the cause, as `assertion_of` or `job_cause` returns it, or empty; and the
            reason, one line.

    Returns:
        For each its cause, as `exit 3: ERROR: feed too large` or, with the values that an
        assertion saw, `assert l1 < 0.02 (0.021 to 0.09)`.

    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for cause, reason in failures:
        groups.setdefault(without_numbers(cause or reason), []).append((cause, reason))
    titles = {key: _title(group) for key, group in groups.items()}
    return [titles[without_numbers(cause or reason)] for cause, reason in failures]


def _title(group: Sequence[tuple[str, str]]) -> str:
    texts = [cause or reason for cause, reason in group]
    title = _common(texts) or "no reason was given"
    if not all(cause.startswith("assert ") for cause, _ in group):
        return title
    return title + _values([reason for _, reason in group], title)


def _common(texts: Sequence[str]) -> str:
    """Return texts that differ in numbers alone as one, without the numbers that differ."""
    columns = list(zip(*(NUMBER.findall(text) for text in texts), strict=False))
    numbers = iter([each[0] if len(set(each)) == 1 else "…" for each in columns])
    return NUMBER.sub(lambda _: next(numbers, "…"), texts[0])


def _values(reasons: Sequence[str], title: str) -> str:
    """Return the range of the one number that assertions of a group saw and do not spell out."""
    found = [NUMBER.findall(reason) for reason in reasons]
    if len({len(numbers) for numbers in found}) != 1:
        return ""
    spelt_out = NUMBER.findall(title)
    columns = [each for each in zip(*found, strict=True) if not set(each) <= set(spelt_out)]
    if len(columns) != 1:
        return ""
    seen = sorted(columns[0], key=_float)
    low, high = seen[0], seen[-1]
    return f" ({low})" if _float(low) == _float(high) else f" ({low} to {high})"


def _float(text: str) -> float:
    return float(text.lower().replace("d", "e"))


def _end_of_traceback(lines: Sequence[str]) -> str:
    return next((line for line in lines if not line[0].isspace()), _TRACEBACK)


def _ends_of(path: Path) -> str:
    """Return the start and the end of a file's text, whatever its size."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size <= HEAD + TAIL:
            return file.read(HEAD + TAIL).decode("utf-8", "replace")
        start = file.read(HEAD)
        file.seek(size - TAIL)
        return f"{start.decode('utf-8', 'replace')}\n{file.read(TAIL).decode('utf-8', 'replace')}"


def _shortened(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
