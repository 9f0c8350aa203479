"""Decide which files of a repository are an experiment's inputs: the files that it depends on.

Control files control experiments, and no job reads them: sweep files, conftest.py, pytest.ini, and
the files that the ini key `remex_control` names. Inputs are all other files of the base commit
after the patch; or, if a sweep declares `inputs=[...]`, only the files that match. Patterns are
those of .gitignore, relative to the top of the repository. The last pattern that matches a path
decides, so `!` can include a file again even below an excluded folder, unlike in git.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from pathspec import PathSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from pytest_remex.display import some_of
from pytest_remex.errors import RepositoryError, SweepError
from pytest_remex.model import CONTROL, SCRIPT
from pytest_remex.repo.git import Git
from pytest_remex.repo.trees import SUBMODULE, Blob, Edit
from pytest_remex.sweep import SWEEP_FILES

_STEERING = (*SWEEP_FILES, "conftest.py", "pytest.ini")
_MODULE = (
    "the submodule {!r}, which would be an empty folder in run directories: submodules are not "
    "supported as inputs; commit its files instead"
)
_FILTERED = (
    "{}, which goes through {}: run directories would have what git stores instead of the file, as "
    "filters of .gitattributes are not supported there; commit it without a filter, or keep it on "
    "the cluster and name its path in the config"
)


class FileKind(Enum):
    """The role of a file in a sweep's experiments."""

    INPUT = auto()
    SWEEP_FILE = auto()
    """A sweep file, conftest.py or pytest.ini."""
    CONTROL = auto()
    """Named by `remex_control`."""
    OTHER_SCRIPT = auto()
    """The script of another sweep in the same file."""
    UNDECLARED = auto()
    """Not among the inputs that the sweep declares."""


class InputRules(NamedTuple):
    """The rules for a sweep's inputs before the repository is known; `files` are absolute."""

    declared: tuple[str, ...] | None
    script: str
    files: tuple[Path, ...]
    other_scripts: tuple[str, ...]
    control: tuple[str, ...]

    def inputs(self, top: Path) -> Inputs:
        """Return the rules for the repository whose work tree is `top`.

        Raises:
            SweepError: A pattern is not a valid .gitignore pattern.

        """
        inside = [path for each in self.files if (path := each.resolve()).is_relative_to(top)]
        return Inputs(
            self.declared,
            script=self.script,
            sweep_files=sorted({path.relative_to(top).as_posix() for path in inside}),
            other_scripts=self.other_scripts,
            control=self.control,
        )


class Inputs:
    """The rules that distinguish a sweep's inputs from other files.

    The script is always an input. Sweep files, conftest.py and pytest.ini never are. A file that
    `remex_control` names is an input only if the sweep declares it.

    Args:
        declared: The sweep's `inputs=`; None if it declares none.
        script: The sweep's script.
        sweep_files: Paths of the file that defines the sweep and of those that `remex_sweeps`
            names, relative to the top of the repository.
        other_scripts: The scripts of the other sweeps of that file.
        control: The patterns of `remex_control`.

    Raises:
        SweepError: A pattern is not a valid .gitignore pattern.

    Example:
        >>> inputs = Inputs(["src/**", "inlist*"], sweep_files=["grids/mass.py"])
        >>> inputs.is_input(b"src/eos.f90"), inputs.is_input(b"grids/mass.py")
        (True, False)

    """

    def __init__(
        self,
        declared: Sequence[str] | None = None,
        *,
        script: str = SCRIPT,
        sweep_files: Sequence[str] = (),
        other_scripts: Sequence[str] = (),
        control: Sequence[str] = CONTROL,
    ) -> None:
        self.script = os.fsencode(script)
        self._sweep_files = frozenset(map(os.fsencode, sweep_files))
        self._other_scripts = frozenset(map(os.fsencode, other_scripts))
        self._steering = _compiled(_STEERING, "")
        self._declared = None if declared is None else _compiled(declared, "inputs")
        self._control = _compiled(control, "remex_control")
        self._declared_text = list(declared or ())
        self._control_text = " ".join(control)
        self._kinds: dict[bytes, FileKind] = {}
        rules = [declared, script, sorted(sweep_files), sorted(other_scripts), control]
        self.digest = hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:16]
        """Identifies these rules; the same on every machine."""

    @property
    def are_declared(self) -> bool:
        """Whether the sweep declares its inputs, so that only these are copied."""
        return self._declared is not None

    def kind(self, path: bytes) -> FileKind:
        """Return a file's kind, given its path relative to the top of the repository.

        The path of a submodule ends in a slash: git matches it as a folder.
        """
        if path not in self._kinds:
            self._kinds[path] = self._kind(path)
        return self._kinds[path]

    def is_input(self, path: bytes) -> bool:
        """Return whether an experiment depends on a file."""
        return self.kind(path) is FileKind.INPUT

    def is_placed(self, path: bytes) -> bool:
        """Return whether run directories contain a file: all, or only declared inputs."""
        return self._declared is None or self.is_input(path)

    def refuse_unfaithful(self, reasons: Mapping[bytes, str], top: Path) -> None:
        """Raise `RepositoryError` if an input is among the files that `unfaithful` returns."""
        for path, why in reasons.items():
            if self.is_input(path):
                raise RepositoryError(
                    f"{top} has {why}; if no job reads it, name it in remex_control: "
                    f"{os.fsdecode(path)}"
                )

    def refuse(
        self, edits: Iterable[Edit], experiment: str, differs: Callable[[Edit], bool]
    ) -> None:
        """Refuse a patch that changes a file that is not an input.

        Args:
            edits: The patch's changes.
            experiment: The experiment's name, for the message.
            differs: Whether an edit's content differs from the base.

        Raises:
            SweepError: The patch does so; the message names the paths and the fix.

        """
        refused: dict[FileKind, list[str]] = {}
        for edit in edits:
            kind = self.kind(edit.path)
            if kind is not FileKind.INPUT and differs(edit):
                refused.setdefault(kind, []).append(os.fsdecode(edit.path))
        lines = [
            f"{experiment}: the patch changes {some_of(paths)}, {self._explain(kind, paths)}"
            for kind, paths in refused.items()
        ]
        if lines:
            raise SweepError("\n".join(lines))

    def _kind(self, path: bytes) -> FileKind:
        if path == self.script:
            return FileKind.INPUT
        text = _matchable(path)
        if path in self._sweep_files or self._steering.match_file(text):
            return FileKind.SWEEP_FILE
        if path in self._other_scripts:
            return FileKind.OTHER_SCRIPT
        if self._declared is not None:
            return FileKind.INPUT if self._declared.match_file(text) else FileKind.UNDECLARED
        return FileKind.CONTROL if self._control.match_file(text) else FileKind.INPUT

    def _explain(self, kind: FileKind, paths: Sequence[str]) -> str:
        one = len(paths) == 1
        it, is_one = ("it", "a control file") if one else ("them", "control files")
        if kind is FileKind.SWEEP_FILE:
            steer = (
                "controls pytest and is not an input"
                if one
                else "control pytest and are not inputs"
            )
            return f"which {steer} of the job: let the patch write other files"
        if kind is FileKind.OTHER_SCRIPT:
            return (
                f"the script{'' if one else 's'} of another sweep in the same file, which this "
                f"sweep's jobs do not read: let the patch write other files"
            )
        if kind is FileKind.CONTROL:
            return (
                f"{is_one} by remex_control = {self._control_text}: if the job reads {it}, change "
                f"remex_control in the ini file so that it does not match {it}; if not, let the "
                f"patch not change {it}"
            )
        return (
            f"which inputs={self._declared_text} does not include, so the job would not find "
            f"{it}: add {it} to inputs, or let the patch not change {it}"
        )


def _compiled(patterns: Sequence[str], origin: str) -> PathSpec[GitIgnoreSpecPattern]:
    for pattern in patterns:
        fault = _fault(pattern)
        if fault:
            raise SweepError(f"{origin}: the pattern {pattern!r} {fault}: correct or remove it")
    # pathspec lets `a/**/` match files too; `a/**/*/` means the same and matches only folders.
    folders = (f"{each}*/" if each.endswith("/**/") else each for each in patterns)
    return PathSpec.from_lines(GitIgnoreSpecPattern, folders)


def _fault(pattern: str) -> str | None:
    """Return what is wrong with a pattern, as the rest of a sentence; None if it is valid."""
    if "\n" in pattern or "\0" in pattern:
        return "contains a line break or NUL"
    try:
        read = PathSpec.from_lines(GitIgnoreSpecPattern, [pattern]).patterns
    except (ValueError, re.error):
        return "is not a valid .gitignore pattern"
    return None if any(each.include is not None for each in read) else "matches nothing"


def _matchable(path: bytes) -> str:
    # `$` in a pattern's regex would also match before a line break; paths contain no NUL.
    return os.fsdecode(path).replace("\n", "\0")


def unfaithful(repository: Git, base: str, files: Mapping[bytes, Blob]) -> dict[bytes, str]:
    """Return what run directories would not have as it is in a user's checkout, and why."""
    modules = [path for path, blob in files.items() if blob.mode == SUBMODULE]
    shown = {"lfs": "Git LFS"}
    return {path + b"/": _MODULE.format(os.fsdecode(path)) for path in modules} | {
        path: _FILTERED.format(os.fsdecode(path), shown.get(name, f"the filter {name!r}"))
        for path, name in repository.filtered(base, files).items()
    }
