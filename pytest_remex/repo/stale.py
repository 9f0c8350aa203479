"""Removes what a pytest that was killed on this machine left in a repository."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path

from pytest_remex.repo.git import Git

PREFIX = "remex-scratch-"
"""How the folders of scratch checkouts begin; host and process follow."""


def remove_stale(repository: Git) -> None:
    """Remove checkouts that a killed pytest on this machine left behind."""
    pattern = re.compile(rf"/{PREFIX}{re.escape(socket.gethostname())}-(\d+)-[^/]+/")
    output = repository.run("worktree", "list", "--porcelain", "-z")
    for line in output.split("\0"):
        path = line.removeprefix("worktree ")
        owner = pattern.search(path)
        if line != path and owner and not is_alive(int(owner[1])):
            remove_checkout(repository, Path(path))


def remove_checkout(repository: Git, path: Path) -> None:
    """Remove a checkout, the folder that it is in, and its registration; no link is followed."""
    home = path.parent
    if home.is_symlink():
        home.unlink()
    shutil.rmtree(home, ignore_errors=True)
    if not path.is_symlink():  # git would empty what it points to
        repository.attempt("worktree", "remove", "--force", "--force", str(path))


def is_alive(pid: int) -> bool:
    """Say whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
