"""Fetching's own half: names, staging, renames, and rsync's progress read back."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import RemoteError
from pytest_remex.transport.rsync import steps
from pytest_remex.transport.transfer import checked, fetch


@given(st.text())
def test_checked_names_stay_inside(name):
    """Whatever passes stays inside any folder."""
    try:
        checked([name])
    except RemoteError:
        return
    assert os.path.normpath(f"/a/b/{name}") == f"/a/b/{name}"


@pytest.mark.parametrize(
    "name", ["..", "a/..", "/a", "a/", "", ".", "a//b", "a\0", ".remex-staging/a"]
)
def test_names_that_could_leave(name):
    """Names that could lead elsewhere are refused."""
    with pytest.raises(RemoteError, match="is no path of a file"):
        checked(["fine", name])


def copier(*contents):
    """Give a copy function that stages the given names with themselves as text, then goes on."""

    def copy(wanted):
        for name in contents:
            if isinstance(name, BaseException):
                raise name
            (wanted.staging / name).parent.mkdir(parents=True, exist_ok=True)
            (wanted.staging / name).write_text(name)

    return copy


def nothing(_):
    """Take no notice of progress."""


def test_staged_files_are_renamed(tmp_path):
    """What was staged is in its place, what was not is named, and the staging folder is gone."""
    assert fetch(copier("a", "b/c"), "", ["a", "b/c", "d"], tmp_path, nothing) == ["d"]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "a",
        "b",
        "b/c",
    ]


def test_finished_files_survive_a_break(tmp_path):
    """Where the copy breaks off, what it finished is in its place all the same."""
    with pytest.raises(KeyError):
        fetch(copier("a", KeyError()), "", ["a", "b"], tmp_path, nothing)
    assert (tmp_path / "a").read_text() == "a"


def test_only_what_was_asked_for(tmp_path):
    """What was staged and not asked for does not get out."""
    fetch(copier("a", "b"), "", ["a"], tmp_path, nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folder_in_the_way(tmp_path):
    """A folder that lies where a file belongs is named."""
    (tmp_path / "a").mkdir()
    with pytest.raises(RemoteError, match="a is in the way"):
        fetch(copier("a"), "", ["a"], tmp_path, nothing)


RECORDED = b"".join(
    [
        b"\r         65,536   0%    0.00kB/s    0:00:00  ",
        b"\r          32768   3%    1.20MB/s    0:00:01  ",
        b"\r         120000  12%   10.20MB/s    0:00:00 (xfr#1, to-chk=9/10)",
        b"\r         150000  15%   10.20MB/s    0:00:00  ",
        b"\r        1000000 100%   10.20MB/s    0:00:00 (xfr#10, to-chk=0/10)\n",
    ]
)


def test_progress_read_back():
    """Bytes and files are read from what rsync 3.5 printed; other lines are left out."""
    ours, theirs = os.pipe()
    os.write(theirs, b"skipping directory 12 100%\n" + RECORDED)
    os.close(theirs)
    with os.fdopen(ours, "rb") as stream:
        told = [(step.files, step.bytes) for step in steps(stream) if step is not None]
    assert told == [(0, 32768), (1, 120000), (1, 150000), (10, 1000000)]
