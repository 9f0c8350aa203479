"""Names of branches, refs, launches and run directories, from any text."""

import subprocess
from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_remex import names
from pytest_remex.common.paths import LONGEST_NAME
from pytest_remex.errors import SweepError

WHEN = datetime(2026, 1, 31, 12, 0, 59)  # noqa: DTZ001 - local time
SHA = "0123456789abcdef" * 3

ANY = st.text(max_size=60)


@given(ANY)
@example("a..b")
@example("x.lock")
@example("x.lock.lock")
@example(".lock")
@example("-rf")
@example("")
def test_slug(text):
    """A slug is a plain file name, and not an option, for any text."""
    slug = names.slug(text)
    assert slug
    assert not slug.startswith(("-", "."))
    assert not slug.endswith((".", ".lock"))
    assert ".." not in slug
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-")
    assert names.slug(slug) == slug


@settings(max_examples=40)
@given(ANY)
@example("a.lock")
@example("@{x")
def test_git_takes_the_refs(text):
    """Git takes the branch and the ref of any launch."""
    launch = names.launch_id(text, WHEN)
    for ref in (f"refs/heads/{names.temporary_branch(launch)}", names.keep_ref(launch)):
        subprocess.run(["git", "check-ref-format", ref], check=True)


@given(ANY)
def test_launch_time(text):
    """A launch's name holds its time."""
    assert names.launch_time(names.launch_id(text, WHEN)) == WHEN


def test_run_directory():
    """A run directory is named by branch, sweep, time and twelve digits of the sha."""
    launch = names.launch_id("tams", WHEN)
    assert launch == "tams_2026_01_31_12_00_59"
    assert (
        names.run_directory("feature/x", launch, SHA)
        == "feature-x_tams_time_2026_01_31_12_00_59_sha_0123456789ab"
    )


@given(ANY, ANY)
def test_submit_time(branch, name):
    """A run directory's name holds the time of its submit; other names hold none."""
    directory = names.run_directory(branch, names.launch_id(name, WHEN), SHA)
    assert names.submit_time(directory) == WHEN
    for other in ("", "main_tams", directory.replace("_01_31_", "_13_31_"), f"{directory}/out"):
        assert names.submit_time(other) is None


@given(ANY, ANY)
def test_run_directories_are_file_names(branch, name):
    """Any branch and name make one file name, of bytes that every file system takes."""
    directory = names.run_directory(branch, names.launch_id(name, WHEN), SHA)
    assert "/" not in directory
    assert len(directory.encode()) <= LONGEST_NAME


def test_too_long():
    """A name over 255 bytes is refused, with its length and the fix."""
    with pytest.raises(SweepError, match=r"has 3\d\d bytes, over 255: choose a shorter"):
        names.run_directory("main", names.launch_id("n" * 260, WHEN), SHA)


@given(ANY, ANY)
@example("fix/eos", "fix-eos")
@example("Fix", "fix")
@example("fix-eos~bc67a034", "fix/eos")
@example("a" * 300, "a" * 301)
def test_safe_folder(one, other):
    """Two texts never share a folder, even if its file system ignores case."""
    folders = [names.safe_folder(each) for each in (one, other)]
    assert (folders[0].lower() == folders[1].lower()) == (one == other)
    for folder in folders:
        assert 0 < len(folder) < 120
        assert not {*folder} & {"/", "\0"}
        assert folder not in {".", ".."}
