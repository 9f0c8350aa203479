"""Things by a key."""

from pytest_remex.common.grouping import grouped


def test_grouped():
    """Keys come in the order of their first pairs, and the values of each in that of the pairs."""
    found = grouped([("b", 1), ("a", 2), ("b", 3), ("b", 1)])
    assert list(found.items()) == [("b", [1, 3, 1]), ("a", [2])]
    assert grouped([]) == {}
