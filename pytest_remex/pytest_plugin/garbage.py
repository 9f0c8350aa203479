"""Spares the garbage collector what lives to the end: for 10,000 experiments it takes seconds."""

from __future__ import annotations

import atexit
import gc

import pytest


def spare_until_end_of(config: pytest.Config) -> None:
    """Have the collector look at what was spared again when a pytest run is over.

    Call it first: pytest runs cleanups last in, first out, and one of them collects garbage.
    """
    config.add_cleanup(gc.unfreeze)


def spare() -> None:
    """Spare all objects that are there now, and when Python ends, all that are there then."""
    gc.freeze()
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
