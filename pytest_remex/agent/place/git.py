"""Git in the clone, whose work tree, index, HEAD and branches stay as they are."""

import os
from typing import Dict, List

from pytest_remex.agent import process
from pytest_remex.agent.errors import AgentError, full_disk_error
from pytest_remex.common import git_environment

PATIENCE = 3600.0
"""Seconds for one git command; a fetch over a slow link takes its time."""
_SETTINGS = (
    "color.ui=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.logAllRefUpdates=false",
    "core.quotePath=true",
    "fetch.pruneTags=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
)
"""What the clone's or the cluster user's configuration may not change in our commands."""
_ENVIRONMENT = dict(git_environment.FIXED, GIT_TERMINAL_PROMPT="0")


def environment() -> Dict[str, str]:
    """Return the environment for git: no prompts, messages in English, no replaced objects."""
    return dict(git_environment.without_git_variables(os.environ), **_ENVIRONMENT)


def command(clone: str, *words: str) -> List[str]:
    """Build a git command for the clone."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return ["git", "--no-pager", "-C", clone, *settings, *words]


def run(clone: str, *words: str, text: str = "") -> process.Ran:
    """Run git in the clone."""
    return process.run(command(clone, *words), timeout=PATIENCE, env=environment(), text=text)


def ask(clone: str, *words: str, text: str = "") -> str:
    """Run git in the clone and return its output; an error of kind git when it fails."""
    ran = run(clone, *words, text=text)
    if not ran.ok:
        error = AgentError("git", f"git {words[0]} failed in {clone}: {ran.message()}")
        raise full_disk_error(ran.message(), clone) or error
    return ran.out


def check_clone(clone: str) -> None:
    """Raise an error of kind clone when the folder is no git repository."""
    if not os.path.isdir(clone):
        message = f"there is no folder {clone}; clone the repository there first"
        raise AgentError("clone", message)
    ran = run(clone, "rev-parse", "--git-dir")
    if ran.code == process.MISSING:
        message = "git is not on PATH there; load its module in your shell's start-up files"
        raise AgentError("git", message)
    if not ran.ok:
        raise AgentError("clone", f"{clone} is not a git repository: {ran.message()}")


def tips(clone: str) -> List[str]:
    """Return the commits at the clone's refs and HEAD."""
    listed = ask(
        clone,
        "for-each-ref",
        "--format=%(objectname)^{commit}",
        *("refs/heads", "refs/remotes", "refs/tags"),
    )
    named = ask(clone, "cat-file", "--batch-check=%(objectname)", text=listed + "HEAD\n")
    return sorted({line for line in named.splitlines() if not line.endswith(" missing")})
