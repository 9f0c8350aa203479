"""Output of a program, and a lost connection, in words for the user."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import ConnectionLostError
from pytest_remex.transport.base import connection_lost, last_lines


@given(st.binary())
def test_last_lines_are_safe(data):
    """Whatever a program writes is shown in one short line that a terminal does not obey."""
    text = last_lines(data)
    assert text.isprintable()
    assert len(text) <= 300


def test_last_lines():
    """The last three lines are shown, without colours, with control characters spelled out."""
    output = b"one\r\ntwo\n\n  \x1b[31mthree\x1b[0m \nfo\x07ur\n\xff\n"
    assert last_lines(output) == r"three / fo\x07ur / \xff"


def test_connection_lost():
    """A lost connection names what happened, during what, and what to do next."""
    error = connection_lost("the connection to cluster broke", "jobs were submitted")
    assert isinstance(error, ConnectionLostError)
    assert str(error) == (
        "the connection to cluster broke while jobs were submitted: it is unknown how far that "
        "got; run the same command again to check and continue from there"
    )
