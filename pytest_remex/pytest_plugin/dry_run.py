"""Dry run: try every patch, and send nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from pytest_remex import names
from pytest_remex.errors import SweepError
from pytest_remex.experiment import Experiment, full_name
from pytest_remex.hooks import GuardedHooks
from pytest_remex.io import writing
from pytest_remex.launch.preparation import differing_files
from pytest_remex.pytest_plugin.facts import note_facts, prepared_facts
from pytest_remex.pytest_plugin.fixtures import places_of
from pytest_remex.pytest_plugin.mode import Mode, ModeContext, stopped_after
from pytest_remex.pytest_plugin.preparation import (
    ConfigChecks,
    Preparer,
)
from pytest_remex.records.store import read_records
from pytest_remex.repo.workspace import Prepared, Workspaces

NEXT = "--remex-plan shows what a submit would send"


class DryRun(Mode):
    """The dry run: run every patch."""

    def __init__(self, context: ModeContext, _items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        read_records(self.settings.launches)  # one that cannot be read is refused in each mode
        self._workspaces = Workspaces(kept=False)
        self._trials = Trials(context, self._workspaces)
        self.checkout = self._trials.preparer.checkout
        self._tried = 0

    def run(self, item: pytest.Function) -> None:
        """Run the patch."""
        __tracebackhide__ = True
        self.terminal.target(places_of(item)[1])
        prepared = self._trials.prepare(item)
        self._trials.prepare_recipes(item, prepared)
        note_facts(item, **prepared_facts(prepared))
        self._tried += 1

    def close(self) -> None:
        """Remove the scratch checkouts."""
        self._workspaces.close()
        super().close()

    def summarize(self) -> None:
        """Say what to do next."""
        has_failed = bool(self.session.testsfailed) and not self._tried
        following = stopped_after(self._tried, self.session) or next_step(
            NEXT, has_failed=has_failed
        )
        self.terminal.say_next(following, "nothing was sent")


class Trials:
    """Runs patches to see whether they apply, and make the same files each time.

    Args:
        context: The context of the pytest run.
        workspaces: The workspaces in which to prepare experiments.
        copies: Copies patched checkouts for the user, if any.
        probe: Called with each experiment while its checkout is patched.

    """

    def __init__(
        self,
        context: ModeContext,
        workspaces: Workspaces,
        copies: CheckoutCopies | None = None,
        probe: Callable[[Experiment], None] | None = None,
    ) -> None:
        self.preparer = Preparer(context, workspaces)
        self._checks = ConfigChecks(context)
        self._copies = copies
        self._probe = probe
        self._note = context.terminal.note
        self._hooks = GuardedHooks(context.config.hook, self._note)
        self._repeated: set[str] = set()
        self._with_recipes: set[str] = set()

    def prepare(self, item: pytest.Function) -> Prepared:
        """Run an experiment's patch; that of a sweep's first experiment once more."""
        __tracebackhide__ = True
        prepared = self.preparer.prepare(item, self._inspect)
        if self._copies:
            self._copies.leave_out(prepared)
        sweep = prepared.experiment.sweep.name
        if sweep not in self._repeated:
            self._repeated.add(sweep)
            self._repeat(item, prepared)
        return prepared

    def _inspect(self, prepared: Prepared, originals: Mapping[str, bytes]) -> None:
        experiment = prepared.experiment
        self._checks.check(prepared, originals)
        if self._probe:
            self._probe(experiment)
        facts = {"experiment": experiment, "originals": originals}
        for warning in self._hooks.flat("pytest_remex_inspect", **facts):
            self._note(warning)
        if self._copies:
            self._copies.copy(experiment)

    def _repeat(self, item: pytest.Function, prepared: Prepared) -> None:
        """Note it if the patch makes other files when it runs once more."""
        __tracebackhide__ = True
        again = self.preparer.repeat(item)
        if again is None:
            return  # it can only run once, for example because it makes a folder elsewhere
        if differing := differing_files(prepared, again):
            self._note(
                f"the patch of {full_name(prepared.experiment)} made other files when it ran "
                f"again: {', '.join(differing)}; so each submit sends it again, as another "
                f"experiment: give random numbers a fixed seed, and write no time into files"
            )

    def prepare_recipes(
        self, item: pytest.Function, first: Prepared, retried: int = 0
    ) -> dict[int, Prepared]:
        """Return an experiment prepared by the recipe that a retry sends, if it is not the first.

        All recipes of a sweep's first experiment are tried, so that none fails at a retry.
        """
        __tracebackhide__ = True
        sweep, numbers = first.experiment.sweep, {retried} - {0}
        if sweep.name not in self._with_recipes:
            self._with_recipes.add(sweep.name)
            numbers |= set(range(1, len(sweep.recipes)))

        def inspect(number: int, made: Prepared, originals: Mapping[str, bytes]) -> None:
            self._checks.check(made, originals)
            if self._copies and number == retried:
                self._copies.copy(made.experiment)

        made = {
            number: self.preparer.prepare_again(first, item, partial(inspect, number), number)
            for number in sorted(numbers)
        }
        if self._copies and retried in made:
            self._copies.leave_out(made[retried])
        return made


class CheckoutCopies:
    """Copies of patched checkouts in a folder, which is made, named by sweep and experiment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: set[Path] = set()

    def copy(self, experiment: Experiment) -> None:
        """Copy an experiment's patched checkout.

        Args:
            experiment: The experiment; an older copy of it, by another recipe, is replaced.

        Raises:
            SweepError: The copy's path exists already.
            RecordError: It cannot be written.

        """
        target = self._target(experiment)
        if target in self._made:
            with writing(target):
                shutil.rmtree(target)
        if os.path.lexists(target):
            raise SweepError(
                f"{target} exists already: remove it, or give --remex-checkout another folder"
            )
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target)
            shutil.copytree(experiment.path, target, symlinks=True, ignore=_no_part_of_it)

    def leave_out(self, prepared: Prepared) -> None:
        """Remove from the copy what .gitignore excludes from the experiment.

        Raises `RecordError` if it cannot be removed.
        """
        target = self._target(prepared.experiment)
        with writing(target):
            for name in prepared.ignored:
                (target / name).unlink()

    def _target(self, experiment: Experiment) -> Path:
        return self.folder / names.label(experiment.sweep.name) / names.label(experiment.id)


def _no_part_of_it(folder: str, entries: Sequence[str]) -> list[str]:
    """Return what is not copied: `.git`, and what is not a file, a folder or a link."""
    paths = {name: Path(folder, name) for name in entries}
    return [
        name
        for name, path in paths.items()
        if name == ".git" or not (path.is_symlink() or path.is_file() or path.is_dir())
    ]


def next_step(command: str, *, has_failed: bool) -> str:
    """Return what to do next, if all experiments have failed (`has_failed`) or not."""
    return f"correct what failed, then {NEXT}" if has_failed else command
