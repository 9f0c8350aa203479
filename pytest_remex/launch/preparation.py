"""Runs the part of a sweep function before its `yield`, and commits what it changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_remex.model import Experiment, Sweep
from pytest_remex.repo.git import Git, without_git_variables
from pytest_remex.repo.inputs import InputRules
from pytest_remex.repo.workspace import Named, Prepared, RunContents, Workspace
from pytest_remex.sweep import SweepCall

Inspect = Callable[[Experiment, Mapping[str, bytes]], None]
"""Looks at a patched checkout; is given what the files that the patch touched were before."""

SHOWN = 5
"""Names that a warning lists."""


@dataclass(frozen=True, slots=True)
class PatchWarning:
    """What a user may take for part of an experiment, and is not; `about` is the same for alike."""

    text: str
    about: str = ""


def run_patch(body: SweepCall) -> None:
    """Run a body up to its `yield`; git that it starts acts on the checkout, not on a hook's."""
    __tracebackhide__ = True
    with without_git_variables():
        body.patch()


def prepare(
    named: Named,
    workspace: Workspace,
    contents: RunContents,
    inspect: Inspect | None = None,
) -> Prepared:
    """Commit what a patch left in the workspace's checkout, which goes back to the base.

    Args:
        named: The experiment that was patched.
        workspace: The repository at the sweep's base commit.
        contents: What its run directory will hold.
        inspect: Told of the patched checkout before it goes back.

    Raises:
        RemexError: Where the script or the patch cannot be used.
    """
    header = workspace.header(named.experiment.sweep.script)
    patch = workspace.scratch.take(partial(inspect, named.experiment) if inspect else None)
    return workspace.prepare(named, header, patch, contents)


def rules_of(
    sweep: Sweep, files: Iterable[Path], scripts: Iterable[str], control: Iterable[str]
) -> InputRules:
    """Return what tells a sweep's inputs.

    Args:
        sweep: The sweep.
        files: The file that defines it, and other sweep files.
        scripts: The scripts of all sweeps of that file.
        control: The patterns of control files.
    """
    others = sorted({*scripts} - {sweep.script})
    return InputRules(sweep.inputs, sweep.script, tuple(files), tuple(others), tuple(control))


def warnings_of(repository: Git, prepared: Prepared) -> Iterator[PatchWarning]:
    """Return what a user may take for part of an experiment, and is not."""
    inputs = prepared.inputs
    if edited := [path for path in repository.edited if inputs.is_input(os.fsencode(path))]:
        yield PatchWarning(
            f"{_some(edited)}: uncommitted edits are not part of the experiments; commit them to "
            f"include them"
        )
    if prepared.ignored:
        yield PatchWarning(
            f"{_some(prepared.ignored)}: written by the patch and ignored by .gitignore, so not "
            f"part of the experiments"
        )
    if prepared.leaving:
        links = [f"{_printable(path)} -> {_printable(to)}" for path, to in prepared.leaving]
        yield PatchWarning(
            f"{_some(links)}: links that leave the checkout; they are committed as links, and what "
            f"they point to is no part of the experiments. In the checkout those of the base lead "
            f"nowhere, so that no patch changes what is outside",
            about=repr([path for path, _ in prepared.leaving]),
        )


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
