"""Files of a job in `.remex` cannot block a query, lead out of it, or end it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.agent import fs
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.common import paths
from pytest_remex.common.jobs import Job, JobState


@pytest.fixture
def run(tmp_path):
    """Return a run directory."""
    (tmp_path / "run" / ".remex").mkdir(parents=True)
    return tmp_path / "run"


def fifo(path):
    os.mkfifo(path)


def link(path):
    (path.parent / "target").write_text('{"id": "1", "state": "COMPLETED"}')
    path.symlink_to("target")


def endless(path):
    path.symlink_to("/dev/zero")


def device(path):
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device needs root")


def huge(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def folder(path):
    path.mkdir()


@pytest.mark.parametrize("make", [fifo, link, endless, device, huge, folder])
def test_what_is_no_small_regular_file_is_not_read(run, make):
    """A FIFO does not hang, a link is not followed, a device and a huge file are not read."""
    make(run / ".remex" / paths.STATE)
    with pytest.raises(UnreadableError, match="cannot be used: it is ") as caught:
        RunFiles(str(run)).load(Job, paths.STATE)
    assert str(run / ".remex" / paths.STATE) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"id": "1"}', "has no 'state'"),
        ('{"id": "1", "state": 3}', "'state' is 3, not text"),
        ('{"id": "1", "state": "FAILED", "elapsed": "abc"}', "'elapsed' is 'abc', not a number"),
        ('{"id": 1, "state": "FAILED"}', "'id' is 1, not text"),
        ("[1]", "is .1., not an object"),
        ("null", "not an object"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ('{"id": "1", "state": "FAILED", "format": 2}', "of format 2.*upgrade"),
        ('{"id": "1", "state": "FAILED", "format": "x"}', "'format' is 'x', not a whole number"),
    ],
)
def test_a_damaged_file_is_told(run, text, why):
    """The fault is named, with the right kind of error."""
    (run / ".remex" / paths.STATE).write_text(text)
    with pytest.raises(UnreadableError, match=why):
        RunFiles(str(run)).load(Job, paths.STATE)


def test_fields_of_a_later_release_are_ignored(run):
    """Files of the earlier version are read, and so are unknown fields."""
    (run / ".remex" / paths.STATE).write_text('{"id": "1", "state": "FAILED", "new": [1]}')
    assert RunFiles(str(run)).load(Job, paths.STATE) == Job("1", JobState.FAILED)


@given(st.binary() | st.text().map(str.encode))
def test_any_content_is_a_job_or_refused(tmp_path_factory, content):
    """Whatever a file holds, reading it ends in a value or in a refusal."""
    path = tmp_path_factory.getbasetemp() / "state"
    path.write_bytes(content)
    try:
        assert isinstance(fs.parse(Job, str(path), fs.read(str(path))), Job)
    except UnreadableError as error:
        assert "cannot be used" in str(error)  # noqa: PT017 - both ends are right


@pytest.mark.parametrize("which", ["run", ".remex"])
def test_nothing_is_read_or_written_through_a_link(run, tmp_path, which):
    """A run directory, or its `.remex`, that became a link is not entered."""
    secret = tmp_path / "secret"
    (secret / ".remex").mkdir(parents=True)
    for place in (secret, secret / ".remex"):
        (place / paths.EXIT).write_text("0\n")
    replaced = run if which == "run" else run / ".remex"
    replaced.rename(tmp_path / "kept")
    replaced.symlink_to(secret)
    files = RunFiles(str(run))
    before = sorted(secret.rglob("*"))
    for act in (
        lambda: files.read(paths.EXIT),
        lambda: files.write(paths.STATE, "x"),
        lambda: files.remove(paths.EXIT),
        files.names,
        files.check,
    ):
        with pytest.raises(UnreadableError, match="is a link, and links are not followed"):
            act()
    assert sorted(secret.rglob("*")) == before


def test_writing_replaces_what_is_in_the_way(run):
    """A file replaces a FIFO or a link in its place; the link's target stays as it was."""
    (run / "target").write_text("kept")
    (run / ".remex" / paths.JOB).symlink_to("../target")
    os.mkfifo(run / ".remex" / paths.STATE)
    files = RunFiles(str(run))
    for name in (paths.JOB, paths.STATE):
        files.write(name, "new")
        assert files.read(name) == "new"
    assert (run / "target").read_text() == "kept"
    assert files.names() == {paths.JOB, paths.STATE}


def test_a_run_directory_that_is_gone(tmp_path):
    """Nothing is read or made, and a submission says that it must be placed again."""
    files = RunFiles(str(tmp_path / "gone"))
    assert (files.read(paths.EXIT), files.names()) == (None, set())
    files.write(paths.STATE, "x")
    assert not (tmp_path / "gone").exists()
    with pytest.raises(UnreadableError, match="run the same command again"):
        files.check()
