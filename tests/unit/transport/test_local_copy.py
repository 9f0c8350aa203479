"""Fetching on this machine: outputs are linked to, not stored twice, unless they may still grow."""

import os
import time

import pytest

from pytest_remex.transport.local import LocalTransport
from pytest_remex.transport.transfer import fetch


@pytest.fixture
def fetched(tmp_path):
    """Return a function that fetches files of a folder, and returns the folder they came to."""
    (tmp_path / "runs" / "r").mkdir(parents=True)

    def get(*names):
        missing = fetch(
            LocalTransport().copy, str(tmp_path / "runs"), list(names), tmp_path / "here", print
        )
        assert missing == []
        return tmp_path / "here"

    return get


def write(tmp_path, text, age):
    """Write a run's output, as it was written some seconds ago."""
    path = tmp_path / "runs" / "r" / "out"
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_settled_output_is_linked(tmp_path, fetched):
    """A settled output is hard-linked, and stays complete when it is fetched again."""
    path = write(tmp_path, "x", age=10)
    for _ in range(2):
        here = fetched("r/out") / "r" / "out"
        assert here.samefile(path)
    path.unlink()
    assert here.read_text() == "x"


def test_output_that_may_grow_is_copied(tmp_path, fetched):
    """A file that is being written is copied, with its time, and linked once it is settled."""
    path = write(tmp_path, "x", age=0)
    here = fetched("r/out") / "r" / "out"
    assert not here.samefile(path)
    assert here.stat().st_mtime_ns == path.stat().st_mtime_ns
    path = write(tmp_path, "xy", age=10)
    assert (fetched("r/out") / "r" / "out").samefile(path)
    assert here.read_text() == "xy"


def test_link_out_of_the_run_directory(tmp_path, fetched):
    """An output that is a symbolic link is not fetched."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "runs" / "r" / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(AssertionError):
        fetched("r/out")
    assert not (tmp_path / "here" / "r" / "out").exists()
