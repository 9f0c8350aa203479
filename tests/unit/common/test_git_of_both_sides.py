"""Git's variables that reach our git commands and local jobs, and what git prints about trees."""

import os
import subprocess

import pytest

from pytest_remex.agent.local import scheduler
from pytest_remex.agent.place import git as agents_git
from pytest_remex.common.git import ABSENT, DIFF_TREE, is_kept, read_differences, without_progress
from pytest_remex.repo.git import Git

PATHS = [b"a b", b":100644 x", b"line\nbreak", b"\xff\xfe"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("PATH", True),
        ("GITHUB_TOKEN", True),
        ("GIT_SSH_COMMAND", True),
        ("GIT_SSL_CAINFO", True),
        ("GIT_CONFIG_GLOBAL", True),
        ("GIT_DIR", False),
        ("GIT_CONFIG_COUNT", False),
        ("GIT_CONFIG_KEY_0", False),
        ("GIT_OBJECT_DIRECTORY", False),
    ],
)
def test_kept_variables(name, kept):
    """Only git's variables that say how a server is reached are kept, and all of others."""
    assert is_kept(name) is kept


def test_one_list_for_all(tmp_path, monkeypatch):
    """The client's git, the agent's git and local jobs keep the same variables of git."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("GIT_SSH_COMMAND", "GIT_PROXY_COMMAND"):
        monkeypatch.setenv(name, "kept")
    for name in ("GIT_DIR", "GIT_CONFIG_COUNT", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH"):
        monkeypatch.setenv(name, "dropped")
    printed = Git(tmp_path).run("-c", "alias.variables=!env", "variables")
    for variables in (
        dict(line.partition("=")[::2] for line in printed.splitlines()),
        agents_git.environment(),
        scheduler.job_environment(),
    ):
        assert variables["GIT_SSH_COMMAND"] == variables["GIT_PROXY_COMMAND"] == "kept"
        assert "dropped" not in variables.values()


def git(folder, *words, text=b""):
    """Run git in a folder, and return its output."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, cwd=folder, input=text, check=True, stdout=-1).stdout


def test_differences_of_pairs_of_trees(tmp_path):
    """Each comes with its pair of trees, whatever its path; a removed file has no mode."""
    git(tmp_path, "init", "-q")
    trees = []
    for content in ("one", "two", None):
        for path in PATHS:
            file = tmp_path / os.fsdecode(path)
            file.write_text(content, "ascii") if content else file.unlink()
        git(tmp_path, "add", "--all")
        trees.append(git(tmp_path, "write-tree").decode().strip())
    first, second, empty = trees
    text = f"{first} {second}\n{first} {empty}\n".encode()
    found = list(read_differences(git(tmp_path, *DIFF_TREE, "--stdin", text=text)))
    assert [(pair, each.path) for pair, each in found] == [
        (pair, path) for pair in ((first, second), (first, empty)) for path in sorted(PATHS)
    ]
    assert [each.mode == ABSENT for _, each in found] == [False] * 4 + [True] * 4
    assert len({each.old_blob for _, each in found}) == 1
    without_header = read_differences(git(tmp_path, *DIFF_TREE, first, second))
    assert [each for _, each in without_header] == [each for _, each in found[:4]]


def test_without_progress():
    """What `--progress` adds is left out, and nothing of what a server or its hooks say."""
    progress = (
        "Enumerating objects: 3, done.\nCounting objects:  33% (1/3)\rCounting objects: 100% (3/3)"
        ", done.\nDelta compression using up to 2 threads\nWriting objects: 100% (3/3), 7.63 MiB, "
        "done.\nTotal 3 (delta 0), reused 0\nremote: Resolving deltas: 100% (1/1), done.        \n"
    )
    words = "remote: Total 5 runs refused\nremote: objects: none\nfatal: Total failure\n"
    assert without_progress(progress + words) == words
    assert without_progress(words.replace("\n", "\r\n") + progress) == words
