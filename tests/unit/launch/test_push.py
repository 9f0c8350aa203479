"""What git remembers of temporary branches that origin no longer has."""

import os
import shlex
import subprocess
import sys
import time

import pytest

from pytest_remex.errors import RepositoryError
from pytest_remex.launch.push import ThroughOrigin, forget_removed_branches
from pytest_remex.repo import git_process
from pytest_remex.repo.commits import Committer
from pytest_remex.repo.git import Git
from pytest_remex.repo.trees import listing

LAUNCH = "tams_2026_01_31_12_00_00"
OTHER = f"{LAUNCH}+0a1b2c3d"


class Repository:
    """A repository with an origin, and what git has seen there."""

    def __init__(self, folder):
        self.path = folder / "repository"
        self.origin = folder / "origin.git"
        for path, bare in ((self.path, ()), (self.origin, ("--bare",))):
            path.mkdir()
            run(path, "init", "--quiet", "--initial-branch=main", *bare)
        run(self.path, "commit", "--quiet", "--allow-empty", "--message", "base")
        run(self.path, "remote", "add", "origin", self.origin)
        run(self.path, "push", "--quiet", "origin", "main")
        self.git = Git(self.path)

    def push(self, launch):
        """Push the temporary branch of a launch, and return its commit."""
        self.publisher(launch)
        return run(self.path, "rev-parse", f"refs/remex/{launch}")

    def publisher(self, launch):
        """Push the temporary branch of a launch, and return what pushed it."""
        base = run(self.path, "rev-parse", "main")
        committer = Committer(self.git, base, dict(listing(self.git, base)))
        tip = committer.gather(f"refs/remex/{launch}", [base], "token")
        committer.close()
        publisher = ThroughOrigin(self.git, launch)
        publisher.publish(tip)
        return publisher

    def remove_there(self, launch):
        """Remove a branch on origin, as another client does."""
        run(self.origin, "branch", "--quiet", "-D", f"remex/{launch}")

    def tracked(self):
        """Return the branches that git has seen on origin."""
        refs = run(self.path, "for-each-ref", "--format=%(refname)", "refs/remotes")
        return [ref.removeprefix("refs/remotes/origin/") for ref in refs.split()]

    def files(self):
        """Return the files in git's folder, without objects."""
        folder = self.path / ".git"
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path for path in paths if path.parts[0] != "objects"}


def run(folder, *words):
    """Run git and return its output, stripped."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@b")
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    """Return a repository with an origin."""
    return Repository(tmp_path)


def test_only_what_origin_no_longer_has(repository):
    """The ref of a branch that was removed there goes; that of a living launch stays."""
    for launch in (LAUNCH, OTHER):
        repository.push(launch)
    repository.remove_there(LAUNCH)
    forget_removed_branches(repository.git)
    assert repository.tracked() == ["main", f"remex/{OTHER}"]
    repository.remove_there(OTHER)
    forget_removed_branches(repository.git)
    assert repository.tracked() == ["main"]


def test_refs_that_the_user_made(repository):
    """A ref that is named otherwise than its commit says, or points elsewhere, is not touched."""
    tip = repository.push(LAUNCH)
    repository.remove_there(LAUNCH)
    run(repository.path, "update-ref", "refs/remotes/origin/remex/mine", tip)
    run(repository.path, "update-ref", "refs/remotes/origin/remex/main", "main")
    forget_removed_branches(repository.git)
    assert repository.tracked() == ["main", "remex/main", "remex/mine"]


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_else_is_left(repository, packed):
    """No packed line of the ref stays, and no file appears in git's folder."""
    if packed:
        run(repository.path, "pack-refs", "--all")
    before = repository.files()
    repository.push(LAUNCH)
    if packed:
        run(repository.path, "pack-refs", "--all")
    repository.remove_there(LAUNCH)
    forget_removed_branches(repository.git)
    run(repository.path, "update-ref", "-d", f"refs/remex/{LAUNCH}")
    assert repository.files() == before
    packed_refs = repository.path / ".git/packed-refs"
    assert not packed_refs.exists() or "remex" not in packed_refs.read_text()


def test_a_log_that_a_fetch_wrote(tmp_path, repository):
    """The log goes with the ref, in a clone that has only fetched too."""
    clone = tmp_path / "clone"
    repository.push(LAUNCH)
    run(tmp_path, "clone", "--quiet", repository.origin, clone)
    tip = repository.push(OTHER)
    run(clone, "fetch", "--quiet", "origin")
    log = clone / f".git/logs/refs/remotes/origin/remex/{OTHER}"
    assert tip in log.read_text()
    for launch in (LAUNCH, OTHER):
        repository.remove_there(launch)
    forget_removed_branches(Git(clone))
    assert not log.exists()
    assert not log.parent.exists()


def test_origin_is_asked_only_if_there_is_something(repository):
    """Without such refs origin is not reached; with one, its error is reported."""
    run(repository.path, "remote", "set-url", "origin", repository.path / "nowhere")
    forget_removed_branches(repository.git)
    run(repository.path, "remote", "set-url", "origin", repository.origin)
    repository.push(LAUNCH)
    run(repository.path, "remote", "set-url", "origin", repository.path / "nowhere")
    with pytest.raises(RepositoryError, match="ls-remote"):
        forget_removed_branches(repository.git)


@pytest.mark.parametrize("way", ["pushurl", "pushInsteadOf"])
def test_a_push_goes_elsewhere_than_a_fetch(repository, tmp_path, way):
    """An interrupted push is found where it went, and its branch is removed there."""
    primary = tmp_path / "primary.git"
    run(tmp_path, "clone", "--quiet", "--bare", repository.origin, primary)
    if way == "pushurl":
        run(repository.path, "config", "remote.origin.pushurl", primary)
    else:
        run(repository.path, "config", f"url.{primary}.pushInsteadOf", repository.origin)
    tip = repository.push(LAUNCH)
    assert run(primary, "rev-parse", f"remex/{LAUNCH}") == tip
    again = ThroughOrigin(repository.git, LAUNCH, [tip])
    assert again.publish(tip).address == str(primary)
    again.withdraw()
    for place in (primary, repository.origin):
        assert run(place, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_no_message_has_a_token(repository):
    """The address that is asked about an interrupted push is shown without credentials."""
    address = "https://me:secret@127.0.0.1:1/star.git"
    run(repository.path, "config", "remote.origin.pushurl", address)
    with pytest.raises(RepositoryError, match=r"https://\*\*\*@127.*does not answer") as refused:
        ThroughOrigin(repository.git, LAUNCH, ["0" * 40])
    assert "secret" not in str(refused.value)


def test_a_branch_that_origin_moved(repository):
    """A branch to which a hook on origin added a commit is named, and left."""
    publisher = repository.publisher(LAUNCH)
    moved = run(repository.origin, "commit-tree", f"remex/{LAUNCH}^{{tree}}", "-m", "by a hook")
    run(repository.origin, "update-ref", f"refs/heads/remex/{LAUNCH}", moved)
    with pytest.raises(RepositoryError, match=f"is at {moved}, which this launch did not push"):
        publisher.withdraw()
    repository.remove_there(LAUNCH)
    publisher.withdraw()


def test_a_hook_that_says_much(repository):
    """Of what a hook on origin prints, the last lines are shown."""
    hook = repository.origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nseq 100000\necho only release branches here\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RepositoryError, match="only release branches here") as refused:
        repository.publisher(LAUNCH)
    assert len(str(refused.value)) < 3000


def test_a_branch_in_the_way(repository):
    """A branch of the user's that is called as our folder of branches is named, with the fix."""
    run(repository.path, "push", "--quiet", "origin", "main:remex")
    with pytest.raises(RepositoryError, match="rename the branch remex there"):
        repository.publisher(LAUNCH)


def test_a_push_that_arrived_though_it_failed(repository):
    """If one of two repositories that are pushed to refuses, the branch is removed on the other."""
    publisher = repository.publisher(LAUNCH)
    for address in (repository.origin, "/nowhere"):
        run(repository.path, "remote", "set-url", "--add", "--push", "origin", address)
    parent = f"refs/remex/{LAUNCH}"
    tip = run(repository.path, "commit-tree", "main^{tree}", "-p", parent, "-m", "more")
    with pytest.raises(RepositoryError, match="/nowhere"):
        publisher.publish(tip)
    run(repository.path, "remote", "set-url", "--delete", "--push", "origin", "/nowhere")
    publisher.withdraw()
    assert run(repository.origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize("remote", ["gone", "renamed"])
def test_an_origin_that_is_not_there(repository, remote):
    """A push and its repetition name both ways out."""
    tip = repository.push(LAUNCH)
    if remote == "renamed":
        run(repository.path, "remote", "rename", "--no-progress", "origin", "upstream")
    else:
        run(repository.path, "remote", "set-url", "origin", "/nowhere")
    words = {"gone": r"origin \(/nowhere\)", "renamed": "git remote add origin"}[remote]
    for tips in ([], [tip]):
        with pytest.raises(RepositoryError, match=f"(?s){words}.*via='connection'"):
            ThroughOrigin(repository.git, LAUNCH, tips).publish(tip)


def test_an_origin_that_does_not_answer(repository, monkeypatch):
    """A push that hangs is said to hang, is ended, and its branch is not forgotten."""
    monkeypatch.setattr(git_process, "SAID", 1.0)
    monkeypatch.setattr(git_process, "SILENCE", 3.0)
    hook = repository.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexec sleep 10\n")
    hook.chmod(0o755)
    tip = run(repository.path, "rev-parse", "main")
    publisher, said = ThroughOrigin(repository.git, LAUNCH), []
    begun = time.monotonic()
    with pytest.raises(RepositoryError, match=r"origin did not answer for 3 s, so git was ended"):
        publisher.publish(tip, said.append)
    assert time.monotonic() - begun < 20
    assert said[:2] == ["origin has not answered for 1 s", "origin has not answered for 2 s"]
    assert not publisher.withdraw()
    hook.unlink()
    again = ThroughOrigin(repository.git, LAUNCH, [tip])
    again.publish(tip)
    assert again.withdraw()
    assert run(repository.origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_slow_push(repository, tmp_path, monkeypatch):
    """A push over a link that takes several times the limit, with progress, is not ended."""
    monkeypatch.setattr(git_process, "SILENCE", 3.0)
    (repository.path / "big").write_bytes(os.urandom(3_000_000))
    run(repository.path, "add", "big")
    run(repository.path, "commit", "--quiet", "--message", "big")
    tip = run(repository.path, "rev-parse", "main")
    slow = "import sys,time\n"
    slow += "while data := sys.stdin.buffer.read1(32768):\n"
    slow += "  sys.stdout.buffer.write(data); sys.stdout.flush(); time.sleep(len(data) / 300000)\n"
    link = tmp_path / "ssh"
    command = shlex.join([sys.executable, "-c", slow])
    link.write_text(f'#!/bin/sh\nfor last; do :; done\n{command} | sh -c "$last"\n')
    link.chmod(0o755)
    run(repository.path, "config", "core.sshCommand", link)
    run(repository.path, "config", "ssh.variant", "simple")
    run(repository.path, "remote", "set-url", "origin", f"far:{repository.origin}")
    begun = time.monotonic()
    ThroughOrigin(repository.git, LAUNCH).publish(tip)
    assert time.monotonic() - begun > 3 * git_process.SILENCE
    assert run(repository.origin, "rev-parse", f"remex/{LAUNCH}") == tip
