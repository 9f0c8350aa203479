"""The outcomes of experiments' items: the words that are shown, and failures in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple, NoReturn

import pytest

from pytest_remex.display import clean
from pytest_remex.errors import RemexError, first_line

Markup = Mapping[str, bool]
"""Colours and other markup for pytest's terminal writer."""
_NUMPY = re.compile(r"\b(?:np|numpy)\.\w+\((-?[\w.+-]+)\)")


class Word(NamedTuple):
    """The word shown as an item's outcome, and the word it is counted as in pytest's last line."""

    text: str
    markup: Markup
    counted: str


WORD = pytest.StashKey[Word]()
"""The outcome's word for an item."""


def say(item: pytest.Item, word: str, *, counted: str = "", **markup: bool) -> None:
    """Set the word that is shown as an item's outcome, and the word that it is counted as."""
    item.stash[WORD] = Word(clean(word), _markup(tuple(markup.items())), counted)


@lru_cache(maxsize=64)
def _markup(markup: tuple[tuple[str, bool], ...]) -> Markup:
    """Return markup as one object for all items that have it."""
    return dict(markup)


def set_word(report: pytest.TestReport, word: str, *, counted: str = "", **markup: bool) -> None:
    """Set the word that is shown for a report, and the word that it is counted as."""
    # a plain tuple, which pytest-xdist can send to another process
    vars(report)["remex_word"] = (clean(word), _markup(tuple(markup.items())), counted)


def word_of(report: pytest.CollectReport | pytest.TestReport) -> Word | None:
    """Return the word that was set for a report, if any."""
    word: tuple[str, Markup, str] | None = getattr(report, "remex_word", None)
    return Word(*word) if word else None


def fail(why: str) -> NoReturn:
    """Fail the item with only a message."""
    # not hidden: pytest complains if all frames are hidden
    raise pytest.fail.Exception(clean(why), pytrace=False) from None


@contextmanager
def failing_plainly(session: pytest.Session | None = None) -> Iterator[None]:
    """Fail the item with only a message if the error is one that a user can fix.

    With `session`, the error concerns all items: the session stops after this one.
    """
    __tracebackhide__ = True
    try:
        yield
    except RemexError as error:
        if session is not None:
            stop(session, error)
        fail(str(error))


def stop(session: pytest.Session, error: Exception) -> None:
    """Let the session stop after the current item, because of an error about all items."""
    session.shouldstop = f"remex: {first_line(error)}"


def skip(why: str) -> NoReturn:
    """Skip the item; pytest shows the sweep's location, not this line."""
    raise pytest.skip.Exception(clean(why), _use_item_location=True)


def fail_report(item: pytest.Item, report: pytest.TestReport, why: str) -> None:
    """Make a report a failure; pytest 8's summary has no line for one that is plain text."""
    failure = pytest.CallInfo.from_call(lambda: fail(why), "call").excinfo
    report.outcome, report.longrepr = "failed", item.repr_failure(failure) if failure else why


def skip_report(item: pytest.Item, report: pytest.TestReport, why: str) -> None:
    """Make a report that of a skipped item."""
    path, line, _title = item.reportinfo()
    report.outcome, report.longrepr = "skipped", (str(path), (line or 0) + 1, f"Skipped: {why}")


def log_reports(item: pytest.Item, reports: Iterable[pytest.TestReport]) -> None:
    """Report an item to pytest, as its own loop does."""
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def reason_of(report: pytest.TestReport) -> str:
    """Return the first line of why a test failed or was skipped; empty if it passed."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    shown = str(crash.message if crash else report.longrepr).removeprefix("Failed: ")
    if (expected := getattr(report, "wasxfail", None)) is not None:
        shown = f"expected to fail: {expected.removeprefix('reason: ') or shown}"
    return _first_line(shown)


def forget_xfail(report: pytest.TestReport) -> None:
    """Let an experiment pass whose check was not called, though its mark xfail expects a failure.

    The mark is about the check; `strict` would have an experiment fail that was submitted.
    """
    is_strict = str(report.longrepr).startswith("[XPASS(strict)]")
    if report.when == "call" and (is_strict or hasattr(report, "wasxfail")):
        report.outcome, report.longrepr = "passed", None
        vars(report).pop("wasxfail", None)


def shorten_reason(report: pytest.TestReport) -> None:
    """Shorten a failure's message to one line for pytest's summary; `np.float64(0.1)` to `0.1`."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        # if CI is set, pytest's summary would print all lines of each failure
        crash.message = _first_line(crash.message)


def _first_line(text: str) -> str:
    return _NUMPY.sub(r"\1", text.partition("\n")[0])
