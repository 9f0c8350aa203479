"""Runs the part of a sweep function before its `yield`, and commits what it changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_remex.launch.config_check import refuse_missing_config_file
from pytest_remex.model import Sweep
from pytest_remex.repo.commits import Patch
from pytest_remex.repo.git import Git, without_git_variables
from pytest_remex.repo.inputs import InputRules
from pytest_remex.repo.workspace import Named, Prepared, RunContents, Workspace
from pytest_remex.sbatch.header import Header, overridden
from pytest_remex.sbatch.override import NO_OPTIONS, SbatchOptions
from pytest_remex.sweep import SweepCall

Inspect = Callable[[Prepared, Mapping[str, bytes]], None]
"""Looks at a patched checkout; is given what the files that the patch touched were before."""

SHOWN = 5
"""Names that a warning lists."""


@dataclass(frozen=True, slots=True)
class PatchWarning:
    """What a user may take for part of an experiment, and is not; `about` is the same for alike."""

    text: str
    about: str = ""


def run_patch(body: SweepCall, checkout: Path) -> None:
    """Run a body up to its `yield`; git that it starts acts on the checkout, not on a hook's."""
    __tracebackhide__ = True
    with without_git_variables():
        body.patch(checkout)


def prepare(
    named: Named,
    workspace: Workspace,
    contents: RunContents,
    inspect: Inspect | None = None,
    options: SbatchOptions = NO_OPTIONS,
) -> Prepared:
    """Commit what a patch left in the workspace's checkout, which goes back to the base.

    Args:
        named: The experiment that was patched.
        workspace: The repository at the sweep's base commit.
        contents: What its run directory will hold.
        inspect: Told of the patched checkout before it goes back.
        options: Options for sbatch that the user chose.

    Raises:
        RemexError: Where the script, the config file or the patch cannot be used.
    """
    experiment = named.experiment
    words = options.words(experiment.sbatch_options)
    header = overridden(workspace.header(experiment.sweep.script), words)
    refuse_missing_config_file(experiment, workspace.scratch.files)
    made: list[Prepared] = []

    def look(patch: Patch, originals: Mapping[str, bytes]) -> None:
        prepared = workspace.prepare(named, header, patch, contents)
        no_folder = _missing_output_folder(header, experiment.path)
        made.append(replace(prepared, sbatch=words, no_folder=no_folder))
        if inspect:
            inspect(made[0], originals)

    workspace.scratch.take(look)
    return made[0]


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
    if prepared.no_folder:
        yield PatchWarning(
            f"{prepared.experiment.sweep.script} writes its output into {prepared.no_folder}/, "
            f"which run directories do not have, so that Slurm ends the job at once: commit a file "
            f"in it, such as {prepared.no_folder}/.gitkeep"
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


def _missing_output_folder(header: Header, checkout: Path) -> str:
    """Return a folder of the script's output that holds no file, so that git does not keep it."""
    for pattern in filter(None, (header.output, header.error)):
        folder = os.path.dirname(pattern)  # noqa: PTH120 - Slurm's pattern, not a path here
        is_known = folder.strip("./") and not folder.startswith("/") and "%" not in folder
        if is_known and not any(files for _, _, files in os.walk(checkout / folder)):
            return folder
    return ""


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
