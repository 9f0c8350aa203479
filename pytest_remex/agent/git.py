"""Git in the clone, whose work tree, index, HEAD and branches stay as they are."""

import os
from typing import Dict, List

from . import commands
from .faults import AgentError, told_full

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
_NETWORK = frozenset(
    {
        "GIT_ALLOW_PROTOCOL",
        "GIT_ASKPASS",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_PROTOCOL_FROM_USER",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
    }
)
"""Git's variables that pass: they say how origin is reached, or where git is installed."""
_FAMILIES = ("GIT_HTTP_", "GIT_PROXY_", "GIT_SSL_")
_FIXED = {
    "GIT_GRAFT_FILE": "/dev/null/none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}


def environment() -> Dict[str, str]:
    """Return the environment for git: asks nobody, speaks English, follows no replacements."""
    kept = {name: text for name, text in os.environ.items() if _passes(name)}
    kept.update(_FIXED)
    return kept


def _passes(name: str) -> bool:
    return not name.startswith("GIT_") or name in _NETWORK or name.startswith(_FAMILIES)


def command(clone: str, *words: str) -> List[str]:
    """Build a git command for the clone."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return ["git", "--no-pager", "-C", clone, *settings, *words]


def run(clone: str, *words: str, text: str = "") -> commands.Ran:
    """Run git in the clone."""
    return commands.run(command(clone, *words), timeout=PATIENCE, env=environment(), text=text)


def ask(clone: str, *words: str, text: str = "") -> str:
    """Run git in the clone and give its output; an error of kind git when it fails."""
    ran = run(clone, *words, text=text)
    if not ran.well:
        error = AgentError("git", f"git {words[0]} failed in {clone}: {ran.words()}")
        raise told_full(ran.words(), clone) or error
    return ran.out


def check_clone(clone: str) -> None:
    """Raise an error of kind clone when the folder is no git repository."""
    if not os.path.isdir(clone):
        message = f"there is no folder {clone}; clone the repository there first"
        raise AgentError("clone", message)
    ran = run(clone, "rev-parse", "--git-dir")
    if ran.code == commands.MISSING:
        message = "git is not on PATH there; load its module in your shell's start-up files"
        raise AgentError("git", message)
    if not ran.well:
        raise AgentError("clone", f"{clone} is not a git repository: {ran.words()}")


def tips(clone: str) -> List[str]:
    """Give the commits at the clone's refs and HEAD."""
    listed = ask(
        clone,
        "for-each-ref",
        "--format=%(objectname)^{commit}",
        *("refs/heads", "refs/remotes", "refs/tags"),
    )
    named = ask(clone, "cat-file", "--batch-check=%(objectname)", text=listed + "HEAD\n")
    return sorted({line for line in named.splitlines() if not line.endswith(" missing")})
