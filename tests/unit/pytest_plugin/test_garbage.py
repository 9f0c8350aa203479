"""What experiments leave behind does not slow down the garbage collector."""

import gc
import weakref

import pytest

from pytest_remex.pytest_plugin.memory import FROZEN_TOGETHER, PeriodicFreeze


class Node:
    """An object that can refer to itself."""


@pytest.fixture
def freeze():
    """Return the plugin; what it froze is visited again afterwards."""
    yield PeriodicFreeze()
    gc.unfreeze()


def test_what_lives_on_is_frozen(freeze):
    """After some items, what they leave is excluded from collections, and cycles are removed."""
    kept, cycle = [Node()], Node()
    cycle.itself = cycle
    removed = weakref.ref(cycle)
    del cycle
    frozen = gc.get_freeze_count()
    for _ in range(FROZEN_TOGETHER):
        freeze.pytest_runtest_logfinish()
    assert gc.get_freeze_count() > frozen
    assert removed() is None
    assert all(each is not kept for each in gc.get_objects())


def test_few_items_freeze_nothing(freeze):
    """Fewer items than that are left to the garbage collector."""
    frozen = gc.get_freeze_count()
    for _ in range(FROZEN_TOGETHER - 1):
        freeze.pytest_runtest_logfinish()
    assert gc.get_freeze_count() == frozen
