"""Reading a file of which only a bounded part may be read."""

import tracemalloc
from pathlib import Path

import pytest

from pytest_remex.common.files import read_up_to


@pytest.mark.parametrize("most", [1, 6, 7, 8, 100])
def test_no_more_is_read_than_asked(tmp_path, most):
    """As `file.read` does, it returns the whole file, or its first bytes."""
    path = tmp_path / "note"
    path.write_bytes(b"written")
    with path.open("rb") as file:
        assert read_up_to(file, most) == b"written"[:most]


def test_a_small_file_takes_little_memory(tmp_path):
    """Memory is not reserved for the largest file that may be read."""
    path = tmp_path / "note"
    path.write_bytes(b"x" * 1000)
    tracemalloc.start()
    with path.open("rb") as file:
        assert len(read_up_to(file, 1 << 28)) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_file_that_grows_is_read_to_its_end(tmp_path):
    """What is appended after the file's size was asked for belongs to it, up to the bound."""
    path = tmp_path / "note"
    path.write_bytes(b"")
    with path.open("rb") as file:
        assert read_up_to(_Growing(file, path), 5) == b"added"


class _Growing:
    """A file to which another process appends once its size was asked for."""

    def __init__(self, file, path):
        self._file, self._path = file, path
        self.fileno = file.fileno

    def read(self, most):
        """Append, and read."""
        with self._path.open("ab") as other:
            other.write(b"added later")
        return self._file.read(most)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_a_file_without_a_size_is_read():
    """Files of the kernel say that they are empty."""
    with Path("/proc/self/status").open("rb") as file:
        assert b"VmHWM" in read_up_to(file, 1 << 20)
