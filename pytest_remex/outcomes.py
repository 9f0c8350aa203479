"""Ends an experiment's test by a message alone, without a line of the plugin."""

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
