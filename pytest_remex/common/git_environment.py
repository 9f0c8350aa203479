"""Which of git's environment variables are kept, on both sides and for local jobs.

Git's variables may move the repository, the index or the work tree, and change what is pushed,
hashed or printed. A git hook or a wrapper sets them for a repository of its own. So only those are
kept that say how a server is reached or where git is installed.
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
"""Variables of git that are kept. A configuration file may hold a credential helper or a proxy,
and is named by a variable as it is by HOME; what else it sets is overruled by command line
settings."""
KEPT_PREFIXES = ("GIT_HTTP_", "GIT_PROXY_", "GIT_PYTHON_", "GIT_SSL_")
"""How other kept variables begin: those of TLS and proxies, and GitPython's own."""

FIXED = {
    "GIT_GRAFT_FILE": "/dev/null/none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}
"""Variables that each of our git commands gets: a commit is what its id says, without replacements
and grafts, and what git prints is in English and without a trace in between."""


def is_kept(name: str) -> bool:
    """Return whether an environment variable is kept: all that are not git's own are."""
    return not name.startswith("GIT_") or name in KEPT or name.startswith(KEPT_PREFIXES)


def without_git_variables(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables that are kept."""
    return {name: text for name, text in variables.items() if is_kept(name)}
