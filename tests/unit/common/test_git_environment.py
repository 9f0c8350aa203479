"""Which of git's variables reach our git commands and local jobs."""

import subprocess

import pytest

from pytest_remex.agent.local import scheduler
from pytest_remex.agent.place import git as agents_git
from pytest_remex.common.git_environment import is_kept
from pytest_remex.repo.git import Git


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
