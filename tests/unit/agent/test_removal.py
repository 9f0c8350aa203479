"""Removing run directories: those that a request names and that are what it says, no other."""

import json
import os

import pytest
from support.agents import AgentError

from pytest_remex.common.parts import RemovableRun
from pytest_remex.common.protocol import Remove

RUN = RemovableRun("r", token="t", sha="s", job="7")


@pytest.fixture
def run(tmp_path):
    """Return a run directory of the run that is asked for."""
    folder = tmp_path / "runs" / "r"
    (folder / ".remex").mkdir(parents=True)
    (folder / ".remex" / "run.json").write_text(json.dumps({"sha": "s", "token": "t"}))
    (folder / ".remex" / "job").write_text("7\n")
    (folder / "out").write_text("12345")
    return folder


def remove(agent, run, asked=RUN, *, only_measure=False):
    """Request one removal and return the answer."""
    (event,) = agent.ask(Remove(str(run.parent), [asked], only_measure))
    return event


def test_measured_and_removed(agent, run):
    """A run directory is measured, then removed, then missing; a link in it is one small file."""
    large = run.parent / "large"
    large.write_bytes(b"x" * 100_000)
    (run / "link").symlink_to(large)
    measured = remove(agent, run, only_measure=True)
    assert (measured.files, measured.refused) == (4, "")
    assert measured.bytes < 1_000
    assert run.is_dir()
    assert remove(agent, run) == measured
    assert not run.exists()
    assert list((run.parent / ".remex" / "removed").iterdir()) == []
    assert remove(agent, run).gone


@pytest.mark.parametrize(
    "asked",
    [
        RUN._replace(token="other"),
        RUN._replace(sha="other"),
        RUN._replace(job="8"),
        RUN._replace(directory="../runs/r"),
        RUN._replace(directory="."),
        RUN._replace(directory=".remex"),
    ],
)
def test_another_run(agent, run, asked):
    """A directory that is not the recorded run, or has no valid name, is not removed."""
    (run.parent / ".remex").mkdir(exist_ok=True)
    assert remove(agent, run, asked).refused
    assert (run / "out").read_text() == "12345"
    assert run.parent.is_dir()


def test_another_users_run(agent, run):
    """Another user's run directory is not removed, also in a shared runs folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(run, 12345, -1)
    assert remove(agent, run).refused == "it belongs to another user"
    assert (run / "out").exists()


def test_folder_that_became_a_link(agent, run, tmp_path):
    """If a run directory, or its .remex, is a link, nothing is removed."""
    (run / ".remex").rename(tmp_path / "elsewhere")
    (run / ".remex").symlink_to(tmp_path / "elsewhere")
    assert "link" in remove(agent, run).refused
    run.rename(tmp_path / "moved")
    run.symlink_to(tmp_path / "moved")
    assert "link" in remove(agent, run).refused
    assert (tmp_path / "moved" / "out").exists()


@pytest.mark.parametrize("depth", [1500, 5000])
def test_folders_without_end(agent, run, depth):
    """A job that made folders in folders, past any path's length, is removed as any other."""
    inside = os.open(run, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=inside)
        above, inside = inside, os.open("d", os.O_RDONLY, dir_fd=inside)
        os.close(above)
    os.close(os.open("f", os.O_CREAT, dir_fd=inside))
    os.close(inside)
    assert remove(agent, run, only_measure=True).files >= 3
    assert remove(agent, run).refused == ""
    assert not run.exists()
    assert list((run.parent / ".remex" / "removed").iterdir()) == []


def test_empty_folders_that_a_purge_left(agent, run):
    """A site's purge of old files leaves folders: they are removed, but only if they are empty."""
    (run / ".remex" / "run.json").unlink()
    (run / ".remex" / "job").unlink()
    assert "does not name this run" in remove(agent, run).refused
    (run / "out").unlink()
    (run / "LOGS" / "png").mkdir(parents=True)
    (run / "LOGS" / "png" / "latest").symlink_to("nowhere")
    assert "does not name this run" in remove(agent, run).refused
    (run / "LOGS" / "png" / "latest").unlink()
    assert remove(agent, run, only_measure=True).files == 0
    assert remove(agent, run).refused == ""
    assert not run.exists()


def test_links_that_somebody_put_there(agent, run, tmp_path):
    """Users who can write to the runs folder cannot have files elsewhere removed by a link."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    removed = run.parent / ".remex" / "removed"
    removed.mkdir(parents=True)
    for folder in (removed, run, run / ".remex"):
        (folder / "link").symlink_to(tmp_path / "precious")
    (removed / "left").mkdir()
    assert remove(agent, run).refused == ""
    assert (tmp_path / "precious" / "file").exists()
    assert not (removed / "left").exists()
    assert not run.exists()
    removed.rmdir()
    removed.symlink_to(tmp_path / "precious")
    with pytest.raises(AgentError, match="is a link, and links are not followed"):
        remove(agent, run)
    assert (tmp_path / "precious" / "file").exists()


def test_folders_that_nobody_may_write_to(agent, run):
    """Read-only and closed folders in a run directory do not keep it."""
    for name in ("a", "a/b", "a/b/c"):
        (run / name).mkdir()
        (run / name / "file").touch()
    for name, mode in (("a/b/c", 0), ("a/b", 0o500), ("a", 0o500)):
        (run / name).chmod(mode)
    assert remove(agent, run).refused == ""
    assert not run.exists()
