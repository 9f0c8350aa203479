"""A refused launch leaves no trace that a later command trips over."""

import errno
import fcntl
import os
import shutil

import pytest
from support.disk import SmallDisk

from pytest_remex.launch import submitter
from pytest_remex.records.fields import encoded, parsed


def test_runs_folder_that_everybody_can_write_to(project):
    """The launch is refused before its record begins, and the fix that is named works."""
    project.runs.mkdir(parents=True)
    project.runs.chmod(0o777)
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [f"*writable for everyone*: chmod o-w {project.runs}", "nothing was sent to this machine*"]
    )
    assert not project.record_paths()
    assert not [ref for ref in project.refs() if ref.startswith("refs/remex")]
    project.runs.chmod(0o755)
    project.submit()
    assert len(project.jobs()) == 3


def test_output_folder_without_locks(project, monkeypatch):
    """If the file system of the output folder has no locks, the message names remex_output."""

    def refuse(_file, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*No locks available*set remex_output to*"])
    assert not project.record_paths()


@pytest.fixture
def small(project, monkeypatch):
    """Return a file system of 16 MB that holds the runs folder; run directories take 4 MB each."""
    if why := SmallDisk.refused():
        pytest.skip(f"no small file system can be mounted: {why}")
    monkeypatch.setattr(submitter, "BATCH", 1)
    with (project.path / "table.bin").open("wb") as file:
        file.write(bytes(4_000_000))
    with SmallDisk() as disk:
        ini = f"[pytest]\nfilterwarnings = error\nremex_runs = {disk.folder}\n"
        project.commit("a large table", **{"pytest.ini": ini})
        project.runs = disk.folder
        yield disk


def test_run_directories_that_do_not_fit(project, small):
    """A launch that would fill the disk sends nothing, even if it has several batches."""
    small.fill(leave=9_000_000)
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*the run directories need 12 MB in 18 files, but * has only 8.* MB free*"]
    )
    assert not project.record_paths()
    assert not project.run_directories()
    small.empty()
    project.submit().assert_outcomes(passed=3)


def test_run_directories_that_fit(project, small):
    """Submitted experiments do not count: the rest is sent if it fits."""
    project.ran("-k", "not a=1")
    small.fill(leave=5_000_000)
    project.submit().assert_outcomes(passed=1, skipped=2)


def test_a_lock_that_git_left(project):
    """Refs that cannot be removed are refused once, with git's fix; without the lock it works."""
    lock = project.path / ".git" / "packed-refs.lock"
    lock.touch()
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*cannot remove refs in*packed-refs.lock': File exists*"])
    assert not project.record_paths()
    assert not [ref for ref in project.refs() if ref.startswith("refs/remex")]
    lock.unlink()
    project.submit()
    assert len(project.jobs()) == 3


REMOVES = """
    import os
    from pathlib import Path
    from pytest_remex import sweep

    @sweep({"a": [1, 2]})
    def removes(experiment):
        Path("input.txt").write_text(str(experiment.config["a"]))
        os.rmdir(FOLDER)
"""


@pytest.mark.parametrize(
    ("mode", "then"), [("--remex-plan", {"passed": 2}), ("--remex-submit", {"skipped": 2})]
)
def test_a_working_directory_that_is_removed(empty_project, monkeypatch, mode, then):
    """Without its working directory pytest says so in a line; what was sent is not sent again."""
    below = empty_project.path / "below"
    text = REMOVES.replace(
        "os.rmdir(FOLDER)", f"os.path.exists(p := {str(below)!r}) and os.rmdir(p)"
    )
    empty_project.sweeps(text)
    below.mkdir()
    monkeypatch.chdir(below)
    result = empty_project.pytest_alone("../sweeps.py", mode)
    monkeypatch.chdir(empty_project.path)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["../sweeps.py ..*"])
    result.stderr.fnmatch_lines([f"*the folder {below}, in which*was removed meanwhile*"])
    result.stderr.no_fnmatch_line("*Traceback*")
    empty_project.pytest(mode).assert_outcomes(**then)


def test_an_interrupted_launch_whose_runs_another_one_has(project):
    """The warning stays until its runs are submitted, by any client; the fix works."""
    project.submit()
    (record,) = project.record_paths()
    lines = [line for line in record.read_bytes().splitlines() if b"COMMITTED" in line]
    head, *_ = record.read_bytes().splitlines()
    stamp = record.stem.removeprefix("grid_").encode()
    older = stamp.replace(b"2", b"1", 1)
    made = [parsed(line.replace(stamp, older)) for line in (head, *lines)]
    interrupted = record.with_name(record.name.replace(stamp.decode(), older.decode()))
    interrupted.write_bytes(b"".join(map(encoded, made)))
    assert "was interrupted" not in project.submit().stdout.str()
    project.edit("sweeps.py", "[1, 2, 3]", "[4]")
    record.unlink()
    project.wait()
    project.runs.rename(project.path / "lost")
    shutil.rmtree(project.output / "from-cluster", ignore_errors=True)
    told = "was interrupted with 3 runs not submitted: submit the same points of grid again"
    assert told in project.submit().stdout.str()
    project.edit("sweeps.py", "[4]", "[1, 2, 3]")
    project.submit().assert_outcomes(passed=3)
    assert "was interrupted" not in project.submit().stdout.str()
