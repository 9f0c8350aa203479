"""What our git commands take from the caller's environment and configuration, and what they do not.

Git's variables and settings may move the repository, the index or the work tree, and change what
is pushed, hashed or printed. So of the variables only those pass that say how a server is reached
or where git is installed, and each setting that could act on a command of ours is given with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

NETWORK = frozenset(
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
        "GIT_TERMINAL_PROMPT",
    }
)
"""Git's variables that pass. A configuration file may hold a credential helper or a proxy, and is
named by a variable as it is by HOME; what else it holds is overruled by SETTINGS."""
FAMILIES = ("GIT_HTTP_", "GIT_PROXY_", "GIT_PYTHON_", "GIT_SSL_")
"""How others that pass begin: of TLS and proxies, and GitPython's own."""

FIXED = {
    "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1",
    "GIT_GRAFT_FILE": "/dev/null/none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}
"""A commit is what its id says, on the cluster as here: no replacements, no grafts. What git says
is read by us: in English, and without a trace in between."""

SETTINGS = (
    "color.advice=false",
    "color.push=false",
    "color.remote=false",
    "color.transport=false",
    "color.ui=false",
    "commit.gpgSign=false",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.ignoreCase=false",
    "core.logAllRefUpdates=false",
    "core.quotePath=true",
    "core.splitIndex=false",
    "core.warnAmbiguousRefs=true",
    "fastimport.unpackLimit=100",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "i18n.logOutputEncoding=utf-8",
    "maintenance.auto=false",
    "push.default=nothing",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.negotiate=false",
    "push.pushOption=",
    "push.recurseSubmodules=no",
    "push.useForceIfIncludes=false",
    "remote.pushDefault=origin",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
)
"""Settings of every command. How a server is reached (url, pushurl, receivepack, insteadOf, proxy,
credentials, ssh) stays the user's, and so does how git compares their own work tree (autocrlf,
filters, fileMode), which only `status` does."""


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a git command that a caller with these variables starts."""
    return {name: text for name, text in variables.items() if passes(name)} | FIXED


def options() -> list[str]:
    """Return the words that give SETTINGS to a git command."""
    return [word for setting in SETTINGS for word in ("-c", setting)]


def passes(name: str) -> bool:
    """Return whether a variable reaches git: all that are not git's own do."""
    return not name.startswith("GIT_") or name in NETWORK or name.startswith(FAMILIES)


@contextmanager
def without_git_variables() -> Iterator[None]:
    """Take the variables that do not pass out of this process, and put all of git's back after.

    For a patch: git that it starts in the checkout would act on the repository that a hook names.
    """
    before = _of_git()
    for name in before:
        if not passes(name):
            del os.environ[name]
    try:
        yield
    finally:
        for name in _of_git():
            del os.environ[name]
        os.environ.update(before)


def _of_git() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith("GIT_")}
