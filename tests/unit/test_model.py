"""The words: states, and what a run lets a sweep read."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from pytest_remex import Remote, Repo
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemoteError, SweepError
from pytest_remex.experiment import Run


@pytest.mark.parametrize("state", JobState)
def test_states(state):
    """A state is live, or ended, or not known; failed is ended and not COMPLETED."""
    assert sum([state.live, state.ended, state is JobState.UNKNOWN]) == 1
    assert state.failed == (state.ended and state is not JobState.COMPLETED)


def test_unknown_is_not_failed():
    """UNKNOWN is neither ended nor failed."""
    assert not JobState.UNKNOWN.ended
    assert not JobState.UNKNOWN.failed


def test_repo_is_a_description(tmp_path, monkeypatch):
    """A Repo is its absolute path, and equal to another of that path."""
    monkeypatch.chdir(tmp_path)
    assert Repo("code") == Repo(tmp_path / "code")
    assert Repo("~/code").path == Path.home() / "code"
    assert Remote("a") != Remote("b")


@pytest.mark.parametrize("value", [5, True, b"x", ["x"], {"x": 1}, {"x"}, object()])
@pytest.mark.parametrize("name", [field.name for field in fields(Remote)])
def test_what_is_no_description(name, value):
    """Remote and Repo take no other types than they say; both take paths."""
    if name == "shared" and isinstance(value, list | dict | set):
        assert Remote("a", shared=value).shared
    else:
        with pytest.raises(SweepError):
            Remote(**{"host": "a", name: value})
    with pytest.raises(SweepError):
        Repo(value)
    assert Remote("a", Path("/c"), Path("/r")) == Remote("a", "/c", "/r")


@pytest.fixture
def run(tmp_path):
    """Return a run with one output."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result").write_text("42")
    (tmp_path / "secret").write_text("no")
    job = Job("1", JobState.COMPLETED)
    return Run(
        tmp_path / "run", None, job, None, None, lambda path, options: path.read_text(**options)
    )


def test_log(run):
    """The log is the text of the job's output, for any bytes; empty if there is none."""
    assert run.log == ""
    (run.path / "slurm.out").write_bytes(b"caf\xe9\r\n")
    assert replace(run, output=run.path / "slurm.out").log == "caf\ufffd\n"


def test_read(run):
    """An output is read with its reader."""
    assert run.read("result") == "42"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret"])
def test_read_stays_inside(run, name):
    """A name that leaves the run directory is refused."""
    with pytest.raises(SweepError, match="leaves the run directory"):
        run.read(name)


def test_read_through_a_link(run):
    """A link out of the run directory is not followed."""
    (run.path / "link").symlink_to(run.path.parent / "secret")
    with pytest.raises(SweepError, match="leaves the run directory"):
        run.read("link")


def test_read_what_is_not_here(run):
    """An output that was not fetched is named, with the fix."""
    with pytest.raises(RemoteError, match=r"'LOGS/x' is not among the fetched.*fetch="):
        run.read("LOGS/x")


def test_a_remote_is_a_place(tmp_path):
    """Remotes that are only reached in another way are equal; there are three transports."""
    assert Remote("a", transport="openssh") == Remote("a")
    assert Remote("a", transfer_host="data") == Remote("a")
    with pytest.raises(SweepError, match="write 'auto', 'fabric' or 'openssh'"):
        Remote("a", transport="carrier")


def test_transfer_host():
    """It applies to a host; a recorded remote on the same host uses the current one."""
    for host, value in (("a", "-oProxyCommand=x"), (None, "data")):
        with pytest.raises(SweepError, match="transfer_host="):
            Remote(host, transfer_host=value)
    today = Remote("a", transport="openssh", transfer_host="data")
    reached = Remote("a", runs="/r").reached_as(today)
    assert (reached.runs, reached.transport, reached.transfer_host) == ("/r", "openssh", "data")
    assert Remote("b").reached_as(today).transfer_host == ""
