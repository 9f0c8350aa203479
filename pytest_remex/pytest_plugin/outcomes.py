"""Ends an experiment's test by a message alone, and reads the message from a report."""

from __future__ import annotations

from typing import NoReturn

import pytest


def fail(why: str) -> NoReturn:
    """Fail the item."""
    # This frame is not hidden: pytest remarks on it where all are.
    raise pytest.fail.Exception(why, pytrace=False) from None


def skip(why: str) -> NoReturn:
    """Skip the item; the sweep's place is shown, not this one."""
    raise pytest.skip.Exception(why, _use_item_location=True)


def reason_of(report: pytest.TestReport) -> str:
    """Give the first line of why a test failed or was skipped; nothing where it passed."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    shown = str(crash.message if crash else report.longrepr).removeprefix("Failed: ")
    return shown.partition("\n")[0]
