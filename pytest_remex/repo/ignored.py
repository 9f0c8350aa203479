"""Which new files the .gitignore files of a checkout leave out, and nothing else does.

The user's own lists (core.excludesFile, .git/info/exclude) are on one machine alone, and the same
patch makes the same commit on all: git is asked in an empty repository of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_remex.errors import RepositoryError
from pytest_remex.repo.git import Git


class Ignored:
    """Asks git of the files in `checkout`; keeps an empty repository in `home`."""

    def __init__(self, repository: Git, checkout: Path, home: Path) -> None:
        self._git = repository
        empty = home / "ignored.git"
        for folder in ("objects", "refs"):
            (empty / folder).mkdir(parents=True)
        (empty / "HEAD").write_text("ref: refs/heads/none\n", "utf-8")
        self._where = ("-C", str(checkout), f"--git-dir={empty}")

    def among(self, paths: Sequence[bytes]) -> set[bytes]:
        """Return those of the paths that are ignored."""
        if not paths:
            return set()
        process = self._git.stream(*self._where, "check-ignore", "-z", "--no-index", "--stdin")
        output, errors = process.popen.communicate(b"".join(path + b"\0" for path in paths))
        if process.popen.returncode not in {0, 1}:  # 1: none of them is
            words = errors.decode(errors="replace").strip()
            raise RepositoryError(f"git check-ignore failed in {self._git.top}: {words}")
        return set(output.split(b"\0")) - {b""}
