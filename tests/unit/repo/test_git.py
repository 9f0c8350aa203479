"""Requests to git, and its answers."""

import subprocess

import pytest

from pytest_remex.errors import RepositoryError
from pytest_remex.repo.git import Git


@pytest.fixture
def repository(tmp_path):
    """Return a repository with one commit."""
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet",
         "--allow-empty", "--message=first"],
    ):  # fmt: skip
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return Git(tmp_path)


def test_resolve(repository):
    """Branch, HEAD, sha and HEAD~0 are one commit; the branch's name is found."""
    sha = repository.resolve("HEAD")
    assert len(sha) == 40
    assert {repository.resolve(name) for name in ("main", sha, "HEAD~0", sha[:10])} == {sha}
    assert repository.branch("HEAD") == "main"
    assert repository.branch(sha) == sha


@pytest.mark.parametrize("revision", ["nowhere", "--all", "-h", "", "main..main", "a\nb", "HEAD:"])
def test_unknown_revision(repository, revision):
    """A text that is not a commit is refused by name, and never becomes an option."""
    with pytest.raises(RepositoryError, match=r"unknown branch or commit .*the branches are: main"):
        repository.resolve(revision)


def test_detached(repository):
    """A detached HEAD has its own name."""
    repository.run("checkout", "--quiet", "--detach")
    assert repository.branch("HEAD") == "detached"


def test_errors_in_gits_words(repository):
    """A command that fails raises with git's own words."""
    with pytest.raises(RepositoryError, match=r"git cat-file -p failed in .*: fatal: "):
        repository.run("cat-file", "-p", "nothing")


def test_origin_without_token(repository):
    """Origin's address is given without credentials."""
    assert repository.origin() is None
    repository.run("remote", "add", "origin", "https://me:secret@host/x.git")
    assert repository.origin() == "https://***@host/x.git"


def test_update_ref_is_guarded(repository):
    """A ref is only moved from its expected commit."""
    sha = repository.resolve("HEAD")
    repository.update_ref("refs/remex/a", sha, None)
    assert repository.ref("refs/remex/a") == sha
    with pytest.raises(RepositoryError):
        repository.update_ref("refs/remex/a", sha, None)


@pytest.mark.parametrize("name", ["plain", "a\nb", "a\rb\u2028c", "ends\n"])
def test_folders(tmp_path, name):
    """The top and the repository are found from below, without a work tree, and with any name."""
    top, bare = tmp_path / name, tmp_path / f"bare {name}"
    (top / "below").mkdir(parents=True)
    for words in (["init", "--quiet", str(top)], ["init", "--quiet", "--bare", str(bare)]):
        subprocess.run(["git", *words], check=True)
    for place in (top, top / "below"):
        assert (Git(place).top, Git(place).folder) == (top, top / ".git")
    assert (Git(bare).top, Git(bare).folder) == (bare, bare)


def test_folder_that_is_not_there(tmp_path):
    """A path that does not exist is named, with the fix."""
    with pytest.raises(RepositoryError, match=r"nowhere does not exist: set remex_repo"):
        Git(tmp_path / "nowhere")
