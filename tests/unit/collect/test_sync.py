"""Copies of launch records that other clients write."""

import threading
from functools import partial

from pytest_remex.collect.sync import sync
from pytest_remex.model import Remote
from pytest_remex.transport.connection import connect


def test_a_line_that_is_being_written(tmp_path):
    """A record that ends within a line is read once more, and only then said to be cut."""
    record = tmp_path / "runs" / ".remex" / "launches" / "L.jsonl"
    record.parent.mkdir(parents=True)
    record.write_bytes(b"one\ntw")
    said: list[str] = []
    with connect(Remote(None, str(tmp_path), str(tmp_path / "runs"))) as connection:
        read = partial(sync, connection, tmp_path / "launches", said.append)
        timer = threading.Timer(0.2, record.write_bytes, (b"one\ntwo\n",))
        timer.start()
        assert dict(read()) == {"L": 8}
        assert not said
        record.write_bytes(b"one\ntwo\nthr")
        read()
    assert [each.partition(", so")[0] for each in said] == [f"{record} ends within a line"]
