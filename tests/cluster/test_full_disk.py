"""A full or read-only disk there and here: folder and fix are named; then nothing was lost."""

from __future__ import annotations

import shutil

import pytest
from support.invariants import Snapshot, assert_clean, jobs_below

PAGE = 4096
"""Bytes that a file takes at least."""


@pytest.fixture
def launched(user, cluster, disk):
    """Return a function that submits, fails, makes room and submits again: all ran once."""

    def launched(runs, *words):
        before = Snapshot.of(user.repository)
        user.pytest("--remex-submit").failed(*words, "run the same command")
        disk.empty()
        user.submit()
        cluster.wait()
        assert [path.read_text() for path in runs.glob("*/ran")] == ["ran\n"] * 3
        assert_clean(user, before)

    return launched


@pytest.mark.parametrize("pages", [3, 15])
def test_runs_folder(user, disk, launched, pages):
    """A runs folder without space for all run directories is named; with space it continues."""
    user.ini(remex_runs=str(disk.folder))
    disk.fill(leave=pages * PAGE)
    full = f"cannot write to {disk.folder}: the file system is full; free some space there"
    launched(disk.folder, full)


def test_runs_folder_without_room(user, disk, launched):
    """If inodes are missing, nothing is begun: no record, no branch, no directory."""
    user.ini(remex_runs=str(disk.folder))
    disk.fill()
    launched(disk.folder, f"but {disk.folder} has only 0 bytes free")


@pytest.mark.parametrize("pages", [0, 3])
def test_clone(user, disk, launched, pages):
    """A clone without room for the commits is named as full, not as one that cannot fetch."""
    clone = disk.folder / "clone"
    shutil.copytree(user.project.clone, clone)
    user.ini(remex_clone=str(clone))
    disk.fill(leave=pages * PAGE)
    full = f"cannot write to {clone}: the file system is full; free some space there"
    launched(user.project.runs, full)


@pytest.mark.parametrize("pages", [1, 2])
def test_launch_record(user, disk, launched, pages):
    """A launch whose record cannot be written stops at that point, and is finished later."""
    user.output = disk.folder / "output"
    user.ini(remex_output=str(user.output))
    disk.fill(leave=pages * PAGE)
    full = f"the launch record {user.output}/launches/"
    launched(user.project.runs, full, "free some space there, and run the same command again")


@pytest.mark.parametrize("pages", [0, 4, 10, 15])
def test_fetched_outputs(user, cluster, disk, pages):
    """A full output folder is named, wherever a collect stops, and the next one continues."""
    user.output = disk.folder / "output"
    user.ini(remex_output=str(user.output))
    user.submit()
    cluster.wait()
    user.pytest("--remex-status").reported()  # the final states are in the record
    disk.fill(leave=pages * PAGE)
    full = " cannot be written (No space left on device): free some space there, and run the same"
    user.collect().failed(f"{user.output}/", full)
    disk.empty()
    assert user.collect().succeeded().text.count(" PASSED ") == 3
    assert len(list(user.output.glob("*/links/*"))) == 6
    assert list(user.output.glob("*/report.html"))


def test_output_folder(user, disk):
    """An output folder that cannot even be begun is named, and ignored by git with room."""
    user.output = disk.folder / "output"
    user.ini(remex_output=str(user.output))
    disk.fill()
    full = f"{user.output} cannot be written (No space left on device): free some space there"
    user.pytest("--remex-submit").failed(full, "run the same command again")
    disk.empty()
    user.submit()
    assert "*" in (user.output / ".gitignore").read_text().splitlines()


@pytest.fixture
def placed(user, disk):
    """Return a function that puts the output folder, the runs folder or the clone on the disk."""

    def placed(place):
        folder = disk.folder / place
        if place == "clone":
            shutil.copytree(user.project.clone, folder)
        else:
            folder.mkdir()
        if place == "output":
            user.output = folder
        user.ini(**{f"remex_{place}": str(folder)})
        return folder

    return placed


@pytest.mark.parametrize("place", ["output", "runs", "clone"])
def test_read_only(user, cluster, disk, placed, place):
    """A read-only place is named before anything is sent, and the launch goes well without."""
    folder = placed(place)
    disk.set_read_only(read_only=True)
    user.pytest("--remex-submit").failed(str(folder), "ead-only file system")
    assert not jobs_below(cluster, user.project.runs)
    disk.set_read_only(read_only=False)
    user.submit()
    assert user.collect().succeeded().text.count(" PASSED ") == 3


def test_read_only_while_collecting(user, disk, placed):
    """Outputs that cannot be written are named, and fetched once they can."""
    folder = placed("output")
    user.submit()
    user.pytest("--remex-status", "--remex-wait=60").succeeded()
    disk.set_read_only(read_only=True)
    user.collect().failed(str(folder), "ead-only file system")
    disk.set_read_only(read_only=False)
    assert user.collect().succeeded().text.count(" PASSED ") == 3


def test_collect_only_reads_there(user, disk, placed):
    """Outputs are fetched from a read-only runs folder, and after the clone was removed."""
    placed("runs")
    user.submit()
    user.pytest("--remex-status", "--remex-wait=60").succeeded()
    shutil.rmtree(user.project.clone)
    disk.set_read_only(read_only=True)
    assert user.collect().succeeded().text.count(" PASSED ") == 3
    refused = user.pytest("--remex-clean", "--remex-yes").failed(str(disk.folder))
    assert "read-only file system; make that writable" in refused
    disk.set_read_only(read_only=False)
    user.pytest("--remex-clean", "--remex-yes").succeeded()


@pytest.mark.parametrize("place", ["output", "runs", "clone"])
def test_no_more_files(user, disk, placed, place):
    """A disk with bytes left and no room for files is named as full, and the launch is finished."""
    placed(place)
    disk.take_inodes()
    user.pytest("--remex-submit").failed(str(disk.folder), "free some space")
    disk.give_inodes()
    user.submit()
    assert user.collect().succeeded().text.count(" PASSED ") == 3


@pytest.mark.parametrize("full", ["files", "bytes"])
def test_clean_of_a_full_disk(user, disk, placed, full):
    """Runs can be removed where no file can be made any more: that makes room again."""
    runs = placed("runs")
    user.submit()
    user.collect().succeeded()
    assert len([*runs.glob("main_*")]) == 3
    if full == "files":
        disk.take_inodes()
    else:
        disk.fill()
    user.pytest("--remex-clean", "--remex-yes").succeeded()
    assert not [*runs.glob("main_*")]
