"""What commits that were made before changed on their base, read back from the repository."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_remex.errors import RepositoryError
from pytest_remex.model import Commit
from pytest_remex.repo.commits import LINK, Edit
from pytest_remex.repo.git import Git
from pytest_remex.repo.trees import TreeEntry

_GONE = "000000"
"""The mode that git shows of a file that is not there."""


def patches_of(
    repository: Git, base: str, commits: Sequence[Commit], script: bytes
) -> dict[str, list[Edit | TreeEntry]]:
    """Return what commits on a base changed, by their shas; without those that are not here.

    Args:
        repository: The repository, which holds the base.
        base: The sha of the base commit.
        commits: The commits.
        script: The path of the script, whose bytes are read; of other files only ids are.

    Raises:
        RepositoryError: Git cannot read them.

    """
    base_tree = repository.run("rev-parse", f"{base}^{{tree}}").strip()
    here = _present(repository, {commit.tree for commit in commits})
    pairs = sorted(tree for tree in here if tree != base_tree)
    differences = _differences(repository, base_tree, pairs)
    scripts: dict[str, bytes] = {}
    changes: Mapping[str, list[Edit | TreeEntry]] = {
        tree: [_change(repository, entry, script, scripts) for entry in entries]
        for tree, entries in differences.items()
    }
    return {each.sha: changes.get(each.tree, []) for each in commits if each.tree in here}


def _present(repository: Git, trees: Iterable[str]) -> set[str]:
    asked = "".join(f"{tree}\n" for tree in sorted(trees)).encode()
    output = _ask(repository, ("cat-file", "--batch-check"), asked)
    rows = (line.split() for line in output.decode().splitlines())
    return {row[0] for row in rows if row[1:2] == ["tree"]}


def _differences(
    repository: Git, base_tree: str, trees: Sequence[str]
) -> dict[str, list[TreeEntry]]:
    asked = "".join(f"{base_tree} {tree}\n" for tree in trees).encode()
    command = ("diff-tree", "--stdin", "-r", "-z", "--no-renames", "--raw", "--full-index")
    found: dict[str, list[TreeEntry]] = {}
    for tree, entry in _rows(_ask(repository, command, asked)):
        found.setdefault(tree, []).append(entry)
    return found


def _rows(output: bytes) -> Iterator[tuple[str, TreeEntry]]:
    r"""Read headers `old new\n`, each followed by rows `:mode mode blob blob letter\0path\0`."""
    tree, position = "", 0
    while position < len(output):
        if output[position : position + 1] != b":":
            end = output.index(b"\n", position)
            tree = output[position:end].decode().split()[1]
            position = end + 1
            continue
        middle = output.index(b"\0", position)
        end = output.index(b"\0", middle + 1)
        _, mode, _, blob, _ = output[position:middle].decode().split()
        path = output[middle + 1 : end]
        yield tree, TreeEntry(path) if mode == _GONE else TreeEntry(path, mode, blob)
        position = end + 1


def _change(
    repository: Git, entry: TreeEntry, script: bytes, scripts: dict[str, bytes]
) -> Edit | TreeEntry:
    if entry.path != script or not entry.sha or entry.mode == LINK:
        return entry
    if entry.sha not in scripts:
        scripts[entry.sha] = _ask(repository, ("cat-file", "blob", entry.sha), b"")
    return Edit(entry.path, entry.mode, scripts[entry.sha])


def _ask(repository: Git, command: Sequence[str], text: bytes) -> bytes:
    code, output, errors = repository.stream(*command).communicate(text)
    if code:
        words = os.fsdecode(errors).strip()
        raise RepositoryError(f"git {' '.join(command[:2])} failed in {repository.top}: {words}")
    return output
