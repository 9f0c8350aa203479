"""Git in the clone: what is in its way is named, with a fix that works."""

import os
import shlex
import subprocess
import sys
import time

import pytest
from support.agents import AgentError as AgentFailed

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.place import git
from pytest_remex.common.parts import Placement, Source
from pytest_remex.common.protocol import SLURM, Examine, Place, Tidy


def test_a_lock_of_a_killed_git(agent, repository, tmp_path):
    """A stale lock that keeps refs from being removed is named with the command that removes it."""
    run = repository.commit({"run.sbatch": b"#!/bin/sh\n"})
    repository.git("update-ref", "refs/remex-placing/L/one", run["sha"])
    lock = repository.path / ".git" / "packed-refs.lock"
    lock.touch()
    tidy = Tidy(str(repository.path), str(tmp_path), "L", "T")
    with pytest.raises(AgentFailed, match="or was killed there and left it behind") as refused:
        agent.ask(tidy)
    words = str(refused.value).partition("on the cluster: ")[2].partition(", and")[0]
    subprocess.run(shlex.split(words), check=True)
    assert not lock.exists()
    assert agent.ask(tidy) == []
    assert repository.git("for-each-ref", "refs/remex-placing") == ""


CLONES = {
    "another user's": ("chown nobody {}", "belongs to another user", "safe.directory"),
    "no repository": ("rm -r {}/.git", "is not a git repository", "git clone"),
    "damaged": ("echo [ >> {}/.git/config", "bad config line", "correct that there"),
}


@pytest.mark.parametrize(("command", "found", "fix"), CLONES.values(), ids=CLONES)
def test_a_clone_that_git_refuses(agent, repository, tmp_path, command, found, fix):
    """The check says what git said, and only the fix for that."""
    if command.startswith("chown") and os.geteuid():
        pytest.skip("only root can give a file to another user")
    subprocess.run(["sh", "-c", command.format(repository.path)], check=True)
    checks = agent.ask(Examine(str(repository.path), str(tmp_path), SLURM))
    (clone,) = (check for check in checks if check.name == "clone")
    assert found in clone.found
    assert fix in clone.fix
    others = {each for _, _, each in CLONES.values()} - {fix}
    assert not [each for each in others if each in clone.found + clone.fix]


def test_an_object_that_the_clone_lacks(agent, repository, tmp_path):
    """A commit whose file is missing is refused with git's words and what to do."""
    run = repository.commit({"run.sbatch": b"#!/bin/sh\n", "a": b"1"})
    blob = repository.git("rev-parse", f"{run['sha']}:a")
    (repository.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    request = Place(
        clone=str(repository.path),
        runs=str(tmp_path),
        launch="L",
        token="T",
        base=run["sha"],
        source=Source("here", run["sha"]),
        shared=[],
        placements=[Placement("r", **run)],
    )
    with pytest.raises(AgentFailed, match=f"cannot read the object {blob} in .*clone the repo"):
        agent.ask(request)


@pytest.fixture
def far(repository, tmp_path, monkeypatch):
    """Return a function that fetches 2 MB through a program; 3 seconds of silence end that."""
    monkeypatch.setattr(git, "SILENCE", 3.0)
    sha = repository.commit({"big": os.urandom(2_000_000)})["sha"]
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", clone], check=True)

    def fetch(program):
        upload = tmp_path / "upload"
        upload.write_text(f"#!/bin/sh\n{program}\n")
        upload.chmod(0o755)
        for words in (("url", repository.path), ("uploadpack", upload)):
            key = f"remote.origin.{words[0]}"
            subprocess.run(["git", "-C", clone, "config", key, words[1]], check=True)
        repository.git("update-ref", "refs/heads/x", sha)
        git.fetch(str(clone), "L", Source("origin", sha, "refs/heads/x"), str(tmp_path))

    return fetch


def test_a_fetch_that_hangs(far):
    """A fetch without progress is ended."""
    with pytest.raises(AgentError, match=r"fetch failed in .*: no answer within 3 s; check that"):
        far('git upload-pack "$@" | (head -c 100000; sleep 8)')


def test_a_slow_fetch(far):
    """A fetch that takes several times the limit, with progress, is not ended."""
    slow = "import sys,time\n"
    slow += "while data := sys.stdin.buffer.read1(32768):\n"
    slow += "  sys.stdout.buffer.write(data); sys.stdout.flush(); time.sleep(len(data) / 200000)\n"
    begun = time.monotonic()
    far(f'git upload-pack "$@" | {shlex.join([sys.executable, "-c", slow])}')
    assert time.monotonic() - begun > 3 * git.SILENCE
