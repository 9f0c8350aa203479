"""Decide which of git's environment variables are kept, on both sides and for local jobs.

Git's variables can redirect the repository, the index or the work tree, and change what is pushed,
hashed or printed. A git hook or a wrapper sets them for a repository of its own. So only those are
kept that say how to reach a server or where git is installed.
"""

from typing import Dict, Mapping

KEPT = frozenset(
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
"""Variables of git that are kept. Those that name a configuration file are among them, because it
may set up a credential helper or a proxy; our command line options override its other settings."""
KEPT_PREFIXES = ("GIT_HTTP_", "GIT_PROXY_", "GIT_PYTHON_", "GIT_SSL_")
"""Prefixes of other variables that are kept: for TLS and proxies, and GitPython's own."""

FIXED = {
    "GIT_GRAFT_FILE": "/dev/null/none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}
"""Variables that are set for each git command: commits are read without replacements and grafts,
and git's output is in English, without trace lines in it."""


def is_kept(name: str) -> bool:
    """Return whether an environment variable is kept; those that are not git's always are."""
    return not name.startswith("GIT_") or name in KEPT or name.startswith(KEPT_PREFIXES)


def kept_variables(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables that are kept."""
    return {name: text for name, text in variables.items() if is_kept(name)}
