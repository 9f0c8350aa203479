"""Fetching: names, staging and renames, with a copy function in the place of rsync."""

import fcntl
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import RemoteError
from pytest_remex.transport.transfer import STAGING, check_names, fetch


@given(st.text())
def test_checked_names_stay_inside(name):
    """Whatever passes stays inside any folder."""
    try:
        check_names([name])
    except RemoteError:
        return
    assert os.path.normpath(f"/a/b/{name}") == f"/a/b/{name}"


@pytest.mark.parametrize(
    "name", ["..", "a/..", "/a", "a/", "", ".", "a//b", "a\0", ".remex-staging/a"]
)
def test_names_that_could_leave(name):
    """Names that could lead elsewhere are refused."""
    with pytest.raises(RemoteError, match="is not the path of a file"):
        check_names(["fine", name])


def copier(*contents):
    """Return a copy function that stages the given names as files, then continues."""

    def copy(transfer):
        for name in contents:
            if isinstance(name, BaseException):
                raise name
            (transfer.staging / name).parent.mkdir(parents=True, exist_ok=True)
            (transfer.staging / name).write_text(name)

    return copy


def nothing(_):
    """Ignore the progress."""


def test_staged_files_are_renamed(tmp_path):
    """Staged files are in place, others are named, and the staging folder is removed."""
    assert fetch(copier("a", "b/c"), "", ["a", "b/c", "d"], tmp_path, nothing) == ["d"]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "a",
        "b",
        "b/c",
    ]


def test_finished_files_survive_a_break(tmp_path):
    """If the copy breaks off, the files that it completed are in place all the same."""
    with pytest.raises(KeyError):
        fetch(copier("a", KeyError()), "", ["a", "b"], tmp_path, nothing)
    assert (tmp_path / "a").read_text() == "a"


def test_a_staging_folder_that_was_made_again(tmp_path, monkeypatch):
    """If another fetch removed the staging folder, and made it again, it is the other one's."""
    shared, flock, staged = tmp_path / STAGING, fcntl.flock, []

    def lock_late(folder, operation):
        shared.rmdir()
        shared.mkdir()
        flock(folder, operation)

    def copy(transfer):
        staged.append(transfer.staging)
        copier("a")(transfer)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    assert fetch(copy, "", ["a"], tmp_path, nothing) == []
    assert staged != [shared]
    assert (tmp_path / "a").read_text() == "a"


def test_only_what_was_asked_for(tmp_path):
    """Staged files that were not requested are not published."""
    fetch(copier("a", "b"), "", ["a"], tmp_path, nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folder_in_the_way(tmp_path):
    """A folder in the place of a file is named."""
    (tmp_path / "a").mkdir()
    with pytest.raises(RemoteError, match="a is in the way"):
        fetch(copier("a"), "", ["a"], tmp_path, nothing)
