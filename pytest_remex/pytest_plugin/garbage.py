"""Keeps what lives to the end of a run out of garbage collections.

Every full collection of Python visits all objects that are alive: with 10,000 experiments that is
about 2 s of the 12 s that a collect takes. `gc.freeze` leaves those out that are there already.
"""

from __future__ import annotations

import atexit
import gc

import pytest


def unfreeze_at_end_of(config: pytest.Config) -> None:
    """Have the collector visit all objects again when a pytest run is over.

    Call it first: pytest runs cleanups last in, first out, and one of them collects garbage.
    """
    config.add_cleanup(gc.unfreeze)


def freeze() -> None:
    """Leave out all objects that are there now, and when Python ends, all that are there then."""
    gc.freeze()
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
