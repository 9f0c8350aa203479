"""Compute the fingerprint of an experiment's inputs, which is the same on every machine.

A fingerprint is the id that git would give the tree of the inputs, with the scheduling options left
out of the script. It is computed without git and without writing objects: the base's tree once, and
for each experiment only the folders that its patch changed.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_remex.common.git import DIFF_TREE, read_differences
from pytest_remex.errors import SweepError
from pytest_remex.repo.files import folders, within
from pytest_remex.repo.git import Git
from pytest_remex.repo.inputs import Inputs
from pytest_remex.repo.trees import (
    LINK,
    SUBMODULE,
    Blob,
    Edit,
    ObjectHash,
    Tree,
    TreeEntry,
    listing,
)
from pytest_remex.sbatch.script import without_scheduling


@dataclass(frozen=True, slots=True)
class Footprint:
    """The size of a run directory: the number of its files, and their bytes."""

    files: int
    size: int

    def __add__(self, other: Footprint) -> Footprint:
        """Return the sum of two sizes."""
        return Footprint(self.files + other.files, self.size + other.size)

    @classmethod
    def total(cls, footprints: Iterable[Footprint]) -> Footprint:
        """Return the sum of several sizes."""
        return sum(footprints, cls(0, 0))


class InputTree:
    """The inputs in a base commit, and the fingerprints of experiments on it.

    Args:
        base: The base commit's sha.
        files: The base commit's files.
        inputs: Which of them are inputs.
        script: The script's bytes in the base; None if the base does not have it.

    """

    def __init__(
        self, base: str, files: Mapping[bytes, Blob], inputs: Inputs, script: bytes | None
    ) -> None:
        self.base = base
        self._inputs = inputs
        self._hash = ObjectHash(base)
        self._sizes = {path: blob.size for path, blob in files.items() if inputs.is_placed(path)}
        self._footprints: dict[tuple[bytes, ...], Footprint] = {}
        entries = [
            TreeEntry(path, blob.mode, blob.sha)
            for path, blob in files.items()
            if inputs.is_input(_matched(path, blob.mode))
        ]
        self.left_out = tuple(_topmost(set(files).difference(self._sizes), folders(self._sizes)))
        """The base's files and folders that run directories do not contain, each folder once."""
        if script is not None and files[inputs.script].mode != LINK:
            entries.append(self._script_entry(files[inputs.script], script))
        self._tree = Tree(entries, self._hash)

    def entries(self, edits: Iterable[Edit]) -> tuple[TreeEntry, ...]:
        """Return a patch's changes to the inputs: all that its fingerprint needs later.

        Raises:
            SweepError: sbatch would refuse the script's header after the patch.

        """
        return tuple(self._entry(edit) for edit in edits if self._inputs.is_input(edit.path))

    def fingerprint(self, changes: Iterable[Edit | TreeEntry] = ()) -> str:
        """Return an experiment's fingerprint.

        Args:
            changes: Its patch, as edits or as returned by `entries`; changes to other files than
                inputs are ignored.

        Returns:
            A git tree id in hexadecimal digits: 40, or 64 in a SHA-256 repository.

        Raises:
            SweepError: sbatch would refuse the script's header after the patch.

        """
        entries = [
            self._entry(change) if isinstance(change, Edit) else change
            for change in changes
            if self._inputs.is_input(change.path)
        ]
        return self._tree.changed(entries) if entries else self._tree.sha

    def holds(self, path: str) -> bool:
        """Return whether run directories contain a file or folder of the base, or part of it."""
        return any(within([os.fsencode(path.strip("/"))], self._sizes))

    def footprint(self, edits: Iterable[Edit] = (), shared: Sequence[str] = ()) -> Footprint:
        """Return a run directory's size; without declared inputs it holds the whole commit.

        Args:
            edits: The experiment's patch.
            shared: The paths that run directories link to; they do not count.

        """
        apart = tuple(os.fsencode(path.strip("/")) for path in shared if path.strip("/"))
        found = self._base_footprint(apart)
        count, size = found.files, found.size
        for edit in edits:
            if not self._inputs.is_placed(edit.path) or (apart and any(within(apart, [edit.path]))):
                continue
            before = self._sizes.get(edit.path)
            count += (edit.content is not None) - (before is not None)
            size += len(edit.content or b"") - (before or 0)
        return Footprint(count, size)

    def _base_footprint(self, apart: tuple[bytes, ...]) -> Footprint:
        if apart not in self._footprints:
            left_out = set(within(apart, self._sizes)) if apart else set()
            sizes = [size for path, size in self._sizes.items() if path not in left_out]
            self._footprints[apart] = Footprint(len(sizes), sum(sizes))
        return self._footprints[apart]

    def _script_entry(self, blob: Blob, script: bytes) -> TreeEntry:
        try:
            return self._entry(Edit(self._inputs.script, blob.mode, script))
        except SweepError:  # the base is not an experiment: a patch may still correct the script
            return TreeEntry(self._inputs.script, blob.mode, blob.sha)

    def _entry(self, edit: Edit) -> TreeEntry:
        content = edit.content
        if content is None:
            return TreeEntry(edit.path)
        if edit.path == self._inputs.script and edit.mode != LINK:
            content = without_scheduling(content)
        return TreeEntry(edit.path, edit.mode, self._hash.blob(content))


def _topmost(paths: Iterable[bytes], kept: Container[bytes]) -> list[str]:
    """Return the paths, replacing those below a folder that is not kept by that folder."""
    found: set[bytes] = set()
    for path in paths:
        parts = path.split(b"/")
        above = (b"/".join(parts[:count]) for count in range(1, len(parts)))
        found.add(next((folder for folder in above if folder not in kept), path))
    return sorted(map(os.fsdecode, found))


def read_input_tree(repository: Git, base: str, inputs: Inputs) -> InputTree:
    """Return the inputs in a base commit."""
    files = dict(listing(repository, base))
    blob = files.get(inputs.script)
    script = None if blob is None else repository.ask("cat-file", "blob", blob.sha)
    return InputTree(base, files, inputs, script)


def differing(repository: Git, one: str, other: str, inputs: Inputs) -> tuple[str, ...]:
    """Return the inputs that differ between two base commits, by path.

    Scheduling options in the script are ignored.

    Raises:
        RepositoryError: A commit is not in the repository.

    """
    changed = []
    for _, each in read_differences(repository.ask(*DIFF_TREE, one, other, "--")):
        modes = each.old_mode.decode(), each.mode.decode()
        if not any(inputs.is_input(_matched(each.path, mode)) for mode in modes):
            continue
        is_script = each.path == inputs.script and modes[0] == modes[1] != LINK
        if is_script and _same_script(repository, each.old_blob.decode(), each.blob.decode()):
            continue
        changed.append(os.fsdecode(each.path))
    return tuple(sorted(changed))


def _matched(path: bytes, mode: str) -> bytes:
    """Return the path of a file, or of a submodule, as patterns are matched against it."""
    return path + b"/" if mode == SUBMODULE else path


def _same_script(repository: Git, before: str, after: str) -> bool:
    one, other = (repository.ask("cat-file", "blob", sha) for sha in (before, after))
    try:
        return without_scheduling(one) == without_scheduling(other)
    except SweepError:  # an old base's script may be invalid: then it differs
        return False
