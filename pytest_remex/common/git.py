"""What is common to git here and on the cluster: its variables, and what it prints about trees.

Git's variables can redirect the repository, the index or the work tree, and change what is pushed,
hashed or printed. A git hook or a wrapper sets them for a repository of its own. So only those are
kept, also for local jobs, that say how to reach a server or where git is installed.
"""

import re
from typing import Dict, Iterator, Mapping, NamedTuple, Tuple

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

FIXED_VARIABLES = {
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


_PROGRESS = re.compile(r"(remote: )?(\w+ing (objects|deltas): |Total \d+ \(|Delta compr)")


def without_progress(said: str) -> str:
    """Return what git said, with `--progress`, without the lines about its progress."""
    return "\n".join(e for e in re.split("[\r\n]+", said) if not _PROGRESS.match(e))


DIFF_TREE = (
    *("diff-tree", "-r", "-z", "--raw", "--full-index"),
    *("--no-renames", "--no-ext-diff", "--ignore-submodules=none"),
)
"""The command; two commits or trees follow, or `--stdin` for pairs of trees."""
ABSENT = b"000000"
"""The mode of a path that a tree does not have."""


class TreeDifference(NamedTuple):
    """A path that differs between two trees: its modes, and the ids of its blobs."""

    path: bytes
    old_mode: bytes
    mode: bytes
    old_blob: bytes
    blob: bytes


def read_differences(output: bytes) -> Iterator[Tuple[Tuple[str, str], TreeDifference]]:
    r"""Yield each difference with the pair of trees that it is in; without `--stdin`, none.

    A header is `old new\n`; a row is `:mode mode blob blob letter\0path\0`.
    """
    pair, position = ("", ""), 0
    while position < len(output):
        if output[position : position + 1] != b":":
            end = output.index(b"\n", position)
            old, new = output[position:end].decode("ascii").split()
            pair, position = (old, new), end + 1
            continue
        middle = output.index(b"\0", position)
        end = output.index(b"\0", middle + 1)
        facts = output[position + 1 : middle].split(b" ")
        yield pair, TreeDifference(output[middle + 1 : end], *facts[:4])
        position = end + 1
