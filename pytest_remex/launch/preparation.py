"""Prepare an experiment: run its patch, check the patched checkout, commit the changes.

The config is read back from the checkout in the same way as a collect reads it from the outputs.
Scripts prepare the experiments of a sweep file with `SweepCalls`; for pytest, the plugin does so.
"""

from __future__ import annotations

import difflib
import os
import shlex
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pluggy

from pytest_remex.collect.failure import config_differences, config_omissions
from pytest_remex.display import SHOWN, some_of
from pytest_remex.errors import SweepError
from pytest_remex.experiment import Experiment, full_name
from pytest_remex.hooks import naming_hook
from pytest_remex.model import CONTROL, Config, Remote, Repo, Sweep
from pytest_remex.names import point_id
from pytest_remex.repo.commits import Patch
from pytest_remex.repo.git import Git
from pytest_remex.repo.git_process import without_git_variables
from pytest_remex.repo.inputs import InputRules, Inputs
from pytest_remex.repo.workspace import Named, Prepared, Workspace, Workspaces
from pytest_remex.sbatch.options import NO_OPTIONS, SbatchOptions
from pytest_remex.sbatch.script import Header, overridden
from pytest_remex.sweep import SweepCall
from pytest_remex.sweep_file import SweepFunction, call_of, experiment_at

Inspect = Callable[[Prepared, Mapping[str, bytes]], None]
"""Inspects a patched checkout; it also gets the original content of the changed files."""


class PatchWarning(NamedTuple):
    """A warning about what is not part of an experiment; `about` is equal for similar ones."""

    text: str
    about: str = ""


def run_patch(body: SweepCall, checkout: Path) -> None:
    """Run a body up to its `yield`; git commands in it act on the checkout, whatever GIT_DIR is."""
    __tracebackhide__ = True
    with without_git_variables():
        body.patch(checkout)


def prepare(
    named: Named,
    workspace: Workspace,
    inputs: Inputs,
    inspect: Inspect | None = None,
    options: SbatchOptions = NO_OPTIONS,
) -> Prepared:
    """Commit a patch's changes to the workspace's checkout, and reset the checkout to the base.

    `inspect` is called with the patched checkout before the reset.

    Raises:
        RemexError: The script, the config file or the patch cannot be used.
    """
    experiment = named.experiment
    words = options.words(experiment.sbatch_options)
    header = overridden(workspace.header(experiment.sweep.script), words)
    refuse_missing_config_file(experiment, workspace.scratch.files)
    workspace.refuse_long_name(experiment.sweep.name)
    made: list[Prepared] = []

    def look(patch: Patch, originals: Mapping[str, bytes]) -> None:
        _refuse_path_of_checkout(experiment, patch)
        prepared = workspace.prepare(named, header, patch, inputs)
        no_folder = _missing_output_folder(header, experiment.path)
        if words or no_folder:
            prepared = replace(prepared, sbatch=words, no_folder=no_folder)
        made.append(prepared)
        if inspect:
            inspect(prepared, originals)

    workspace.scratch.take(look)
    return made[0]


def _refuse_path_of_checkout(experiment: Experiment, patch: Patch) -> None:
    """Refuse a patch that writes the path of its checkout into a file."""
    path = os.fsencode(experiment.path)
    named = [os.fsdecode(each.path) for each in patch.edits if path in (each.content or b"")]
    if named:
        raise SweepError(
            f"{full_name(experiment)}: the patch writes the path of its checkout, "
            f"{experiment.path}, into {some_of(named)}: no job finds anything there, and as it is "
            f"another path each time, each submit would send the experiment again: write a "
            f"relative path, or have .gitignore name what no job reads"
        )


def differing_files(prepared: Prepared, again: Prepared) -> list[str]:
    """Return the files that two runs of a patch made differently, at most `SHOWN`."""
    made, remade = (set(map(tuple, each.identity.changed)) for each in (prepared, again))
    return sorted({entry[0] for entry in made ^ remade})[:SHOWN]


def rules_of(
    sweep: Sweep, files: Iterable[Path], scripts: Iterable[str], control: Iterable[str]
) -> InputRules:
    """Return the rules for a sweep's inputs; `scripts` are those of all sweeps of its file."""
    others = sorted({*scripts} - {sweep.script})
    return InputRules(sweep.inputs, sweep.script, tuple(files), tuple(others), tuple(control))


CACHE = "__pycache__"
"""The folder in which Python keeps compiled files."""


def warnings_of(repository: Git, prepared: Prepared) -> Iterator[PatchWarning]:
    """Yield warnings about what is not part of an experiment, though a user may think so."""
    inputs = prepared.inputs
    edited = [path for path in repository.edited if inputs.is_input(os.fsencode(path))]
    if caches := sorted({path.partition(CACHE)[0] + CACHE for path in edited if CACHE in path}):
        yield PatchWarning(
            f"{some_of(caches)}: git tracks Python's caches, which change with each run of pytest: "
            f"git rm -r --cached {shlex.join(caches[:SHOWN])}, and add {CACHE}/ to .gitignore, and "
            f"to remex_control if there are runs already"
        )
    if edited := [path for path in edited if CACHE not in path]:
        yield PatchWarning(
            f"{some_of(edited)}: uncommitted edits are not part of the experiments; commit them to "
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
            f"{some_of(prepared.ignored)}: written by the patch and ignored by .gitignore, so not "
            f"part of the experiments"
        )
    if prepared.special:
        yield PatchWarning(
            f"{some_of(prepared.special)}: pipes, sockets and devices "
            f"that the patch made are not part of the experiments, as git cannot hold them: let "
            f"the job make them"
        )
    if prepared.leaving:
        links = [f"{path} -> {to}" for path, to in prepared.leaving]
        yield PatchWarning(
            f"{some_of(links)}: links that leave the checkout; they are committed as links, and "
            f"what they point to is no part of the experiments. In the checkout those of the base "
            f"lead nowhere, so that no patch changes what is outside",
            about=repr([path for path, _ in prepared.leaving]),
        )


def _missing_output_folder(header: Header, checkout: Path) -> str:
    """Return a folder for the script's output that has no files, so that git does not store it."""
    for pattern in filter(None, (header.output, header.error)):
        folder = os.path.dirname(pattern)  # noqa: PTH120 - Slurm's pattern, not a path here
        is_known = folder.strip("./") and not folder.startswith("/") and "%" not in folder
        if is_known and not any(files for _, _, files in os.walk(checkout / folder)):
            return folder
    return ""


def refuse_missing_config_file(experiment: Experiment, tracked: Iterable[bytes]) -> None:
    """Refuse a `config_file` that is not in the patched checkout.

    Args:
        experiment: The experiment; its `path` is the patched checkout.
        tracked: The files of the base, whose near names the message tells.

    Raises:
        SweepError: It is not there.

    """
    for name in experiment.sweep.config_files:
        if not (experiment.path / name).is_file():
            known = [path.decode("utf-8", "replace") for path in tracked]
            near = difflib.get_close_matches(name, known, n=3)
            instead = f"did you mean {' or '.join(near)}?" if near else "name one that is there"
            raise SweepError(
                f"{full_name(experiment)}: config_file={name!r} is not in the checkout after "
                f"the patch: {instead}"
            )


def check_config(experiment: Experiment, hook: pluggy.HookRelay) -> Iterator[str]:
    """Compare the config in a patched checkout with the requested config.

    Yields:
        What could not be compared, one sentence each.

    Raises:
        SweepError: A name that is there has another value, or no reader reads the `config_file`.

    """
    files = experiment.sweep.config_files
    config, told = _read_back(experiment, hook)
    yield from (f"reading the config back: {text}" for text in told)
    if config is None:
        if files and not told:
            raise SweepError(
                f"{full_name(experiment)}: no reader reads the config_file "
                f"{' or '.join(files)}: name a file that one reads, or implement the "
                f"hook pytest_remex_config in conftest.py"
            )
        return
    if wrong := config_differences(experiment.asked, config, found="the checkout has"):
        raise SweepError(
            f"{full_name(experiment)}: after the patch the config is not the one asked for: "
            f"{'; '.join(wrong)}; let the patch write it, or correct the sweep"
        )
    if missing := config_omissions(experiment.config, config):
        yield (
            f"{' and '.join(files) or 'the config'} does not have {', '.join(missing)}, so that "
            f"their values cannot be compared"
        )


def _read_back(experiment: Experiment, hook: pluggy.HookRelay) -> tuple[Config | None, list[str]]:
    """Return the config in a checkout, None if no reader reads it; and the readers' warnings."""
    config: Any = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in experiment.sweep.config_files or (None,):
            with naming_hook(hook.pytest_remex_config):
                found: Any = hook.pytest_remex_config(path=experiment.path, config_file=name)
            # not merged into one dict: a reader's mapping may find other spellings
            config = ChainMap(found, config) if config and found else found or config
    return config, list(dict.fromkeys(str(each.message) for each in caught))


def by_recipe(first: Prepared, made: Prepared, recipe: int) -> Prepared:
    """Return an experiment made by another recipe; its identity is that of the first one.

    Raises:
        SweepError: Both make the same files.

    """
    if made.identity.fingerprint == first.identity.fingerprint:
        raise SweepError(
            f"recipe {recipe} of {full_name(first.experiment)}, {made.experiment.recipe!r}, makes "
            f"the same files as the first one: read experiment.recipe in the patch"
        )
    return replace(made, identity=first.identity, recipe=recipe)


def recipes_for_retry(sweep: Sweep, last: int | None) -> list[int]:
    """Return the recipes besides the first that a retry may use: that of the run, and the next one.

    Args:
        sweep: The sweep.
        last: The recipe of the experiment's run; None if it has no run.

    """
    numbers = () if last is None else (last, last + 1)
    return [number for number in numbers if 0 < number < len(sweep.recipes)]


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A point of a sweep, with the function that patches its experiment."""

    function: SweepFunction
    sweep: Sweep
    point: Config


@dataclass(frozen=True, slots=True)
class SweepCalls:
    """Calls the functions of a sweep file up to their `yield`, and commits what they change.

    `scripts` are the batch scripts of all sweeps in the file; `tell` is called with warnings.
    """

    path: Path
    repo: Repo
    remote: Remote
    scripts: Sequence[str]
    workspaces: Workspaces
    tell: Callable[[str], None]
    _prepared: dict[str, Prepared] = field(default_factory=dict)
    """Those prepared so far, by name."""

    def prepare(self, at: SweepPoint, inspect: Inspect | None = None) -> Prepared:
        """Prepare the experiment at a point, by the first of the sweep's recipes.

        Raises `RemexError` if it cannot be prepared.
        """
        prepared = self._prepare(at, inspect, 0)
        self._prepared[full_name(prepared.experiment)] = prepared
        return prepared

    def for_retry(
        self, first: Prepared, at: SweepPoint, last: int | None
    ) -> Mapping[int, Prepared]:
        """Return an experiment prepared for a retry: by its run's recipe, and by the next one.

        Args:
            first: The experiment by the first recipe, which identifies it.
            at: Its point.
            last: The number of its run's recipe; None if it has no run.

        Raises:
            SweepError: A recipe makes the same files as the first one.

        """
        return {
            each: by_recipe(first, self._prepare(at, None, each), each)
            for each in recipes_for_retry(at.sweep, last)
        }

    def _prepare(self, at: SweepPoint, inspect: Inspect | None, recipe: int) -> Prepared:
        workspace = self.workspaces.at(self.repo, at.sweep.branch)
        experiment = experiment_at(at.sweep, at.point, workspace.scratch.checkout(), recipe)
        call = call_of(at.function, experiment, self.repo, self.remote)
        try:
            self._patch(at, call, workspace.scratch.path)
            rules = rules_of(at.sweep, [self.path], self.scripts, CONTROL)
            inputs = self.workspaces.inputs(self.repo, rules)
            before = experiment.comes_after
            upstream = self._prepared.get(full_name(before)) if before else None
            named = Named(self._node(at), experiment, {}, self.repo, self.remote, upstream)
            prepared = prepare(named, workspace, inputs, inspect)
        finally:
            workspace.scratch.restore()
        for warning in warnings_of(self.workspaces.git(self.repo), prepared):
            self.tell(warning.text)
        return prepared

    def _patch(self, at: SweepPoint, call: SweepCall, checkout: Path) -> None:
        try:
            run_patch(call, checkout)
        except Exception as error:
            error.add_note(f"in the patch of {self._node(at)}")
            raise
        call.close()

    def _node(self, at: SweepPoint) -> str:
        """Return the node ID that pytest would use with the repository as its rootdir."""
        top, file = self.repo.path.resolve(), self.path.resolve()
        shown = file.relative_to(top).as_posix() if file.is_relative_to(top) else self.path.name
        title = f"[{point_id(at.sweep, at.point)}]" if at.point else ""
        return f"{shown}::{getattr(at.function, '__name__', '')}{title}"
